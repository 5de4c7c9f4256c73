"""The client against a real server that behaves as badly as servers do."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Server, answer

from propolis.clock import ManualClock
from propolis.errors import ConfigurationError, InputError
from propolis.http import Client, HttpError, session

KEY = "s3cr3t-key-value"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def connect(clock: ManualClock) -> Iterator[Callable[..., Client]]:
    """A client whose back-off draws nothing at random and whose waits only move the test's clock."""
    made: list[Client] = []

    def make(server: Server, **options: Any) -> Client:
        options = {"clock": clock, "draw": lambda: 0.0, "timeout": (2, 2), **options}
        made.append(session(options.pop("base_url", server.url), **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def refused(call: Callable[[], object]) -> HttpError:
    with pytest.raises(HttpError) as caught:
        call()
    return caught.value


def chunked(*pieces: bytes, pause: float = 0.0, end: bool = True) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(pause)
        if end:
            connection.sendall(b"0\r\n\r\n")

    return behave


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


# --- the plain case


def test_json_goes_out_and_comes_back_with_headers_and_query(server: Server, connect: Callable[..., Client]) -> None:
    client = connect(server, base_url=f"{server.url}/api/", headers={"X-Api-Key": KEY})
    server.will(answer(body=b'{"id": 7}'))
    response = client.post("/v1/case", json={"title": "x"}, params={"extra": "a b"}, headers={"X-Org": "soc"})
    assert response.json() == {"id": 7}
    assert response.headers["content-TYPE"] == "application/json"
    (seen,) = server.seen
    assert seen.line == "POST /api/v1/case?extra=a+b HTTP/1.1"
    assert seen.body == b'{"title": "x"}'
    assert (seen.headers["x-api-key"], seen.headers["x-org"]) == (KEY, "soc")
    assert seen.headers["content-type"] == "application/json"


def test_a_form_is_sent_as_a_form(server: Server, connect: Callable[..., Client]) -> None:
    connect(server).put("/x", form={"a": "1 2", "b": ["x", "y"]})
    assert server.seen[0].body == b"a=1+2&b=x&b=y"
    assert server.seen[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_connection_is_used_again(server: Server, connect: Callable[..., Client]) -> None:
    client = connect(server)
    for _ in range(3):
        client.get("/x")
    assert (len(server.seen), server.connections) == (3, 1)


def test_cookies_are_not_kept(server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(Set_Cookie="session=abc; Path=/"))
    client = connect(server)
    client.get("/x")
    client.get("/x")
    assert "cookie" not in server.seen[1].headers


def test_only_accepted_statuses_are_answers(server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(404, b"gone"))
    client = connect(server)
    assert client.get("/x", accept=(200, 404)).text == "gone"
    assert client.get("/x", accept=lambda status: status < 500).status == 404
    assert refused(lambda: client.get("/x")).status == 404
    server.will(answer(200))
    assert refused(lambda: client.post("/x", accept=(201,))).ambiguous


def test_one_body_only(server: Server, connect: Callable[..., Client]) -> None:
    with pytest.raises(InputError, match="one body"):
        connect(server).post("/x", json={}, data=b"x")


def test_requests_is_not_loaded_before_the_first_call(root: Path) -> None:
    code = """
import sys
from propolis.http import session
session("https://h.example.org")
print("requests" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- what the surroundings may not change


def test_a_netrc_does_not_replace_the_credentials(
    server: Server, connect: Callable[..., Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".netrc", "_netrc"):
        (tmp_path / name).write_text("machine 127.0.0.1 login intruder password wrong\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    connect(server, headers={"Authorization": f"Bearer {KEY}"}).get("/x")
    connect(server).get("/x")
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in server.seen[1].headers


def test_proxies_and_bundles_of_the_environment_are_ignored(
    server: Server, other_server: Server, connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other_server.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    connect(server).get("/x")
    assert (len(server.seen), len(other_server.seen)) == (1, 0)


def test_an_explicit_proxy_is_used(server: Server, other_server: Server, connect: Callable[..., Client]) -> None:
    connect(server, proxy=other_server.url).get("/x")
    assert other_server.seen[0].line == f"GET {server.url}/x HTTP/1.1"
    assert not server.seen


def tunnel_to(port: int) -> Callable[[socket.socket], None]:
    """What a proxy does on CONNECT: say yes, then pass bytes in both directions."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as beyond:
            back = threading.Thread(target=pump, args=(beyond, connection), daemon=True)
            back.start()
            pump(connection, beyond)
            back.join()

    return behave


def test_tls_goes_through_a_tunnel_of_the_proxy(
    tls_server: Callable[[str], Server], server: Server, certificates: Any, connect: Callable[..., Client]
) -> None:
    target = tls_server("right").will(answer(200, b"[1]"))
    server.will(tunnel_to(target.port))
    client = connect(target, proxy=server.url, ca_file=certificates.ca, headers={"X-Api-Key": KEY})
    assert client.get("/x").json() == [1]
    assert server.seen[0].line.startswith(f"CONNECT 127.0.0.1:{target.port} ")
    assert KEY not in str(server.seen[0].headers)
    assert target.seen[0].headers["x-api-key"] == KEY


def test_a_refused_tunnel_is_the_proxys_fault_and_nothing_was_sent(
    server: Server, connect: Callable[..., Client]
) -> None:
    server.will(answer(407, b""))
    url = "https://h.example.org"
    error = refused(lambda: connect(server, base_url=url, proxy=server.url, retries=0).post("/x"))
    assert (error.kind, error.ambiguous) == ("proxy", False)


def test_a_proxy_that_is_down_is_named_as_the_suspect(server: Server, connect: Callable[..., Client]) -> None:
    error = refused(lambda: connect(server, proxy="http://127.0.0.1:1", retries=0).get("/x"))
    assert (error.kind, error.ambiguous) == ("proxy", False)
    assert "proxy" in error.message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_the_key_goes_nowhere(
    status: int, server: Server, other_server: Server, connect: Callable[..., Client]
) -> None:
    server.will(answer(status, b"", Location=f"{other_server.url}/elsewhere?token={KEY}"))
    error = refused(lambda: connect(server, headers={"X-Api-Key": KEY}).get("/x"))
    assert not other_server.seen
    assert (error.kind, error.status) == ("redirect", status)
    assert f"redirect to 127.0.0.1:{other_server.port}" in error.message
    assert KEY not in str(error)


# --- time


def test_a_silent_server_is_a_timeout_and_ambiguous(server: Server, connect: Callable[..., Client]) -> None:
    done = threading.Event()
    server.will(lambda _: done.wait(10))
    error = refused(lambda: connect(server, timeout=(1, 0.2)).post("/x"))
    done.set()
    assert (error.kind, error.ambiguous, len(server.seen)) == ("timeout", True, 1)


def trickle(start: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.05)

    return behave


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
    ids=["status line", "header", "body of known length", "body without end"],
)
def test_a_trickle_ends_with_the_budget(start: bytes, server: Server) -> None:
    server.will(trickle(start))
    began = time.monotonic()
    with session(server.url, timeout=(1, 1), budget=0.4, retries=0) as client:
        error = refused(lambda: client.get("/x"))
    assert error.kind == "timeout"
    assert 0.3 < time.monotonic() - began < 3


def test_endless_continue_answers_end_with_the_budget(server: Server) -> None:
    def behave(connection: socket.socket) -> None:
        for _ in range(400):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.02)

    server.will(behave)
    with session(server.url, budget=0.4, retries=0) as client:
        assert refused(lambda: client.get("/x")).kind == "timeout"


# --- size


def test_an_endless_body_is_cut_off(server: Server, connect: Callable[..., Client]) -> None:
    server.will(chunked(*[b"x" * 10_000] * 1_000))
    error = refused(lambda: connect(server, max_body=50_000).get("/x"))
    assert (error.kind, error.ambiguous, len(server.seen)) == ("size", True, 1)
    assert "50,000 bytes" in error.message


def test_a_body_announced_too_large_is_not_read(server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(200, b"", Content_Length="10000000000"))
    assert refused(lambda: connect(server).get("/x")).kind == "size"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_not_unpacked(encoding: str, server: Server, connect: Callable[..., Client]) -> None:
    packed = (gzip.compress if encoding == "gzip" else zlib.compress)(bytes(200_000_000))
    server.will(answer(200, packed, Content_Encoding=encoding))
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(lambda: connect(server, max_body=100_000).get("/x")).kind == "size"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def _bare_deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(body) + machine.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
        ("deflate", zlib.compress),
        ("deflate", _bare_deflate),
        ("identity", bytes),
    ],
    ids=["gzip", "two gzip members", "deflate", "bare deflate", "identity"],
)
def test_a_compressed_body_is_read(
    encoding: str, pack: Callable[[bytes], bytes], server: Server, connect: Callable[..., Client]
) -> None:
    body = b'{"text": "' + b"ab" * 200_000 + b'"}'
    server.will(answer(200, pack(body), Content_Encoding=encoding))
    assert connect(server).get("/x").body == body


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [(gzip.compress(b"x" * 1000)[:-9], "gzip"), (b"not gzip at all", "gzip"), (b"x", "br")],
    ids=["cut", "not compressed", "not asked for"],
)
def test_a_compressed_body_that_is_broken_is_an_error(
    packed: bytes, encoding: str, server: Server, connect: Callable[..., Client]
) -> None:
    server.will(answer(200, packed, Content_Encoding=encoding))
    error = refused(lambda: connect(server, retries=0).post("/x"))
    assert (error.kind, error.ambiguous) == ("broken", True)


# --- broken answers


def test_a_body_cut_short_is_no_answer(server: Server, connect: Callable[..., Client]) -> None:
    def behave(connection: socket.socket) -> None:
        answer(200, b'{"half":', Content_Length="100")(connection)
        hang_up(connection)

    server.will(behave)
    error = refused(lambda: connect(server).post("/x"))
    assert (error.kind, error.ambiguous, len(server.seen)) == ("broken", True, 1)


def test_a_chunked_body_cut_short_is_no_answer(server: Server, connect: Callable[..., Client]) -> None:
    def behave(connection: socket.socket) -> None:
        chunked(b"x" * 10, end=False)(connection)
        hang_up(connection)

    server.will(behave)
    assert refused(lambda: connect(server).post("/x")).ambiguous


def test_what_is_not_http_is_said_so(server: Server, connect: Callable[..., Client]) -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
        hang_up(connection)

    server.will(behave)
    assert "not HTTP" in refused(lambda: connect(server, retries=0).get("/x")).message


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"{", b"[" * 200_000, b"\xff\xfe"])
def test_a_success_that_is_not_json_is_no_success(body: bytes, server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(200, body, Content_Type="text/html"))
    response = connect(server).get("/status")
    error = refused(response.json)
    assert (error.kind, error.ambiguous) == ("format", True)
    assert "where JSON was expected" in error.message
    assert "/status" in error.message


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "credentials"), (403, "right"), (404, "nothing is there"), (500, "its log"), (418, "418")],
)
def test_a_refusal_says_what_to_fix(status: int, hint: str, server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(status, b'{"message":\n"because"}'))
    error = refused(lambda: connect(server).get("/case/~12"))
    assert (error.kind, error.status, len(server.seen)) == ("status", status, 1)
    assert hint in error.message
    assert f"GET 127.0.0.1:{server.port}/case/~12" in error.message
    assert error.excerpt == '{"message": "because"}'


# --- what may be repeated


def test_a_get_is_repeated_with_growing_waits(
    server: Server, connect: Callable[..., Client], clock: ManualClock
) -> None:
    server.will(answer(503), hang_up, answer(502), answer(200, b"[1]"))
    assert connect(server).get("/x").json() == [1]
    assert clock.monotonic() == 0.25 + 0.5 + 1.0


def test_the_tries_come_to_an_end(server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(503))
    assert refused(lambda: connect(server, retries=2).get("/x")).status == 503
    assert len(server.seen) == 3


@pytest.mark.parametrize("method", ["post", "patch"])
@pytest.mark.parametrize("end", [hang_up, answer(502), answer(504), answer(500)], ids=["cut", "502", "504", "500"])
def test_a_post_is_not_repeated_after_an_ambiguous_end(
    method: str, end: Callable[[socket.socket], None], server: Server, connect: Callable[..., Client]
) -> None:
    server.will(end, answer(200))
    error = refused(lambda: getattr(connect(server), method)("/x", json={}))
    assert (error.ambiguous, len(server.seen)) == (True, 1)


def test_a_post_is_repeated_where_the_caller_knows_it_is_safe(server: Server, connect: Callable[..., Client]) -> None:
    server.will(hang_up, answer(504), answer(200))
    assert connect(server).post("/query", json={}, retry=True).status == 200
    assert len(server.seen) == 3


def test_nothing_is_repeated_where_the_caller_forbids_it(server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(503, Retry_After="1"), answer(200))
    assert refused(lambda: connect(server).get("/x", retry=False)).retry_after == 1
    assert len(server.seen) == 1


def test_a_post_waits_where_the_server_says_that_it_did_nothing(
    server: Server, connect: Callable[..., Client], clock: ManualClock
) -> None:
    server.will(answer(429, Retry_After="7"), answer(503, Retry_After="5"), answer(201))
    assert connect(server).post("/x").status == 201
    assert clock.monotonic() == 12


def test_a_post_is_not_repeated_on_a_503_without_a_time(server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(503), answer(200))
    error = refused(lambda: connect(server).post("/x"))
    assert (error.status, error.ambiguous, len(server.seen)) == (503, False, 1)


def test_a_post_that_could_not_be_sent_is_tried_again(connect: Callable[..., Client], clock: ManualClock) -> None:
    error = refused(lambda: connect(Server(1)).post("/x"))
    assert (error.kind, error.ambiguous) == ("refused", False)
    assert clock.monotonic() == 0.25 + 0.5 + 1.0


def test_a_wait_beyond_the_budget_is_refused_at_once(
    server: Server, connect: Callable[..., Client], clock: ManualClock
) -> None:
    server.will(answer(429, Retry_After="3600"))
    error = refused(lambda: connect(server, budget=60).get("/x"))
    assert (error.retry_after, clock.monotonic(), len(server.seen)) == (3600, 0, 1)
    assert "3600 s, goes beyond the 60 s" in error.message


# --- secrets


def test_no_error_shows_a_secret(server: Server, connect: Callable[..., Client]) -> None:
    echo = f'{{"you sent": "{KEY}", "and": "p%40ss+w%2Ford", "basic": "aHVudGVyOmh1bnRlcjI=", "pw": "hunter2"}}'
    server.will(answer(400, echo.encode()))
    client = connect(server, headers={"Authorization": "Basic aHVudGVyOmh1bnRlcjI="}, secrets=["p@ss w/ord"])
    error = refused(lambda: client.get(f"/x/{KEY}", headers={"X-Key": KEY}, params={"q": "visible-query"}))
    for secret in (KEY, "p%40ss", "aHVudGVy", "hunter2", "visible-query"):
        assert secret not in f"{error} {error.excerpt} {error.args}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_a_long_error_page_is_cut_after_it_was_redacted(server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(500, b"\x1b[31m" + b"a" * 190 + KEY.encode() + b"b" * 5000))
    error = refused(lambda: connect(server, secrets=[KEY]).post("/x"))
    assert len(error.excerpt) <= 200
    assert KEY[:6] not in error.excerpt
    assert "\x1b" not in error.excerpt


@pytest.mark.parametrize("value", [f"{KEY}\r\nX-Evil: 1", f"{KEY}\n", "schlüssel"])
def test_a_header_that_would_inject_is_refused_without_showing_it(value: str, server: Server) -> None:
    with pytest.raises(ConfigurationError, match="X-Api-Key") as caught:
        session(server.url, headers={"X-Api-Key": value})
    assert KEY not in str(caught.value)


def test_a_proxy_password_is_blanked(server: Server, other_server: Server, connect: Callable[..., Client]) -> None:
    other_server.will(answer(407, b"bad password proxy-pass-1"))
    proxy = other_server.url.replace("://", "://user:proxy-pass-1@")
    error = refused(lambda: connect(server, proxy=proxy).get("/x"))
    assert "proxy-pass-1" not in str(error)
    assert "proxy wants credentials" in error.message


# --- TLS


def test_a_certificate_of_our_ca_is_trusted(
    tls_server: Callable[[str], Server], certificates: Any, connect: Callable[..., Client]
) -> None:
    assert connect(tls_server("right"), ca_file=certificates.ca).get("/x").json() == {}


def test_a_certificate_for_another_name_is_refused(
    tls_server: Callable[[str], Server], certificates: Any, connect: Callable[..., Client]
) -> None:
    server = tls_server("wrong")
    error = refused(lambda: connect(server, ca_file=certificates.ca).post("/x"))
    assert (error.kind, error.ambiguous, server.seen) == ("tls", False, [])
    assert "another name" in error.message


def test_an_unknown_ca_is_refused(tls_server: Callable[[str], Server], connect: Callable[..., Client]) -> None:
    server = tls_server("right")
    error = refused(lambda: connect(server).get("/x"))
    assert (error.kind, server.seen) == ("tls", [])
    assert "CA file" in error.message


def test_the_operator_may_choose_not_to_check(
    tls_server: Callable[[str], Server], connect: Callable[..., Client]
) -> None:
    from urllib3.exceptions import InsecureRequestWarning

    chosen = bool(0)
    with pytest.warns(InsecureRequestWarning):
        assert connect(tls_server("wrong"), verify=chosen).get("/x").status == 200


def test_tls_to_a_plain_server_is_said_so(server: Server, connect: Callable[..., Client]) -> None:
    server.will(answer(400))
    url = server.url.replace("http:", "https:")
    error = refused(lambda: connect(server, base_url=url, retries=0).get("/x"))
    assert error.kind in ("tls", "unreachable", "timeout")
    assert not error.ambiguous


def test_a_trickle_over_tls_ends_too(tls_server: Callable[[str], Server], certificates: Any) -> None:
    server = tls_server("right").will(trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"))
    with session(server.url, ca_file=certificates.ca, budget=0.5, retries=0) as client:
        assert refused(lambda: client.get("/x")).kind == "timeout"


def test_a_missing_ca_file_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        session("https://h.example.org", ca_file="/nowhere/ca.pem")


@pytest.mark.parametrize("options", [{"timeout": (0, 1)}, {"budget": 0}, {"max_body": 0}, {"retries": -1}])
def test_a_client_without_limits_cannot_be_made(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="above zero"):
        session("https://h.example.org", **options)
