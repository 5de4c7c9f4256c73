"""Cortex' JSON into the service's own form, nothing taken for granted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from playbook_service import jsonread
from playbook_service.cortex.model import FINISHED, CortexJob, CortexWorker
from playbook_service.jsonread import Document, is_number, number, text, texts, unpacked

document = partial(jsonread.document, whose="Cortex'")
documents = partial(jsonread.documents, whose="Cortex'")


def worker(found: Document) -> CortexWorker:
    """An analyzer or responder."""
    return CortexWorker(
        id=text(found, "id", "_id"),
        name=text(found, "name"),
        definition=text(found, "workerDefinitionId", "analyzerDefinitionId", "responderDefinitionId"),
        version=text(found, "version"),
        data_types=texts(found.get("dataTypeList")),
        max_tlp=number(found, "maxTlp") if is_number(found.get("maxTlp")) else None,
        max_pap=number(found, "maxPap") if is_number(found.get("maxPap")) else None,
    )


def job(found: Document) -> CortexJob:
    """A job, with its report where the answer holds one and the job has ended."""
    status = text(found, "status")
    return CortexJob(
        id=text(found, "id", "_id"),
        worker_id=text(found, "workerId", "analyzerId"),
        worker_name=text(found, "workerName", "analyzerName"),
        definition=text(found, "workerDefinitionId", "analyzerDefinitionId", "responderDefinitionId"),
        type=text(found, "type"),
        organisation=text(found, "organization"),
        status=status,
        data_type=text(found, "dataType"),
        data=text(found, "data"),
        tlp=number(found, "tlp"),
        pap=number(found, "pap"),
        message=text(found, "message"),
        parameters=unpacked(found.get("parameters")) or {},
        from_cache=found.get("fromCache") is True,
        created_at=number(found, "createdAt", "date"),
        started_at=number(found, "startDate"),
        ended_at=number(found, "endDate") if status in FINISHED else 0,
        error=text(found, "errorMessage"),
        report=_report(found.get("report")) if status in FINISHED else None,
    )


def _report(value: Any) -> Document | None:
    """The report; `Waiting`, `Running` and `Deleted` stand in its place until there is one."""
    return value if isinstance(value, Mapping) else None
