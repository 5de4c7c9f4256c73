"""A Cortex job: what was asked of which worker, and what came of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from playbook_service.lab.cortex.worker import Worker
from playbook_service.lab.multipart import Part

FINISHED = ("Success", "Failure", "Deleted")


@dataclass(frozen=True)
class Task:
    """What a client asks: `data` is a text (a responder's object as JSON text), or else there is a `file`."""

    data_type: str
    data: str | None
    tlp: int = 2
    pap: int = 2
    message: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    file: Part | None = None

    def cache_tag(self, worker: Worker) -> str:
        """The same for what Cortex takes for the same question (`JobSrv.findSimilarJob`)."""
        what = self.data if self.file is None else hashlib.sha256(self.file.body).hexdigest()
        text = f"{worker.id}|{self.data_type}|{self.tlp}|{what}|{json.dumps(self.parameters, sort_keys=True)}"
        return hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Job:
    """Times are epoch ms. `report` is the worker's whole report once there is one."""

    id: str
    worker: Worker
    task: Task
    created_by: str
    created_at: int
    cache_tag: str
    status: str = "Waiting"
    updated_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    error: str | None = None
    report: dict[str, Any] | None = None

    def started(self, now: int) -> Job:
        """The job as it is being run."""
        return replace(self, status="InProgress", started_at=now, updated_at=now)

    def ended(self, now: int, report: dict[str, Any]) -> Job:
        """The job with its report."""
        good = report.get("success") is True
        error = None if good else str(report.get("errorMessage", "unknown error"))
        return replace(
            self, status="Success" if good else "Failure", ended_at=now, updated_at=now, error=error, report=report
        )

    def view(self) -> dict[str, Any]:
        """As `GET /api/job/<id>` shows it."""
        worker, task = self.worker, self.task
        kind = worker.definition.type
        shown = {
            "id": self.id, "_id": self.id, "_type": "job", "workerId": worker.id, "workerName": worker.name,
            "workerDefinitionId": worker.definition.id, "analyzerId": worker.id, "analyzerName": worker.name,
            "analyzerDefinitionId": worker.definition.id, "organization": worker.organization, "status": self.status,
            "dataType": task.data_type, "data": task.data, "attachment": self._attachment(), "tlp": task.tlp,
            "pap": task.pap, "message": task.message, "parameters": task.parameters, "type": kind,
            "cacheTag": self.cache_tag, "createdAt": self.created_at, "createdBy": self.created_by,
            "updatedAt": self.updated_at, "updatedBy": self.created_by if self.updated_at else None,
            "startDate": self.started_at, "endDate": self.ended_at, "date": self.created_at, "errorMessage": self.error,
        }  # fmt: skip
        return {name: value for name, value in shown.items() if value is not None}

    def _attachment(self) -> dict[str, Any] | None:
        file = self.task.file
        if file is None:
            return None
        digest = hashlib.sha256(file.body).hexdigest()
        return {"id": digest, "name": file.filename, "contentType": file.content_type, "size": len(file.body)}

    def report_view(self) -> dict[str, Any]:
        """As `GET /api/job/<id>/report` shows it: the job and its report, a word for it while there is none."""
        if self.status == "Success" and self.report is not None:
            empty: dict[str, Any] = {"summary": {}, "full": {}, "artifacts": [], "operations": []}
            report: Any = {name: self.report.get(name) or blank for name, blank in empty.items()} | {"success": True}
        elif self.status == "Failure":
            report = {"success": False, "errorMessage": self.error, "input": (self.report or {}).get("input", "")}
        else:
            report = {"InProgress": "Running"}.get(self.status, self.status)
        return {**self.view(), "report": report}
