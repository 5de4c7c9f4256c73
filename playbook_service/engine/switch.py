"""The switch by which a person lowers the service's mode while it runs, on every node at once. It never raises it.

Record `control`, key `mode`: state `observe` or `approve` (empty: nothing lowers it); body `by`, `at`, `why`. It is
read in the transaction that claims a step and again in the one that decides or starts something: what commits after
the switch was thrown is decided under it.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from playbook_service.audit.journal import Journal
from playbook_service.playbook import MODES
from playbook_service.store.contract import Record, Transaction
from propolis.errors import InputError

KIND, KEY = "control", "mode"


class Lowered(NamedTuple):
    """How far a person lowered the mode (empty: nobody did), who, when (seconds since the epoch) and why."""

    mode: str = ""
    by: str = ""
    at: float = 0.0
    why: str = ""


class Switch:
    """What this process knows of it. One that has never looked lowers nothing.

    Threads share it, and on PostgreSQL a transaction that began earlier may look later: what it sees never takes the
    place of what is newer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._lowered = Lowered()

    def look(self, work: Transaction) -> None:
        """Know it as this transaction sees it, or better."""
        record = work.get(KIND, KEY)
        version = record.version if record is not None else 0
        with self._lock:
            if version >= self._version:
                self._version, self._lowered = version, _lowered(record)

    def under(self, mode: str) -> str:
        """The more careful of a mode and what the switch leaves of it."""
        return min(mode, self._lowered.mode or mode, key=MODES.index)


class Fixed(Switch):
    """One that nobody throws, for tools that start nothing."""

    def look(self, work: Transaction) -> None:
        """There is nothing to see."""


def lowered(work: Transaction) -> Lowered:
    """How the switch stands."""
    return _lowered(work.get(KIND, KEY))


def _lowered(record: Record | None) -> Lowered:
    return Lowered(record.state, **record.body) if record is not None and record.state else Lowered()


def throw(
    work: Transaction, journal: Journal, mode: str, configured: str, by: str, *, now: float, why: str = ""
) -> Lowered:
    """Lower the mode, or raise it again up to the configured one. Raises InputError for more than that."""
    if mode not in MODES:
        raise InputError(f"The mode is one of {', '.join(MODES)}, not {mode[:40]!r}.")
    if MODES.index(mode) > MODES.index(configured):
        raise InputError(f"The configuration allows {configured} at most: more than that is set there, not here.")
    record: Record | None = work.get(KIND, KEY)
    before = Switch()
    before.look(work)
    state = "" if mode == configured else mode
    work.save(KIND, KEY, {"by": by, "at": now, "why": why}, version=record.version if record else 0, state=state)
    journal.write(
        work, "mode set", operator=by, mode=mode, before=before.under(configured), configured=configured,
        why=why or None,
    )  # fmt: skip
    return lowered(work)
