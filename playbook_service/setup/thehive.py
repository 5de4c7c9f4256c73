"""What TheHive has and lacks: custom fields, observable types, case templates.

Routes: the OpenAPI description of TheHive 5.7, the routers of TheHive 4.1.24.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from playbook_service import jsonread
from playbook_service.hive import reading
from playbook_service.hive.discovery import find_version
from playbook_service.jsonread import Document
from playbook_service.setup.bundle import Field
from playbook_service.setup.document import HiveWish, Template
from playbook_service.setup.look import CHANGE, MAKE, Change, Look, Step
from propolis.errors import ConfigurationError, PropolisError
from propolis.http import Client, HttpError, segment, session

ADMIN = "admin"
"""The organisation that a platform administrator works in."""


class Doors(NamedTuple):
    """TheHive, entered by both keys."""

    admin: Client
    owner: Client
    """The organisation's administrator."""
    major: int
    version: str
    organisation: str
    lacking: tuple[str, ...]
    """What either account may not do, a sentence each."""

    def close(self) -> None:
        """Close the connections that are kept open."""
        self.admin.close()
        self.owner.close()

    def names(self, kind: str) -> str:
        """Where custom fields are made: version 4 has them below version 0 of its API."""
        return f"/api/{kind}" if self.major == 4 else f"/api/v1/{kind}"


def enter(wish: HiveWish) -> Doors:
    """Open both connections and see who the keys belong to. Raises PropolisError where TheHive cannot be used."""
    admin, owner = _client(wish, wish.admin_key, ADMIN), _client(wish, wish.org_admin_key, wish.organisation)
    version = find_version(admin)
    major = 4 if version.startswith("4.") else 5
    if not version.startswith(("4.", "5.")):
        raise ConfigurationError(f"TheHive {version[:40]} is not supported: use TheHive 4.1 or 5.")
    owned = ("manageCaseTemplate", *(("manageUser",) if wish.account else ()))
    lacking = [
        *_lacking(admin, "admin_key", ("manageCustomField",), ADMIN),
        *_lacking(owner, "org_admin_key", owned, wish.organisation),
    ]
    return Doors(admin, owner, major, version, wish.organisation, tuple(lacking))


def _client(wish: HiveWish, key: str, organisation: str) -> Client:
    headers = {"Authorization": f"Bearer {key}", "X-Organisation": organisation}
    return session(wish.server.url, headers=headers, ca_file=wish.server.ca_file or None, secrets=(key,), name="url")


def _lacking(client: Client, key: str, wanted: tuple[str, ...], organisation: str) -> list[str]:
    answer = client.get("/api/v1/user/current", accept=(200, 401, 403))
    if answer.status != 200:
        return [f"TheHive refuses thehive.{key} ({answer.status}) in organisation {organisation}: renew or correct it."]
    me = reading.me(reading.document(answer))
    if me.organisation != organisation:
        return [f"thehive.{key} belongs to {me.login} of organisation {me.organisation}, not of {organisation}."]
    return [
        f"thehive.{key} belongs to {me.login}, whose profile {me.profile} lacks {name}."
        for name in wanted
        if name not in me.permissions
    ]


def look(doors: Doors, wish: HiveWish) -> Look:
    """Compare the catalogues with the wish. Raises HttpError."""
    found = Look()
    _fields(doors, wish.fields, found)
    for name in wish.types:
        _type(doors, name, found)
    for template in wish.templates:
        _template(doors, template, found)
    return found


def _fields(doors: Doors, wanted: tuple[Field, ...], found: Look) -> None:
    present = {
        jsonread.text(one, "reference", "name"): jsonread.text(one, "type")
        for one in reading.documents(doors.admin.get(doors.names("customField")))
    }
    for field in wanted:
        what = f"custom field {field.name}"
        if field.name not in present:
            make = partial(doors.admin.post, doors.names("customField"), json=_field_body(field, doors.major))
            found.changes.append(Change(MAKE, what, f" ({field.type})", make))
        elif present[field.name].lower() != field.type:
            text = f"It is of the type {present[field.name]} and must be {field.type}. No type can be changed:"
            lines = (text, "see what uses it, delete it under Custom fields, and run this again.")
            found.steps.append(Step(f"The {what} has the wrong type", lines))
        else:
            found.right.append(what)


def _field_body(field: Field, major: int) -> dict[str, Any]:
    """Version 4 calls the technical name `reference`, and what is shown `name`."""
    shared = {"description": field.description, "type": field.type, "mandatory": False, "options": []}
    if major == 4:
        return {"name": field.title, "reference": field.name, **shared}
    return {"name": field.name, "displayName": field.title, "group": "Wazuh", **shared}


def _type(doors: Doors, name: str, found: Look) -> None:
    what = f"observable type {name}"
    answer = doors.admin.get(f"/api/v1/observable/type/{segment(name)}", accept=(200, 404))
    if answer.status == 404:
        body = {"name": name, "isAttachment": False}
        found.changes.append(Change(MAKE, what, "", partial(doors.admin.post, "/api/v1/observable/type", json=body)))
    elif reading.document(answer).get("isAttachment") is True:
        line = "It is made for files and must hold texts: delete it under Observable types, and run this again."
        found.steps.append(Step(f"The {what} is of the wrong kind", (line,)))
    else:
        found.right.append(what)


def _template(doors: Doors, wanted: Template, found: Look) -> None:
    what = f"case template {wanted.name!r}"
    path = f"/api/v1/caseTemplate/{segment(wanted.name)}"
    answer = doors.owner.get(path, accept=(200, 404))
    if answer.status == 404:
        make = partial(doors.owner.post, "/api/v1/caseTemplate", json=_template_body(wanted))
        found.changes.append(Change(MAKE, what, f" ({len(wanted.tasks)} tasks)", make))
        return
    present = reading.document(answer)
    body, differs = _differences(wanted, present)
    if differs:
        found.changes.append(
            Change(CHANGE, what, f": {'; '.join(differs)}", partial(doors.owner.patch, path, json=body))
        )
    missing = _missing_tasks(wanted, present)
    if missing:
        lines = (f"Organisation > Templates > Case templates > {wanted.name}: add", *(f"  {one}" for one in missing))
        found.steps.append(Step(f"Tasks of the {what}", lines))
    if not differs and not missing:
        found.right.append(what)


def _template_body(wanted: Template) -> dict[str, Any]:
    tasks = [{"group": "default", **task, "order": order} for order, task in enumerate(wanted.tasks)]
    defaults = {"displayName": wanted.name, "description": "Opened by Propolis", "severity": 2, "tlp": 2, "pap": 2}
    return {**defaults, **wanted.fields, "name": wanted.name, "tags": list(wanted.tags), "tasks": tasks}


def _differences(wanted: Template, present: Document) -> tuple[dict[str, Any], list[str]]:
    body: dict[str, Any] = {name: value for name, value in wanted.fields.items() if present.get(name) != value}
    differs = [f"{name} {_shown(present.get(name))} -> {_shown(value)}" for name, value in body.items()]
    tags = jsonread.texts(present.get("tags"))
    lacking = [tag for tag in wanted.tags if tag not in tags]
    if lacking:
        body["tags"] = [*tags, *lacking]
        differs.append(f"tags + {', '.join(lacking)}")
    return body, differs


def _shown(value: Any) -> str:
    text = "nothing" if value in (None, "") else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _missing_tasks(wanted: Template, present: Document) -> list[str]:
    tasks = present.get("tasks")
    titles = [one.get("title") for one in tasks if isinstance(one, Mapping)] if isinstance(tasks, list) else []
    return [task["title"] for task in wanted.tasks if task["title"] not in titles]


def explained(error: PropolisError) -> str:
    """An error of a call, with what it may come from."""
    if isinstance(error, HttpError) and error.status == 403:
        return f"{error.message} The account's profile does not allow it."
    return error.message
