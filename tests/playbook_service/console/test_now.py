"""The page Now: numbers, what is broken, and the mode, which is lowered at once and for all."""

from __future__ import annotations

from console_house import ANALYST, ORGADMIN, House


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
