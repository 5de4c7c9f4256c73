"""What must hold of every verdict, whatever the reports are."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_helpers import ADDRESS, COUNT, HOUR, NOW, OPTIONS, RATED, said

from propolis.verdict import Options, Report, Verdict, assess
from propolis.verdict.reliability import Counts
from propolis.verdict.score import Calibration

RANK = {"observe": 0, "ask": 1, "act": 2}
MEANING = {"safe": 0, "unknown": 1, "suspicious": 2, "malicious": 3}
LEVELS = ["malicious", "suspicious", "safe", "none", None]

hours = st.one_of(st.floats(0, 1000), st.sampled_from([0.0, 1.0, 719.9, 720.0, 720.1, 5000.0, -3.0]))
levels = st.sampled_from(LEVELS)
names = st.sampled_from([*RATED, "Good", "Info", "Context", "Stranger"])


@st.composite
def reports(draw: st.DrawFn, level: st.SearchStrategy[str | None] = levels) -> Report:
    word = draw(level)
    report = said(draw(names), word, draw(hours))
    seen = report.ended - draw(st.sampled_from([0.0, 1.0, 100.0, 2000.0])) * HOUR
    clears = "riot" if report.source == "Good" and word == "safe" and draw(st.booleans()) else None
    success = word is not None or draw(st.booleans())
    return report._replace(time=seen, clears=clears, success=success)


counts = st.builds(
    Counts,
    st.dictionaries(st.sampled_from(LEVELS[:4]), st.floats(0, 200), max_size=4),
    st.dictionaries(st.sampled_from(LEVELS[:4]), st.floats(0, 200), max_size=4),
)
options = st.builds(
    Options,
    profile=st.sampled_from(["evidence", "evidence", "count"]),
    window_hours=st.sampled_from([24.0, 720.0]),
    never=st.sampled_from([(), (), ("203.0.113.0/24",)]),
    sources=st.just(OPTIONS.sources),
    prior=st.sampled_from([None, 0.001, 0.3, 0.99]),
    calibration=st.sampled_from([None, Calibration(1.4, 2.0), Calibration(0.3, -1.0)]),
    asked=st.sampled_from([None, ("Ind0_1_0", "Ind1_1_0", "Ind2_2_0", "Context_1_0")]),
    learned=st.one_of(st.none(), st.dictionaries(st.sampled_from(RATED), counts, max_size=6)),
)


def verdict(evidence: list[Report], chosen: Options = OPTIONS) -> Verdict:
    return assess("ip", ADDRESS, evidence, now=NOW, options=chosen)


@settings(max_examples=700, deadline=None)
@given(st.lists(reports(), max_size=14), reports(st.sampled_from(["malicious", "suspicious"])), options)
def test_an_added_word_for_guilt_never_lowers_anything(evidence: list[Report], added: Report, chosen: Options) -> None:
    """From a new source, a member of a family, a second job of a source, old or new, in any state of learning."""
    before, after = verdict(evidence, chosen), verdict([*evidence, added], chosen)
    assert after.score >= before.score - 1e-12
    assert RANK[after.recommendation] >= RANK[before.recommendation]
    assert after.families >= before.families
    assert MEANING[after.verdict] >= MEANING[before.verdict]


@settings(max_examples=300, deadline=None)
@given(st.lists(reports(), max_size=10), options, st.randoms(use_true_random=False))
def test_the_order_of_the_reports_does_not_matter(evidence: list[Report], chosen: Options, random: object) -> None:
    shuffled = list(evidence)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert verdict(shuffled, chosen).to_dict() == verdict(evidence, chosen).to_dict()


def literal_rule(malicious: int) -> str:
    if malicious >= 5:
        return "act"
    return "ask" if malicious >= 3 else "observe"


def test_the_count_profile_is_the_literal_rule_for_all_count_vectors() -> None:
    """Every vector of up to seven malicious and three each of the others, over sources of all grades and one family."""
    for malicious, suspicious, safe, none, missing in product(range(8), range(3), range(3), range(3), range(3)):
        words = ["malicious"] * malicious + ["suspicious"] * suspicious + ["safe"] * safe
        words += ["none"] * none + [None] * missing
        evidence = [said(name, word, 700.0) for name, word in zip(RATED[::-1], words, strict=False)]
        found = verdict(evidence, COUNT)
        assert found.recommendation == literal_rule(malicious), words
        assert found.families == malicious


@settings(max_examples=500, deadline=None)
@given(st.lists(reports(), max_size=16))
def test_the_count_profile_only_counts_the_malicious_sources(evidence: list[Report]) -> None:
    found = verdict(evidence, COUNT)
    assert found.recommendation == literal_rule(found.count("malicious"))


@settings(max_examples=300, deadline=None)
@given(st.lists(reports(st.just(None)), max_size=10), options)
def test_missing_is_never_safe(evidence: list[Report], chosen: Options) -> None:
    """Only missing reports leave the prior as it is, and the verdict unknown."""
    found = verdict(evidence, chosen)
    assert found.verdict == "unknown"
    assert found.score == verdict([], chosen).score
    assert found.count("safe") == 0


@settings(max_examples=300, deadline=None)
@given(st.lists(reports(), max_size=10), names, options)
def test_a_missing_report_of_a_new_source_does_not_change_the_score(
    evidence: list[Report], name: str, chosen: Options
) -> None:
    others = [report for report in evidence if report.source != name]
    assert verdict([*others, said(name, None)], chosen).score == verdict(others, chosen).score


@settings(max_examples=300, deadline=None)
@given(st.lists(reports(), max_size=14), options)
def test_the_side_numbers_stay_in_their_bounds_and_the_ledger_adds_up(evidence: list[Report], chosen: Options) -> None:
    found = verdict(evidence, chosen)
    full = found.to_dict()
    assert 0.0 <= full["score"] <= 1.0
    assert 0.0 <= full["coverage"] <= 1.0
    assert 0.0 <= full["conflict"] <= 1.0
    parts = ("malicious", "suspicious", "safe", "none", "missing")
    assert sum(full[part] for part in parts) == full["sources"] == len(full["ledger"])
    total = sum(line.kept for line in found.lines)
    assert abs(found.basis.prior + total - found.tally.log_odds) < 1e-9
    assert all(abs(line.weight) <= 3.0 for line in found.lines)


@settings(max_examples=200, deadline=None)
@given(st.lists(reports(), max_size=10))
def test_no_single_source_acts_alone(evidence: list[Report]) -> None:
    """Whatever one source says, and however often."""
    assert verdict([report._replace(source="Ind0") for report in evidence]).recommendation != "act"
