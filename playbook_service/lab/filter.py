"""The query language that TheHive and Cortex share, as a predicate over an entity's fields.

A getter gives the value of a field by its dotted name, or MISSING. Both forms of an operand are read:
`{"_gte": {"_field": "date", "_value": 1}}` and `{"_gte": {"date": 1}}`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any

from playbook_service.lab.exchange import bad_request

Getter = Callable[[str], Any]
MISSING: Any = object()
_UNITS = {
    "second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000,
    "month": 2_592_000_000, "year": 31_536_000_000,
}  # fmt: skip


def matches(expression: Mapping[str, Any], get: Getter, now: int = 0) -> bool:
    """Whether an entity passes; an empty expression passes all. `now` (epoch ms) is what relative dates refer to."""
    if not isinstance(expression, Mapping):
        raise bad_request("A filter must be an object")
    if "_field" in expression:  # the old short form of `_is`
        return _same(get(str(expression["_field"])), expression.get("_value"))
    return all(_holds(operator, operand, get, now) for operator, operand in expression.items() if operator != "_name")


def _holds(operator: str, operand: Any, get: Getter, now: int) -> bool:
    if not operator.startswith("_"):
        return _same(get(operator), operand)
    if operator in _LOGIC:
        return _LOGIC[operator](operand, get, now)
    if operator in _COMPARISONS:
        field, value = _operand(operand)
        found = get(field)
        return found is not MISSING and _COMPARISONS[operator](found, _moment(value, now))
    raise bad_request(f"Unknown filter: {operator}")


def _operand(operand: Any) -> tuple[str, Any]:
    if not isinstance(operand, Mapping):
        raise bad_request("A filter needs {_field, _value}")
    if "_field" in operand:
        return str(operand["_field"]), operand.get("_value")
    if len(operand) != 1:
        raise bad_request("A filter needs {_field, _value}")
    return next(iter(operand.items()))


def _moment(value: Any, now: int) -> Any:
    if not isinstance(value, Mapping) or "unit" not in value:
        return value
    span = int(value.get("amount", 0)) * _UNITS.get(str(value["unit"]).lower().removesuffix("s"), 0)
    return now - span if value.get("look", "behind") == "behind" else now + span


def _same(found: Any, value: Any) -> bool:
    if isinstance(found, (list, tuple)) and not isinstance(value, list):
        return any(_same(item, value) for item in found)
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    return bool(found == value)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def check(found: Any, value: Any) -> bool:
        comparable = isinstance(found, (int, float)) and isinstance(value, (int, float))
        return (comparable or (isinstance(found, str) and isinstance(value, str))) and compare(found, value)

    return check


def _texts(found: Any) -> list[str]:
    return [str(item) for item in (found if isinstance(found, (list, tuple)) else [found])]


def _like(found: Any, value: Any) -> bool:
    pattern = re.compile(fnmatch.translate(str(value)), re.IGNORECASE)
    return any(pattern.match(text) for text in _texts(found))


def _words(found: Any, value: Any) -> bool:
    wanted = set(re.findall(r"\w+", str(value).lower()))
    return any(wanted <= set(re.findall(r"\w+", text.lower())) for text in _texts(found))


def _ruled(operand: Any) -> Mapping[str, Any]:
    if not isinstance(operand, Mapping) or "_field" not in operand:
        raise bad_request("A filter needs a _field")
    return operand


def _listed(operand: Any) -> list[Mapping[str, Any]]:
    if not isinstance(operand, list) or not all(isinstance(one, Mapping) for one in operand):
        raise bad_request("_and and _or need a list of filters")
    return operand


def _between(operand: Any, get: Getter, now: int) -> bool:
    found = get(str(_ruled(operand)["_field"]))
    start, end = _moment(operand.get("_from"), now), _moment(operand.get("_to"), now)
    return isinstance(found, (int, float)) and (start is None or found >= start) and (end is None or found < end)


def _among(operand: Any, get: Getter, now: int) -> bool:
    found = get(str(_ruled(operand)["_field"]))
    values = operand.get("_values") or []
    return found is not MISSING and any(_same(found, value) for value in values)


def _present(operand: Any, get: Getter) -> bool:
    name = operand.get("_field") if isinstance(operand, Mapping) else operand
    return get(str(name)) not in (MISSING, None)


def _empty(operand: Any, get: Getter, now: int) -> bool:
    name = operand.get("_field") if isinstance(operand, Mapping) else operand
    return get(str(name)) in (MISSING, None, "", [], {})


def _everyone(operand: Any, get: Getter, now: int) -> bool:
    return all(matches(item, get, now) for item in _listed(operand))


def _anyone(operand: Any, get: Getter, now: int) -> bool:
    return any(matches(item, get, now) for item in _listed(operand))


def _array(operand: Any, get: Getter, now: int) -> bool:
    found = get(str(_ruled(operand)["_field"]))
    inner = operand.get("_filter") or operand.get("_value") or {}
    return isinstance(found, list) and any(matches(inner, reader(item), now) for item in found)


_LOGIC: dict[str, Callable[[Any, Getter, int], bool]] = {
    "_and": _everyone,
    "_or": _anyone,
    "_not": lambda operand, get, now: not matches(operand, get, now),
    "_any": lambda operand, get, now: True,
    "_between": _between,
    "_in": _among,
    "_has": lambda operand, get, now: _present(operand, get),
    "_contains": lambda operand, get, now: _present(operand, get),
    "_empty": _empty,
    "_id": lambda operand, get, now: _same(get("_id"), operand),
    "_arrayMatch": _array,
}

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "_is": _same,
    "_eq": _same,
    "_ne": lambda found, value: not _same(found, value),
    "_lt": _ordered(lambda found, value: bool(found < value)),
    "_lte": _ordered(lambda found, value: bool(found <= value)),
    "_gt": _ordered(lambda found, value: bool(found > value)),
    "_gte": _ordered(lambda found, value: bool(found >= value)),
    "_startsWith": lambda found, value: any(text.startswith(str(value)) for text in _texts(found)),
    "_endsWith": lambda found, value: any(text.endswith(str(value)) for text in _texts(found)),
    "_like": _like,
    "_wildcard": _like,
    "_match": _words,
}


def reader(document: Any) -> Getter:
    """A getter over plain JSON, by dotted path; keys that hold dots themselves are found too."""

    def get(path: str) -> Any:
        return _walk(document, path)

    return get


def _walk(node: Any, path: str) -> Any:
    if isinstance(node, Mapping):
        if path in node:
            return node[path]
        parts = path.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            head = ".".join(parts[:cut])
            if head in node:
                return _walk(node[head], ".".join(parts[cut:]))
    return MISSING


def sort_key(value: Any) -> tuple[int, Any]:
    """Orders mixed values: missing ones first, then numbers, then texts."""
    if value is MISSING or value is None:
        return (0, 0)
    if isinstance(value, (int, float)):
        return (1, value)
    return (2, str(value).lower())
