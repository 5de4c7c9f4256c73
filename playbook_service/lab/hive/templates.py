"""Case templates and page templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request
from playbook_service.lab.hive import customfields, tasks
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.form import TEXT, Field, Table, read, rows, texts
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route


def _table(version: int) -> Table:
    return {
        "name": Field("text", required=True), "displayName": TEXT, "titlePrefix": TEXT, "description": TEXT,
        "severity": Field("number", low=1, high=4), "tags": Field("texts", default=(), most=128),
        "flag": Field("flag", default=False), "tlp": Field("number", low=0, high=4 if version == 5 else 3),
        "pap": Field("number", low=0, high=3), "summary": TEXT,
    }  # fmt: skip


def find(hive: Hive, who: Account, name: Any) -> Entity | None:
    """The template of that name, None where none is asked for. Raises ApiError 404."""
    return hive.get("CaseTemplate", str(name), who) if name else None


def _create(hive: Hive, who: Account, request: Request) -> Reply:
    document = request.document()
    fields = read(_table(hive.version), document, hive.now())
    key = (who.organisation, fields["name"])
    if hive.store.by_key("CaseTemplate", key) is not None:
        raise bad_request(f'The case template "{fields["name"]}" already exists')
    fields.setdefault("displayName", fields["name"])
    fields["customFields"] = customfields.numbered(customfields.given(hive, document.get("customFields")))
    made = hive.make("CaseTemplate", fields, who, key=key)
    _fill(hive, who, made, document)
    hive.audit("create", made, who, {"name": fields["name"]}, root=made.id, quiet=True)
    return Reply(201, hive.view1.draw(made))


def _fill(hive: Hive, who: Account, template: Entity, document: Mapping[str, Any]) -> None:
    for task in rows(document, "tasks"):
        tasks.add(hive, who, template, task)
    for page in rows(document, "pageTemplates"):
        hive.make("PageTemplate", {"order": 0, **page}, who, parent=template)


def _get(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, hive.view1.draw(hive.get("CaseTemplate", request.slot("id"), who)))


def _update(hive: Hive, who: Account, request: Request) -> Reply:
    document = request.document()
    template = hive.get("CaseTemplate", request.slot("id"), who)
    fields = read(_table(hive.version), document, hive.now(), partial=True)
    if fields.get("name"):
        template = hive.store.put(replace(template, key=(who.organisation, fields["name"])))
    if "customFields" in document:
        fields["customFields"] = customfields.numbered(customfields.given(hive, document["customFields"]))
    hive.change(template, fields, who)
    if "tasks" in document:
        for task in hive.store.children(template.id, "Task"):
            hive.store.remove(task.id)
        _fill(hive, who, template, {"tasks": document["tasks"]})
    return NOTHING


def _delete(hive: Hive, who: Account, request: Request) -> Reply:
    hive.store.remove(hive.get("CaseTemplate", request.slot("id"), who).id)
    return NOTHING


def _link_pages(hive: Hive, who: Account, request: Request) -> Reply:
    template = hive.get("CaseTemplate", request.slot("id"), who)
    for identity in texts(request.document(), "pageTemplateIds"):
        hive.store.put(replace(hive.get("PageTemplate", identity, who), parent=template.id))
    return NOTHING


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    right = "manageCaseTemplate"
    table: list[Route[Handler]] = []
    for base in ("/api/v1/caseTemplate", "/api/case/template"):
        table += [
            Route("POST", base, _create, right),
            Route("GET", f"{base}/{{id}}", _get),
            Route("PATCH", f"{base}/{{id}}", _update, right),
            Route("DELETE", f"{base}/{{id}}", _delete, right),
        ]
    return [*table, Route("PUT", "/api/v1/caseTemplate/{id}/pageTemplate/link", _link_pages, right)]
