"""Hours of manual work that were not needed: counts of what was done, times minutes that somebody assumed.

The counts are facts, the minutes are not: they are options, and every report prints them beside the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from propolis.errors import ConfigurationError

_MOST = 24 * 60.0


class Work(NamedTuple):
    """A step of manual work, and the minutes that are assumed for it where nobody says otherwise."""

    text: str
    minutes: float


WORKS: dict[str, Work] = {
    "suppressed": Work("alert that nobody had to look at again", 5.0),
    "verdict": Work("observable looked up at its sources and weighed", 6.0),
    "case": Work("case opened from an alert", 5.0),
    "containment": Work("containment made and verified", 10.0),
    "release": Work("containment undone and verified", 5.0),
    "answer": Work("question that an analyst answered", -3.0),
}
"""What saves work, and what costs some: each question that was answered took somebody's minutes."""


class Saving(NamedTuple):
    """One step: how often, and minutes each."""

    name: str
    text: str
    times: int
    minutes: float

    @property
    def hours(self) -> float:
        """All of it."""
        return self.times * self.minutes / 60 + 0.0  # nothing times minutes that cost is -0.0 without it


def savings(counts: Mapping[str, int], minutes: Mapping[str, float]) -> tuple[Saving, ...]:
    """The steps in their order. `minutes` are those that somebody gave."""
    return tuple(
        Saving(name, work.text, counts.get(name, 0), minutes.get(name, work.minutes)) for name, work in WORKS.items()
    )


def read_minutes(texts: Iterable[str]) -> dict[str, float]:
    """Minutes a step, written `verdict=4` or `verdict=4,case=10`. Raises ConfigurationError that names the part."""
    found = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, _, value = part.partition("=")
        if name not in WORKS:
            raise ConfigurationError(
                f"{part[:60]!r} names no step: write <step>=<minutes> with a step of {', '.join(WORKS)}.",
                source="--minutes",
            )
        found[name] = _number(part, value)
    return found


def _number(part: str, value: str) -> float:
    try:
        minutes = float(value)
    except ValueError:
        minutes = _MOST + 1
    if not -_MOST <= minutes <= _MOST:
        raise ConfigurationError(
            f"{part[:60]!r} is no number of minutes: write one from -{_MOST:.0f} to {_MOST:.0f}.", source="--minutes"
        )
    return minutes
