"""A hook is a hint: it wakes and puts steps for what is known here, and a false one makes somebody look at most."""

from __future__ import annotations

import pytest
from seen_house import CASE_ID, OBSERVABLE_ID, SERVICE, House

from playbook_service.engine import approval, arrival, enrichment, lease
from playbook_service.engine.analysis import BY_JOB
from playbook_service.engine.standing import standing


@pytest.fixture
def house() -> House:
    return House()


def waiting_question(house: House, case_id: str = CASE_ID) -> None:
    body = {"asked_at": house.clock.now(), "expires": house.clock.now() + 3600}
    with house.store.transaction() as work:
        work.save(approval.KIND, "Q1", body, state=approval.WAITING, ref=case_id)
    house.put("approve", "Q1")
    house.ran.clear()


def test_a_finished_job_wakes_the_step_that_waits_for_it(house: House):
    house.open_run()
    with house.store.transaction() as work:
        work.save(BY_JOB, "~99", {"step": "run:r1:1"})
    house.hook("job", "~98")
    assert house.ran == []
    house.hook("job", "~99")
    assert house.ran == ["run:r1:1"]


@pytest.mark.parametrize(("state", "step"), [
    (enrichment.STATE_RUNNING, "run:r1:1"), (enrichment.SCORING, "score:r1:1"),
])  # fmt: skip
def test_reports_on_an_observable_wake_what_waits_for_them_without_a_call(house: House, state: str, step: str):
    house.open_run(state=state)
    house.hive.reads.clear()
    house.hook("observable", OBSERVABLE_ID, reports={"AbuseIPDB_2_0": {"taxonomies": []}})
    assert house.ran == [step]
    assert house.hive.reads == []


def test_reports_on_another_observable_or_in_another_case_wake_nothing(house: House):
    house.open_run()
    house.hook("observable", "~42", reports={})
    house.hook("observable", OBSERVABLE_ID, root="~9", reports={})
    assert house.ran == []


def test_an_action_wakes_the_containment_that_is_on_its_way(house: House):
    house.hive.slow = True
    house.hive.reports = {"FirewallBlock": [house.contained()], "FirewallUnblock": []}
    with house.store.transaction() as work:
        wanted = lease.Grant(
            "L1", "FirewallBlock", "case_artifact", OBSERVABLE_ID, CASE_ID, "203.0.113.7", 3600, "", "", "playbook x"
        )
        lease.grant(work, house.tools, wanted)
    house.loop.run_due()
    house.hive.slow = False
    house.loop.run_due()
    assert house.record(lease.KIND, "L1").state == lease.WISHED
    house.hook("action", "~a1", objectType="Observable", objectId=OBSERVABLE_ID, status="Success")
    assert house.record(lease.KIND, "L1").state == lease.ACTIVE


def test_a_task_wakes_the_questions_of_its_case_only(house: House):
    waiting_question(house)
    house.hook("task", "~t1", root="~9", status="Completed")
    assert house.ran == []
    house.hook("task", "~t1", status="Completed")
    assert house.ran == ["approve:Q1"]


def test_a_case_that_looks_different_is_decided_upon_once_for_each_standing(house: House):
    house.hive.change_case(severity=4)
    for _ in range(6):
        house.hook("case", CASE_ID, severity=4)
    assert house.ran == [f"case:{CASE_ID}:{standing(house.hive.board[CASE_ID])}"]
    house.hive.change_case(tags=("critical",))
    house.hook("case", CASE_ID, tags=["critical"])
    assert len(house.steps("case")) == 2


def test_a_closing_is_one_step_and_a_later_different_closing_another(house: House):
    house.hive.change_case(open=False, resolution="FalsePositive", closed_at=house.hive.ms)
    for _ in range(3):
        house.hook("case", CASE_ID, status="FalsePositive")
    assert len(house.steps("closed")) == 1
    house.hive.change_case(resolution="TruePositive", closed_at=house.hive.ms + 1000)
    house.hook("case", CASE_ID, status="TruePositive")
    assert len(house.steps("closed")) == 2


def test_hooks_in_the_wrong_order_tell_of_the_case_as_it_is(house: House):
    """The message of the opening comes after that of the closing: the case is closed all the same."""
    house.hive.change_case(open=False, resolution="FalsePositive", closed_at=house.hive.ms)
    house.hook("case", CASE_ID, status="FalsePositive")
    house.hook("case", CASE_ID, status="InProgress")
    assert len(house.steps("closed")) == 1
    assert house.steps("case") == []


def test_a_forged_closing_closes_nothing(house: House):
    house.hook("case", CASE_ID, status="FalsePositive", stage="Closed")
    assert house.steps("closed") == []


@pytest.mark.parametrize(
    "entity", ["case", "alert", "observable", "task", "job", "action", "log", "comment", "nonsense"]
)
def test_what_is_not_known_here_is_ignored(house: House, entity: str):
    house.hive.add_case("~9")
    before = len(house.store._work)
    house.hook(entity, "~9", root="~9", tags=["propolis:release"])
    house.run(30)
    assert len(house.store._work) == before + 1
    assert house.ran == []


@pytest.mark.parametrize("entity", ["case", "observable", "action"])
def test_a_deletion_is_found_out_by_whoever_needs_the_thing(house: House, entity: str):
    house.hive.reads.clear()
    house.hook(entity, CASE_ID, verb="delete")
    assert house.hive.reads == []


def test_a_case_that_is_not_ours_costs_no_call(house: House):
    house.hive.reads.clear()
    house.hook("case", "~9")
    assert house.hive.reads == []


def test_an_entity_that_is_gone_ends_the_matter(house: House):
    del house.hive.board[CASE_ID]
    house.hook("case", CASE_ID)
    assert house.steps("case") == []


def test_an_observable_that_the_hook_puts_into_the_wrong_case_is_not_believed(house: House):
    house.lease_in_force()
    house.hive.homes[OBSERVABLE_ID] = ("case", "~9")
    house.hive.tag(OBSERVABLE_ID, "propolis:release")
    house.hook("observable", OBSERVABLE_ID, tags=["propolis:release"])
    assert house.steps("request") == []


def test_while_thehive_is_down_a_hook_waits(house: House):
    house.hive.change_case(severity=4)
    house.hive.down = True
    house.hook("case", CASE_ID)
    house.run(60)
    assert house.steps("case") == []
    house.hive.down = False
    house.run(600)
    assert len(house.steps("case")) == 1


# alerts that analysts put into cases -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [arrival.LOOSE, arrival.SUPPRESSED])
def test_an_alert_that_an_analyst_puts_into_a_case_is_worked_on_there(house: House, state: str):
    key = house.known_alert(state)
    house.hive.alerts["~5"] = house.hive.alerts["~5"]._replace(case_id=CASE_ID)
    for _ in range(2):
        house.hook("alert", "~5", root="~5", caseId=CASE_ID)
    assert (house.record(arrival.KIND, key).state, house.record(arrival.KIND, key).ref) == (arrival.CASED, CASE_ID)
    assert house.ran == [f"alert:{key}:{CASE_ID}", f"enrich:{key}:{CASE_ID}"]
    assert house.record("case", CASE_ID).body["alerts"] == ["siem:1.1", key]
    assert house.audited == ["alert joined"]


def test_an_alert_of_our_own_making_and_one_that_is_on_its_way_are_left_to_their_steps(house: House):
    house.known_alert(arrival.NEW)
    house.hive.alerts["~5"] = house.hive.alerts["~5"]._replace(case_id=CASE_ID)
    house.hive.reads.clear()
    house.hook("alert", "~5", root="~5", actor=SERVICE, caseId=CASE_ID)
    house.hook("alert", "~5", root="~5", verb="create")
    assert house.hive.reads == []
    house.hook("alert", "~5", root="~5", caseId=CASE_ID)
    assert house.steps("joined") == []


def test_an_alert_with_our_reference_that_is_not_ours_is_ignored(house: House):
    house.known_alert()
    house.hive.alerts["~6"] = house.hive.alerts["~5"]._replace(id="~6", case_id=CASE_ID)
    house.hook("alert", "~6", root="~6", caseId=CASE_ID)
    assert house.steps("joined") == []
