"""What happened is told in the case, once, and what needs somebody is flagged."""

from __future__ import annotations

from typing import Any

import pytest
from stub_hive import StubHive

from playbook_service.audit.journal import Journal
from playbook_service.engine import approval, lease
from playbook_service.engine.markdown import plain
from playbook_service.engine.tell import Teller
from playbook_service.engine.tools import Tools
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Item, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock
from propolis.guardrails import Policy
from propolis.notify.message import Message

GRANT = lease.Grant(
    "L1", "FirewallBlock", "case_artifact", "~41", "~8", "203.0.113.7", 3600, "4 families say malicious", "d" * 64,
    "anna@soc.example",
)  # fmt: skip
FULL = {"verified": "read back", "sessions": {"ended": ["2 logins"], "remaining": ["Kerberos tickets, up to 10 h"]}}


class Reporter:
    """A teller with its case, and what it announced."""

    def __init__(self) -> None:
        clock = ManualClock()
        self.store = MemoryStore(clock)
        self.hive = StubHive()
        self.announced: list[Message] = []
        tools = Tools(
            self.store, clock, self.hive, Journal(self.store, clock), lambda: Playbooks(()),
            lambda: Policy.parse(None), lambda: "enforce", "propolis@soc.example",
        )  # fmt: skip
        self.teller = Teller(tools, lambda work, message: self.announced.append(message))

    def keep(self, kind: str, key: str, state: str, **body: Any) -> None:
        with self.store.transaction() as work:
            work.save(kind, key, {"grant": GRANT._asdict(), **body}, state=state, ref="~8")

    def tell(self, key: str, **body: str) -> None:
        outcome = self.teller.step(Item(1, "step", f"tell:{key}", {"do": "tell", **body}, 1, 0.0, 0.0))
        with self.store.transaction() as work:
            self._commit(outcome, work)

    def _commit(self, outcome: Any, work: Transaction) -> None:
        if outcome.commit is not None:
            outcome.commit(work)


@pytest.fixture
def reporter() -> Reporter:
    reporter = Reporter()
    reporter.keep(lease.KIND, "L1", lease.ACTIVE, until=1_767_229_200.0, where="fw1", report=FULL, ended_by="", undos=0)
    return reporter


def test_a_containment_is_a_completed_task_that_says_what_where_until_when_and_what_lives_on(reporter: Reporter):
    reporter.tell("L1", lease="L1", what="contained")
    (task,) = reporter.hive.made_tasks
    assert (task.title, task.status, task.flag) == ("Contained: 203.0.113.7 (FirewallBlock)", "Completed", False)
    for part in ("`fw1`", "2026-01-01T01:00:00Z", "read back", "4 families", "anna", "2 logins", "Kerberos tickets"):
        assert part in task.description
    assert [message.urgency for message in reporter.announced] == ["info"]


def test_telling_twice_writes_one_task(reporter: Reporter):
    for _ in range(2):
        reporter.tell("L1", lease="L1", what="contained")
    assert len(reporter.hive.made_tasks) == 1


@pytest.mark.parametrize(("what", "title"), [("not contained", "NOT contained"), ("undo fails", "RELEASE BY HAND?")])
def test_what_needs_somebody_is_flagged_and_urgent(reporter: Reporter, what: str, title: str):
    reporter.tell("L1", lease="L1", what=what)
    (task,) = reporter.hive.made_tasks
    assert task.title.startswith(title)
    assert (task.status, task.flag) == ("Waiting", True)
    assert [message.urgency for message in reporter.announced] == ["high"]


def test_a_release_is_told_with_who_ended_it(reporter: Reporter):
    reporter.tell("L1:released", lease="L1", what="released")
    assert "its time was over" in reporter.hive.made_tasks[0].description


def test_a_refused_question_is_told_and_a_granted_one_is_told_by_what_follows(reporter: Reporter):
    reporter.keep(approval.KIND, "A1", approval.DENIED, why="it was cancelled")
    reporter.tell("A1", approval="A1", what="approval denied")
    reporter.tell("A1", approval="A1", what="approval granted")
    (task,) = reporter.hive.made_tasks
    assert task.title == "Not approved: 203.0.113.7 (FirewallBlock)"
    assert "it was cancelled" in task.description


@pytest.mark.parametrize(("what", "flag"), [("stopped", False), ("held", True)])
def test_what_a_guardrail_stopped_or_a_limit_held_back_is_told(reporter: Reporter, what: str, flag: bool):
    decision = {"action": "respond FirewallBlock", "target": {"data": "198.51.100.7"}}
    reporter.keep("decision", "D1", what, decision=decision, why="198.51.100.7 is ours.", rule="firewall.own")
    reporter.tell("D1", decision="D1", what=what)
    (task,) = reporter.hive.made_tasks
    assert task.flag is flag
    assert "198.51.100.7 is ours." in task.description
    assert "`firewall.own`" in task.description


def test_of_what_is_forgotten_nothing_is_told(reporter: Reporter):
    reporter.tell("gone", lease="gone", what="contained")
    reporter.tell("nothing", what="contained")
    assert reporter.hive.made_tasks == []


def test_plain_text_makes_no_links_by_itself():
    assert "https://" not in plain("see https://evil.example.net")
    assert "www." not in plain("see WWW.evil.example.net").lower()
