"""An alert gets into TheHive once, into the right case once, and the books are kept once, whatever comes between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from case_hive import CaseHive, refused
from engine_lab import Service, sample
from stub_hive import lost

from playbook_service.engine import arrival
from playbook_service.engine.books import GROUPS
from playbook_service.engine.draft import SUPPRESSED_TAG
from playbook_service.engine.pipeline import Seams
from playbook_service.engine.placement import CASE, NO_TEMPLATE_TAG
from playbook_service.engine.standing import changed
from playbook_service.playbook import load
from propolis.clock import ManualClock

BRUTE_FORCE, GUESSED = "1794881684.25339", "1794884571.44829"
NOISE = "1794881647.14228"


@pytest.fixture
def hive() -> CaseHive:
    return CaseHive(ManualClock())


@pytest.fixture
def service(hive: CaseHive) -> Service:
    return new_service(hive)


def new_service(hive: CaseHive, **seams: Any) -> Service:
    return Service(hive, clock=hive.clock, seams=Seams(**seams))


def alert(number: int = 1, source: str = "203.0.113.17", agent: str = "003", level: int = 10) -> dict[str, Any]:
    document = sample(BRUTE_FORCE)
    document["id"] = f"1794881684.{number}"
    document["data"]["srcip"] = source
    document["full_log"] = document["previous_output"] = ""
    document["agent"] = {"id": agent, "name": f"host{agent}", "ip": "192.0.2.9"}
    document["rule"]["level"] = level
    return document


def playbooks(service: Service, place: Path, text: str) -> None:
    path = place / "own.yml"
    path.write_text(text, encoding="utf-8")
    service.books = load(path)


# arrival


def test_an_alert_is_made_once_however_often_it_comes(service: Service, hive: CaseHive) -> None:
    service.receive(alert(), alert())
    service.run(10)
    service.loop = service.new_loop()
    with service.store.transaction() as work:
        work.put("inbox", "again", {"from": "wazuh", "alert": alert()})
    service.run(10)
    assert len(hive.alerts) == 1
    record = service.record(arrival.KIND)
    assert record.key == "siem01:1794881684.1"
    assert record.state == arrival.CASED
    assert record.ref == next(iter(hive.board))


def test_an_alert_that_somebody_else_made_before_gets_our_tags(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    service.turn()
    made = next(iter(hive.alerts.values()))
    hive.alerts[made.id] = made._replace(tags=("theirs",))
    service.store._records.clear()
    with service.store.transaction() as work:
        work.put("inbox", "again", {"from": "wazuh", "alert": alert()})
    service.turn()
    assert {"theirs", "wazuh", "rule-5712"} <= set(hive.alerts[made.id].tags)


def test_while_thehive_is_down_the_alert_waits_and_comes_in_later(service: Service, hive: CaseHive) -> None:
    hive.down = refused(503, "down")
    service.receive(alert())
    service.run(3600, step=60)
    assert (hive.alerts, service.buried) == ({}, [])
    hive.down = None
    service.run(400, step=20)
    assert len(hive.board) == 1


def test_a_suppressed_alert_is_made_tagged_marked_read_and_counted(hive: CaseHive) -> None:
    service = new_service(hive, suppressed=lambda alert, observables: f"{len(observables)} closed three times")
    service.receive(alert())
    service.run(10)
    (made,) = hive.alerts.values()
    assert made.read
    assert SUPPRESSED_TAG in made.tags
    assert (hive.board, hive.ran()) == ({}, [])
    assert [record.ref for record in service.records(arrival.KIND, arrival.SUPPRESSED)] == [""]
    assert "closed three times" in service.said("suppressed")[0]["why"]


def test_an_alert_of_another_siem_is_of_its_type(service: Service, hive: CaseHive) -> None:
    service.receive({**alert(), "rule": {"id": "siem", "level": 12, "groups": ["siem"]}}, origin="siem")
    service.turn()
    (made,) = hive.alerts.values()
    assert made.type == "siem"
    assert {"siem", "rule-siem"} <= set(made.tags)


def test_an_invalid_policy_keeps_no_alert_out_of_thehive_but_stops_what_follows(
    service: Service, hive: CaseHive
) -> None:
    good, service.policy_text = service.policy_text, "firewall: {own: [nonsense]}"
    service.receive(alert())
    service.run(8000, step=100)
    assert (len(hive.alerts), len(hive.board), service.buried) == (1, 0, [])
    service.policy_text = good
    service.run(120)
    assert len(hive.board) == 1


def test_what_the_policy_calls_ours_is_internal(service: Service, hive: CaseHive) -> None:
    service.receive(alert(source="192.0.2.81"))
    service.turn()
    (draft,) = hive.drafts.values()
    address = next(entry for entry in draft.observables if entry.data == "192.0.2.81")
    assert "internal" in address.tags
    assert "external" not in address.tags


# the case


def test_an_alert_that_deserves_it_gets_a_case_from_the_template_with_its_tasks(
    service: Service, hive: CaseHive
) -> None:
    service.receive(alert())
    service.run(5)
    (case,) = hive.board.values()
    assert case.raw["template"] == "Wazuh alert"
    groups = {task.title: task.group for task in hive.work.values()}
    assert groups["Triage the alert"] == GROUPS["analysis"] == "Detection & analysis"
    assert "Decide whether to escalate" not in groups


def test_from_level_12_on_somebody_is_to_escalate(service: Service, hive: CaseHive) -> None:
    service.receive(alert(level=12))
    service.run(5)
    (case,) = hive.board.values()
    assert "Decide whether to escalate" in hive.titles(case.id)
    assert case.severity == 3


def test_noise_gets_no_case(service: Service, hive: CaseHive) -> None:
    service.receive(sample(NOISE))
    service.run(5)
    assert (len(hive.alerts), hive.board) == (1, {})
    assert service.record(arrival.KIND).state == arrival.LOOSE


def test_a_missing_template_costs_the_template_and_is_said(service: Service, hive: CaseHive) -> None:
    hive.templates = set()
    service.receive(alert())
    service.run(5)
    (case,) = hive.board.values()
    assert NO_TEMPLATE_TAG in case.tags
    assert "Wazuh alert" in hive.comments[0]
    assert "CaseTemplate not found" in service.record(CASE).body["note"]
    assert "Triage the alert" in hive.titles(case.id)


def test_alerts_on_the_same_source_and_agent_share_a_case(service: Service, hive: CaseHive) -> None:
    service.receive(alert(1))
    service.run(5)
    service.receive(alert(2), alert(3))
    service.run(5)
    (case,) = hive.board.values()
    assert {made.case_id for made in hive.alerts.values()} == {case.id}
    assert len(service.record(CASE).body["alerts"]) == 3
    assert hive.titles(case.id).count("Triage the alert") == 1


def test_alerts_that_come_at_the_same_moment_share_a_case_too(service: Service, hive: CaseHive) -> None:
    service.receive(*(alert(number) for number in range(1, 8)))
    service.run(30)
    assert len(hive.board) == 1
    assert len(service.record(CASE).body["alerts"]) == 7


@pytest.mark.parametrize("other", [{"source": "203.0.113.99"}, {"agent": "004"}])
def test_another_source_or_another_agent_is_another_case(
    service: Service, hive: CaseHive, other: dict[str, str]
) -> None:
    service.receive(alert(1))
    service.run(5)
    service.receive(alert(2, **other))
    service.run(5)
    assert len(hive.board) == 2


def test_a_case_that_is_too_old_or_closed_is_not_joined(service: Service, hive: CaseHive) -> None:
    service.receive(alert(1))
    service.run(5)
    hive.close(next(iter(hive.board)))
    service.receive(alert(2))
    service.run(5)
    assert len(hive.board) == 2
    service.run(90_000, step=3000)
    service.receive(alert(3))
    service.run(5)
    assert len(hive.board) == 3


def test_an_alert_that_an_analyst_imported_already_stays_where_it_is(service: Service, hive: CaseHive) -> None:
    service.receive(alert(1))
    service.run(5)
    (theirs,) = hive.board
    service.receive(alert(2, source="203.0.113.99"))
    service.loop.run_due(1)
    second = next(made for made in hive.alerts.values() if not made.case_id)
    hive.merge(second.id, theirs)
    service.run(5)
    assert list(hive.board) == [theirs]
    assert hive.alerts[second.id].case_id == theirs


def test_a_merge_on_an_observable_finds_the_case_that_has_it(service: Service, hive: CaseHive, tmp_path: Path) -> None:
    playbooks(service, tmp_path, """
kind: respond
name: own
on: alert
when: {alert.rule.level|gte: 1}
actions: [{do: case, template: Wazuh alert, merge_within: 2h, merge_on: [observable]}]
""")  # fmt: skip
    service.receive(alert(1), alert(2, agent="007"), alert(3, source="203.0.113.200", agent="003"))
    service.run(10)
    cases = {made.reference: made.case_id for made in hive.alerts.values()}
    assert cases["1794881684.1"] == cases["1794881684.2"]
    assert cases["1794881684.3"] != cases["1794881684.1"]


def test_a_case_that_is_joined_by_a_graver_alert_becomes_as_severe(service: Service, hive: CaseHive) -> None:
    service.receive(alert(1, level=10))
    service.run(5)
    service.receive(alert(2, level=15))
    service.run(5)
    (case,) = hive.board.values()
    assert case.severity == 4
    service.receive(alert(3, level=10))
    service.run(5)
    assert next(iter(hive.board.values())).severity == 4


def test_an_alert_that_was_deleted_in_thehive_is_let_go(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    service.loop.run_due(1)
    hive.alerts.clear()
    service.run(5)
    assert (hive.board, service.buried) == ({}, [])
    assert service.record(arrival.KIND).state == arrival.LOOSE


@pytest.mark.parametrize("state", [arrival.NEW, arrival.LOOSE])
def test_a_reservation_that_came_to_nothing_holds_nobody_up_for_ever(
    service: Service, hive: CaseHive, state: str
) -> None:
    service.receive(alert(1))
    service.loop.run_due(1)
    first = service.record(arrival.KIND)
    service.turn()
    hive.board.clear()
    for made in list(hive.alerts):
        hive.alerts[made] = hive.alerts[made]._replace(case_id="")
    with service.store.transaction() as work:
        for record in work.find("casekey"):
            entries = [{**entry, "case": ""} for entry in record.body["entries"]]
            work.save("casekey", record.key, {"entries": entries}, state="open")
        work.save(arrival.KIND, first.key, first.body, state=state)
    service.receive(alert(2))
    service.run(300, step=10)
    assert hive.board == {}, "it waits for the other"
    service.run(400, step=10)
    assert len(hive.board) == 1


# the books


BOOKS = """
kind: respond
name: own
on: alert
when: {alert.rule.level|gte: 1}
actions:
  - {do: case, template: Wazuh alert, merge_within: 24h}
  - {do: tag, add: [hot], to: case}
  - {do: tag, add: [seen], to: alert}
  - {do: flag}
  - {do: severity, raise: low}
  - {do: assign, to: LOGIN}
  - {do: task, title: Look, phase: preparation, due: 4h}
  - {do: task, title: LOOK, phase: containment, flag: true, assign: LOGIN}
  - {do: task, title: Tidy, phase: post-incident, assign: LOGIN}
  - {do: notify, to: [chat], text: Somebody look}
"""


def test_every_verb_of_the_books_is_done(service: Service, hive: CaseHive, tmp_path: Path) -> None:
    playbooks(service, tmp_path, BOOKS.replace("LOGIN", "anna@soc.example"))
    service.receive(alert())
    service.run(10)
    (case,) = hive.board.values()
    assert "hot" in case.tags
    assert (case.flag, case.assignee, case.severity) == (True, "anna@soc.example", 2)
    assert "seen" in next(iter(hive.alerts.values())).tags
    tasks = {task.title: task for task in hive.work.values()}
    assert sorted(tasks) == ["Look", "Tidy"]
    assert tasks["Look"].flag
    assert "Due by 2026-01-01T04:" in tasks["Look"].description
    assert tasks["Tidy"].group == "Post-incident activity"
    assert [note["to"] for note in service.notified] == [["chat"]]


def test_what_thehive_refuses_of_the_books_is_said_and_the_rest_is_done(
    service: Service, hive: CaseHive, tmp_path: Path
) -> None:
    playbooks(service, tmp_path, BOOKS.replace("LOGIN", "nobody@soc.example"))
    service.receive(alert())
    service.run(10)
    (case,) = hive.board.values()
    assert case.flag
    tasks = {task.title: task for task in hive.work.values()}
    assert "whom TheHive does not accept" in tasks["Tidy"].description
    refusals = " ".join(service.said("books")[0]["refused"])
    assert "assigning the case to nobody@soc.example" in refusals
    assert "assigning the task 'Tidy'" in refusals


def test_a_case_that_an_analyst_has_taken_is_not_taken_from_them(
    service: Service, hive: CaseHive, tmp_path: Path
) -> None:
    playbooks(service, tmp_path, BOOKS.replace("LOGIN", "anna@soc.example"))
    service.receive(alert(1))
    service.run(5)
    (case,) = hive.board.values()
    hive.board[case.id] = hive.board[case.id]._replace(assignee="ben@soc.example")
    service.receive(alert(2))
    service.run(5)
    assert hive.board[case.id].assignee == "ben@soc.example"


def test_a_task_that_an_analyst_deleted_is_not_made_again(service: Service, hive: CaseHive) -> None:
    service.receive(alert(1))
    service.run(5)
    hive.work.clear()
    service.receive(alert(2))
    service.run(5)
    assert hive.work == {}


def test_a_task_whose_answer_was_lost_is_not_made_twice(service: Service, hive: CaseHive) -> None:
    make, answers = hive.create_task, iter([True])

    def losing(case_id: str, draft: Any) -> Any:
        made = make(case_id, draft)
        if next(answers, False):
            raise lost(ambiguous=True)
        return made

    hive.create_task = losing  # type: ignore[method-assign]
    service.receive(alert())
    service.run(30)
    (case,) = hive.board.values()
    assert sorted(hive.titles(case.id)).count("Triage the alert") == 1


# playbooks on cases


def test_a_case_is_escalated_once_for_a_change_and_not_for_every_event(service: Service, hive: CaseHive) -> None:
    service.receive(alert(level=15))
    service.run(10)
    (case,) = hive.board.values()
    assert (case.severity, case.flag) == (4, True)
    assert "Escalate: tell the incident lead" in hive.titles(case.id)
    steps = len([item for item in service.store._work if item[1].startswith("case:")])
    for _ in range(5):
        with service.store.transaction() as work:
            assert not changed(work, hive.board[case.id])
        service.run(5)
    assert len([item for item in service.store._work if item[1].startswith("case:")]) == steps
    hive.update_case(case.id, add_tags=["critical"])
    with service.store.transaction() as work:
        assert changed(work, hive.board[case.id])


def test_playbooks_on_a_case_that_is_none_of_ours_work_without_an_alert(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    service.run(5)
    (case,) = hive.board.values()
    theirs = case._replace(id="~900", severity=4, tags=("manual",))
    hive.board[theirs.id] = theirs
    with service.store.transaction() as work:
        changed(work, theirs)
    service.run(5)
    assert hive.board["~900"].flag
    assert hive.titles("~900") == ["Escalate: tell the incident lead"]


def test_a_closed_case_is_left_alone(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    service.run(5)
    (case,) = hive.board.values()
    hive.update_case(case.id, add_tags=["critical"])
    with service.store.transaction() as work:
        changed(work, hive.board[case.id])
    hive.close(case.id)
    service.run(5)
    assert not hive.board[case.id].flag
    with service.store.transaction() as work:
        assert not changed(work, hive.board[case.id])


def test_an_observed_containment_gets_its_case_too_as_it_is_scored_by_how_that_is_closed(
    service: Service, hive: CaseHive
) -> None:
    service.books = type(service.books)(
        tuple(replace(book, actions=tuple(a for a in book.actions if a.verb != "case")) for book in service.books)
    )
    service.receive(sample(GUESSED))
    service.run(5)
    assert len(hive.board) == 1
    decisions = {record.body["decision"]["action"]: record.state for record in service.records("decision")}
    assert decisions["respond AccountDisable"] == "observe"
