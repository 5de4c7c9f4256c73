"""From files to `Playbooks`: every file read, every fault gathered, and nothing loaded while there is one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from playbook_service.playbook.document import MAX_BYTES, parse
from playbook_service.playbook.fault import PlaybookError, PlaybookErrors
from playbook_service.playbook.model import Playbook, Playbooks
from playbook_service.playbook.reader import read_playbook
from propolis.errors import ConfigurationError

SUFFIXES = (".yml", ".yaml")
SHIPPED = Path(__file__).resolve().parent.parent / "playbooks"
"""The playbooks that come with the service."""

Places = str | Path | Iterable[str | Path]


class Loaded(NamedTuple):
    """What could be read, and what could not and why."""

    playbooks: Playbooks
    faults: tuple[PlaybookError, ...]


def load(directory_or_files: Places) -> Playbooks:
    """Read playbooks from a directory (its *.yml and *.yaml), a file, or several of either.

    Raises PlaybookErrors with all faults of all files, ConfigurationError where a place does not exist, cannot be read
    or holds no playbook.
    """
    loaded = read(directory_or_files)
    if loaded.faults:
        raise PlaybookErrors(loaded.faults)
    return loaded.playbooks


def read(directory_or_files: Places) -> Loaded:
    """As `load`, but faults in files are handed back beside the playbooks that are sound (lint wants both)."""
    faults: list[PlaybookError] = []
    playbooks: list[Playbook] = []
    for file in files(directory_or_files):
        nodes, found = parse(_bytes(file), str(file))
        faults.extend(found)
        if not nodes and not found:
            faults.append(PlaybookError("the file holds no playbook.", source=str(file), line=1))
        playbooks.extend(playbook for node in nodes if (playbook := read_playbook(node, faults)))
    faults.extend(_duplicates(playbooks))
    return Loaded(Playbooks(tuple(playbooks)), tuple(faults))


def files(directory_or_files: Places) -> list[Path]:
    """The files meant, each once: those of a directory sorted by name, hidden ones left out."""
    one = isinstance(directory_or_files, (str, Path))
    places = [directory_or_files] if one else list(directory_or_files)  # type: ignore[arg-type]
    found: dict[Path, None] = {}
    for place in places:
        found.update(dict.fromkeys(_files_at(Path(place))))  # type: ignore[arg-type]
    return list(found)


def _files_at(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise ConfigurationError("there is no such file or directory of playbooks.", source=str(place))
    try:
        entries = sorted(place.iterdir())
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}.", source=str(place)) from None
    found = [entry for entry in entries if _is_playbook(entry)]
    if not found:
        raise ConfigurationError("the directory holds no playbooks (*.yml, *.yaml).", source=str(place))
    return found


def _is_playbook(entry: Path) -> bool:
    return entry.suffix in SUFFIXES and not entry.name.startswith(".") and entry.is_file()


def _bytes(file: Path) -> bytes:
    """At most one byte more than is allowed: enough to know that a file is too large."""
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}.", source=str(file)) from None


def _duplicates(playbooks: list[Playbook]) -> list[PlaybookError]:
    first: dict[str, Playbook] = {}
    faults = []
    for playbook in playbooks:
        known = first.setdefault(playbook.name, playbook)
        if known is not playbook:
            message = f'the name "{playbook.name}" is taken by {known.source}:{known.line}; every playbook has its own.'
            faults.append(PlaybookError(message, source=playbook.source, line=playbook.line, path="name"))
    return faults
