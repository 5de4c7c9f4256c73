"""Observables of cases and alerts."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from playbook_service.lab.exchange import NOTHING, ApiError, Reply, Request, attribute_error, not_found
from playbook_service.lab.hive import attachments
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.entity_api import change_many, change_one, get_one
from playbook_service.lab.hive.form import DATE, PAP, TAGS, TEXT, Field, Table, read, rows, tlp, with_tags
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.multipart import Part
from playbook_service.lab.route import Route

MAX_DATA = 4096
_OFF = Field("flag", default=False)


def _table(version: int) -> Table:
    return {
        "dataType": Field("text", required=True), "message": TEXT, "startDate": Field("date", default="now"),
        "tlp": tlp(version), "pap": PAP, "tags": TAGS, "ioc": _OFF, "sighted": _OFF, "sightedAt": DATE,
        "ignoreSimilarity": _OFF,
    }  # fmt: skip


class Telling(NamedTuple):
    """How a new observable is announced: as the main thing done or beside it, or not; whether it updates its parent."""

    main: bool = True
    quiet: bool = False
    touch: bool = True


BESIDE, SILENT = Telling(main=False), Telling(quiet=True, touch=False)
IMPORTED = Telling(touch=False)


def _duplicate(value: str) -> ApiError:
    return ApiError(400, "CreateError", "Observable already exists", object={"data": value})


def _type(hive: Hive, name: str) -> Entity:
    found = hive.store.by_key("ObservableType", (name,))
    if found is None:
        raise not_found(f"ObservableType {name} not found")
    return found


def add_one(
    hive: Hive,
    who: Account,
    parent: Entity,
    fields: Mapping[str, Any],
    *,
    data: str | None = None,
    file: Part | Entity | None = None,
    telling: Telling = Telling(),  # noqa: B008 - a value that never changes
) -> Entity:
    """Put one observable into a case or alert. Raises ApiError where it is there already."""
    attachment = attachments.keep(hive, file, who, None) if isinstance(file, Part) else file
    identity = data if attachment is None else attachment["digest"]
    if data is not None and len(data) > MAX_DATA:
        raise attribute_error(f"Invalid value for data: longer than {MAX_DATA} characters")
    key = (parent.id, fields["dataType"], identity)
    if hive.store.by_key("Observable", key) is not None:
        raise _duplicate(str(identity))
    whole = {**fields, "data": data, "attachment": None if attachment is None else attachment.id, "reports": {}}
    made = hive.make("Observable", whole, who, parent=parent, key=key)
    if telling.touch:
        hive.touch(parent, who)
    if not telling.quiet:
        hive.created(made, who, main=telling.main)
    return made


def add(hive: Hive, who: Account, parent: Entity, document: Mapping[str, Any], files: list[Part]) -> Reply:
    """Put all observables of a body into a case or alert: 201 with a list, or 207 where one could not be."""
    fields = read(_table(hive.version), document, hive.now())
    if _type(hive, fields["dataType"])["isAttachment"]:
        items: list[tuple[str | None, Part | None]] = [(None, part) for part in files]
    else:
        items = [(value, None) for value in _values(document.get("data"))]
    if not items:
        raise attribute_error("Missing attribute: data or attachment")
    made, failed = [], []
    for data, file in items:
        try:
            made.append(add_one(hive, who, parent, fields, data=data, file=file))
        except ApiError as error:
            failed.append(error)
    return _outcome(hive, who, made, failed)


def _outcome(hive: Hive, who: Account, made: list[Entity], failed: list[ApiError]) -> Reply:
    shown = [hive.show(one, who) for one in made]
    if not failed:
        return Reply(201, shown)
    if hive.version == 5 and not made and (hive.duplicate_observable == 400 or failed[0].kind != "CreateError"):
        raise failed[0]
    failures = [{"type": one.kind, "message": one.message, **one.more} for one in failed]
    return Reply(207, {"success": shown, "failure": failures})


def _values(data: Any) -> list[str]:
    values = data if isinstance(data, list) else [data] if data is not None else []
    if any(not isinstance(value, str) or not value for value in values):
        raise attribute_error("Invalid format for data: text is expected")
    return list(values)


def inline(hive: Hive, who: Account, alert: Entity, given: Any, files: Mapping[str, Part], *, quiet: bool) -> None:
    """The observables that came along with an alert; equal ones are taken once."""
    for document in rows({"observables": given}, "observables"):
        fields = read(_table(hive.version), document, hive.now())
        if _type(hive, fields["dataType"])["isAttachment"]:
            items: list[tuple[str | None, Part | None]] = [(None, part) for part in _inline_files(document, files)]
        else:
            items = [(value, None) for value in _values(document.get("data"))]
        for data, file in items:
            if file is not None or hive.store.by_key("Observable", (alert.id, fields["dataType"], data)) is None:
                add_one(hive, who, alert, fields, data=data, file=file, telling=SILENT if quiet else BESIDE)


def _inline_files(document: Mapping[str, Any], files: Mapping[str, Part]) -> list[Part]:
    """The file of an inline observable: a part of the form by its name, or (version 4) `name;type;base64` as `data`."""
    name, data = document.get("attachment"), document.get("data")
    if isinstance(name, str) and name in files:
        return [files[name]]
    if not isinstance(data, str) or data.count(";") < 2:
        return []
    title, kind, text = data.split(";", 2)
    try:
        return [Part("attachment", base64.b64decode(text, validate=True), title, kind)]
    except ValueError:
        raise attribute_error("Invalid format for data: name;type;base64 is expected") from None


def copy_all(hive: Hive, who: Account, source: Entity, case: Entity, *, quiet: bool) -> None:
    """Bring an alert's observables into a case, under new ids; what the case has already is left as it is."""
    for one in hive.store.children(source.id, "Observable"):
        fields = {name: value for name, value in one.fields.items() if name not in ("data", "attachment", "reports")}
        file = hive.store.find(one.get("attachment"))
        identity = one.get("data") if file is None else file["digest"]
        if hive.store.by_key("Observable", (case.id, one["dataType"], identity)) is None:
            add_one(hive, who, case, fields, data=one.get("data"), file=file, telling=SILENT if quiet else IMPORTED)


def set_tags(hive: Hive, who: Account, entity: Entity, tags: list[str], *, quiet: bool = False) -> None:
    """Give an entity its tags and tell it."""
    changed = hive.change(entity, {"tags": tags}, who)
    hive.audit("update", changed, who, {"tags": tags}, quiet=quiet)


def update(hive: Hive, who: Account, entity: Entity, document: Mapping[str, Any]) -> None:
    """Change an observable."""
    fields = read(_table(hive.version), document, hive.now(), partial=True)
    fields.pop("tags", None)
    if "dataType" in fields:
        _type(hive, fields["dataType"])
    tags = with_tags(entity.get("tags", []), document)
    if tags is not None:
        fields["tags"] = tags
    changes = {name: value for name, value in fields.items() if entity.get(name) != value}
    if not changes:
        return
    changed = hive.change(entity, changes, who)
    parent = hive.store.find(entity.parent)
    if parent is not None:
        hive.touch(parent, who)
    hive.audit("update", changed, who, changes)


def _create(kind: str, dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        parent = hive.get(kind, request.slot("id"), who)
        reply = add(hive, who, parent, request.document(), request.files("attachment"))
        if dialect == 0 and reply.status == 201:
            return Reply(201, [hive.show(hive.get("Observable", one["_id"], who), who, 0) for one in reply.body])
        return reply

    return handle


def _delete(hive: Hive, who: Account, request: Request) -> Reply:
    entity = hive.get("Observable", request.slot("id"), who)
    parent = hive.store.find(entity.parent)
    details = {name: entity.get(name) for name in ("dataType", "data") if entity.get(name) is not None}
    context = entity.parent if parent is not None and parent.kind == "Alert" else hive.store.next_id()
    hive.audit("delete", entity, who, details, context=context)
    hive.store.remove(entity.id)
    return NOTHING


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    right = "manageObservable"
    return [
        Route("POST", "/api/v1/case/{id}/observable", _create("Case", 1), right),
        Route("POST", "/api/v1/alert/{id}/observable", _create("Alert", 1), right),
        Route("POST", "/api/v1/alert/{id}/artifact", _create("Alert", 1), right),
        Route("POST", "/api/case/{id}/artifact", _create("Case", 0), right),
        Route("POST", "/api/alert/{id}/artifact", _create("Alert", 0), right),
        Route("PATCH", "/api/v1/observable/_bulk", change_many("Observable", update), right),
        Route("PATCH", "/api/case/artifact/_bulk", change_many("Observable", update), right),
        Route("GET", "/api/v1/observable/{id}", get_one("Observable", 1)),
        Route("PATCH", "/api/v1/observable/{id}", change_one("Observable", update, 1), right),
        Route("DELETE", "/api/v1/observable/{id}", _delete, right),
        Route("GET", "/api/case/artifact/{id}", get_one("Observable", 0)),
        Route("PATCH", "/api/case/artifact/{id}", change_one("Observable", update, 0), right),
        Route("DELETE", "/api/case/artifact/{id}", _delete, right),
    ]
