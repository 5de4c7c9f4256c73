"""Answers by the command line or the API are weighed with those in TheHive, by the same rules."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from seen_house import ANNA, BEN, CASE_ID, OBSERVABLE_ID, SERVICE, House

from playbook_service.engine import approval, lease
from playbook_service.engine.approval import DENIED, GRANTED
from playbook_service.engine.loop import Loop
from playbook_service.engine.step import Done
from playbook_service.hive.model import Audit, Task
from propolis.errors import InputError

GRANT = lease.Grant(
    "Q1", "FirewallBlock", "case_artifact", OBSERVABLE_ID, CASE_ID, "203.0.113.7", 60, "w", "d" * 64, ""
)


class Asked:
    """A question that was put into the case."""

    def __init__(self, needed: int = 1, approvers: Sequence[str] = ()) -> None:
        self.house = house = House()
        hive = house.hive
        hive.reports = {"FirewallBlock": [house.contained(key="Q1")], "FirewallUnblock": []}
        self.against = ""
        hive.task = lambda task_id: next((one for one in hive.made_tasks if one.id == task_id), None)  # type: ignore[method-assign]
        hive.update_task = self.change  # type: ignore[method-assign]
        desk = approval.Desk(house.tools, lambda grant: self.against)
        handlers = {
            "approve": desk.step,
            "contain": lambda item: lease.contain(house.tools, item),
            "release": lambda item: lease.release(house.tools, item),
            "tell": lambda item: Done(),
        }
        house.loop = Loop(house.store, house.clock, handlers, owner="node", buried=house.buried, jitter=lambda: 1.0)
        with house.store.transaction() as work:
            approval.request(work, house.tools, approval.Ask(GRANT, (), tuple(approvers), needed, 3600))
        house.run(5)

    def change(self, task_id: str, *, status: str | None = None, by: str = SERVICE, **_: object) -> None:
        hive = self.house.hive
        for place, task in enumerate(hive.made_tasks):
            if task.id == task_id:
                hive.made_tasks[place] = task._replace(status=status or task.status)
        hive.trail.insert(0, Audit("task", task_id, "update", by, hive.ms, {"status": status}))

    def give(self, actor: str, word: str = GRANTED) -> None:
        with self.house.store.transaction() as work:
            approval.give(work, self.house.tools, "Q1", actor, word)
        self.house.run(5)

    @property
    def state(self) -> str:
        return self.house.record(approval.KIND, "Q1").state

    @property
    def tasks(self) -> list[Task]:
        return self.house.hive.made_tasks


def test_a_grant_is_carried_out_at_once_and_the_task_goes_away():
    asked = Asked()
    asked.give(ANNA)
    assert asked.state == GRANTED
    assert asked.house.starts == ["FirewallBlock"]
    assert [task.status for task in asked.tasks] == ["Cancel"]
    granted = next(line for line in asked.house.journal.lines() if line["action"] == "approval granted")
    assert granted["operator"] == ANNA


def test_a_denial_denies_although_the_task_was_not_touched():
    asked = Asked()
    asked.give(ANNA, DENIED)
    assert (asked.state, asked.house.starts) == (DENIED, [])
    assert [task.status for task in asked.tasks] == ["Cancel"]


def test_one_answer_here_and_one_in_thehive_make_two():
    asked = Asked(needed=2)
    asked.give(ANNA)
    assert asked.state == approval.WAITING
    asked.change(asked.tasks[0].id, status="Completed", by=BEN)
    asked.house.run(30)
    assert asked.state == GRANTED
    assert [task.status for task in asked.tasks] == ["Completed", "Cancel"]


def test_the_same_person_here_and_there_is_one_person():
    asked = Asked(needed=2)
    asked.change(asked.tasks[0].id, status="Completed", by=ANNA)
    asked.give(ANNA)
    asked.house.run(30)
    assert asked.house.starts == []


def test_everything_is_checked_again():
    asked = Asked()
    asked.against = "the verdict has fallen"
    asked.give(ANNA)
    assert (asked.state, asked.house.starts) == (DENIED, [])


def test_a_closed_case_grants_nothing():
    asked = Asked()
    asked.house.hive.change_case(open=False, resolution="TruePositive")
    asked.give(ANNA)
    assert (asked.state, asked.house.starts) == (DENIED, [])


def test_an_answer_smuggled_into_the_store_is_judged_all_the_same():
    asked = Asked(approvers=[BEN])
    with asked.house.store.transaction() as work:
        record = work.get(approval.KIND, "Q1")
        assert record is not None
        body = {**record.body, "given": [[ANNA, GRANTED]]}
        work.save(approval.KIND, "Q1", body, state=record.state, ref=record.ref, due=record.due)
    asked.house.run(30)
    assert (asked.state, asked.house.starts) == (DENIED, [])


@pytest.mark.parametrize(("actor", "says"), [
    (SERVICE, "own account"), ("eve@soc.example", "not one of those"), ("", "cannot count"),
])  # fmt: skip
def test_who_may_not_is_told_so(actor: str, says: str):
    asked = Asked(approvers=[ANNA])
    with pytest.raises(InputError, match=says):
        asked.give(actor)


def test_an_expired_question_takes_no_answer():
    asked = Asked()
    asked.house.clock.advance(4000)
    with pytest.raises(InputError, match="expired"):
        asked.give(ANNA)


def test_an_unknown_question_takes_no_answer():
    asked = Asked()
    with asked.house.store.transaction() as work, pytest.raises(InputError, match="There is no approval"):
        approval.give(work, asked.house.tools, "Q2", ANNA, GRANTED)
