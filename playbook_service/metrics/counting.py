"""The tally of the chain in the store: continued with each scrape, kept now and then.

Record `tally`, key `audit:<fold>`: `Tally.to_dict`. Every node goes on by itself in memory from the record it found;
as the fold gives the same whoever does it, it does not matter which node keeps it. What is not kept is counted again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from playbook_service.audit.chain import anchor_of
from playbook_service.audit.journal import LOG
from playbook_service.metrics.family import Measured
from playbook_service.metrics.hours import Hours
from playbook_service.metrics.tally import FOLD, Tally
from playbook_service.store.contract import Conflict, Entry, Record, Store, Transaction

KIND, KEY = "tally", f"audit:{FOLD}"
KEPT_EVERY = 1_000
"""Lines after which the record is saved again."""
_PAGE = 500
_PAGES_EACH = 20
"""Pages that one scrape counts at most: one that comes before the first count has ended answers all the same."""


class Counted(NamedTuple):
    """What was counted, and how many lines were not yet."""

    families: list[Measured]
    behind: int
    newest: int
    """Number of the chain's newest line."""


class Counting:
    """The tally of one store. Threads may share it."""

    def __init__(self, store: Store):
        self._store = store
        self._lock = threading.Lock()
        self._tally: Tally | None = None
        self._kept = 0

    def look(self) -> Counted:
        """Count what is new, and tell the sums. Raises StoreError."""
        with self._lock:
            for _ in range(_PAGES_EACH):
                newest = self._page()
                if self._upto() >= newest:
                    break
            tally = self._tally or Tally()
            return Counted(tally.measured(), max(0, newest - tally.upto.number), newest)

    def catch_up(self, stopped: Callable[[], bool]) -> None:
        """Count all there is, a page at a time, so that scrapes are answered meanwhile. Raises StoreError."""
        while not stopped():
            with self._lock:
                if self._page() <= self._upto():
                    return

    def keep(self) -> None:
        """Save what was counted, however little it is. Raises StoreError."""
        with self._lock:
            if self._tally is not None and self._upto() > self._kept:
                self._keep(self._tally)

    def _upto(self) -> int:
        return self._tally.upto.number if self._tally else 0

    def _page(self) -> int:
        """Count some lines; returns the number of the newest there is."""
        with self._store.reading() as work:
            if self._tally is None:
                self._tally = self._begun(work.get(KIND, KEY))
            newest = work.last(LOG)
            self._see_end(self._tally, newest)
            lines = work.read(LOG, after=self._tally.upto.number, limit=_PAGE)
        self._tally.count([entry.body for entry in lines])
        if self._upto() - self._kept >= KEPT_EVERY:
            self._keep(self._tally)
        return max(newest.number if newest else 0, self._upto())

    def _begun(self, record: Record | None) -> Tally:
        tally = (Tally.of(record.body) if record is not None else None) or Tally()
        self._kept = tally.upto.number
        return tally

    @staticmethod
    def _see_end(tally: Tally, newest: Entry | None) -> None:
        if newest is not None and newest.number < tally.upto.number:
            tally.cut_off(anchor_of(newest.body))

    def _keep(self, tally: Tally) -> None:
        with suppress(Conflict), self._store.transaction() as work:  # another node keeps the same at this moment
            _save(work, tally)
        self._kept = tally.upto.number


class Lately(NamedTuple):
    """The hours as they can be told without a scan: up to the line `upto` of the chain's `newest`. `uncounted` lines
    are not in what is kept."""

    hours: Hours
    upto: int
    newest: int
    uncounted: int


def lately(work: Transaction, most: int) -> Lately:
    """The kept hours, with at most so many lines that came since. They are not verified: a scrape does that."""
    record, newest = work.get(KIND, KEY), work.last(LOG)
    tally = (Tally.of(record.body) if record is not None else None) or Tally()
    lines = work.read(LOG, after=tally.upto.number, limit=most)
    for line in lines:
        if isinstance(line.body, dict):
            tally.hours.count(line.body)
    end = newest.number if newest else 0
    return Lately(tally.hours, tally.upto.number + len(lines), end, max(0, end - tally.upto.number))


def _save(work: Transaction, tally: Tally) -> None:
    record = work.get(KIND, KEY)
    if record is None or int(record.body["number"]) < tally.upto.number:
        work.save(KIND, KEY, tally.to_dict(), version=record.version if record else 0)
