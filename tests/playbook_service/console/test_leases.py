"""The page Leases: what is contained, found and in order; one lease in full; release, renew, make permanent."""

from __future__ import annotations

import re

import pytest
from console_house import ANALYST, APPROVER, House, Seen
from counted import Counted
from filled import ATTACKER, HOUR, Filled

from playbook_service.engine import approval, lease
from playbook_service.settings import load
from playbook_service.store.contract import Record

READER = "reader@soc.example"
BAD = '<img src=x onerror=alert(1)>"\u202e'


def in_force(world: Filled) -> Record:
    """The one lease of the fortnight that is in force."""
    with world.store.transaction() as work:
        (found,) = lease.in_force(work)
    return found


def path(world: Filled) -> str:
    return f"/console/leases/{in_force(world).key}"


def change(world: Filled, record: Record, state: str = lease.ACTIVE, **changes: object) -> None:
    """What another step would have made of a lease."""
    with world.store.transaction() as work:
        work.save(lease.KIND, record.key, {**record.body, **changes}, state=state, ref=record.ref, due=record.due)


def targets(page: Seen) -> list[str]:
    """What the table lists, in its order."""
    return re.findall(r'<td class="t" data-head="What"><a [^>]*>.*?<code><bdi>(.*?)</bdi>', page.html)


# the list -----------------------------------------------------------------------------------------------------------


def test_the_list_says_what_is_contained_where_until_when_by_whom_and_why(house: House) -> None:
    page = house.visitor(READER).get("/console/leases")
    assert f"block {ATTACKER} in force" in page.text
    assert re.search(r"2026-11-19 11:07:\d\d 23h\d+m left fw1 verified playbook malicious-ip #128", page.text)
    assert "because 3 independent families call 203.0.113.17 malicious" in page.text


def test_an_empty_store_says_that_nothing_is_contained() -> None:
    with House() as empty:
        assert "Nothing is contained." in empty.visitor(ANALYST).get("/console/leases").text


def test_those_that_end_first_come_first_fifty_a_page(house: House) -> None:
    house.world.many(0, leases=120)
    visitor = house.visitor(ANALYST)
    seen, path_on = [], "/console/leases"
    for _ in range(3):
        page = visitor.get(path_on)
        seen.append(targets(page))
        path_on = next((link for link in page.links if "after=" in link), "")
    assert [len(rows) for rows in seen] == [50, 50, 21]
    assert seen[0][:2] == ["10.0.0.0", "10.0.0.1"]
    assert [*seen[1], *seen[2]][-1] == ATTACKER
    assert path_on == ""


def test_what_is_on_its_way_in_or_out_or_doubtful_stands_before_the_rest(house: House) -> None:
    world = house.world
    world.many(0, leases=3)
    for number, state in enumerate((lease.DOUBTFUL, lease.RELEASING, lease.WISHED)):
        record = world.record(lease.KIND, f"L{number:024x}")
        change(world, record._replace(due=record.due if state == lease.DOUBTFUL else None), state)
    page = house.visitor(ANALYST).get("/console/leases")
    assert targets(page) == ["10.0.0.1", "10.0.0.2", "10.0.0.0", ATTACKER]
    assert "being released" in page.text
    assert "about to be contained" in page.text


def test_where_many_are_being_released_the_page_says_that_there_are_more(house: House) -> None:
    world = house.world
    world.many(0, leases=60)
    for number in range(60):
        change(world, world.record(lease.KIND, f"L{number:024x}")._replace(due=None), lease.RELEASING)
    page = house.visitor(ANALYST).get("/console/leases")
    assert len(targets(page)) == 51
    assert "Of these only 50 are shown here: All that are being released" in page.text
    assert "/console/leases?state=releasing" in page.links
    assert "Of these only" not in house.visitor(ANALYST).get("/console/leases?state=releasing").text


def test_a_lease_in_force_says_what_is_the_matter_with_it(house: House) -> None:
    world = house.world
    world.many(0, leases=3)
    for number, changes in enumerate(({"undos": 2}, {"ended_by": "anna@soc.example"}, {"pending": True})):
        change(world, world.record(lease.KIND, f"L{number:024x}"), **changes)
    page = house.visitor(ANALYST).get("/console/leases")
    assert "10.0.0.0 in force: the release failed 2x" in page.text
    assert "10.0.0.1 in force: release asked for" in page.text
    assert "10.0.0.2 pending at the product" in page.text


def test_one_state_or_one_responder_can_be_looked_at_alone(house: House) -> None:
    world = house.world
    world.many(0, leases=60)
    change(world, world.record(lease.KIND, f"L{7:024x}"), lease.DOUBTFUL)
    record = world.record(lease.KIND, f"L{59:024x}")
    change(world, record, grant={**record.body["grant"], "responder": "IsolateHost"})
    visitor = house.visitor(ANALYST)
    assert targets(visitor.get("/console/leases?state=doubtful")) == ["10.0.0.7"]
    assert targets(visitor.get("/console/leases?responder=IsolateHost")) == ["10.0.0.59"]
    assert "No such lease." in visitor.get("/console/leases?state=releasing").text


@pytest.mark.parametrize("term", ["203.0.113.99", "#132", "132", "~132", " 203.0.113.99 "])
def test_a_target_or_a_case_is_found_also_when_its_lease_is_over(house: House, term: str) -> None:
    page = house.visitor(ANALYST).get(f"/console/leases?find={term.replace('#', '%23')}")
    assert targets(page) == ["203.0.113.99"]
    assert "over" in page.text


def test_what_was_started_by_hand_is_found_in_force_though_nothing_was_decided(house: House) -> None:
    house.world.many(0, leases=3)  # leases without a decision
    assert targets(house.visitor(ANALYST).get("/console/leases?find=10.0.0.2")) == ["10.0.0.2"]


def test_a_page_that_does_not_exist_is_refused_in_a_sentence(house: House) -> None:
    for after in ("x", "nan:L", "inf:L"):
        page = house.visitor(ANALYST).get(f"/console/leases?after={after}")
        assert (page.status, "begin with the first" in page.text) == (400, True)


def test_the_cost_of_the_list_does_not_grow_with_what_is_contained(world: Filled) -> None:
    world.many(0, leases=60)
    world.store = counted = Counted(world.store)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        few = counted.during(lambda: visitor.get("/console/leases"))
        world.store = counted.inner
        world.many(1000, leases=1000)
        many = counted.during(lambda: visitor.get("/console/leases"))
    assert (many.total, many.rows) == (few.total, few.rows)


# one lease ----------------------------------------------------------------------------------------------------------


def test_one_lease_shows_its_evidence_its_verification_and_what_happened(house: House) -> None:
    record = in_force(house.world)
    page = house.visitor(READER).get(path(house.world))
    assert "yes: the responder looked at the product afterwards" in page.text
    assert "Contained 203.0.113.17 at fw1 until tomorrow; verified." in page.text
    assert "4 independent families" in page.text
    assert page.tags.count("svg") >= 6
    assert "decided: act playbook malicious-ip" in page.text
    assert "FirewallBlock is to be started" in page.text
    assert f"/console/decisions/{record.key}" in page.links
    assert '"mark": "propolis lease=' in page.html.replace("&quot;", '"')


def test_one_that_was_released_early_says_by_whom(house: House) -> None:
    page = house.visitor(READER).get("/console/leases?find=203.0.113.99")
    page = house.visitor(READER).get(next(link for link in page.links if link.startswith("/console/leases/")))
    assert "it ended anna@soc.example Released; verified." in page.text
    assert [action for action, _ in page.forms] == ["/console/sign-out"]


def test_one_that_was_asked_for_tells_of_the_question_and_its_answer(house: House) -> None:
    world = house.world
    with world.store.transaction() as work:
        question = approval.waiting(work)[0]
        lease.grant(work, world.tools, lease.Grant(**{**question.body["grant"], "by": "anna@soc.example"}))
        body = {**question.body, "answers": ["anna@soc.example"]}
        work.save(approval.KIND, question.key, body, state=approval.GRANTED, ref=question.ref)
    page = house.visitor(READER).get(f"/console/leases/{question.key}")
    assert "an analyst was asked" in page.text
    assert "the question ended: granted anna@soc.example" in page.text
    assert f"/console/approvals/{question.key}" in page.links


def test_a_lease_that_is_not_there_is_told_in_a_sentence(house: House) -> None:
    page = house.visitor(READER).get("/console/leases/nothing")
    assert (page.status, "There is no such lease" in page.text) == (404, True)


def test_texts_from_outside_are_inert_in_the_list_and_on_the_page(house: House) -> None:
    record = in_force(house.world)
    grant = {**record.body["grant"], "target": BAD + "A" * 1_000_000, "why": BAD, "by": BAD}
    report = {"message": BAD, "mark": BAD, "verified": BAD, "result": BAD}
    change(house.world, record, grant=grant, where=BAD, report=report)
    visitor = house.visitor(ANALYST)
    for where in ("/console/leases", path(house.world)):
        page = visitor.get(where)
        assert "img" not in page.tags
        assert "\u202e" not in page.html
        assert len(page.html) < 200_000


# acts ---------------------------------------------------------------------------------------------------------------


def test_an_operator_releases_now_and_says_why(house: House) -> None:
    visitor, where = house.visitor(ANALYST), path(house.world)
    key = in_force(house.world).key
    page = visitor.press(visitor.get(where), f"{where}/release", why="it is our own scanner")
    assert "It is being released." in page.text
    assert in_force(house.world).body["ended_by"] == ANALYST
    line = house.world.said("release wished")[-1]
    assert (line["lease"], line["operator"], line["why"]) == (key, ANALYST, "it is our own scanner")
    assert f"{where}/release" not in [action for action, _ in page.forms]


def test_a_release_works_while_thehive_is_away(house: House) -> None:
    visitor, where = house.visitor(ANALYST), path(house.world)
    page = visitor.get(where)
    house.lab.stop()
    assert "It is being released." in visitor.press(page, f"{where}/release").text


def test_releasing_what_is_over_says_so(house: House) -> None:
    visitor, where = house.visitor(ANALYST), path(house.world)
    page, record = visitor.get(where), in_force(house.world)
    house.world.ended(record)
    assert "it may be over already" in visitor.press(page, f"{where}/release").text


def test_an_operator_renews_and_the_policy_bounds_it(house: House) -> None:
    visitor, where = house.visitor(ANALYST), path(house.world)
    before = float(in_force(house.world).body["until"])
    page = visitor.press(visitor.get(where), f"{where}/renew", **{"for": "4h"})
    assert "It is renewed until 2026-11-19 15:07." in page.text
    assert float(in_force(house.world).body["until"]) == before + 4 * HOUR
    page = visitor.press(visitor.get(where), f"{where}/renew", **{"for": "30d"})
    longest = house.world.clock.now() + 7 * 24 * HOUR
    assert float(in_force(house.world).body["until"]) == pytest.approx(longest)
    assert [line["operator"] for line in house.world.said("end moved")] == [ANALYST, ANALYST]


def test_a_span_that_is_none_is_told_with_what_to_write(house: House) -> None:
    visitor, where = house.visitor(ANALYST), path(house.world)
    page = visitor.press(visitor.get(where), f"{where}/renew", **{"for": "a while"})
    assert "'a while' is not a duration: write a number with its unit, such as 90s, 30m, 4h or 7d." in page.text
    assert house.world.said("end moved") == []


def test_an_operator_makes_it_permanent(house: House) -> None:
    visitor, where = house.visitor(ANALYST), path(house.world)
    page = visitor.press(visitor.get(where), f"{where}/permanent")
    assert "permanent: until somebody releases it" in page.text
    assert in_force(house.world).body["permanent"] is True
    actions = [action for action, _ in page.forms]
    assert (f"{where}/renew" in actions, f"{where}/release" in actions) == (False, True)


def test_a_policy_that_allows_nothing_for_good_offers_and_takes_no_such_thing(house: House) -> None:
    visitor, where = house.visitor(ANALYST), path(house.world)
    page = visitor.get(where)
    house.world.policy_text = "firewall: {own: [198.51.100.0/24], permanent: never}"
    assert "Nobody contains without an end under this policy" in visitor.get(where).text
    assert "Nothing is contained for good under this policy." in visitor.press(page, f"{where}/permanent").text
    assert not in_force(house.world).body.get("permanent")


def test_where_approvers_are_named_only_they_prolong(world: Filled) -> None:
    named = House(world)
    named.settings = load({"PROPOLIS_APPROVERS": APPROVER})
    with named as house:
        where = path(world)
        visitor = house.visitor(ANALYST)
        page = visitor.get(where)
        assert "named in the setting approvers" in page.text
        form = page.form(f"{where}/release")
        page = visitor.post(f"{where}/renew", {**form, "for": "4h"})
        assert f"{ANALYST} is not one of those who may prolong a containment." in page.text
        listed = house.visitor(APPROVER)
        assert "It is renewed until" in listed.press(listed.get(where), f"{where}/renew").text


def test_who_may_only_look_is_offered_no_act_and_refused_each(house: House) -> None:
    visitor, where = house.visitor(READER), path(house.world)
    page = visitor.get(where)
    assert [action for action, _ in page.forms] == ["/console/sign-out"]
    for act in ("release", "renew", "permanent"):
        answer = visitor.post(f"{where}/{act}", page.form("/console/sign-out"))
        assert (answer.status, "This takes the role operator" in answer.text) == (403, True)
    assert in_force(house.world).body["ended_by"] == ""
