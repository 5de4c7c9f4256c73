"""A test's clock that several processes share through a file: one moves it, all the others follow.

It stands still until it is moved. It is for the lab and for tests against it; nothing else takes one.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from propolis.clock import Clock
from propolis.errors import InputError

_LOOK = 0.005  # seconds of real time between looks at the file while somebody sleeps
_START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class SharedClock(Clock):
    """Reads `{"now": ..., "monotonic": ...}` (seconds) from a file; made there where it does not exist yet."""

    def __init__(self, path: Path, now: float = _START):
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._times = (now, 0.0)
        if not path.exists():
            self._write(now, 0.0)

    def now(self) -> float:
        return self._read()[0]

    def monotonic(self) -> float:
        return self._read()[1]

    def sleep(self, seconds: float) -> None:
        """Wait until somebody has moved the clock that far."""
        deadline = self.monotonic() + max(0.0, seconds)
        pause = threading.Event()
        while self.monotonic() < deadline:
            pause.wait(_LOOK)

    def advance(self, seconds: float) -> None:
        """Let time pass, for everybody who reads the file."""
        now, monotonic = self._read()
        self._write(now + seconds, monotonic + seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; monotonic time does not notice."""
        now, monotonic = self._read()
        self._write(now + seconds, monotonic)

    def _read(self) -> tuple[float, float]:
        with self._lock:
            status = self._path.stat()
            mark = (status.st_mtime_ns, status.st_ino)
            if mark != self._seen:
                try:
                    document = json.loads(self._path.read_text(encoding="utf-8"))
                    self._times = (float(document["now"]), float(document["monotonic"]))
                except (ValueError, KeyError, TypeError):
                    raise InputError("This is not a clock file of the lab.", source=str(self._path)) from None
                self._seen = mark
            return self._times

    def _write(self, now: float, monotonic: float) -> None:
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        part.write_text(json.dumps({"now": now, "monotonic": monotonic}), encoding="utf-8")
        os.replace(part, self._path)  # whoever reads sees the old times or the new ones
