"""What a body may hold, as tables of fields: types, limits, defaults. Unknown keys are ignored, as TheHive does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playbook_service.lab.exchange import attribute_error

MIB = 1024 * 1024


@dataclass(frozen=True)
class Field:
    """`kind`: text, number, flag, date, texts, list, object or any. `most`: length of a text, or of each of `texts`."""

    kind: str
    required: bool = False
    default: Any = None
    most: int | None = None
    low: int | None = None
    high: int | None = None
    choice: tuple[str, ...] = ()


Table = Mapping[str, Field]

TEXT, FLAG, DATE = Field("text"), Field("flag"), Field("date")
SEVERITY = Field("number", default=2, low=1, high=4)
PAP = Field("number", default=2, low=0, high=3)
TAGS = Field("texts", default=(), most=128)
BODY = Field("text", required=True, most=MIB)


def tlp(version: int) -> Field:
    """The TLP field: 0 to 4 since 5.2, 0 to 3 before."""
    return Field("number", default=2, low=0, high=4 if version == 5 else 3)


def read(table: Table, document: Mapping[str, Any], now: int, *, partial: bool = False) -> dict[str, Any]:
    """The fields of a body. `partial` (an update) demands and fills in nothing; an explicit null becomes None."""
    values: dict[str, Any] = {}
    missing = [name for name, field in table.items() if field.required and document.get(name) is None]
    if missing and not partial:
        raise attribute_error(f"Missing attribute: {', '.join(missing)}", errors=[_missing(name) for name in missing])
    for name, field in table.items():
        if document.get(name) is not None:
            values[name] = _checked(name, field, document[name])
        elif partial and name in document:
            values[name] = None
        elif not partial:
            default = _default(field, now)
            if default is not None:
                values[name] = default
    return values


def texts(document: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts (ids, names) in a body; none where there is no such key. Raises ApiError."""
    found = document.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise attribute_error(f"Invalid format for {name}: a list of texts is expected")
    return list(found)


def rows(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects in a body; none where there is no such key. Raises ApiError."""
    found = document.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise attribute_error(f"Invalid format for {name}: a list of objects is expected")
    return list(found)


def _missing(name: str) -> dict[str, str]:
    return {"name": name, "type": "MissingAttributeError"}


def _default(field: Field, now: int) -> Any:
    if field.kind == "date" and field.default == "now":
        return now
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _checked(name: str, field: Field, value: Any) -> Any:
    if not _KINDS[field.kind](value):
        raise attribute_error(f"Invalid format for {name}: {field.kind} is expected")
    if field.kind in ("number", "date") and not _inside(field, value):
        raise attribute_error(f"Invalid value for {name}: {value} is not between {field.low} and {field.high}")
    texts = value if field.kind == "texts" else [value] if field.kind == "text" else []
    if field.most is not None and any(len(text) > field.most for text in texts):
        raise attribute_error(f"Invalid value for {name}: longer than {field.most} characters")
    if field.choice and value not in field.choice:
        raise attribute_error(f"Invalid value for {name}: {value} is none of {', '.join(field.choice)}")
    return list(dict.fromkeys(value)) if field.kind == "texts" else value


def _inside(field: Field, value: float) -> bool:
    return (field.low is None or value >= field.low) and (field.high is None or value <= field.high)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: dict[str, Any] = {
    "text": lambda value: isinstance(value, str),
    "number": _is_number,
    "date": _is_number,
    "flag": lambda value: isinstance(value, bool),
    "texts": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "any": lambda value: True,
}


def with_tags(present: list[str], document: Mapping[str, Any]) -> list[str] | None:
    """The tags after `tags`, `addTags` and `removeTags` (v5), None where the body says nothing of them."""
    if not {"tags", "addTags", "removeTags"} & set(document):
        return None
    tags = read({"tags": TAGS, "addTags": TAGS, "removeTags": TAGS}, document, 0, partial=True)
    base = present if tags.get("tags") is None else tags["tags"]
    taken = set(tags.get("removeTags") or ())
    return [tag for tag in dict.fromkeys([*base, *(tags.get("addTags") or ())]) if tag not in taken]
