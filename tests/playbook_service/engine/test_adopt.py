"""What an analyst does by hand counts: a containment becomes a lease, an undo ends one."""

from __future__ import annotations

import pytest
from seen_house import ANNA, CASE_ID, DAY, OBSERVABLE_ID, SERVICE, TARGET, House

from playbook_service.engine import launch, lease


@pytest.fixture
def house() -> House:
    house = House()
    house.hive.reports = {"FirewallUnblock": [{"success": True, "full": {"result": "released"}}]}
    return house


def by_hand(house: House, seconds: int = DAY, **full: object) -> dict[str, object]:
    return house.contained(seconds, lease="", mark="propolis by=anna", target={"kind": "ip", "value": TARGET}, **full)[
        "full"
    ]


def tell(house: House, action_id: str = "~h1") -> None:
    house.hook("action", action_id, objectType="Observable", objectId=OBSERVABLE_ID, status="Success")


def test_a_block_by_hand_becomes_a_lease_of_the_analyst_until_its_own_end(house: House):
    house.hive.start_by_hand("FirewallBlock", by_hand(house, 2 * 3600))
    tell(house)
    (record,) = house.leases
    grant = lease.Grant(**record.body["grant"])
    assert (record.state, grant.by, grant.target, grant.case_id) == (lease.ACTIVE, ANNA, TARGET, CASE_ID)
    assert record.body["until"] == pytest.approx(house.clock.now() + 2 * 3600, abs=1)
    assert house.audited == ["taken over"]
    house.run(2 * 3600 + 600)
    assert house.starts == ["FirewallUnblock"]
    assert house.record(lease.KIND, record.key).state == lease.ENDED


def test_it_is_taken_over_once_however_often_it_is_seen(house: House):
    house.hive.start_by_hand("FirewallBlock", by_hand(house))
    for _ in range(6):
        tell(house)
    house.hook("action", "~h1")
    house.run(60)
    assert len(house.leases) == 1
    assert house.audited == ["taken over"]


def test_one_that_still_runs_is_waited_for(house: House):
    action = house.hive.start_by_hand("FirewallBlock", by_hand(house), status="InProgress", report=None)
    tell(house)
    house.run(30)
    assert house.leases == []
    done = action._replace(status="Success", report={"success": True, "full": by_hand(house)})
    house.hive.by_hand[OBSERVABLE_ID] = [done]
    house.run(10)
    assert len(house.leases) == 1


@pytest.mark.parametrize("full", [
    {"result": "would_contain"}, {"result": "already_contained"}, {"result": "pending"}, {}, {"result": "released"},
])  # fmt: skip
def test_what_contained_nothing_is_no_lease(house: House, full: dict[str, object]):
    house.hive.start_by_hand("FirewallBlock", full)
    tell(house)
    assert house.leases == []


def test_a_failure_and_a_strangers_responder_are_no_lease(house: House):
    failed = {"success": False, "errorMessage": "no"}
    house.hive.start_by_hand("FirewallBlock", {}, status="Failure", report=failed)
    house.hive.start_by_hand("Mailer", by_hand(house))
    house.hook("action", "~h1", objectType="Observable", objectId=OBSERVABLE_ID)
    assert house.leases == []


def test_our_own_containments_are_not_taken_for_somebody_elses(house: House):
    house.lease_in_force()
    tell(house, "~a1")
    assert [record.key for record in house.leases] == ["L1"]
    assert house.steps("adopt") == []


def test_one_of_ours_whose_answer_was_lost_is_not_taken_over_while_it_is_looked_for(house: House):
    house.hive.lose_answer = True
    house.hive.reports["FirewallBlock"] = [house.contained(lease="")]
    with house.store.transaction() as work:
        wanted = lease.Grant(
            "L1", "FirewallBlock", "case_artifact", OBSERVABLE_ID, CASE_ID, TARGET, DAY, "", "", "playbook x"
        )
        lease.grant(work, house.tools, wanted)
    tell(house, "~a1")
    house.run(60)
    assert [(record.key, record.state) for record in house.leases] == [("L1", lease.ACTIVE)]


def test_while_a_start_of_ours_is_in_doubt_an_action_like_it_is_nobodys(house: House):
    """Another node asked for it and has not noted what came of it."""
    wish = launch.Wish("FirewallBlock", "case_artifact", OBSERVABLE_ID, {})
    action = house.hive.start_by_hand("FirewallBlock", by_hand(house))
    with house.store.transaction() as work:
        launch.intend(work, "contain:L1", wish, ref=OBSERVABLE_ID)
        record = work.get(launch.KIND, "contain:L1")
        assert record is not None
        asking = work.save(launch.KIND, record.key, record.body, state=launch.ASKING, ref=OBSERVABLE_ID)
    tell(house)
    house.run(20)
    assert house.leases == []
    with house.store.transaction() as work:
        known = {**asking.body, "known": [action.id]}  # it was there before we asked, so it is not ours
        work.save(launch.KIND, asking.key, known, state=launch.ASKING, ref=OBSERVABLE_ID)
    house.run(20)
    assert len(house.leases) == 1


def test_what_was_started_for_a_lease_that_is_with_a_person_is_not_another_lease(house: House):
    """Two showed where one was asked for: neither is taken for the lease, which is doubtful and ends all the same."""
    house.hive.lose_answer = True
    house.hive.reports["FirewallBlock"] = [house.contained()]
    with house.store.transaction() as work:
        wanted = lease.Grant(
            "L1", "FirewallBlock", "case_artifact", OBSERVABLE_ID, CASE_ID, TARGET, DAY, "", "", "playbook x"
        )
        lease.grant(work, house.tools, wanted)
    house.loop.run_due()
    house.hive.start_by_hand("FirewallBlock", house.contained()["full"])
    house.run(30)
    tell(house, "~a1")
    house.run(30)
    assert [(record.key, record.state) for record in house.leases] == [("L1", lease.DOUBTFUL)]


def test_a_containment_that_names_a_lease_which_was_lost_with_an_older_backup_is_that_lease_again(house: House):
    full = by_hand(house) | {"lease": "Plost"}
    house.hive.start_by_hand("FirewallBlock", full, created_by=SERVICE)
    tell(house)
    assert [record.key for record in house.leases] == ["Plost"]


def test_what_the_product_does_not_end_is_ended_by_the_service(house: House):
    full = by_hand(house) | {"until": None, "duration": {"seconds": 4 * 3600, "from": "configuration item"}}
    house.hive.start_by_hand("FirewallBlock", full)
    tell(house)
    (record,) = house.leases
    assert record.body["until"] == pytest.approx(house.clock.now() + 4 * 3600, abs=1)


def test_an_old_one_that_nothing_ends_leaves_time_to_renew_it(house: House):
    full = by_hand(house) | {"until": None, "duration": {"seconds": 3600}}
    house.hive.start_by_hand("FirewallBlock", full)
    house.clock.advance(30 * DAY)
    tell(house)
    assert house.leases[0].body["until"] == pytest.approx(house.clock.now() + 3600, abs=1)


def test_one_that_the_product_has_ended_already_is_history(house: House):
    house.hive.start_by_hand("FirewallBlock", by_hand(house, 3600))
    house.clock.advance(DAY)
    tell(house)
    assert house.leases == []


def test_one_that_was_undone_since_is_history_however_old_our_memory_is(house: House):
    """Also where our own undo is long forgotten: the product is not contained any more, so no lease is made of it."""
    full = by_hand(house) | {"until": None, "duration": {"seconds": 3600}}
    house.hive.start_by_hand("FirewallBlock", full)
    house.clock.advance(3600)
    house.hive.start_by_hand("FirewallUnblock", {"result": "released"}, created_by=SERVICE)
    house.clock.advance(60 * DAY)
    tell(house)
    assert house.leases == []


def test_one_that_was_started_anew_after_an_undo_counts(house: House):
    house.hive.start_by_hand("FirewallUnblock", {"result": "released"})
    house.clock.advance(60)
    house.hive.start_by_hand("FirewallBlock", by_hand(house))
    tell(house, "~h2")
    assert len(house.leases) == 1


def test_prolonging_our_block_by_hand_moves_the_end_of_the_lease(house: House):
    house.lease_in_force(3600)
    house.hive.start_by_hand("FirewallBlock", by_hand(house, 2 * DAY, result="extended"))
    tell(house)
    (record,) = house.leases
    assert record.body["until"] == pytest.approx(house.clock.now() + 2 * DAY, abs=1)
    house.run(DAY)
    assert house.starts == ["FirewallBlock"]
    moved = next(line for line in house.journal.lines() if line["action"] == "end moved")
    assert moved["operator"] == ANNA


def test_an_undo_by_hand_ends_the_lease_and_nothing_is_undone_again(house: House):
    house.lease_in_force()
    house.clock.advance(60)
    house.hive.start_by_hand("FirewallUnblock", {"result": "released"})
    tell(house)
    record = house.record(lease.KIND, "L1")
    assert (record.state, record.body["ended_by"]) == (lease.ENDED, ANNA)
    house.run(2 * DAY)
    assert house.starts == ["FirewallBlock"]
    assert "released by hand" in house.audited
    assert "tell:L1:released" in house.ran


def test_an_undo_of_something_older_does_not_end_the_lease(house: House):
    house.hive.start_by_hand("FirewallUnblock", {"result": "already_released"})
    house.clock.advance(600)
    house.lease_in_force()
    tell(house)
    assert house.record(lease.KIND, "L1").state == lease.ACTIVE


def test_a_backend_that_finds_nothing_at_the_end_is_noted_and_not_fought(house: House):
    house.hive.reports["FirewallUnblock"] = [{"success": True, "full": {"result": "already_released"}}]
    house.lease_in_force(3600)
    house.run(3600 + 900)
    assert house.record(lease.KIND, "L1").state == lease.ENDED
    assert house.starts == ["FirewallBlock", "FirewallUnblock"]


def test_what_was_started_outside_cases_of_ours_is_left_alone(house: House):
    house.hive.homes[OBSERVABLE_ID] = ("case", "~9")
    house.hive.start_by_hand("FirewallBlock", by_hand(house))
    tell(house)
    house.run(30)
    assert house.leases == []


def test_a_hook_that_does_not_say_what_it_was_started_on_makes_us_look_where_the_tag_is(house: House):
    """TheHive 4's message of an action says nothing but the case; the responder's tag tells."""
    house.hive.start_by_hand("FirewallBlock", by_hand(house), id="")
    house.hive.tag(OBSERVABLE_ID, 'propolis:contained:nftables:until="2026-01-02T00:00:00Z"', by=SERVICE)
    house.hook("action", "~h1")
    (record,) = house.leases
    assert record.body["grant"]["entity_id"] == OBSERVABLE_ID


def test_thehive_4_does_not_say_who_so_the_responders_report_does(house: House):
    full = by_hand(house, requested_by={"user": ANNA, "organisation": "soc"})
    house.hive.start_by_hand("FirewallBlock", full, id="", created_by="")
    tell(house)
    assert house.leases[0].body["grant"]["by"] == ANNA


def test_one_that_was_started_on_the_case_itself_is_seen_too(house: House):
    house.hive.start_by_hand("FirewallBlock", by_hand(house), CASE_ID)
    house.hook("action", "~h1", objectType="Case", objectId=CASE_ID)
    assert house.leases[0].body["grant"]["entity"] == "case"
