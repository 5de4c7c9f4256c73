"""Labels as a file gives them, for replay: how cases were closed, held against `feedback.suppression`'s rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from playbook_service.feedback import suppression
from playbook_service.feedback.suppression import ACTIONABLE, FALSE, TRUE, Closures, Key, origin
from playbook_service.replay.evidence import json_lines
from playbook_service.replay.fault import Faults
from propolis.alert import Alert
from propolis.observables.model import Observable
from propolis.verdict.canonical import canonical
from propolis.verdict.moment import seconds

__all__ = ["ACTIONABLE", "FALSE", "TRUE", "History", "Label", "origin", "read_history", "suppressed"]


class Label(NamedTuple):
    """An analyst's closing judgement on an observable; `time` in seconds since the epoch."""

    time: float
    resolution: str
    source: str
    rule_id: str
    data_type: str
    data: str


class History:
    """All labels, by (source, rule) and observable."""

    def __init__(self, labels: Iterable[Label] = ()):
        self._closures: dict[tuple[str, str], dict[Key, Closures]] = {}
        self.count = 0
        for label in labels:
            self.add(label)

    def add(self, label: Label) -> None:
        """One more closure."""
        self.count += 1
        observables = self._closures.setdefault((label.source, label.rule_id), {})
        key = (label.data_type, canonical(label.data_type, label.data))
        observables.setdefault(key, Closures([], [])).enter(label.resolution, label.time)

    def about(self, alert: Alert) -> Mapping[Key, Closures] | None:
        """The closures under this alert's rule and source; None where there are none, which is the usual case."""
        return self._closures.get((origin(alert), alert.rule_id)) if self._closures else None


def suppressed(alert: Alert, observables: Sequence[Observable], history: History, moment: float) -> str:
    """Why the alert is suppressed by these labels, or the empty text."""
    closures = history.about(alert)
    return suppression.suppressed(alert, observables, closures.get, moment) if closures else ""


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
