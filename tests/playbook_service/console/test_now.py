"""The page Now: numbers, what is broken, and the mode, which is lowered at once and for all."""

from __future__ import annotations

import re
from pathlib import Path

from console_house import ANALYST, ORGADMIN, House, Seen
from counted import Counted
from filled import Filled

from playbook_service.console import trouble
from playbook_service.engine import analysis, lease
from playbook_service.engine.step import STEPS
from playbook_service.playbook import SHIPPED, load
from playbook_service.reload import Reloading
from playbook_service.store.contract import Item

READER = "reader@soc.example"
BAD = '<img src=x onerror=alert(1)>"\u202e'


def step(world: Filled, key: str) -> Item:
    """A step in somebody's hands, none other being due."""
    with world.store.transaction() as work:
        work.put(STEPS, key, {"do": "tell"}, due=world.clock.now() - 1e6)
        (item,) = work.claim(STEPS, "node", seconds=60)
    return item


def fails(world: Filled, key: str, why: str) -> None:
    item = step(world, key)
    with world.store.transaction() as work:
        work.later(item, world.clock.now() + 30, why, failed=True)


def set_aside(world: Filled, key: str, why: str) -> None:
    item = step(world, key)
    with world.store.transaction() as work:
        work.bury(item, why)
        world.journal.write(work, "set aside", step=key, why=why)


def cells(page: Seen, head: str) -> list[str]:
    """The texts in a column."""
    found = re.findall(rf'<td[^>]* data-head="{head}">(.*?)</td>', page.html)
    return [re.sub(r"<[^>]+>", "", cell) for cell in found]


def test_the_page_says_how_much_waits_and_what_is_contained(house: House) -> None:
    page = house.visitor(ANALYST).get()
    assert "1 contained at this moment" in page.text
    assert "2 questions to analysts" in page.text


def test_an_operator_stops_everything_with_one_button(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = visitor.press(visitor.get(), "/console/stop", why="the playbook went wild")
    assert "mode observe lowered from enforce" in page.text
    assert "the playbook went wild" in page.text
    assert [line["mode"] for line in house.world.said("mode set")] == ["observe"]


def test_only_an_administrator_raises_the_mode_again(house: House) -> None:
    operator, admin = house.visitor(ANALYST), house.visitor(ORGADMIN)
    page = operator.press(operator.get(), "/console/stop")
    assert "/console/mode" not in [action for action, _ in page.forms]
    page = admin.press(admin.get(), "/console/mode", mode="enforce")
    assert "The mode is enforce" in page.text


# numbers ------------------------------------------------------------------------------------------------------------


def test_the_pipeline_is_told_in_numbers_with_ages(house: House) -> None:
    world = house.world
    with world.store.transaction() as work:
        for number in range(3):
            work.put("inbox", f"e{number}", {"from": "wazuh"})
        for number, state in enumerate((analysis.RUNNING, analysis.RUNNING, analysis.ASKING, analysis.ENDED)):
            work.save(analysis.KIND, f"run:{number}", {}, state=state, ref="AbuseIPDB")
    step(world, "tell:one")
    world.clock.advance(90.0)
    page = house.visitor(READER).get()
    assert "3 events to be taken up, the oldest for 1m30s" in page.text
    assert "1 steps in hand" in page.text
    assert "3 analyzers at work" in page.text
    assert re.search(r"\d+ steps wait, one is \d+m\d*s? late", page.text)


def test_an_empty_store_is_calm() -> None:
    with House() as empty:
        page = empty.visitor(READER).get()
    for sentence in (
        "0 events to be taken up", "0 steps wait for their time", "Nothing is broken.", "No step fails.",
        "Nothing was decided yet.", "Nothing is contained that has an end.", "Nothing went wrong lately.",
    ):  # fmt: skip
        assert sentence in page.text


def test_the_last_decisions_and_the_next_ends_are_listed_and_lead_to_their_pages(house: House) -> None:
    house.world.many(0, leases=9)
    page = house.visitor(READER).get()
    assert len(cells(page, "State")) == 10
    assert cells(page, "State")[-3:] == ["stopped", "ask", "ask"]
    assert [text for text in cells(page, "What") if text.startswith("block 10.")] == [
        f"block 10.0.0.{number}" for number in range(5)
    ]
    assert any(link.startswith("/console/decisions/P") for link in page.links)
    assert any(link.startswith("/console/leases/L") for link in page.links)


def test_the_cost_of_the_page_does_not_grow_with_what_was_decided(world: Filled) -> None:
    world.many(200, leases=20)
    for number in range(20):
        fails(world, f"tell:{number}", "TheHive answers 503")
    world.store = counted = Counted(world.store)
    with House(world) as house:
        visitor = house.visitor(READER)
        few = counted.during(visitor.get)
        world.store = counted.inner
        world.many(2000, leases=500)
        many = counted.during(visitor.get)
    assert (many.total, many.rows) == (few.total, few.rows)


# what needs a person ------------------------------------------------------------------------------------------------


def test_a_step_that_fails_is_told_with_its_reason_newest_first(house: House) -> None:
    world = house.world
    fails(world, "tell:old", "TheHive answers 503")
    world.clock.advance(5.0)
    fails(world, "tell:new", "the connection was refused")
    page = house.visitor(READER).get()
    assert cells(page, "Step") == ["tell:new", "tell:old"]
    assert cells(page, "Why")[:2] == ["the connection was refused", "TheHive answers 503"]


def test_what_only_waits_is_counted_by_its_reason(house: House) -> None:
    item = step(house.world, "release:one")
    with house.world.store.transaction() as work:
        work.later(item, house.world.clock.now() + 60, "the lease is in force")
    page = house.visitor(READER).get()
    assert "the lease is in force" in cells(page, "What they wait for")
    assert cells(page, "How many")[-1] == "1"


def test_an_operator_has_a_step_that_was_set_aside_tried_again(house: House) -> None:
    set_aside(house.world, "tell:broken", "it never works")
    visitor = house.visitor(ANALYST)
    page = visitor.get()
    assert "1 steps set aside" in page.text
    assert "it never works" in page.text
    page = visitor.press(page, "/console/again")
    assert "tell:broken is tried again." in page.text
    (line,) = house.world.said("step tried again")
    assert (line["step"], line["operator"]) == ("tell:broken", ANALYST)
    assert "0 steps set aside" in page.text


def test_trying_again_what_is_not_set_aside_any_more_is_refused(house: House) -> None:
    set_aside(house.world, "tell:broken", "it never works")
    visitor = house.visitor(ANALYST)
    page = visitor.get()
    form = page.form("/console/again")
    for changed in ({"queue": "audit"}, {"key": "tell:other"}):
        assert "This step is not set aside any more." in visitor.post("/console/again", {**form, **changed}).text
    reader = house.visitor(READER)
    page = reader.get()
    assert "/console/again" not in [action for action, _ in page.forms]
    assert reader.post("/console/again", {**page.form("/console/sign-out"), "queue": STEPS}).status == 403


def test_a_release_that_fails_and_a_doubtful_containment_call_for_a_person(house: House) -> None:
    world = house.world
    world.many(0, leases=2)
    for number, changes in enumerate(({"undos": 2}, {})):
        record = world.record(lease.KIND, f"L{number:024x}")
        state = (lease.ACTIVE, lease.DOUBTFUL)[number]
        with world.store.transaction() as work:
            work.save(lease.KIND, record.key, {**record.body, **changes}, state=state, due=world.clock.now() - 5)
            if number == 0:
                world.journal.write(work, "release failed", lease=record.key, tries=2, why="the firewall is away")
    page = house.visitor(READER).get()
    assert "10.0.0.0 is contained still, though its time is over: the release failed 2 times." in page.text
    assert "Whether 10.0.0.1 is contained is not known." in page.text
    assert "release failed" in page.text
    assert "the firewall is away" in page.text
    assert f"/console/leases/L{0:024x}" in page.links


def test_an_escalation_is_told_newest_first(house: House) -> None:
    with house.world.store.transaction() as work:
        house.world.journal.write(work, "escalated", case="~128", number=128, rule="verdict", why="it is malicious")
        house.world.journal.write(work, "escalated", case="~129", number=129, rule="silence", why="nobody answers")
    page = house.visitor(READER).get()
    assert cells(page, "Why")[-2:] == ["nobody answers", "it is malicious"]


def test_a_policy_that_is_not_valid_is_told_with_what_to_do(house: House) -> None:
    visitor = house.visitor(READER)
    house.world.policy_text = "firewall: {own: [nowhere]}"
    page = visitor.get()
    assert "The policy cannot be used, so nothing is contained or renewed" in page.text
    assert "firewall.own" in page.text
    assert "Mend its file" in page.text


def test_playbooks_that_cannot_be_used_as_they_are_now_are_told_with_what_to_do(house: House, tmp_path: Path) -> None:
    file = tmp_path / "block.yml"
    file.write_text((SHIPPED / "malicious-ip.yml").read_text())
    books = Reloading(tmp_path, lambda: load(tmp_path), strict=False)
    books()
    file.write_text("playbook: [broken")
    books()
    with house.world.store.reading() as work:
        (found,) = trouble.troubles(house.desk._replace(playbooks=books), work)
    assert "the last sound ones stay in use" in found.what
    assert "block.yml" in found.what
    assert "propolis lint" in found.do


def test_while_thehive_was_not_met_the_page_says_what_to_look_at(house: House) -> None:
    visitor, tools = house.visitor(READER), house.tools
    house.tools = None  # type: ignore[assignment]
    try:
        page = visitor.get()
    finally:
        house.tools = tools
    assert "The service has not met TheHive since it started: events are taken in, and wait." in page.text


def test_texts_from_outside_are_inert(house: House) -> None:
    world = house.world
    fails(world, f"tell:{BAD}", BAD + "A" * 1_000_000)
    set_aside(world, "verdict:one", BAD + "A" * 1_000_000)
    with world.store.transaction() as work:
        world.journal.write(work, "escalated", case=BAD, rule=BAD, why=BAD, lease=BAD, target=BAD)
    record = world.record(lease.KIND, next(iter(_leases(world))))
    grant = {**record.body["grant"], "target": BAD + "A" * 1_000_000, "by": BAD}
    with world.store.transaction() as work:
        body = {**record.body, "grant": grant}
        work.save(lease.KIND, record.key, body, state=lease.DOUBTFUL, ref=record.ref, due=record.due)
    page = house.visitor(ANALYST).get()
    assert "img" not in page.tags
    assert "\u202e" not in page.html
    assert len(page.html) < 200_000


def _leases(world: Filled) -> list[str]:
    with world.store.transaction() as work:
        return [record.key for record in lease.in_force(work)]
