"""The newcomer's path, as the handbook tells it: workers in a folder, `setup`, `serve`, `doctor`, an alert, a block.

Lab and service are processes of their own. Nothing is prepared but what an operator writes: the set-up file that ships
as the example, the service's settings, a policy, two playbooks in the mode `enforce`. The firewall is a list that the
service publishes (backend `edl`), so the block is seen where a firewall would see it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from playbook_service.cli import COMMANDS, Command, main
from playbook_service.demo.calendar import moved
from playbook_service.demo.shelf import Shelf
from propolis.clock import SystemClock
from propolis.http import HttpError, session

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "playbook_service/samples"
ATTACKER, RULE = "203.0.113.99", "31168"
POLICY = "firewall:\n  own: [198.51.100.0/24]\n"
HOOK_TOKEN, FEED_TOKEN = "hook-token-of-the-newcomer", "feed-token-of-the-newcomer"
CLOCK = SystemClock()


class Newcomer:
    """An operator with an empty folder."""

    def __init__(self, folder: Path, version: int, monkeypatch: pytest.MonkeyPatch):
        self.folder = folder
        self.version = version
        self._monkeypatch = monkeypatch
        self._processes: list[subprocess.Popen[str]] = []
        self.port, self.feed_port = _free_ports(2)
        self.lab: dict[str, Any] = {}
        for name in ("setup", "doctor"):
            monkeypatch.setitem(COMMANDS, name, Command(f"playbook_service.commands.{name}", name))

    def begin(self, *words: str, said: str = "stdout") -> subprocess.Popen[str]:
        """Start a command of `propolis` that stays."""
        with (self.folder / f"{words[0]}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "playbook_service", *words], cwd=self.folder, text=True, stderr=log,
                stdout=subprocess.PIPE if said == "stdout" else log, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        self._processes.append(process)
        return process

    def start_lab(self) -> None:
        """A TheHive and a Cortex that reads this project's own folders of workers."""
        reports = self.folder / "reports.jsonl"
        reports.write_text(moved((SAMPLES / "reports.jsonl").read_text(), CLOCK.now()))
        process = self.begin(
            "lab", "--thehive", "127.0.0.1:0", "--cortex", "127.0.0.1:0", "--version", str(self.version),
            "--reports", str(reports), "--answer-delay", "0",
        )  # fmt: skip
        assert process.stdout is not None
        self.lab = json.loads(process.stdout.readline())

    def write_files(self) -> None:
        """What an operator writes."""
        (self.folder / "policy.yml").write_text(POLICY)
        (self.folder / "webhook.token").write_text(HOOK_TOKEN)
        (self.folder / "feed.token").write_text(FEED_TOKEN)
        Shelf(self.folder / "playbooks").switch("enforce", "malicious-ip", "web-attack")
        settings = {
            "listen": f"127.0.0.1:{self.port}", "data_dir": str(self.folder / "data"), "mode": "enforce",
            "thehive_url": self.lab["thehive_url"], "cortex_url": self.lab["cortex_url"],
            "cortex_key": self.lab["cortex_key"], "policy": str(self.folder / "policy.yml"),
            "playbooks": str(self.folder / "playbooks"), "feed_listen": f"127.0.0.1:{self.feed_port}",
            "feed_token": FEED_TOKEN,
        }  # fmt: skip
        (self.folder / "propolis.yml").write_text(yaml.safe_dump(settings))
        environment = {
            "PROPOLIS_CONFIG": self.folder / "propolis.yml", "PROPOLIS_THEHIVE_KEY_FILE": self.folder / "thehive.key",
            "PROPOLIS_WEBHOOK_TOKEN_FILE": self.folder / "webhook.token",
            "THEHIVE_ADMIN_KEY": self.lab["thehive"]["keys"]["admin"],
            "THEHIVE_ORG_ADMIN_KEY": self.lab["thehive"]["keys"]["orgadmin"],
            "CORTEX_ORG_ADMIN_KEY": self.lab["cortex"]["keys"]["orgadmin"],
        }  # fmt: skip
        for name, value in environment.items():
            self._monkeypatch.setenv(name, str(value))
        (self.folder / "setup.yml").write_text(self._setup())

    def _setup(self) -> str:
        """The example that ships, with this place's addresses and firewall; the lab's AbuseIPDB wants no key."""
        text = (ROOT / "deploy/setup.example.yml").read_text()
        for example, ours in {
            "https://thehive.example.org:9000": self.lab["thehive_url"],
            "http://cortex.example.org:9001": self.lab["cortex_url"],
            "https://propolis.example.org:8080": self.url,
            "/etc/propolis": str(self.folder),
        }.items():
            assert example in text
            text = text.replace(example, ours)
        wish = yaml.safe_load(text)
        for entry in wish["cortex"]["workers"]:
            if "FirewallBlock" in entry["enable"]:
                entry["configuration"] |= {
                    "backend": "edl", "edl_url": self.url, "edl_token": {"file": "feed.token"}, "dry_run": False
                }  # fmt: skip
            if "AbuseIPDB_2_0" in entry["enable"]:
                del entry["configuration"]
        return str(yaml.safe_dump(wish, sort_keys=False))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def do_the_steps(self) -> None:
        """What `setup` left to a person in TheHive 5: endpoint and notification."""
        with session(self.lab["thehive_url"]) as client:
            auth = {"type": "bearer", "key": HOOK_TOKEN}
            client.put("/lab/webhook", json={"url": f"{self.url}/hooks/thehive", "version": 1, "auth": auth})

    def start_service(self) -> None:
        self.begin("serve", said="log")
        log = self.folder / "serve.log"
        until(lambda: "the engine works as propolis@example.org" in log.read_text(), "the service to come up")

    def alert(self) -> None:
        """An attack, as Wazuh would send it."""
        lines = moved((SAMPLES / "alerts.jsonl").read_text(), CLOCK.now()).splitlines()
        found = [one for one in map(json.loads, lines) if one["rule"]["id"] == RULE]
        with session(self.url, headers={"Authorization": f"Bearer {HOOK_TOKEN}"}) as client:
            client.post("/hooks/wazuh", json=found[0], accept={202})

    def blocked(self) -> list[str]:
        """The list, as a firewall fetches it."""
        with session(f"http://127.0.0.1:{self.feed_port}") as client:
            try:
                text = client.get("/feeds/blocklist.txt").text
            except HttpError:
                return []
        return [line.split()[0] for line in text.splitlines() if line and not line.startswith("#")]

    def end(self) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
            if process.stdout is not None:
                process.stdout.close()


def until(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait for a condition."""
    end = CLOCK.monotonic() + seconds
    while not holds():
        assert CLOCK.monotonic() < end, f"in vain: {what}"
        CLOCK.sleep(0.1)


def leases(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What `propolis leases` lists."""
    capsys.readouterr()
    assert main(["leases", "--format", "json"]) == 0
    return list(json.loads(capsys.readouterr().out)["leases"])


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(params=[4, 5], ids=["thehive4", "thehive5"])
def newcomer(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Newcomer]:
    made = Newcomer(tmp_path, request.param, monkeypatch)
    try:
        yield made
    finally:
        made.end()


def test_from_an_empty_folder_to_a_blocked_attacker(newcomer: Newcomer, capsys: pytest.CaptureFixture[str]):
    newcomer.start_lab()
    newcomer.write_files()
    file = str(newcomer.folder / "setup.yml")
    assert main(["setup", "--check", file]) == 1
    assert main(["setup", file]) == 0
    assert main(["setup", "--check", file]) == 0
    if newcomer.version == 5:
        newcomer.do_the_steps()

    assert main(["doctor"]) == 1, "nobody has started the service yet"
    newcomer.start_service()
    code = main(["doctor", "--run"])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "DRY RUN: would contain 192.0.2.1" in told
    assert newcomer.blocked() == []

    newcomer.alert()
    until(lambda: newcomer.blocked() == [ATTACKER], "the attacker on the block list")
    until(lambda: [(one["target"], one["state"]) for one in leases(capsys)] == [(ATTACKER, "active")], "its lease")

    assert main(["doctor", "--format", "json"]) == 0
    found = {(one["part"], one["name"]): one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert found["Wazuh", "alerts received"]["state"] == "ok"
    assert found["Way of an alert", "cases"]["text"] == "1 cased"
    assert found["Keeping", "leases"]["text"] == "1 in force, none past its end"
    assert found["Way of an alert", "webhook"]["state"] == "ok"
