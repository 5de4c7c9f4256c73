"""Threat-intelligence analyzers that answer from recorded reports instead of asking anybody.

A recording is a file of JSON lines, each a Cortex job as `GET /api/job/<id>/report` gives it: the lines that
`propolis replay --reports` reads. Every analyzer in it becomes a definition; what it was never asked gets an
`info: not found` taxonomy.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playbook_service.lab.cortex.definition import WorkerDefinition
from propolis.errors import InputError

if TYPE_CHECKING:
    from playbook_service.lab.cortex.job import Job


class Script:
    """Recorded reports by analyzer, data type and data. `delay`: seconds an answer takes."""

    def __init__(self, delay: float = 0.0):
        self.delay = delay
        self._reports: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._types: dict[str, set[str]] = {}
        self._spaces: dict[str, str] = {}

    def load(self, path: Path) -> None:
        """Add a recording. Raises InputError with the line that is not a finished analyzer job."""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                self._add(_job(line, str(path), number))

    def record(self, definition: str, data_type: str, data: str, report: dict[str, Any]) -> None:
        """Set what an analyzer says of one observable from now on."""
        self._reports[definition, data_type, data] = report
        self._types.setdefault(definition, set()).add(data_type)
        for taxonomy in (report.get("summary") or {}).get("taxonomies", [])[:1]:
            self._spaces.setdefault(definition, str(taxonomy.get("namespace")))

    def _add(self, job: dict[str, Any]) -> None:
        self.record(job["workerDefinitionId"], job["dataType"], str(job.get("data")), job["report"])

    def knows(self, definition: str) -> bool:
        """Whether this analyzer is scripted."""
        return definition in self._types

    def definitions(self) -> list[WorkerDefinition]:
        """A definition for every scripted analyzer."""
        return [_definition(name, types) for name, types in sorted(self._types.items())]

    def report(self, job: Job) -> dict[str, Any]:
        """What was recorded for the job's observable, else that nothing is known of it."""
        definition = job.worker.definition
        found = self._reports.get((definition.id, job.task.data_type, job.task.data or ""))
        return copy.deepcopy(found) if found is not None else self._unknown(definition)

    def _unknown(self, definition: WorkerDefinition) -> dict[str, Any]:
        space = self._spaces.get(definition.id, definition.name)
        taxonomy = {"level": "info", "namespace": space, "predicate": "Result", "value": "not found"}
        return {
            "success": True, "summary": {"taxonomies": [taxonomy]}, "full": {"result": "not found"}, "artifacts": [],
            "operations": [],
        }  # fmt: skip


def _job(line: str, source: str, number: int) -> dict[str, Any]:
    try:
        job = json.loads(line)
    except ValueError as error:
        raise InputError(f"Not JSON: {error}.", source=source, line=number) from None
    needed = ("workerDefinitionId", "dataType", "report")
    missing = [name for name in needed if not isinstance(job, dict) or not job.get(name)]
    if missing or not isinstance(job["report"], dict):
        what = ", ".join(missing) or "a finished report"
        raise InputError(f"Not a finished analyzer job: it lacks {what}.", source=source, line=number)
    return dict(job)


def _definition(name: str, types: set[str]) -> WorkerDefinition:
    stem, major, minor = (*name.rsplit("_", 2), "", "")[:3]
    version = f"{major}.{minor}" if major.isdigit() and minor.isdigit() else "1.0"
    return WorkerDefinition(
        id=name, type="analyzer", name=stem if major.isdigit() else name, version=version,
        description=f"{stem}, answering from recorded reports", author="The lab", url="https://example.org/",
        license="AGPL-3.0-or-later", data_types=tuple(sorted(types)), base_config=stem,
    )  # fmt: skip
