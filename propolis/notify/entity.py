"""What is told of a case, alert, task or observable of TheHive: enough to know whether to look, and where.

Reads the v0 shape in which TheHive 4 and 5 hand an object to a responder. Web addresses are told so that nothing makes
a link of them (`https[:]//`), and names of an observable so that nobody opens one by a slip (`evil[.]example.net`).
"""

from __future__ import annotations

import re
from typing import Any

from propolis.containment.target import parent, tags_of
from propolis.errors import InputError
from propolis.http import segment
from propolis.notify.message import Message, visible

KINDS = {"case": "Case", "alert": "Alert", "case_task": "Task", "case_artifact": "Observable"}
"""Kind of TheHive object -> what people call it."""
_SEVERITY = {1: "Low", 2: "Medium", 3: "High", 4: "Critical"}
_URGENT = 3
_LEVELS = ("CLEAR", "GREEN", "AMBER", "RED")
_ADDRESSED = ("domain", "fqdn", "hostname", "url", "uri_path", "mail", "other")
_ID = re.compile(r"~?\w{1,64}")
_LONGEST, _TAGS, _ADDED = 300, 20, 2000  # characters of a line, tags told, characters of an added text


def describe(
    entity: dict[str, Any], kind: str, *, added: str = "", by: str = "", prefix: str = "", base: str = ""
) -> Message:
    """The message about an entity.

    `added` is what somebody wants to say besides, `by` who asked, `prefix` stands before the title, `base` is TheHive's
    web address for people, without which there is no link. Raises InputError for a kind that is not told about.
    """
    if kind not in KINDS:
        raise InputError(f"Notify cannot be started on a {kind}: start it on a case, alert, task or observable.")
    above = parent(entity)
    severity = _number(above.get("severity"))
    lines = [*_own(entity, kind), *_common(above, severity)]
    if added:
        lines += ["", *(safe(line) for line in added[:_ADDED].splitlines())]
    if by:
        lines += ["", f"Sent by {safe(by)}"]
    title = " ".join(part for part in (prefix, _title(entity, kind, above)) if part)
    urgency = "high" if severity >= _URGENT else "info"
    return Message(title, "\n".join(lines), urgency, case=_reference(above), link=_link(above, base))


def safe(value: object) -> str:
    """One line that no reader makes a link of."""
    line = " ".join(visible(str(value)).split()).replace("://", "[:]//")
    line = re.sub(r"(?i)\bwww\.", "www[.]", line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def defanged(data_type: str, data: str) -> str:
    """An observable's value in the way in which dangerous names are written down."""
    if data_type not in _ADDRESSED:
        return safe(data)
    return safe(data.replace("://", "[:]//").replace(".", "[.]").replace("@", "[@]"))


def _title(entity: dict[str, Any], kind: str, above: dict[str, Any]) -> str:
    if kind == "case_task":
        return f"Task {_quoted(entity.get('title'))} of {_named(above)}"
    if kind == "case_artifact":
        return f"Observable {_value(entity)} of {_named(above)}"
    return _named(above)


def _named(above: dict[str, Any]) -> str:
    number = above.get("caseId")
    if isinstance(number, int):
        return f"case #{number}: {safe(above.get('title') or 'without a title')}"
    return f"alert {safe(above.get('sourceRef') or '')}: {safe(above.get('title') or 'without a title')}"


def _own(entity: dict[str, Any], kind: str) -> list[str]:
    if kind == "case_artifact":
        marked = " and ".join(name for name in ("ioc", "sighted") if entity.get(name) is True)
        tags = tags_of(entity)
        return [
            f"{safe(entity.get('dataType'))}: {_value(entity)}" + (f", marked {marked}" if marked else ""),
            *([f"Observable's tags: {_joined(tags)}"] if tags else []),
        ]
    if kind == "case_task":
        status, owner = entity.get("status") or "without a status", entity.get("owner") or "unassigned"
        return [f"Task: {safe(status)}, {safe(owner)}"]
    return []


def _common(above: dict[str, Any], severity: int) -> list[str]:
    marks = [f"{name}:{_level(above[name.lower()])}" for name in ("TLP", "PAP") if name.lower() in above]
    tags = tags_of(above)
    return [
        f"Severity: {_SEVERITY.get(severity, 'not said')}",
        *([" ".join(marks)] if marks else []),
        f"Status: {safe(above.get('status') or 'not said')}",
        *([f"Tags: {_joined(tags)}"] if tags else []),
    ]


def _joined(tags: list[str]) -> str:
    more = f", and {len(tags) - _TAGS} more" if len(tags) > _TAGS else ""
    return safe(", ".join(tags[:_TAGS])) + more


def _value(entity: dict[str, Any]) -> str:
    data, data_type = entity.get("data"), str(entity.get("dataType"))
    if isinstance(data, str) and data:
        return defanged(data_type, data)
    attachment = entity.get("attachment")
    name = attachment.get("name") if isinstance(attachment, dict) else None
    return f"file {defanged('other', str(name))}" if name else "without a value"


def _quoted(value: object) -> str:
    return f"“{safe(value or 'without a title')}”"


def _level(value: object) -> str:
    return _LEVELS[value] if isinstance(value, int) and 0 <= value < len(_LEVELS) else "not said"


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _reference(above: dict[str, Any]) -> str:
    number = above.get("caseId")
    return str(number) if isinstance(number, int) else ""


def _link(above: dict[str, Any], base: str) -> str:
    """Version 5 is recognised by fields that 4 does not send. TheHive 4 has no page for one alert."""
    identity = str(above.get("_id") or "")
    five = any(name in above for name in ("extendedStatus", "stage", "customFieldValues"))
    if "caseId" in above:
        return case_link(base, identity, five=five)
    return f"{base.rstrip('/')}/alerts/{segment(identity)}/details" if five and base and _ID.fullmatch(identity) else ""


def case_link(base: str, identity: str, *, five: bool) -> str:
    """Where people see a case, as TheHive's own address bar has it; empty without a base or for what is no id.

    `five` says whether it is TheHive 5 or later.
    """
    if not base or not _ID.fullmatch(identity):
        return ""
    page = "cases" if five else "index.html#!/case"
    return f"{base.rstrip('/')}/{page}/{segment(identity)}/details"
