"""Recognise a webhook of TheHive in any of its four dialects (TheHive 4 or 5, webhook version 0 or 1).

A webhook is a hint: it says that something happened to an entity, not what the entity now is. So no key of `object` is
required, and what is kept is who changed what when, a key to recognise a repetition by, and the few changed fields that
decide whether anybody has to look at all. Envelope by dialect: TheHive 4.1.24 and 5.1 to 5.7 (audit messages).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from propolis.errors import InputError

_TYPES = {
    "case": "case",
    "alert": "alert",
    "observable": "observable",
    "case_artifact": "observable",
    "task": "task",
    "case_task": "task",
    "log": "log",
    "case_task_log": "log",
    "comment": "comment",
    "attachment": "attachment",
    "procedure": "procedure",
    "job": "job",
    "case_artifact_job": "job",
    "action": "action",
}
_VERBS = {"create": "create", "creation": "create", "update": "update", "delete": "delete", "merge": "merge"}


class Hook(NamedTuple):
    """One thing that happened in TheHive, as it was told."""

    dialect: str
    """`v5v1`, `v5v0`, `v4v1` or `v4v0`."""
    key: str
    """Equal for repetitions of one message."""
    verb: str
    """`create`, `update`, `delete`, `merge`, or TheHive's own word in lower case."""
    entity: str
    """`case`, `alert`, `observable`, `task`, `log`, `job`, `action`, ..., or TheHive's own word in lower case."""
    entity_id: str
    root_id: str
    """The case, or the alert of an alert's observable; empty where it was not said."""
    organisation: str
    actor: str
    """Login of who did it; empty in TheHive 4, which does not say."""
    at: int
    """Milliseconds since the epoch; 0 where it was not said."""
    details: dict[str, Any]
    """The changed fields."""


def read_hook(body: Any) -> Hook:
    """The hook in a parsed body. Raises InputError for what is no message of TheHive's."""
    if not isinstance(body, dict):
        raise InputError("A webhook of TheHive is a JSON object.")
    dialect = _dialect(body)
    entity_id = body.get("objectId")
    word = body.get("objectType")
    verb = body.get("action") if dialect == "v5v1" else body.get("operation")
    if not (_filled(word) and _filled(verb)) or not isinstance(entity_id, str):
        raise InputError("This is no webhook of TheHive: objectType, objectId and action (or operation) are needed.")
    details = body.get("details")
    hook = Hook(
        dialect=dialect,
        key="",
        verb=_VERBS.get(str(verb).lower(), str(verb).lower()),
        entity=_TYPES.get(str(word).lower(), str(word).lower()),
        entity_id=entity_id,
        root_id=_text(body.get("rootId")),
        organisation=_organisation(body.get("organisation")),
        actor=_text(body.get("_createdBy") or body.get("createdBy")),
        at=_moment(body),
        details=details if isinstance(details, dict) else {},
    )
    return hook._replace(key=_key(body, hook))


def _dialect(body: dict[str, Any]) -> str:
    kind = body.get("_type")
    if kind == "Audit":
        return "v5v1"
    if kind == "audit":
        return "v5v0"
    word = body.get("objectType")
    return "v4v1" if isinstance(word, str) and word[:1].isupper() else "v4v0"


def _key(body: dict[str, Any], hook: Hook) -> str:
    """The audit id where there is one, else a hash of what tells one message from another.

    TheHive 5.1 sends an empty `_id` for observables of alerts, TheHive 4 none at all; one request causes several
    messages.
    """
    audit_id = body.get("_id")
    if _filled(audit_id):
        return f"{hook.organisation}:{audit_id}"
    told: list[Any] = [_text(body.get("requestId")), hook.entity, hook.entity_id, hook.verb, hook.details]
    if not told[0]:
        told.append(hook.at)
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return f"{hook.organisation}:{hashlib.sha256(text.encode()).hexdigest()}"


def _organisation(value: Any) -> str:
    return _text(value.get("organisation")) if isinstance(value, dict) else _text(value)


def _moment(body: dict[str, Any]) -> int:
    for name in ("_createdAt", "createdAt", "startDate"):
        value = body.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 0


def _filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
