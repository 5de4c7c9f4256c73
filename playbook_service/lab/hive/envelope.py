"""Webhook messages in the four dialects: TheHive 4 or 5, webhook version 0 or 1."""

from __future__ import annotations

from playbook_service.lab.hive.audit import Audit
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.kind import V0_TYPES
from playbook_service.lab.hive.store import Store
from playbook_service.lab.hive.view0 import View0
from playbook_service.lab.hive.view1 import Document, View1

_V0_VERBS = {"create": "Creation", "update": "Update", "delete": "Delete", "merge": "Update"}
_LABELS = ("severityLabel", "tlpLabel", "papLabel", "access")


class Envelopes:
    """Draws the messages of one TheHive."""

    def __init__(self, store: Store, version: int, view0: View0, view1: View1):
        self._store = store
        self._version = version
        self._view0 = view0
        self._view1 = view1

    def draw(self, audit: Audit, dialect: int, now: int) -> Document:
        """The message of one audit; `dialect` is the endpoint's version, 0 or 1; `now` is the time of sending."""
        if self._version == 4:
            return self._old(audit, dialect, now)
        return self._new1(audit) if dialect == 1 else self._new0(audit, now)

    def _new1(self, audit: Audit) -> Document:
        message = {
            "_id": audit.id, "_type": "Audit", "_createdBy": audit.by, "_createdAt": audit.at, "action": audit.action,
            "mainAction": audit.main, "requestId": audit.request_id, "rootId": audit.root,
            "details": dict(audit.details), "objectId": audit.object_id, "objectType": audit.object_kind,
        }  # fmt: skip
        return message | self._state(audit, 1) | self._context(audit, 1) | {"organisation": self._organisation(audit)}

    def _new0(self, audit: Audit, now: int) -> Document:
        message = {
            "_id": audit.id, "id": audit.id, "createdBy": audit.by, "createdAt": audit.at, "_type": "audit",
            "operation": _V0_VERBS[audit.action], "details": self._details(audit, labels=False),
            "objectType": V0_TYPES.get(audit.object_kind, audit.object_kind.lower()), "objectId": audit.object_id,
            "base": audit.main, "startDate": now, "rootId": audit.root, "requestId": audit.request_id,
        }  # fmt: skip
        return message | self._state(audit, 0) | self._context(audit, 0) | {"organisation": self._organisation(audit)}

    def _old(self, audit: Audit, dialect: int, now: int) -> Document:
        kind = audit.object_kind if dialect == 1 else V0_TYPES.get(audit.object_kind, audit.object_kind.lower())
        operation = "update" if dialect == 0 and audit.action == "merge" else audit.action
        message = {
            "operation": operation, "details": self._details(audit, labels=False), "objectType": kind,
            "objectId": audit.object_id, "base": audit.main, "startDate": now, "rootId": audit.root,
            "requestId": audit.request_id,
        }  # fmt: skip
        organisation = self._organisation(audit)
        names = {"organisationId": organisation["organisationId"], "organisation": organisation["organisation"]}
        return message | self._state(audit, dialect) | names

    def _organisation(self, audit: Audit) -> Document:
        found = self._store.by_key("Organisation", (audit.organisation,))
        return {"organisation": audit.organisation, "organisationId": "" if found is None else found.id}

    def _details(self, audit: Audit, *, labels: bool) -> Document:
        details = {name: value for name, value in audit.details.items() if labels or name not in _LABELS}
        fields = details.get("customFields")
        if isinstance(fields, list):
            order = audit.action == "create"
            details["customFields"] = {one["name"]: _typed(one, order=order) for one in fields}
        if self._version == 4:
            details.pop("customFieldChanges", None)
        return details

    def _state(self, audit: Audit, dialect: int) -> Document:
        entity = self._store.find(self._shown_id(audit))
        if audit.action == "delete" or entity is None:
            return {}
        return {"object": self.object(entity, dialect, audit.title)}

    def _shown_id(self, audit: Audit) -> str:
        imported = self._version == 4 and audit.object_kind == "Alert" and "caseId" in audit.details
        return audit.root if imported else audit.object_id

    def _context(self, audit: Audit, dialect: int) -> Document:
        entity = self._store.find(audit.context)
        if entity is None:
            return {"context": {"_id": audit.context, "_type": "Share"}} if audit.context else {}
        return {"context": self.object(entity, dialect, audit.title)}

    def object(self, entity: Entity, dialect: int, title: str | None = None) -> Document:
        """The state that a message shows of an entity."""
        if entity.kind == "Comment":
            return self._comment(entity, dialect)
        if entity.kind in ("Job", "Action"):
            return self._work(entity, dialect)
        shown = self._view0.nested(entity) if dialect == 0 else self._nested1(entity)
        if entity.kind == "Case" and title is not None:
            shown["title"] = title
        return shown

    def _nested1(self, entity: Entity) -> Document:
        shown = self._view1.draw(entity)
        parent = self._store.find(entity.parent)
        if parent is not None and parent.kind in ("Case", "Alert", "Task"):
            shown[self._parent_name(entity, parent)] = self._nested1(parent)
        return shown

    def _parent_name(self, entity: Entity, parent: Entity) -> str:
        if self._version == 4 and entity.kind == "Observable":
            return parent.kind
        return "case_task" if self._version == 4 and parent.kind == "Task" else parent.kind.lower()

    def _comment(self, entity: Entity, dialect: int) -> Document:
        parent = self._store.find(entity.parent)
        shown: Document = {"message": entity["message"], "case": None, "alert": None}
        if parent is not None:
            shown[parent.kind.lower()] = self.object(parent, dialect)
        return shown

    def _work(self, entity: Entity, dialect: int) -> Document:
        if entity.kind == "Action" and (self._version == 4 or dialect == 0):
            return {}
        shown = self._view1.draw(entity)
        for name in ("operations", "report"):
            shown.pop(name, None)
        if self._version == 4 or dialect == 0:
            shown.pop("_id")
            shown.pop("_type")
        if entity.kind == "Job":
            shown.setdefault("endDate", entity["startDate"])
        return shown


def _typed(one: Document, *, order: bool) -> Document:
    typed = {one["type"]: one["value"]}
    return typed | {"order": one["order"]} if order else typed
