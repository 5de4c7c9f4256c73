"""A verdict made again from its report (`Verdict.to_dict()`), so that it can be asked what another word would change.

The lines stand in the report with what they weighed then: grades, ages, what was learned. Three things do not, and are
taken from the sources of today: how much a source could have said at most, whether it is one of context, and the word
it would have had instead. So nothing is built that does not give back the numbers that stand in the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

from propolis.errors import PropolisError
from propolis.verdict import Options, Sources, Verdict
from propolis.verdict.ledger import Line, with_families
from propolis.verdict.profile import Profile, profile_named
from propolis.verdict.recommendation import Basis, tally
from propolis.verdict.reliability import Reliability, reliability
from propolis.verdict.report import LEVELS, MALICIOUS
from propolis.verdict.score import Calibration
from propolis.verdict.sources import shipped

_NEVER = "never list: "
_CLOSE, _CLOSE_SHARE = 0.002, 0.005  # how far a rebuilt score and coverage may be from those in the report
_CERTAIN = 0.001  # nearer to 0 or 1 than this a rounded score says nothing of the calibration any more
_MISSING = "missing"


def rebuilt(full: Mapping[str, Any], sources: Sources | None = None) -> Verdict | None:
    """The verdict of a report; None where what is stored does not give its numbers back."""
    try:
        made = _made(full, sources or shipped())
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, PropolisError):
        return None
    return made if _is_same(made, full) else None


def _made(full: Mapping[str, Any], sources: Sources) -> Verdict:
    profile = profile_named(str(full["profile"]))
    lines = tuple(_line(entry, profile, sources) for entry in full["ledger"])
    told = full["observable"]
    prior = float(full["log_odds"]) - fsum(line.kept for line in lines)
    never = next((str(veto)[len(_NEVER) :] for veto in full["veto"] if str(veto).startswith(_NEVER)), None)
    basis = Basis(profile, prior, _calibration(full), never)
    return Verdict(
        str(told["dataType"]), str(told["data"]), 0.0, Options(), basis, lines, tally(lines, basis), (), (), ""
    )


def _line(entry: Mapping[str, Any], profile: Profile, sources: Sources) -> Line:
    level, source = str(entry["level"]), sources.find(str(entry["source"]))
    if level not in (*LEVELS, _MISSING):
        raise ValueError(level)
    age = entry["age_hours"]
    return Line(
        str(entry["source"]), str(entry["definition"]), str(entry["family"]), str(entry["grade"]), float(entry["n"]),
        None if level == _MISSING else level, None if age is None else float(age) * 3600.0, float(entry["raw"]),
        float(entry["weight"]), float(entry["after_decay"]), float(entry["after_family"]), entry["reason"],
        entry["veto"], _weights(profile, str(entry["grade"])).capacity,
        level != _MISSING or source is None or not source.context,
    )  # fmt: skip


def _weights(profile: Profile, grade: str) -> Reliability:
    return profile.vote or reliability(grade)


def _calibration(full: Mapping[str, Any]) -> Calibration | None:
    """The slope stands in every share; the offset is what is left. Raises ValueError where that cannot be told."""
    if not full["calibrated"]:
        return None
    strongest = max(full["ledger"], key=lambda entry: abs(float(entry["after_family"])), default=None)
    score = float(full["score"])
    if strongest is None or not float(strongest["after_family"]) or not _CERTAIN < score < 1 - _CERTAIN:
        raise ValueError("the calibration cannot be told")
    slope = float(strongest["contribution"]) / float(strongest["after_family"])
    return Calibration(slope, math.log(score / (1 - score)) - slope * float(full["log_odds"]))


def _is_same(made: Verdict, full: Mapping[str, Any]) -> bool:
    same = (made.verdict, made.recommendation, made.families)
    return (
        same == (full.get("verdict"), full.get("recommendation"), full.get("families"))
        and abs(made.score - float(full["score"])) < _CLOSE
        and abs(made.tally.coverage - float(full["coverage"])) < _CLOSE_SHARE
    )


# other words --------------------------------------------------------------------------------------------------------


def silent(verdict: Verdict, line: Line) -> Verdict:
    """The verdict if this source had not answered."""
    gone = line._replace(level=None, age=None, raw=0.0, weight=0.0, decayed=0.0, kept=0.0, clears=None, counted=True)
    return _with(verdict, [gone if one is line else one for one in verdict.lines])


def saying(verdict: Verdict, line: Line, level: str) -> Verdict:
    """The verdict if this source had said that, when it was asked."""
    return _with(verdict, [_said(line, level, verdict.basis.profile) if one is line else one for one in verdict.lines])


def one_more(verdict: Verdict) -> Verdict:
    """The verdict if another independent source of grade B had said malicious."""
    empty = Line("another source", "", "+1", "B", 0.0, None, 0.0, 0.0, 0.0, 0.0, 0.0, None, None, 0.0)
    return _with(verdict, [*verdict.lines, _said(empty, MALICIOUS, verdict.basis.profile)])


def allowed(verdict: Verdict) -> Verdict:
    """The verdict if the operator's list of what is never acted on did not have the observable."""
    return _with(verdict._replace(basis=verdict.basis._replace(never=None)), verdict.lines)


def fields_of(verdict: Verdict, full: Mapping[str, Any]) -> dict[str, Any]:
    """The report with the numbers of this verdict, as playbook conditions see it."""
    found = verdict.tally
    return {
        **full, "verdict": verdict.verdict, "score": round(found.score, 4),
        **{level: verdict.count(level) for level in LEVELS}, _MISSING: verdict.count(None),
        "sources": len(verdict.lines), "families": found.families, "coverage": round(found.coverage, 4),
        "conflict": round(found.conflict, 4), "recommendation": found.recommendation, "veto": list(found.veto),
        "log_odds": round(found.log_odds, 4),
    }  # fmt: skip


def _said(line: Line, level: str, profile: Profile) -> Line:
    """With the weight of that word, as old as the one that was said."""
    weights = _weights(profile, line.grade)
    weight, left = weights.weight[level], line.decayed / line.weight if line.level and line.weight else 1.0
    return line._replace(
        level=level, raw=weights.raw[level], weight=weight, decayed=weight * left, reason=None, clears=None,
        capacity=weights.capacity, counted=True,
    )  # fmt: skip


def _with(verdict: Verdict, lines: Sequence[Line]) -> Verdict:
    fresh = [line._replace(kept=line.decayed) for line in lines]
    settled = tuple(with_families(fresh, verdict.basis.profile.rho))
    return verdict._replace(lines=settled, tally=tally(settled, verdict.basis))
