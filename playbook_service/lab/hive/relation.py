"""What hangs together: the steps of a query from one entity to others, and the extra data of a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.service import Hive

Follow = Callable[[Hive, Entity], list[Entity]]


@dataclass(frozen=True)
class Relation:
    """A step to entities of one kind."""

    kind: str
    follow: Follow


def _children(kind: str) -> Relation:
    return Relation(kind, lambda hive, entity: hive.store.children(entity.id, kind))


def _above(kind: str) -> Relation:
    def follow(hive: Hive, entity: Entity) -> list[Entity]:
        found = hive.above(entity, kind)
        return [] if found is None else [found]

    return Relation(kind, follow)


def _alerts(hive: Hive, case: Entity) -> list[Entity]:
    return [one for one in hive.store.all("Alert") if one.get("caseId") == case.id]


def _case_of_alert(hive: Hive, alert: Entity) -> list[Entity]:
    case = hive.store.find(alert.get("caseId"))
    return [] if case is None else [case]


def _actions(hive: Hive, entity: Entity) -> list[Entity]:
    return hive.store.children(entity.id, "Action")


def similar(hive: Hive, observable: Entity) -> list[Entity]:
    """The other observables with the same data type and data."""
    if observable.get("ignoreSimilarity"):
        return []
    wanted = (observable["dataType"], observable.get("data"), observable.get("attachment"))
    return [
        one
        for one in hive.store.all("Observable")
        if one.id != observable.id and (one["dataType"], one.get("data"), one.get("attachment")) == wanted
    ]


_ACTIONS = Relation("Action", _actions)
_RELATIONS: dict[str, dict[str, Relation]] = {
    "Case": {
        "observables": _children("Observable"), "tasks": _children("Task"), "alerts": Relation("Alert", _alerts),
        "procedures": _children("Procedure"), "attachments": _children("Attachment"), "pages": _children("Page"),
        "comments": _children("Comment"), "allComments": _children("Comment"), "customEvents": _children("CustomEvent"),
        "actions": _ACTIONS,
    },
    "Alert": {
        "observables": _children("Observable"), "case": Relation("Case", _case_of_alert),
        "procedures": _children("Procedure"), "comments": _children("Comment"), "attachments": _children("Attachment"),
        "actions": _ACTIONS,
    },
    "Task": {"logs": _children("Log"), "case": _above("Case"), "actions": _ACTIONS},
    "Log": {"task": _above("Task"), "case": _above("Case"), "attachments": _children("Attachment"),
        "actions": _ACTIONS},
    "Observable": {
        "case": _above("Case"), "alert": _above("Alert"), "similar": Relation("Observable", similar),
        "jobs": _children("Job"), "actions": _ACTIONS,
    },
    "Job": {"observable": _above("Observable"), "case": _above("Case")},
    "Procedure": {"case": _above("Case"), "alert": _above("Alert")},
    "Comment": {"case": _above("Case"), "alert": _above("Alert")},
    "CaseTemplate": {"tasks": _children("Task"), "pageTemplates": _children("PageTemplate")},
    "Organisation": {"attachments": _children("Attachment")},
}  # fmt: skip


def find(kind: str, step: str) -> Relation | None:
    """The relation of that name, or None."""
    return _RELATIONS.get(kind, {}).get(step)


def aside(hive: Hive, entity: Entity, name: str, who: Account) -> Any:
    """One piece of `extraData`; null for what the lab does not compute."""
    maker = _EXTRA.get(name)
    return maker(hive, entity, who) if maker is not None else None


def _case_of(hive: Hive, entity: Entity, who: Account) -> Any:
    case = hive.above(entity, "Case")
    return None if case is None else hive.show(case, who)


def _case_id(hive: Hive, entity: Entity, who: Account) -> Any:
    case = hive.above(entity, "Case")
    return None if case is None else case.id


def _related_case(hive: Hive, entity: Entity, who: Account) -> Any:
    case = hive.store.find(entity.get("caseId"))
    return None if case is None else hive.show(case, who)


def _links(hive: Hive, entity: Entity, who: Account) -> Any:
    if entity.kind == "Case":
        return {"caseLinks": entity.get("caseLinks", []), "externalLinks": entity.get("externalLinks", [])}
    for kind in ("Case", "Alert"):
        found = hive.above(entity, kind)
        if found is not None:
            return {kind.lower(): hive.show(found, who)}
    return {}


def _seen(hive: Hive, entity: Entity, who: Account) -> Any:
    return {"seen": bool(similar(hive, entity)), "ioc": any(one.get("ioc") for one in similar(hive, entity))}


def _tally(hive: Hive, entity: Entity, kind: str, field: str) -> Any:
    found: dict[str, int] = {}
    for one in hive.store.children(entity.id, kind):
        found[one[field]] = found.get(one[field], 0) + 1
    return found


_EXTRA: dict[str, Callable[[Hive, Entity, Account], Any]] = {
    "case": _case_of,
    "caseId": _case_id,
    "relatedCase": _related_case,
    "links": _links,
    "seenSummary": _seen,
    "importDate": lambda hive, entity, who: entity.get("importedDate"),
    "alertCount": lambda hive, entity, who: len(_alerts(hive, entity)),
    "procedureCount": lambda hive, entity, who: hive.store.count(entity.id, "Procedure"),
    "permissions": lambda hive, entity, who: sorted(who.permissions),
    "observableStats": lambda hive, entity, who: {"total": hive.store.count(entity.id, "Observable")},
    "taskStats": lambda hive, entity, who: _tally(hive, entity, "Task", "status"),
    "shareCount": lambda hive, entity, who: 1,
    "actionRequired": lambda hive, entity, who: entity.get("actionRequired", {}).get(who.organisation, False),
    "contributors": lambda hive, entity, who: sorted({entity.created_by, entity.get("assignee", entity.created_by)}),
}
