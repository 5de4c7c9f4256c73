"""Custom fields: their definitions, and the values that alerts, cases and templates hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, attribute_error, bad_request, not_found
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.form import TEXT, Field, read
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route

Value = dict[str, Any]
KINDS = ("string", "integer", "float", "boolean", "date", "url")
_TABLE = {
    "name": Field("text", required=True), "displayName": TEXT, "group": TEXT, "description": Field("text", default=""),
    "type": Field("text", required=True, choice=KINDS), "mandatory": Field("flag", default=False),
    "options": Field("list", default=()),
}  # fmt: skip
_FITS = {
    "string": lambda value: isinstance(value, str),
    "url": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "date": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}


def definition(hive: Hive, name: str) -> Entity:
    """The definition of a field. Raises ApiError 404."""
    found = hive.store.by_key("CustomField", (name,))
    if found is None:
        raise not_found(f"CustomField {name} not found")
    return found


def given(hive: Hive, document: Any) -> list[Value]:
    """The values in a body, in either form: a list of `{name, value, order}`, or a map of names to values."""
    if document is None:
        return []
    if isinstance(document, list):
        rows = [(one.get("name"), one.get("value"), one.get("order")) for one in document if isinstance(one, dict)]
    elif isinstance(document, dict):
        rows = list(_rows(hive, document))
    else:
        raise attribute_error("Invalid format for customFields")
    return [_value(hive, str(name), value, order) for name, value, order in rows]


def _rows(hive: Hive, document: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):  # the typed form of v0: {"string": "x", "order": 0}
            plain = {key: item for key, item in value.items() if key != "order"}
            yield name, next(iter(plain.values()), None), value.get("order")
        elif isinstance(value, list) and hive.version == 5:
            yield from ((name, item, None) for item in value)
        else:
            yield name, value, None


def _value(hive: Hive, name: str, value: Any, order: Any) -> Value:
    kind = definition(hive, name)["type"]
    if value is not None and not _FITS[kind](value):
        raise bad_request(f"Invalid value for custom field {name}: {kind} is expected")
    options = definition(hive, name).get("options")
    if options and value is not None and value not in options:
        raise bad_request(f"Invalid value for custom field {name}: not one of its options")
    return {"name": name, "value": value, "order": order}


def numbered(values: Iterable[Value]) -> list[Value]:
    """The values with an order each."""
    return [
        {**value, "order": number if value.get("order") is None else value["order"]}
        for number, value in enumerate(values)
    ]


def united(first: list[Value], then: list[Value]) -> list[Value]:
    """The first values and those of the second whose names the first do not have (a template's, an alert's)."""
    names = {value["name"] for value in first}
    return numbered([*first, *({**value, "order": None} for value in then if value["name"] not in names)])


def updated(hive: Hive, present: list[Value], document: Mapping[str, Any]) -> tuple[list[Value], list[Value]] | None:
    """All values and the changed ones after an update, None where the body names no custom field.

    In version 5 the list form replaces everything, the map form adds values. In version 4 a named field is set.
    """
    dotted = {name.split(".")[1]: value for name, value in document.items() if name.startswith("customFields.")}
    whole = document.get("customFields")
    if whole is None and not dotted:
        return None
    if isinstance(whole, list):
        values = numbered(given(hive, whole))
        return values, values
    if hive.version == 5 and any(isinstance(value, list) for value in (whole or {}).values()):
        raise bad_request("A list of values is not accepted in the object form of customFields")
    changed = given(hive, {**(whole or {}), **dotted})
    names = {value["name"] for value in changed}
    kept = present if hive.version == 5 and not dotted else [one for one in present if one["name"] not in names]
    added = [one for one in changed if not any(_equal(one, other) for other in kept)]
    return numbered([*kept, *({**one, "order": None} for one in added)]), changed


def _equal(one: Value, other: Value) -> bool:
    return bool(one["name"] == other["name"] and one["value"] == other["value"])


def change_details(hive: Hive, before: Entity, after: Entity, changed: list[Value]) -> dict[str, Any]:
    """What an audit says of a change of custom fields (from 5.5.9 also what came and went)."""
    shown = hive.view1.custom_fields(after)
    if hive.version == 4:
        names = {value["name"] for value in changed}
        return {"customFields": [one for one in shown if one["name"] in names]}
    old, new = before.get("customFields", []), after.get("customFields", [])
    changes = _changes("valuesAdded", old, new) + _changes("valuesRemoved", new, old)
    return {"customFields": shown, "customFieldChanges": changes}


def _changes(operation: str, before: list[Value], after: list[Value]) -> list[dict[str, Any]]:
    found: dict[str, list[Any]] = {}
    for one in after:
        if not any(_equal(one, other) for other in before):
            found.setdefault(one["name"], []).append(one["value"])
    return [{"operation": operation, "name": name, "values": values} for name, values in found.items()]


def _read(hive: Hive, request: Request, *, partial: bool = False) -> dict[str, Any]:
    document = request.document()
    if "reference" in document:  # the v0 form: `reference` is the technical name, `name` what is shown
        document = {**document, "displayName": document.get("name"), "name": document["reference"]}
    fields = read(_TABLE, document, hive.now(), partial=partial)
    if hive.version == 5 and not partial and "/v1/" in request.path and not fields.get("group"):
        raise attribute_error("Missing attribute: group")
    return fields


def _create(hive: Hive, who: Account, request: Request) -> Reply:
    fields = _read(hive, request)
    if hive.store.by_key("CustomField", (fields["name"],)) is not None:
        raise bad_request(f"CustomField {fields['name']} already exists")
    fields = {"displayName": fields["name"], "group": "default", **fields}
    made = hive.make("CustomField", fields, who, organisation="", key=(fields["name"],))
    return Reply(201, hive.view1.draw(made))


def _list(hive: Hive, who: Account, request: Request) -> Reply:
    draw = hive.view1.draw if "/v1/" in request.path else _draw0
    return Reply(200, [draw(one) for one in hive.store.all("CustomField")])


def _draw0(field: Entity) -> dict[str, Any]:
    """The v0 form: `reference` is the technical name, `name` what is shown."""
    names = ("description", "type", "options", "mandatory")
    return {"name": field["displayName"], "reference": field["name"], **{name: field.get(name) for name in names}}


def _get(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, hive.view1.draw(hive.get("CustomField", request.slot("id"), who)))


def _update(hive: Hive, who: Account, request: Request) -> Reply:
    fields = _read(hive, request, partial=True)
    fields.pop("name", None)
    hive.change(hive.get("CustomField", request.slot("id"), who), fields, who)
    return NOTHING


def _delete(hive: Hive, who: Account, request: Request) -> Reply:
    field = hive.get("CustomField", request.slot("id"), who)
    used = any(
        one["name"] == field["name"]
        for kind in ("Case", "Alert", "CaseTemplate")
        for entity in hive.store.all(kind)
        for one in entity.get("customFields", [])
    )
    if used and (request.option("force") or "").lower() != "true":
        raise bad_request(f"CustomField {field['name']} is used")
    hive.store.remove(field.id)
    return NOTHING


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    return [
        Route("GET", "/api/v1/customField", _list),
        Route("GET", "/api/customField", _list),
        Route("POST", "/api/v1/customField", _create, "manageCustomField"),
        Route("POST", "/api/customField", _create, "manageCustomField"),
        Route("GET", "/api/v1/customField/{id}", _get),
        Route("GET", "/api/customField/{id}", _get),
        Route("PATCH", "/api/v1/customField/{id}", _update, "manageCustomField"),
        Route("PATCH", "/api/customField/{id}", _update, "manageCustomField"),
        Route("DELETE", "/api/v1/customField/{id}", _delete, "manageCustomField"),
        Route("DELETE", "/api/customField/{id}", _delete, "manageCustomField"),
    ]
