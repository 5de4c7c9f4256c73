"""A store in memory: for tests, and the shortest statement of what the contract means."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playbook_service.store.contract import (
    Backlog,
    Body,
    Conflict,
    Entry,
    Filter,
    Item,
    LostClaim,
    Record,
    Store,
    Transaction,
)
from propolis.clock import Clock

WAITING, CLAIMED, DONE, DEAD = "waiting", "claimed", "done", "dead"


class _Work:
    """An item's row."""

    def __init__(self, item: Item):
        self.item = item
        self.state = WAITING
        self.lease_until = 0.0
        self.ended_at = 0.0


class MemoryStore(Store):
    """One lock, plain dictionaries, and a list of undo steps while a transaction runs."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._work: dict[tuple[str, str], _Work] = {}
        self._records: dict[tuple[str, str], Record] = {}
        self._logs: dict[str, list[Entry]] = {}

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._lock:
            undo: list[Callable[[], None]] = []
            try:
                yield _MemoryTransaction(self, undo)
            except BaseException:
                for step in reversed(undo):
                    step()
                raise

    def check(self) -> None:
        with self.transaction():
            return

    def compact(self) -> None:
        return None

    def close(self) -> None:
        return None


class _MemoryTransaction(Transaction):
    def __init__(self, store: MemoryStore, undo: list[Callable[[], None]]):
        self._store = store
        self._undo = undo
        self._now = store._clock.now()

    # work

    def put(self, queue: str, key: str, body: Body, *, due: float | None = None) -> bool:
        work = self._store._work
        if (queue, key) in work:
            return False
        item = Item(next(self._store._ids), queue, key, _copy(body), 0, self._now if due is None else due, self._now)
        work[queue, key] = _Work(item)
        self._undo.append(lambda: work.__delitem__((queue, key)))
        return True

    def claim(self, queue: str, owner: str, *, seconds: float, limit: int = 1) -> list[Item]:
        ready = [row for row in self._rows(queue) if self._claimable(row)]
        ready.sort(key=lambda row: (row.item.due, row.item.id))
        claimed = []
        for row in ready[:limit]:
            self._keep(row)
            row.state, row.lease_until = CLAIMED, self._now + seconds
            row.item = row.item._replace(owner=owner, attempts=row.item.attempts + 1)
            claimed.append(row.item._replace(body=_copy(row.item.body)))
        return claimed

    def _claimable(self, row: _Work) -> bool:
        if row.state == WAITING:
            return row.item.due <= self._now
        return row.state == CLAIMED and row.lease_until <= self._now

    def done(self, item: Item) -> None:
        row = self._held(item)
        row.state, row.ended_at = DONE, self._now

    def later(self, item: Item, due: float, error: str = "", *, failed: bool = False) -> None:
        row = self._held(item)
        row.state = WAITING
        failures = row.item.failures + 1 if failed else 0
        row.item = row.item._replace(due=due, error=error, owner="", failures=failures)

    def bury(self, item: Item, error: str) -> None:
        row = self._held(item)
        row.state, row.ended_at = DEAD, self._now
        row.item = row.item._replace(error=error, owner="")

    def revive(self, queue: str, key: str) -> bool:
        row = self._store._work.get((queue, key))
        if row is None or row.state not in (WAITING, DEAD):
            return False
        self._keep(row)
        was, row.state = row.state, WAITING
        row.item = row.item._replace(due=self._now, failures=0 if was == DEAD else row.item.failures)
        return True

    def backlog(self, queue: str) -> Backlog:
        rows = self._rows(queue)
        states = [row.state for row in rows]
        open_since = [row.item.put_at for row in rows if row.state in (WAITING, CLAIMED)]
        return Backlog(states.count(WAITING), states.count(CLAIMED), states.count(DEAD), min(open_since, default=None))

    def buried(self, queue: str, limit: int = 100) -> list[Item]:
        return [row.item for row in self._rows(queue) if row.state == DEAD][:limit]

    def _rows(self, queue: str) -> list[_Work]:
        return [row for (name, _), row in self._store._work.items() if name == queue]

    def _held(self, item: Item) -> _Work:
        row = self._store._work.get((item.queue, item.key))
        if row is None or row.state != CLAIMED or (row.item.owner, row.item.attempts) != (item.owner, item.attempts):
            raise LostClaim(f"The claim on {item.queue} {item.key} is no longer held by {item.owner}.")
        self._keep(row)
        return row

    def _keep(self, row: _Work) -> None:
        """Remember a row as it is, for an undo."""
        before = dict(vars(row))
        self._undo.append(lambda: vars(row).update(before))

    # records

    def get(self, kind: str, key: str) -> Record | None:
        record = self._store._records.get((kind, key))
        return record._replace(body=_copy(record.body)) if record else None

    def save(
        self,
        kind: str,
        key: str,
        body: Body,
        *,
        version: int | None = None,
        state: str = "",
        ref: str = "",
        due: float | None = None,
    ) -> Record:
        records = self._store._records
        before = records.get((kind, key))
        stored = before.version if before else 0
        if version is not None and version != stored:
            raise Conflict(f"{kind} {key} was saved by somebody else: it is at version {stored}, not {version}.")
        record = Record(kind, key, _copy(body), stored + 1, state, ref, due, self._now)
        records[kind, key] = record
        self._undo.append(lambda: self._put_back(kind, key, before))
        return record

    def find(self, kind: str, wanted: Filter = Filter()) -> list[Record]:  # noqa: B008
        found = self._matching(kind, wanted)
        if wanted.after_key is not None:
            found = [record for record in found if record.key > wanted.after_key]
        by_due = wanted.due_before is not None
        found.sort(key=lambda record: (record.due or 0.0 if by_due else 0.0, record.key))
        return [record._replace(body=_copy(record.body)) for record in found[: wanted.limit]]

    def count(self, kind: str, wanted: Filter = Filter()) -> int:  # noqa: B008
        return len(self._matching(kind, wanted))

    def delete(self, kind: str, key: str) -> bool:
        before = self._store._records.pop((kind, key), None)
        self._undo.append(lambda: self._put_back(kind, key, before))
        return before is not None

    def _matching(self, kind: str, wanted: Filter) -> list[Record]:
        def fits(record: Record) -> bool:
            if wanted.due_before is not None and (record.due is None or record.due > wanted.due_before):
                return False
            return record.kind == kind and wanted.state in (None, record.state) and wanted.ref in (None, record.ref)

        return [record for record in self._store._records.values() if fits(record)]

    def _put_back(self, kind: str, key: str, before: Record | None) -> None:
        if before is None:
            self._store._records.pop((kind, key), None)
        else:
            self._store._records[kind, key] = before

    # logs

    def append(self, log: str, body: Body) -> Entry:
        lines = self._store._logs.setdefault(log, [])
        entry = Entry(log, len(lines) + 1, _copy(body), self._now)
        lines.append(entry)
        self._undo.append(lambda: lines.__delitem__(-1))
        return entry

    def last(self, log: str) -> Entry | None:
        lines = self._store._logs.get(log)
        return lines[-1] if lines else None

    def read(self, log: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        return self._store._logs.get(log, [])[after : after + limit]

    # house keeping

    def purge_done(self, queue: str, before: float) -> int:
        rows = [row for row in self._rows(queue) if row.state == DONE and row.ended_at < before]
        work = self._store._work
        for row in rows:
            del work[row.item.queue, row.item.key]
            self._undo.append(lambda row=row: work.update({(row.item.queue, row.item.key): row}))  # type: ignore[misc]
        return len(rows)

    def purge_records(self, kind: str, state: str | None, before: float) -> int:
        old = [record for record in self._matching(kind, Filter(state=state)) if record.updated_at < before]
        for record in old:
            self.delete(kind, record.key)
        return len(old)


def _copy(body: Body) -> dict[str, Any]:
    return copy.deepcopy(dict(body))
