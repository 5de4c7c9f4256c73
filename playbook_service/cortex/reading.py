"""Cortex' JSON into the service's own form, nothing taken for granted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from playbook_service.cortex.model import FINISHED, CortexJob, CortexWorker
from propolis.http import HttpError, Response

Document = Mapping[str, Any]


def document(response: Response) -> Document:
    """The JSON object that an answer must be. Raises HttpError (kind `format`)."""
    found = response.json()
    if isinstance(found, Mapping):
        return found
    raise _odd(response, "an object")


def documents(response: Response) -> list[Document]:
    """The list of JSON objects that an answer must be. Raises HttpError (kind `format`)."""
    found = response.json()
    if isinstance(found, list) and all(isinstance(one, Mapping) for one in found):
        return found
    raise _odd(response, "a list of objects")


def _odd(response: Response, wanted: str) -> HttpError:
    text = f"{response.where} failed: the answer is JSON but not {wanted}; check that the address is Cortex' own."
    return HttpError(text, kind="format", status=response.status, ambiguous=True)


def _text(found: Document, *names: str) -> str:
    return next((found[name] for name in names if isinstance(found.get(name), str)), "")


def _number(found: Document, *names: str) -> int:
    return next((int(found[name]) for name in names if _is_number(found.get(name))), 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def worker(found: Document) -> CortexWorker:
    """An analyzer or responder."""
    types = found.get("dataTypeList")
    return CortexWorker(
        id=_text(found, "id", "_id"),
        name=_text(found, "name"),
        definition=_text(found, "workerDefinitionId", "analyzerDefinitionId", "responderDefinitionId"),
        version=_text(found, "version"),
        data_types=tuple(one for one in types if isinstance(one, str)) if isinstance(types, list) else (),
        max_tlp=_number(found, "maxTlp") if _is_number(found.get("maxTlp")) else None,
        max_pap=_number(found, "maxPap") if _is_number(found.get("maxPap")) else None,
    )


def job(found: Document) -> CortexJob:
    """A job, with its report where the answer holds one and the job has ended."""
    status = _text(found, "status")
    return CortexJob(
        id=_text(found, "id", "_id"),
        worker_id=_text(found, "workerId", "analyzerId"),
        worker_name=_text(found, "workerName", "analyzerName"),
        definition=_text(found, "workerDefinitionId", "analyzerDefinitionId", "responderDefinitionId"),
        type=_text(found, "type"),
        organisation=_text(found, "organization"),
        status=status,
        data_type=_text(found, "dataType"),
        data=_text(found, "data"),
        tlp=_number(found, "tlp"),
        pap=_number(found, "pap"),
        message=_text(found, "message"),
        parameters=_object(found.get("parameters")),
        from_cache=found.get("fromCache") is True,
        created_at=_number(found, "createdAt", "date"),
        started_at=_number(found, "startDate"),
        ended_at=_number(found, "endDate") if status in FINISHED else 0,
        error=_text(found, "errorMessage"),
        report=_report(found.get("report")) if status in FINISHED else None,
    )


def _object(value: Any) -> Document:
    """An object, also one that was written as a string of JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def _report(value: Any) -> Document | None:
    """The report; `Waiting`, `Running` and `Deleted` stand in its place until there is one."""
    return value if isinstance(value, Mapping) else None
