"""The page Approvals: questions with their evidence, who may answer, and answers that count as in TheHive."""

from __future__ import annotations

import re
from typing import Any

import pytest
from console_house import ANALYST, APPROVER, House, Seen
from counted import Counted
from filled import Filled

from playbook_service.engine import approval
from playbook_service.store.contract import Record

READER = "reader@soc.example"
BAD = '<img src=x onerror=alert(1)>"\u202e'
HERE = "/console/approvals"


@pytest.fixture
def world() -> Filled:
    """A fortnight whose questions the lab's people may answer."""
    filled = Filled()
    filled.fortnight()
    for record in questions(filled):
        change(filled, record, approvers=[ANALYST, APPROVER])
    return filled


def questions(world: Filled) -> list[Record]:
    """What waits, soonest expiry first."""
    with world.store.transaction() as work:
        return sorted(approval.waiting(work), key=lambda record: float(record.body["expires"]))


def change(world: Filled, record: Record, state: str = "", **changes: Any) -> None:
    with world.store.transaction() as work:
        body = {**record.body, **changes}
        work.save(approval.KIND, record.key, body, state=state or record.state, ref=record.ref, due=body["expires"])


def titles(page: Seen) -> list[str]:
    """The questions, in their order."""
    found = re.findall(r"<h3>(.*?)</h3>", page.html)
    return [re.sub(r"<[^>]+>", "", title) for title in found]


def test_a_question_says_what_would_be_done_on_what_evidence_and_who_may_answer(house: House) -> None:
    page = house.visitor(READER).get(HERE)
    assert titles(page) == ["block 203.0.113.44?", "isolate web01?"]
    assert (
        "if granted FirewallBlock is started on 203.0.113.44 for 1d, after which it is undone by itself." in page.text
    )
    assert "advises act" in page.text
    assert page.tags.count("svg") >= 12
    assert f"who may answer {ANALYST} , {APPROVER}" in page.text
    assert "answers none yet" in page.text
    assert re.search(r"block 203\.0\.113\.44 \? 3h5\dm left", page.text)


def test_an_empty_store_says_that_nobody_is_asked() -> None:
    with House() as empty:
        page = empty.visitor(ANALYST).get(HERE)
    assert "Nobody is asked anything at this moment." in page.text
    assert "No question has ended yet." in page.text


def test_the_soonest_expiry_comes_first_twenty_a_page(house: House) -> None:
    model = questions(house.world)[0]
    with house.world.store.transaction() as work:
        for number in range(30):
            grant = {**model.body["grant"], "target": f"10.0.0.{number}", "lease": f"Q{number:02}"}
            body = {**model.body, "grant": grant, "expires": model.body["expires"] - 1000 + number}
            state = (approval.ASKED, approval.WAITING)[number % 2]
            work.save(approval.KIND, f"Q{number:02}", body, state=state, ref=model.ref, due=body["expires"])
    visitor = house.visitor(ANALYST)
    page = visitor.get(HERE)
    assert titles(page) == [f"block 10.0.0.{number}?" for number in range(20)]
    page = visitor.get(next(link for link in page.links if "after=" in link))
    assert titles(page) == [
        *(f"block 10.0.0.{number}?" for number in range(20, 30)), "block 203.0.113.44?", "isolate web01?",
    ]  # fmt: skip
    assert [link for link in page.links if "after=" in link] == []
    assert visitor.get(f"{HERE}?after=x").status == 400


def test_the_cost_of_the_page_does_not_grow_with_what_was_decided_and_asked(world: Filled) -> None:
    model = questions(world)[0]

    def more(asked: int, decisions: int) -> None:
        world.many(decisions)
        with world.store.transaction() as work:
            for number in range(asked):
                work.save(approval.KIND, f"Q{number}", model.body, state=approval.WAITING, ref=model.ref, due=model.due)

    world.store = counted = Counted(world.store)
    more(asked=30, decisions=200)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        few = counted.during(lambda: visitor.get(HERE))
        world.store = counted.inner
        more(asked=300, decisions=1000)
        many = counted.during(lambda: visitor.get(HERE))
    assert many.total == few.total


@pytest.mark.parametrize("word", [approval.GRANTED, approval.DENIED])
def test_an_approver_answers_and_the_engine_is_told_to_weigh_it(house: House, word: str) -> None:
    question = questions(house.world)[0]
    act = f"{HERE}/{question.key}/{'grant' if word == approval.GRANTED else 'deny'}"
    visitor = house.visitor(APPROVER)
    page = visitor.press(visitor.get(HERE), act)
    assert (
        "Granted. Everything is checked again" if word == approval.GRANTED else "Denied. Nothing is done."
    ) in page.text
    assert house.world.record(approval.KIND, question.key).body["given"] == [[APPROVER, word]]
    (line,) = house.world.said("approval answered")
    assert (line["lease"], line["operator"], line["result"]) == (question.key, APPROVER, word)
    assert "You have answered." in page.text
    assert f"{APPROVER} {word}" in page.text
    assert act not in [action for action, _ in page.forms]


def test_a_second_answer_of_the_same_person_is_refused(house: House) -> None:
    question = questions(house.world)[0]
    visitor = house.visitor(APPROVER)
    page = visitor.get(HERE)
    visitor.press(page, f"{HERE}/{question.key}/grant")
    page = visitor.press(page, f"{HERE}/{question.key}/deny")
    assert f"{APPROVER} has answered already; the other answers must come from somebody else." in page.text
    assert len(house.world.said("approval answered")) == 1


def test_a_no_works_while_thehive_is_away_and_a_yes_does_not(house: House) -> None:
    one, other = questions(house.world)
    visitor = house.visitor(APPROVER)
    page = visitor.get(HERE)
    house.lab.stop()
    assert "Denied. Nothing is done." in visitor.press(page, f"{HERE}/{one.key}/deny").text
    assert visitor.press(page, f"{HERE}/{other.key}/grant").status == 503
    assert [line["result"] for line in house.world.said("approval answered")] == [approval.DENIED]


def test_who_is_not_listed_is_told_so_and_refused(house: House) -> None:
    for question in questions(house.world):
        change(house.world, question, approvers=[APPROVER])
    question = questions(house.world)[0]
    visitor = house.visitor(ANALYST)
    page = visitor.get(HERE)
    sentence = f"{ANALYST} is not one of those who may approve."
    assert f"Your answer would not count: {sentence}" in page.text
    assert [action for action, _ in page.forms] == ["/console/sign-out"]
    answer = visitor.post(f"{HERE}/{question.key}/grant", page.form("/console/sign-out"))
    assert f"This answer cannot count: {sentence}" in answer.text
    assert house.world.said("approval answered") == []


def test_a_profile_may_be_listed(house: House) -> None:
    question = questions(house.world)[0]
    change(house.world, question, approvers=["profile:analyst"])
    visitor = house.visitor(ANALYST)
    visitor.press(visitor.get(HERE), f"{HERE}/{question.key}/grant")
    assert house.world.record(approval.KIND, question.key).body["given"] == [[ANALYST, approval.GRANTED]]


def test_what_takes_several_says_how_many_different_people(house: House) -> None:
    change(house.world, questions(house.world)[0], needed=2, given=[["ben@soc.example", approval.GRANTED]])
    page = house.visitor(READER).get(HERE)
    assert "ben@soc.example granted ; 2 different people must say yes" in page.text


def test_who_may_only_look_is_offered_no_answer_and_refused(house: House) -> None:
    question = questions(house.world)[0]
    visitor = house.visitor(READER)
    page = visitor.get(HERE)
    assert "Your account may look on." in page.text
    for act in ("grant", "deny"):
        answer = visitor.post(f"{HERE}/{question.key}/{act}", page.form("/console/sign-out"))
        assert answer.status == 403
    assert house.world.said("approval answered") == []


def test_a_question_that_has_expired_takes_no_answer(house: House) -> None:
    question = questions(house.world)[0]
    visitor = house.visitor(APPROVER)
    page = visitor.get(HERE)
    change(house.world, question, expires=house.world.clock.now() - 60)
    assert f"The approval {question.key} has expired." in visitor.press(page, f"{HERE}/{question.key}/grant").text
    assert "It has expired: nothing will be done." in visitor.get(HERE).text


def test_what_was_answered_is_listed_with_its_outcome_and_has_its_page(house: House) -> None:
    question = questions(house.world)[0]
    change(house.world, question, approval.DENIED, answers=["anna@soc.example"], why="it was cancelled")
    visitor = house.visitor(READER)
    page = visitor.get(HERE)
    assert titles(page) == ["isolate web01?"]
    assert re.search(r"block 203\.0\.113\.44 denied anna@soc\.example \S+ \S+ #129 it was cancelled", page.text)
    page = visitor.get(f"{HERE}/{question.key}")
    assert "outcome it was cancelled" in page.text
    assert [action for action, _ in page.forms] == ["/console/sign-out"]


def test_a_question_that_is_not_there_is_told_in_a_sentence(house: House) -> None:
    page = house.visitor(READER).get(f"{HERE}/nothing")
    assert (page.status, "There is no such question" in page.text) == (404, True)


def test_texts_from_outside_are_inert(house: House) -> None:
    question = questions(house.world)[0]
    grant = {**question.body["grant"], "target": BAD + "A" * 1_000_000, "why": BAD, "by": BAD}
    change(house.world, question, grant=grant, approvers=[BAD], given=[[BAD, BAD]], why=BAD)
    visitor = house.visitor(ANALYST)
    for where in (HERE, f"{HERE}/{question.key}"):
        page = visitor.get(where)
        assert "img" not in page.tags
        assert "\u202e" not in page.html
        assert len(page.html) < 200_000
