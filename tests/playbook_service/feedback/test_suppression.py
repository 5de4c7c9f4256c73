"""Three false positives in 30 days suppress the next, by one rule in the service and in replay."""

from __future__ import annotations

import random

import pytest
from feedback_shop import ANNA, ATTACKER, BEN, DAY, SERVICE, Shop, seen, wazuh

from playbook_service.engine import arrival
from playbook_service.feedback import noise, register
from playbook_service.feedback.label import Count
from playbook_service.feedback.suppression import keys_of
from playbook_service.replay.history import History, Label, suppressed
from playbook_service.store.contract import Filter
from propolis.errors import InputError
from propolis.observables import extract

OTHER = "203.0.113.99"


@pytest.fixture
def shop() -> Shop:
    return Shop()


def closed(shop: Shop, *numbers: int, days_between: float = 1.0, **more) -> None:
    """So many cases, each closed some days after the one before."""
    for number in numbers:
        shop.false_positive(number, **more)
        shop.clock.advance(days_between * DAY)


def key(data: str = ATTACKER, rule: str = "5760") -> str:
    return register.key_of(Count("sshd", rule, "ip", data))


def test_the_third_false_positive_suppresses_the_next_alert(shop: Shop):
    closed(shop, 1, 2)
    assert shop.suppressed(wazuh("9")) is None
    closed(shop, 3)
    assert shop.suppressed(wazuh("9")) == f"ip {ATTACKER}: closed as FalsePositive 3 times in 30 days under rule 5760"


def test_only_the_same_source_rule_and_observable_is_suppressed(shop: Shop):
    closed(shop, 1, 2, 3)
    assert shop.suppressed(wazuh("9"))
    assert shop.suppressed(wazuh("9", rule="5710")) is None
    assert shop.suppressed(wazuh("9", OTHER)) is None
    assert shop.suppressed(wazuh("9", decoder={"name": "dropbear"})) is None


def test_from_level_twelve_on_nothing_is_suppressed(shop: Shop):
    closed(shop, 1, 2, 3)
    assert shop.suppressed(wazuh("9", level=11))
    assert shop.suppressed(wazuh("9", level=12)) is None


def test_every_observable_that_could_be_acted_upon_must_be(shop: Shop):
    closed(shop, 1, 2, 3)
    alert = wazuh("9")
    assert shop.suppressed(alert)
    alert.document["data"]["dstip"] = OTHER
    assert shop.suppressed(alert) is None


def test_it_ends_by_itself_thirty_days_after_the_first_of_the_three(shop: Shop):
    closed(shop, 1, 2, 3)
    shop.clock.advance(26.9 * DAY)
    assert shop.suppressed(wazuh("9"))
    shop.clock.advance(0.2 * DAY)
    assert shop.suppressed(wazuh("9")) is None


def test_a_true_positive_takes_back_what_came_before(shop: Shop):
    closed(shop, 1, 2, 3)
    shop.false_positive(4, resolution="TruePositive")
    shop.clock.advance(DAY)
    assert shop.suppressed(wazuh("9")) is None


def test_a_closing_that_is_corrected_no_longer_counts(shop: Shop):
    closed(shop, 1, 2, 3)
    assert shop.suppressed(wazuh("9"))
    shop.reopen("~2")
    assert shop.suppressed(wazuh("9")) is None
    shop.close("~2", "TruePositive")
    shop.clock.advance(DAY)
    assert shop.suppressed(wazuh("9")) is None


def test_a_closing_edited_to_one_that_says_nothing_no_longer_counts(shop: Shop):
    closed(shop, 1, 2, 3)
    shop.close("~2", "Other")
    assert shop.suppressed(wazuh("9")) is None
    shop.close("~2", "FalsePositive")
    shop.clock.advance(60)
    assert shop.suppressed(wazuh("9"))


def test_a_closing_by_the_service_itself_never_counts(shop: Shop):
    for number in (1, 2, 3):
        shop.hive.open(f"~{number}", seen(ATTACKER))
        shop.arrived(wazuh(str(number)), f"~{number}")
        shop.close(f"~{number}", "FalsePositive", SERVICE)
    assert shop.suppressed(wazuh("9")) is None


def test_a_case_of_many_alerts_counts_once(shop: Shop):
    shop.hive.open("~1", seen(ATTACKER))
    for number in range(5):
        shop.arrived(wazuh(str(number)), "~1")
    shop.close("~1", "FalsePositive")
    shop.clock.advance(60)
    with shop.store.transaction() as work:
        (entry,) = register.listed(work, shop.clock.now())
    assert entry.standing == 1


def test_our_own_observables_stand_for_an_alert_only_where_there_are_no_others():
    scanner = extract(wazuh("1", "10.1.2.3"))
    assert [entry.tags for entry in scanner if "internal" in entry.tags]
    assert keys_of(scanner) == [("ip", "10.1.2.3")]
    assert keys_of([*scanner, *extract(wazuh("1"))]) == [("ip", ATTACKER)]


def test_an_authorised_scanner_of_our_own_can_be_suppressed(shop: Shop):
    closed(shop, 1, 2, 3, data="10.1.2.3")
    assert shop.suppressed(wazuh("9", "10.1.2.3"))
    assert shop.suppressed(wazuh("9", "10.1.2.4")) is None


# the register -------------------------------------------------------------------------------------------------------


def test_the_register_says_who_closed_what_when(shop: Shop):
    shop.false_positive(1)
    shop.clock.advance(DAY)
    shop.hive.open("~2", seen(ATTACKER))
    shop.arrived(wazuh("2"), "~2")
    shop.close("~2", "FalsePositive", BEN)
    shop.clock.advance(1)
    with shop.store.transaction() as work:
        entry = register.explained(work, key()[:6], shop.clock.now())
    assert [(closing["number"], closing["by"]) for closing in entry.closures] == [(1, ANNA), (2, BEN)]
    assert (entry.standing, entry.suppresses, entry.until) == (2, False, None)


def test_it_says_until_when_it_suppresses(shop: Shop):
    start = shop.clock.now()
    closed(shop, 1, 2, 3, 4)
    with shop.store.transaction() as work:
        (entry,) = register.listed(work, shop.clock.now())
    assert (entry.standing, entry.until) == (4, start + DAY + 30 * DAY)


def test_clearing_starts_over_and_is_audited(shop: Shop):
    closed(shop, 1, 2, 3)
    with shop.store.transaction() as work:
        cleared = register.clear(work, shop.journal, key(), ANNA, shop.clock.now())
    assert (cleared.standing, cleared.cleared[0]["by"]) == (0, ANNA)
    shop.clock.advance(60)
    assert shop.suppressed(wazuh("9")) is None
    (line,) = shop.said("suppression cleared")
    assert (line["operator"], line["target"], line["rule"]) == (ANNA, ATTACKER, "5760")
    closed(shop, 4, 5, 6)
    assert shop.suppressed(wazuh("9"))


@pytest.mark.parametrize(("wanted", "fault"), [("nothing", "no key is or begins"), ("", "no key is or begins")])
def test_a_key_that_is_not_there_is_named(shop: Shop, wanted: str, fault: str):
    closed(shop, 1)
    with shop.store.transaction() as work, pytest.raises(InputError, match=fault):
        register.explained(work, wanted, shop.clock.now())


def test_what_is_out_of_the_window_is_forgotten(shop: Shop):
    closed(shop, 1)
    shop.clock.advance(30 * DAY)
    shop.feedback.forget()
    with shop.store.transaction() as work:
        assert work.count(register.KIND, Filter()) == 0


def test_what_stands_is_not_forgotten(shop: Shop):
    closed(shop, 1, 2, 3)
    shop.feedback.forget()
    assert shop.suppressed(wazuh("9"))


# the noisiest -------------------------------------------------------------------------------------------------------


def test_the_noisiest_rules_are_those_with_most_false_positives_and_suppressed_alerts(shop: Shop):
    closed(shop, 1, 2, 3, rule="5710", days_between=0.1)
    closed(shop, 4, rule="5760", days_between=0.1)
    shop.false_positive(5, rule="5760", resolution="TruePositive")
    for number in range(6, 9):
        shop.arrived(wazuh(str(number), rule="5760"), "", arrival.SUPPRESSED)
    found = ranked(shop)
    assert found == [noise.Noise("sshd", "5760", 1, 1, 3), noise.Noise("sshd", "5710", 3, 0, 0)]
    assert [entry.share for entry in found] == [0.5, 1.0]
    shop.clock.advance(31 * DAY)
    assert ranked(shop) == []


def ranked(shop: Shop) -> list[noise.Noise]:
    closings = [closing for _, closing in shop.judgements.closings.values()]
    with shop.store.transaction() as work:
        return noise.noisiest(closings, noise.suppressed_alerts(work, shop.clock.now()), shop.clock.now())


# one rule -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_the_service_and_replay_suppress_the_same(seed: int):
    """Random closings of a few rules and addresses, and after each the same question to both."""
    draw = random.Random(seed)  # noqa: S311 - a test's seed
    shop, history = Shop(), History()
    answers = set()
    for number in range(40):
        data, rule = draw.choice([ATTACKER, OTHER, "10.1.2.3"]), draw.choice(["5710", "5760"])
        resolution = draw.choices(["FalsePositive", "TruePositive", "Other"], [8, 1, 1])[0]
        shop.false_positive(number, data, resolution, rule=rule)
        if resolution != "Other":
            history.add(Label(shop.clock.now(), resolution, "sshd", rule, "ip", data))
        shop.clock.advance(draw.choice([0.01, 1.0, 4.0, 11.0]) * DAY)
        for asked in (ATTACKER, OTHER, "10.1.2.3"):
            alert = wazuh("q", asked, rule=rule, level=draw.choice([3, 11, 12]))
            expected = suppressed(alert, extract(alert), history, shop.clock.now())
            assert (shop.suppressed(alert) or "") == expected
            answers.add(bool(expected))
    assert answers == {True, False}
