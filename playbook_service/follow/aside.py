"""What cannot be sent is set aside: a file of JSON lines with the place, the reason and the bytes themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from playbook_service.follow.tape import Line
from propolis.clock import Clock, utc_text

NAME = "set-aside.jsonl"
LARGEST = 64 * 1024 * 1024
"""Bytes of the file; then it becomes set-aside.jsonl.1, and the one before that is gone."""
_KEPT = 64 * 1024  # bytes of a line


class Outcast(NamedTuple):
    """A line that cannot be sent, and why."""

    file: str
    line: Line
    reason: str


class SetAside:
    """The file in the state folder. After a crash a line may stand in it twice, and none is missing."""

    def __init__(self, folder: Path, clock: Clock, largest: int = LARGEST):
        self.path = folder / NAME
        self._clock = clock
        self._largest = largest

    def add(self, outcasts: Sequence[Outcast]) -> None:
        """Have them on disk when this returns. Raises OSError."""
        if not outcasts:
            return
        if self.path.exists() and self.path.stat().st_size >= self._largest:
            self.path.replace(self.path.with_suffix(".jsonl.1"))
        with self.path.open("a", encoding="utf-8") as stream:
            for outcast in outcasts:
                stream.write(json.dumps(self._document(outcast)) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _document(self, outcast: Outcast) -> dict[str, object]:
        line = outcast.line
        return {
            "at": utc_text(self._clock.now()),
            "file": outcast.file,
            "offset": line.start,
            "bytes": line.size,
            "reason": outcast.reason,
            "line": line.data[:_KEPT].rstrip(b"\n").decode("utf-8", "backslashreplace"),
        }
