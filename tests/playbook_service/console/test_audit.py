"""Audit: every line readable and held against the one before; the whole chain verified on request, never by a page."""

from __future__ import annotations

from typing import Any

import pytest
from console_house import ANALYST, House, Seen
from counted import Counted
from filled import Filled

from playbook_service.audit.journal import LOG
from playbook_service.engine import anchor
from playbook_service.store.memory import MemoryStore
from propolis.clock import utc_text

READER = "reader@soc.example"


def tampered(world: Filled, number: int, **facts: Any) -> None:
    """What somebody does who can write the store: another fact in an old line."""
    store = world.store
    assert isinstance(store, MemoryStore)
    lines = list(store._logs[LOG])
    entry = lines[number - 1]
    lines[number - 1] = entry._replace(body={**entry.body, **facts})
    store._logs[LOG] = tuple(lines)


def anchored(world: Filled, number: int, digest: str) -> None:
    """A head that was written out."""
    body = {"place": "syslog", "number": number, "hash": digest}
    with world.store.transaction() as work:
        work.save(anchor.KIND, "syslog", body)
        work.append(anchor.LOG, body)


def hash_of(world: Filled, number: int) -> str:
    with world.store.reading() as work:
        return str(work.read(LOG, after=number - 1, limit=1)[0].body["hash"])


def newest(world: Filled) -> int:
    with world.store.reading() as work:
        entry = work.last(LOG)
    return entry.number if entry else 0


def verify(house: House, login: str = ANALYST) -> Seen:
    """Somebody asks for the whole chain to be verified, and looks when that is done."""
    visitor = house.visitor(login)
    visitor.press(visitor.get("/console/audit"), "/console/audit/verify")
    house.errands.join()
    return visitor.get("/console/audit")


# lines --------------------------------------------------------------------------------------------------------------


def test_the_newest_line_comes_first_and_its_facts_are_readable(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/audit")
    head = house.desk.journal.head()
    assert head is not None
    at = utc_text(house.world.clock.now())[:19].replace("T", " ")
    assert f"Chain {head.number} {at} signed in operator {ANALYST} \u00b7 role operator" in page.text
    assert "until 2026-11-19 " in page.text  # and not a number of seconds
    assert "broken" not in page.text


def test_older_lines_and_a_number_are_reached(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = visitor.get("/console/audit?at=10")
    assert "Chain 10 2026-11-18" in page.text
    assert "follows 1 2026-11-18 11:06:57 case opened" in page.text
    with house.world.store.transaction() as work:
        for number in range(100):
            house.world.journal.write(work, "counted", number=number)
    first = visitor.get("/console/audit")
    (older,) = [link for link in first.links if "at=" in link]
    assert "number 99" in first.text
    assert "number 49 " in visitor.get(older).text
    assert "number 50 " not in visitor.get(older).text


@pytest.mark.parametrize("at", ["0", "-3", "nine", "9" * 400, "\u0667"])
def test_a_number_that_is_none_shows_a_page_all_the_same(house: House, at: str) -> None:
    page = house.visitor(ANALYST).get(f"/console/audit?at={at}")
    assert (page.status, "follows" in page.text) == (200, True)


def test_lines_are_found_by_decision_lease_and_case(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = visitor.get("/console/audit?of=~132")
    told = ["case closed", "released", "release wished", "contained", "containment wished", "decision", "verdict"]
    assert [word for word in told if f" {word} " in page.text.partition("Chain")[2]] == told[1:]
    (key,) = {link.partition("of=")[2] for link in page.links if "of=P" in link}
    page = visitor.get(f"/console/audit?of={key}")
    assert "release wished" in page.text
    assert "case opened" not in page.text
    assert "broken" not in page.text


def test_lines_that_name_something_go_on_below(house: House) -> None:
    with house.world.store.transaction() as work:
        for number in range(120):
            house.world.journal.write(work, "counted", case="~77", number=number)
    visitor = house.visitor(ANALYST)
    page = visitor.get("/console/audit?of=~77")
    found = 0
    for last in (70, 20, 0):
        found += page.text.count("counted case")
        assert f"number {last} " in page.text
        older = [link for link in page.links if "below=" in link]
        page = visitor.get(older[0]) if older else page
    assert found == 120
    assert older == []


def test_what_nothing_names_is_said(house: House) -> None:
    assert "No line names that." in house.visitor(ANALYST).get("/console/audit?of=~4711").text


def test_a_line_that_was_altered_is_shown_as_broken_and_so_is_what_follows(world: Filled) -> None:
    tampered(world, 20, operator="nobody@soc.example", hash="0" * 64)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        assert "broken was altered: its hash does not fit its content" in visitor.get("/console/audit").text
        page = visitor.get("/console/audit?at=21")  # told from the line before, even where that is on another page
        assert "broken does not follow the line before it" in page.text
        named = visitor.get("/console/audit?of=~132").text
        assert "broken was altered" in named
        assert "broken does not follow" in named


def test_a_line_that_is_no_line_any_more_is_shown(world: Filled) -> None:
    tampered(world, 20, n="twenty", hash=["x"], prev=None, action={"a": 1}, case=17)
    with House(world) as house:
        assert "broken is no audit line" in house.visitor(ANALYST).get("/console/audit").text
        assert house.visitor(ANALYST).get("/console/audit?at=20").status == 200


def test_what_an_attacker_wrote_is_inert(world: Filled) -> None:
    evil = "<script>alert(1)</script>\u202e\x07"
    with world.store.transaction() as work:
        world.journal.write(work, evil, target=evil + "x" * 1_000_000, case=evil, reasons=[evil] * 500)
        world.journal.write(work, "many", **{f"fact{number}{evil}": number for number in range(200)})
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        page = visitor.get("/console/audit")
        assert page.tags.count("script") == 1
        assert "\u202e" not in page.html
        assert "\x07" not in page.html
        assert len(page.html) < 150_000
        assert visitor.get("/console/audit?of=%3Cscript%3E%E2%80%AE").tags.count("script") == 1


def test_an_empty_chain_is_said() -> None:
    with House(Filled()) as house:
        page = house.visitor(ANALYST).get("/console/audit")
        assert "Line number, 1 to 1" in page.text  # only that somebody signed in


def test_a_page_costs_the_same_whatever_the_chain_has(world: Filled) -> None:
    world.store = counted = Counted(world.store)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        ways = ("/console/audit", "/console/audit?at=55", "/console/audit?of=~77")
        costs = []
        for _ in range(2):
            with world.store.transaction() as work:
                for _ in range(200):
                    world.journal.write(work, "counted", case="~77")
            costs.append([counted.during(lambda way=way: visitor.get(way)) for way in ways])  # type: ignore[misc]
    assert [cost.calls for cost in costs[0]] == [cost.calls for cost in costs[1]]
    assert [cost.rows for cost in costs[0]] == [cost.rows for cost in costs[1]]


# verifying ----------------------------------------------------------------------------------------------------------


def test_an_operator_has_the_whole_chain_verified(house: House) -> None:
    assert "It was not verified here yet." in house.visitor(ANALYST).get("/console/audit").text
    page = verify(house)
    last = newest(house.world)
    assert f"sound {last} lines checked against 0 anchors. as of 2026-11-18 " in page.text
    assert f"head then {last}:{hash_of(house.world, last)}" in page.text
    assert [line["operator"] for line in house.world.said("verification started")] == [ANALYST]


def test_who_may_only_look_sees_what_was_found_and_has_no_button(house: House) -> None:
    verify(house)
    last = newest(house.world)
    reader = house.visitor(READER)
    page = reader.get("/console/audit")
    assert f"sound {last} lines" in page.text
    assert "/console/audit/verify" not in [action for action, _ in page.forms]
    csrf = page.form("/console/sign-out")["csrf"]
    assert reader.post("/console/audit/verify", {"csrf": csrf}).status == 403


def test_every_finding_is_told_with_its_line(world: Filled) -> None:
    tampered(world, 7, why="nothing")
    tampered(world, 9, hash="0" * 64)
    with House(world) as house:
        page = verify(house)
    assert "NOT sound" in page.text
    assert "7 was altered: its hash does not fit its content" in page.text
    assert "10 does not follow the line before it" in page.text


def test_a_chain_that_was_cut_short_is_found_by_the_head_that_was_written_out(world: Filled) -> None:
    anchored(world, 900, "a" * 64)
    with House(world) as house:
        page = verify(house)
    assert "900 is missing: the chain ends at " in page.text
    assert f"syslog 900:{'a' * 64} has no such line" in page.text


def test_heads_that_were_written_out_are_held_against_the_chain_at_once(world: Filled) -> None:
    anchored(world, 7, hash_of(world, 7))
    with House(world) as house:
        assert f"syslog 7:{hash_of(world, 7)} has it" in house.visitor(ANALYST).get("/console/audit").text
        anchored(world, 7, "b" * 64)
        assert f"syslog 7:{'b' * 64} differs" in house.visitor(ANALYST).get("/console/audit").text


def test_the_head_is_there_to_be_kept_elsewhere(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/audit")
    last = newest(house.world)
    assert f"head now {last}:{hash_of(house.world, last)}" in page.text
    assert "set audit_syslog or audit_case" in page.text
    assert "propolis audit export" in page.text


def test_verifying_holds_nobody_up(world: Filled) -> None:
    world.store = counted = Counted(world.store)
    with House(world) as house:
        house.desk.journal._store = counted
        visitor = house.visitor(ANALYST)
        page = visitor.get("/console/audit")
        cost = counted.during(lambda: (visitor.press(page, "/console/audit/verify"), house.errands.join()))
    assert "append" in cost.calls  # the one line that says who asked for it
    assert cost.calls["append"] == 1
    assert cost.calls["claim"] == cost.calls["put"] == 0
