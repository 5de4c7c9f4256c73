"""A file of lines that is read from a place on, packed or not, and the cutting of its bytes into lines."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from playbook_service.follow.checkpoint import DIGESTED, Checkpoint, digest_of

_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)


class Line(NamedTuple):
    """A line with its break. Of one that is too long only the beginning is here, and its true length in `size`."""

    start: int
    data: bytes
    size: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.start + self.size

    @property
    def overlong(self) -> bool:
        """Whether there was more of it than may be."""
        return self.size > len(self.data)


class Tape:
    """An opened file. It stays readable when it is renamed or removed meanwhile."""

    def __init__(self, path: Path):
        self.path = path
        self.packed = path.suffix == ".gz"
        self._file = path.open("rb")
        self._unpacked = gzip.GzipFile(fileobj=self._file) if self.packed else None
        self.damaged = False
        """What is left of a packed file cannot be unpacked."""
        self.inode = os.fstat(self._file.fileno()).st_ino

    def read(self, place: int, size: int) -> bytes:
        """Up to `size` bytes from there on; empty at the end. In a packed file going back is dear.

        A packed file that is damaged ends there.
        """
        if self._unpacked is None:
            return os.pread(self._file.fileno(), size, place)
        try:
            self._unpacked.seek(place)
            return self._unpacked.read(size)
        except _DAMAGED:
            self.damaged = True
            return b""

    def size(self) -> int:
        """Bytes there are now; 0 for a packed file, which does not say."""
        return 0 if self.packed else os.fstat(self._file.fileno()).st_size

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint's line lies here, in its place: then this is its file, or a copy of it."""
        if not self.packed and self.size() < checkpoint.offset:
            return False
        line = self.read(checkpoint.start, min(checkpoint.offset - checkpoint.start, DIGESTED))
        return digest_of(line) == checkpoint.digest

    def checkpoint(self, line: Line | None) -> Checkpoint:
        """The checkpoint after a line of this file; before its first one where there is none."""
        written = os.fstat(self._file.fileno()).st_mtime
        if line is None:
            return Checkpoint(self.inode, 0, 0, "", written)
        return Checkpoint(self.inode, line.start, line.end, digest_of(line.data), written)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Cutter:
    """Cuts bytes into lines. Holds at most `longest` bytes of a line that is not ended yet."""

    def __init__(self, place: int, longest: int):
        self._longest = longest
        self.start = place
        """Where the line begins that is not ended yet."""
        self._held = bytearray()
        self._size = 0

    @property
    def place(self) -> int:
        """Where to read on."""
        return self.start + self._size

    def feed(self, data: bytes) -> Iterator[Line]:
        """The lines that end within these bytes, which follow those of the last call."""
        begin = 0
        while (found := data.find(b"\n", begin)) >= 0:
            self._hold(data[begin : found + 1])
            yield self._ended()
            begin = found + 1
        self._hold(data[begin:])

    def rest(self) -> Line | None:
        """A last line without a break, of a file that has ended."""
        return self._ended() if self._size else None

    def _hold(self, data: bytes) -> None:
        self._size += len(data)
        self._held += data[: max(0, self._longest - len(self._held))]

    def _ended(self) -> Line:
        line = Line(self.start, bytes(self._held), self._size)
        self.start += self._size
        self._held.clear()
        self._size = 0
        return line
