"""From an alert to what became of it, end to end, for TheHive 4 and 5: how it should go, and what goes wrong.

One SOC for each version serves all scenarios, each with an address, an account and a case of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from scenario_soc import FIREWALL_BLOCK, Soc

DAY = 86_400.0


@pytest.fixture(scope="module", params=[5, 4], ids=["thehive5", "thehive4"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soc]:
    with Soc(tmp_path_factory.mktemp("soc"), request.param) as soc:
        yield soc


@pytest.fixture
def soc(house: Soc) -> Iterator[Soc]:
    yield house
    house.lab.faults.clear()


# how it should go --------------------------------------------------------------------------------------------------


def test_a_block_is_made_told_and_undone_when_its_time_is_over(soc: Soc):
    address = soc.alert("block")
    lease = soc.until(lambda: soc.lease(address), "the address is blocked")
    assert not soc.firewall.passes(address)
    told = soc.until(
        lambda: soc.tasks(lease.ref).get(f"Contained: {address} (FirewallBlock)"), "the case says what was done"
    )
    assert told["status"] == "Completed"
    soc.move(DAY + 60)
    soc.until(lambda: soc.lease(address, "ended"), "the block is undone")
    assert soc.firewall.passes(address)
    assert soc.started("FirewallBlock", address) == 1


def test_a_granted_question_is_done_once_on_the_approvers_word(soc: Soc):
    user = soc.alert("account")
    question = soc.question(user)
    assert soc.directory.passes(user), "nothing is done before the answer"
    soc.set_task(question.body["tasks"][0], "Completed")
    soc.until(lambda: soc.lease(user), "the account is disabled")
    assert not soc.directory.passes(user)
    (line,) = soc.audited("approval granted", user)
    assert line["operator"] == "approver@soc.example"


def test_a_denied_question_is_not_done(soc: Soc):
    user = soc.alert("account")
    question = soc.question(user)
    soc.set_task(question.body["tasks"][0], "Cancel")
    soc.answered(user, "denied")
    soc.idle()
    assert (soc.directory.passes(user), soc.about("lease", user)) == (True, [])


def test_a_question_that_nobody_answers_lapses_and_its_task_goes_away(soc: Soc):
    user = soc.alert("account")
    question = soc.question(user)
    soc.move(4 * 3600 + 60)
    soc.answered(user, "expired")
    with soc.lab.hive.transaction():
        task = soc.lab.hive.store.find(question.body["tasks"][0])
    assert task is not None
    assert task["status"] == "Cancel"
    soc.set_task(task.id, "Completed")  # too late
    soc.idle()
    assert (soc.directory.passes(user), soc.about("lease", user)) == (True, [])


# grants that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["service", "analyst", "orgadmin"])
def test_only_a_listed_approver_grants_and_never_the_service_itself(soc: Soc, who: str):
    user = soc.alert("account")
    question = soc.question(user)
    client = soc.client(getattr(soc.lab.keys, who))
    soc.set_task(question.body["tasks"][0], "Completed", client)
    client.close()
    soc.answered(user, "denied")
    soc.idle(0.5)
    assert (soc.directory.passes(user), soc.about("lease", user)) == (True, [])


def test_an_approver_who_edits_later_does_not_turn_another_ones_completion_into_a_grant(soc: Soc):
    user = soc.alert("account")
    task = soc.question(user).body["tasks"][0]
    analyst = soc.client(soc.lab.keys.analyst)
    soc.set_task(task, "Completed", analyst)
    analyst.close()
    soc.approver.patch(f"/api/v1/task/{task}", json={"flag": False})
    soc.answered(user, "denied")
    assert soc.directory.passes(user)


def test_a_question_whose_text_was_changed_cannot_be_granted(soc: Soc):
    user = soc.alert("account")
    task = soc.question(user).body["tasks"][0]
    soc.approver.patch(f"/api/v1/task/{task}", json={"description": "Complete me, it is only the weather report."})
    soc.set_task(task, "Completed")
    soc.answered(user, "denied")
    assert soc.directory.passes(user)


@pytest.mark.parametrize("begun", [False, True], ids=["waiting", "in-progress"])
@pytest.mark.parametrize("reopen", [False, True], ids=["closed", "reopened"])
def test_a_case_closed_while_a_question_stands_grants_nothing(soc: Soc, begun: bool, reopen: bool):
    """TheHive 4 completes tasks in progress when their case is closed, by the hand of whoever closed it."""
    user = soc.alert("account")
    question = soc.question(user)
    if begun:
        soc.set_task(question.body["tasks"][0], "InProgress")
    soc.close_case(question.ref, reopen=reopen)
    soc.answered(user, "denied")
    soc.idle(0.5)
    assert (soc.directory.passes(user), soc.about("lease", user)) == (True, [])


def test_a_grant_is_void_when_the_evidence_has_changed_since_it_was_asked(soc: Soc):
    address = soc.alert("ask")
    first = soc.question(address)
    bad = {"level": "malicious", "namespace": "VT", "predicate": "GetReport", "value": "60/94"}
    attributes = {"last_analysis_stats": {"malicious": 60, "suspicious": 0, "undetected": 30, "harmless": 4}}
    report = {"success": True, "summary": {"taxonomies": [bad]}, "full": {"attributes": attributes}, "artifacts": []}
    soc.lab.script.record("VirusTotal_GetReport_3_1", "ip", address, report)
    number = address.rsplit(".", 1)[1]
    soc.move(2 * 3600)  # reports grow old, the question still stands
    soc.alert("ask", again=int(number))
    soc.until(lambda: _rounds(soc, address) > 1, "there is a new verdict")
    soc.set_task(first.body["tasks"][0], "Completed")
    old = soc.until(
        lambda: next((one for one in soc.records("approval", "denied") if one.key == first.key), None),
        "the old question is not granted",
    )
    assert "evidence" in old.body["why"] or "verdict has changed" in old.body["why"]
    assert soc.firewall.passes(address)


def _rounds(soc: Soc, address: str) -> int:
    return sum(one.body["observable"]["data"] == address for one in soc.records("verdict"))


# hooks -------------------------------------------------------------------------------------------------------------


def test_without_any_hook_everything_happens_all_the_same(soc: Soc):
    soc.lab.faults.hooks.drop = 1.0
    address, user = soc.alert("block"), soc.alert("account")
    soc.set_task(soc.question(user).body["tasks"][0], "Completed")
    soc.until(lambda: soc.lease(address) and soc.lease(user), "both are contained")
    assert (soc.firewall.passes(address), soc.directory.passes(user)) == (False, False)


def test_hooks_that_come_six_times_in_any_order_do_nothing_twice(soc: Soc):
    soc.lab.faults.hooks.duplicate, soc.lab.faults.hooks.copies, soc.lab.faults.hooks.reorder = 1.0, 6, 0.3
    address, user = soc.alert("block"), soc.alert("account")
    soc.set_task(soc.question(user).body["tasks"][0], "Completed")
    soc.until(lambda: soc.lease(address) and soc.lease(user), "both are contained")
    soc.idle()
    assert (soc.started("FirewallBlock", address), soc.started("AccountDisable", user)) == (1, 1)
    assert (len(soc.about("lease", address)), len(soc.about("lease", user))) == (1, 1)


def test_a_forged_hook_makes_somebody_look_and_nothing_else(soc: Soc):
    user = soc.alert("account")
    question = soc.question(user)
    forged = {
        "_id": "~forged", "_type": "Audit", "action": "update", "objectType": "Task", "rootId": question.ref,
        "objectId": question.body["tasks"][0], "_createdBy": "approver@soc.example", "organisation": "soc-main",
        "_createdAt": 1, "details": {"status": "Completed"}, "object": {"status": "Completed"},
    }  # fmt: skip
    action = {**forged, "_id": "~forged2", "objectType": "Action", "objectId": "~1", "details": {"status": "Success"}}
    for body in (forged, action, {**forged, "_id": "~forged3", "objectType": "Case", "objectId": "~404"}):
        assert soc.post("/hooks/thehive", json.dumps(body).encode())[0] == 202
        assert soc.post("/hooks/thehive", json.dumps(body).encode(), Authorization="")[0] == 401
    soc.idle()
    assert soc.about("approval", user)[0].state == "waiting"
    assert soc.directory.passes(user)


# what others break -------------------------------------------------------------------------------------------------


def test_thehive_down_for_an_hour_costs_an_hour_and_no_alert(soc: Soc):
    soc.lab.stop_thehive()
    addresses = [soc.alert("block") for _ in range(3)]
    for _ in range(12):
        soc.move(300)
        soc.idle(0.05)
    soc.lab.start_thehive()
    soc.until(lambda: all(soc.lease(address) for address in addresses), "all are blocked")
    assert [soc.started("FirewallBlock", address) for address in addresses] == [1, 1, 1]


def test_an_analyzer_whose_job_is_lost_is_missing_after_the_deadline(soc: Soc):
    soc.lab.faults.jobs.lose = {"OTXQuery_2_0"}
    address = soc.alert("block")
    soc.until(lambda: any(one.body["observable"]["data"] == address for one in soc.records("run")), "it is asked about")
    soc.idle(0.5)
    assert not _rounds(soc, address), "before the deadline it is waited for"
    soc.move(700)
    soc.until(lambda: soc.lease(address), "it is decided without")
    (verdict,) = [one for one in soc.records("verdict") if one.body["observable"]["data"] == address]
    assert ("OTXQuery_2_0", "Success") not in [(name, status) for name, status, _ in verdict.body["reports"]]
    assert verdict.body["full"]["missing"] >= 1, "the verdict says that somebody did not answer"


@pytest.mark.parametrize("fault", ["fail", "nonsense"])
def test_a_responder_that_fails_or_talks_nonsense_is_told_and_undone_all_the_same(soc: Soc, fault: str):
    if fault == "fail":
        soc.lab.faults.jobs.fail = {FIREWALL_BLOCK: "The firewall does not answer."}
    else:
        soc.lab.faults.jobs.nonsense = {FIREWALL_BLOCK}
    address = soc.alert("block")
    lease = soc.until(lambda: soc.lease(address, "doubtful"), "it is in doubt whether it was blocked")
    told = soc.until(lambda: soc.tasks(lease.ref).get(f"NOT contained: {address} (FirewallBlock)"), "a person is told")
    assert (told["status"], told["flag"]) == ("Waiting", True)
    soc.lab.faults.clear()
    soc.move(DAY + 60)
    soc.until(lambda: soc.lease(address, "ended"), "the undo ran at the end")
    assert soc.started("FirewallBlock", address) == 1


def test_a_responder_that_hangs_is_given_up_and_a_person_is_told(soc: Soc):
    soc.lab.faults.jobs.hang = {FIREWALL_BLOCK}
    address = soc.alert("block")
    soc.until(lambda: soc.started("FirewallBlock", address), "it was started")
    soc.idle(0.5)
    soc.move(1900)
    lease = soc.until(lambda: soc.lease(address, "doubtful"), "it is given up")
    soc.until(lambda: soc.tasks(lease.ref).get(f"NOT contained: {address} (FirewallBlock)"), "a person is told")
    soc.lab.faults.clear()
    assert soc.started("FirewallBlock", address) == 1


def test_an_answer_that_was_lost_on_the_way_is_looked_for_and_not_asked_for_again(soc: Soc):
    soc.lab.faults.thehive.only, soc.lab.faults.thehive.lose = "POST .*connector/cortex/action", 1
    address = soc.alert("block")
    soc.until(lambda: soc.lease(address), "the address is blocked")
    soc.idle()
    assert soc.lab.faults.thehive.lose == 0, "the answer was lost"
    assert soc.started("FirewallBlock", address) == 1


# at the end --------------------------------------------------------------------------------------------------------


def test_after_all_that_the_audit_chain_holds_and_nothing_was_set_aside(soc: Soc):
    assert soc.service.journal.verify() == []
    with soc.service.store.transaction() as work:
        assert [(item.key, item.error) for queue in ("inbox", "step") for item in work.buried(queue)] == []
