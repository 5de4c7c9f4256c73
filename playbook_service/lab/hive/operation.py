"""What workers ask TheHive to do with their report: the operations (section 5 of the contract)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from playbook_service.lab.exchange import ApiError, bad_request, forbidden, not_found
from playbook_service.lab.hive import alerts, cases, customfields, observables, tasks
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.service import Hive

Operation = Mapping[str, Any]


class UnknownOperationError(Exception):
    """TheHive 4 throws at an operation it does not know, or that lacks a key: its job or action never ends."""


def _text(operation: Operation, name: str) -> str:
    value = operation.get(name)
    if not isinstance(value, str):
        raise UnknownOperationError(f"{operation.get('type')} without {name}")
    return value


def _case(hive: Hive, entity: Entity) -> Entity:
    case = hive.above(entity, "Case")
    if case is None:
        raise not_found("Case not found")
    return case


def _kind(entity: Entity, kind: str) -> Entity:
    if entity.kind != kind:
        raise bad_request(f"{entity.kind} is not a {kind}")
    return entity


def _tagged(entity: Entity, tag: str) -> list[str]:
    return list(dict.fromkeys([*entity.get("tags", []), tag]))


def _tag_case(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    case = _case(hive, entity)
    observables.set_tags(hive, who, case, _tagged(case, _text(operation, "tag")))


def _tag_observable(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    target = _kind(entity, "Observable")
    quiet = hive.version == 4  # there this one has no message
    observables.set_tags(hive, who, target, _tagged(target, _text(operation, "tag")), quiet=quiet)


def _tag_alert(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    target = _kind(entity, "Alert")
    observables.set_tags(hive, who, target, _tagged(target, _text(operation, "tag")))


def _read_alert(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    alert = _kind(entity, "Alert")
    if hive.version == 4:
        alerts.mark(hive, who, alert, {"read": True})
    else:
        alerts.update(hive, who, alert, {"status": "Ignored"})


def _create_task(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    document = {"title": _text(operation, "title"), "description": _text(operation, "description")}
    tasks.add(hive, who, _case(hive, entity), document)


def _custom_field(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    name, kind = _text(operation, "name"), _text(operation, "tpe")
    if customfields.definition(hive, name)["type"] != kind:
        raise bad_request(f"Custom field {name} is not of type {kind}")
    case = _case(hive, entity)
    kept = [one for one in case.get("customFields", []) if one["name"] != name]
    cases.update(hive, who, case, {"customFields": [*kept, {"name": name, "value": operation.get("value")}]})


def _add_observable(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    for name in ("data", "dataType", "message"):
        _text(operation, name)
    reply = observables.add(hive, who, _case(hive, entity), operation, [])
    if reply.status != 201:
        raise bad_request(reply.body["failure"][0]["message"])


def _assign(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    cases.update(hive, who, _case(hive, entity), {"assignee": _text(operation, "owner")})


def _close_task(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    task = _task_of_log(hive, entity)
    details = tasks.set_status(hive, who, task, "Completed")
    hive.audit("update", task, who, details, quiet=True)


def _task_of_log(hive: Hive, entity: Entity) -> Entity:
    """TheHive looks the task up from a log only (TH#2117): started on the task itself these operations fail."""
    task = hive.store.find(entity.parent) if entity.kind == "Log" else None
    if task is None:
        raise not_found("Task not found")
    return task


def _log(hive: Hive, who: Account, entity: Entity, operation: Operation) -> None:
    tasks.add_log(hive, who, _task_of_log(hive, entity), {"message": _text(operation, "content")})


Perform = Callable[[Hive, Account, Entity, Operation], None]
_OPERATIONS: dict[str, tuple[Perform, str]] = {
    "AddTagToCase": (_tag_case, "manageCase/update"),
    "AddTagToArtifact": (_tag_observable, "manageObservable"),
    "AddTagToAlert": (_tag_alert, "manageAlert/update"),
    "MarkAlertAsRead": (_read_alert, "manageAlert/update"),
    "CreateTask": (_create_task, "manageTask"),
    "AddCustomFields": (_custom_field, "manageCase/update"),
    "AddArtifactToCase": (_add_observable, "manageObservable"),
    "AssignCase": (_assign, "manageCase/update"),
    "CloseTask": (_close_task, "manageTask"),
    "AddLogToTask": (_log, "manageTask"),
}


def apply(hive: Hive, who: Account, entity: Entity, operations: list[Any]) -> list[dict[str, Any]]:
    """Do what a worker asks, with the launching user's rights; each operation back with its status and message.

    Raises UnknownOperationError in version 4; version 5 leaves an operation it does not know out.
    """
    done = []
    for operation in operations:
        try:
            outcome = _perform(hive, who, entity, operation)
        except UnknownOperationError:
            if hive.version == 4:
                raise
            continue
        done.append(outcome)
    return done


def _perform(hive: Hive, who: Account, entity: Entity, operation: Any) -> dict[str, Any]:
    kind = operation.get("type") if isinstance(operation, Mapping) else None
    if kind not in _OPERATIONS:
        raise UnknownOperationError(str(kind))
    perform, right = _OPERATIONS[str(kind)]
    try:
        if not who.may(right):
            raise forbidden()
        perform(hive, who, hive.store.find(entity.id) or entity, operation)
    except ApiError as error:
        return {**operation, "status": "Failure", "message": error.message}
    return {**operation, "status": "Success", "message": "Success"}
