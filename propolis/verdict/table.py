"""Compute when each profile asks and acts, so that README and handbook can show it and a test keeps them true."""

from __future__ import annotations

from typing import NamedTuple

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


class Case(NamedTuple):
    """What the sources of one row are."""

    name: str
    grade: str
    one_family: bool = False
    days: float = 0.0  # how old their reports are
    safe: int = 0  # how many others say safe


CASES = (
    Case("independent, grade A, fresh", "A"),
    Case("independent, grade B, fresh", "B"),
    Case("independent, grade C, fresh", "C"),
    Case("independent, grade D, fresh", "D"),
    Case("independent, grade B, a week old", "B", days=7.0),
    Case("independent, grade B, fresh; two of grade B say safe", "B", safe=2),
    Case("one family of lists that copy each other, grade B, fresh", "B", one_family=True),
)


def rows() -> list[tuple[str, str, str, str, str]]:
    """What the sources are; from how many malicious ones evidence asks and acts, then count (`never` up to twelve)."""
    return [(case.name, *_first("evidence", case), *_first("count", case)) for case in CASES]


def _first(profile: str, case: Case) -> tuple[str, str]:
    found = [_verdict(profile, count, case).recommendation for count in range(_MOST + 1)]
    ask = next((count for count, advice in enumerate(found) if advice != OBSERVE), None)
    act = next((count for count, advice in enumerate(found) if advice == ACT), None)
    return _shown(ask), _shown(act)


def _shown(count: int | None) -> str:
    return "never" if count is None else str(count)


def _verdict(profile: str, count: int, case: Case) -> Verdict:
    names = [f"M{index}" for index in range(count)] + [f"S{index}" for index in range(case.safe)]
    families = {name: "lists" if case.one_family and name[0] == "M" else name for name in names}
    sources = load_sources("\n".join(f"{name}: {{family: {families[name]}, grade: {case.grade}}}" for name in names))
    moment = _NOW - case.days * DAY
    reports = [
        Report(name, name, MALICIOUS if name[0] == "M" else SAFE, None, moment, moment, "ip", _ADDRESS)
        for name in names
    ]
    return assess("ip", _ADDRESS, reports, now=_NOW, options=Options(profile=profile, sources=sources))


def markdown() -> str:
    """The table as it stands in README and in the handbook."""
    lines = [
        "| n sources call an address malicious | evidence asks at | evidence acts at | count asks at | count acts at |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in rows()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
