"""The service's drafts as the bodies that TheHive reads."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from playbook_service.hive.model import AlertDraft, ObservableDraft, TaskDraft
from playbook_service.hive.multipart import Part, file_name

Body = dict[str, Any]
_V4_RED = 3  # version 5.2 put AMBER+STRICT at 3 and RED at 4; version 4 (and Cortex) know 3 as RED


def distinct(drafts: Iterable[ObservableDraft]) -> tuple[ObservableDraft, ...]:
    """Each (type, data) once, with the tags of all: equal observables inside one alert broke TheHive 4.0 to 4.1.3."""
    found: dict[tuple[str, str], ObservableDraft] = {}
    for draft in drafts:
        key = (draft.data_type, draft.data)
        other = found.get(key, draft)
        tags = tuple(dict.fromkeys((*other.tags, *draft.tags)))
        found[key] = other._replace(tags=tags, ioc=other.ioc or draft.ioc)
    return tuple(found.values())


def _alert(draft: AlertDraft, major: int) -> Body:
    body: Body = {
        "type": draft.type,
        "source": draft.source,
        "sourceRef": draft.reference,
        "title": draft.title,
        "description": draft.description,
        "severity": draft.severity,
        "date": draft.date,
        "tags": list(dict.fromkeys(draft.tags)),
        "tlp": tlp(draft.tlp, major),
        "pap": draft.pap,
    }
    return body | ({"externalLink": draft.external_link} if draft.external_link else {})


def alert_5(draft: AlertDraft) -> tuple[Body, list[Part]]:
    """An alert for `POST /api/v1/alert` of version 5, and the files that go with it."""
    body = _alert(draft, 5) | {"customFields": dict(draft.custom_fields)}
    observables, parts = [], []
    for place, one in enumerate(distinct(draft.observables)):
        shown = observable(one, 5)
        if one.file is not None:
            shown["attachment"] = f"file{place}"
            parts.append(Part(f"file{place}", one.data, one.file))
        observables.append(shown)
    procedures = [procedure(technique, draft.date) for technique in dict.fromkeys(draft.techniques)]
    return body | {"observables": observables} | ({"procedures": procedures} if procedures else {}), parts


def alert_4(draft: AlertDraft) -> Body:
    """An alert for `POST /api/alert` of version 4: `artifacts`, files inside them, custom fields by type."""
    fields = {
        name: {_kind(value): value, "order": order} for order, (name, value) in enumerate(draft.custom_fields.items())
    }
    artifacts = []
    for one in distinct(draft.observables):
        shown = observable(one, 4)
        if one.file is not None:
            content = base64.b64encode(one.file).decode("ascii")
            shown["data"] = f"{file_name(one.data)};application/octet-stream;{content}"
        artifacts.append(shown)
    return _alert(draft, 4) | {"customFields": fields, "artifacts": artifacts}


def _kind(value: Any) -> str:
    """The name that version 4 has for the type of a custom field's value."""
    kinds: Mapping[type, str] = {bool: "boolean", int: "integer", float: "float"}
    return kinds.get(type(value), "string")


def observable(draft: ObservableDraft, major: int) -> Body:
    """An observable's body; a file's content goes beside it."""
    body: Body = {"dataType": draft.data_type, "tags": list(dict.fromkeys(draft.tags)), "ioc": draft.ioc}
    if draft.file is None:
        body["data"] = draft.data
    if draft.message:
        body["message"] = draft.message
    if draft.tlp is not None:
        body["tlp"] = tlp(draft.tlp, major)
    return body


def tlp(value: int, major: int) -> int:
    """The TLP as that version numbers it."""
    return value if major == 5 else min(value, _V4_RED)


def task(draft: TaskDraft, major: int) -> Body:
    """A task's body."""
    body: Body = {"title": draft.title, "group": draft.group, "status": draft.status, "flag": draft.flag}
    if draft.description:
        body["description"] = draft.description
    if draft.assignee:
        body["assignee" if major == 5 else "owner"] = draft.assignee
    return body


def procedure(technique: tuple[str, str], occurred: int) -> Body:
    """An ATT&CK technique that was seen at a moment."""
    pattern, tactic = technique
    body: Body = {"patternId": pattern, "occurDate": occurred}
    return body | ({"tactic": tactic} if tactic else {})


def custom_fields_5(present: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any]) -> list[Body]:
    """The whole list that version 5 replaces the present one by: the named fields set, all others as they were."""
    kept: list[Body] = []
    placed: set[str] = set()
    for one in present:
        name = str(one.get("name"))
        if name in placed:
            continue
        if name not in wanted:
            kept.append({"name": name, "value": one.get("value"), "order": one.get("order", 0)})
            continue
        placed.add(name)
        kept += _valued(name, wanted[name], one.get("order", 0))
    for name in wanted:
        if name not in placed:
            kept += _valued(name, wanted[name], len(kept))
    return kept


def _valued(name: str, value: Any, order: int) -> list[Body]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return [{"name": name, "value": one, "order": order} for one in values]
