"""Counters and histograms that only grow: O(1) for each event, and never more than so many series for one metric.

Not safe for several threads: whoever shares one holds a lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from playbook_service.metrics.family import HISTOGRAM, Family, Labels, Measured, Sample, measured, named

MOST_SERIES = 200
"""Of one metric. What comes beyond is counted together under `other`: a label must not grow with what attackers do."""
OTHER = "other"
_LONGEST = 80
_INF = (float("inf"),)


class Sums:
    """The sums of some families."""

    def __init__(self, families: Iterable[Family]):
        self._families = tuple(families)
        self._series: dict[str, dict[Labels, list[float]]] = {}
        for family in self._families:
            self._series[family.name] = {}
            for labels in family.known if family.labels else ((),):
                self._row(family, labels)

    def add(self, family: Family, *labels: str, by: float = 1.0) -> None:
        """Add to a counter."""
        self._row(family, labels)[0] += by

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """Count a value in a histogram."""
        row = self._row(family, labels)
        row[bisect_left(family.buckets, value)] += 1
        row[-1] += value

    def _row(self, family: Family, labels: Labels) -> list[float]:
        """A counter's one number; a histogram's count for each bucket (not of those below), then the sum."""
        series = self._series[family.name]
        found = series.get(labels)
        if found is None:
            labels = tuple(label[:_LONGEST] for label in labels)
            if labels not in series and len(series) >= MOST_SERIES:
                labels = (OTHER,) * len(labels)
            found = series.setdefault(labels, [0.0] * (len(family.buckets) + 2 if family.kind == HISTOGRAM else 1))
        return found

    def measured(self) -> list[Measured]:
        """All of it, as it is now."""
        return [self._told(family) for family in self._families]

    def _told(self, family: Family) -> Measured:
        series = self._series[family.name]
        if family.kind != HISTOGRAM:
            return measured(family, *((labels, row[0]) for labels, row in series.items()))
        return Measured(family, tuple(line for labels, row in series.items() for line in _buckets(family, labels, row)))

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: [[list(labels), row] for labels, row in series.items()] for name, series in self._series.items()}

    def take(self, document: Mapping[str, Any]) -> None:
        """Go on from sums that were kept by `to_dict` of the same families."""
        for name, rows in document.items():
            self._series[name] = {tuple(labels): [float(number) for number in row] for labels, row in rows}


def _buckets(family: Family, labels: Labels, row: list[float]) -> Iterable[Sample]:
    *counts, total = row
    mine = named(family, labels)
    for bound, count in zip((*family.buckets, *_INF), accumulate(counts), strict=True):
        yield Sample("_bucket", (*mine, ("le", number_text(bound))), count)
    yield Sample("_sum", mine, total)
    yield Sample("_count", mine, sum(counts))


def number_text(value: float) -> str:
    """A number as Prometheus reads it."""
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
