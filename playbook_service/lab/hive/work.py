"""Jobs and actions as the connector's calls show them."""

from __future__ import annotations

import json
from typing import Any

from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.service import Hive

_JOB = (
    "analyzerId", "analyzerName", "analyzerDefinition", "status", "startDate", "cortexId", "cortexJobId", "operations",
)  # fmt: skip
_ACTION = (
    "responderId", "responderName", "responderDefinition", "cortexId", "cortexJobId", "objectType", "objectId",
    "status", "startDate", "endDate", "operations", "report",
)  # fmt: skip


def draw_work(hive: Hive, entity: Entity, *, report: bool = True, artifact: bool = False) -> dict[str, Any]:
    """A job or an action. Version 4 gives a job `id` only, and an action no id at all."""
    if entity.kind == "Job":
        return _job(hive, entity, report=report, artifact=artifact)
    head = hive.view1.head(entity) if hive.version == 5 else {}
    return head | {name: entity.fields[name] for name in _ACTION if entity.fields.get(name) is not None}


def _job(hive: Hive, entity: Entity, *, report: bool, artifact: bool) -> dict[str, Any]:
    head = hive.view1.head(entity, "case_artifact_job")
    if hive.version == 4:
        head = {"_type": "case_artifact_job"}
    fields = {name: entity.fields[name] for name in _JOB if entity.fields.get(name) is not None}
    shown = head | {"id": entity.id} | fields
    if entity.get("endDate") is not None and (
        hive.version == 4 or entity["status"] in ("Success", "Failure", "Deleted")
    ):
        shown["endDate"] = entity["endDate"]
    if report and entity.get("report") is not None:
        shown["report"] = job_report(hive, entity)
    observable = hive.store.find(entity.parent)
    if artifact and observable is not None:
        shown["case_artifact"] = hive.view0.draw(observable)
    return shown


def job_report(hive: Hive, job: Entity) -> dict[str, Any]:
    """What `GET job/{id}` shows as `report`: the full report and the artifacts, or the error; never the summary."""
    report = job["report"]
    if not report.get("success"):
        return {"errorMessage": report.get("errorMessage", ""), "success": False}
    artifacts = [hive.view0.draw(one) for one in hive.store.children(job.id, "Artifact")]
    return {"success": True, "full": report.get("full") or {}, "artifacts": artifacts}


def action_report(report: dict[str, Any]) -> str:
    """What an action keeps of a responder's report: JSON text with every key."""
    whole: dict[str, Any] = {
        "summary": report.get("summary") or {"taxonomies": []}, "full": report.get("full") or {},
        "success": bool(report.get("success")), "artifacts": [], "operations": [],
        "errorMessage": None if report.get("success") else report.get("errorMessage", ""), "input": None,
    }  # fmt: skip
    return json.dumps(whole, ensure_ascii=False)
