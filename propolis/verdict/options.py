"""What a verdict is made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from propolis.verdict.reliability import Counts
from propolis.verdict.score import Calibration

if TYPE_CHECKING:
    from propolis.verdict.sources import Sources


class Options(NamedTuple):
    """Everything but the reports and the time. The defaults are the shipped ones."""

    profile: str = "evidence"
    window_hours: float = 720.0  # a report older than this is missing
    never: tuple[str, ...] = ()  # networks and names that are never to be acted on
    sources: Sources | None = None  # None: the shipped source file
    prior: float | None = None  # probability that what is looked at is malicious; None: 4.7 %
    calibration: Calibration | None = None
    asked: tuple[str, ...] | None = None  # definitions that were asked, for coverage; None: those that were handed over
    learned: Mapping[str, Counts] | None = None  # labelled reports by source
