"""The REST calls about cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request
from playbook_service.lab.hive import cases, customfields, tasks, templates
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.entity_api import change_many, change_one, get_one
from playbook_service.lab.hive.form import texts
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route


def _create(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        document = request.document()
        if dialect == 0 and "template" in document:
            document = {**document, "caseTemplate": document["template"]}
        return Reply(201, hive.show(cases.create(hive, who, document), who, dialect))

    return handle


def _case(hive: Hive, who: Account, request: Request) -> Entity:
    return hive.get("Case", request.slot("id"), who)


def _delete(hive: Hive, who: Account, request: Request) -> Reply:
    cases.delete(hive, who, _case(hive, who, request))
    return NOTHING


def _merge(hive: Hive, who: Account, request: Request) -> Reply:
    chosen = [hive.get("Case", identity, who) for identity in request.slot("ids").split(",")]
    if len(chosen) < 2:
        raise bad_request("At least two cases are needed")
    return Reply(201, hive.show(cases.merge(hive, who, chosen), who))


def _merge_observables(hive: Hive, who: Account, request: Request) -> Reply:
    count = hive.store.count(_case(hive, who, request).id, "Observable")
    return Reply(200, {"untouched": count, "updated": 0, "deleted": 0})  # unique by (dataType, data): none to merge


def _apply_template(hive: Hive, who: Account, request: Request) -> Reply:
    document = request.document()
    template = templates.find(hive, who, document.get("caseTemplate"))
    if template is None:
        raise bad_request("A case template is needed")
    for identity in texts(document, "ids"):
        _apply(hive, who, hive.get("Case", identity, who), template, document)
    return NOTHING


def _apply(hive: Hive, who: Account, case: Entity, template: Entity, document: Mapping[str, Any]) -> None:
    wanted = document.get("importTasks")
    for task in hive.store.children(template.id, "Task"):
        if wanted is None or task.id in wanted:
            tasks.add(hive, who, case, task.fields)
    changes: dict[str, Any] = {}
    if document.get("updateTags"):
        changes["addTags"] = template.get("tags", [])
    if changes:
        cases.update(hive, who, case, changes)
    if document.get("updateCustomFields"):
        values = customfields.united(case.get("customFields", []), template.get("customFields", []))
        hive.change(case, {"customFields": values}, who)


def _unlink_alert(hive: Hive, who: Account, request: Request) -> Reply:
    _case(hive, who, request)
    alert = hive.get("Alert", request.slot("alert"), who)
    hive.change(alert, {"caseId": None, "status": "New", "stage": "New", "importedDate": None}, who)
    hive.audit("update", alert, who, {"caseId": None})
    return NOTHING


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    change = "manageCase/update"
    table: list[Route[Handler]] = []
    for base, dialect in (("/api/v1/case", 1), ("/api/case", 0)):
        table += [
            Route("POST", base, _create(dialect), "manageCase/create"),
            Route("PATCH", f"{base}/_bulk", change_many("Case", cases.update), change),
            Route("GET", f"{base}/{{id}}", get_one("Case", dialect)),
            Route("PATCH", f"{base}/{{id}}", change_one("Case", cases.update, dialect), change),
            Route("DELETE", f"{base}/{{id}}", _delete, "manageCase/delete"),
            Route("POST", f"{base}/_merge/{{ids}}", _merge, "manageCase/merge"),
        ]
    if version == 5:
        table += [
            Route("POST", "/api/v1/case/{id}/observable/_merge", _merge_observables, change),
            Route("POST", "/api/v1/case/_bulk/caseTemplate", _apply_template, change),
            Route("DELETE", "/api/v1/case/{id}/alert/{alert}", _unlink_alert, change),
        ]
    return table
