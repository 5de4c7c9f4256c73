"""A whole SOC in one process: TheHive and Cortex of the lab, a firewall and a directory, an approver, the service.

The service's wall clock can be moved; waiting moves it a second for every twentieth, so that pauses pass quickly.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from playbook_service.demo.prepare import Access, prepare
from playbook_service.lab import Lab
from playbook_service.lab.lab import ORGANISATION
from playbook_service.lab.product import DIRECTORY, FIREWALL, Product
from playbook_service.service import Service
from playbook_service.settings import load
from playbook_service.store.contract import Filter, Record
from propolis.clock import SystemClock
from propolis.containment.backend import Subject
from propolis.http import Client, session

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "playbook_service" / "samples"
WORKERS = ROOT / "playbook_service" / "lab" / "workers"
PLAYBOOKS = ROOT / "tests" / "fixtures" / "scenarios"
TOKEN = "hook-s3cret-0f-the-tests"
REAL = SystemClock()
POLICY = """
firewall: {own: [192.0.2.0/24], infrastructure: [198.51.100.53]}
accounts: {never_names: [administrator]}
limits:
  per_hour: {firewall: 1000, accounts: 1000, hosts: 1000}
  breaker: {failures: 1000}
"""
RULES = {"block": "31168", "ask": "5712", "account": "40112"}
FIREWALL_BLOCK = "FirewallBlock_1_0"


class MovedClock(SystemClock):
    """The real time, and a bit more; the responders' processes read it from a file."""

    def __init__(self, file: Path):
        self._file = file
        self._ahead = 0.0
        self.move(0.0)

    def now(self) -> float:
        return super().now() + self._ahead

    def move(self, seconds: float) -> None:
        """Go on by so much."""
        self._ahead += seconds
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self.now():.3f}", encoding="ascii")
        fresh.replace(self._file)


class Soc:
    """Use as a context manager. `settings` override those of the service."""

    def __init__(self, folder: Path, version: int, **settings: str):
        self.folder, self.version = folder, version
        self.clock = MovedClock(folder / "clock")
        self.log = folder / "service.log"
        self._settings = settings
        self._numbers = itertools.count(1)
        self._templates = _templates()
        users = tuple(Subject(f"user{number}", f"user{number}") for number in range(60))
        admin = Subject("administrator", "administrator", privileged=True)
        self.firewall = Product(folder / "firewall.json", FIREWALL, self.clock).create()
        self.directory = Product(folder / "directory.json", DIRECTORY, self.clock).create((*users, admin))
        (folder / "policy.yml").write_text(POLICY, encoding="utf-8")
        self.lab = Lab(
            version, responders=[WORKERS], reports=[SAMPLES / "reports.jsonl"], refresh=0.1, clock=self.clock
        )
        for product, flavours in (
            (self.firewall, (FIREWALL_BLOCK, "FirewallUnblock_1_0")),
            (self.directory, ("AccountDisable_1_0", "AccountEnable_1_0")),
        ):
            for flavour in flavours:
                self.lab.enable(
                    flavour,
                    {
                        "backend": "lab",
                        "state_file": str(product.path),
                        "clock_file": str(folder / "clock"),
                        "policy": POLICY,
                        "dry_run": False,
                    },
                )

    def __enter__(self) -> Soc:
        self._handler = logging.FileHandler(self.log, encoding="utf-8")
        self._logger = logging.getLogger("propolis")
        self._level, self._logger.level = self._logger.level, logging.INFO
        self._logger.addHandler(self._handler)
        self.lab.start()
        self.approver = self.client(self.lab.keys.approver)
        try:
            self.start()
        except BaseException:
            self.lab.stop()  # its threads would keep the tests from ending
            raise
        access = Access(self.lab.thehive_url, self.version, self.lab.keys.admin, self.lab.keys.orgadmin, ORGANISATION)
        prepare(access, f"http://127.0.0.1:{self.service.port}/hooks/thehive", TOKEN)
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.faults.clear()
        self.service.stop()
        self.approver.close()
        self.lab.stop()
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level)
        self._handler.close()

    def client(self, key: str) -> Client:
        """Somebody at TheHive."""
        return session(self.lab.thehive_url, headers={"Authorization": f"Bearer {key}"})

    def start(self) -> None:
        """Start the service, and wait for its engine."""
        settings = {
            "listen": "127.0.0.1:0", "data_dir": str(self.folder / "data"), "mode": "enforce",
            "playbooks": str(PLAYBOOKS), "policy": str(self.folder / "policy.yml"), "webhook_token": TOKEN,
            "thehive_url": self.lab.thehive_url, "thehive_key": self.lab.keys.service,
            "approvers": "approver@soc.example", **self._settings,
        }  # fmt: skip
        self.service = Service(load({f"PROPOLIS_{key.upper()}": value for key, value in settings.items()}), self.clock)
        self.service.start()
        self.until(lambda: self.service.engine is not None, "the engine works")

    # time -----------------------------------------------------------------------------------------------------------

    def move(self, seconds: float) -> None:
        """Let the service's time pass."""
        self.clock.move(seconds)
        if self.service.engine is not None:
            self.service.engine.wake()

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 25.0) -> Any:
        """Wait until something holds; time passes twenty times as fast meanwhile. Fails after so many real seconds."""
        end = REAL.monotonic() + seconds
        while not (found := holds()):
            assert REAL.monotonic() < end, f"it did not come to pass: {what}\n{self.describe()}"
            if getattr(self, "service", None) is not None:
                self.move(1.0)
            REAL.sleep(0.05)
        return found

    def idle(self, seconds: float = 1.5) -> None:
        """Give what must not happen the time to happen: thirty seconds of the service's."""
        end = REAL.monotonic() + seconds
        while REAL.monotonic() < end:
            self.move(1.0)
            REAL.sleep(0.05)

    # what goes in ---------------------------------------------------------------------------------------------------

    def alert(self, kind: str, again: int = 0, **data: str) -> str:
        """Send an alert of a kind with an address, an account and a host of its own; returns its target.

        `again` is the number of an alert that this one is to be like."""
        unique = next(self._numbers)
        number = again or unique
        target = {"srcip": f"203.0.113.{number}", "dstuser": f"user{number}", **data}
        alert = json.loads(self._templates[kind])
        alert |= {"id": f"1790000000.{unique}", "data": target, "full_log": "sshd: something happened"}
        alert["agent"] = {"id": f"{number:03}", "name": f"host{number}", "ip": "192.0.2.10"}
        alert.pop("previous_output", None)
        status, answer = self.post("/hooks/wazuh", json.dumps(alert).encode())
        assert status == 202, answer
        return target["dstuser"] if kind == "account" else target["srcip"]

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
        """Post to the service."""
        connection = HTTPConnection("127.0.0.1", self.service.port, timeout=30)
        names = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        names |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, {name: value for name, value in names.items() if value})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    # what can be seen -----------------------------------------------------------------------------------------------

    def records(self, kind: str, state: str | None = None) -> list[Record]:
        """Records of the service."""
        with self.service.store.transaction() as work:
            return work.find(kind, Filter(state=state))

    def about(self, kind: str, target: str) -> list[Record]:
        """Leases or approvals on a target, oldest first."""
        found = [one for one in self.records(kind) if one.body["grant"]["target"] == target]
        return sorted(found, key=lambda one: one.updated_at)

    def lease(self, target: str, *states: str) -> Record | None:
        """The lease on a target, where it is in one of these states."""
        return next((one for one in self.about("lease", target) if one.state in (states or ("active",))), None)

    def question(self, target: str) -> Record:
        """The approval on a target, once its task is in the case."""
        found: Record = self.until(
            lambda: next((one for one in self.about("approval", target) if one.state == "waiting"), None),
            f"somebody is asked about {target}",
        )
        return found

    def answered(self, target: str, state: str) -> Record:
        """The approval on a target, once it is in that state."""
        found: Record = self.until(
            lambda: next((one for one in self.about("approval", target) if one.state == state), None),
            f"the approval on {target} is {state}",
        )
        return found

    def set_task(self, task: str, status: str, by: Client | None = None) -> None:
        """Complete or cancel a task as the approver, or somebody else."""
        (by or self.approver).patch(f"/api/v1/task/{task}", json={"status": status})

    def close_case(self, case: str, *, reopen: bool = False) -> None:
        """Close a case as the approver; have it opened again at once."""
        words = ("TruePositive", "InProgress") if self.version == 5 else ("Resolved", "Open")
        self.approver.patch(f"/api/v1/case/{case}", json=self._closing(words[0]))
        if reopen:
            self.approver.patch(f"/api/v1/case/{case}", json={"status": words[1]})

    def _closing(self, word: str) -> dict[str, str]:
        body = {"status": word, "summary": "done"}
        return body if self.version == 5 else {**body, "resolutionStatus": "TruePositive", "impactStatus": "NoImpact"}

    def tasks(self, case: str) -> dict[str, Any]:
        """Titles of a case's tasks -> the tasks, as TheHive keeps them."""
        with self.lab.hive.transaction():
            return {str(task["title"]): task for task in self.lab.hive.store.children(case, "Task")}

    def started(self, responder: str, target: str) -> int:
        """How often a responder was started on a target, by Cortex's own list of jobs."""
        return sum(
            job.worker.definition.name == responder and _data(job) == target for job in self.lab.cortex.jobs.all()
        )

    def audited(self, action: str, target: str = "") -> list[Mapping[str, Any]]:
        """Lines of the audit chain."""
        lines = [line for line in self.service.journal.lines() if line["action"] == action]
        return [line for line in lines if not target or line.get("target") == target]

    def describe(self) -> str:
        """What is under way, for a failed test."""
        service = getattr(self, "service", None)
        if service is None or service.engine is None:
            return "the engine does not work yet"
        states = {kind: [(one.key, one.state) for one in self.records(kind)] for kind in ("run", "approval", "lease")}
        with service.store.transaction() as work:
            dead = [(item.key, item.error) for queue in ("step", "inbox") for item in work.buried(queue)]
        lines = [line for line in self.log.read_text(encoding="utf-8").splitlines() if " HTTP/1.1" not in line]
        return f"{states}\nset aside: {dead}\n" + "\n".join(lines[-15:])


def _data(job: Any) -> str:
    try:
        return str(json.loads(job.task.data)["data"])
    except (TypeError, ValueError, KeyError):
        return ""


def _templates() -> dict[str, str]:
    lines = (SAMPLES / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    by_rule = {json.loads(line)["rule"]["id"]: line for line in lines}
    return {kind: by_rule[rule] for kind, rule in RULES.items()}


def everything_written(folder: Path) -> bytes:
    """Whatever files the service left, as one."""
    paths = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return b"\n".join(path.read_bytes() for path in paths)
