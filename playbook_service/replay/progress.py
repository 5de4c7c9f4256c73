"""Progress on a terminal: alerts so far, rate, and how much of the file is read."""

from __future__ import annotations

import os
from types import TracebackType
from typing import IO

from propolis.clock import Clock

EVERY = 500  # items between two looks at the clock
PAUSE = 0.2  # seconds between two lines


class Progress:
    """Writes one line over and over, and only where somebody looks at it."""

    def __init__(self, stream: IO[bytes], terminal: IO[str], clock: Clock):
        self._stream = stream
        self._terminal = terminal if terminal.isatty() else None
        self._clock = clock
        self._size = _size(stream)
        self._began = self._shown = clock.monotonic()
        self._count = 0
        self._wrote = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wrote and self._terminal is not None:
            self._terminal.write("\r\x1b[K")
            self._terminal.flush()

    def tick(self, _number: int) -> None:
        """One more item was handled."""
        self._count += 1
        if self._terminal is None or self._count % EVERY:
            return
        now = self._clock.monotonic()
        if now - self._shown >= PAUSE:
            self._shown = now
            self._terminal.write(f"\r\x1b[K{self._line(now)}")
            self._terminal.flush()
            self._wrote = True

    def _line(self, now: float) -> str:
        rate = self._count / max(now - self._began, 0.001)
        text = f"{self._count:,} alerts, {rate:,.0f} a second"
        return f"{text}, {self._read():.0%} read" if self._size else text

    def _read(self) -> float:
        try:
            return min(1.0, self._stream.tell() / self._size)
        except (OSError, ValueError):
            return 0.0


def _size(stream: IO[bytes]) -> int:
    try:
        return os.fstat(stream.fileno()).st_size if stream.seekable() else 0
    except (OSError, ValueError):
        return 0
