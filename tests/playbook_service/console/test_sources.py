"""The page Sources: what closings taught, who copies whom, and how it is taken back."""

from __future__ import annotations

from console_house import ANALYST, House
from filled import Filled

from playbook_service.feedback import drift


def learned(house: House) -> str:
    visitor = house.visitor(ANALYST)
    visitor.get("/console/sources")
    house.errands.join()
    return visitor.get("/console/sources").text


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
    page = house.visitor(ANALYST).get("/console/sources/one?name=AbuseIPDB")
    assert "6 labels" in page.text
    assert "#138 FalsePositive anna@soc.example malicious 203.0.113.138 ip harmless 1.00" in page.text


def test_an_operator_has_a_source_forget(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = visitor.press(visitor.get("/console/sources/one?name=AbuseIPDB"), "/console/sources/reset")
    assert "AbuseIPDB is weighed by its grade alone again." in page.text
    assert "No label counts for a source of that name." in page.text
    assert [line["operator"] for line in house.world.said("source reset")] == [ANALYST]


def test_a_source_nobody_knows_has_no_labels(house: House) -> None:
    assert "No label counts" in house.visitor(ANALYST).get("/console/sources/one?name=<b>x</b>").text


def test_reading_in_short_looks_finds_what_one_long_look_finds(world: Filled) -> None:
    with world.store.transaction() as work:
        whole = drift.spoken(work)
    assert drift.looked_at(world.store) == whole
    assert whole
