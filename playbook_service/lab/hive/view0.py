"""Entities in the legacy shape: the v0 API, webhook version 0, and what a responder gets as `data`."""

from __future__ import annotations

from typing import Any

from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.kind import CASE_STAGES, V0_TYPES
from playbook_service.lab.hive.store import Store
from playbook_service.lab.hive.view1 import Document, View1

_ALERT_STATUS = {"New": "New", "InProgress": "Updated", "Closed": "Ignored", "Imported": "Imported"}


class View0:
    """Draws entities of one TheHive. Alerts and cases write null for what is not set, the others leave it out."""

    def __init__(self, store: Store, version: int, view1: View1):
        self._store = store
        self._version = version
        self._view1 = view1
        self._drawers = {
            "Alert": self._alert, "Case": self._case, "Observable": self._observable, "Artifact": self._observable,
            "Task": self._task, "Log": self._log,
        }  # fmt: skip

    def draw(self, entity: Entity) -> Document:
        """The entity as v0 JSON, without what it hangs on."""
        drawer = self._drawers.get(entity.kind)
        return drawer(entity) if drawer is not None else self._other(entity)

    def nested(self, entity: Entity) -> Document:
        """The entity with what it hangs on inside: a log with its task with its case."""
        shown = self.draw(entity)
        parent = self._store.find(entity.parent)
        if parent is not None and parent.kind in ("Case", "Alert", "Task"):
            shown[V0_TYPES[parent.kind]] = self.nested(parent)
        return shown

    def _head(self, entity: Entity, *, nulls: bool) -> Document:
        head: Document = {"_id": entity.id, "id": entity.id, "createdBy": entity.created_by}
        if nulls:
            head["updatedBy"] = entity.updated_by
        head["createdAt"] = entity.created_at
        if nulls:
            head["updatedAt"] = entity.updated_at
        return head | {"_type": V0_TYPES.get(entity.kind, "case_artifact")}

    def _updated(self, entity: Entity) -> Document:
        if entity.updated_at is None:
            return {}
        return {"updatedBy": entity.updated_by, "updatedAt": entity.updated_at}

    def custom_fields(self, entity: Entity) -> Document:
        """`{name: {type: value, order}}`."""
        shown: Document = {}
        for one in self._view1.custom_fields(entity):
            shown[one["name"]] = {one["type"]: one["value"], "order": one["order"]}
        return shown

    def _custom(self, entity: Entity) -> Document:
        shown: Document = {"customFields": self.custom_fields(entity)}
        if self._version == 4 and entity.kind == "Alert":
            shown["customFields"] = {
                name: {key: item for key, item in value.items() if key != "order"}
                for name, value in shown["customFields"].items()
            }
        return shown if self._version == 4 else shown | {"customFieldValues": self._view1.custom_values(entity)}

    def _alert(self, entity: Entity) -> Document:
        get = entity.get
        shown = self._head(entity, nulls=True) | {name: get(name) for name in ("type", "source", "sourceRef")}
        shown |= {"externalLink": get("externalLink"), "case": get("caseId")}
        shown |= {name: get(name) for name in ("title", "description", "severity", "date", "tags", "tlp", "pap")}
        shown["status"] = self._alert_status(entity)
        if self._version == 5:
            shown["stage"] = entity["stage"]
        shown |= {"follow": get("follow", True)} | self._custom(entity)
        return shown | {"caseTemplate": get("caseTemplate"), "artifacts": [], "similarCases": []}

    def _alert_status(self, entity: Entity) -> str:
        if self._version == 5:
            return _ALERT_STATUS[entity["stage"]]
        if entity.get("caseId"):
            return "Imported"
        return "Ignored" if entity.get("read") else "New"

    def _case(self, entity: Entity) -> Document:
        get = entity.get
        shown = self._head(entity, nulls=True) | {"caseId": entity["number"]}
        shown |= {name: get(name) for name in ("title", "description", "severity", "startDate", "endDate")}
        shown |= {"impactStatus": get("impactStatus"), "resolutionStatus": get("resolutionStatus")}
        shown |= {name: get(name) for name in ("tags", "flag", "tlp", "pap")}
        shown |= self._case_status(entity) | {"summary": get("summary"), "owner": get("assignee")}
        return shown | self._custom(entity) | {"stats": {}, "permissions": []}

    def _case_status(self, entity: Entity) -> Document:
        if self._version == 4:
            return {"status": entity["status"]}
        stage = entity.get("stage") or CASE_STAGES.get(entity["status"], "InProgress")
        status = "Resolved" if stage == "Closed" else "Open"
        return {"status": status, "extendedStatus": entity["status"], "stage": stage}

    def _observable(self, entity: Entity) -> Document:
        get = entity.get
        shown = self._head(entity, nulls=False) | _present(entity, ("dataType", "data"))
        attachment = self._store.find(get("attachment"))
        if attachment is not None:
            shown["attachment"] = _attachment(attachment)
        shown |= {"startDate": entity["startDate"], "tlp": entity["tlp"]}
        if self._version == 5:
            shown["pap"] = entity["pap"]
        shown |= {"tags": get("tags", []), "ioc": get("ioc", False), "sighted": get("sighted", False)}
        shown |= _present(entity, ("message",)) | {"reports": get("reports", {}), "stats": {}}
        if self._version == 5:
            shown["ignoreSimilarity"] = get("ignoreSimilarity", False)
        return shown | self._updated(entity)

    def _task(self, entity: Entity) -> Document:
        shown = self._head(entity, nulls=False) | _present(entity, ("title", "group", "description", "status", "flag"))
        shown |= {"order": entity.get("order", 0)}
        if self._version == 5:
            shown["mandatory"] = entity.get("mandatory", False)
        shown |= self._updated(entity) | _present(entity, ("startDate",))
        if entity.get("assignee"):
            shown["owner"] = entity["assignee"]
        return shown | _present(entity, ("endDate", "dueDate"))

    def _log(self, entity: Entity) -> Document:
        shown = self._head(entity, nulls=False) | {"message": entity["message"], "startDate": entity["date"]}
        attachments = self._store.children(entity.id, "Attachment")
        if attachments:
            shown["attachment"] = _attachment(attachments[0])
        return shown | {"status": "Ok", "owner": entity["owner"]}

    def _other(self, entity: Entity) -> Document:
        shown = self._head(entity, nulls=False)
        fields = {name: value for name, value in self._view1.draw(entity).items() if not name.startswith("_")}
        fields.pop("extraData", None)
        return shown | fields | self._updated(entity)


def _present(entity: Entity, names: tuple[str, ...]) -> Document:
    return {name: entity.fields[name] for name in names if entity.fields.get(name) is not None}


def _attachment(entity: Entity) -> dict[str, Any]:
    names = ("name", "hashes", "size", "contentType")
    return {name: entity[name] for name in names} | {"id": entity["digest"]}
