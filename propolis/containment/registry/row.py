"""Read the registry's rows strictly: a row that says too little or something unknown is refused with its file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from propolis.containment.registry.modules import FOLDER, names
from propolis.errors import ConfigurationError

KINDS = ("ip", "domain", "url", "account", "host", "file")
TESTED = {
    "product": "on the product itself",
    "specification": "against the vendor's specification, not on the product",
    "documentation": "from the vendor's documentation only: *untested on product*",
}
"""How a backend was tested -> the words for it."""
TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "text": str, "number": (int, float), "boolean": bool}
"""What Cortex knows as types of configuration items -> the Python type of a default."""


@dataclass(frozen=True)
class Item:
    """One configuration item, as Cortex shows it."""

    name: str
    type: str
    description: str
    default: str | int | float | bool | None = None
    multi: bool = False
    required: bool = False
    secret: bool = False
    """It must not be seen; Cortex has no such mark, our documentation has."""


@dataclass(frozen=True)
class Row:
    """One backend of one responder."""

    responder: str
    name: str
    product: str
    kinds: tuple[str, ...]
    expires: bool
    """The product ends a containment by itself."""
    marks: bool
    """The product can hold our mark."""
    undo: str
    """What an undo does, and what it does not give back."""
    tested: str
    """A word of `TESTED`."""
    how: str
    rights: str
    doc: str
    """Page in the repository, with its anchor where it has one."""
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Flavour:
    """One definition of a responder: what Cortex lists."""

    name: str
    service: str
    """`contain` or `release`."""
    description: str


@dataclass(frozen=True)
class Responder:
    """A responder with everything that its definitions say."""

    name: str
    version: str
    command: str
    data_types: tuple[str, ...]
    flavours: tuple[Flavour, ...]
    items: tuple[Item, ...]
    """Those that all its backends share."""
    rows: tuple[Row, ...]


_Made = TypeVar("_Made", Item, Flavour)


@lru_cache
def responders() -> tuple[Responder, ...]:
    """All of them. Raises ConfigurationError that names the file and the field."""
    return tuple(responder(path.parent.name) for path in sorted(FOLDER.glob("*/_responder.yml")))


@lru_cache
def responder(name: str, folder: Path = FOLDER) -> Responder:
    """One of them, from the registry in a folder. Raises ConfigurationError."""
    path = folder / name / "_responder.yml"
    given = _read(path)
    _check_names(path, given, {field.name for field in fields(Responder)} - {"name", "rows"})
    return Responder(
        name=name,
        version=str(given["version"]),
        command=given["command"],
        data_types=tuple(given["data_types"]),
        flavours=tuple(_made(path, Flavour, entry) for entry in given["flavours"]),
        items=_items(path, given["items"]),
        rows=tuple(_row(name, folder / name / f"{row}.yml") for row in names(name, folder)),
    )


def _row(name: str, path: Path) -> Row:
    given = _read(path)
    _check_names(path, given, {field.name for field in fields(Row)} - {"responder", "name"})
    unknown = set(given["kinds"]) - set(KINDS)
    if unknown or not given["kinds"]:
        raise _wrong(path, f"kinds must be some of {', '.join(KINDS)}.")
    if given["tested"] not in TESTED:
        raise _wrong(path, f"tested must be one of {', '.join(TESTED)}.")
    for field in ("expires", "marks"):
        if not isinstance(given[field], bool):
            raise _wrong(path, f"{field} must be true or false.")
    for field in ("product", "undo", "how", "rights", "doc"):
        if not isinstance(given[field], str) or not given[field].strip():
            raise _wrong(path, f"{field} must be a text.")
    given |= {"kinds": tuple(given["kinds"]), "items": _items(path, given["items"])}
    return Row(responder=name, name=path.stem, **given)


def _items(path: Path, entries: Any) -> tuple[Item, ...]:
    made = tuple(_made(path, Item, entry) for entry in entries)
    for item in made:
        if item.type not in TYPES:
            raise _wrong(path, f"the type of {item.name} must be one of {', '.join(TYPES)}.")
        if item.default is not None and not isinstance(item.default, TYPES[item.type]):
            raise _wrong(path, f"the default of {item.name} must be a {item.type}.")
        if not item.description.endswith("."):
            raise _wrong(path, f"the description of {item.name} must be a sentence.")
    return made


def _made(path: Path, kind: type[_Made], entry: Any) -> _Made:
    try:
        return kind(**entry)
    except TypeError:
        raise _wrong(
            path, f"{entry!r} is no {kind.__name__.lower()}: see propolis/containment/registry/row.py."
        ) from None


def _read(path: Path) -> dict[str, Any]:
    given = yaml.safe_load(path.read_text("utf-8"))
    if not isinstance(given, dict):
        raise _wrong(path, "it must hold keys and values.")
    return given


def _check_names(path: Path, given: dict[str, Any], wanted: set[str]) -> None:
    if missing := sorted(wanted - set(given)):
        raise _wrong(path, f"{', '.join(missing)} must be given.")
    if unknown := sorted(set(given) - wanted):
        raise _wrong(path, f"{', '.join(unknown)} is not known.")


def _wrong(path: Path, message: str) -> ConfigurationError:
    return ConfigurationError(message, source=f"{path.parent.name}/{path.name}")
