"""How far a file was followed: the last line that is dealt with, kept on disk so that a crash costs nothing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from propolis.errors import ConfigurationError

NAME = "checkpoint.json"
DIGESTED = 64 * 1024
"""Bytes at the beginning of a line that it is known again by."""


@dataclass(frozen=True)
class Checkpoint:
    """The last line that is dealt with: where it lies and what it is, so that a file is known again by its content."""

    inode: int
    """Of the file it lies in; a hint only, since numbers are used again and packed files get a new one."""
    start: int
    """First byte of the line."""
    offset: int
    """First byte after it, its line break included; in an unpacked file's count, also where the file is packed."""
    digest: str
    """Of the line, its break included; empty where no line of the file is dealt with yet."""
    written: float
    """When the file was last written, as its file system said then: what was not written since holds nothing new."""


def digest_of(line: bytes) -> str:
    """SHA-256 in hex; of a very long line its first 64 KiB count."""
    return hashlib.sha256(line[:DIGESTED]).hexdigest()


@dataclass(frozen=True)
class Counts:
    """What became of the lines, since the state folder was made."""

    sent: int = 0
    """Acknowledged by the service."""
    known: int = 0
    """Of these, the ones that the service had already."""
    filtered: int = 0
    set_aside: int = 0

    def plus(self, more: Counts) -> Counts:
        """Both together."""
        return Counts(*(mine + theirs for mine, theirs in zip(self.numbers(), more.numbers(), strict=True)))

    @property
    def lines(self) -> int:
        """All that were dealt with, blank ones left out."""
        return self.sent + self.filtered + self.set_aside

    def numbers(self) -> tuple[int, ...]:
        """In the order of the fields."""
        return self.sent, self.known, self.filtered, self.set_aside


class StateFolder:
    """The folder of the checkpoint and of what was set aside; one process at a time works with it."""

    def __init__(self, folder: Path, file: Path):
        self.folder = folder
        self._file = str(file)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder. Raises ConfigurationError where it cannot be used, or another process holds it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            stream = (self.folder / "lock").open("ab")
        except OSError as error:
            raise ConfigurationError(f"cannot be used: {error.strerror}.", source=str(self.folder)) from None
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sentence = "another `propolis follow` works with this folder; give this one its own --state."
                raise ConfigurationError(sentence, source=str(self.folder)) from None
            yield

    def load(self) -> tuple[Checkpoint, Counts] | None:
        """The checkpoint; None where there is none yet. Raises ConfigurationError where it is damaged or another's."""
        path = self.folder / NAME
        try:
            document = json.loads(path.read_bytes())
            checkpoint, counts = _read(document)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"cannot be read: {error.strerror}.", source=str(path)) from None
        except (ValueError, TypeError, KeyError):
            sentence = "is no checkpoint: restore it, or remove it and say with --from where to begin."
            raise ConfigurationError(sentence, source=str(path)) from None
        if document["file"] != self._file:
            sentence = f"belongs to {document['file']}: give each file that is followed its own --state."
            raise ConfigurationError(sentence, source=str(path))
        return checkpoint, counts

    def save(self, checkpoint: Checkpoint, counts: Counts) -> None:
        """Have it on disk when this returns: the old one or the new one, never half of one. Raises OSError."""
        document = {"file": self._file, **asdict(checkpoint), "counts": asdict(counts)}
        unfinished = self.folder / f"{NAME}.new"
        with unfinished.open("w", encoding="utf-8") as stream:
            json.dump(document, stream)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(self.folder / NAME)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(document: dict[str, Any]) -> tuple[Checkpoint, Counts]:
    whole = {name: int(document[name]) for name in ("inode", "start", "offset")}
    if not 0 <= whole["start"] <= whole["offset"]:
        raise ValueError("start and offset")
    counts = Counts(**{name: int(value) for name, value in document["counts"].items()})
    return Checkpoint(**whole, digest=str(document["digest"]), written=float(document["written"])), counts
