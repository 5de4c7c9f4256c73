"""Alerts over time in at most so many bins, however long the time turns out to be."""

from __future__ import annotations

from collections.abc import Iterator

WIDTHS = (60, 300, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800, 2_592_000, 31_536_000)
"""Widths of a bin, in seconds: what an axis can be labelled with."""
MOST = 72


class Timeline:
    """Counts by kind in bins of equal width; the width grows as needed, and the counts are added up."""

    def __init__(self, most: int = MOST):
        self._most = most
        self._grade = 0
        self._bins: dict[int, dict[str, int]] = {}

    @property
    def width(self) -> int:
        """Seconds that a bin covers."""
        return WIDTHS[self._grade]

    def add(self, moment: float, kind: str) -> None:
        """One more of a kind at a moment (seconds since the epoch)."""
        number = int(moment // self.width)
        counts = self._bins.get(number)
        if counts is None:
            counts = self._bins[number] = {}
            while len(self._bins) > 1 and self._span() > self._most and self._grade < len(WIDTHS) - 1:
                self._widen()
                counts = self._bins.setdefault(int(moment // self.width), {})
        counts[kind] = counts.get(kind, 0) + 1

    def _span(self) -> int:
        return max(self._bins) - min(self._bins) + 1

    def _widen(self) -> None:
        narrow, self._bins = self._bins, {}
        old = self.width
        self._grade += 1
        for number, counts in narrow.items():
            wide = self._bins.setdefault(number * old // self.width, {})
            for kind, count in counts.items():
                wide[kind] = wide.get(kind, 0) + count

    def bins(self) -> Iterator[tuple[float, dict[str, int]]]:
        """Start of each bin and its counts, without gaps."""
        if self._bins:
            for number in range(min(self._bins), max(self._bins) + 1):
                yield float(number * self.width), self._bins.get(number, {})
