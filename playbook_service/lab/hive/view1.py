"""Entities as the v1 API shows them, in TheHive 5 and in TheHive 4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.kind import PAPS, SEVERITIES, TLPS
from playbook_service.lab.hive.store import Store

Document = dict[str, Any]
_ALERT_DATES = ("newDate", "inProgressDate", "closedDate", "importedDate")
_CASE_DATES = (
    "newDate", "inProgressDate", "closedDate", "alertDate", "alertNewDate", "alertInProgressDate", "alertImportedDate",
)  # fmt: skip
_PLAIN = {
    "Comment": ("message", "isEdited", "external"),
    "Procedure": ("description", "occurDate", "patternId", "patternName", "tactic", "tacticLabel"),
    "Page": ("title", "content", "order", "category"),
    "PageTemplate": ("title", "content", "order", "category"),
    "CustomEvent": ("date", "endDate", "title", "description"),
    "Attachment": ("name", "hashes", "size", "contentType", "path", "external"),
    "CustomField": ("name", "displayName", "group", "description", "type", "options", "mandatory"),
    "ObservableType": ("name", "isAttachment"),
    "Organisation": ("name", "description", "taskRule", "observableRule", "links", "avatar", "locked"),
    "Profile": ("name", "permissions", "editable", "forAdmin", "forOrg", "consumesLicense"),
    "CaseStatus": ("value", "stage", "order", "colour", "visibility"),
    "AlertStatus": ("value", "stage", "order", "colour", "visibility"),
    "AnalyzerTemplate": ("analyzerId", "content"),
}
_OPEN = {"_kind": "OrganisationAccessKind"}
_WITHOUT_EXTRA = ("ObservableType", "Profile", "CustomEvent", "CaseStatus", "AlertStatus", "AnalyzerTemplate")


class View1:
    """Draws entities of one TheHive. `bare` leaves out what only a read adds (`customFieldValues`, who updated it)."""

    def __init__(self, store: Store, version: int):
        self._store = store
        self._version = version
        self._drawers = {
            "Alert": self._alert, "Case": self._case, "Observable": self._observable, "Artifact": self._observable,
            "Task": self._task, "Log": self._log, "Job": self._job, "Action": self._action, "User": self._user,
            "CaseTemplate": self._case_template,
        }  # fmt: skip

    def draw(self, entity: Entity, *, bare: bool = False) -> Document:
        """The entity as v1 JSON, without what it hangs on."""
        drawer = self._drawers.get(entity.kind)
        return drawer(entity, bare) if drawer is not None else self._plain(entity)

    def head(self, entity: Entity, kind: str | None = None, *, bare: bool = False) -> Document:
        """The keys that every entity has."""
        head: Document = {"_id": entity.id, "_type": kind or entity.kind, "_createdBy": entity.created_by}
        if self._version == 4 and not bare:
            head |= self._updater(entity)
        return head | {"_createdAt": entity.created_at} | self._tail(entity, bare)

    def _updater(self, entity: Entity) -> Document:
        return {} if entity.updated_by is None else {"_updatedBy": entity.updated_by}

    def _tail(self, entity: Entity, bare: bool) -> Document:
        if bare or entity.updated_at is None:
            return {}
        return self._updater(entity) | {"_updatedAt": entity.updated_at}

    def custom_fields(self, entity: Entity) -> list[Document]:
        """The custom fields as the list of v1."""
        return [self._custom_field(entity, one) for one in entity.get("customFields", [])]

    def _custom_field(self, entity: Entity, one: Mapping[str, Any]) -> Document:
        definition = self._store.by_key("CustomField", (one["name"],))
        kind = "string" if definition is None else definition["type"]
        if self._version == 5:
            head: Document = {"_id": f"{one['name']}:{one['value']}", "name": one["name"]}
        else:
            text = "" if definition is None else definition["description"]
            head = {"_id": f"{entity.id}{one['order']}", "name": one["name"], "description": text}
        return head | {"type": kind, "value": one["value"], "order": one["order"]}

    def custom_values(self, entity: Entity) -> Document:
        """The custom fields as a plain map; several values of one field as a list."""
        values: dict[str, list[Any]] = {}
        for one in entity.get("customFields", []):
            values.setdefault(one["name"], []).append(one["value"])
        return {name: found[0] if len(found) == 1 else found for name, found in values.items()}

    def _labels(self, entity: Entity, *, severity: bool = True) -> Document:
        if self._version == 4:
            return {}
        labels = {"severityLabel": SEVERITIES[entity["severity"]]} if severity else {}
        return labels | {"tlpLabel": TLPS[entity["tlp"]], "papLabel": PAPS[entity["pap"]]}

    def _alert(self, entity: Entity, bare: bool) -> Document:
        names = ("type", "source", "sourceRef", "externalLink", "title", "description", "severity", "date", "tags")
        shown = self.head(entity, bare=bare) | _chosen(entity, (*names, "tlp", "pap"))
        if self._version == 4:
            shown["read"] = entity.get("read", False)
        shown |= {"follow": entity.get("follow", True), "customFields": self.custom_fields(entity)}
        shown |= _chosen(entity, ("caseTemplate", "caseId"))
        shown["observableCount"] = 0 if bare else self._store.count(entity.id, "Observable")
        if self._version == 4:
            return shown | {"extraData": {}}
        shown |= _chosen(entity, ("status", "stage", "assignee", "summary")) | {"extraData": {}}
        shown |= _chosen(entity, _ALERT_DATES) | alert_times(entity) | self._labels(entity)
        return shown if bare else shown | {"customFieldValues": self.custom_values(entity)}

    def _case(self, entity: Entity, bare: bool) -> Document:
        names = ("number", "title", "description", "severity", "startDate", "endDate", "tags", "flag", "tlp", "pap")
        shown = self.head(entity, bare=bare) | _chosen(entity, names)
        shown |= _chosen(entity, ("status", "stage", "summary", "impactStatus", "resolutionStatus", "assignee"))
        shown |= {"customFields": self.custom_fields(entity)}
        if self._version == 4:
            return shown | {"extraData": {}}
        shown |= {"userPermissions": [], "extraData": {}} | _chosen(entity, ("caseTemplate",))
        shown |= _chosen(entity, _CASE_DATES) | self._labels(entity) | {"access": entity.get("access", _OPEN)}
        shown |= case_times(entity) if not bare else {}
        return shown if bare else shown | {"customFieldValues": self.custom_values(entity)}

    def _observable(self, entity: Entity, bare: bool) -> Document:
        shown = self.head(entity, "Observable", bare=bare) | _chosen(entity, ("dataType", "data"))
        attachment = self._store.find(entity.get("attachment"))
        if attachment is not None:
            shown["attachment"] = self.draw(attachment)
        shown |= {"startDate": entity["startDate"], "tlp": entity["tlp"]}
        if self._version == 5:
            shown["pap"] = entity["pap"]
        shown |= _chosen(entity, ("tags", "ioc", "sighted", "sightedAt", "reports", "message")) | {"extraData": {}}
        if self._version == 4:
            return shown
        shown["ignoreSimilarity"] = entity.get("ignoreSimilarity", False)
        return shown | self._labels(entity, severity=False)

    def _task(self, entity: Entity, bare: bool) -> Document:
        names = ("title", "group", "description", "status", "flag", "startDate", "endDate", "assignee", "order")
        shown = self.head(entity, bare=bare) | _chosen(entity, (*names, "dueDate"))
        if self._version == 5:
            shown["mandatory"] = entity.get("mandatory", False)
        return shown | {"extraData": {}}

    def _log(self, entity: Entity, bare: bool) -> Document:
        shown = self.head(entity, bare=bare) | _chosen(entity, ("message", "date"))
        attachments = [self.draw(one) for one in self._store.children(entity.id, "Attachment")]
        if self._version == 5:
            shown["attachments"] = attachments
        elif attachments:
            shown["attachment"] = attachments[0]
        return shown | {"owner": entity["owner"], "extraData": {}} | _chosen(entity, ("includeInTimeline",))

    def _job(self, entity: Entity, bare: bool) -> Document:
        names = ("analyzerId", "analyzerName", "analyzerDefinition", "status", "startDate", "endDate", "cortexId")
        return self.head(entity, bare=bare) | _chosen(entity, (*names, "cortexJobId", "operations"))

    def _action(self, entity: Entity, bare: bool) -> Document:
        names = ("responderId", "responderName", "responderDefinition", "cortexId", "cortexJobId", "objectType")
        rest = ("objectId", "status", "startDate", "endDate", "operations", "report")
        return self.head(entity, bare=bare) | _chosen(entity, names + rest)

    def _user(self, entity: Entity, bare: bool) -> Document:
        memberships = entity.get("organisations", [])
        default = entity.get("defaultOrganisation") or (memberships[0]["organisation"] if memberships else "")
        profile = next((one["profile"] for one in memberships if one["organisation"] == default), "")
        shown = self.head(entity) | _chosen(entity, ("login", "name", "email"))
        shown |= {"hasKey": self._store.count(entity.id, "ApiKey") > 0, "hasPassword": bool(entity.get("password"))}
        shown |= {"hasMFA": False, "locked": entity.get("locked", False), "profile": profile, "organisation": default}
        held = self._store.by_key("Profile", (profile,))
        shown["permissions"] = list(held["permissions"]) if held is not None else []
        shown["organisations"] = [self._membership(one) for one in memberships]
        if self._version == 5:
            shown |= {"type": entity.get("type", "Normal"), "defaultOrganisation": default, "extraData": {}}
        return shown

    def _membership(self, one: Mapping[str, Any]) -> Document:
        organisation = self._store.by_key("Organisation", (one["organisation"],))
        identity = "" if organisation is None else organisation.id
        return {"organisationId": identity, "organisation": one["organisation"], "profile": one["profile"]}

    def _case_template(self, entity: Entity, bare: bool) -> Document:
        names = (
            "name",
            "displayName",
            "titlePrefix",
            "description",
            "severity",
            "tags",
            "flag",
            "tlp",
            "pap",
            "summary",
        )
        shown = self.head(entity) | _chosen(entity, names)
        if self._version == 5:
            words = {"severity": SEVERITIES, "tlp": TLPS, "pap": PAPS}
            shown |= {
                f"{name}Label": table[entity[name]] for name, table in words.items() if entity.get(name) is not None
            }
        shown |= {"customFields": self.custom_fields(entity)}
        return shown | {"tasks": [self.draw(one) for one in self._store.children(entity.id, "Task")], "extraData": {}}

    def _plain(self, entity: Entity) -> Document:
        shown = self.head(entity) | _chosen(entity, _PLAIN.get(entity.kind, tuple(entity.fields)))
        if entity.kind == "Attachment":
            shown["id"] = entity.get("digest")
        if entity.kind == "Comment":
            shown |= {"createdBy": entity.created_by, "createdAt": entity.created_at}
            shown |= (
                {} if entity.updated_at is None else {"updatedBy": entity.updated_by, "updatedAt": entity.updated_at}
            )
        return shown if entity.kind in _WITHOUT_EXTRA else shown | {"extraData": {}}


def _chosen(entity: Entity, names: tuple[str, ...]) -> Document:
    return {name: entity.fields[name] for name in names if entity.fields.get(name) is not None}


def _spans(entity: Entity, spans: Mapping[str, tuple[str, str]]) -> Document:
    found = {}
    for name, (start, end) in spans.items():
        if entity.get(start) is not None and entity.get(end) is not None:
            found[name] = entity[end] - entity[start]
    return found


def alert_times(entity: Entity) -> Document:
    """How long an alert took to be seen to, in ms."""
    end = "importedDate" if entity.get("importedDate") else "closedDate"
    spans = {
        "timeToTriage": ("newDate", "inProgressDate"), "timeToQualify": ("newDate", end),
        "timeToAcknowledge": ("date", "inProgressDate"),
    }  # fmt: skip
    return {"timeToDetect": 0} | _spans(entity, spans)


def case_times(entity: Entity) -> Document:
    """How long a case took, in ms."""
    spans = {
        "timeToDetect": ("startDate", "newDate"), "timeToTriage": ("newDate", "inProgressDate"),
        "timeToAcknowledge": ("startDate", "inProgressDate"), "timeToResolve": ("startDate", "closedDate"),
        "handlingDuration": ("inProgressDate", "closedDate"),
    }  # fmt: skip
    if entity.get("alertNewDate") is not None:  # made from an alert: what was done before the case counts
        spans |= {
            "timeToTriage": ("alertNewDate", "alertInProgressDate"),
            "timeToQualify": ("alertNewDate", "alertImportedDate"),
            "timeToAcknowledge": ("alertDate", "alertInProgressDate"),
        }
    return _spans(entity, spans)
