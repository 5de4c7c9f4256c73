"""Make the verdict: read, choose the words that stand, weigh them, add them up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from propolis.verdict.ledger import Line, lines_of
from propolis.verdict.options import Options
from propolis.verdict.profile import profile_named
from propolis.verdict.reading import read_jobs
from propolis.verdict.recommendation import Basis, tally
from propolis.verdict.report import Report
from propolis.verdict.score import prior_log_odds
from propolis.verdict.sources import OWN_WORKERS, Source, Sources, fold, shipped, without_version
from propolis.verdict.standing import Word, standing
from propolis.verdict.verdict import Verdict

NO_REPORT = "asked, but there is no report"


def assess(
    data_type: str,
    data: str,
    evidence: Iterable[Mapping[str, Any] | Report],
    *,
    now: float,
    options: Options = Options(),  # noqa: B008 - a frozen value
) -> Verdict:
    """The verdict on `(data_type, data)` from Cortex jobs and reports, at `now` seconds since the epoch.

    Raises ConfigurationError for an unknown profile.
    """
    sources = options.sources or shipped()
    profile = profile_named(options.profile)
    reading = read_jobs(evidence, (data_type, data), sources)
    words = standing(reading.reports, now - options.window_hours * 3600.0)
    rated, unrated = _rate(words + _unanswered(words, options.asked), sources)
    lines = lines_of(rated, data_type, now, profile, options.learned)
    prior = prior_log_odds(options.prior) if profile.log_odds is None else profile.log_odds
    calibration = options.calibration if profile.clauses else None
    basis = Basis(profile, prior, calibration, _never(options.never, data_type, data))
    ranked = tuple(sorted(lines, key=_rank))
    dropped = tuple(sorted(reading.dropped)) if reading.dropped else ()
    return Verdict(data_type, data, now, options, basis, ranked, tally(ranked, basis), unrated, dropped, sources.origin)


def _rate(words: list[Word], sources: Sources) -> tuple[list[tuple[Word, Source]], tuple[dict[str, Any], ...]]:
    """The words of sources that are known, and what the others said: it weighs nothing until they are rated."""
    rated: list[tuple[Word, Source]] = []
    unrated: list[dict[str, Any]] = []
    for word in words:
        source = sources.find(word.source)
        if source is not None:
            rated.append((word, source))
        else:
            unrated.append({"source": word.source, "level": word.level or "missing", "reason": word.reason})
    return rated, tuple(unrated)


def _unanswered(words: list[Word], asked: Iterable[str] | None) -> list[Word]:
    """The sources that were asked and of which there is no report at all."""
    if not asked:
        return []
    heard = {fold(word.source) for word in words}
    silent: dict[str, Report] = {}
    for definition in asked:
        name = without_version(definition)
        if fold(name) not in heard and fold(name) not in OWN_WORKERS:
            silent.setdefault(fold(name), Report(name, definition, None, NO_REPORT, success=False))
    return [Word(silent[name].source, silent[name], None, NO_REPORT, ()) for name in sorted(silent)]


def _rank(line: Line) -> tuple[bool, float, str]:
    """The ledger's order: what weighs most first, the missing last."""
    return (line.level is None, -abs(line.kept), line.source)


def _never(entries: tuple[str, ...], data_type: str, data: str) -> str | None:
    if not entries:
        return None
    from propolis.verdict.never import compiled

    return compiled(entries).match(data_type, data)
