"""Worker definitions, found and read as Cortex does (`WorkerSrv.scala`, `WorkerDefinition.scala` of Cortex 4.1)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REQUIRED = ("name", "version", "description", "author", "url", "license")


@dataclass(frozen=True)
class WorkerDefinition:
    """One flavour of a worker. `folder` is the worker's own folder; its parent is where it is run."""

    id: str
    type: str
    name: str
    version: str
    description: str
    author: str
    url: str
    license: str
    data_types: tuple[str, ...] = ()
    docker_image: str | None = None
    command: Path | None = None
    folder: Path | None = None
    base_config: str | None = None
    items: tuple[dict[str, Any], ...] = ()
    config: dict[str, Any] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        """As `GET /api/analyzerdefinition` shows it."""
        shown = {
            "id": self.id, "_id": self.id, "_type": self.type, "name": self.name, "version": self.version,
            "description": self.description, "author": self.author, "url": self.url, "license": self.license,
            "dataTypeList": list(self.data_types), "baseConfig": self.base_config,
            "configurationItems": list(self.items), "configuration": self.config, "dockerImage": self.docker_image,
            "command": None if self.command is None else str(self.command),
        }  # fmt: skip
        return {name: value for name, value in shown.items() if value is not None}


@dataclass(frozen=True)
class Catalog:
    """What a scan found: definitions by id, and the entries that could not be used, each with the reason."""

    definitions: dict[str, WorkerDefinition]
    invalid: list[str]


def scan(kind: str, places: Iterable[Path]) -> Catalog:
    """Read folders (every `*.json` directly in each sub-folder) and single files. `kind`: analyzer or responder."""
    found: dict[str, WorkerDefinition] = {}
    invalid: list[str] = []
    for place in places:
        for path in _files(place):
            for entry in _entries(path, invalid):
                definition = _definition(kind, path, entry, invalid)
                if definition is not None:
                    found[definition.id] = definition
    return Catalog(found, invalid)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(path for path in place.glob("*/*.json") if path.is_file()) if place.is_dir() else []


def _entries(path: Path, invalid: list[str]) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        invalid.append(f"{path}: not JSON: {error}")
        return []
    return content if isinstance(content, list) else [content]


def _definition(kind: str, path: Path, entry: Any, invalid: list[str]) -> WorkerDefinition | None:
    missing = [name for name in REQUIRED if not isinstance(entry, dict) or not isinstance(entry.get(name), str)]
    if missing:
        invalid.append(f"{path}: not a worker definition: {', '.join(missing)} missing")
        return None
    folder = path.parent
    command = _command(folder, entry.get("command"))
    if entry.get("command") and command is None:
        invalid.append(f"{path}: the command must lie inside {folder.parent}")
        return None
    return WorkerDefinition(
        id=definition_id(entry["name"], entry["version"]), type=kind, command=command, folder=folder,
        data_types=tuple(entry.get("dataTypeList", ())), docker_image=entry.get("dockerImage"),
        base_config=entry.get("baseConfig"), items=tuple(entry.get("configurationItems", ())),
        config=dict(entry.get("config", {})), **{name: entry[name] for name in REQUIRED},
    )  # fmt: skip


def definition_id(name: str, version: str) -> str:
    """`ConsensusScore` 1.0 -> `ConsensusScore_1_0`."""
    return f"{name}_{version}".replace(".", "_")


def _command(folder: Path, text: Any) -> Path | None:
    if not isinstance(text, str) or not text:
        return None
    home = folder.parent.resolve()
    command = (home / text).resolve()
    return command if command.is_relative_to(home) else None
