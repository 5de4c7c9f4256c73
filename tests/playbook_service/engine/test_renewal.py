"""Longer on a person's word only, in steps that the product takes, and never past a release."""

from __future__ import annotations

import pytest
from seen_house import ANNA, CASE_ID, DAY, OBSERVABLE_ID, POLICY, SERVICE, House

from playbook_service.engine import lease, renewal
from playbook_service.engine.request import requests_of, who_tagged
from playbook_service.engine.step import Done
from playbook_service.hive.model import Audit
from playbook_service.store.contract import Conflict, Item
from propolis.clock import utc_text
from propolis.errors import InputError, PropolisError
from propolis.guardrails import Policy

HOUR = 3600
FAILED = {"success": False, "errorMessage": "fw1 cannot be reached"}


@pytest.fixture
def house() -> House:
    house = House()
    house.lease_in_force()
    house.hive.reports["FirewallUnblock"] = [{"success": True, "full": {"result": "released"}}]
    return house


def renew(house: House, seconds: int, by: str = ANNA) -> float:
    with house.store.transaction() as work:
        return renewal.renew(work, house.tools, "L1", seconds, by)


def make_permanent(house: House, by: str = ANNA) -> None:
    with house.store.transaction() as work:
        renewal.make_permanent(work, house.tools, "L1", by)


def extends(house: House, *seconds_from_now: int) -> None:
    """The responder will extend so far, as its own configuration lets it."""
    now = house.clock.now()
    house.hive.reports["FirewallBlock"] += [
        {"success": True, "full": {"result": "extended", "until": utc_text(now + seconds), "mark": "propolis"}}
        for seconds in seconds_from_now
    ]


def state(house: House) -> str:
    return house.record(lease.KIND, "L1").state


# by command ----------------------------------------------------------------------------------------------------------


def test_a_renewed_lease_is_extended_at_the_product_and_ends_later(house: House):
    extends(house, DAY + 4 * HOUR)
    end = renew(house, 4 * HOUR)
    assert end == pytest.approx(house.clock.now() + DAY + 4 * HOUR, abs=10)
    house.run(30)
    assert house.starts == ["FirewallBlock", "FirewallBlock"]
    _, entity, parameters = house.hive.started[1]
    assert (entity, parameters["renew"], parameters["lease"]) == (OBSERVABLE_ID, True, "L1")
    house.run(DAY + 2 * HOUR)
    assert state(house) == lease.ACTIVE
    house.run(3 * HOUR)
    assert state(house) == lease.ENDED
    assert house.starts[2:] == ["FirewallUnblock"]
    assert house.audited == ["containment wished", "contained", "end moved", "renewed", "released"]


def test_a_product_that_holds_for_a_day_at_most_is_asked_again_before_each_end(house: House):
    extends(house, DAY, 2 * DAY, 3 * DAY, 4 * DAY)
    renew(house, 2 * DAY)
    house.run(30)
    assert len(house.starts) == 2
    house.run(DAY)
    assert len(house.starts) == 3
    house.run(4 * DAY)
    assert state(house) == lease.ENDED
    assert house.starts.count("FirewallUnblock") == 1


def test_a_permanent_lease_is_renewed_until_somebody_releases_it(house: House):
    extends(house, *(DAY * number for number in range(1, 12)))
    make_permanent(house)
    house.run(10 * DAY)
    assert state(house) == lease.ACTIVE
    assert 9 <= len(house.starts) <= 12
    with house.store.transaction() as work:
        assert lease.end(work, house.tools, "L1", ANNA)
    house.run(60)
    assert state(house) == lease.ENDED
    before = len(house.starts)
    house.run(3 * DAY)
    assert len(house.starts) == before


def test_the_policy_bounds_a_renewal(house: House):
    end = renew(house, 30 * DAY)
    assert end == pytest.approx(house.clock.now() + 7 * DAY, abs=1)
    with pytest.raises(InputError, match="longest that the policy allows"):
        renew(house, DAY)


def test_permanent_is_refused_where_the_policy_says_never(house: House):
    house.policy += "  permanent: never\n"
    with pytest.raises(PropolisError, match="permanent"):
        make_permanent(house)


def test_what_is_not_in_force_cannot_be_renewed(house: House):
    with pytest.raises(InputError, match="There is no lease"), house.store.transaction() as work:
        renewal.renew(work, house.tools, "unknown", HOUR, ANNA)
    house.run(DAY + 600)
    with pytest.raises(InputError, match="only one that is in force"):
        renew(house, HOUR)


def test_in_observe_mode_nothing_is_renewed_not_even_what_was_wished_before(house: House):
    extends(house, DAY + HOUR)
    renew(house, HOUR)
    house.mode = "observe"
    house.run(300)
    assert house.starts == ["FirewallBlock"]
    with pytest.raises(InputError, match="mode is observe"):
        renew(house, HOUR)
    house.mode = "enforce"
    house.run(120)
    assert house.starts == ["FirewallBlock", "FirewallBlock"]


def test_a_failing_renewal_is_retried_and_a_person_is_called_once(house: House):
    house.hive.reports["FirewallBlock"] += [FAILED] * 5
    extends(house, DAY + HOUR)
    renew(house, HOUR)
    house.run(2 * HOUR)
    assert house.starts == ["FirewallBlock"] * 7
    assert [task.title for task in house.hive.made_tasks].count("RENEW BY HAND? 203.0.113.7 (FirewallBlock)") == 1
    assert house.audited.count("renewal failed") == 5
    assert "renewed" in house.audited


def test_somebody_elses_block_is_no_renewal(house: House):
    stranger = {"result": "already_contained", "until": None, "mark": "night shift"}
    house.hive.reports["FirewallBlock"] += [{"success": True, "full": stranger}]
    renew(house, HOUR)
    house.run(10)
    assert "renewal failed" in house.audited


def test_a_product_that_keeps_neither_mark_nor_end_needs_nothing_done_for_a_renewal(house: House):
    standing = {"result": "already_contained", "until": None, "mark": "", "marks": False}
    house.hive.reports["FirewallBlock"] += [{"success": True, "full": standing}]
    renew(house, HOUR)
    house.run(10)
    assert "renewed" in house.audited
    assert "renewal failed" not in house.audited


def test_a_release_waits_for_an_extension_that_was_begun_and_comes_after_it(house: House):
    """Otherwise the extension would contain anew what was just released."""
    extends(house, DAY + HOUR)
    renew(house, HOUR)
    house.hive.slow = True
    house.loop.run_due()
    assert house.starts == ["FirewallBlock", "FirewallBlock"]
    with house.store.transaction() as work:
        lease.end(work, house.tools, "L1", ANNA)
    house.run(20)
    assert house.starts == ["FirewallBlock", "FirewallBlock"]
    house.hive.slow = False
    house.run(20)
    assert house.starts[2:] == ["FirewallUnblock"]
    assert state(house) == lease.ENDED


def renewal_step(house: House, number: int = 1) -> Item:
    return Item(1, "step", f"renew:L1:{number}", {"lease": "L1", "number": number}, 1, 0.0, 0.0)


def test_a_lease_that_is_about_to_be_released_is_not_extended_any_more(house: House):
    renew(house, HOUR)
    with house.store.transaction() as work:
        lease.end(work, house.tools, "L1", ANNA)
    assert renewal.Renewals(house.tools).step(renewal_step(house)) == Done()
    assert house.starts == ["FirewallBlock"]


def test_a_release_at_the_very_moment_of_an_extension_comes_first(house: House):
    """Another node ends the lease between our look at it and our start."""
    renew(house, HOUR)

    def meddling() -> Policy:
        with house.store.transaction() as work:
            lease.end(work, house.tools, "L1", ANNA)
        return Policy.parse(POLICY)

    with pytest.raises(Conflict):
        renewal.Renewals(house.tools._replace(policy=meddling)).step(renewal_step(house))
    house.run(10)
    assert house.starts == ["FirewallBlock", "FirewallUnblock"]


def test_a_second_renewal_takes_the_place_of_the_first(house: House):
    extends(house, DAY + HOUR, DAY + 3 * HOUR)
    renew(house, HOUR)
    house.run(10)
    renew(house, 2 * HOUR)
    house.run(10)
    assert house.starts == ["FirewallBlock"] * 3
    assert house.record(lease.KIND, "L1").body["renewals"] == 2


# by tag --------------------------------------------------------------------------------------------------------------


def seen(house: House, entity: str = "observable", entity_id: str = OBSERVABLE_ID) -> None:
    house.hook(entity, entity_id, tags=["propolis:x"])
    house.run(10)


@pytest.mark.parametrize(("entity", "entity_id"), [("observable", OBSERVABLE_ID), ("case", CASE_ID)])
def test_an_analysts_tag_releases(house: House, entity: str, entity_id: str):
    house.hive.tag(entity_id, "propolis:release")
    seen(house, entity, entity_id)
    assert (state(house), house.record(lease.KIND, "L1").body["ended_by"]) == (lease.ENDED, ANNA)


def test_a_tag_that_comes_while_the_containment_is_still_being_started_waits_for_it():
    house = House()
    house.hive.slow = True
    house.hive.reports = {"FirewallBlock": [house.contained()]}
    house.hive.reports["FirewallUnblock"] = [{"success": True, "full": {"result": "released"}}]
    with house.store.transaction() as work:
        wanted = lease.Grant(
            "L1", "FirewallBlock", "case_artifact", OBSERVABLE_ID, CASE_ID, "203.0.113.7", DAY, "", "", "x"
        )
        lease.grant(work, house.tools, wanted)
    house.hive.tag(OBSERVABLE_ID, "propolis:release")
    seen(house)
    house.hive.slow = False
    house.run(60)
    assert (state(house), house.record(lease.KIND, "L1").body["ended_by"]) == (lease.ENDED, ANNA)


@pytest.mark.parametrize("entity_id", [OBSERVABLE_ID, CASE_ID])
def test_a_tag_that_was_there_before_the_containment_is_not_about_it(entity_id: str):
    house = House()
    house.hive.tag(entity_id, "propolis:release")
    house.clock.advance(2 * HOUR)
    house.lease_in_force()
    house.hive.tag(entity_id, "another")
    seen(house, "case" if entity_id == CASE_ID else "observable", entity_id)
    house.run(60)
    assert state(house) == lease.ACTIVE
    assert house.starts == ["FirewallBlock"]


def test_an_analysts_tag_renews_once_although_it_stays(house: House):
    extends(house, DAY + 4 * HOUR)
    house.hive.tag(OBSERVABLE_ID, 'propolis:renew="4h"')
    seen(house)
    end = house.record(lease.KIND, "L1").body["until"]
    assert end == pytest.approx(house.clock.now() + DAY + 4 * HOUR, abs=60)
    house.hive.tag(OBSERVABLE_ID, "another")
    seen(house)
    house.run(60)
    assert house.record(lease.KIND, "L1").body["until"] == end
    assert house.audited.count("end moved") == 1


def test_an_analysts_tag_makes_permanent(house: House):
    extends(house, DAY)
    house.hive.tag(OBSERVABLE_ID, "propolis:permanent")
    seen(house)
    assert house.record(lease.KIND, "L1").body["permanent"] is True


@pytest.mark.parametrize("tag", ["propolis:release", "propolis:renew=4h", "propolis:permanent"])
def test_a_tag_by_the_service_or_by_nobody_does_nothing_and_says_so(house: House, tag: str):
    before = house.record(lease.KIND, "L1")
    house.hive.tag(OBSERVABLE_ID, tag, by=SERVICE)
    seen(house)
    house.hive.trail.clear()
    house.hive.tag(OBSERVABLE_ID, "other")
    house.hive.trail.clear()
    seen(house)
    house.run(120)
    assert house.record(lease.KIND, "L1").version == before.version
    assert [task.title for task in house.hive.made_tasks] == [f"Not done: {tag}"] * 2


def test_a_malformed_wish_is_answered(house: House):
    house.hive.tag(OBSERVABLE_ID, "propolis:renew=soon")
    seen(house)
    assert state(house) == lease.ACTIVE
    assert "is not a duration" in house.hive.made_tasks[-1].description.replace("\\", "")


def test_only_approvers_renew_but_anybody_may_release():
    house = House(approvers=["ben@soc.example"])
    house.lease_in_force()
    house.hive.tag(OBSERVABLE_ID, "propolis:permanent")
    seen(house)
    assert not house.record(lease.KIND, "L1").body.get("permanent")
    house.hive.tag(OBSERVABLE_ID, "propolis:release")
    seen(house)
    assert state(house) == lease.ENDED


def test_a_tag_on_one_observable_is_not_about_another(house: House):
    house.hive.add_observable("~42", "203.0.113.9")
    house.hive.tag("~42", "propolis:release")
    seen(house, entity_id="~42")
    assert state(house) == lease.ACTIVE


def test_the_words_of_tags():
    found = requests_of(["propolis:release", "propolis:renew=2d", "propolis:for=4h", "propolis:release=now", "release"])
    assert [(request.word, request.seconds) for request in found] == [("release", 0), ("renew", 2 * DAY)]


def line(actor: str, at: int, *tags: str, verb: str = "update") -> Audit:
    return Audit("observable", "~41", verb, actor, at, {"tags": list(tags)})


def test_the_author_of_a_tag_is_who_put_it_and_not_who_edited_later():
    trail = [line("eve", 30, "a", "b", "c"), line("anna", 20, "a", "b"), line("ben", 10, "a")]
    assert who_tagged(trail, "b") == ("anna", 20)
    assert who_tagged(trail, "a") == ("ben", 10)


def test_a_tag_that_came_with_the_entity_is_its_creators():
    trail = [line("anna", 20, "a", "b"), line("feed", 10, "a", verb="create")]
    assert who_tagged(trail, "a").login == "feed"


def test_a_tag_that_was_taken_away_and_put_again_is_the_second_ones():
    trail = [line("anna", 30, "a"), line("ben", 20), line("eve", 10, "a")]
    assert who_tagged(trail, "a") == ("anna", 30)


@pytest.mark.parametrize("trail", [
    [], [Audit("observable", "~41", "update", "anna", 1, {"ioc": True})], [line("anna", 20, "b")],
    [line("anna", number, "a") for number in range(200, 0, -1)],
])  # fmt: skip
def test_where_the_trail_does_not_tell_nobody_is_the_author(trail: list[Audit]):
    assert who_tagged(trail, "a").login == ""
