"""Reconciliation finds what hooks lost, and makes no difference where they lost nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from seen_house import ANNA, CASE_ID, OBSERVABLE_ID, SERVICE, TARGET, House

from playbook_service.engine import approval, arrival, enrichment, lease, reconcile
from playbook_service.hive.model import Task


@pytest.fixture
def house() -> House:
    return House()


def begin(house: House) -> None:
    with house.store.transaction() as work:
        house.reconcile.begin(work)
    house.loop.run_due()
    house.ran.clear()


def followed(house: House) -> list[str]:
    """Every step that was put, but for those of the timers."""
    kinds = (
        "case",
        "closed",
        "alert",
        "enrich",
        "joined",
        "request",
        "adopt",
        "approve",
        "escalate",
        "contain",
        "release",
    )
    return [key for kind in kinds for key in house.steps(kind)]


def ask(house: House) -> None:
    with house.store.transaction() as work:
        work.save(approval.KIND, "Q1", {"asked_at": 0.0}, state=approval.WAITING, ref=CASE_ID)
    house.put("approve", "Q1")
    house.ran.clear()


def close(house: House) -> None:
    house.hive.change_case(open=False, resolution="FalsePositive", closed_at=house.hive.ms)


def escalate(house: House) -> None:
    house.hive.change_case(severity=4, tags=("critical",))


def put_into_the_case(house: House) -> None:
    house.known_alert()
    house.hive.clock.advance(1)
    house.hive.alerts["~5"] = house.hive.alerts["~5"]._replace(case_id=CASE_ID, updated_at=house.hive.ms)


def ask_for_release(house: House) -> None:
    house.hive.tag(OBSERVABLE_ID, "propolis:release")


def block_by_hand(house: House) -> None:
    house.hive.start_by_hand("FirewallBlock", house.contained(lease="", target={"value": "203.0.113.9"})["full"])
    house.hive.tag(OBSERVABLE_ID, "propolis:contained:nftables:until=2026-01-02T00:00:00Z", by=SERVICE)


HAPPENINGS: dict[str, tuple[Callable[[House], None], tuple[str, str, dict[str, object]]]] = {
    "a case was closed": (close, ("case", CASE_ID, {"status": "FalsePositive"})),
    "a case became critical": (escalate, ("case", CASE_ID, {"severity": 4})),
    "an alert came into a case": (put_into_the_case, ("alert", "~5", {"caseId": CASE_ID})),
    "a tag asked for a release": (ask_for_release, ("observable", OBSERVABLE_ID, {"tags": ["propolis:release"]})),
    "a responder was started by hand": (
        block_by_hand, ("action", "~h1", {"objectType": "Observable", "objectId": OBSERVABLE_ID}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HAPPENINGS)
def test_what_a_hook_lost_is_found_and_is_the_very_same(what: str):
    """Two services: one gets the hook, the other finds out by itself. Both come to the same steps and leases."""
    happen, (entity, entity_id, told) = HAPPENINGS[what]
    with_hook, without = House(), House()
    for house in (with_hook, without):
        begin(house)
        house.lease_in_force()
        happen(house)
    with_hook.hook(entity, entity_id, **told)
    with_hook.loop.run_due()
    without.run(65)
    assert followed(without) == followed(with_hook)
    with_hook.run(185)
    assert followed(with_hook) == followed(without)
    assert len(with_hook.leases) == len(without.leases)
    assert with_hook.audited == without.audited


def test_a_task_that_was_completed_unheard_wakes_its_question(house: House):
    begin(house)
    ask(house)
    house.clock.advance(1)
    house.hive.work["~t1"] = Task("~t1", CASE_ID, "t", "", "", "Completed", True, ANNA, 0, house.hive.ms, {})
    house.run(65)
    assert house.ran == ["approve:Q1"]


def test_at_start_everything_that_waits_for_a_job_or_an_action_looks(house: House):
    house.open_run("r1")
    house.open_run("r2", enrichment.SCORING)
    with house.store.transaction() as work:
        house.reconcile.begin(work)
    house.loop.run_due()
    assert {"run:r1:1", "score:r2:1"} <= set(house.ran)


def test_what_happened_while_the_service_was_down_is_found_at_its_start(house: House):
    begin(house)
    house.run(120)
    close(house)
    house.clock.advance(3 * 86_400)
    house.loop = house.new_loop()
    with house.store.transaction() as work:
        house.reconcile.begin(work)
    house.loop.run_due()
    assert len(house.steps("closed")) == 1


def test_a_round_that_does_not_come_to_its_end_is_read_again(house: House):
    """The watermark is saved with what follows from the round, and not before."""
    begin(house)
    close(house)
    house.hive.down = True
    house.run(400)
    assert house.steps("closed") == []
    house.hive.down = False
    house.run(600)
    assert len(house.steps("closed")) == 1


def test_a_change_that_was_stamped_before_the_newest_one_and_came_later_is_found(house: House):
    """TheHive stamps a change before it commits it: the slow one shows up behind the watermark."""
    begin(house)
    house.hive.add_case("~9")
    house.clock.advance(30)
    house.hive.change_case("~9")
    house.run(65)
    stamped = house.hive.board["~9"].updated_at - 20_000
    house.hive.board[CASE_ID] = house.hive.board[CASE_ID]._replace(severity=4, updated_at=stamped)
    house.run(65)
    assert len(house.steps("case")) == 2  # as it stood at the beginning, and now


def test_a_backlog_is_worked_off_in_bounded_rounds(house: House, monkeypatch: pytest.MonkeyPatch):
    begin(house)
    monkeypatch.setattr(reconcile, "_MOST", 10)
    for number in range(35):
        house.clock.advance(0.5)
        house.hive.add_case(f"~1{number:02}")
    with house.store.transaction() as work:
        for number in range(35):
            work.save("case", f"~1{number:02}", {"number": 1, "alerts": [], "note": ""}, state="open")
    before = len(house.steps("case"))
    house.clock.advance(60)
    rounds = [before]
    while rounds[-1] < before + 35 and len(rounds) < 20:
        house.loop.run_due()
        rounds.append(len(house.steps("case")))
        house.clock.advance(1)
    grown = [after - start for start, after in pairwise(rounds)]
    assert (sum(grown), max(grown) <= 10, len(grown)) == (35, True, 4)


def test_more_changes_of_one_moment_than_a_round_reads_do_not_hold_it_up(house: House, monkeypatch: pytest.MonkeyPatch):
    begin(house)
    monkeypatch.setattr(reconcile, "_MOST", 5)
    house.clock.advance(61)
    for number in range(12):
        house.hive.add_case(f"~1{number:02}")
        with house.store.transaction() as work:
            work.save("case", f"~1{number:02}", {"number": 1, "alerts": [], "note": ""}, state="open")
    for number in range(3):
        house.clock.advance(1)
        house.hive.add_case(f"~2{number}")
        with house.store.transaction() as work:
            work.save("case", f"~2{number}", {"number": 1, "alerts": [], "note": ""}, state="open")
    house.run(30)
    assert len(house.steps("case")) == 16


def test_a_quiet_thehive_is_read_once_a_minute_and_no_more(house: House):
    begin(house)
    house.run(300)
    house.hive.reads.clear()
    house.run(300)
    assert sorted(set(house.hive.reads)) == [f"changed {kind}" for kind in ("alert", "case", "observable", "task")]
    assert len(house.hive.reads) == 20


def test_observables_without_tags_of_ours_cost_no_call(house: House):
    begin(house)
    for number in range(50):
        house.hive.add_observable(f"~2{number}", TARGET)
    house.hive.reads.clear()
    house.run(65)
    assert "home" not in house.hive.reads


def test_a_lease_is_not_released_by_what_it_was_told_twice(house: House):
    begin(house)
    house.lease_in_force()
    ask_for_release(house)
    house.hook("observable", OBSERVABLE_ID, tags=["propolis:release"])
    house.run(300)
    assert house.record(lease.KIND, "L1").state == lease.ENDED
    assert house.starts == ["FirewallBlock", "FirewallUnblock"]


def test_an_alert_that_no_playbook_wanted_stays_loose_until_somebody_wants_it(house: House):
    begin(house)
    key = house.known_alert()
    house.run(200)
    assert house.record(arrival.KIND, key).state == arrival.LOOSE
