"""The engine over the lab: a service in one thread, with its own clock, that is run until nothing is left to do.

The lab's time is the real one, so the service's clock begins there; waiting is moving it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playbook_service.audit.journal import Journal
from playbook_service.demo.prepare import fill_catalogues
from playbook_service.engine import lease
from playbook_service.engine.approval import Desk
from playbook_service.engine.loop import Loop
from playbook_service.engine.pipeline import Seams, pipeline
from playbook_service.engine.step import Done, Handler, Outcome
from playbook_service.engine.tools import Tools
from playbook_service.hive.contract import Hive
from playbook_service.intake.routes import wazuh_event
from playbook_service.lab import Lab
from playbook_service.playbook import SHIPPED, Playbooks, load
from playbook_service.store.contract import Filter, Item, Record, Store, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import Clock, ManualClock, SystemClock
from propolis.guardrails import Policy
from propolis.http import session

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "playbook_service" / "samples"
SERVICE = "playbook@soc.example"
RESPONDER = """#!/usr/bin/env python3
import json, pathlib, sys, time
job = pathlib.Path(sys.argv[1])
asked = json.loads((job / "input" / "input.json").read_text())
seconds = asked["parameters"].get("duration_seconds", 3600)
until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
result = "released" if NAME in ("FirewallUnblock", "AccountEnable", "ReleaseHost") else "contained"
full = {"result": result, "until": until, "where": "lab", "mark": "propolis lease=" + asked["parameters"]["lease"]}
report = {"success": True, "full": full, "artifacts": [], "operations": []}
(job / "output" / "output.json").write_text(json.dumps(report))
"""
RESPONDERS = ("FirewallBlock", "FirewallUnblock", "AccountDisable", "AccountEnable", "IsolateHost", "ReleaseHost")


def sample(number: str) -> dict[str, Any]:
    """A sample alert by its id."""
    lines = (SAMPLES / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    return next(alert for alert in map(json.loads, lines) if alert["id"] == number)


def write_responders(folder: Path, names: Sequence[str] = RESPONDERS, text: str = RESPONDER) -> Path:
    """Responders of one script, which finds its name in `NAME`, as Cortex reads them."""
    for name in names:
        place = folder / name
        place.mkdir(parents=True)
        script = place / "main.py"
        script.write_text(text.replace("NAME", repr(name)))
        script.chmod(0o755)
        definition = {
            "name": name, "version": "1.0", "author": "a", "url": "https://example.org", "license": "AGPL-V3",
            "description": name, "dataTypeList": ["thehive:case_artifact"], "baseConfig": name,
            "command": f"{name}/main.py",
        }  # fmt: skip
        (place / f"{name}.json").write_text(json.dumps(definition))
    return folder


def set_up(lab: Lab) -> None:
    """What an administrator makes in TheHive: custom fields and the data type."""
    with session(lab.thehive_url, headers={"Authorization": f"Bearer {lab.keys.admin}"}) as admin:
        fill_catalogues(admin, lab.version)


SEAMS = Seams()


class Service:
    """One node of the service over a TheHive."""

    def __init__(self, hive: Hive, *, lab: Lab | None = None, clock: Clock | None = None, seams: Seams = SEAMS):
        self.clock = clock or ManualClock(SystemClock().now())
        self.hive = hive
        self.lab = lab
        self.seams = seams
        self.books: Playbooks = load(SHIPPED)
        self.policy_text = (SAMPLES / "policy.yml").read_text(encoding="utf-8")
        self.mode = "observe"
        self.told: list[dict[str, Any]] = []
        self.notified: list[dict[str, Any]] = []
        self.buried: list[str] = []
        self.restart(MemoryStore(self.clock))

    def restart(self, store: Store) -> None:
        """A process over this store."""
        self.store = store
        self.journal = Journal(store, self.clock)
        self.tools = Tools(
            self.store, self.clock, self.hive, self.journal, lambda: self.books, self._policy, lambda: self.mode,
            SERVICE,
        )  # fmt: skip
        self.engine = pipeline(self.tools, self.seams)
        self.desk = Desk(self.tools, self.engine.deciding.recheck)
        self.loop = self.new_loop()

    def _policy(self) -> Policy:
        return Policy.parse(self.policy_text)

    def new_loop(self) -> Loop:
        """Another process with the same store."""
        handlers: dict[str, Handler] = {
            **self.engine.handlers(),
            "contain": lambda item: lease.contain(self.tools, item),
            "release": lambda item: lease.release(self.tools, item),
            "approve": self.desk.step,
            "tell": lambda item: self._take(self.told, item),
            "notify": lambda item: self._take(self.notified, item),
        }
        return Loop(self.store, self.clock, handlers, owner="node", buried=self._bury, jitter=lambda: 1.0)

    def _take(self, shelf: list[dict[str, Any]], item: Item) -> Outcome:
        shelf.append(item.body)
        return Done()

    def _bury(self, work: Transaction, item: Item, sentence: str) -> None:
        self.buried.append(f"{item.key}: {sentence}")

    def receive(self, *alerts: dict[str, Any], origin: str = "wazuh") -> None:
        """What the hook would commit."""
        with self.store.transaction() as work:
            for alert in alerts:
                event = wazuh_event(alert, origin)
                work.put("inbox", event.key, event.body)

    def run(self, seconds: float = 30.0, step: float = 2.0) -> None:
        """Let so much time pass."""
        self.turn()
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            assert isinstance(self.clock, ManualClock)
            self.clock.advance(min(step, end - self.clock.now()))
            self.turn()

    def turn(self) -> None:
        """Everything that is due, after the lab has come to rest."""
        self.loop.run_due()
        if self.lab is not None:
            self.lab.settle(future=False)
            self.loop.run_due()

    def records(self, kind: str, state: str | None = None) -> list[Record]:
        with self.store.transaction() as work:
            return work.find(kind, Filter(state=state))

    def record(self, kind: str) -> Record:
        (found,) = self.records(kind)
        return found

    @property
    def audited(self) -> list[dict[str, Any]]:
        return [dict(line) for line in self.journal.lines()]

    def said(self, action: str) -> list[dict[str, Any]]:
        """The audit lines of one action."""
        return [line for line in self.audited if line["action"] == action]
