"""Find the one target that a responder was started for: in an observable, an alert or a case.

TheHive hands a responder the object in its v0 shape (4.x and 5.x): an observable has `dataType` and `data`; a case or
an alert brings custom fields and tags but no observables. A target is never guessed and never taken from `parameters`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from propolis.containment.backend import Target
from propolis.errors import InputError

TARGET_TAG = "propolis:target="
"""A tag on a case or alert that names the target: `propolis:target=203.0.113.7`."""


class Wanted(NamedTuple):
    """What one responder can be started on."""

    data_types: tuple[tuple[str, str], ...]
    """Observable data type -> kind of target."""
    fields: tuple[tuple[str, str], ...]
    """Custom field of a case or alert -> kind of target."""
    tag_kind: str
    """The kind of a target that a `propolis:target=` tag names."""
    hints: tuple[tuple[str, str], ...] = ()
    """Custom field -> name of the hint that it becomes."""
    tagged_types: tuple[tuple[str, str, str], ...] = ()
    """(data type, tag the observable must carry, kind): `other` is a user name only when it is tagged as one."""


def find_target(entity: dict[str, Any], entity_type: str, wanted: Wanted) -> Target:
    """The target of a responder's `data`. Raises InputError where there is none, or more than one."""
    kind = entity_type.removeprefix("thehive:")
    if kind == "case_artifact":
        return _of_observable(entity, wanted)
    if kind not in ("case", "alert"):
        raise InputError(
            f"This responder cannot be started on a {kind}: start it on an observable, an alert or a case."
        )
    found = _candidates(entity, wanted)
    values = {(target.kind, target.value.casefold()) for target in found}
    if not found:
        fields = ", ".join(name for name, _ in wanted.fields) or "none"
        raise InputError(
            f"The {kind} names no target: start the responder on an observable, add the tag {TARGET_TAG}<value>, "
            f"or fill a custom field it reads ({fields})."
        )
    if len(values) > 1:
        listed = "; ".join(f"{target.value} ({target.origin})" for target in found)
        raise InputError(f"The {kind} names {len(values)} targets, and exactly one is needed: {listed}.")
    return found[0]


def _of_observable(entity: dict[str, Any], wanted: Wanted) -> Target:
    data_type, data = entity.get("dataType"), entity.get("data")
    kind = dict(wanted.data_types).get(str(data_type)) or _tagged_kind(entity, wanted)
    if kind is None:
        accepted = [name for name, _ in wanted.data_types]
        accepted += [f"{name} tagged {tag}" for name, tag, _ in wanted.tagged_types]
        raise InputError(f"An observable of type {data_type} is no target here; accepted are {', '.join(accepted)}.")
    if not isinstance(data, str) or not data.strip():
        raise InputError("The observable has no data.")
    return Target(kind, data.strip(), "observable", _hints(parent(entity), wanted))


def _tagged_kind(entity: dict[str, Any], wanted: Wanted) -> str | None:
    tags = {tag.casefold() for tag in tags_of(entity)}
    for data_type, tag, kind in wanted.tagged_types:
        if entity.get("dataType") == data_type and tag.casefold() in tags:
            return kind
    return None


def _candidates(entity: dict[str, Any], wanted: Wanted) -> list[Target]:
    hints = _hints(entity, wanted)
    found = [
        Target(wanted.tag_kind, tag[len(TARGET_TAG) :].strip(), f"tag {tag}", hints)
        for tag in tags_of(entity)
        if tag.startswith(TARGET_TAG) and tag[len(TARGET_TAG) :].strip()
    ]
    for name, kind in wanted.fields:
        value = custom_field(entity, name)
        if value:
            found.append(Target(kind, value, f"custom field {name}", hints))
    return found


def _hints(entity: dict[str, Any], wanted: Wanted) -> tuple[tuple[str, str], ...]:
    pairs = ((hint, custom_field(entity, name)) for name, hint in wanted.hints)
    return tuple((hint, value) for hint, value in pairs if value)


def parent(entity: dict[str, Any]) -> dict[str, Any]:
    """The case or alert that an observable hangs on, or the entity itself."""
    for name in ("case", "alert"):
        inner = entity.get(name)
        if isinstance(inner, dict):
            return inner
    return entity


def tags_of(entity: dict[str, Any]) -> list[str]:
    """The tags of an entity, texts only."""
    tags = entity.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def custom_field(entity: dict[str, Any], name: str) -> str:
    """A custom field as text, in any shape TheHive uses: `{"string": "x", "order": 0}`, a plain value, a list."""
    values = entity.get("customFieldValues")
    if isinstance(values, dict) and name in values:
        return _text(values[name])
    fields = entity.get("customFields")
    if isinstance(fields, list):
        fields = {field.get("name"): field for field in fields if isinstance(field, dict)}
    if not isinstance(fields, dict):
        return ""
    field = fields.get(name)
    if isinstance(field, dict):
        typed = [field.get(key) for key in ("string", "integer", "float", "value") if field.get(key) is not None]
        return _text(typed[0]) if typed else ""
    return _text(field)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value).strip()
