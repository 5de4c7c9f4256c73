"""Tasks and their logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request, not_found
from playbook_service.lab.hive import attachments
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.entity_api import change_many, change_one, get_one
from playbook_service.lab.hive.form import BODY, DATE, TEXT, Field, read
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route

STATUSES = ("Waiting", "InProgress", "Completed", "Cancel")
_OFF = Field("flag", default=False)
TABLE = {
    "title": Field("text", required=True, most=128), "group": Field("text", default="default", most=64),
    "description": TEXT, "status": Field("text", default="Waiting", choice=STATUSES), "flag": _OFF, "startDate": DATE,
    "endDate": DATE, "order": Field("number", default=0), "dueDate": DATE, "assignee": TEXT, "mandatory": _OFF,
}  # fmt: skip


def _known(document: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the legacy name of the assignee read too."""
    return (
        {**document, "assignee": document.get("assignee", document["owner"])} if "owner" in document else {**document}
    )


def member(hive: Hive, login: str, organisation: str) -> str:
    """A login, checked: a user of that organisation. Raises ApiError 404."""
    user = hive.store.by_key("User", (login.lower(),))
    if user is None or all(one["organisation"] != organisation for one in user.get("organisations", [])):
        raise not_found("User not found")
    return str(user["login"])


def add(hive: Hive, who: Account, parent: Entity, document: Mapping[str, Any], *, main: bool = True) -> Entity:
    """A new task in a case (or, silently, in a case template)."""
    fields = read(TABLE, _known(document), hive.now())
    if hive.version == 4:
        fields.pop("mandatory")
    if fields.get("assignee"):
        fields["assignee"] = member(hive, fields["assignee"], parent.organisation)
    if fields["status"] != "Waiting":
        fields.setdefault("startDate", hive.now())
    if fields["status"] in ("Completed", "Cancel"):
        fields.setdefault("endDate", hive.now())
    made = hive.make("Task", fields, who, parent=parent, organisation=parent.organisation)
    if parent.kind == "Case":
        hive.touch(parent, who)
        hive.created(made, who, main=main)
    return made


def set_status(hive: Hive, who: Account, task: Entity, status: str) -> dict[str, Any]:
    """What a new status brings with it; nothing is told."""
    now = hive.now()
    changes: dict[str, Any] = {"status": status}
    if status == "InProgress":
        changes |= {
            "endDate": None,
            "startDate": task.get("startDate", now),
            "assignee": task.get("assignee", who.login),
        }
    elif status in ("Completed", "Cancel"):
        changes |= {"endDate": now} | ({"startDate": task.get("startDate", now)} if status == "Completed" else {})
    else:
        changes |= {"endDate": None}
    hive.change(task, changes, who)
    return {"endDate": None, "status": status} if status in ("InProgress", "Waiting") else {"status": status}


def close_open(hive: Hive, who: Account, case: Entity) -> None:
    """Close what is open when its case is closed: InProgress is completed, Waiting cancelled. Nobody is told."""
    for task in hive.store.children(case.id, "Task"):
        if task["status"] in ("Waiting", "InProgress"):
            details = set_status(hive, who, task, "Completed" if task["status"] == "InProgress" else "Cancel")
            hive.audit("update", task, who, {**details, "closedWithCase": True}, main=False, quiet=True)


def update(hive: Hive, who: Account, task: Entity, document: Mapping[str, Any]) -> None:
    """Change a task."""
    fields = read(TABLE, _known(document), hive.now(), partial=True)
    if fields.get("assignee"):
        fields["assignee"] = member(hive, fields["assignee"], task.organisation)
    changes = {name: value for name, value in fields.items() if task.get(name) != value}
    status = changes.pop("status", None)
    details = dict(changes)
    if status == "Completed" and task.get("mandatory") and not hive.store.count(task.id, "Log"):
        raise bad_request("A mandatory task needs a log before it is completed")
    if changes:
        task = hive.change(task, changes, who)
    if status is not None:
        details |= set_status(hive, who, task, status)
    if details:
        case = hive.above(task, "Case")
        if case is not None:
            hive.touch(case, who)
        hive.audit("update", task, who, details)


def add_log(
    hive: Hive, who: Account, task: Entity, document: Mapping[str, Any], request: Request | None = None
) -> Entity:
    """A log line: a waiting task is thereby begun by whoever writes it."""
    fields = read({"message": BODY, "startDate": DATE, "includeInTimeline": DATE}, document, hive.now())
    fields["date"] = fields.pop("startDate", None) or hive.now()
    made = hive.make("Log", {**fields, "owner": who.login}, who, parent=task)
    for part in request.files("attachments", "attachment") if request is not None else ():
        attachments.keep(hive, part, who, made)
    if task["status"] == "Waiting":
        set_status(hive, who, task, "InProgress")
    else:
        hive.touch(task, who)
    case = hive.above(task, "Case")
    if case is not None:
        hive.touch(case, who)
    hive.created(made, who)
    return made


def _create(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        document = request.document()
        case = hive.get("Case", request.slots.get("id") or str(document.get("caseId")), who)
        return Reply(201, hive.show(add(hive, who, case, document), who, dialect))

    return handle


def _delete(hive: Hive, who: Account, request: Request) -> Reply:
    task = hive.get("Task", request.slot("id"), who)
    hive.audit("delete", task, who, {"title": task["title"]}, quiet=True)  # no message is sent of this
    hive.store.remove(task.id)
    return NOTHING


def _add_log(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        task = hive.get("Task", request.slot("id"), who)
        return Reply(201, hive.show(add_log(hive, who, task, request.document(), request), who, dialect))

    return handle


def _update_log(hive: Hive, who: Account, request: Request) -> Reply:
    log = hive.get("Log", request.slot("id"), who)
    changes = read({"message": BODY, "includeInTimeline": DATE}, request.document(), hive.now(), partial=True)
    hive.audit("update", hive.change(log, changes, who), who, changes)
    return NOTHING


def _delete_log(hive: Hive, who: Account, request: Request) -> Reply:
    log = hive.get("Log", request.slot("id"), who)
    hive.audit("delete", log, who, {})
    hive.store.remove(log.id)
    return NOTHING


def _require(value: bool) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        task = hive.get("Task", request.slot("id"), who)
        organisation = hive.get("Organisation", request.slot("organisation"), who)
        required = {**task.get("actionRequired", {}), organisation["name"]: value}
        changed = hive.change(task, {"actionRequired": required}, who)
        hive.audit("update", changed, who, {f"actionRequired.{organisation['name']}": value})
        return NOTHING

    return handle


def _required(hive: Hive, who: Account, request: Request) -> Reply:
    task = hive.get("Task", request.slot("id"), who)
    return Reply(200, {who.organisation: False, **task.get("actionRequired", {})})


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    right = "manageTask"
    return [
        Route("POST", "/api/v1/case/{id}/task", _create(1), right),
        Route("POST", "/api/v1/task", _create(1), right),
        Route("POST", "/api/case/{id}/task", _create(0), right),
        Route("PATCH", "/api/v1/task/_bulk", change_many("Task", update), right),
        Route("GET", "/api/v1/task/{id}", get_one("Task", 1)),
        Route("PATCH", "/api/v1/task/{id}", change_one("Task", update, 1), right),
        Route("DELETE", "/api/v1/task/{id}", _delete, right),
        Route("GET", "/api/case/task/{id}", get_one("Task", 0)),
        Route("PATCH", "/api/case/task/{id}", change_one("Task", update, 0), right),
        Route("DELETE", "/api/case/task/{id}", _delete, right),
        Route("POST", "/api/v1/task/{id}/log", _add_log(1), right),
        Route("POST", "/api/case/task/{id}/log", _add_log(0), right),
        Route("PATCH", "/api/v1/log/{id}", _update_log, right),
        Route("DELETE", "/api/v1/log/{id}", _delete_log, right),
        Route("PUT", "/api/v1/task/{id}/actionRequired/{organisation}", _require(True), right),
        Route("PUT", "/api/v1/task/{id}/actionDone/{organisation}", _require(False), right),
        Route("GET", "/api/v1/task/{id}/actionRequired", _required),
    ]
