"""What a report measures with: spans of time in order, and shares with the uncertainty that their count leaves."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

from playbook_service.feedback.observation import wilson


class Spread(NamedTuple):
    """How long something took, in seconds, and how many that rests on. Each figure is one that occurred (nearest rank);
    None where nothing did."""

    of: int
    median: float | None
    p90: float | None
    longest: float | None


class Spans:
    """Spans of time as they come; eight bytes each."""

    def __init__(self) -> None:
        self.seconds = array("d")

    def add(self, seconds: float) -> None:
        """One more. Clocks of two machines may disagree by a little: what ends before it begins took no time."""
        self.seconds.append(max(0.0, seconds))

    def spread(self) -> Spread:
        """All of them."""
        return together((self,))


def together(parts: Iterable[Spans]) -> Spread:
    """The spread of several kinds of spans as one."""
    ordered = sorted(seconds for part in parts for seconds in part.seconds)
    return Spread(len(ordered), _rank(ordered, 0.5), _rank(ordered, 0.9), _rank(ordered, 1.0))


def _rank(ordered: list[float], share: float) -> float | None:
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


class Share(NamedTuple):
    """So many of so many, 0 to 1, with Wilson's 95 % score interval. Of none there is no share, not one of zero."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """The share itself."""
        return self.hits / self.of if self.of else None

    @property
    def low(self) -> float | None:
        """The lower end of the interval."""
        return wilson(self.hits, self.of) if self.of else None

    @property
    def high(self) -> float | None:
        """The upper end: the lower end of what is left, from the other side."""
        return 1 - wilson(self.of - self.hits, self.of) if self.of else None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        ends = {"share": self.value, "low": self.low, "high": self.high}
        return {"count": self.hits, "of": self.of, **{name: _rounded(value) for name, value in ends.items()}}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
