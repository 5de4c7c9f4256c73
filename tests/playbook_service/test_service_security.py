"""Attackers at the hooks, at the question, and in the alerts themselves: against the running service.

Floods go to a service in a process of its own, so that its memory can be read from outside; it has no TheHive, as
intake must hold without one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from scenario_soc import REAL, ROOT, TOKEN, Soc, everything_written

ALERT = {"id": "1767261599.482913", "rule": {"id": "5710", "level": 5}, "manager": {"name": "wazuh-1"}}
MIB = 1024


# floods ------------------------------------------------------------------------------------------------------------


class Process:
    """`propolis serve` in a process of its own."""

    def __init__(self, folder: Path, **settings: str):
        self.folder = folder
        self.log = folder / "service.log"
        names = {
            "listen": "127.0.0.1:0", "data_dir": str(folder / "data"), "webhook_token": TOKEN,
            "thehive_url": "http://127.0.0.1:9", "thehive_key": "k", **settings,
        }  # fmt: skip
        environment = {**os.environ, **{f"PROPOLIS_{name.upper()}": value for name, value in names.items()}}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "playbook_service", "serve"], cwd=ROOT, env=environment, stderr=log, stdout=log
            )
        self.port = self._port()

    def _port(self) -> int:
        end = REAL.monotonic() + 20
        while REAL.monotonic() < end and self.process.poll() is None:
            found = re.search(r"listens on 127\.0\.0\.1:(\d+)", self.log.read_text(encoding="utf-8"))
            if found:
                return int(found[1])
            REAL.sleep(0.05)
        self.stop()
        raise AssertionError(f"the service did not start: {self.log.read_text(encoding='utf-8')}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)

    @property
    def memory(self) -> int:
        """KiB that it holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def raw(self, *pieces: bytes) -> bytes:
        """Send bytes, give the answer's head; empty where the connection was just closed."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):
                for piece in pieces:
                    connection.sendall(piece)
            with contextlib.suppress(OSError):
                return connection.recv(4096)
        return b""

    def post(self, body: bytes, path: str = "/hooks/wazuh", **headers: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        names = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        names |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, names)
        status = connection.getresponse().status
        connection.close()
        return status

    def works(self) -> bool:
        """Whether somebody honest is still served."""
        return self.post(json.dumps(ALERT).encode()) == 202


@pytest.fixture(scope="module")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("intake"), backlog_limit="500")
    yield process
    process.stop()


def head(*lines: str) -> bytes:
    return "\r\n".join(("POST /hooks/wazuh HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *lines)).encode()


def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(intake: Process):
    before = intake.memory
    start = head("Content-Type: application/json", f"Content-Length: {1 << 30}", "", "")
    answer = intake.raw(start, *[b"x" * (1 << 20)] * 64)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
    assert intake.raw(start).startswith(b"HTTP/1.1 413"), "it says so to whoever listens"
    assert intake.memory - before < 20 * MIB
    assert intake.works()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 500_000, 400),
        (b'{"a":' * 150_000 + b"1" + b"}" * 150_000, 400),
        (b"[" + b"9" * 900_000 + b"]", 400),
        (b'{"rule": {"id": "1"}, "id": NaN}', 400),
        (b"[" + b",".join([b"{}"] * 200_000) + b"]", 400),
        (b'{"rule": {"id": "1", "level": 1e999}}', 400),
        (b"\xff\xfe{\x00", 400),
        (b"", 400),
    ],
    ids=["deep-list", "deep-object", "long-number", "nan", "many-events", "infinity", "utf16", "empty"],
)
def test_json_bombs_are_refused(intake: Process, body: bytes, status: int):
    before = intake.memory
    assert intake.post(body) == status
    assert intake.memory - before < 60 * MIB
    assert intake.works()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_is_not_said_to_be_json_is_not_taken(intake: Process, kind: str):
    assert intake.post(json.dumps(ALERT).encode(), Content_Type=kind) == 415


def test_a_body_without_a_length_is_not_waited_for(intake: Process):
    start = head("Content-Type: application/json", "Transfer-Encoding: chunked", "", "")
    assert intake.raw(start, b"ffffffff\r\n").startswith(b"HTTP/1.1 411")
    both = head("Content-Type: application/json", "Transfer-Encoding: chunked", "Content-Length: 2", "", "{}")
    answer = intake.raw(both, b"POST /hooks/wazuh HTTP/1.1\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows a doubtful body is not read as a request"


def test_header_floods_end_in_a_refusal(intake: Process):
    before = intake.memory
    many = head(*[f"X-{number}: y" for number in range(200)], "", "")
    assert intake.raw(many).startswith(b"HTTP/1.1 431")
    long = head("X-Long: " + "y" * 70_000, "", "")
    assert intake.raw(long).startswith(b"HTTP/1.1 431")
    assert intake.raw(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 414")
    with intake.connect() as connection, contextlib.suppress(OSError):
        for _ in range(1000):  # a line that never ends
            connection.sendall(b"y" * 65_536)
    assert intake.memory - before < 20 * MIB
    assert intake.works()


def test_slow_clients_take_up_places_for_a_bounded_time_and_nobodys_memory(tmp_path: Path):
    """Slow-loris: 128 connections that never finish. More are turned away with a status that says to come again, and
    the places are free again when the time of a request is over."""
    process = Process(tmp_path)
    before = process.memory
    slow: list[socket.socket] = []
    try:
        for _ in range(128):
            connection = process.connect()
            connection.sendall(b"POST /hooks/wazuh HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            slow.append(connection)
        refused = _eventually(lambda: process.raw(b"GET /healthz HTTP/1.1\r\n\r\n"), b"HTTP/1.1 503", 5)
        assert b"Retry-After" in refused
        for _ in range(4):  # a byte now and then gives nobody more time
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.sendall(b"y")
            REAL.sleep(1.0)
        _eventually(lambda: process.raw(b"GET /healthz HTTP/1.1\r\n\r\n"), b"HTTP/1.1 200", 40)
        assert process.works()
        assert process.memory - before < 40 * MIB
    finally:
        for connection in slow:
            connection.close()
        process.stop()


def _eventually(ask: Any, beginning: bytes, seconds: float) -> bytes:
    end = REAL.monotonic() + seconds
    while not (answer := ask()).startswith(beginning):
        assert REAL.monotonic() < end, answer
        REAL.sleep(0.1)
    return answer


def test_a_full_inbox_refuses_with_a_status_that_makes_the_sender_come_again(intake: Process):
    """Last in this file to use this process: its backlog stays full."""
    before = intake.memory
    statuses = []
    for batch in range(12):
        alerts = [{**ALERT, "id": f"1767261600.{batch}{number:03}", "full_log": "x" * 2000} for number in range(100)]
        statuses.append(intake.post(json.dumps(alerts).encode()))
    assert statuses[:4] == [202] * 4
    assert statuses[-1] == 503
    one = json.dumps({**ALERT, "id": "9"})
    answer = intake.raw(head("Content-Type: application/json", f"Content-Length: {len(one)}", "", one))
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After" in answer
    assert intake.memory - before < 40 * MIB


# guardrails, modes and secrets ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def soc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soc]:
    with Soc(tmp_path_factory.mktemp("soc"), 5) as house:
        yield house


PROTECTED = ["192.0.2.77", "198.51.100.53", "127.0.0.1", "10.0.0.5", "169.254.169.254", "8.8.8.8", "::1", "224.0.0.1"]


def test_what_is_protected_is_contained_by_nobody(soc: Soc):
    """By the service, by an analyst from TheHive's menu, by hooks that claim it: nobody."""
    address = soc.alert("block")  # an ordinary one, to see that the service acts at all
    targets = [soc.alert("block", srcip=protected) for protected in PROTECTED]
    admin = soc.alert("account", dstuser="administrator")
    lease = soc.until(lambda: soc.lease(address), "the ordinary address is blocked")
    analyst = soc.client(soc.lab.keys.analyst)
    for target in targets:
        _start_by_hand(analyst, lease.ref, target)
    analyst.close()
    soc.lab.settle(30, future=False)
    soc.idle(2.0)
    assert set(soc.firewall.contained()) == {address}
    assert soc.directory.contained() == {}
    assert soc.about("lease", admin) == []
    refused = [job for job in soc.lab.cortex.jobs.all() if job.worker.definition.name == "FirewallBlock"]
    assert sum(job.status == "Failure" for job in refused) >= len(targets), "the responder itself refuses"


def _start_by_hand(analyst: Any, case: str, target: str) -> None:
    answer = analyst.post(f"/api/v1/case/{case}/observable", json={"dataType": "ip", "data": target})
    made = answer.json()
    observable = (made[0] if isinstance(made, list) else made)["_id"]
    body = {"responderId": "FirewallBlock_1_0", "objectType": "case_artifact", "objectId": observable}
    analyst.post("/api/connector/cortex/action", json=body)


@pytest.mark.parametrize("mode", ["observe", "approve"])
def test_the_mode_is_a_ceiling(tmp_path: Path, mode: str):
    with Soc(tmp_path, 5, mode=mode) as soc:
        address, user = soc.alert("block"), soc.alert("account")
        soc.until(lambda: len(soc.records("decision")) >= 2, "both are decided")
        if mode == "approve":
            assert soc.question(address).body["grant"]["target"] == address
        soc.idle()
        assert (soc.started("FirewallBlock", address), soc.started("AccountDisable", user)) == (0, 0)
        assert soc.records("lease") == []
        said = {line["target"]: (line["wanted"], line["result"]) for line in soc.audited("decision")}
        assert said[address] == ("act", "observe" if mode == "observe" else "ask")


def test_no_secret_is_in_anything_the_service_wrote(tmp_path: Path):
    """Hooks with wrong and right tokens, a TheHive that quotes the key back in its errors, everything logged."""
    with Soc(tmp_path, 4) as soc:
        soc.lab.faults.thehive.only, soc.lab.faults.thehive.fail = "action|query", 6
        address, user = soc.alert("block"), soc.alert("account")
        soc.post("/hooks/wazuh", b"{}", Authorization=f"Bearer x{TOKEN}")
        soc.post(f"/hooks/{TOKEN}", b"{}")
        soc.set_task(soc.question(user).body["tasks"][0], "Completed")
        soc.until(lambda: soc.lease(address) and soc.lease(user), "both are contained")
        key = soc.lab.keys.service
        with soc.lab.hive.transaction():
            entities = [
                one
                for kind in ("Task", "Case", "Alert", "Observable", "Action", "Comment")
                for one in soc.lab.hive.store.all(kind)
            ]
            told = json.dumps([dict(one.fields) for one in entities], default=str)
    written = everything_written(tmp_path)
    assert address.encode() in written
    for secret in (TOKEN, key):
        assert secret not in told
        assert secret.encode() not in written
