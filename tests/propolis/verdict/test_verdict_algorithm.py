"""Each step of the algorithm on its own, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from verdict_helpers import ADDRESS, COUNT, NOW, OPTIONS, SOURCES, said

from propolis.errors import ConfigurationError
from propolis.verdict import Options, Report, assess
from propolis.verdict.conflict import conflict
from propolis.verdict.decay import DAY, decayed, half_life
from propolis.verdict.family import discounts
from propolis.verdict.reliability import GRADES, Counts, reliability
from propolis.verdict.score import Calibration, prior_log_odds, prior_of, probability


def verdict(*evidence: Report, options: Options = OPTIONS):
    return assess("ip", ADDRESS, evidence, now=NOW, options=options)


def test_grade_c_weighs_as_the_two_dirichlets_say() -> None:
    raw = reliability("C").raw
    assert [round(raw[level], 2) for level in ("malicious", "suspicious", "safe", "none")] == [1.50, 0.51, -0.88, -0.59]


def test_grade_c_malicious_keeps_between_one_and_one_point_three_after_the_discount() -> None:
    assert reliability("C").weight["malicious"] == pytest.approx(1.0997, abs=1e-4)


@pytest.mark.parametrize(("grade", "raw"), [("A", 3.0), ("B", 2.2), ("D", 0.85), ("E", 0.22), ("F", 1.50)])
def test_the_other_grades_change_what_malicious_weighs(grade: str, raw: float) -> None:
    assert reliability(grade).raw["malicious"] == pytest.approx(raw, abs=0.02)


@pytest.mark.parametrize("grade", GRADES)
def test_words_for_guilt_never_argue_for_innocence_nor_the_other_way_round(grade: str) -> None:
    weight = reliability(grade).weight
    assert weight["malicious"] >= weight["suspicious"] >= 0.0
    assert weight["safe"] <= 0.0
    assert weight["none"] <= 0.0


def test_what_was_learned_moves_the_weights_and_narrows_the_discount() -> None:
    good = reliability("C", Counts({"malicious": 90.0, "none": 10.0}, {"none": 95.0, "malicious": 5.0}))
    bad = reliability("C", Counts({"malicious": 10.0}, {"malicious": 100.0}))
    assert good.weight["malicious"] > reliability("C").weight["malicious"]
    assert good.raw["malicious"] - good.weight["malicious"] < 0.4
    assert bad.weight["malicious"] == 0.0
    assert good.n == 110.0


def test_no_source_weighs_more_than_the_cap_however_much_was_learned() -> None:
    perfect = reliability("A", Counts({"malicious": 200.0}, {"none": 200.0}))
    assert perfect.raw["malicious"] > 3.0
    assert perfect.weight["malicious"] == 3.0


@pytest.mark.parametrize(("data_type", "days"), [("ip", 7), ("url", 3), ("domain", 30), ("fqdn", 30), ("mail", 14)])
def test_a_word_halves_with_each_half_life(data_type: str, days: int) -> None:
    assert decayed(2.0, days * DAY, half_life(data_type)) == pytest.approx(1.0)
    assert decayed(-2.0, 2 * days * DAY, half_life(data_type)) == pytest.approx(-0.5)


def test_a_hash_does_not_age_and_the_future_is_now() -> None:
    assert decayed(2.0, 1000 * DAY, half_life("hash")) == 2.0
    assert decayed(2.0, -1000 * DAY, half_life("ip")) == 2.0


def test_in_a_family_the_strongest_counts_whole_and_each_further_one_a_quarter_of_the_one_before() -> None:
    assert discounts([1.0, 2.0, -0.5, 1.5, -1.0], 0.25) == [0.0625, 2.0, -0.125, 0.375, -1.0]
    assert discounts([1.0, 1.0], 0.0) == [1.0, 0.0]
    assert discounts([1.0, 1.0], 1.0) == [1.0, 1.0]


def test_conflict_is_the_smaller_over_the_larger_mass() -> None:
    assert conflict(4.0, 1.0) == conflict(1.0, 4.0) == 0.25
    assert conflict(0.0, 0.0) == 0.0


def test_the_prior_is_minus_three_and_a_learned_one_is_clipped() -> None:
    assert prior_log_odds(None) == -3.0
    assert prior_log_odds(0.9) == prior_log_odds(0.3) == pytest.approx(math.log(0.3 / 0.7))
    assert prior_of(0, 0) == 0.05
    assert prior_of(500, 0) == 0.3


def test_a_score_far_out_does_not_overflow() -> None:
    assert probability(1e6) == 1.0
    assert probability(-1e6) == pytest.approx(0.0, abs=1e-300)


def test_four_copies_of_one_list_are_little_more_than_one_voice() -> None:
    one = verdict(said("Copy0", "malicious"))
    four = verdict(*(said(f"Copy{n}", "malicious") for n in range(4)))
    assert four.families == one.families == 1
    assert four.tally.positive == pytest.approx(one.tally.positive * (1 + 0.25 + 0.0625 + 0.015625))
    assert verdict(*(said(f"Copy{n}", "malicious") for n in range(4)), options=COUNT).recommendation == "ask"


@pytest.mark.parametrize(("count", "advice"), [(2, "observe"), (3, "ask"), (4, "ask"), (5, "act"), (9, "act")])
def test_the_count_profile_asks_at_three_and_acts_at_five(count: int, advice: str) -> None:
    evidence = [said(f"Ind{n}", "malicious", 500.0) for n in range(count)]
    assert verdict(*evidence, options=COUNT).recommendation == advice


def test_the_count_profile_has_the_probabilities_of_the_rule() -> None:
    scores = [verdict(*(said(f"Ind{n}", "malicious") for n in range(k)), options=COUNT).score for k in range(6)]
    assert [round(score, 3) for score in scores[2:]] == [0.184, 0.503, 0.82, 0.953]


def many(count: int, source: str = "Ind") -> list[Report]:
    return [said(f"{source}{n}", "malicious") for n in range(count)]


def test_acting_needs_three_families_that_say_malicious() -> None:
    strong = {f"Ind{n}": Counts({"malicious": 200.0}, {"none": 200.0}) for n in range(9)}
    two = verdict(*many(2), options=OPTIONS._replace(learned=strong))
    assert two.score >= 0.95
    assert two.recommendation == "ask"
    assert verdict(*many(3), options=OPTIONS._replace(learned=strong)).recommendation == "act"


def test_acting_needs_half_of_what_could_be_known() -> None:
    evidence = many(4)
    silent = [said(f"Ind{n}", None) for n in range(4, 9)]
    assert verdict(*evidence).recommendation == "act"
    found = verdict(*evidence, *silent)
    assert found.tally.coverage < 0.5
    assert found.score == verdict(*evidence).score
    assert found.recommendation == "ask"


def test_coverage_counts_the_asked_of_whom_there_is_no_report() -> None:
    found = verdict(
        said("Ind0", "malicious"), options=OPTIONS._replace(asked=("Ind0_1_0", "Ind3_2_0", "ConsensusScore_1_0"))
    )
    assert found.tally.coverage == pytest.approx(0.5)
    assert found.count(None) == 1
    assert found.lines[-1].reason == "asked, but there is no report"


def test_coverage_is_nought_when_nobody_was_asked_and_counts_a_family_once() -> None:
    assert verdict().tally.coverage == 0.0
    assert verdict(said("Copy0", "malicious"), said("Copy1", None)).tally.coverage == 1.0
    assert verdict(said("Copy0", "malicious"), said("Plain", None)).tally.coverage == pytest.approx(0.5)


def test_the_silence_of_a_source_of_context_is_not_held_against_the_answer() -> None:
    assert verdict(said("Ind0", "malicious"), said("Context", None)).tally.coverage == 1.0


def test_acting_needs_little_conflict() -> None:
    learned = {f"Ind{n}": Counts({"malicious": 200.0}, {"none": 200.0}) for n in range(3)}
    safe = [said("Plain", "safe"), *(said(f"Ind{n}", "safe") for n in (3, 4, 5)), said("Copy0", "safe")]
    found = verdict(*many(3), *safe, options=OPTIONS._replace(learned=learned, prior=0.3))
    assert found.score >= 0.95
    assert found.tally.conflict >= 0.5
    assert found.recommendation == "ask"


def test_a_source_that_clears_is_a_veto_but_does_not_silence_the_score() -> None:
    cleared = said("Good", "safe", clears="riot")
    found = verdict(*many(6), cleared)
    assert found.score >= 0.95
    assert found.recommendation == "ask"
    assert found.tally.veto == ("Good clears it (riot)",)
    assert verdict(*many(6), cleared, options=COUNT).recommendation == "act"


@pytest.mark.parametrize("options", [OPTIONS, COUNT])
def test_the_operators_never_list_is_a_veto_in_both_profiles(options: Options) -> None:
    found = verdict(*many(6), options=options._replace(never=("203.0.113.0/24",)))
    assert found.recommendation == "ask"
    assert found.tally.veto == ("never list: 203.0.113.0/24",)


def test_the_newest_success_of_a_source_counts() -> None:
    assert verdict(said("Ind0", "malicious", 10), said("Ind0", "safe", 1)).count("safe") == 1
    assert verdict(said("Ind0", "safe", 10), said("Ind0", "malicious", 1)).count("malicious") == 1


def test_a_later_failure_does_not_withdraw_an_answer() -> None:
    found = verdict(said("Ind0", "malicious", 10), said("Ind0", None, 1, reason="rate-limited"))
    assert found.count("malicious") == 1
    assert found.count(None) == 0


def test_a_second_word_for_guilt_is_no_withdrawal_of_the_first() -> None:
    found = verdict(said("Ind0", "malicious", 10), said("Ind0", "suspicious", 1))
    assert found.count("malicious") == 1
    assert found.score == verdict(said("Ind0", "malicious", 10)).score


def test_an_answer_without_a_finding_withdraws_a_word_for_guilt() -> None:
    empty = said("Ind0", None, 1, success=True, reason="gives information only")
    assert verdict(said("Ind0", "malicious", 10), empty).count(None) == 1


def test_versions_of_one_analyzer_are_one_source() -> None:
    older = said("Ind0", "malicious", 10, definition="Ind0_1_0")
    found = verdict(older, said("Ind0", "malicious", 1, definition="Ind0_2_1"))
    assert len(found.lines) == 1
    assert found.lines[0].definition == "Ind0_2_1"


def test_a_report_older_than_the_window_is_missing() -> None:
    found = verdict(said("Ind0", "malicious", 721), said("Ind1", "malicious", 719))
    assert (found.count("malicious"), found.count(None)) == (1, 1)
    assert found.lines[-1].reason == "older than the window"


def test_an_old_word_for_guilt_does_not_stop_what_would_be_done_without_it() -> None:
    """It lowers the coverage that is shown, but acting must not get harder by evidence for guilt."""
    silent = [said(f"Ind{n}", None) for n in range(4, 7)]
    before = verdict(*many(4), *silent)
    after = verdict(*many(4), *silent, said("Ind7", "malicious", 800), said("Ind8", "malicious", 800))
    assert before.recommendation == after.recommendation == "act"
    assert after.tally.coverage < 0.5 <= before.tally.coverage


def test_an_unrated_analyzer_is_listed_and_weighs_nothing() -> None:
    found = verdict(said("Stranger", "malicious"))
    assert found.unrated == ({"source": "Stranger", "level": "malicious", "reason": None},)
    assert (found.lines, found.verdict, found.recommendation) == ((), "unknown", "observe")


def test_a_report_on_something_else_and_our_own_workers_are_dropped_and_named() -> None:
    found = verdict(
        said("Ind0", "malicious", data="203.0.113.46"),
        said("Ind1", "malicious", data_type="domain"),
        said("ConsensusScore", "malicious"),
        said("WazuhAlert", "malicious"),
        said("Ind2", "malicious", data="::ffff:203.0.113.45"),
    )
    assert {entry.definition for entry in found.dropped} == {
        "Ind0_1_0", "Ind1_1_0", "ConsensusScore_1_0", "WazuhAlert_1_0",
    }  # fmt: skip
    assert found.count("malicious") == 1


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ([], "unknown"),
        ([("Ind0", None)], "unknown"),
        ([("Info", "none")], "unknown"),
        ([("Ind0", "safe")], "safe"),
        ([("Ind0", "malicious")], "suspicious"),
        ([("Weak1", "suspicious")], "suspicious"),
        ([("Ind0", "malicious"), ("Ind2", "safe")], "suspicious"),
        ([("Ind2", "malicious"), ("Ind1", "safe"), ("Ind3", "safe")], "safe"),
        ([("Ind0", "malicious"), ("Ind1", "malicious")], "malicious"),
    ],
)
def test_how_the_verdict_follows_from_the_numbers(words: list[tuple[str, str | None]], meaning: str) -> None:
    assert verdict(*(said(source, level) for source, level in words)).verdict == meaning


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ConfigurationError, match="profile must be one of evidence, count, but is 'vote'"):
        verdict(options=OPTIONS._replace(profile="vote"))


def test_the_report_has_the_keys_that_others_read() -> None:
    full = verdict(*many(3), said("Plain", None)).to_dict()
    wanted = "verdict score malicious suspicious safe missing families coverage conflict recommendation profile ledger"
    assert set(wanted.split()) | {"explanation", "veto", "prior", "thresholds", "unrated", "dropped"} <= set(full)
    assert set(full["ledger"][0]) >= {"source", "family", "grade", "level", "n", "raw", "after_decay", "after_family"}
    assert SOURCES.overridden
    assert full["sources_file"].endswith("overridden by the item sources")


def test_of_the_words_of_one_source_that_stand_the_strongest_weighs() -> None:
    """An old malicious has aged below a fresh suspicious."""
    faded = verdict(said("Weak0", "malicious", 20 * 24), said("Weak0", "suspicious"))
    assert faded.count("malicious") == 1
    assert faded.tally.positive == pytest.approx(reliability("D").weight["suspicious"])
    seen_long_ago = said("Ind0", "malicious", 0, time=NOW - 400 * DAY)
    assert verdict(said("Ind0", "malicious", 2), seen_long_ago).score == verdict(said("Ind0", "malicious", 2)).score


def test_guilt_that_innocence_outweighs_never_acts_whatever_the_calibration() -> None:
    """Else a little guilt would act for its lack of conflict, and more guilt would stop it."""
    options = OPTIONS._replace(calibration=Calibration(1.0, 10.0))
    little = [said(f"Ind{n}", "malicious", time=NOW - 40 * DAY) for n in range(3)]
    found = verdict(*little, said("Ind3", "safe"), said("Ind4", "safe"), options=options)
    assert found.score >= 0.95
    assert found.tally.conflict < 0.5
    assert found.recommendation == "ask"
