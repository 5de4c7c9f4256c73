"""The properties that a query may filter and sort by, and how their values are found."""

from __future__ import annotations

from typing import Any

from playbook_service.lab.exchange import bad_request
from playbook_service.lab.filter import MISSING, Getter
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.service import Hive
from playbook_service.lab.hive.view1 import alert_times, case_times

_COMMON = "_id _type _createdBy _createdAt _updatedBy _updatedAt"
_TABLES = {
    "Alert": "type source sourceRef externalLink title description severity date tags tlp pap read follow status stage"
    " assignee summary caseTemplate caseId observableCount imported newDate inProgressDate closedDate importedDate"
    " timeToDetect timeToTriage timeToQualify timeToAcknowledge flag",
    "Case": "number title description severity startDate endDate tags flag tlp pap status stage summary impactStatus"
    " resolutionStatus assignee caseTemplate newDate inProgressDate closedDate alertDate timeToDetect timeToTriage"
    " timeToResolve timeToAcknowledge handlingDuration",
    "Observable": "dataType data message startDate tlp pap tags ioc sighted sightedAt ignoreSimilarity reports"
    " attachment.name attachment.hashes attachment.size attachment.contentType attachment.id",
    "Task": "title group description status flag startDate endDate dueDate order assignee mandatory actionRequired",
    "Log": "message date owner includeInTimeline",
    "Job": "analyzerId cortexId startDate status analyzerDefinition",
    "Action": "responderId responderName responderDefinition cortexId cortexJobId objectType objectId status startDate"
    " endDate",
    "Comment": "message isEdited createdBy createdAt",
    "Procedure": "patternId tactic occurDate description",
    "Page": "title content category order",
    "PageTemplate": "title content category order",
    "CustomEvent": "title date endDate description",
    "User": "login name locked type email",
    "Organisation": "name description locked",
    "Attachment": "name size contentType hashes",
    "CaseTemplate": "name displayName titlePrefix description severity tags flag tlp pap",
    "CustomField": "name displayName group description type mandatory options",
    "CaseStatus": "value stage order colour",
    "AlertStatus": "value stage order colour",
    "Profile": "name permissions",
    "ObservableType": "name isAttachment",
    "Audit": "action mainAction requestId rootId objectId objectType startDate",
}
ALLOWED = {kind: frozenset(f"{_COMMON} {names}".split()) for kind, names in _TABLES.items()}
_LEGACY = {
    "createdBy": "_createdBy", "createdAt": "_createdAt", "updatedBy": "_updatedBy", "updatedAt": "_updatedAt",
    "id": "_id", "owner": "assignee", "caseId": "number", "case": "caseId",
}  # fmt: skip
_WITH_CUSTOM_FIELDS = ("Alert", "Case", "CaseTemplate")


def getter(hive: Hive, entity: Entity, dialect: int = 1) -> Getter:
    """A getter over one entity. It raises ApiError 400 for a property that the kind does not have."""

    def get(name: str) -> Any:
        if dialect == 0:
            name = _LEGACY.get(name, name) if not (entity.kind == "Alert" and name == "caseId") else name
        head, _, rest = name.partition(".")
        if head == "customFields" and entity.kind in _WITH_CUSTOM_FIELDS:
            return _custom(entity, rest)
        if name not in ALLOWED[entity.kind] and head not in ("reports", "actionRequired"):
            raise bad_request(f"Property {name} for type {entity.kind} not found")
        return _value(hive, entity, name)

    return get


def _custom(entity: Entity, name: str) -> Any:
    values = [one["value"] for one in entity.get("customFields", []) if one["name"] == name.partition(".")[0]]
    return (values[0] if len(values) == 1 else values) if values else MISSING


def _value(hive: Hive, entity: Entity, name: str) -> Any:
    if name in _HEADS:
        value = getattr(entity, _HEADS[name])
    elif name == "_type":
        value = entity.kind
    elif name.startswith("attachment."):
        attachment = hive.store.find(entity.get("attachment"))
        value = None if attachment is None else attachment.get({"id": "digest"}.get(name[11:], name[11:]))
    elif name.startswith("timeTo") or name == "handlingDuration":
        value = (alert_times(entity) if entity.kind == "Alert" else case_times(entity)).get(name)
    elif name == "observableCount":
        value = hive.store.count(entity.id, "Observable")
    elif name == "imported":
        value = entity.get("caseId") is not None
    else:
        value = _deep(entity, name)
    return MISSING if value is None else value


_HEADS = {
    "_id": "id", "_createdBy": "created_by", "_createdAt": "created_at", "_updatedBy": "updated_by",
    "_updatedAt": "updated_at", "createdBy": "created_by", "createdAt": "created_at",
}  # fmt: skip


def _deep(entity: Entity, name: str) -> Any:
    head, _, rest = name.partition(".")
    value = entity.get(head)
    return value.get(rest) if rest and isinstance(value, dict) else value
