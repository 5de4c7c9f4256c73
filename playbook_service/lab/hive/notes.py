"""What is written onto cases and alerts: comments, procedures (TTPs), pages, timeline events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, not_found
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.form import BODY, DATE, MIB, TEXT, Field, Table, read, rows, texts
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route

_OFF = Field("flag", default=False)
_TITLE = Field("text", required=True, most=128)
_MOMENT = Field("date", required=True)
_TABLES: dict[str, Table] = {
    "Comment": {"message": BODY, "external": _OFF},
    "Procedure": {"patternId": Field("text", required=True), "occurDate": _MOMENT, "tactic": TEXT, "description": TEXT},
    "Page": {
        "title": _TITLE, "content": Field("text", required=True, most=MIB), "category": Field("text", required=True),
        "order": Field("number", default=0),
    },
    "PageTemplate": {
        "title": _TITLE, "content": Field("text", required=True, most=MIB), "category": Field("text", required=True),
        "order": Field("number", default=0),
    },
    "CustomEvent": {"date": _MOMENT, "title": _TITLE, "endDate": DATE, "description": TEXT},
}  # fmt: skip
_RIGHTS = {
    "Comment": "manageComment", "Procedure": "manageProcedure", "Page": "managePage",
    "CustomEvent": "manageCustomEvent", "PageTemplate": "managePageTemplate",
}  # fmt: skip
_PATHS = {"Comment": "comment", "Procedure": "procedure", "Page": "page", "CustomEvent": "customEvent"}


def add(hive: Hive, who: Account, kind: str, parent: Entity | None, document: Mapping[str, Any]) -> Entity:
    """A comment, page, event or procedure on a case or alert."""
    if kind == "Procedure" and parent is not None:
        return add_procedure(hive, who, parent, document)
    fields = read(_TABLES[kind], document, hive.now())
    if kind == "Comment":
        fields["isEdited"] = False
    made = hive.make(kind, fields, who, parent=parent)
    if parent is not None:
        hive.touch(parent, who)
        details = {"author": who.login} if kind == "Comment" else hive.view1.draw(made, bare=True)
        hive.audit("create", made, who, details, context=parent.id)
    return made


def add_procedure(hive: Hive, who: Account, parent: Entity, document: Mapping[str, Any]) -> Entity:
    """A technique seen, by its MITRE ATT&CK id. Raises ApiError 404 for what is no technique id."""
    fields = read(_TABLES["Procedure"], document, hive.now())
    if not re.fullmatch(r"T\d{4}(\.\d{3})?", fields["patternId"]):
        raise not_found(f"Pattern {fields['patternId']} not found")
    if fields.get("tactic"):
        fields["tacticLabel"] = fields["tactic"].replace("-", " ").title()
    made = hive.make("Procedure", fields, who, parent=parent)
    hive.touch(parent, who)
    hive.audit("create", made, who, hive.view1.draw(made, bare=True), context=parent.id, main=parent.kind == "Case")
    return made


def copy_procedures(hive: Hive, who: Account, alert: Entity, case: Entity) -> None:
    """Bring an alert's techniques into a case."""
    for one in hive.store.children(alert.id, "Procedure"):
        hive.make("Procedure", one.fields, who, parent=case)


def _create(kind: str, parent_kind: str | None) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        parent = None if parent_kind is None else hive.get(parent_kind, request.slot("id"), who)
        return Reply(201, hive.view1.draw(add(hive, who, kind, parent, request.document())))

    return handle


def _create_procedures(kind: str) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        parent = hive.get(kind, request.slot("id"), who)
        given = rows(request.document(), "procedures")
        return Reply(201, [hive.view1.draw(add_procedure(hive, who, parent, one)) for one in given])

    return handle


def _procedure_of_case(hive: Hive, who: Account, request: Request) -> Reply:
    document = request.document()
    case = hive.get("Case", str(document.get("caseId")), who)
    return Reply(201, hive.view1.draw(add_procedure(hive, who, case, document)))


def _update(kind: str, slot: str = "id") -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        entity = hive.get(kind, request.slot(slot), who)
        changes = read(_TABLES[kind], request.document(), hive.now(), partial=True)
        if kind == "Comment":
            changes["isEdited"] = True
        hive.audit("update", hive.change(entity, changes, who), who, changes, context=entity.parent)
        return NOTHING

    return handle


def _delete(kind: str, slot: str = "id") -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        entity = hive.get(kind, request.slot(slot), who)
        hive.audit("delete", entity, who, {}, context=entity.parent)
        hive.store.remove(entity.id)
        return NOTHING

    return handle


def _delete_procedures(hive: Hive, who: Account, request: Request) -> Reply:
    for identity in texts(request.document(), "ids"):
        hive.store.remove(hive.get("Procedure", identity, who).id)
    return NOTHING


def _timeline(hive: Hive, who: Account, request: Request) -> Reply:
    case = hive.get("Case", request.slot("id"), who)
    events = [_event("case", "Case", case, case["startDate"], {"title": case["title"]})]
    for alert in hive.store.all("Alert"):
        if alert.get("caseId") == case.id:
            events.append(_event("alert", "Alert", alert, alert["date"], {"title": alert["title"]}))
    for kind, date in (("Procedure", "occurDate"), ("CustomEvent", "date")):
        for one in hive.store.children(case.id, kind):
            events.append(_event(_PATHS[kind], kind, one, one[date], dict(one.fields)))
    for one in hive.store.children(case.id, "Observable"):
        if one.get("ioc") or one.get("sighted"):
            date = one.get("sightedAt", one["startDate"])
            events.append(_event("observable", "Observable", one, date, {"data": one.get("data")}))
    return Reply(200, {"events": sorted(events, key=lambda event: int(event["date"]))})


def _event(kind: str, entity_kind: str, entity: Entity, date: int, details: dict[str, Any]) -> dict[str, Any]:
    event = {"date": date, "kind": kind, "entity": entity_kind, "entityId": entity.id, "details": details}
    return event | ({"endDate": entity["endDate"]} if entity.get("endDate") else {})


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module; version 4 knows procedures only."""
    right = _RIGHTS["Procedure"]
    table: list[Route[Handler]] = [
        Route("PATCH", "/api/v1/procedure/{id}", _update("Procedure"), right),
        Route("DELETE", "/api/v1/procedure/{id}", _delete("Procedure"), right),
    ]
    if version == 4:
        return [*table, Route("POST", "/api/v1/procedure", _procedure_of_case, right)]
    for kind in ("case", "alert"):
        base, above = f"/api/v1/{kind}/{{id}}", kind.capitalize()
        table += [
            Route("POST", f"{base}/comment", _create("Comment", above), _RIGHTS["Comment"]),
            Route("POST", f"{base}/procedure", _create("Procedure", above), right),
            Route("POST", f"{base}/procedures", _create_procedures(above), right),
        ]
    return [*table, *_only_5()]


def _only_5() -> list[Route[Handler]]:
    comment, page, event, template = (_RIGHTS[kind] for kind in ("Comment", "Page", "CustomEvent", "PageTemplate"))
    return [
        Route("POST", "/api/v1/procedure/delete/_bulk", _delete_procedures, _RIGHTS["Procedure"]),
        Route("PATCH", "/api/v1/comment/{id}", _update("Comment"), comment),
        Route("DELETE", "/api/v1/comment/{id}", _delete("Comment"), comment),
        Route("POST", "/api/v1/case/{id}/page", _create("Page", "Case"), page),
        Route("PATCH", "/api/v1/case/{id}/page/{page}", _update("Page", "page"), page),
        Route("DELETE", "/api/v1/case/{id}/page/{page}", _delete("Page", "page"), page),
        Route("POST", "/api/v1/pageTemplate", _create("PageTemplate", None), template),
        Route("PATCH", "/api/v1/pageTemplate/{id}", _update("PageTemplate"), template),
        Route("DELETE", "/api/v1/pageTemplate/{id}", _delete("PageTemplate"), template),
        Route("POST", "/api/v1/case/{id}/customEvent", _create("CustomEvent", "Case"), event),
        Route("PATCH", "/api/v1/customEvent/{id}", _update("CustomEvent"), event),
        Route("DELETE", "/api/v1/customEvent/{id}", _delete("CustomEvent"), event),
        Route("GET", "/api/v1/case/{id}/timeline", _timeline),
    ]
