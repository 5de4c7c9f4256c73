"""The sentences an analyst pastes into a ticket."""

from __future__ import annotations

from verdict_helpers import ADDRESS, COUNT, NOW, OPTIONS, said

from propolis.verdict import Options, Report, assess
from propolis.verdict.explanation import two_digits


def text(*evidence: Report, options: Options = OPTIONS) -> str:
    return "\n".join(assess("ip", ADDRESS, evidence, now=NOW, options=options).explanation)


def test_it_opens_with_the_answer() -> None:
    first = text(said("Ind0", "malicious", 2), said("Plain", None, reason="rate-limited")).splitlines()[0]
    assert first == (
        "ip 203.0.113.45: suspicious, score 0.32, from 2 sources (1 malicious, 0 suspicious, 0 safe, 0 without a "
        "finding, 1 missing); 1 independent family says malicious; coverage 0.67, conflict 0.00."
    )


def test_each_voice_says_who_how_good_when_and_how_much() -> None:
    found = text(said("Copy0", "malicious", 49), said("Copy1", "malicious", 50), said("Info", "none"))
    assert "Copy0 (grade C, family copies) says malicious, 2 days ago: +0.90." in found
    assert (
        "Copy1 (grade C, family copies) says malicious, 2 days ago: +0.22, +0.89 before its family copies was" in found
    )
    assert "Info (grade C, family info) has nothing on it, less than an hour ago: -0.59." in found


def test_it_says_which_single_family_decides() -> None:
    found = text(said("Ind0", "malicious"), said("Ind1", "malicious"))
    assert "Without family ind0 (Ind0) this would be observe" in found
    sure = text(*(said(f"Ind{n}", "malicious") for n in range(9)))
    assert "No single family decides" in sure


def test_it_says_what_one_more_source_would_change_and_that_is_true() -> None:
    evidence = [said("Ind1", "malicious"), said("Ind4", "malicious"), said("Ind7", "malicious")]
    assert "One more independent grade-B source that says malicious would make this act (0.97)." in text(*evidence)
    more = assess("ip", ADDRESS, [*evidence, said("Good", "malicious")], now=NOW, options=OPTIONS)
    assert (more.recommendation, two_digits(more.score)) == ("act", "0.97")


def test_it_says_what_acting_still_needs() -> None:
    found = text(*(said(f"Ind{n}", "malicious") for n in range(6)), said("Good", "safe", clears="riot"))
    assert "but acting also needs no veto (Good clears it (riot))" in found
    assert "No further source would make this act while the veto stands." in found


def test_it_names_what_is_missing_unrated_and_not_used() -> None:
    found = text(
        said("Ind0", None, reason="rate-limited"), said("Stranger", "malicious"), said("Ind1", "safe", data="192.0.2.1")
    )
    assert "Missing, which speaks neither for nor against it: Ind0 (rate-limited)." in found
    assert "Unrated, and so without weight until the source file rates them: Stranger (malicious)." in found
    assert "Not used: Ind1_1_0 is about another observable: ip 192.0.2.1." in found


def test_it_says_which_profile_window_and_source_file_spoke() -> None:
    assert "Profile evidence (weighs evidence), prior 4.7%, window 30 days, sources: shipped file, overridden" in text()
    assert "Profile count (counts sources)" in text(options=COUNT)


def test_a_score_is_cut_and_not_rounded() -> None:
    assert [two_digits(score) for score in (0.9499, 0.95, 0.4999, 0.9999, 0.0)] == [
        "0.94",
        "0.95",
        "0.49",
        "0.99",
        "0.00",
    ]
