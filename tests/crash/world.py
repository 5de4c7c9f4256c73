"""The surroundings of the service in a crash test: the lab, the alerts that are sent, an analyst, and the list of what
responders really did. All of it lives in the harness and survives every kill.
"""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import requests

from playbook_service.demo.prepare import fill_catalogues
from playbook_service.lab.lab import Lab
from propolis.clock import SystemClock
from propolis.http import HttpError, session

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SAMPLES = ROOT / "playbook_service" / "samples"
LEASE_SECONDS = 2.0
KINDS = ("block", "ask")
NOISE = "noise"
"""An alert that no playbook wants a case for."""
CLOCK = SystemClock()


class Life(Protocol):
    """What can die."""

    node: int
    """Which of the world's nodes it is a life of."""

    @property
    def ended(self) -> bool:
        """Whether it did."""


class Deed(NamedTuple):
    """One start of a responder, as it noted it itself."""

    action: str
    worker: str
    lease: str
    target: str


class Sent(NamedTuple):
    """An alert that the service acknowledged. `kind` is `block`, `ask` or `noise`."""

    id: str
    kind: str
    target: str


class World:
    """Use as a context manager. `ports` are where the service's nodes are to listen, one each; `store` is the URL of
    the store that they share, empty for the SQLite of one node."""

    def __init__(self, folder: Path, version: int, seed: int, *, store: str = "", nodes: int = 1):
        self.folder = folder
        self.version = version
        self.chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.log = folder / "deeds.jsonl"
        self.store = store
        self.ports = [_free_port() for _ in range(nodes)]
        self.sent: list[Sent] = []
        self._number = 0
        self._answered: set[str] = set()
        self._templates = _templates()
        self.lab = Lab(
            version,
            responders=[HERE / "workers"],
            reports=[SAMPLES / "reports.jsonl"],
            refresh=0.2,
            environment={"CRASH_LOG": str(self.log), "CRASH_LEASE_SECONDS": str(LEASE_SECONDS)},
        )

    def __enter__(self) -> World:
        self.lab.start()
        left = self.lab.enable_all()
        assert not left, left
        self._set_up()
        for node in range(len(self.ports)):  # each hears everything: what the store has once is handled once
            self.lab.notify(f"{self._url(node)}/hooks/thehive", name=f"playbook-{node}")
        self._approver = session(
            self.lab.thehive_url, headers={"Authorization": f"Bearer {self.lab.keys.approver}"}, retries=0
        )
        self._wazuh = requests.Session()
        self._wazuh.trust_env = False
        return self

    def __exit__(self, *_: object) -> None:
        self._approver.close()
        self._wazuh.close()
        self.lab.stop()

    def _url(self, node: int) -> str:
        return f"http://127.0.0.1:{self.ports[node]}"

    def data(self, node: int = 0) -> Path:
        """The data folder of a node."""
        return self.folder / f"data{node or ''}"

    def settings(self, node: int = 0) -> dict[str, str]:
        """A node's settings, as environment."""
        return {
            "PROPOLIS_LISTEN": f"127.0.0.1:{self.ports[node]}",
            "PROPOLIS_DATA_DIR": str(self.data(node)),
            "PROPOLIS_STORE": self.store,
            "PROPOLIS_MODE": "enforce",
            "PROPOLIS_RECONCILE": "2s",
            "PROPOLIS_PLAYBOOKS": str(HERE / "playbooks"),
            "PROPOLIS_POLICY": str(HERE / "policy.yml"),
            "PROPOLIS_THEHIVE_URL": self.lab.thehive_url,
            "PROPOLIS_THEHIVE_KEY": self.lab.keys.service,
        }

    def _set_up(self) -> None:
        """What an administrator makes in TheHive."""
        with session(self.lab.thehive_url, headers={"Authorization": f"Bearer {self.lab.keys.admin}"}) as admin:
            fill_catalogues(admin, self.version)

    # alerts ---------------------------------------------------------------------------------------------------------

    def send(self, kind: str, life: Life, patience: float = 20.0) -> bool:
        """Send one new alert as Wazuh's integration would: until it is acknowledged. False where nobody lives."""
        self._number += 1
        alert, target = self._alert(kind, self._number)
        end = CLOCK.monotonic() + patience
        while CLOCK.monotonic() < end and not life.ended:
            with suppress(requests.RequestException):
                answer = self._wazuh.post(
                    f"http://127.0.0.1:{self.ports[life.node]}/hooks/wazuh", json=alert, timeout=10
                )
                if answer.status_code == 202:
                    self.sent.append(Sent(alert["id"], kind, target))
                    return True
            CLOCK.sleep(0.05)
        return False

    def _alert(self, kind: str, number: int) -> tuple[dict[str, Any], str]:
        address = f"2001:db8:{number:x}::7" if number > 250 else f"203.0.113.{number}"
        user = f"user{number}"
        alert = json.loads(self._templates[kind])
        alert["id"] = f"1790000000.{number}"
        alert["agent"] = {"id": f"{number:03}", "name": f"host{number}", "ip": "192.0.2.10"}
        alert["data"] = {"srcip": address, "dstuser": user}
        alert["full_log"] = f"sshd[1]: Accepted password for {user} from {address} port 22 ssh2"
        alert.pop("previous_output", None)
        if kind == NOISE:
            alert["data"], alert["full_log"] = {"dstuser": "root"}, "session opened"
        return alert, address if kind == "block" else user

    # the analyst ----------------------------------------------------------------------------------------------------

    def answer(self, *, everything: bool = False) -> None:
        """Look through the open questions: grant some, deny some, leave some until they lapse."""
        for task in self.questions():
            word = ("Completed", "Completed", "Cancel", "")[int(task.id[1:]) // 8 % 4]
            if task.id in self._answered or task.get("status") not in ("Waiting", "InProgress"):
                continue
            if not everything and self.chance.random() < 0.3:
                continue  # in a while
            if not word or self._write_task(task.id, word):
                self._answered.add(task.id)

    def questions(self) -> list[Any]:
        """The tasks that ask for an approval."""
        with self.lab.hive.transaction():
            return [task for task in self.lab.hive.store.all("Task") if str(task.get("title")).startswith("APPROVE?")]

    def _write_task(self, task: str, status: str) -> bool:
        try:
            self._approver.patch(f"/api/v1/task/{task}", json={"status": status})
        except HttpError:
            return False
        return True

    # faults ---------------------------------------------------------------------------------------------------------

    def storm(self) -> None:
        """Some of everything that goes wrong between machines, for a while."""
        chance, faults = self.chance, self.lab.faults
        faults.hooks.drop, faults.hooks.duplicate, faults.hooks.reorder = 0.2, 0.2, 0.1
        faults.thehive.only = chance.choice(["", "POST /api", "action", "query"])
        setattr(faults.thehive, chance.choice(["fail", "lose", "garbage"]), chance.randint(1, 3))
        faults.thehive.slow = chance.choice([0.0, 0.0, 0.02])

    def calm(self) -> None:
        """Everything works again."""
        self.lab.faults.clear()

    # what happened --------------------------------------------------------------------------------------------------

    def deeds(self) -> list[Deed]:
        """Every start of a responder, in order."""
        if not self.log.exists():
            return []
        return [Deed(**json.loads(line)) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def entities(self, kind: str) -> Iterator[Any]:
        """Everything of a kind that TheHive keeps."""
        with self.lab.hive.transaction():
            yield from self.lab.hive.store.all(kind)


def _templates() -> dict[str, str]:
    """An alert of each kind: a break-in over HTTP, a guessed password, and one of no account."""
    lines = (SAMPLES / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    found = {json.loads(line)["rule"]["id"]: line for line in lines}
    noise = json.loads(found["31168"])
    noise["rule"] = {**noise["rule"], "id": "5501", "level": 3, "description": "Login session opened."}
    return {"block": found["31168"], "ask": found["40112"], NOISE: json.dumps(noise)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
