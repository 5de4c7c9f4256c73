"""The base of our analyzers."""

from __future__ import annotations

from typing import Any

from cortexutils.analyzer import Analyzer

from propolis.errors import InputError
from propolis.worker.base import Answer, SafeWorker
from propolis.worker.secrets import blank

LEVELS = ("info", "safe", "suspicious", "malicious")


class AnalyzerWorker(SafeWorker, Analyzer):  # type: ignore[misc]
    """An analyzer: its `data` is always a string, also when it holds JSON; artifacts are its own, never extracted."""

    def get_data(self) -> str:
        """The observable's value. Raises InputError where the job has none."""
        data = self._input.get("data")
        if not isinstance(data, str) or not data:
            raise InputError("The job has no data: start this analyzer on an observable that has a value.")
        return data

    def _report(self, answer: Answer) -> dict[str, Any]:
        report = super()._report(answer)
        report["summary"] = {"taxonomies": blank(answer.taxonomies, self._secrets)}
        report["artifacts"] = blank(answer.artifacts, self._secrets)
        return report


def taxonomy(level: str, namespace: str, predicate: str, value: str | int) -> dict[str, Any]:
    """One mini report. Raises ValueError for a level TheHive does not know: it would drop the whole list."""
    if level not in LEVELS:
        raise ValueError(f"{level!r} is not one of {LEVELS}")
    return {"level": level, "namespace": namespace, "predicate": predicate, "value": value}
