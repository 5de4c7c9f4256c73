"""The story's lines: when, who, what. For a terminal as they happen, for a program all at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TextIO

from playbook_service.replay.table import Paper, plain
from propolis.clock import Clock

WIDTH = 100
_WHEN, _WHO = 6, 9
_INDENT = " " * (_WHEN + _WHO + 2)
KINDS = {
    "Wazuh": "suppressed", "TheHive": "suppressed", "Cortex": "suppressed", "Propolis": "head", "probe": "stopped",
    "analyst": "ask", "approver": "ask", "operator": "ask",
}  # fmt: skip
"""Who speaks -> the colour of the name."""


class Voice:
    """Tells the story. `out` None: keeps quiet and only remembers."""

    def __init__(self, clock: Clock, out: TextIO | None, *, colour: bool = False, width: int = WIDTH):
        self.paper = Paper(width, colour=colour)
        self.lines: list[tuple[float, str, str]] = []
        self._clock = clock
        self._out = out
        self._began = clock.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock.monotonic() - self._began

    def act(self, title: str) -> None:
        """A new part of the story."""
        self._print("")
        self._print(self.paper.ink(f"{self.elapsed:5.1f}s {title}", "head"))
        self.lines.append((round(self.elapsed, 2), "", title))

    def tell(self, who: str, text: str, kind: str = "") -> None:
        """One thing that happened."""
        self.lines.append((round(self.elapsed, 2), who, text))
        first, *rest = textwrap.wrap(plain(text), self.paper.width - len(_INDENT), break_on_hyphens=False) or [""]
        name = self.paper.ink(f"{who:<{_WHO}}", KINDS.get(who, "dim"))
        self._print(f"{self.elapsed:5.1f}s {name} {self.paper.ink(first, kind)}")
        for line in rest:
            self._print(_INDENT + self.paper.ink(line, kind))

    def quote(self, lines: Iterable[str]) -> None:
        """A text that stands somewhere, as it stands there."""
        for line in lines:
            for part in textwrap.wrap(
                plain(line), self.paper.width - len(_INDENT) - 2, subsequent_indent="  ", break_on_hyphens=False
            ) or [""]:
                self._print(self.paper.ink(f"{_INDENT}| {part}".rstrip(), "dim"))

    def line(self, text: str = "") -> None:
        """A line of the summary."""
        self._print(text)

    def _print(self, text: str) -> None:
        if self._out is not None:
            print(text, file=self._out, flush=True)
