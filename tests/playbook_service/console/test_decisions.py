"""Decisions: newest first, found as they are written; pages that cost what they show, whatever there is."""

from __future__ import annotations

import re

import pytest
from console_house import ANALYST, House, Seen
from counted import Counted
from filled import ATTACKER, SECOND, Filled

from playbook_service.engine import decided
from playbook_service.settings import load

READER = "reader@soc.example"


def listed(page: Seen) -> list[str]:
    """The decisions that a page leads to, in their order."""
    return [link.rpartition("/")[2] for link in page.links if re.fullmatch(r"/console/decisions/P\w+", link)]


def keys(world: Filled, **wanted: str) -> list[str]:
    with world.store.reading() as work:
        return [record.key for record in decided.newest(work, limit=1000, **wanted)[0]]


def test_the_newest_come_first_with_what_when_whom_by_what_and_why(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/decisions")
    assert listed(page) == keys(house.world)
    row = "stopped 198.51.100.53 stopped FirewallBlock 198.51.100.53 malicious-ip #131"
    assert f"{row} 198.51.100.53 is one of our name servers" in page.text


def test_what_a_mode_held_back_is_said_with_what_it_held_back_from(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/decisions?q=203.0.113.134")
    assert "would act; service mode observe" in page.text


def test_whoever_has_an_account_may_look(house: House) -> None:
    assert len(listed(house.visitor(READER).get("/console/decisions"))) == 11
    assert "Sign in" in house.visitor().get("/console/decisions").text


@pytest.mark.parametrize("term", [SECOND, "#129", "~129", f" {SECOND.upper()} "])
def test_one_is_found_as_it_is_written(house: House, term: str) -> None:
    page = house.visitor(ANALYST).get("/console/decisions?q=" + term.replace("#", "%23").replace(" ", "+"))
    assert listed(page) == keys(house.world, state="ask", playbook="malicious-ip")


def test_a_neighbourhood_a_rule_and_an_agent_find_all_of_theirs(house: House) -> None:
    visitor = house.visitor(ANALYST)
    assert len(listed(visitor.get("/console/decisions?q=203.0.113.0/24"))) == 9
    assert len(listed(visitor.get("/console/decisions?q=5712"))) == 11
    assert len(listed(visitor.get("/console/decisions?q=gw01"))) == 11


def test_filters_go_together_and_stand_in_the_address(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/decisions?q=gw01&state=ask&playbook=malware-on-host")
    assert listed(page) == keys(house.world, playbook="malware-on-host")
    assert page.form("/console/decisions") == {"q": "gw01", "state": "ask", "playbook": "malware-on-host"}


def test_a_missing_match_says_what_can_be_searched_for(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/decisions?q=192.0.2.99")
    assert "No decision is found by that. It is found as it is written, whole" in page.text
    assert "a case #128" in page.text


def test_a_state_that_is_none_is_no_filter(house: House) -> None:
    assert len(listed(house.visitor(ANALYST).get("/console/decisions?state=exploded"))) == 11


def test_every_state_is_explained(house: House) -> None:
    text = house.visitor(ANALYST).get("/console/decisions").text
    assert "held There was no budget left for it" in text
    assert "covered It was contained already" in text


def test_nothing_decided_yet_is_said() -> None:
    with House(Filled()) as house:
        assert "Nothing was decided yet." in house.visitor(ANALYST).get("/console/decisions").text


def test_pages_follow_each_other_without_gap_or_repeat(world: Filled) -> None:
    world.many(120)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        page = visitor.get("/console/decisions")
        found = listed(page)
        while older := [link for link in page.links if "after=" in link]:
            page = visitor.get(older[0])
            found += listed(page)
        assert found == keys(world)
        assert len(found) == 131
        assert "/console/decisions" in page.links  # back to the newest


def test_a_page_costs_the_same_with_a_hundred_and_with_a_thousand(world: Filled) -> None:
    world.store = counted = Counted(world.store)
    world.many(100)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        cost = counted.during(lambda: visitor.get("/console/decisions"))
        found = counted.during(lambda: visitor.get("/console/decisions?q=FirewallBlock&state=ask"))
        world.many(1000)
        again = counted.during(lambda: visitor.get("/console/decisions"))
        found_again = counted.during(lambda: visitor.get("/console/decisions?q=FirewallBlock&state=ask"))
    assert (cost.calls, cost.rows) == (again.calls, again.rows)
    assert found_again.total <= found.total + 5
    assert cost.calls["count"] == again.calls["count"] == 2, "those of the frame: the questions that wait"


def test_a_case_leads_to_thehive_where_its_address_is_known(world: Filled) -> None:
    house = House(world)
    house.settings = load({"PROPOLIS_MODE": "enforce", "PROPOLIS_THEHIVE_URL": "https://thehive.example.org"})
    with house:
        page = house.visitor(ANALYST).get("/console/decisions")
    assert "https://thehive.example.org/cases/~128/details" in page.links


def test_what_an_attacker_wrote_is_inert(world: Filled) -> None:
    evil = "<script>alert(1)</script>\u202e\x07"
    world.decide("~128", evil + "x" * 1_000_000, why="<b>stopped</b> by \u202e")
    with House(world) as house:
        page = house.visitor(ANALYST).get("/console/decisions")
        assert page.tags.count("script") == 1  # the console's own
        assert "b" not in page.tags
        assert "\u202e" not in page.html
        assert "\x07" not in page.html
        assert len(page.html) < 100_000
        mine = house.visitor(ANALYST).get("/console/decisions?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E")
        assert "img" not in mine.tags


def test_the_incident_report_of_a_case_is_a_file_in_both_forms(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = visitor.get("/console/cases/~128/report")
    assert page.headers["Content-Disposition"] == 'attachment; filename="incident-128.html"'
    assert ATTACKER in page.text
    text = visitor.get("/console/cases/~128/report?format=markdown")
    assert text.headers["Content-Disposition"] == 'attachment; filename="incident-128.md"'
    assert text.html.startswith("# Incident report, Case 128")
    gone = visitor.get("/console/cases/~999/report")
    assert (gone.status, "Nothing is known of a case" in gone.text) == (404, True)
