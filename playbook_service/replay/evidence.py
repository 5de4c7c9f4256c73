"""Recorded analyzer reports by observable: what stands in for the jobs that the service would start.

The file holds one Cortex job a line, as `GET /api/job/<id>/report` answers. Of each only what a verdict needs is kept.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

from playbook_service.replay.fault import Faults
from playbook_service.replay.source import DAMAGE, raw_lines, unpacked
from propolis.verdict import Report, Sources
from propolis.verdict.canonical import canonical
from propolis.verdict.reading import read_job
from propolis.verdict.sources import fold, without_version

Key = tuple[str, str]
_MOST_BYTES = 8 * 1024 * 1024  # a job's `full` may be large; it is read and forgotten


class Dossier(NamedTuple):
    """All recorded reports on one observable, oldest first, and when each came in."""

    reports: tuple[Report, ...]
    ended: tuple[float, ...]

    def until(self, moment: float) -> tuple[Report, ...]:
        """What was there at that moment; if nothing was, all of it: it was recorded later, for this replay."""
        count = bisect_right(self.ended, moment)
        return self.reports[:count] if count else self.reports


class Evidence:
    """The dossiers of all observables, and which analyzers gave a report on which data type."""

    def __init__(self, reports: Iterable[Report] = ()):
        gathered: dict[Key, list[Report]] = {}
        installed: dict[str, dict[str, str]] = {}
        for report in reports:
            gathered.setdefault((report.data_type, canonical(report.data_type, report.data)), []).append(report)
            installed.setdefault(report.data_type, {})[fold(report.source)] = report.definition
        self._dossiers = {key: _dossier(found) for key, found in gathered.items()}
        self._installed = installed

    def __len__(self) -> int:
        return sum(len(dossier.reports) for dossier in self._dossiers.values())

    def of(self, data_type: str, data: str) -> Dossier | None:
        """The dossier of an observable, None where nothing was recorded."""
        dossiers = self._dossiers
        return dossiers.get((data_type, data)) or dossiers.get((data_type, canonical(data_type, data)))

    def answering(self, data_type: str, analyzers: Iterable[str]) -> dict[str, str]:
        """Of these analyzers (definition names), those that were in use: folded name -> definition.

        In use is what gave a report on any observable of the type. A playbook may name analyzers that an installation
        does not have; they are not missing, they were never asked.
        """
        here = self._installed.get(data_type, {})
        wanted = {fold(without_version(name)) for name in analyzers}
        return {name: definition for name, definition in here.items() if name in wanted}


def _dossier(reports: list[Report]) -> Dossier:
    ordered = sorted(reports, key=lambda report: report.ended)
    return Dossier(tuple(ordered), tuple(report.ended for report in ordered))


def read_evidence(stream: IO[bytes], sources: Sources, faults: Faults) -> Evidence:
    """The evidence in a file of recorded jobs; lines that are none are counted in `faults`."""
    return Evidence(_reports(stream, sources, faults))


def _reports(stream: IO[bytes], sources: Sources, faults: Faults) -> Iterator[Report]:
    for number, job in json_lines(stream, faults):
        report = read_job(job, sources)
        if report.source and report.data_type and report.data:
            yield report
        else:
            faults.add(number, "The line is not a Cortex job: it names no analyzer, dataType or data.")


def json_lines(stream: IO[bytes], faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a JSONL file, plain or gzipped, each with its line number; the rest goes to `faults`."""
    number = 0
    try:
        for number, line in enumerate(raw_lines(unpacked(stream), _MOST_BYTES), 1):
            document = _document(line)
            if isinstance(document, dict):
                yield number, document
            elif not line.isspace():
                faults.add(number, f"The line is not a JSON object of at most {_MOST_BYTES // 1024 // 1024} MiB.")
    except DAMAGE as error:
        faults.add(number + 1, f"The compressed file ends early or is damaged ({error}); the rest was not read.")


def _document(line: bytes) -> Any:
    try:
        return json.loads(line) if len(line) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        return None
