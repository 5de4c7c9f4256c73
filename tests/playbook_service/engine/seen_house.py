"""A service's engine around a TheHive in memory that has cases, observables, alerts, actions and an audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stub_hive import StubHive

from playbook_service.audit.journal import Journal
from playbook_service.engine import arrival, enrichment, lease
from playbook_service.engine.adopt import Adoption
from playbook_service.engine.draft import key_of
from playbook_service.engine.escalation import Escalation
from playbook_service.engine.hooks import Hooks
from playbook_service.engine.loop import Loop
from playbook_service.engine.notice import Notices
from playbook_service.engine.placement import CASE
from playbook_service.engine.reconcile import Reconcile
from playbook_service.engine.renewal import Renewals
from playbook_service.engine.request import Requests
from playbook_service.engine.sighting import Joining, Sighting
from playbook_service.engine.step import Done, Handler, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Action, Alert, Audit, Case, Observable, Task, Worker
from playbook_service.intake.hook import Hook
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Filter, Item, Record, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.alert import Alert as WazuhAlert
from propolis.clock import ManualClock, utc_text
from propolis.guardrails import Policy
from propolis.http import HttpError
from propolis.notify.message import Message

SERVICE, ANNA, BEN = "propolis@soc.example", "anna@soc.example", "ben@soc.example"
CASE_ID, OBSERVABLE_ID, TARGET = "~8", "~41", "203.0.113.7"
DAY = 86_400
POLICY = "firewall:\n  own: [198.51.100.0/24]\n  max_ttl: 7d\n"
WAZUH = {"id": "1.2", "manager": {"name": "siem"}, "rule": {"id": "5763", "level": 10, "description": "x"}}
WATCHED = ("case", "closed", "alert", "enrich", "run", "score", "approve", "tell", "notify", "waits")
"""Steps whose handlers here only note that they ran; those that wait poll once an hour."""


def refused(status: int) -> HttpError:
    return HttpError(f"TheHive says no ({status}).", kind="status", status=status)


class SeenHive(StubHive):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.board: dict[str, Case] = {}
        self.things: dict[str, Observable] = {}
        self.homes: dict[str, tuple[str, str]] = {}
        self.alerts: dict[str, Alert] = {}
        self.work: dict[str, Task] = {}
        self.by_hand: dict[str, list[Action]] = {}
        self.started_on: dict[str, str] = {}
        self.trail: list[Audit] = []
        self.comments: list[tuple[str, str]] = []
        self.logs: list[str] = []
        self.reads: list[str] = []
        self.down = False
        self.add_case(CASE_ID)
        self.add_observable(OBSERVABLE_ID, TARGET)

    # making things ---------------------------------------------------------------------------------------------------

    @property
    def ms(self) -> int:
        return int(self.clock.now() * 1000)

    def add_case(self, case_id: str, **changes: Any) -> None:
        case = Case(case_id, 128, "Case", 2, (), False, True, "", SERVICE, {}, self.ms, self.ms, 0, {})
        self.board[case_id] = case._replace(**changes)

    def add_observable(self, observable_id: str, data: str, home: tuple[str, str] = ("case", CASE_ID)) -> None:
        self.things[observable_id] = Observable(
            observable_id, "ip", data, (), False, False, 2, "", {}, self.ms, self.ms, {}
        )
        self.homes[observable_id] = home

    def change_case(self, case_id: str = CASE_ID, **changes: Any) -> None:
        self.clock.advance(1)
        self.board[case_id] = self.board[case_id]._replace(updated_at=self.ms, **changes)

    def tag(self, entity_id: str, *tags: str, by: str = ANNA) -> None:
        """Somebody puts tags on a case or an observable, and TheHive's trail tells."""
        self.clock.advance(1)
        shelf: dict[str, Any] = self.board if entity_id in self.board else self.things
        kind = "case" if entity_id in self.board else "observable"
        before = shelf[entity_id].tags
        shelf[entity_id] = shelf[entity_id]._replace(tags=(*before, *tags), updated_at=self.ms)
        details = {"tags": list(shelf[entity_id].tags)}
        self.trail.insert(0, Audit(kind, entity_id, "update", by, self.ms, details))

    def start_by_hand(
        self, name: str, full: Mapping[str, Any], entity_id: str = OBSERVABLE_ID, **changes: Any
    ) -> Action:
        """An analyst starts a responder in TheHive's menu."""
        number = sum(map(len, self.by_hand.values())) + 1
        action = Action(
            f"~h{number}", f"{name}_1_0", f"{name}_1_0", "Success", f"hand-{number}", self.ms, self.ms,
            {"success": True, "full": dict(full)}, ANNA,
        )._replace(**changes)  # fmt: skip
        self.by_hand.setdefault(entity_id, []).insert(0, action)
        return action

    # what the contract says ------------------------------------------------------------------------------------------

    def _read(self, what: str) -> None:
        self.reads.append(what)
        if self.down:
            raise refused(503)

    def case(self, case_id: str) -> Case | None:
        self._read("case")
        return self.board.get(case_id)

    def alert(self, alert_id: str) -> Alert | None:
        self._read("alert")
        return self.alerts.get(alert_id)

    def observable(self, observable_id: str) -> Observable | None:
        self._read("observable")
        return self.things.get(observable_id)

    def observables(self, case_id: str) -> list[Observable]:
        self._read("observables")
        return [self.things[key] for key, home in self.homes.items() if home == ("case", case_id)]

    def home(self, observable_id: str) -> tuple[str, str]:
        self._read("home")
        return self.homes.get(observable_id, ("", ""))

    def run_responder(self, worker: Worker, entity: str, entity_id: str, parameters: Mapping[str, Any]) -> Action:
        self.started_on[f"~a{len(self.started) + 1}"] = entity_id  # also where the answer is to be lost
        action = super().run_responder(worker, entity, entity_id, parameters)
        self.made[0] = action._replace(started_at=self.ms)
        return self.made[0]

    def actions(self, entity: str, entity_id: str) -> list[Action]:
        self._read("actions")
        ours = [action for action in super().actions(entity, entity_id) if self.started_on[action.id] == entity_id]
        found = [*ours, *self.by_hand.get(entity_id, [])]
        return sorted(found, key=lambda action: action.started_at, reverse=True)

    def audits(self, entity: str, entity_id: str, root_id: str) -> list[Audit]:
        return [audit for audit in self.trail if (audit.entity, audit.entity_id) == (entity, entity_id)]

    def comment(self, case_id: str, text: str) -> None:
        self.comments.append((case_id, text))

    def log(self, task_id: str, message: str) -> None:
        self.logs.append(message)

    def update_case(
        self,
        case_id: str,
        *,
        add_tags: Sequence[str] = (),
        severity: int | None = None,
        flag: bool | None = None,
        assignee: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
    ) -> None:
        changes = {"severity": severity, "flag": flag, "assignee": assignee}
        self.change_case(case_id, **{name: value for name, value in changes.items() if value is not None})

    def changed_cases(self, since: int) -> Iterator[Case]:
        return self._changed("case", self.board, since)

    def changed_alerts(self, since: int) -> Iterator[Alert]:
        return self._changed("alert", self.alerts, since)

    def changed_tasks(self, since: int) -> Iterator[Task]:
        return self._changed("task", self.work, since)

    def changed_observables(self, since: int) -> Iterator[Observable]:
        return self._changed("observable", self.things, since)

    def _changed(self, what: str, shelf: Mapping[str, Any], since: int) -> Iterator[Any]:
        self._read(f"changed {what}")
        found = [one for one in shelf.values() if (one.updated_at or one.created_at) >= since]
        return iter(sorted(found, key=lambda one: one.updated_at or one.created_at))


class House:
    """The engine, with the hooks, reconciliation and everything that follows from them."""

    def __init__(self, *, rules: Sequence[Any] = (), approvers: Sequence[str] = ()) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.hive = SeenHive(self.clock)
        self.journal = Journal(self.store, self.clock)
        self.mode = "enforce"
        self.policy = POLICY
        self.tools = Tools(
            self.store, self.clock, self.hive, self.journal, lambda: Playbooks(()), lambda: Policy.parse(self.policy),
            lambda: self.mode, SERVICE,
        )  # fmt: skip
        self.ran: list[str] = []
        """Keys of the watched steps that ran."""
        self.announced: list[Message] = []
        self.rules, self.approvers = rules, approvers
        self.sighting = Sighting(self.tools, rules)
        self.reconcile = Reconcile(self.tools, self.sighting, 60.0)
        self.escalation = Escalation(self.tools, self.announce, rules)
        self.loop = self.new_loop()
        with self.store.transaction() as work:
            work.save(CASE, CASE_ID, {"number": 128, "alerts": ["siem:1.1"], "note": ""}, state="open", ref=CASE_ID)

    def new_loop(self) -> Loop:
        handlers: dict[str, Handler] = {
            "thehive": Hooks(self.tools, self.sighting).handle,
            "reconcile": self.reconcile.step,
            "adopt": Adoption(self.tools).step,
            "request": Requests(self.tools, self.approvers).step,
            "renew": Renewals(self.tools).step,
            "joined": Joining(self.tools).step,
            "notice": Notices(self.tools, self.announce).step,
            "escalate": self.escalation.step,
            "contain": lambda item: lease.contain(self.tools, item),
            "release": lambda item: lease.release(self.tools, item),
            **dict.fromkeys(WATCHED, self.watch),
        }
        return Loop(self.store, self.clock, handlers, owner="node", buried=self.buried, jitter=lambda: 1.0)

    def announce(self, work: Transaction, message: Message) -> None:
        self.announced.append(message)

    def watch(self, item: Item) -> Outcome:
        self.ran.append(item.key)
        waits = item.key.partition(":")[0] in ("run", "score", "approve")
        return Later(3600.0, "waiting") if waits else Done()

    def buried(self, work: Transaction, item: Item, sentence: str) -> None:
        raise AssertionError(f"{item.key}: {sentence}")

    # doing -----------------------------------------------------------------------------------------------------------

    def run(self, seconds: float = 10.0) -> None:
        """Let so much time pass, a little at a time."""
        end = self.clock.now() + seconds
        self.loop.run_due()
        while self.clock.now() < end:
            step = 5.0 if seconds < 1000 else 300.0
            self.clock.advance(min(step, end - self.clock.now()))
            self.loop.run_due()

    def hook(self, entity: str, entity_id: str, *, root: str = CASE_ID, verb: str = "update", **told: Any) -> None:
        """A webhook comes in; each is another message."""
        number = sum(1 for _ in self.store._work)
        hook = Hook("v5v1", f"k{number}", verb, entity, entity_id, root, "soc", told.pop("actor", ANNA), 0, told)
        with self.store.transaction() as work:
            work.put("inbox", f"thehive:k{number}", {"from": "thehive", "hook": hook._asdict()})
        self.loop.run_due()

    def put(self, kind: str, key: str) -> None:
        with self.store.transaction() as work:
            follow(work, kind, key)
        self.loop.run_due()

    def contained(self, seconds: int = DAY, key: str = "L1", **full: Any) -> dict[str, Any]:
        """What FirewallBlock answers."""
        until = utc_text(self.clock.now() + seconds)
        said = {"result": "contained", "until": until, "where": "fw1", "mark": f"propolis lease={key}", "lease": key}
        return {"success": True, "full": {**said, **full}}

    def lease_in_force(self, seconds: int = DAY) -> Record:
        """FirewallBlock on the observable, by a playbook."""
        self.hive.reports.setdefault("FirewallBlock", []).insert(0, self.contained(seconds))
        self.hive.reports.setdefault("FirewallUnblock", [{"success": True, "full": {"result": "released"}}])
        wanted = lease.Grant(
            "L1", "FirewallBlock", "case_artifact", OBSERVABLE_ID, CASE_ID, TARGET, seconds, "because", "d" * 64,
            "playbook malicious-ip",
        )  # fmt: skip
        with self.store.transaction() as work:
            lease.grant(work, self.tools, wanted)
        self.run(5)
        assert self.record(lease.KIND, "L1").state == lease.ACTIVE
        return self.record(lease.KIND, "L1")

    def open_run(self, key: str = "r1", state: str = enrichment.STATE_RUNNING) -> None:
        """An analysis of the observable that waits for its jobs."""
        body = {"observable": {"id": OBSERVABLE_ID}, "round": 1}
        with self.store.transaction() as work:
            work.save(enrichment.KIND, key, body, state=state, ref=CASE_ID)
            follow(work, "run" if state == enrichment.STATE_RUNNING else "score", f"{key}:1")
        self.loop.run_due()
        self.ran.clear()

    def known_alert(self, state: str = arrival.LOOSE, case_id: str = "") -> str:
        """An alert of ours, in TheHive and in the store."""
        key = key_of(WazuhAlert(WAZUH))
        node, _, number = key.rpartition(":")
        self.hive.alerts["~5"] = Alert("~5", "wazuh", node, number, "t", "", (), False, self.hive.ms, self.hive.ms, {})
        body = {
            "origin": "wazuh", "alert": WAZUH, "hive_id": "~5", "observables": [], "suppressed": "", "at": 0.0,
        }  # fmt: skip
        with self.store.transaction() as work:
            work.save(arrival.KIND, key, body, state=state, ref=case_id)
        return key

    # seeing ----------------------------------------------------------------------------------------------------------

    def record(self, kind: str, key: str) -> Record:
        with self.store.transaction() as work:
            found = work.get(kind, key)
        assert found is not None, f"there is no {kind} {key}"
        return found

    def records(self, kind: str) -> list[Record]:
        with self.store.transaction() as work:
            return work.find(kind, Filter())

    @property
    def leases(self) -> list[Record]:
        return self.records(lease.KIND)

    @property
    def starts(self) -> list[str]:
        return [name for name, _, _ in self.hive.started]

    @property
    def audited(self) -> list[str]:
        return [line["action"] for line in self.journal.lines()]

    def steps(self, kind: str) -> list[str]:
        """Keys of the steps of a kind that were ever put."""
        return sorted(key for queue, key in self.store._work if queue == "step" and key.startswith(f"{kind}:"))
