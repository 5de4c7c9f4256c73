"""A metric family: a name, what it means, and by what it is told apart.

Kinds and naming are Prometheus' own (https://prometheus.io/docs/practices/naming/): seconds, bytes, `_total` for what
only grows.
"""

from __future__ import annotations

from typing import NamedTuple

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
PROCESS, INSTALLATION = "process", "installation"
"""Whose value it is: one process' own (add them up over the nodes), or the whole installation's (take the largest)."""

Labels = tuple[str, ...]
"""Values in the order of the family's label names."""


class Family(NamedTuple):
    """One metric. `known` are the label values that are there, at zero, before anything has happened: what begins to be
    there with its first event has no rise that Prometheus could see."""

    name: str
    kind: str
    scope: str
    help: str
    labels: tuple[str, ...] = ()
    known: tuple[Labels, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, ascending, without +Inf."""


class Sample(NamedTuple):
    """One line of the answer: what is added to the family's name, the labels, the value."""

    suffix: str
    labels: tuple[tuple[str, str], ...]
    value: float


class Measured(NamedTuple):
    """A family with its values of now."""

    family: Family
    samples: tuple[Sample, ...]


def measured(family: Family, *values: tuple[Labels, float]) -> Measured:
    """A gauge or counter from its values by labels."""
    return Measured(family, tuple(Sample("", named(family, labels), value) for labels, value in values))


def named(family: Family, labels: Labels) -> tuple[tuple[str, str], ...]:
    """Label values with their names."""
    return tuple(zip(family.labels, labels, strict=True))
