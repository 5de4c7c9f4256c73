"""Progress of an export on a terminal: how many documents there are so far."""

from __future__ import annotations

from types import TracebackType
from typing import TextIO

from propolis.clock import Clock

EVERY, PAUSE = 500, 0.2  # documents between two looks at the clock; seconds between two lines


class Counted:
    """Writes one line over and over, and only where somebody looks at it."""

    def __init__(self, terminal: TextIO, clock: Clock):
        self._terminal = terminal if terminal.isatty() else None
        self._clock = clock
        self._shown = clock.monotonic()

    def __enter__(self) -> Counted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._say("")

    def tick(self, number: int) -> None:
        """So many documents are written."""
        if number % EVERY or self._clock.monotonic() - self._shown < PAUSE:
            return
        self._shown = self._clock.monotonic()
        self._say(f"{number:,} documents")

    def _say(self, text: str) -> None:
        if self._terminal is not None:
            self._terminal.write(f"\r\x1b[K{text}")
            self._terminal.flush()
