"""Which lines go out, what becomes of the others, and what the service's answers do to them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from follow_lab import Alerts, Follow, Steps, line, lines
from intake_lab import Propolis, alert, propolis

from playbook_service.follow.checkpoint import StateFolder
from playbook_service.follow.sieve import Sieve, ranges, words
from propolis.clock import ManualClock
from propolis.errors import ConfigurationError


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Propolis]:
    with propolis(tmp_path / "service") as made:
        yield made


@pytest.fixture
def wazuh(tmp_path: Path) -> Alerts:
    return Alerts(tmp_path)


def numbers(service: Propolis) -> list[int]:
    return [int(one.partition(".")[2]) for one in service.ids()]


@contextmanager
def scripted(answer: Callable[[list[Any]], tuple[int, dict[str, str]]]) -> Iterator[tuple[str, list[list[Any]]]]:
    """A server that answers each batch as the function says; `[]`, the greeting, gets the service's own 400."""
    batches: list[list[Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers = answer(batch) if batch else (400, {})
            batches.extend([batch] * bool(batch))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", batches
        server.shutdown()
        thread.join()


# --- the sieve -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sieve", "wanted"), [
    (Sieve(), [1, 2, 3, 4]),
    (Sieve(level=7), [2, 4]),
    (Sieve(groups=words(["suricata, web"])), [3]),
    (Sieve(level=10, groups=words(["suricata"])), [3, 4]),
    (Sieve(rules=ranges(["5710,5712-5719"], "--rule")), [1, 4]),
    (Sieve(without_rules=ranges(["5710"], "--exclude-rule")), [2, 3, 4]),
    (Sieve(level=3, without_groups=words(["syscheck", "suricata"])), [1, 4]),
    (Sieve(level=12, rules=ranges(["5710"], "--rule"), without_rules=ranges(["5000-5999"], "--exclude-rule")), []),
])  # fmt: skip
def test_level_rule_and_group_each_let_an_alert_through_and_an_exclusion_wins(
    service: Propolis, wazuh: Alerts, tmp_path: Path, sieve: Sieve, wanted: list[int]
):
    wazuh.write(line(1, rule={"level": 5, "id": "5710", "groups": ["sshd"]}))
    wazuh.write(line(2, rule={"level": 7, "id": "550", "groups": ["ossec", "syscheck"]}))
    wazuh.write(line(3, rule={"level": 3, "id": "86601", "groups": ["ids", "suricata"]}))
    wazuh.write(line(4, rule={"level": 10, "id": "5712", "groups": ["sshd"]}))
    counts = Follow(wazuh.file, service, tmp_path, sieve).once(from_start=True)
    assert numbers(service) == wanted
    assert (counts.sent, counts.filtered) == (len(wanted), 4 - len(wanted))


@pytest.mark.parametrize("odd", ["x", "5710-", "-5", "20-10", "5710 5711", ""])
def test_what_is_no_rule_is_refused_in_a_sentence(odd: str):
    with pytest.raises(ConfigurationError, match=r"--rule: .* is no rule; write 5710, or 100100-100199\."):
        ranges([odd], "--rule")


def test_filtered_lines_move_the_checkpoint_too(service: Propolis, wazuh: Alerts, tmp_path: Path):
    follow = Follow(wazuh.file, service, tmp_path, Sieve(level=16))
    wazuh.write(lines(range(100)))
    assert follow.once(from_start=True).filtered == 100
    assert follow.once().filtered == 0


# --- what cannot be sent -------------------------------------------------------------------------------------------


BAD = {
    b"not json at all": "is not JSON",
    b'{"rule": {"id": "5710"': "is not JSON",
    b"\x00\x00\x00\x00": "is not JSON",
    b'{"rule": {"id": "5710"}, "caf\xe9": 1}': "is not UTF-8",
    b'{"rule": {"id": "5710"}, "data": NaN}': "NaN is not JSON",
    b'{"rule": {"id": "5710"}, "data": 1e999}': "larger than any number",
    b"[1, 2]": "no rule.id",
    b'{"rule": {"level": 3}}': "no rule.id",
    b"[" * 100_000: "nested too deeply",
    b'{"rule": {"id": "5710"}, "full_log": "' + b"x" * 300_000 + b'"}': "has 300,041 bytes; at most 262,144",
}


def test_what_is_no_alert_is_set_aside_with_its_reason_and_the_others_go_out(
    service: Propolis, wazuh: Alerts, tmp_path: Path
):
    for number, bad in enumerate(BAD):
        wazuh.write(line(number) + bad + b"\n")
    wazuh.write(b"\n  \r\n" + line(len(BAD)))
    follow = Follow(wazuh.file, service, tmp_path)
    counts = follow.once(from_start=True)
    assert (counts.sent, counts.set_aside) == (len(BAD) + 1, len(BAD))
    assert numbers(service) == list(range(len(BAD) + 1))
    data = wazuh.file.read_bytes()
    for (bad, reason), outcast in zip(BAD.items(), follow.outcasts(), strict=True):
        assert reason in outcast["reason"]
        assert data[outcast["offset"] :].startswith(bad)
        assert outcast["bytes"] == len(bad) + 1
        assert outcast["line"][:20] == bad.decode("utf-8", "backslashreplace")[:20]
        assert outcast["file"] == str(wazuh.file)
    assert follow.once() == (type(counts))()


def test_an_endless_line_takes_no_memory_and_the_line_after_it_arrives(
    service: Propolis, wazuh: Alerts, tmp_path: Path
):
    wazuh.write(b"x" * 20_000_000 + b"\n" + line(1))
    follow = Follow(wazuh.file, service, tmp_path)
    assert follow.once(from_start=True).set_aside == 1
    assert follow.outcasts()[0]["bytes"] == 20_000_001
    assert (follow.state.folder / "set-aside.jsonl").stat().st_size < 70_000
    assert numbers(service) == [1]
    assert follow.once().lines == 0, "the place after an overlong line is found again"


def test_a_line_that_the_service_refuses_is_found_among_five_hundred(wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(600)))

    def judge(batch: list[Any]) -> tuple[int, dict[str, str]]:
        return (400 if any(each["id"].endswith(".77") for each in batch) else 202), {}

    with scripted(judge) as (url, batches):
        follow = Follow(wazuh.file, url, tmp_path)
        counts = follow.once(from_start=True)
    assert (counts.sent, counts.set_aside) == (599, 1)
    assert json.loads(follow.outcasts()[0]["line"])["id"] == "1795304791.77"
    assert "the service refused it" in follow.outcasts()[0]["reason"]
    assert len(batches) < 25


def test_requests_stay_within_what_the_service_takes(wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(3000)) + b"".join(line(number, full_log="x" * 60_000) for number in range(3000, 3040)))
    with scripted(lambda _: (202, {})) as (url, batches):
        assert Follow(wazuh.file, url, tmp_path).once(from_start=True).sent == 3040
    assert max(len(batch) for batch in batches) <= 500
    assert max(len(json.dumps(batch, separators=(",", ":"))) for batch in batches) <= 512 * 1024
    assert len(batches) < 25


def test_the_file_of_lines_set_aside_is_bounded(service: Propolis, wazuh: Alerts, tmp_path: Path):
    from playbook_service.follow.aside import Outcast, SetAside
    from playbook_service.follow.tape import Line

    aside = SetAside(tmp_path, ManualClock(), largest=1000)
    for number in range(50):
        aside.add([Outcast("alerts.json", Line(number, b"x" * 100, 100), "no JSON")])
    assert sorted(path.name for path in tmp_path.glob("set-aside*")) == ["set-aside.jsonl", "set-aside.jsonl.1"]
    assert sum(path.stat().st_size for path in tmp_path.glob("set-aside*")) < 3000


# --- back-pressure -------------------------------------------------------------------------------------------------


def test_a_full_inbox_makes_it_wait_and_nothing_is_dropped(wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(2000)))
    with propolis(tmp_path / "service", backlog_limit=600) as service:
        follow = Follow(wazuh.file, service, tmp_path)
        clock = Steps(*[lambda: None] * 300)
        follow._run(clock, lambda: not clock.steps, True, True, 262_144)
        taken = len(service.ids())
        assert 600 <= taken < 2000
        assert "events wait already" in follow.waits[0]
        port = service.server.port
    with propolis(tmp_path / "service", port=port) as service:
        assert follow.once().sent == 2000 - taken
        assert numbers(service) == list(range(2000))


def test_retry_after_is_obeyed_to_the_second(wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(3)))
    answers = iter([(503, {"Retry-After": "17"}), (429, {"Retry-After": "120"}), (202, {})])
    clock = ManualClock()
    with scripted(lambda _: next(answers)) as (url, batches):
        follow = Follow(wazuh.file, url, tmp_path)
        assert follow.once(from_start=True, clock=clock).sent == 3
    assert len(batches) == 3
    assert 137 <= clock.monotonic() < 138
    assert [bool(why) for why in follow.waits] == [True, True, False], "that it goes on is told as well"


@pytest.mark.parametrize("status", [500, 502, 504, 401, 404])
def test_once_a_line_was_taken_no_status_makes_it_give_up(wazuh: Alerts, tmp_path: Path, status: int):
    answers = iter([202, status, status, status, 202])
    wazuh.write(line(0))
    with scripted(lambda _: (next(answers), {})) as (url, batches):
        follow = Follow(wazuh.file, url, tmp_path)
        follow._run(clock := Steps(lambda: wazuh.write(line(1))), clock.over, True, False, 262_144)
    assert [each["id"] for batch in batches for each in batch] == ["1795304791.0"] + ["1795304791.1"] * 4
    assert clock.monotonic() > 1 + 2 + 4, "it waits longer each time"


def test_a_service_that_is_away_is_waited_for(wazuh: Alerts, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    wazuh.write(lines(range(3)))
    follow = Follow(wazuh.file, f"http://127.0.0.1:{port}", tmp_path)
    steps: list[Callable[[], Any]] = [lambda: None] * 30
    clock = Steps(*steps)
    follow._run(clock, lambda: not clock.steps, True, True, 262_144)
    assert "the connection was refused" in follow.waits[0]
    with propolis(tmp_path / "service", port=port) as service:
        follow.once()
        assert numbers(service) == [0, 1, 2]


# --- the state folder ----------------------------------------------------------------------------------------------


def test_a_damaged_checkpoint_is_no_reason_to_begin_anywhere(service: Propolis, wazuh: Alerts, tmp_path: Path):
    follow = Follow(wazuh.file, service, tmp_path)
    wazuh.write(line(0))
    follow.once(from_start=True)
    path = follow.state.folder / "checkpoint.json"
    for text in ("", "{", "[]", "{}", path.read_text().replace('"start": 0', '"start": "x"'), "null"):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=r"checkpoint\.json: is no checkpoint: restore it, or remove it"):
            follow.once()


def test_a_checkpoint_of_another_file_is_not_used(service: Propolis, wazuh: Alerts, tmp_path: Path):
    follow = Follow(wazuh.file, service, tmp_path)
    follow.once()
    follow.file = tmp_path / "other.json"
    follow.state = StateFolder(follow.state.folder, follow.file)
    with pytest.raises(ConfigurationError, match=r"alerts\.json: give each file that is followed its own --state"):
        follow.once()


def test_two_processes_never_share_a_state_folder(tmp_path: Path):
    state = StateFolder(tmp_path / "state", tmp_path / "alerts.json")
    with state.held(), pytest.raises(ConfigurationError, match="another `propolis follow` works with this folder"):
        state.held().__enter__()
    with state.held():
        pass


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used: Not a directory"):
        StateFolder(tmp_path / "file" / "state", tmp_path / "alerts.json").held().__enter__()


def test_what_was_read_is_sent_byte_by_byte_as_it_stands(wazuh: Alerts, tmp_path: Path):
    text = json.dumps(alert(1, full_log="caf\u00e9 \u2028 \U0001f41d"), ensure_ascii=False, indent=None)
    wazuh.write(text.encode() + b"\r\n")
    with scripted(lambda _: (202, {})) as (url, batches):
        Follow(wazuh.file, url, tmp_path).once(from_start=True)
    assert batches[0][0]["full_log"] == "caf\u00e9 \u2028 \U0001f41d"
