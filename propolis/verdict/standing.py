"""Of everything a source said, the word that stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from propolis.verdict.report import POSITIVE, SEVERITY, Report

TOO_OLD = "older than the window"
UNDATED = "has no date"


class Word(NamedTuple):
    """What one source has to say, from all of its reports.

    The newest success counts. Where that is malicious or suspicious, the positive reports right before it still stand:
    a second word for guilt is no withdrawal of the first, so adding one can only raise the score. A newer safe, clean
    or empty answer withdraws them all.
    """

    source: str
    latest: Report
    level: str | None
    reason: str | None
    run: tuple[Report, ...]  # the reports that stand, newest last; empty when the source is missing
    old_positive: bool = False  # all it has is a word for guilt from before the window

    @property
    def shown(self) -> Report:
        """The newest report that carries the level."""
        return next((report for report in reversed(self.run) if report.level == self.level), self.latest)


def standing(reports: Iterable[Report], not_before: float) -> list[Word]:
    """One word a source, ordered by source."""
    by_source: dict[str, list[Report]] = {}
    for report in reports:
        by_source.setdefault(report.source, []).append(report)
    return [_word(source, by_source[source], not_before) for source in sorted(by_source)]


def _word(source: str, reports: list[Report], not_before: float) -> Word:
    if len(reports) == 1 and reports[0].ended >= not_before:  # the usual case, without the sorting
        return _standing(source, reports)
    fresh = [report for report in reports if report.ended >= not_before]
    if fresh:
        return _standing(source, fresh)
    latest = max(reports, key=_order)
    reason = TOO_OLD if latest.ended > 0 else UNDATED
    return Word(source, latest, None, reason, (), any(report.level in POSITIVE for report in reports))


def _standing(source: str, fresh: list[Report]) -> Word:
    successes = [report for report in fresh if report.success]
    latest = max(successes or fresh, key=_order)
    if latest.level is None or not successes:
        return Word(source, latest, None, latest.reason, ())
    run = _run(successes) if len(successes) > 1 else successes
    level = max((report.level for report in run), key=SEVERITY.__getitem__)
    return Word(source, latest, level, None, tuple(run))


def _run(successes: list[Report]) -> list[Report]:
    """The newest success, and while it is positive the unbroken row of positive ones before it."""
    ordered = sorted(successes, key=_order)
    start = len(ordered) - 1
    while ordered[-1].level in POSITIVE and start > 0 and ordered[start - 1].level in POSITIVE:
        start -= 1
    return ordered[start:]


def _order(report: Report) -> tuple[float, int, bool, float, str, str]:
    """By end; of two that ended together the graver one is the newer, whatever their order was."""
    clears = report.clears is not None
    return (report.ended, SEVERITY[report.level], clears, report.time, report.definition, report.reason or "")
