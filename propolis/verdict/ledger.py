"""The ledger: one line a source, with every step between its word and its share of the score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from propolis.verdict.decay import decayed, half_life
from propolis.verdict.family import discounts
from propolis.verdict.profile import Profile
from propolis.verdict.reliability import Counts, Reliability, reliability
from propolis.verdict.sources import Source
from propolis.verdict.standing import Word


class Line(NamedTuple):
    """What one source contributes, in log-odds; `age` in seconds."""

    source: str
    definition: str
    family: str
    grade: str
    n: float
    level: str | None
    age: float | None
    raw: float
    weight: float  # after the discount for uncertainty, and the cap
    decayed: float
    kept: float  # after the family discount
    reason: str | None  # why it is missing
    clears: str | None
    capacity: float
    counted: bool = True  # False: coverage does not wait for it (a source of context that has not judged)
    old_positive: bool = False

    def to_dict(self, slope: float = 1.0) -> dict[str, Any]:
        """For the report; `slope` is the calibration's."""
        return {
            "source": self.source,
            "definition": self.definition,
            "family": self.family,
            "grade": self.grade,
            "n": round(self.n, 2),
            "level": self.level or "missing",
            "age_hours": None if self.age is None else round(self.age / 3600.0, 2),
            "raw": round(self.raw, 4),
            "weight": round(self.weight, 4),
            "after_decay": round(self.decayed, 4),
            "after_family": round(self.kept, 4),
            "contribution": round(self.kept * slope, 4),
            "reason": self.reason,
            "veto": self.clears,
        }


def lines_of(
    words: Iterable[tuple[Word, Source]],
    data_type: str,
    now: float,
    profile: Profile,
    learned: Mapping[str, Counts] | None,
) -> list[Line]:
    """The lines, in the words' order, with the family discount applied."""
    half = half_life(data_type)
    lines = [_line(word, source, half, now, profile, learned) for word, source in words]
    return with_families(lines, profile.rho)


def _line(
    word: Word, source: Source, half: float | None, now: float, profile: Profile, learned: Mapping[str, Counts] | None
) -> Line:
    weights = profile.vote or reliability(source.grade, learned.get(word.source) if learned else None)
    family = word.source if profile.every_source_a_family else source.family
    if word.level is None:
        return _missing(word, source, family, weights)
    life = (half if source.half_life is None else source.half_life.seconds) if profile.decay else None
    shown = word.shown
    strongest = decayed(weights.weight[word.level], now - shown.time, life)
    for report in word.run if len(word.run) > 1 else ():
        strongest = max(strongest, decayed(weights.weight[report.level or ""], now - report.time, life))
    return Line(
        word.source, shown.definition, family, source.grade, weights.n, word.level, max(0.0, now - shown.time),
        weights.raw[word.level], weights.weight[word.level], strongest, strongest, None, word.latest.clears,
        weights.capacity,
    )  # fmt: skip


def _missing(word: Word, source: Source, family: str, weights: Reliability) -> Line:
    return Line(
        word.source, word.latest.definition, family, source.grade, weights.n, None, None, 0.0, 0.0, 0.0, 0.0,
        word.reason, None, weights.capacity, not source.context, word.old_positive,
    )  # fmt: skip


def with_families(lines: list[Line], rho: float) -> list[Line]:
    """The lines with what the family discount leaves of each."""
    groups: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        groups.setdefault(line.family, []).append(index)
    if len(groups) == len(lines):
        return lines
    settled = list(lines)
    for members in groups.values():
        if len(members) > 1:
            for index, kept in zip(members, discounts([lines[i].decayed for i in members], rho), strict=True):
                settled[index] = lines[index]._replace(kept=kept)
    return settled
