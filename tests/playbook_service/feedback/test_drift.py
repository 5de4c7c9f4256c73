"""Sources that agree as copies do are put before a person; nothing is moved by itself."""

from __future__ import annotations

import random

import pytest
from feedback_shop import Shop

from playbook_service.feedback import drift
from playbook_service.feedback.drift import pairs, phi
from propolis.verdict.sources import load_sources

SOURCES = load_sources("Alpha: {family: alpha}\nBeta: {family: beta}\nGamma: {family: gamma}\nTwin: {family: alpha}\n")


def words(seed: int, copies: bool, hits: int = 60) -> list[dict[str, str]]:
    """Alpha and Beta on 200 addresses, `hits` of them malicious to Alpha; Beta copies it or speaks for itself."""
    draw = random.Random(seed)  # noqa: S311 - a test's seed
    found = []
    for number in range(200):
        alpha = "malicious" if number < hits else "none"
        beta = alpha if copies and draw.random() < 0.95 else draw.choice(["malicious", "none"])
        found.append({"Alpha": alpha, "Beta": beta})
    return found


def test_a_pair_across_families_that_agrees_as_copies_do_is_suggested():
    (pair,) = pairs(words(1, copies=True), SOURCES)
    assert pair.phi >= 0.6
    assert "`Beta: {family: alpha}`" in pair.suggestion


def test_sources_that_speak_for_themselves_are_not():
    (pair,) = pairs(words(1, copies=False), SOURCES)
    assert abs(pair.phi) < 0.3
    assert pair.suggestion == ""


def test_a_pair_inside_a_family_is_expected_to_agree():
    (pair,) = pairs([{"Alpha": entry["Alpha"], "Twin": entry["Beta"]} for entry in words(1, copies=True)], SOURCES)
    assert (pair.inside, pair.suggestion) == (True, "")


def test_with_fewer_than_twenty_five_joint_hits_nothing_is_said():
    both, neither = {"Alpha": "malicious", "Beta": "suspicious"}, {"Alpha": "none", "Beta": "safe"}
    assert pairs([both] * 24 + [neither] * 100, SOURCES) == []
    (pair,) = pairs([both] * 25 + [neither] * 100, SOURCES)
    assert (pair.phi, pair.both, pair.seen) == (pytest.approx(1.0), 25, 125)


def test_only_observables_that_both_answered_count():
    both = [{"Alpha": "malicious", "Beta": "malicious"}] * 30
    assert pairs(both + [{"Alpha": "malicious"}] * 50, SOURCES)[0].seen == 30


def test_unrated_sources_are_left_out():
    assert pairs([{"Alpha": "malicious", "Stranger": "malicious"}] * 40, SOURCES) == []


@pytest.mark.parametrize(
    ("cells", "expected"),
    [((50, 0, 0, 50), 1.0), ((0, 50, 50, 0), -1.0), ((25, 25, 25, 25), 0.0), ((0, 0, 0, 9), 0.0), ((0, 0, 0, 0), 0.0)],
)
def test_phi(cells: tuple[int, int, int, int], expected: float):
    assert phi(*cells) == pytest.approx(expected)


def test_the_weekly_look_tells_of_a_suspicion_once():
    shop = Shop()
    for number, entry in enumerate(words(1, copies=True)):
        shop.spoke("", f"2001:db8::{number:x}", **{"AbuseIPDB": entry["Alpha"], "OTXQuery": entry["Beta"]})
    with shop.store.transaction() as work:
        shop.feedback.begin(work)
        shop.feedback.begin(work)
    shop.loop.run_due()
    (line,) = shop.said("drift suspected")
    assert line["target"] == "AbuseIPDB OTXQuery"
    shop.clock.advance(drift.WEEK + 1)
    shop.loop.run_due()
    assert len(shop.said("drift suspected")) == 1
    with shop.store.transaction() as work:
        record = work.get(drift.KIND, drift.LATEST)
    assert record is not None
    assert (record.version, record.body["observables"], len(record.body["suggestions"])) == (2, 200, 1)


def test_of_one_observable_only_the_newest_verdict_speaks():
    shop = Shop()
    shop.spoke("~1", "2001:db8::1", AbuseIPDB="none")
    shop.clock.advance(60)
    shop.spoke("~2", "2001:DB8:0::1", AbuseIPDB="malicious")
    with shop.store.transaction() as work:
        assert drift.spoken(work) == [{"AbuseIPDB": "malicious"}]
