"""What a person sees: one line on a terminal, over and over; else messages in the log, not too many of them."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import IO

from playbook_service.follow.checkpoint import Counts
from propolis.clock import Clock

_LOG = logging.getLogger("propolis.follow")
_REDRAW = 0.2  # seconds
_REMIND = 300.0  # seconds between two messages that it still waits


class Teller:
    """Progress and waiting. Use as a context manager: the line goes away at the end."""

    def __init__(self, terminal: IO[str], clock: Clock):
        self._terminal = terminal if terminal.isatty() else None
        self._clock = clock
        self._began = clock.monotonic()
        self._drawn = float("-inf")
        self._before = -1  # lines of earlier runs
        self._why = ""
        self._told_at = float("-inf")

    def __enter__(self) -> Teller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw("")

    def tick(self, counts: Counts, behind: int) -> None:
        """So much is dealt with, so many bytes of the file are not."""
        if self._before < 0:
            self._before = counts.lines
        now = self._clock.monotonic()
        if now - self._drawn >= _REDRAW:
            self._drawn = now
            self._draw(self._line(counts, behind, now))

    def waiting(self, why: str) -> None:
        """The service does not take lines, for this reason; none: it does again."""
        now = self._clock.monotonic()
        if not why:
            _LOG.info("the service takes alerts again")
            self._why = ""
        elif why != self._why or now - self._told_at >= _REMIND:
            self._why, self._told_at = why, now
            self._draw("")
            _LOG.warning("waiting, nothing is lost: %s", why)

    def _line(self, counts: Counts, behind: int, now: float) -> str:
        rate = (counts.lines - self._before) / max(now - self._began, 0.001)
        words = [f"{counts.sent:,} sent", f"{counts.filtered:,} filtered", f"{counts.set_aside:,} set aside"]
        return ", ".join([*words, f"{rate:,.0f} lines a second", f"{max(0, behind):,} bytes behind"])

    def _draw(self, text: str) -> None:
        if self._terminal is not None:
            self._terminal.write(f"\r\x1b[K{text}")
            self._terminal.flush()
