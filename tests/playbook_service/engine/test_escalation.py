"""A case gets more attention once for each rule, not on every event."""

from __future__ import annotations

import pytest
from seen_house import CASE_ID, House

from playbook_service.engine import approval, lease
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.escalation import KIND, case_seen
from playbook_service.engine.escalation_rule import RULES, Rule, read_rules
from propolis.errors import ConfigurationError


@pytest.fixture
def house() -> House:
    return House(rules=RULES)


def seen(house: House) -> None:
    house.hook("case", CASE_ID)
    house.run(10)


def verdict(house: House, word: str, key: str = "r1:1", case_id: str = CASE_ID) -> None:
    with house.store.transaction() as work:
        work.save(VERDICT, key, {}, state=word, ref=case_id)
        house.journal.write(work, "verdict", case=case_id, result=word)


def look(house: House) -> None:
    house.escalation.round()
    house.run(10)


def question(house: House) -> None:
    grant = lease.Grant("Q1", "FirewallBlock", "case_artifact", "~41", CASE_ID, "203.0.113.7", 60, "", "", "")
    body = {"asked_at": house.clock.now(), "grant": grant._asdict()}
    with house.store.transaction() as work:
        work.save(approval.KIND, "Q1", body, state=approval.WAITING, ref=CASE_ID)


def test_a_critical_case_is_flagged_gets_a_task_and_somebody_is_told_once(house: House):
    house.hive.change_case(severity=4)
    for _ in range(5):
        seen(house)
    case = house.hive.board[CASE_ID]
    assert case.flag
    assert [task.title for task in house.hive.made_tasks] == ["Escalate: tell the incident lead"]
    assert [message.title for message in house.announced] == ["Case 128 was escalated: the case is critical"]
    assert house.audited == ["escalated"]


def test_it_is_not_repeated_when_the_case_changes_again(house: House):
    house.hive.change_case(severity=4)
    seen(house)
    house.hive.change_case(flag=False, tags=("seen",))
    seen(house)
    assert not house.hive.board[CASE_ID].flag  # an analyst took the flag away: that stands
    assert len(house.announced) == 1


def test_a_case_tagged_critical_becomes_critical(house: House):
    house.hive.change_case(tags=("critical",))
    seen(house)
    assert house.hive.board[CASE_ID].severity == 4
    seen(house)
    assert [task.title for task in house.hive.made_tasks] == ["Escalate: tell the incident lead"]


def test_two_occasions_at_once_escalate_once(house: House):
    with house.store.transaction() as work:
        for tags in ((), ("other",)):
            case = house.hive.board[CASE_ID]._replace(severity=4, tags=tags)
            assert case_seen(work, RULES, case) == 1
    house.hive.change_case(severity=4)
    house.run(30)
    assert len(house.announced) == 1
    assert house.audited == ["escalated"]
    assert house.hive.reads.count("case") < 10


def test_an_ordinary_case_is_left_alone(house: House):
    seen(house)
    look(house)
    assert house.records(KIND) == []
    assert house.hive.made_tasks == []


def test_a_malicious_observable_raises_the_case_once(house: House):
    verdict(house, "suspicious", "r0:1")
    look(house)
    assert house.hive.board[CASE_ID].severity == 2
    for number in range(4):
        verdict(house, "malicious", f"r{number}:1")
        look(house)
    assert (house.hive.board[CASE_ID].severity, house.hive.board[CASE_ID].flag) == (3, True)
    assert house.audited.count("escalated") == 1


def test_a_severity_that_is_higher_already_is_not_lowered(house: House):
    house.hive.change_case(severity=4)
    verdict(house, "malicious")
    look(house)
    assert house.hive.board[CASE_ID].severity == 4


def test_verdicts_are_read_on_from_where_the_last_round_ended(house: House):
    verdict(house, "malicious")
    look(house)
    read = house.record("watermark", KIND).body["number"]
    look(house)
    assert house.record("watermark", KIND).body["number"] >= read
    assert len(house.steps("escalate")) == 1


def test_a_question_that_nobody_answers_is_brought_up_again(house: House):
    question(house)
    house.clock.advance(1700)
    look(house)
    assert house.announced == []
    house.clock.advance(200)
    look(house)
    look(house)
    assert [task.title for task in house.hive.made_tasks] == ["Answer the open approval"]
    assert len(house.announced) == 1


def test_what_no_longer_holds_when_it_is_looked_at_is_not_escalated_but_may_be_later(house: House):
    house.hive.change_case(severity=4)
    house.hive.down = True
    house.hook("case", CASE_ID)
    house.hive.down = False
    house.run(60)
    assert house.records(KIND) != []
    other = House(rules=RULES)
    question(other)
    other.clock.advance(1900)
    other.escalation.round()
    with other.store.transaction() as work:
        work.save(approval.KIND, "Q1", {"asked_at": 0.0}, state=approval.GRANTED, ref=CASE_ID)
    other.run(10)
    assert other.records(KIND) == []


def test_a_closed_case_and_a_strangers_case_are_left_alone(house: House):
    house.hive.add_case("~9", severity=4)
    house.hook("case", "~9", root="~9")
    verdict(house, "malicious", case_id="~9")
    house.hive.change_case(severity=4, open=False, resolution="TruePositive")
    seen(house)
    look(house)
    assert house.records(KIND) == []


def test_rules_that_took_the_place_of_the_shipped_ones():
    house = House(rules=(Rule("mine", "I say so", severity=3, assign="ben@soc.example"),))
    house.hive.change_case(severity=3)
    seen(house)
    assert house.hive.board[CASE_ID].assignee == "ben@soc.example"
    assert not house.hive.board[CASE_ID].flag


def test_rules_are_read_from_a_file():
    text = """
- name: night
  why: nobody is there
  when: {severity: 3, unanswered: 10m}
  then: {severity: 4, flag: true, assign: ben@soc.example, task: Wake somebody, notify: true}
"""
    assert read_rules(text, "rules.yml") == (
        Rule("night", "nobody is there", severity=3, unanswered=600.0, raise_to=4, flag=True, assign="ben@soc.example",
             task="Wake somebody", notify=True),
    )  # fmt: skip
    assert read_rules("", "rules.yml") == ()


@pytest.mark.parametrize(("text", "says"), [
    ("a: 1", "must be a list of rules"),
    ("- name: x", "when is missing"),
    ("- {name: x, when: {severity: 9}, then: {flag: true}}", r"\[0\].when.severity: must be a severity"),
    ("- {name: x, when: {severity: 3}, then: {flags: true}}", r"\[0\].then.flags: is not known here"),
    ("- {name: x, when: {}, then: {flag: true}}", "must each say something"),
    ("- {name: x, when: {unanswered: soon}, then: {flag: true}}", "is not a duration"),
    ("- {name: 'a b', when: {tag: x}, then: {flag: true}}", "letters, digits and dashes"),
    ("- &a {name: x}\n- *a", "rules.yml"),
    ("- {name: x, when: {tag: y}, then: {flag: true}}\n" * 2, "stands twice"),
])  # fmt: skip
def test_a_faulty_file_is_refused_with_its_place(text: str, says: str):
    with pytest.raises(ConfigurationError, match=says) as raised:
        read_rules(text, "rules.yml")
    assert "rules.yml" in str(raised.value)
