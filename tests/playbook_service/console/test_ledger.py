"""The evidence as bars: every source named with what was taken off its word, whatever the record holds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from filled import ATTACKER, Filled

from playbook_service.console.ledger import ledger


def text(full: dict[str, Any]) -> str:
    """What people read of it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", ledger(full))).strip()


def bars(full: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Class, left edge and width of every bar."""
    found = re.findall(r'<rect class="(\w*)" x="([\d.]+)" y="1" width="([\d.]+)"', ledger(full))
    return [(kind, float(x), float(width)) for kind, x, width in found]


def spoke(source: str, level: str = "malicious", contribution: float = 1.5, **more: Any) -> dict[str, Any]:
    return {
        "source": source, "level": level, "family": source.lower(), "grade": "B", "age_hours": 5.0, "raw": 2.0,
        "weight": 1.5, "after_decay": 1.5, "after_family": contribution, "contribution": contribution, **more,
    }  # fmt: skip


@pytest.fixture
def full() -> dict[str, Any]:
    """A verdict as the service keeps it."""
    world = Filled()
    case = world.case(128, ATTACKER, world.alert(ATTACKER))
    return dict(world.record("verdict", world.verdict(case, ATTACKER)).body["full"])


def test_a_kept_verdict_is_told_in_a_line_with_a_bar_for_each_source_that_spoke(full: dict[str, Any]) -> None:
    assert "malicious \u00b7 score 0.95 \u00b7 4 independent families \u00b7 coverage 1.00" in text(full)
    assert "advises act" in text(full)
    assert len(bars(full)) == 6
    assert "AbuseIPDB malicious \u00b7 family abuse-lists \u00b7 grade B \u00b7 35 h old" in text(full)
    assert "+1.47" in text(full)
    assert "+2.22, less 0.51 for uncertainty and 0.23 for age" in text(full)
    assert "Missing, which speaks neither for nor against it: MISPWarningLists ( gives information only )" in text(full)


def test_guilt_goes_to_the_right_and_innocence_to_the_left_the_strongest_first() -> None:
    full = {"ledger": [spoke("Weak", contribution=0.3), spoke("Clears", "safe", -1.5), spoke("Strong", contribution=3)]}
    assert bars(full) == [("malicious", 50.0, 50.0), ("safe", 25.0, 25.0), ("malicious", 50.0, 5.0)]


def test_what_the_family_took_off_is_said() -> None:
    copied = spoke("Copy", contribution=0.375, after_decay=1.5, after_family=0.375)
    assert "0.50 for uncertainty and 1.12 because its family had spoken" in text({"ledger": [copied]})


def test_a_source_that_clears_a_veto_and_what_is_not_rated_are_named() -> None:
    full = {
        "ledger": [spoke("Warning", "safe", -2.0, veto="a public resolver")],
        "veto": ["Warning clears it: a public resolver"],
        "unrated": [{"source": "Homemade", "level": "malicious", "reason": None}],
        "dropped": [{"definition": "Other_1_0", "why": "is about something else"}],
    }
    told = text(full)
    assert "clears it: a public resolver" in told
    assert "Veto: Warning clears it: a public resolver" in told
    assert "Not rated, and so without weight: Homemade ( malicious )" in told
    assert "Not used: Other_1_0 ( is about something else )" in told


@pytest.mark.parametrize(
    "full",
    [
        {}, {"ledger": None}, {"ledger": "x", "veto": "y", "unrated": {}, "dropped": 3},
        {"ledger": [None, 4, [], {}], "score": "high", "families": True, "coverage": float("nan")},
        {"ledger": [{"source": 7, "level": ["x"], "contribution": "1"}], "verdict": 5, "recommendation": {"a": 1}},
        {"ledger": [{"source": "S", "level": "malicious", "contribution": 10**400, "age_hours": float("inf")}]},
    ],
)  # fmt: skip
def test_a_record_that_lacks_things_or_holds_others_is_drawn_without_them(full: dict[str, Any]) -> None:
    drawn = ledger(full)
    assert drawn.startswith('<div class="ledger">')
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_a_record_of_levels_alone_names_its_sources_and_guesses_no_weight() -> None:
    assert text({"ledger": [{"source": "VirusTotal", "level": "malicious"}]}).endswith("\u2013")
    assert "VirusTotal malicious" in text({"ledger": [{"source": "VirusTotal", "level": "malicious"}]})


def test_nothing_on_record_is_said() -> None:
    assert text({}) == "No evidence is on record."
    assert "No source that was asked has judged it." in text({"ledger": [{"source": "X", "level": "missing"}]})


def test_names_from_outside_are_inert_and_bounded() -> None:
    bad = '<img src=x onerror=alert(1)>"\u202e' + "A" * 1_000_000
    full = {
        "verdict": bad, "recommendation": '"><script>', "veto": [bad], "unrated": [{"source": bad, "level": bad}],
        "dropped": [{"definition": bad, "why": bad}],
        "ledger": [spoke(bad, family=bad, grade=bad, veto=bad), spoke(bad, '"><b>', reason=bad)] * 500,
    }  # fmt: skip
    drawn = ledger(full)
    assert "<img" not in drawn
    assert "<script" not in drawn
    assert "\u202e" not in drawn
    assert len(drawn) < 200_000
    assert "440 further sources weigh less." in text(full)
    assert "and 470 more" in text(full)
