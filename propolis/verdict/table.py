"""Compute when each profile asks and acts, so that README and handbook can show it and a test keeps them true."""

from __future__ import annotations

from propolis.verdict.assessment import assess
from propolis.verdict.decay import DAY
from propolis.verdict.options import Options
from propolis.verdict.recommendation import ACT, OBSERVE
from propolis.verdict.report import MALICIOUS, SAFE, Report
from propolis.verdict.sources import load_sources
from propolis.verdict.verdict import Verdict

_NOW = 1_767_225_600.0
_ADDRESS = "203.0.113.45"
_MOST = 12
_ROWS = (
    # what the sources are, grade, one family for all?, age in days, how many others say safe
    ("independent, grade A, fresh", "A", False, 0.0, 0),
    ("independent, grade B, fresh", "B", False, 0.0, 0),
    ("independent, grade C, fresh", "C", False, 0.0, 0),
    ("independent, grade D, fresh", "D", False, 0.0, 0),
    ("independent, grade B, a week old", "B", False, 7.0, 0),
    ("independent, grade B, fresh; two of grade B say safe", "B", False, 0.0, 2),
    ("one family of lists that copy each other, grade B, fresh", "B", True, 0.0, 0),
)


def rows() -> list[tuple[str, str, str, str, str]]:
    """What the sources are; from how many malicious ones evidence asks and acts, then count (`never` up to twelve)."""
    return [(name, *_first("evidence", *row), *_first("count", *row)) for name, *row in _ROWS]


def _first(profile: str, grade: str, one_family: bool, days: float, safe: int) -> tuple[str, str]:
    found = [_verdict(profile, count, grade, one_family, days, safe).recommendation for count in range(_MOST + 1)]
    ask = next((count for count, advice in enumerate(found) if advice != OBSERVE), None)
    act = next((count for count, advice in enumerate(found) if advice == ACT), None)
    return _shown(ask), _shown(act)


def _shown(count: int | None) -> str:
    return "never" if count is None else str(count)


def _verdict(profile: str, count: int, grade: str, one_family: bool, days: float, safe: int) -> Verdict:
    names = [f"M{index}" for index in range(count)] + [f"S{index}" for index in range(safe)]
    entries = [
        f"{name}: {{family: {'lists' if one_family and name[0] == 'M' else name}, grade: {grade}}}" for name in names
    ]
    sources = load_sources("\n".join(entries))
    moment = _NOW - days * DAY
    reports = [
        Report(name, name, MALICIOUS if name[0] == "M" else SAFE, None, moment, moment, "ip", _ADDRESS)
        for name in names
    ]
    return assess("ip", _ADDRESS, reports, now=_NOW, options=Options(profile=profile, sources=sources))


def markdown() -> str:
    """The table as it stands in README and in the handbook."""
    lines = [
        "| an address that n sources call malicious | evidence asks at | evidence acts at | count asks at | count acts at |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in rows()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
