"""The page Observe: what was held back, scored by closings, computed in the background and kept."""

from __future__ import annotations

from console_house import ANALYST, House
from filled import Filled

from playbook_service.console.errand import standing


def observed(house: House, who: str = ANALYST) -> str:
    """The page after its result was made."""
    visitor = house.visitor(who)
    visitor.get("/console/observe")
    house.errands.join()
    return visitor.get("/console/observe").text


def test_a_first_look_has_it_computed_and_a_second_one_shows_it(house: House) -> None:
    visitor = house.visitor(ANALYST)
    assert "Being computed" in visitor.get("/console/observe").text
    house.errands.join()
    page = visitor.get("/console/observe")
    assert "malicious-ip would have acted alone" in page.text
    assert "5 right, 1 wrong, 0 unknown" in page.text
    assert "Stay: 104 more right cases in a row are needed." in page.text


def test_the_wrong_cases_stand_first_with_a_way_to_the_decision(house: House) -> None:
    text = observed(house)
    assert text.index("wrong #138 FalsePositive") < text.index("right #137 TruePositive")
    page = house.visitor(ANALYST).get("/console/observe")
    assert any(link.startswith("/console/decisions/P") for link in page.links)


def test_what_nobody_has_closed_is_unknown_and_scored_as_nothing(house: House) -> None:
    house.world.attack(170, "203.0.113.170", kind="observe")
    assert "5 right, 1 wrong, 1 unknown" in observed(house)


def test_seventy_three_right_cases_earn_the_promotion_and_the_page_says_how(world: Filled) -> None:
    for number in range(200, 400):
        world.attack(number, f"198.18.0.{number - 200}", kind="observe")
        world.close(f"~{number}", "TruePositive")
    with House(world) as house:
        text = observed(house)
    assert "promotion earned" in text
    assert "To do so, set mode: enforce in its file" in text


def test_an_operator_has_it_computed_again(house: House) -> None:
    visitor = house.visitor(ANALYST)
    visitor.get("/console/observe")
    house.errands.join()
    house.world.clock.advance(60)
    page = visitor.press(visitor.get("/console/observe"), "/console/observe/again")
    assert "It is being computed." in page.text
    house.errands.join()
    with house.world.store.reading() as work:
        assert standing(work, "observe", house.world.clock.now()).by == ANALYST


def test_an_old_result_is_made_anew_when_somebody_looks(house: House) -> None:
    observed(house)
    house.world.attack(171, "203.0.113.171", kind="observe")
    assert "0 unknown" in observed(house)
    house.world.clock.advance(3700)
    assert "1 unknown" in observed(house)


def test_nothing_held_back_is_said_as_such() -> None:
    with House(Filled()) as house:
        assert "Nothing was held back by a mode yet" in observed(house)
