"""Suppression: what analysts closed as FalsePositive again and again is not put before them once more.

Three FalsePositive closures within 30 days of the same observable, under the same rule of the same log source, suppress
the next. A TruePositive closure in between takes back what came before it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from playbook_service.replay.evidence import json_lines
from playbook_service.replay.fault import Faults
from propolis.alert import Alert
from propolis.observables.model import Observable
from propolis.verdict.canonical import canonical
from propolis.verdict.moment import seconds

CLOSURES = 3
WINDOW = 30 * 86_400.0
NEVER_FROM_LEVEL = 12
FALSE, TRUE = "FalsePositive", "TruePositive"

ACTIONABLE = frozenset(("ip", "domain", "fqdn", "url", "hash", "mail", "user", "username", "account"))
"""Data types of observables that a playbook could act upon, or have somebody act upon."""


class Label(NamedTuple):
    """An analyst's closing judgement on an observable; `time` in seconds since the epoch."""

    time: float
    resolution: str
    source: str
    rule_id: str
    data_type: str
    data: str


class Closures(NamedTuple):
    """When one observable under one rule was closed as false positive, and when as true positive; ascending."""

    false: list[float]
    true: list[float]

    def standing(self, moment: float) -> int:
        """How many false positives count at that moment."""
        start = moment - WINDOW
        before = bisect_left(self.true, moment)
        if before and self.true[before - 1] > start:
            start = self.true[before - 1]
        return bisect_left(self.false, moment) - bisect_right(self.false, start)


class History:
    """All labels, by (source, rule) and observable."""

    def __init__(self, labels: Iterable[Label] = ()):
        self._closures: dict[tuple[str, str], dict[tuple[str, str], Closures]] = {}
        self.count = 0
        for label in labels:
            self.add(label)

    def add(self, label: Label) -> None:
        """One more closure."""
        self.count += 1
        observables = self._closures.setdefault((label.source, label.rule_id), {})
        key = (label.data_type, canonical(label.data_type, label.data))
        closures = observables.setdefault(key, Closures([], []))
        insort(closures.false if label.resolution == FALSE else closures.true, label.time)

    def about(self, alert: Alert) -> Mapping[tuple[str, str], Closures] | None:
        """The closures under this alert's rule and source; None where there are none, which is the usual case."""
        return self._closures.get((origin(alert), alert.rule_id)) if self._closures else None


def origin(alert: Alert) -> str:
    """The log source of an alert: its decoder, or for plain JSON the place it came from."""
    decoder = alert.decoder
    return alert.location if decoder == "json" or not decoder else decoder


def suppressed(alert: Alert, observables: Sequence[Observable], history: History, moment: float) -> str:
    """Why the alert is suppressed, or the empty text.

    It is only where every observable that could be acted upon is, and never from level 12 on.
    """
    closures = history.about(alert)
    if closures is None or alert.level >= NEVER_FROM_LEVEL:
        return ""
    known = [entry for entry in observables if entry.data_type in ACTIONABLE]
    keys = [(entry.data_type, canonical(entry.data_type, entry.data)) for entry in known]
    counts = [closures[key].standing(moment) if key in closures else 0 for key in keys]
    if not counts or min(counts) < CLOSURES:
        return ""
    what = ", ".join(f"{data_type} {data}" for data_type, data in keys[:3])
    return f"{what}: closed as FalsePositive {min(counts)} times in 30 days under rule {alert.rule_id}"


def read_history(stream: IO[bytes], faults: Faults) -> History:
    """The labels of a JSONL file; lines that are none are counted in `faults`."""
    history = History()
    for number, entry in json_lines(stream, faults):
        label = _label(entry)
        if label is None:
            needed = "time, resolution, source, rule_id, dataType and data"
            faults.add(number, f"The line is not a label: it needs {needed}.")
        elif label.resolution in (FALSE, TRUE):
            history.add(label)
    return history


def _label(entry: Mapping[str, Any]) -> Label | None:
    time = seconds(entry.get("time"))
    texts = [entry.get(key) for key in ("resolution", "source", "rule_id", "dataType", "data")]
    if time is None or not all(isinstance(text, (str, int)) and text != "" for text in texts):
        return None
    return Label(time, *(str(text) for text in texts))
