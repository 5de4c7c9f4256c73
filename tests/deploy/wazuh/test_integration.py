"""custom-propolis, started as integratord starts it: every alert arrives, whatever becomes of service and script."""

from __future__ import annotations

import ast
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from intake_lab import CLOCK, KEY, alert, propolis
from integration_lab import SCRIPTS, Manager


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    return Manager(tmp_path)


@pytest.fixture
def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/hooks/wazuh"


Answer = tuple[int, dict[str, str]] | tuple[int, dict[str, str], bytes]


@contextmanager
def answering(answers: Callable[[bytes], Answer | None]) -> Iterator[tuple[str, list[Any]]]:
    """A server that answers as the function says (None: not at all); yields its URL and the requests it saw."""
    seen: list[Any] = []
    gone = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, dict(self.headers), body))
            answer = answers(body)
            if answer is None:
                gone.wait(60)
                return
            text = answer[2] if len(answer) > 2 else b""
            self.send_response(answer[0])
            for name, value in {"Content-Length": str(len(text)), **answer[1]}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/wazuh", seen
    finally:
        gone.set()
        server.shutdown()
        server.server_close()
        thread.join()


def always(status: int, **headers: str) -> Callable[[bytes], Answer]:
    return lambda _: (status, {name.replace("_", "-"): value for name, value in headers.items()})


# --- the way of an alert -------------------------------------------------------------------------------------------


def test_an_alert_goes_from_integratord_into_the_service_s_inbox_and_leaves_nothing_behind(
    manager: Manager, tmp_path: Path
):
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url)
        assert manager.run(alert(1)) == (0, "")
        assert service.ids() == ["1795304791.1"]
    assert manager.waiting() == []
    assert manager.log() == ""
    assert list((manager.home / "tmp").iterdir()) == []


def test_empty_values_keep_their_places_in_the_arguments(manager: Manager, tmp_path: Path):
    (manager.home / "etc" / "key").write_text(f"{KEY}, the-next-one\n")
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url, key="", options={"api_key_file": f"{manager.home}/etc/key"})
        assert manager.run(alert(1))[0] == 0
        manager.configure("", key="", debug=True)
        own = {"hook_url": service.url, "api_key_file": f"{manager.home}/etc/key"}
        (manager.home / "etc" / "propolis.json").write_text(json.dumps(own))
        assert manager.run(alert(2))[0] == 0
        assert service.ids() == ["1795304791.1", "1795304791.2"]


def test_it_presents_the_key_as_a_bearer_token_and_posts_to_the_hook_where_the_address_names_no_path(manager: Manager):
    with answering(always(202)) as (url, seen):
        manager.configure(url.removesuffix("/hooks/wazuh"))
        assert manager.run(alert(1))[0] == 0
    path, headers, body = seen[0]
    assert path == "/hooks/wazuh"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == [alert(1)]


def test_the_bytes_of_the_alert_are_handed_on_as_wazuh_wrote_them(manager: Manager):
    text = json.dumps(alert(1, full_log="caf\u00e9 \U0001f41d \\u0000"), ensure_ascii=False)
    with answering(always(202)) as (url, seen):
        manager.configure(url)
        assert manager.run(text)[0] == 0
    assert seen[0][2] == b"[" + text.encode() + b"]"


# --- the service is away -------------------------------------------------------------------------------------------


def test_while_the_service_is_away_alerts_wait_on_disk_and_go_out_in_their_order_when_it_is_back(
    manager: Manager, tmp_path: Path
):
    with propolis(tmp_path / "service") as service:
        port = service.server.port
        manager.configure(service.url)
    for number in range(3):
        assert manager.run(alert(number))[0] == 0
    assert manager.waiting() == [alert(0), alert(1), alert(2)]
    assert manager.log().count("cannot be reached") == 1, "one try; until the pause is over the others only wait"
    manager.patience_over()
    with propolis(tmp_path / "service", port=port) as service:
        assert manager.run(alert(3))[0] == 0
        assert service.ids() == [f"1795304791.{number}" for number in range(4)]
    assert manager.waiting() == []
    assert "1 alert(s) wait" in manager.log()


def test_the_timer_sends_what_waits_though_no_further_alert_comes(manager: Manager, tmp_path: Path, nowhere: str):
    manager.configure(nowhere)
    manager.run(alert(1))
    (manager.home / "etc" / "key").write_text(KEY)
    settings = {"hook_url": nowhere, "api_key_file": f"{manager.home}/etc/key"}
    (manager.home / "etc" / "propolis.json").write_text(json.dumps(settings))
    assert manager.drain()[0] == 1, "something still waits"
    manager.patience_over()
    with propolis(tmp_path / "service") as service:
        (manager.home / "etc" / "propolis.json").write_text(json.dumps({**settings, "hook_url": service.url}))
        assert manager.drain() == (0, "")
        assert service.ids() == ["1795304791.1"]
    assert manager.drain() == (0, "")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 301])
def test_no_status_but_a_good_one_takes_an_alert_off_the_disk(manager: Manager, status: int):
    with answering(always(status, Location="http://elsewhere.example/")) as (url, seen):
        manager.configure(url)
        assert manager.run(alert(1))[0] == 0
        assert len(seen) == 1, "no redirect is followed"
    assert manager.waiting() == [alert(1)]
    assert f"({status})" in manager.log()


def test_a_busy_service_is_left_alone_as_long_as_it_asks(manager: Manager):
    with answering(always(503, Retry_After="120")) as (url, seen):
        manager.configure(url)
        began = CLOCK.now()
        manager.run(alert(1))
        manager.run(alert(2))
        assert len(seen) == 1
    until = json.loads((manager.spool / ".away").read_text())["until"]
    assert 119 < until - began < 140


def test_a_pause_that_a_set_back_clock_would_make_endless_is_none(manager: Manager, tmp_path: Path, nowhere: str):
    manager.configure(nowhere)
    manager.run(alert(1))
    (manager.spool / ".away").write_text(json.dumps({"until": CLOCK.now() + 86400, "failed": 1}))
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url)
        manager.run(alert(2))
        assert len(service.ids()) == 2


def test_a_service_that_never_answers_holds_integratord_up_once_and_not_for_long(manager: Manager):
    with answering(lambda _: None) as (url, _):
        manager.configure(url, options={"timeout": 1, "budget": 2})
        began = CLOCK.monotonic()
        assert manager.run(alert(1))[0] == 0
        assert CLOCK.monotonic() - began < 4
        assert manager.run(alert(2))[0] == 0
    assert manager.waiting() == [alert(1), alert(2)]
    assert manager.log().count("\n") == 1


def test_a_run_ends_in_time_though_the_answer_trickles_in_for_ever(manager: Manager):
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 202 Accepted\r\n")
                while not stop.wait(0.2):
                    try:
                        connection.sendall(b"X-More: 1\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        manager.configure(f"http://127.0.0.1:{listener.getsockname()[1]}/", options={"timeout": 1, "budget": 1})
        assert manager.run(alert(1))[0] == 0
        stop.set()
        thread.join()
    assert manager.waiting() == [alert(1)]
    assert "no end after 2 s" in manager.log()


# --- what the service refuses --------------------------------------------------------------------------------------


def test_one_alert_that_is_refused_costs_the_others_nothing_and_is_kept_aside(
    manager: Manager, tmp_path: Path, nowhere: str
):
    manager.configure(nowhere)
    for number in range(7):
        manager.run(alert(number) if number != 4 else {"id": "odd", "rule": {"level": 9}})
    manager.patience_over()
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url)
        assert manager.run(alert(7))[0] == 0
        assert service.ids() == [f"1795304791.{number}" for number in (0, 1, 2, 3, 5, 6, 7)]
    assert manager.waiting() == []
    assert [json.loads(path.read_text())["id"] for path in (manager.spool / "refused").iterdir()] == ["odd"]
    assert "it has no rule.id" in manager.log()


def test_an_alert_that_is_not_in_json_is_told_with_the_line_to_add(manager: Manager):
    code, output = manager.run("alertdate='2026-11-21'\nruleid='5712'\n")
    assert code == 2
    assert "<alert_format>json</alert_format>" in output


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000])
def test_an_alert_that_is_none_is_no_traceback(manager: Manager, text: str):
    code, output = manager.run(text)
    assert code == 2
    assert output.count("\n") == 1


# --- disk ----------------------------------------------------------------------------------------------------------


def test_a_full_spool_is_told_loudly_and_takes_nothing_more(manager: Manager, nowhere: str):
    size = len(json.dumps(alert(1)))
    manager.configure(nowhere, options={"max_spool_bytes": size * 3})
    codes = [manager.run(alert(number))[0] for number in range(4)]
    assert codes == [0, 0, 1, 1], "the pause's file takes a little room too"
    assert manager.waiting() == [alert(0), alert(1)]
    assert manager.log().count("an alert is LOST") == 2


def test_a_full_spool_empties_when_the_service_is_back_and_the_next_alert_comes_through(
    manager: Manager, tmp_path: Path, nowhere: str
):
    manager.configure(nowhere, options={"max_spool_bytes": len(json.dumps(alert(1)))})
    manager.run(alert(1))
    manager.patience_over()
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url, options=manager.options)
        assert manager.run(alert(2))[0] == 0
        assert service.ids() == ["1795304791.1", "1795304791.2"]


def test_where_the_spool_cannot_be_written_the_alert_still_goes_out(manager: Manager, tmp_path: Path):
    (tmp_path / "a-file").write_text("")
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url, options={"spool": f"{tmp_path}/a-file/spool"})
        assert manager.run(alert(1))[0] == 0
        assert service.ids() == ["1795304791.1"]


def test_spool_and_alerts_in_it_are_for_their_owner_only(manager: Manager, nowhere: str):
    manager.configure(nowhere)
    manager.run(alert(1))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in manager.spool.iterdir()}
    assert stat.S_IMODE(manager.spool.stat().st_mode) == 0o700
    assert modes == {0o600}


# --- killed, and many at once --------------------------------------------------------------------------------------


def test_a_run_killed_while_it_waits_for_the_answer_loses_nothing(manager: Manager, tmp_path: Path):
    with answering(lambda _: None) as (url, seen):
        manager.configure(url)
        process, clean = manager.start(alert(1))
        while not seen:
            CLOCK.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        clean()
    assert manager.waiting() == [alert(1)]
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url)
        manager.run(alert(2))
        assert service.ids() == ["1795304791.1", "1795304791.2"], "the lock died with the process"


def test_what_a_killed_run_left_unfinished_is_swept_away_in_time(manager: Manager, tmp_path: Path):
    manager.spool.mkdir()
    old, young = manager.spool / ".00000000000000000001-1.json", manager.spool / ".00000000000000000002-1.json"
    for path, age in ((old, 3600), (young, 0)):
        path.write_text('{"id": "half')
        os.utime(path, (CLOCK.now() - age,) * 2)
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url)
        manager.run(alert(1))
        assert service.ids() == ["1795304791.1"]
    assert (old.exists(), young.exists()) == (False, True)


def test_ten_runs_at_once_each_bring_their_alert_in_and_none_twice_to_the_inbox(manager: Manager, tmp_path: Path):
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url)
        runs = [manager.start(alert(number)) for number in range(10)]
        for process, clean in runs:
            assert process.communicate(timeout=60)[0] == ""
            assert process.returncode == 0
            clean()
        assert sorted(service.ids()) == [f"1795304791.{number}" for number in range(10)]
    assert manager.waiting() == []


def test_ten_runs_at_once_each_keep_their_alert_while_the_service_is_away(manager: Manager, nowhere: str):
    manager.configure(nowhere)
    for process, clean in [manager.start(alert(number)) for number in range(10)]:
        process.communicate(timeout=60)
        assert process.returncode == 0
        clean()
    assert {each["id"] for each in manager.waiting()} == {f"1795304791.{number}" for number in range(10)}


def test_while_one_run_sends_another_leaves_its_alert_to_it_and_ends_at_once(manager: Manager):
    with answering(lambda _: None) as (url, seen):
        manager.configure(url, options={"budget": 30, "timeout": 30})
        first, clean = manager.start(alert(1))
        while not seen:
            CLOCK.sleep(0.01)
        assert manager.run(alert(2)) == (0, "")
        assert len(seen) == 1
        assert first.poll() is None
        first.kill()
        first.communicate()
        clean()
    assert manager.waiting() == [alert(1), alert(2)]


def test_a_backlog_of_a_thousand_goes_out_in_few_requests(manager: Manager):
    manager.spool.mkdir()
    for number in range(1000):
        (manager.spool / f"{number:020d}-1.json").write_text(json.dumps(alert(number)))
    with answering(always(202)) as (url, seen):
        manager.configure(url)
        assert manager.run(alert(1000))[0] == 0
    ids = [each["id"] for _, _, body in seen for each in json.loads(body)]
    assert ids == [f"1795304791.{number}" for number in range(1001)]
    assert len(seen) <= 5


# --- options, secrets, TLS -----------------------------------------------------------------------------------------


def test_options_leave_out_low_levels_rules_and_groups(manager: Manager, tmp_path: Path):
    with propolis(tmp_path / "service") as service:
        left_out = {"min_level": 7, "exclude_rules": ["5710"], "exclude_groups": ["syscheck"]}
        manager.configure(service.url, options=left_out)
        manager.run(alert(1, level=6))
        manager.run(alert(2, rule={"level": 9, "id": "5710", "groups": ["sshd"]}))
        manager.run(alert(3, rule={"level": 9, "id": "550", "groups": ["ossec", "syscheck"]}))
        manager.run(alert(4, level=7))
        assert service.ids() == ["1795304791.4"]


def test_a_fault_in_the_options_is_told_and_costs_no_alert(manager: Manager, tmp_path: Path):
    with propolis(tmp_path / "service") as service:
        manager.configure(service.url, options={"minlevel": 7, "timeout": "soon", "exclude_rules": [5710]})
        code, output = manager.run(alert(1))
        assert (code, service.ids()) == (0, ["1795304791.1"])
        (manager.home / "etc" / "propolis.json").write_text("{")
        assert "propolis.json is left out" in manager.run(alert(2))[1]
        assert len(service.ids()) == 2
    assert "minlevel: is no option" in output
    assert "timeout: must be a number, at least 1" in output
    assert "exclude_rules: must be a list of texts" in output


@pytest.mark.parametrize("url", ["", "propolis:8080", "ftp://x.example/", "https://user:pw@x.example/", "http://[::1"])
def test_without_a_usable_address_alerts_wait_and_integratord_is_told(manager: Manager, url: str):
    manager.configure(url)
    code, output = manager.run(alert(1))
    assert code == 2
    assert "hook_url must be such as https://" in output
    assert "pw" not in output
    assert manager.waiting() == [alert(1)]


def test_no_file_and_no_output_ever_holds_the_key(manager: Manager, nowhere: str):
    manager.configure(nowhere, debug=True)
    _, first = manager.run(alert(1))
    with answering(lambda _: (401, {}, json.dumps({"error": f"bad key {KEY}"}).encode())) as (url, _):
        manager.configure(url, debug=True)
        manager.patience_over()
        _, second = manager.run(alert(2))
    (manager.home / "etc" / "key").write_text("broken\nkey")
    manager.configure(nowhere, key="", options={"api_key_file": f"{manager.home}/etc/key"})
    manager.patience_over()
    _, third = manager.run(alert(3))
    assert "enter it again" in third
    written = [path.read_text() for path in (*manager.spool.rglob("*"), manager.home / "logs/integrations.log")
               if path.is_file()]  # fmt: skip
    assert "bad key ********" in second
    assert KEY not in "".join((first, second, third, *written))
    assert "broken" not in "".join((third, *written))


def test_the_log_has_wazuh_s_form_and_no_line_breaks_of_others(manager: Manager, nowhere: str):
    manager.configure(nowhere, options={"odd\nname": 1})
    manager.run(alert(1))
    lines = manager.log().splitlines()
    assert len(lines) == 2
    assert "odd?name" in lines[0]
    assert lines[1].split(": custom-propolis: ")[1].startswith("the service cannot be reached: ")
    assert lines[1][3] == " "
    assert lines[1][:20].count(":") == 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Path:
    """A folder with a certificate for 127.0.0.1 that nobody knows, and its key."""
    need(shutil.which("openssl"), "openssl")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
         "2", "-keyout", "key.pem", "-out", "ca.pem", "-subj", "/CN=propolis", "-addext",
         "subjectAltName=IP:127.0.0.1"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_tls_is_checked_against_the_given_ca_and_never_waived(manager: Manager, tmp_path: Path, certificate: Path):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "ca.pem", certificate / "key.pem")
    with propolis(tmp_path / "service", tls=tls) as service:
        manager.configure(service.url)
        assert manager.run(alert(1))[0] == 0
        assert "CERTIFICATE_VERIFY_FAILED" in manager.log()
        manager.patience_over()
        manager.configure(service.url, options={"ca_file": f"{tmp_path}/missing.pem"})
        assert "missing.pem cannot be used" in manager.run(alert(2))[1]
        manager.patience_over()
        manager.configure(service.url.replace("127.0.0.1", "localhost"), options={"ca_file": f"{certificate}/ca.pem"})
        assert "mismatch" in manager.run(alert(3))[1], "the certificate is for the address, not for that name"
        assert service.ids() == []
        manager.patience_over()
        manager.configure(service.url, options={"ca_file": f"{certificate}/ca.pem"})
        manager.run(alert(4))
        assert len(service.ids()) == 4


# --- the files themselves ------------------------------------------------------------------------------------------


def test_it_runs_on_the_oldest_python_that_wazuh_4_ships_and_on_nothing_but_its_library():
    tree = ast.parse((SCRIPTS / "custom-propolis.py").read_text(), feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)]


def test_without_wazuh_s_python_the_wrapper_says_where_it_belongs(tmp_path: Path):
    (tmp_path / "integrations").mkdir()
    shutil.copy(SCRIPTS / "custom-propolis", tmp_path / "integrations")
    script = tmp_path / "integrations" / "custom-propolis"
    done = subprocess.run([script, "x", "", ""], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"no Wazuh Python at {tmp_path}/framework/python/bin/python3" in done.stderr


def test_the_wrapper_can_be_executed_as_it_is_checked_out():
    assert os.access(SCRIPTS / "custom-propolis", os.X_OK)
