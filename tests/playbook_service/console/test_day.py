"""The last 24 hours on the page Now: numbers and bars, without a scan, and honest while they are being counted."""

from __future__ import annotations

import re

from console_house import ANALYST, House, Seen
from counted import Counted
from filled import HOUR, Filled

from playbook_service.console import day

READER = "reader@soc.example"


def tiles(page: Seen) -> list[str]:
    """The words of the tiles."""
    part = page.html[page.html.index('data-part="day"') :]
    part = part[: part.index("</section>")]
    found = re.findall(r"<b>(.*?)</b><span>(.*?)</span>", part)
    return [f"{number} {words}" for number, words in found]


def bars(page: Seen) -> list[str]:
    """What the bars say to who cannot see them."""
    return re.findall(r'<svg viewBox="0 0 96 25"[^>]* aria-label="(.*?)"', page.html)


def test_the_fortnights_last_day_in_numbers(house: House) -> None:
    page = house.visitor(READER).get()
    assert tiles(page) == [
        "11 cases opened", "0 alerts suppressed", "11 decisions: 2 act, 2 ask, 1 stopped, 6 observe",
        "1 refused by a guardrail or the budget", "2 questions asked", "2 contained", "1 released", "0 failures",
    ]  # fmt: skip
    assert "From 2026-11-17 12:00:00 on, hour by hour" in page.text


def test_each_hour_has_its_bar_and_its_words(house: House) -> None:
    world = house.world
    world.clock.advance(3 * HOUR)
    with world.store.transaction() as work:
        for _ in range(3):
            world.journal.write(work, "suppressed", alert="a")
    page = house.visitor(READER).get()
    assert "alerts suppressed by the hour: 3 from 14:00" in bars(page)
    assert "released by the hour: 1 from 11:00" in bars(page)
    assert "failures by the hour: none" in bars(page)
    world.clock.advance(24 * HOUR)
    assert "0 alerts suppressed" in tiles(house.visitor(READER).get())


def test_an_empty_store_shows_zeros() -> None:
    with House() as empty:
        page = empty.visitor(READER).get()
    assert {tile.partition(" ")[0] for tile in tiles(page)} == {"0"}


def test_many_lines_are_counted_in_the_background_and_the_page_says_so(house: House) -> None:
    world = house.world
    visitor = house.visitor(READER)
    with world.store.transaction() as work:
        for _ in range(day.MOST + 300):
            world.journal.write(work, "suppressed", alert="a")
    page = visitor.get()
    assert re.search(r"Being counted: \d+ lines of the audit chain to go\.", page.text)
    assert tiles(page) == []
    house.errands.join()
    assert f"{day.MOST + 300} alerts suppressed" in tiles(visitor.get())


def test_the_cost_does_not_grow_with_the_chain(world: Filled) -> None:
    world.store = counted = Counted(world.store)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        few = counted.during(visitor.get)
        with world.store.transaction() as work:
            for _ in range(3000):
                world.journal.write(work, "suppressed", alert="a")
        visitor.get()
        house.errands.join()
        many = counted.during(visitor.get)
    assert many.total <= few.total
