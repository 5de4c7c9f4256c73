"""A whole SOC for the doctor to look at: lab, service, settings, everything in order; tests break one thing each."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from playbook_service.cli import COMMANDS, Command, main
from playbook_service.lab import Lab
from playbook_service.lab.product import DIRECTORY, ENDPOINTS, FIREWALL, Product
from playbook_service.service import Service
from playbook_service.settings import load
from propolis.clock import Clock, SystemClock
from propolis.http import session

ROOT = Path(__file__).resolve().parents[3]
POLICY = "firewall:\n  own: [198.51.100.0/24]\n"
TOKEN = "the-webhook-token-of-this-test"
ALERT = {
    "id": "1700000000.1", "timestamp": "2026-01-01T00:00:00.000+0000", "manager": {"name": "m1"},
    "agent": {"id": "001", "name": "web01"}, "decoder": {"name": "sshd"}, "location": "journald",
    "rule": {"id": "5763", "level": 10, "description": "sshd: brute force", "groups": ["authentication_failures"]},
    "data": {"srcip": "203.0.113.45", "srcuser": "root"},
}  # fmt: skip
PRODUCTS = {
    "FirewallBlock": (FIREWALL, "FirewallUnblock"), "AccountDisable": (DIRECTORY, "AccountEnable"),
    "IsolateHost": (ENDPOINTS, "ReleaseHost"),
}  # fmt: skip


def send(ward: Ward, alert: dict[str, Any]) -> None:
    """As Wazuh does."""
    with session(f"http://{ward.settings['listen']}", headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        client.post("/hooks/wazuh", json=alert, accept={202})


class Ward:
    """Made in order: lab with products, `propolis setup`, settings. `open()` starts the service."""

    def __init__(self, folder: Path, version: int, monkeypatch: pytest.MonkeyPatch):
        self.folder = folder
        self.clock: Clock = SystemClock()
        self._monkeypatch = monkeypatch
        for name in ("setup", "doctor"):
            monkeypatch.setitem(COMMANDS, name, Command(f"playbook_service.commands.{name}", name))
        workers = folder / "workers"
        shutil.copytree(ROOT / "playbook_service/lab/workers", workers, ignore=shutil.ignore_patterns("__pycache__"))
        self.lab = Lab(
            version, analyzers=[ROOT / "analyzers"], responders=[workers],
            reports=[ROOT / "playbook_service/samples/reports.jsonl"], environment={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.service: Service | None = None
        self.settings: dict[str, Any] = {}

    def open(self) -> Ward:
        """Lab, set-up, service; returns when the engine works."""
        logging.getLogger("propolis").addHandler(logging.NullHandler())
        self.lab.start()
        (self.folder / "policy.yml").write_text(POLICY)
        (self.folder / "webhook.token").write_text(TOKEN)
        self.settings |= {
            "listen": "127.0.0.1:0", "data_dir": str(self.folder / "data"), "mode": "enforce",
            "policy": str(self.folder / "policy.yml"), "webhook_token": TOKEN, "thehive_url": self.lab.thehive_url,
            "cortex_url": self.lab.cortex_url, "cortex_key": self.lab.keys.cortex_service, "reconcile": "1h",
        }  # fmt: skip
        self.start_service(wait=False)
        assert self.setup() == 0
        self.settings["thehive_key"] = (self.folder / "thehive.key").read_text().strip()
        self.stop_service()
        self.start_service()
        if self.lab.version == 5:  # what setup leaves to a person
            self.lab.notify(self.hook, dialect=1, auth={"type": "bearer", "key": TOKEN}, name="propolis")
        return self

    @property
    def hook(self) -> str:
        """The service's address for TheHive."""
        return f"http://{self.settings['listen']}/hooks/thehive"

    def start_service(self, *, wait: bool = True) -> None:
        """Start the service; it keeps its port from then on."""
        service = Service(load({}, self.write()), self.clock)
        service.start()
        self.settings["listen"] = f"127.0.0.1:{service.port}"
        self.write()
        self.service = service
        self.until(lambda: not wait or service.engine is not None, "the engine starts")

    def stop_service(self) -> None:
        if self.service is not None:
            self.service.stop()
            self.service = None

    def close(self) -> None:
        self.stop_service()
        self.lab.stop()

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Wait for a condition."""
        end = self.clock.monotonic() + seconds
        while not holds():
            assert self.clock.monotonic() < end, f"in vain: {what}"
            self.clock.sleep(0.05)

    def write(self) -> Path:
        """The settings file, as `settings` says."""
        path = self.folder / "propolis.yml"
        path.write_text(yaml.safe_dump(self.settings))
        return path

    def setup(self) -> int:
        """`propolis setup` with a file that fits."""
        for name, value in (
            ("ADMIN_KEY", self.lab.keys.admin), ("ORG_KEY", self.lab.keys.orgadmin),
            ("CORTEX_KEY", self.lab.keys.cortex_admin),
        ):  # fmt: skip
            self._monkeypatch.setenv(name, value)
        path = self.folder / "setup.yml"
        path.write_text(yaml.safe_dump(self._wish(), sort_keys=False))
        return main(["setup", str(path)])

    def _wish(self) -> dict[str, Any]:
        workers: list[dict[str, Any]] = [{"enable": ["WazuhAlert"]}, {"enable": ["ConsensusScore"]}]
        for name, (kind, undo) in PRODUCTS.items():
            state = Product(self.folder / f"{name}.json", kind, self.clock).create(())
            items = {
                "backend": "lab",
                "state_file": str(state.path),
                "policy": {"file": "policy.yml"},
                "dry_run": False,
            }
            workers.append({"enable": [name, undo], "configuration": items})
        return {
            "thehive": {
                "url": self.lab.thehive_url, "organisation": "soc-main", "admin_key": {"env": "ADMIN_KEY"},
                "org_admin_key": {"env": "ORG_KEY"},
                "account": {"login": "propolis@soc.example", "profile": "propolis", "key_file": "thehive.key"},
                "webhook": {"url": self.hook, "token": {"file": "webhook.token"}},
            },
            "cortex": {"url": self.lab.cortex_url, "org_admin_key": {"env": "CORTEX_KEY"}, "workers": workers},
        }  # fmt: skip

    def doctor(self, *options: str) -> int:
        """`propolis doctor` as an operator calls it."""
        return main(["doctor", "--config", str(self.write()), *options])

    def look(self, capsys: pytest.CaptureFixture[str], *options: str) -> Look:
        """The doctor's JSON."""
        capsys.readouterr()
        code = self.doctor("--format", "json", *options)
        return Look(code, json.loads(capsys.readouterr().out))


class Look:
    """What the doctor said."""

    def __init__(self, code: int, document: Mapping[str, Any]):
        self.code = code
        self.document = document

    def __getitem__(self, place: str) -> dict[str, str]:
        """`TheHive: permissions`."""
        part, _, name = place.partition(": ")
        (found,) = [one for one in self.document["findings"] if (one["part"], one["name"]) == (part, name)]
        return dict(found)

    def states(self, *states: str) -> list[str]:
        """`part: name` of every finding in one of these states."""
        return [f"{one['part']}: {one['name']}" for one in self.document["findings"] if one["state"] in states]
