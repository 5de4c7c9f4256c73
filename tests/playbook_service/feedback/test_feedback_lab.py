"""The feedback loop over TheHive 4 and 5 as the lab plays them: who closed a case, as what, and what follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playbook_service.audit.journal import Journal
from playbook_service.demo.prepare import fill_catalogues
from playbook_service.engine.arrival import KIND as ALERT
from playbook_service.engine.loop import Loop
from playbook_service.engine.pipeline import Seams, pipeline
from playbook_service.engine.step import Done
from playbook_service.engine.tools import Tools
from playbook_service.feedback.assembly import assemble
from playbook_service.feedback.closure import noticed
from playbook_service.feedback.label import Judgements, lines
from playbook_service.feedback.learning import Learner
from playbook_service.feedback.register import Suppressor
from playbook_service.feedback.review import considered
from playbook_service.hive import connect
from playbook_service.intake.routes import wazuh_event
from playbook_service.lab import Lab
from playbook_service.lab.lab import ORGANISATION
from playbook_service.playbook import SHIPPED, load
from playbook_service.store.contract import Item, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock, SystemClock
from propolis.guardrails import Policy
from propolis.http import session

SERVICE = "playbook@soc.example"
ANALYST = "analyst@soc.example"
CLOSE: dict[int, Any] = {
    4: lambda word: {"status": "Resolved", "resolutionStatus": word, "impactStatus": "NoImpact", "summary": "s"},
    5: lambda word: {"status": word, "impactStatus": "NoImpact", "summary": "s"},
}
REOPEN = {4: {"status": "Open"}, 5: {"status": "InProgress"}}


@pytest.fixture(scope="module", params=[4, 5], ids=["thehive4", "thehive5"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(request.param, refresh=0.05) as lab:
        with session(lab.thehive_url, headers={"Authorization": f"Bearer {lab.keys.admin}"}) as admin:
            fill_catalogues(admin, lab.version)
        yield lab


class Node:
    """A service with the engine and the feedback loop over the lab."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.clock = ManualClock(SystemClock().now())
        self.store = MemoryStore(self.clock)
        self.journal = Journal(self.store, self.clock)
        self.hive = connect(lab.thehive_url, lab.keys.service, organisation=ORGANISATION)
        playbooks = load(SHIPPED)
        tools = Tools(
            self.store, self.clock, self.hive, self.journal, lambda: playbooks, lambda: Policy.parse(None),
            lambda: "observe", SERVICE,
        )  # fmt: skip
        learner = Learner(self.store, self.clock)
        seams = Seams(suppressed=Suppressor(self.store, self.clock), options=learner.options, considered=considered)
        self.engine = pipeline(tools, seams)
        self.feedback = assemble(tools, self.engine.deciding)
        handlers = {**self.engine.handlers(), **self.feedback.handlers(), "tell": self.skip, "notify": self.skip}
        self.loop = Loop(self.store, self.clock, handlers, owner="node", buried=self.bury, jitter=lambda: 1.0)

    def skip(self, item: Item) -> Done:
        return Done()

    def bury(self, work: Transaction, item: Item, sentence: str) -> None:
        raise AssertionError(f"{item.key}: {sentence}")

    def receive(self, alert: dict[str, Any]) -> dict[str, Any]:
        """The alert's record once it is through."""
        with self.store.transaction() as work:
            event = wazuh_event(alert, "wazuh")
            work.put("inbox", event.key, event.body)
        for _ in range(20):
            self.loop.run_due()
            self.lab.settle(future=False)
            self.clock.advance(2)
        with self.store.transaction() as work:
            (record,) = [one for one in work.find(ALERT) if one.body["alert"]["id"] == alert["id"]]
        return {"state": record.state, "case": record.ref, "hive": record.body["hive_id"]}

    def patch(self, case_id: str, body: dict[str, Any], key: str) -> None:
        """What a person does to a case, and what a hook or reconciliation then notices."""
        who = session(self.lab.thehive_url, headers={"Authorization": f"Bearer {key}"})
        path = f"/api/v1/case/{case_id}" if self.lab.version == 5 else f"/api/case/{case_id}"
        who.patch(path, json=body)
        who.close()
        case = self.hive.case(case_id)
        assert case is not None
        with self.store.transaction() as work:
            noticed(work, case)
        self.loop.run_due()

    def said(self, action: str) -> list[dict[str, Any]]:
        return [dict(line) for line in self.journal.lines() if line["action"] == action]


def alert_of(number: int, level: int = 10) -> dict[str, Any]:
    path = Path(__file__).resolve().parents[3] / "playbook_service" / "samples" / "alerts.jsonl"
    samples = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    found = next(alert for alert in samples if alert["id"] == "1794881684.25339")
    return {**found, "id": f"1794881684.{number}", "rule": {**found["rule"], "level": level}}


def test_three_cases_closed_false_positive_suppress_the_next_alert(lab: Lab):
    node = Node(lab)
    base = 1000 * lab.version
    for number in range(3):
        came = node.receive(alert_of(base + number))
        assert came["state"] == "cased"
        node.patch(came["case"], CLOSE[lab.version]("FalsePositive"), lab.keys.analyst)
        line = node.said("case closed")[-1]
        assert (line["operator"], line["result"], line["label"]) == (ANALYST, "FalsePositive", "FalsePositive")
        node.clock.advance(5)
    came = node.receive(alert_of(base + 3))
    assert came["state"] == "suppressed"
    kept = node.hive.alert(came["hive"])
    assert kept is not None
    assert "propolis:suppressed" in kept.tags
    assert node.receive(alert_of(base + 4, level=12))["state"] == "cased"
    assert node.journal.verify() == []


def test_a_closing_by_the_services_own_account_teaches_nothing(lab: Lab):
    node = Node(lab)
    came = node.receive(alert_of(1000 * lab.version + 100))
    node.patch(came["case"], CLOSE[lab.version]("FalsePositive"), lab.keys.service)
    (line,) = node.said("case closed")
    assert (line["why"], line.get("label")) == ("the service itself closed it", None)


def test_reopened_and_closed_otherwise_by_another_analyst(lab: Lab):
    node = Node(lab)
    came = node.receive(alert_of(1000 * lab.version + 200))
    node.patch(came["case"], CLOSE[lab.version]("FalsePositive"), lab.keys.analyst)
    node.patch(came["case"], REOPEN[lab.version], lab.keys.analyst)
    assert len(node.said("case reopened")) == 1
    node.patch(came["case"], CLOSE[lab.version]("TruePositive"), lab.keys.approver)
    assert [line["operator"] for line in node.said("case closed")] == [ANALYST, "approver@soc.example"]
    with node.store.transaction() as work:
        ((_, closing),) = Judgements(lines(work)).closings.values()
    assert (closing.judgement, closing.by) == ("TruePositive", "approver@soc.example")
