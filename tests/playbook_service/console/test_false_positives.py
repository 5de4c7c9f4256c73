"""The page False positives: what is suppressed and why, what nearly is, and how it is taken back."""

from __future__ import annotations

from console_house import ANALYST, House
from counted import Counted
from filled import CDN, Filled


def key_of(house: House) -> str:
    """The key of the suppression of the CDN's address."""
    with house.world.store.reading() as work:
        return next(record.key for record in work.find("suppression") if record.body["data"] == CDN)


HOSTILE = '<script>alert(1)</script>"\u202egpj.exe'


def test_what_is_suppressed_is_told_with_the_closings_behind_it(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/false-positives")
    assert f"suppressed {CDN} ip 5760 of" in page.text
    assert "sshd 4 2026" in page.text
    assert "closed as FalsePositive by anna@soc.example" in page.text
    assert "203.0.113.133" not in page.text, "a true positive suppresses nothing"


def test_what_is_one_closing_away_is_told_as_well(house: House) -> None:
    for number in (150, 151):
        house.world.false_positive(number, "198.51.100.8")
    page = house.visitor(ANALYST).get("/console/false-positives")
    assert "one more to go 198.51.100.8 ip" in page.text


def test_an_operator_clears_it_and_its_alerts_come_in_again(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = visitor.press(visitor.get("/console/false-positives"), "/console/false-positives/clear", key=key_of(house))
    assert f"{CDN} is no longer suppressed under rule 5760." in page.text
    assert [line["operator"] for line in house.world.said("suppression cleared")] == [ANALYST]
    assert f"suppressed {CDN}" not in page.text


def test_clearing_what_is_not_there_is_one_sentence(house: House) -> None:
    visitor = house.visitor(ANALYST)
    form = visitor.get("/console/false-positives").form("/console/false-positives/clear")
    page = visitor.post("/console/false-positives/clear", {**form, "key": "ffffffffffffffff"})
    assert "no key is or begins with 'ffffffffffffffff'" in page.text


def test_one_suppression_has_an_address_of_its_own(house: House) -> None:
    visitor = house.visitor(ANALYST)
    assert CDN in visitor.get(f"/console/false-positives/{key_of(house)}").text
    missing = visitor.get("/console/false-positives/nothing")
    assert missing.status == 404
    assert "Nothing is counted under this key any more" in missing.text


def test_a_broken_address_of_a_page_is_said_as_such(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/false-positives?after=soon")
    assert page.status == 400
    assert "begin again at the first one" in page.text


def test_hostile_names_stay_text(house: House) -> None:
    for number in (160, 161, 162):
        house.world.false_positive(number, HOSTILE)
    page = house.visitor(ANALYST).get("/console/false-positives")
    assert "<script>alert" not in page.html
    assert "\u202e" not in page.html


def test_a_page_costs_what_it_shows(world: Filled) -> None:
    """Fifty rows, however many there are, and the next page goes on where this one ends."""
    for number in range(60):
        world.false_positive(1000 + number, f"10.1.2.{number}")
    world.store = counted = Counted(world.store)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        first = visitor.get("/console/false-positives")
        assert counted.during(lambda: visitor.get("/console/false-positives")).total <= 12
        (onward,) = [link for link in first.links if "after=" in link]
        second = visitor.get(onward)
    for number in range(60):
        assert (f" 10.1.2.{number} ip" in first.text) != (f" 10.1.2.{number} ip" in second.text)


def test_nothing_is_said_as_such() -> None:
    with House(Filled()) as house:
        page = house.visitor(ANALYST).get("/console/false-positives")
        assert "Nothing was closed as false positive in the last 30 days." in page.text
