"""TheHive's JSON into the service's own form: both API versions of both TheHives, nothing taken for granted.

Version 1 of the API writes `_id`, `_createdAt`, `number`, `assignee`; version 0 `id`, `createdAt`, `caseId`, `owner`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from playbook_service import jsonread
from playbook_service.hive.model import FINISHED_JOB, Action, Alert, Audit, Case, Job, Me, Observable, Task, Worker
from playbook_service.jsonread import Document, number, text, texts, unpacked

document = partial(jsonread.document, whose="TheHive's")
documents = partial(jsonread.documents, whose="TheHive's")
_KINDS = {
    "case_artifact": "observable", "case_task": "task", "case_task_log": "log", "case_artifact_job": "job",
}  # fmt: skip
_VERBS = {"creation": "create"}
_UNREAD = ("New", "Updated")


def identity(found: Document) -> str:
    """The id of anything."""
    return text(found, "_id", "id")


def created(found: Document) -> int:
    """When it was made."""
    return number(found, "_createdAt", "createdAt")


def updated(found: Document) -> int:
    """When it was last changed, 0 if never."""
    return number(found, "_updatedAt", "updatedAt")


def _object(value: Any) -> Document:
    return value if isinstance(value, Mapping) else {}


def alert(found: Document) -> Alert:
    """An alert. Version 5 has no read flag: there an alert is read when its stage is Closed or Imported."""
    return Alert(
        id=identity(found),
        type=text(found, "type"),
        source=text(found, "source"),
        reference=text(found, "sourceRef"),
        title=text(found, "title"),
        case_id=text(found, "caseId", "case") or identity(_object(found.get("case"))),
        tags=texts(found.get("tags")),
        read=_read(found),
        created_at=created(found),
        updated_at=updated(found),
        raw=found,
    )


def _read(found: Document) -> bool:
    if isinstance(found.get("read"), bool):
        return bool(found["read"])
    if text(found, "stage"):
        return text(found, "stage") in ("Closed", "Imported")
    return bool(text(found, "status")) and text(found, "status") not in _UNREAD


def case(found: Document) -> Case:
    """A case. Version 5 says by its stage whether it is open, version 4 by its status."""
    is_open, resolution = _standing(found)
    return Case(
        id=identity(found),
        number=number(found, "number", "caseId"),
        title=text(found, "title"),
        severity=number(found, "severity"),
        tags=texts(found.get("tags")),
        flag=found.get("flag") is True,
        open=is_open,
        resolution=resolution,
        assignee=text(found, "assignee", "owner"),
        custom_fields=custom_fields(found.get("customFields")),
        created_at=created(found),
        updated_at=updated(found),
        closed_at=0 if is_open else number(found, "endDate", "closedDate"),
        raw=found,
    )


def _standing(found: Document) -> tuple[bool, str]:
    status = text(found, "status")
    if text(found, "stage"):
        return (True, "") if found["stage"] != "Closed" else (False, text(found, "extendedStatus", "status"))
    if status == "Open":
        return True, ""
    return False, "Duplicated" if status == "Duplicated" else text(found, "resolutionStatus") or "Indeterminate"


def custom_fields(value: Any) -> dict[str, Any]:
    """Name -> value, from version 1's list or version 0's map; a field with several values has a list of them."""
    found: dict[str, list[Any]] = {}
    for name, held in _pairs(value):
        found.setdefault(name, []).append(held)
    return {name: held[0] if len(held) == 1 else held for name, held in found.items()}


def _pairs(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [(one["name"], one.get("value")) for one in value if isinstance(one, Mapping) and text(one, "name")]
    if not isinstance(value, Mapping):
        return []
    return [(name, _typed(held)) for name, held in value.items()]


def _typed(held: Any) -> Any:
    """`{"string": "5763", "order": 0}` holds its value under the name of its type."""
    if not isinstance(held, Mapping):
        return held
    return next((one for name, one in held.items() if name != "order"), None)


def observable(found: Document) -> Observable:
    """An observable; a file goes by its name."""
    return Observable(
        id=identity(found),
        data_type=text(found, "dataType"),
        data=text(found, "data") or text(_object(found.get("attachment")), "name"),
        tags=texts(found.get("tags")),
        ioc=found.get("ioc") is True,
        sighted=found.get("sighted") is True,
        tlp=number(found, "tlp"),
        message=text(found, "message"),
        reports=_object(found.get("reports")),
        created_at=created(found),
        updated_at=updated(found),
        raw=found,
    )


def task(found: Document, case_id: str = "") -> Task:
    """A task; its case is told by whoever asked for it, or stands in `extraData`."""
    extra = _object(found.get("extraData"))
    return Task(
        id=identity(found),
        case_id=case_id or text(extra, "caseId") or identity(_object(found.get("case"))),
        title=text(found, "title"),
        group=text(found, "group"),
        description=text(found, "description"),
        status=text(found, "status"),
        flag=found.get("flag") is True,
        assignee=text(found, "assignee", "owner"),
        created_at=created(found),
        updated_at=updated(found),
        raw=found,
    )


def job(found: Document) -> Job:
    """A job; a report counts only once it has ended."""
    status = text(found, "status")
    return Job(
        id=identity(found),
        analyzer_name=text(found, "analyzerName"),
        definition=text(found, "analyzerDefinition", "analyzerName"),
        status=status,
        cortex_id=text(found, "cortexId"),
        cortex_job_id=text(found, "cortexJobId"),
        started_at=number(found, "startDate"),
        ended_at=number(found, "endDate") if status in FINISHED_JOB else 0,
        report=unpacked(found.get("report")) if status in FINISHED_JOB else None,
    )


def action(found: Document) -> Action:
    """An action; version 4 gives it no id and does not say who started it."""
    status = text(found, "status")
    return Action(
        id=identity(found),
        responder_name=text(found, "responderName"),
        definition=text(found, "responderDefinition", "responderName"),
        status=status,
        cortex_job_id=text(found, "cortexJobId"),
        started_at=number(found, "startDate"),
        ended_at=number(found, "endDate") if status in FINISHED_JOB else 0,
        report=unpacked(found.get("report")) if status in FINISHED_JOB else None,
        created_by=text(found, "_createdBy", "createdBy"),
    )


def worker(found: Document) -> Worker:
    """A worker. TheHive does not tell its definition: it is the name, or the name with the version where that lacks."""
    name = text(found, "name")
    suffix = "_" + text(found, "version").replace(".", "_")
    derived = name if suffix == "_" or name.endswith(suffix) else name + suffix
    return Worker(
        id=identity(found),
        name=name,
        definition=text(found, "workerDefinitionId", "analyzerDefinitionId", "responderDefinitionId") or derived,
        data_types=texts(found.get("dataTypeList")),
        cortex_ids=texts(found.get("cortexIds")),
    )


def me(found: Document) -> Me:
    """The account behind the key."""
    return Me(
        login=text(found, "login", "_id", "id"),
        name=text(found, "name"),
        organisation=text(found, "organisation"),
        profile=text(found, "profile"),
        permissions=texts(found.get("permissions")),
    )


def audit(found: Document) -> Audit:
    """A line of the audit trail, as the flow (which wraps it as `base`) or a query gives it, in either API version."""
    line = _object(found.get("base")) or found
    kind = text(line, "objectType")
    verb = text(line, "action", "operation").lower()
    return Audit(
        entity=_KINDS.get(kind, kind.lower()),
        entity_id=text(line, "objectId"),
        verb=_VERBS.get(verb, verb),
        actor=text(line, "_createdBy", "createdBy"),
        at=number(line, "_createdAt", "createdAt", "startDate"),
        details=unpacked(line.get("details")) or {},
    )
