"""Labels move a source's weight, slowly, reversibly, and the same whenever they are counted again."""

from __future__ import annotations

import pytest
from feedback_shop import ANNA, ATTACKER, DAY, Shop, seen

from playbook_service.feedback import learning
from playbook_service.feedback.label import CLOSED, Closing, Judgements, Label
from playbook_service.feedback.learning import MOST_MASS, Learner, learn
from playbook_service.store.contract import Entry
from propolis.errors import InputError
from propolis.verdict import Options, assess
from propolis.verdict.reliability import reliability

NOW = 1_767_225_600.0


@pytest.fixture
def shop() -> Shop:
    return Shop()


def label(malicious: bool = True, weight: float = 1.0, log_odds: float | None = None, **words: str) -> Label:
    return Label("ip", ATTACKER, malicious, weight, ("contained",), words, log_odds)


def judged(*closings: tuple[float, list[Label]], resolution: str = "TruePositive") -> Judgements:
    """One closing each, so many days before now."""
    entries = []
    for number, (days_ago, labels) in enumerate(closings, 1):
        closing = Closing(f"~{number}", number, resolution, resolution, NOW - days_ago * DAY, ANNA, tuple(labels))
        entries.append(Entry("feedback", number, {"event": CLOSED, **closing.to_dict()}, NOW))
    return Judgements(entries)


def counts(judgements: Judgements, source: str = "abuseipdb", now: float = NOW):
    return learn(judgements, now).sources[source].counts


def test_every_source_that_answered_is_counted_by_what_it_said():
    found = judged((0, [label(AbuseIPDB="malicious", OTXQuery="none"), label(False, AbuseIPDB="malicious")]))
    assert counts(found).malicious == {"malicious": 1.0}
    assert counts(found).benign == {"malicious": 1.0}
    assert counts(found, "otxquery").malicious == {"none": 1.0}


def test_a_denied_approval_counts_half():
    assert counts(judged((0, [label(False, 0.5, AbuseIPDB="malicious")]))).benign == {"malicious": 0.5}


def test_labels_fade_by_half_a_percent_a_day():
    found = judged((100, [label(AbuseIPDB="malicious")]), (0, [label(AbuseIPDB="safe")]))
    assert counts(found).malicious == {"malicious": pytest.approx(0.995**100), "safe": 1.0}
    later = counts(found, now=NOW + 10 * DAY)
    assert later.malicious["safe"] == pytest.approx(0.995**10)


def test_no_side_of_a_source_learns_more_than_two_hundred():
    many = [(0.0, [label(AbuseIPDB="safe")])] * 500 + [(0.0, [label(AbuseIPDB="malicious")])] * 20
    found = counts(judged(*many))
    assert sum(found.malicious.values()) == pytest.approx(MOST_MASS)
    assert found.malicious["malicious"] == pytest.approx(20, rel=0.1)  # what is new is not drowned
    assert found.benign == {}


def test_a_source_that_proves_itself_weighs_more_and_one_that_cries_wolf_less():
    good = counts(judged((0, [label(AbuseIPDB="malicious")] * 40 + [label(False, AbuseIPDB="none")] * 40)))
    bad = counts(judged((0, [label(False, AbuseIPDB="malicious")] * 40)))
    before = reliability("C").weight["malicious"]
    assert reliability("C", good).weight["malicious"] > before > reliability("C", bad).weight["malicious"]


def test_sources_are_known_whatever_the_case_of_their_name():
    options = learn(judged((0, [label(AbuseIPDB="malicious")])), NOW).options(Options())
    assert options.learned is not None
    assert options.learned.get("ABUSEIPDB") == options.learned.get("abuseipdb") is not None
    assert options.learned.get("Unheard") is None


def test_what_is_learned_reaches_the_verdict():
    job = {
        "analyzerDefinitionId": "AbuseIPDB_2_0", "status": "Success", "startDate": NOW * 1000, "endDate": NOW * 1000,
        "dataType": "ip", "data": ATTACKER,
        "report": {"success": True, "summary": {"taxonomies": [
            {"level": "malicious", "namespace": "AbuseIPDB", "predicate": "Records", "value": "9"}]}},
    }  # fmt: skip
    wolf = learn(judged((0, [label(False, AbuseIPDB="malicious")] * 40), resolution="FalsePositive"), NOW)
    before = assess("ip", ATTACKER, [job], now=NOW)
    after = assess("ip", ATTACKER, [job], now=NOW, options=wolf.options(Options()))
    assert before.lines[0].weight > after.lines[0].weight == 0.0


def test_without_a_closing_the_prior_is_the_built_in_one_and_then_it_is_learned():
    assert learn(Judgements(), NOW).prior is None
    cases = [(0.0, [label()])]
    assert learn(judged(*cases), NOW).prior == pytest.approx(2 / 21)
    assert learn(judged(*cases * 10, resolution="FalsePositive"), NOW).prior == pytest.approx(1 / 30)
    assert learn(judged(*cases * 100), NOW).prior == 0.30  # clipped


def test_cases_that_were_about_nothing_do_not_move_the_prior():
    assert learn(judged((0, [])), NOW).prior is None


def test_a_calibration_is_fitted_from_fifty_labelled_verdicts_on():
    labels = [label(n % 2 == 0, 1.0, 3.0 if n % 2 == 0 else -1.0) for n in range(50)]
    assert learn(judged((0, labels[:49])), NOW).calibration is None
    fitted = learn(judged((0, labels)), NOW).calibration
    assert fitted is not None
    assert fitted.slope > 1
    assert learn(judged((0, [label()] * 80)), NOW).calibration is None  # without a verdict there is nothing to fit


def test_the_learner_reads_what_was_added_and_counts_as_from_scratch(shop: Shop):
    learner = Learner(shop.store, shop.clock)
    assert learner.options() == Options(learned={})
    for number in range(1, 6):
        shop.hive.open(f"~{number}", seen(ATTACKER, ioc=True))
        shop.spoke(f"~{number}", AbuseIPDB="malicious")
        shop.close(f"~{number}", "FalsePositive" if number == 3 else "TruePositive")
        shop.clock.advance(DAY)
        assert learner.lesson() == Learner(shop.store, shop.clock).lesson()
    shop.reopen("~3")
    assert learner.lesson() == Learner(shop.store, shop.clock).lesson()
    assert (learner.lesson().true, learner.lesson().false) == (4, 0)


def test_the_learner_fades_with_time_alone(shop: Shop):
    shop.hive.open("~1", seen(ATTACKER, ioc=True))
    shop.spoke("~1", AbuseIPDB="malicious")
    shop.close("~1", "TruePositive")
    learner = Learner(shop.store, shop.clock)
    first = learner.lesson().sources["abuseipdb"].mass[0]
    shop.clock.advance(138 * DAY)
    assert learner.lesson().sources["abuseipdb"].mass[0] == pytest.approx(first / 2, rel=0.01)


def taught(shop: Shop) -> None:
    for number in (1, 2):
        shop.hive.open(f"~{number}", seen(ATTACKER, ioc=True))
        shop.spoke(f"~{number}", AbuseIPDB="malicious", OTXQuery="none")
        shop.close(f"~{number}", "TruePositive")
        shop.clock.advance(DAY)


def test_a_reset_source_starts_over_and_the_others_stay(shop: Shop):
    taught(shop)
    with shop.store.transaction() as work:
        learning.reset(work, shop.journal, "abuseIPDB", ANNA, shop.clock.now())
    lesson = learn(shop.judgements, shop.clock.now())
    assert set(lesson.sources) == {"otxquery"}
    (line,) = shop.said("source reset")
    assert (line["target"], line["operator"], line["result"]) == ("AbuseIPDB", ANNA, "2 labels no longer count")
    shop.hive.open("~3", seen(ATTACKER, ioc=True))
    shop.spoke("~3", AbuseIPDB="malicious")
    shop.close("~3", "TruePositive")
    assert learn(shop.judgements, shop.clock.now()).sources["abuseipdb"].labels == 1


def test_a_source_nothing_was_learned_of_cannot_be_reset(shop: Shop):
    with shop.store.transaction() as work, pytest.raises(InputError, match="nothing was learned"):
        learning.reset(work, shop.journal, "AbuseIPDB", ANNA, shop.clock.now())


def test_every_label_behind_a_weight_can_be_shown(shop: Shop):
    taught(shop)
    newest, oldest = learning.reasons(shop.judgements, "AbuseIPDB", shop.clock.now())
    assert (newest.case, oldest.case, newest.by, newest.word, newest.malicious) == (2, 1, ANNA, "malicious", True)
    assert (newest.left, oldest.left) == (pytest.approx(0.995), pytest.approx(0.995**2))
    mass = learn(shop.judgements, shop.clock.now()).sources["abuseipdb"].mass[0]
    assert newest.left + oldest.left == pytest.approx(mass)
