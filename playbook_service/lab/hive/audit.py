"""Who did what when: the audit trail, from which webhooks, flow and stream are drawn."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_KEPT = 200_000


@dataclass(frozen=True)
class Audit:
    """One line. `details` are in v1 form; `context` is the id of what the object is shown with."""

    id: str
    by: str
    at: int
    action: str
    main: bool
    request_id: str
    root: str
    object_id: str
    object_kind: str
    context: str | None
    organisation: str
    details: Mapping[str, Any] = field(default_factory=dict)
    quiet: bool = False
    """Kept for the record, but announced to nobody."""
    title: str | None = None
    """What the case is called in this message, where that differs from its title (an import in progress)."""


class Trail:
    """All audits of one TheHive, and those of the transaction that is going on."""

    def __init__(self) -> None:
        self.lines: deque[Audit] = deque(maxlen=_KEPT)
        self.listeners: list[Callable[[list[Audit]], None]] = []
        self._pending: list[Audit] = []
        self._prefix = f"{secrets.token_hex(8)}:-{secrets.token_hex(4)}:{secrets.token_hex(5)}:-8000"
        self._requests = 0
        self.request_id = ""

    def begin(self) -> None:
        """A new request: what is audited from now on carries its id."""
        self._requests += 1
        self.request_id = f"{self._prefix}:{self._requests}"
        self._pending = []

    def add(self, audit: Audit) -> None:
        """Note a line; it is told when the transaction is committed."""
        self._pending.append(audit)

    def commit(self) -> None:
        """Keep and tell what was noted."""
        pending, self._pending = self._pending, []
        self.lines.extend(pending)
        loud = [audit for audit in pending if not audit.quiet]
        if loud:
            for listener in self.listeners:
                listener(loud)

    def roll_back(self) -> None:
        """Forget what was noted."""
        self._pending = []
