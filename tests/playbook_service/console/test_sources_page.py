"""The page Sources: what closings taught, who copies whom, and how it is taken back."""

from __future__ import annotations

from console_house import ANALYST, House, Seen, Visitor
from filled import Filled

from playbook_service.feedback import drift

ABUSEIPDB = "/console/sources/one?name=AbuseIPDB"


def learned(house: House) -> str:
    visitor = house.visitor(ANALYST)
    visitor.get("/console/sources")
    house.errands.join()
    return visitor.get("/console/sources").text


def labels(house: House, visitor: Visitor) -> Seen:
    learned(house)
    visitor.get(ABUSEIPDB)
    house.errands.join()
    return visitor.get(ABUSEIPDB)


def test_what_was_learned_of_each_source_stands_beside_its_grade(house: House) -> None:
    text = learned(house)
    assert "AbuseIPDB abuse-lists B 6 5.0 1.0" in text
    assert "malicious +1.70 \u2192 +1.27" in text


def test_base_rate_and_calibration_say_what_they_rest_on(house: House) -> None:
    text = learned(house)
    assert "5 closed TruePositive, 1 FalsePositive" in text
    assert "none yet: 6 of 50 labelled verdicts" in text


def test_families_of_several_are_listed_and_the_others_one_click_away(house: House) -> None:
    visitor = house.visitor(ANALYST)
    text = learned(house)
    assert "abuse-lists abuseipdb (B)" in text
    assert "shodan" not in text.casefold()
    assert "shodan" in visitor.get("/console/sources?families=all").text.casefold()


def test_sources_that_agree_as_copies_do_are_an_alarm(world: Filled) -> None:
    with world.store.transaction() as work:
        for number in range(60):
            level = "malicious" if number % 2 else "safe"
            ledger = [{"source": name, "level": level} for name in ("OTXQuery", "GreyNoise")]
            told = {"id": "~1", "dataType": "ip", "data": f"10.9.8.{number}", "tags": []}
            body = {"observable": told, "full": {"ledger": ledger, "unrated": []}, "at": 1.0}
            work.save("verdict", f"pair:{number}", body, state="malicious")
    with House(world) as house:
        text = learned(house)
    assert "look at it" in text
    assert "GreyNoise and OTXQuery agree as copies do" in text


def test_the_labels_behind_a_source_are_one_click_away(house: House) -> None:
    page = labels(house, house.visitor(ANALYST))
    assert "6 labels" in page.text
    assert "#138 FalsePositive anna@soc.example malicious 203.0.113.138 ip harmless 1.00" in page.text


def test_an_operator_has_a_source_forget(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = visitor.press(labels(house, visitor), "/console/sources/reset")
    assert "AbuseIPDB is weighed by its grade alone again." in page.text
    house.errands.join()
    assert "Nothing was learned of a source of that name" in visitor.get(ABUSEIPDB).text
    assert [line["operator"] for line in house.world.said("source reset")] == [ANALYST]


def test_nothing_is_computed_for_a_source_that_nobody_knows(house: House) -> None:
    visitor = house.visitor(ANALYST)
    labels(house, visitor)
    page = visitor.get("/console/sources/one?name=<b>x</b>")
    assert "Nothing was learned of a source of that name" in page.text
    form = visitor.get("/console").form("/console/sign-out")
    assert "Nothing was learned" in visitor.post("/console/sources/one/again?name=whoever", form).text
    with house.world.store.reading() as work:
        assert [record.key for record in work.find("errand")] == ["source:abuseipdb", "sources"]


def test_the_labels_can_be_computed_again(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = labels(house, visitor)
    (action,) = [where for where, _ in page.forms if "/one/again" in where]
    assert "It is being computed." in visitor.press(page, action).text


def test_reading_in_short_looks_finds_what_one_long_look_finds(world: Filled) -> None:
    with world.store.transaction() as work:
        whole = drift.spoken(work)
    assert drift.looked_at(world.store) == whole
    assert whole
