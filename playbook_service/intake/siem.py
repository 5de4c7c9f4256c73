"""Alerts of any other SIEM, through a mapping file, as alerts that the rest of the service reads like Wazuh's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from propolis import yamltree
from propolis.errors import ConfigurationError, InputError

SHIPPED = Path(__file__).with_name("siem.yml")
_KEYS = ("id", "title", "level", "groups", "fields")


class SiemMapping(NamedTuple):
    """Where a sender keeps what: dotted places in its JSON."""

    id: str
    title: str
    severity: str
    levels: Mapping[str, int]
    """Its words for severity -> Wazuh's rule level."""
    groups: str
    fields: Mapping[str, str]
    """Name below `data` of the alert -> place in the sender's JSON."""


def load_mapping(path: Path = SHIPPED) -> SiemMapping:
    """Read a mapping file. Raises ConfigurationError that names the file and what is wrong in it."""
    try:
        root, wrong = yamltree.read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}.", source=str(path)) from None
    if wrong:
        raise ConfigurationError(f"{wrong[0].message}.", source=str(path), line=wrong[0].line)
    document = yamltree.plain(root) if root is not None else None
    if not isinstance(document, dict) or set(document) != set(_KEYS):
        raise ConfigurationError(f"must be a map with exactly the keys {', '.join(_KEYS)}.", source=str(path))
    level, fields = document["level"], document["fields"]
    if not isinstance(level, dict) or not isinstance(level.get("words"), dict):
        raise ConfigurationError("must hold `from` and `words`.", source=str(path), path="level")
    if not all(type(number) is int and 0 <= number <= 16 for number in level["words"].values()):
        raise ConfigurationError("must map words to levels from 0 to 16.", source=str(path), path="level.words")
    if not isinstance(fields, dict):
        raise ConfigurationError("must be a map.", source=str(path), path="fields")
    places = [document["id"], document["title"], level.get("from"), document["groups"], *fields.values()]
    if not all(isinstance(place, str) and place for place in places):
        raise ConfigurationError("holds a place that is no text.", source=str(path))
    words = {str(word).lower(): number for word, number in level["words"].items()}
    return SiemMapping(document["id"], document["title"], level["from"], words, document["groups"], fields)


def to_alert(document: Any, mapping: SiemMapping) -> dict[str, Any]:
    """The alert in Wazuh's shape. Raises InputError where the id, the title or a known severity is missing."""
    if not isinstance(document, dict):
        raise InputError("An alert is a JSON object.")
    severity = _text(_place(document, mapping.severity)).lower()
    if severity not in mapping.levels:
        known = ", ".join(mapping.levels)
        raise InputError(f"{mapping.severity} must be one of {known}, not {severity[:40]!r}.")
    groups = _place(document, mapping.groups)
    data = {name: _place(document, place) for name, place in mapping.fields.items()}
    return {
        "id": _needed(document, mapping.id),
        "rule": {
            "id": "siem",
            "level": mapping.levels[severity],
            "description": _needed(document, mapping.title),
            "groups": ["siem", *(str(group) for group in (groups if isinstance(groups, list) else [groups]) if group)],
        },
        "manager": {"name": "siem"},
        "decoder": {"name": "json"},
        "location": "siem",
        "data": {name: value for name, value in data.items() if value not in (None, "", [])},
    }


def _place(document: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _needed(document: dict[str, Any], dotted: str) -> str:
    text = _text(_place(document, dotted))
    if not text:
        raise InputError(f"{dotted} is missing.")
    return text
