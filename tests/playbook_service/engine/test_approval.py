"""Without a grant by an allowed analyst nothing that needed approval happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from stub_hive import StubHive

from playbook_service.audit.journal import Journal
from playbook_service.engine import approval, lease
from playbook_service.engine.loop import Loop
from playbook_service.engine.markdown import code, plain
from playbook_service.engine.step import Done
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Audit, Case, Task, TaskDraft
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Item, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock
from propolis.guardrails import Policy

SERVICE, ANNA, BEN, EVE = "propolis@soc.example", "anna@soc.example", "ben@soc.example", "eve@soc.example"
GRANT = lease.Grant(
    "L1", "IsolateHost", "case_artifact", "~41", "~8", "web01", 14400, "3 sources call it malicious", "d" * 64, ""
)


class CaseHive(StubHive):
    """One case with tasks, and an audit trail as TheHive keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.board: dict[str, Task] = {}
        self.trail: list[Audit] = []
        self.case_open = True
        self.profiles: dict[str, str] = {}
        self.crash_after_first_task = False
        self.closes_while_read = False

    def profile(self, login: str) -> str:
        return self.profiles.get(login, "")

    def case(self, case_id: str) -> Case | None:
        resolution = "" if self.case_open else "TruePositive"
        return Case(case_id, 128, "Case", 2, (), False, self.case_open, resolution, "", {}, 0, 0, 0, {})

    def tasks(self, case_id: str) -> list[Task]:
        return list(self.board.values())

    def task(self, task_id: str) -> Task | None:
        if self.closes_while_read:  # the case is closed between the look at it and the look at its task
            self.case_open = False
            self.set_status(task_id, "Completed", ANNA)
        return self.board.get(task_id)

    def create_task(self, case_id: str, draft: TaskDraft) -> Task:
        task = Task(
            f"~t{len(self.board)}", case_id, draft.title, draft.group, draft.description, draft.status, draft.flag,
            "", 0, 0, {},
        )  # fmt: skip
        self.board[task.id] = task
        if self.crash_after_first_task:
            self.crash_after_first_task = False
            raise ConnectionResetError("killed here")
        return task

    def update_task(
        self, task_id: str, *, status: str | None = None, description: str | None = None, flag: bool | None = None
    ) -> None:
        self.set_status(task_id, status or "", SERVICE)

    def audits(self, entity: str, entity_id: str, root_id: str) -> list[Audit]:
        return [audit for audit in self.trail if audit.entity_id == entity_id]

    def set_status(self, task_id: str, status: str, actor: str | None) -> None:
        """What an analyst does; without an actor, what TheHive 4 does by itself when a case is closed."""
        self.board[task_id] = self.board[task_id]._replace(status=status)
        if actor is not None:
            self.trail.insert(0, Audit("task", task_id, "update", actor, 0, {"status": status}))


class Desk:
    """A question that was put, and the engine around it."""

    def __init__(self, approvers: Sequence[str] = (ANNA, BEN), needed: int = 1):
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.hive = CaseHive()
        self.hive.reports = {"IsolateHost": [{"success": True, "full": {"result": "contained"}}]}
        self.journal = Journal(self.store, self.clock)
        self.tools = Tools(
            self.store, self.clock, self.hive, self.journal, lambda: Playbooks(()), lambda: Policy.parse(None),
            lambda: "approve", SERVICE,
        )  # fmt: skip
        self.against = ""
        desk = approval.Desk(self.tools, lambda grant: self.against)
        handlers = {
            "approve": desk.step,
            "contain": lambda item: lease.contain(self.tools, item),
            "release": lambda item: lease.release(self.tools, item),
            "tell": lambda item: Done(),
        }
        self.loop = Loop(self.store, self.clock, handlers, owner="node", buried=self.buried, jitter=lambda: 1.0)
        self.ask = approval.Ask(GRANT, ("AbuseIPDB: malicious, +1.1",), tuple(approvers), needed, 4 * 3600)
        self.put()
        self.run()

    def put(self) -> None:
        with self.store.transaction() as work:
            approval.request(work, self.tools, self.ask)

    def buried(self, work: Transaction, item: Item, sentence: str) -> None:
        raise AssertionError(sentence)

    def run(self, seconds: float = 60) -> None:
        for _ in range(int(seconds // 15) + 1):
            self.loop.run_due()
            self.clock.advance(15)

    def answer(self, status: str, actor: str | None, number: int = 0) -> None:
        self.hive.set_status(f"~t{number}", status, actor)
        self.run()

    @property
    def state(self) -> tuple[str, str]:
        with self.store.transaction() as work:
            record = work.get(approval.KIND, "L1")
        assert record is not None
        return record.state, record.body["why"]

    @property
    def contained(self) -> bool:
        return bool(self.hive.started)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_question_says_what_would_be_done_why_and_how_to_answer(desk: Desk):
    (task,) = desk.hive.board.values()
    assert (task.flag, task.status, task.title) == (True, "Waiting", "APPROVE? IsolateHost web01")
    for part in (
        "`web01`",
        "**4h**",
        "3 sources call it malicious",
        "AbuseIPDB",
        "**Complete**",
        "**cancel**",
        "lapses at",
    ):
        assert part in task.description


def test_completing_the_task_grants_and_the_containment_carries_the_approvers_name(desk: Desk):
    desk.answer("Completed", ANNA)
    assert desk.state == (approval.GRANTED, "")
    assert desk.contained
    wished = next(line for line in desk.journal.lines() if line["action"] == "containment wished")
    assert wished["operator"] == ANNA


def test_cancelling_the_task_denies(desk: Desk):
    desk.answer("Cancel", ANNA)
    assert desk.state == (approval.DENIED, "it was cancelled")
    assert not desk.contained


@pytest.mark.parametrize(("actor", "why"), [
    (SERVICE, "own account"), (EVE, "not one of those"), (None, "does not say who"),
])  # fmt: skip
def test_a_completion_by_the_service_by_a_stranger_or_by_nobody_is_no_grant(desk: Desk, actor: str | None, why: str):
    desk.answer("Completed", actor)
    assert desk.state[0] == approval.DENIED
    assert why in desk.state[1]
    assert not desk.contained


def test_the_service_cannot_approve_even_where_anybody_may():
    desk = Desk(approvers=())
    desk.answer("Completed", SERVICE)
    assert desk.state[0] == approval.DENIED


def test_a_later_edit_by_an_approver_does_not_make_a_strangers_completion_his(desk: Desk):
    desk.hive.set_status("~t0", "Completed", EVE)
    desk.hive.trail.insert(0, Audit("task", "~t0", "update", ANNA, 0, {"assignee": ANNA}))
    desk.run()
    assert desk.state[0] == approval.DENIED


def test_a_case_closed_while_the_question_stands_grants_nothing(desk: Desk):
    desk.hive.case_open = False
    desk.answer("Completed", ANNA)
    assert desk.state == (approval.DENIED, "the case was closed while the question stood")
    assert not desk.contained


def test_a_case_that_is_closed_in_the_moment_in_which_it_is_read_grants_nothing(desk: Desk):
    desk.hive.closes_while_read = True
    desk.run()
    assert desk.state == (approval.DENIED, "the case was closed while the question stood")
    assert not desk.contained


def test_a_task_that_thehive_completed_with_its_case_is_no_grant_when_the_case_is_opened_again(desk: Desk):
    desk.hive.set_status("~t0", "InProgress", ANNA)
    desk.answer("Completed", None)
    assert desk.state[0] == approval.DENIED
    assert not desk.contained


def test_a_question_whose_text_was_changed_cannot_be_granted(desk: Desk):
    task = desk.hive.board["~t0"]
    desk.hive.board["~t0"] = task._replace(description=task.description.replace("web01", "printer"))
    desk.answer("Completed", ANNA)
    assert "changed after it was written" in desk.state[1]
    assert not desk.contained


def test_a_deleted_question_is_a_no(desk: Desk):
    del desk.hive.board["~t0"]
    desk.run()
    assert desk.state[0] == approval.DENIED


def test_without_an_answer_the_question_lapses_and_its_task_goes_away(desk: Desk):
    desk.run(4 * 3600)
    assert desk.state == (approval.EXPIRED, "nobody answered in time")
    assert desk.hive.board["~t0"].status == "Cancel"
    desk.answer("Completed", ANNA)
    assert not desk.contained


def test_when_the_world_has_changed_a_grant_is_not_carried_out(desk: Desk):
    desk.against = "the verdict has fallen to suspicious"
    desk.answer("Completed", ANNA)
    assert desk.state == (approval.DENIED, f"granted by {ANNA}, but the verdict has fallen to suspicious")
    assert not desk.contained


def test_two_of_two_must_be_two_people():
    desk = Desk(needed=2)
    assert len(desk.hive.board) == 2
    desk.answer("Completed", ANNA, 0)
    assert desk.state[0] == approval.WAITING
    desk.answer("Completed", ANNA, 1)
    assert desk.state[0] == approval.DENIED
    assert not desk.contained


def test_two_of_two_grant_together_and_one_no_is_a_no():
    desk = Desk(needed=2)
    desk.answer("Completed", ANNA, 0)
    desk.answer("Completed", BEN, 1)
    assert desk.state[0] == approval.GRANTED
    other = Desk(needed=2)
    other.answer("Completed", ANNA, 0)
    other.answer("Cancel", BEN, 1)
    assert other.state[0] == approval.DENIED


def test_asking_the_same_twice_puts_one_question(desk: Desk):
    desk.put()
    desk.run()
    assert len(desk.hive.board) == 1


def test_a_crash_between_task_and_note_puts_no_second_task():
    desk = Desk(needed=2)
    desk.hive.board.clear()
    desk.hive.crash_after_first_task = True
    desk.ask = desk.ask._replace(grant=GRANT._replace(lease="L2"))
    desk.put()
    desk.run()
    assert len(desk.hive.board) == 2


@pytest.mark.parametrize("hostile", [
    "x\n\n# Approved by the CISO", "[click](https://evil.example.net)", "<img src=x onerror=alert(1)>",
    "`code` **bold**", "\u202egnp.exe", "a" * 5000,
])  # fmt: skip
def test_hostile_text_stays_text(hostile: str):
    for made in (plain(hostile), code(hostile)):
        assert "\n" not in made
        assert "\u202e" not in made
        assert len(made) <= 700
    assert "[" not in plain(hostile).replace("\\[", "")
    assert "<" not in plain(hostile).replace("\\<", "")
    assert code(hostile).count("`") == 2


def test_an_approval_is_listed_while_it_waits(desk: Desk):
    with desk.store.transaction() as work:
        assert [record.key for record in approval.waiting(work, "~8")] == ["L1"]
    desk.answer("Cancel", ANNA)
    with desk.store.transaction() as work:
        assert approval.waiting(work) == []


def test_every_answer_is_on_record(desk: Desk):
    desk.answer("Completed", ANNA)
    actions: list[Any] = [(line["action"], line.get("operator")) for line in desk.journal.lines()]
    assert ("approval asked", None) in actions
    assert ("approval granted", ANNA) in actions
    assert desk.journal.verify() == []


def test_a_question_on_newer_evidence_takes_the_place_of_the_older_one(desk: Desk):
    desk.ask = desk.ask._replace(grant=GRANT._replace(lease="L2", decision="e" * 64))
    desk.put()
    desk.run()
    assert desk.state == (approval.DENIED, "the evidence has changed, so it was asked again")
    assert [task.status for task in desk.hive.board.values()] == ["Cancel", "Waiting"]
    desk.answer("Completed", ANNA, 0)
    assert not desk.contained
    desk.answer("Completed", ANNA, 1)
    assert desk.contained


def test_questions_about_other_targets_stand_beside_each_other(desk: Desk):
    desk.ask = desk.ask._replace(grant=GRANT._replace(lease="L2", target="web02"))
    desk.put()
    desk.run()
    assert desk.state[0] == approval.WAITING
    assert len(desk.hive.board) == 2


@pytest.mark.parametrize(("profile", "state"), [("soc-lead", approval.GRANTED), ("analyst", approval.DENIED)])
def test_a_profile_may_be_named_instead_of_people(profile: str, state: str):
    desk = Desk(approvers=("profile:soc-lead",))
    desk.hive.profiles = {EVE: profile}
    desk.answer("Completed", EVE)
    assert desk.state[0] == state
