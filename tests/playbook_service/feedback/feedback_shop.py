"""A service's feedback loop with what it stands on: a small TheHive with cases, and an engine's records in a store."""

from __future__ import annotations

from typing import Any

from playbook_service.audit.journal import Journal
from playbook_service.engine import approval, arrival, lease, ruling
from playbook_service.engine.loop import Loop
from playbook_service.engine.step import Done, Handler
from playbook_service.engine.tools import Tools
from playbook_service.feedback.assembly import assemble
from playbook_service.feedback.closure import noticed
from playbook_service.feedback.label import Judgements, lines
from playbook_service.feedback.register import Suppressor
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Audit, Case, Observable, Task, TaskDraft
from playbook_service.judgement.guard import Judged
from playbook_service.playbook import SHIPPED, Decision, Origin, Playbooks, Target, load
from playbook_service.store.contract import Item, Record, Store, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.alert import Alert
from propolis.clock import ManualClock
from propolis.guardrails import Policy
from propolis.observables import extract

SERVICE, ANNA, BEN = "propolis@soc.example", "anna@soc.example", "ben@soc.example"
DAY = 86_400.0
ATTACKER = "203.0.113.17"


class CaseHive(Hive):
    """Cases, their observables, tasks and audit trail. What is not needed here is not there."""

    def __init__(self, clock: ManualClock, major: int = 5) -> None:
        self.major = major
        self.clock = clock
        self.cases: dict[str, Case] = {}
        self.there: dict[str, list[Observable]] = {}
        self.board: dict[str, Task] = {}
        self.trail: list[Audit] = []

    def open(self, case_id: str, *observables: Observable) -> None:
        number = len(self.cases) + 1
        self.cases[case_id] = Case(case_id, number, "Case", 2, (), False, True, "", "", {}, 0, 0, 0, {})
        self.there[case_id] = list(observables)

    def close_case(self, case_id: str, resolution: str, actor: str = ANNA) -> None:
        """What an analyst does, with the audit line that this version writes."""
        at = int(self.clock.now() * 1000)
        raw = {"status": resolution} if self.major == 5 else {"status": "Resolved", "resolutionStatus": resolution}
        self.cases[case_id] = self.cases[case_id]._replace(open=False, resolution=resolution, closed_at=at, raw=raw)
        details = {**raw, "endDate": at} | ({"stage": "Closed"} if self.major == 5 else {})
        if actor:
            self.trail.insert(0, Audit("case", case_id, "update", actor, at, details))

    def reopen_case(self, case_id: str) -> None:
        status = "InProgress" if self.major == 5 else "Open"
        raw = {"status": status}
        self.cases[case_id] = self.cases[case_id]._replace(open=True, resolution="", closed_at=0, raw=raw)
        self.trail.insert(0, Audit("case", case_id, "update", ANNA, int(self.clock.now() * 1000), raw))

    def end_task(self, task_id: str, status: str, actor: str | None) -> None:
        """An analyst's answer; without an actor, what TheHive 4 does by itself when a case is closed."""
        self.board[task_id] = self.board[task_id]._replace(status=status)
        if actor is not None:
            self.trail.insert(0, Audit("task", task_id, "update", actor, 0, {"status": status}))

    def case(self, case_id: str) -> Case | None:
        return self.cases.get(case_id)

    def observables(self, case_id: str) -> list[Observable]:
        return list(self.there[case_id])

    def audits(self, entity: str, entity_id: str, root_id: str) -> list[Audit]:
        return [audit for audit in self.trail if (audit.entity, audit.entity_id) == (entity, entity_id)]

    def tasks(self, case_id: str) -> list[Task]:
        return [task for task in self.board.values() if task.case_id == case_id]

    def task(self, task_id: str) -> Task | None:
        return self.board.get(task_id)

    def create_task(self, case_id: str, draft: TaskDraft) -> Task:
        task = Task(
            f"~t{len(self.board)}", case_id, draft.title, draft.group, draft.description, draft.status, draft.flag,
            "", 0, 0, {},
        )  # fmt: skip
        self.board[task.id] = task
        return task


def _absent(name: str) -> Any:
    def call(self: CaseHive, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"the step called {name}, which this stub does not have")

    return call


for _name in Hive.__abstractmethods__:
    if _name not in CaseHive.__dict__:
        setattr(CaseHive, _name, _absent(_name))
CaseHive.__abstractmethods__ = frozenset()


def seen(data: str, data_type: str = "ip", *, ioc: bool = False, sighted: bool = False) -> Observable:
    """An observable of a case; its id is told from its data."""
    return Observable(f"~{data}", data_type, data, (), ioc, sighted, 2, "", {}, 0, 0, {})


def wazuh(number: str, data: str = ATTACKER, *, rule: str = "5760", level: int = 5, **more: Any) -> Alert:
    """An SSH failure."""
    document: dict[str, Any] = {
        "timestamp": "2026-01-01T00:00:00.000+0000",
        "rule": {"level": level, "description": "sshd: authentication failed.", "id": rule, "groups": ["sshd"]},
        "agent": {"id": "003", "name": "gw01"},
        "manager": {"name": "siem01"},
        "id": number,
        "decoder": {"name": "sshd"},
        "data": {"srcip": data},
        "location": "/var/log/auth.log",
    }
    return Alert({**document, **more})


def decision(
    data: str = ATTACKER, *, kind: str = "observe", wanted: str = "act", playbook: str = "malicious-ip", number: int = 0
) -> Decision:
    """A playbook's wish to block an address; `number` makes it another decision."""
    target = Target("address", "ip", data)
    return Decision(
        kind=kind, wanted=wanted, capped_by="" if kind == wanted else f"service mode {kind}", event="verdict",
        verb="respond", responder="FirewallBlock", target=target, candidates=(), seconds=86400, permanent=False,
        settings=(("direction", "both"),), origins=(Origin(playbook, "f" * 64),),
        evidence=(("verdict.families", 3), ("number", number)), numbers=(("score", 0.97),),
        reasons=(f"{playbook}: act, because 3 families say so",),
    )  # fmt: skip


class Shop:
    """The loop with one node, its TheHive, and short ways to what the engine would have written."""

    def __init__(self, major: int = 5, store: Store | None = None, clock: ManualClock | None = None):
        self.clock = clock or ManualClock()
        self.store = store or MemoryStore(self.clock)
        self.hive = CaseHive(self.clock, major)
        self.journal = Journal(self.store, self.clock)
        self.books: Playbooks = load(SHIPPED)
        self.mode = "enforce"
        self.policy_text = "firewall: {own: [198.51.100.0/24]}"
        self.tools = Tools(
            self.store, self.clock, self.hive, self.journal, lambda: self.books, self.policy, lambda: self.mode, SERVICE
        )
        self.feedback = assemble(self.tools)
        self.suppressor = Suppressor(self.store, self.clock)
        self.released: list[str] = []
        others: dict[str, Handler] = dict.fromkeys(("contain", "approve", "tell"), self.skip)
        self.handlers = {**others, **self.feedback.handlers(), "release": self.release}
        self.loop = Loop(self.store, self.clock, self.handlers, owner="node", buried=self.bury, jitter=lambda: 1.0)

    def policy(self) -> Policy:
        return Policy.parse(self.policy_text)

    def skip(self, item: Item) -> Done:
        return Done()

    def release(self, item: Item) -> Done:
        self.released.append(str(item.body["lease"]))
        return Done()

    def bury(self, work: Transaction, item: Item, sentence: str) -> None:
        raise AssertionError(f"{item.key}: {sentence}")

    # what the engine writes -----------------------------------------------------------------------------------------

    def arrived(self, alert: Alert, case_id: str, state: str = arrival.CASED) -> None:
        """An alert that came in and is in a case."""
        body = {
            "origin": "wazuh", "alert": alert.document, "hive_id": f"~h{alert.id}", "suppressed": "",
            "at": self.clock.now(), "observables": [list(entry) for entry in extract(alert)],
        }  # fmt: skip
        with self.store.transaction() as work:
            work.save(arrival.KIND, f"siem01:{alert.id}", body, version=0, state=state, ref=case_id)

    def spoke(self, case_id: str, data: str = ATTACKER, log_odds: float = 2.0, **words: str) -> str:
        """A verdict on an observable of a case."""
        ledger = [{"source": source, "level": level} for source, level in words.items()]
        ledger.append({"source": "Silent", "level": "missing"})
        body = {
            "observable": {"id": f"~{data}", "dataType": "ip", "data": data, "tags": []},
            "full": {"ledger": ledger, "unrated": [], "log_odds": log_odds}, "at": self.clock.now(),
        }  # fmt: skip
        key = f"{case_id}:{data}:{self.clock.now()}"
        with self.store.transaction() as work:
            work.save("verdict", key, body, state="malicious", ref=case_id)
        return key

    def decided(self, case_id: str, made: Decision, verdict: str = "") -> Record:
        """A decision, ruled on by the engine itself."""
        scene = ruling.Scene("verdict", case_id, "", f"~{made.target.data}" if made.target else "", verdict)
        judged = Judged(made, made.wanted, made.kind)
        with self.store.transaction() as work:
            before = {record.key for record in work.find(ruling.KIND)}
            ruling.Ruling(self.tools, self.ask).rule(work, self.policy(), judged, scene, f"~{judged.target}")
            (record,) = [record for record in work.find(ruling.KIND) if record.key not in before]
        return record

    def ask(self, work: Transaction, record: Record) -> None:
        grant = lease.Grant(**record.body["grant"])
        approval.request(work, self.tools, approval.Ask(grant, (), (ANNA, BEN), 1, 3600))

    def set_state(self, kind: str, key: str, state: str, **changes: Any) -> None:
        """What another step would have made of a record."""
        with self.store.transaction() as work:
            record = work.get(kind, key)
            assert record is not None
            work.save(kind, key, {**record.body, **changes}, version=record.version, state=state, ref=record.ref)

    def open(self, case_id: str, *observables: Observable) -> None:
        """A case that one of our alerts is in."""
        self.hive.open(case_id, *observables)
        self.arrived(wazuh(f"a{case_id}"), case_id)

    # what happens ---------------------------------------------------------------------------------------------------

    def close(self, case_id: str, resolution: str, actor: str = ANNA) -> None:
        """An analyst closes a case, somebody notices, and everything due is done."""
        self.hive.close_case(case_id, resolution, actor)
        self.notice(case_id)

    def reopen(self, case_id: str) -> None:
        self.hive.reopen_case(case_id)
        self.notice(case_id)

    def notice(self, case_id: str) -> bool:
        case = self.hive.cases[case_id]
        with self.store.transaction() as work:
            new = noticed(work, case)
        self.loop.run_due()
        return new

    def false_positive(self, number: int, data: str = ATTACKER, resolution: str = "FalsePositive", **more: Any) -> None:
        """A whole case: an alert came in, and the case was closed."""
        case_id = f"~{number}"
        self.hive.open(case_id, seen(data))
        self.arrived(wazuh(str(number), data, **more), case_id)
        self.close(case_id, resolution)

    # what is there --------------------------------------------------------------------------------------------------

    def suppressed(self, alert: Alert) -> str | None:
        return self.suppressor(alert, extract(alert))

    @property
    def judgements(self) -> Judgements:
        with self.store.transaction() as work:
            return Judgements(lines(work))

    def labels(self) -> list[tuple[str, bool, float, tuple[str, ...]]]:
        return [(label.data, label.malicious, label.weight, label.why) for label, _, _ in self.judgements.labels()]

    def said(self, action: str) -> list[dict[str, Any]]:
        return [dict(line) for line in self.journal.lines() if line["action"] == action]
