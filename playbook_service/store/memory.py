"""A store in memory: for tests, and the shortest statement of what the contract means."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from playbook_service.store.contract import (
    Backlog,
    Body,
    Conflict,
    Entry,
    Filter,
    Fresh,
    Item,
    LostClaim,
    Record,
    Store,
    Transaction,
)
from playbook_service.store.look import Look
from propolis.clock import Clock

WAITING, CLAIMED, DONE, DEAD = "waiting", "claimed", "done", "dead"


class _Work(NamedTuple):
    """An item's row."""

    item: Item
    state: str = WAITING
    lease_until: float = 0.0
    ended_at: float = 0.0


class MemoryStore(Store):
    """Plain dictionaries. A transaction changes a copy, which takes their place when it ends: what a look was given
    never changes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._ids = itertools.count(1)
        self._writing = threading.Lock()
        self._swapping = threading.Lock()
        self._work: dict[tuple[str, str], _Work] = {}
        self._records: dict[tuple[str, str], Record] = {}
        self._logs: dict[str, tuple[Entry, ...]] = {}

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._writing:
            work = _MemoryTransaction(self._clock.now(), self._ids, self._work, self._records, self._logs)
            yield work
            with self._swapping:
                self._work, self._records, self._logs = work.work, work.records, work.logs

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._swapping:
            look = _MemoryLook(self._clock.now(), self._ids, self._work, self._records, self._logs)
        yield look

    def check(self) -> None:
        with self.transaction():
            return

    def compact(self) -> None:
        return None

    def close(self) -> None:
        return None


class _MemoryTransaction(Transaction):
    def __init__(
        self,
        now: float,
        ids: Iterator[int],
        work: dict[tuple[str, str], _Work],
        records: dict[tuple[str, str], Record],
        logs: dict[str, tuple[Entry, ...]],
    ):
        self._now = now
        self._ids = ids
        self.work, self.records, self.logs = dict(work), dict(records), dict(logs)

    # work

    def put(self, queue: str, key: str, body: Body, *, due: float | None = None) -> bool:
        if (queue, key) in self.work:
            return False
        item = Item(next(self._ids), queue, key, _copy(body), 0, self._now if due is None else due, self._now)
        self.work[queue, key] = _Work(item)
        return True

    def claim(self, queue: str, owner: str, *, seconds: float, limit: int = 1) -> list[Item]:
        ready = [row for row in self._rows(queue) if self._claimable(row)]
        ready.sort(key=lambda row: (row.item.due, row.item.id))
        return [self._take(row, owner, seconds) for row in ready[:limit]]

    def _claimable(self, row: _Work) -> bool:
        if row.state == WAITING:
            return row.item.due <= self._now
        return row.state == CLAIMED and row.lease_until <= self._now

    def _take(self, row: _Work, owner: str, seconds: float) -> Item:
        item = row.item._replace(owner=owner, attempts=row.item.attempts + 1)
        self._set(row, item=item, state=CLAIMED, lease_until=self._now + seconds)
        return _shown(item)

    def done(self, item: Item) -> None:
        self._set(self._held(item), state=DONE, ended_at=self._now)

    def later(self, item: Item, due: float, error: str = "", *, failed: bool = False) -> None:
        row = self._held(item)
        failures = row.item.failures + 1 if failed else 0
        self._set(row, state=WAITING, item=row.item._replace(due=due, error=error, owner="", failures=failures))

    def bury(self, item: Item, error: str) -> None:
        row = self._held(item)
        self._set(row, state=DEAD, ended_at=self._now, item=row.item._replace(error=error, owner=""))

    def revive(self, queue: str, key: str) -> bool:
        row = self.work.get((queue, key))
        if row is None or row.state not in (WAITING, DEAD):
            return False
        failures = 0 if row.state == DEAD else row.item.failures
        self._set(row, state=WAITING, item=row.item._replace(due=self._now, failures=failures))
        return True

    def backlog(self, queue: str) -> Backlog:
        rows = self._rows(queue)
        states = [row.state for row in rows]
        open_since = [row.item.put_at for row in rows if row.state in (WAITING, CLAIMED)]
        return Backlog(states.count(WAITING), states.count(CLAIMED), states.count(DEAD), min(open_since, default=None))

    def buried(self, queue: str, limit: int = 100) -> list[Item]:
        return [_shown(row.item) for row in self._rows(queue) if row.state == DEAD][:limit]

    def waiting(self, queue: str, limit: int) -> list[Item]:
        found = [row.item for row in self._rows(queue) if row.state == WAITING]
        return [_shown(item) for item in sorted(found, key=lambda item: (item.due, item.id))[:limit]]

    def recent(self, queue: str, limit: int) -> list[Item]:
        return [_shown(row.item) for row in reversed(self._rows(queue))][:limit]

    def _rows(self, queue: str) -> list[_Work]:
        """In the order in which they were put."""
        return [row for (name, _), row in self.work.items() if name == queue]

    def _held(self, item: Item) -> _Work:
        row: _Work | None = self.work.get((item.queue, item.key))
        if row is None or row.state != CLAIMED or (row.item.owner, row.item.attempts) != (item.owner, item.attempts):
            raise LostClaim(f"The claim on {item.queue} {item.key} is no longer held by {item.owner}.")
        return row

    def _set(self, row: _Work, **changes: Any) -> None:
        self.work[row.item.queue, row.item.key] = row._replace(**changes)

    # records

    def get(self, kind: str, key: str) -> Record | None:
        record = self.records.get((kind, key))
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
        before = self.records.get((kind, key))
        stored = before.version if before else 0
        if version is not None and version != stored:
            raise Conflict(f"{kind} {key} was saved by somebody else: it is at version {stored}, not {version}.")
        record = Record(kind, key, _copy(body), stored + 1, state, ref, due, self._now)
        self.records[kind, key] = record
        return record._replace(body=_copy(body))

    def enter(self, kind: str, records: Sequence[Fresh]) -> None:
        for key, body, state, ref in records:
            self.records.setdefault((kind, key), Record(kind, key, _copy(body), 1, state, ref, None, self._now))

    def find(self, kind: str, wanted: Filter = Filter()) -> list[Record]:  # noqa: B008
        found = self._matching(kind, wanted)
        if wanted.after_key is not None:
            found = [record for record in found if record.key > wanted.after_key]
        after_due = wanted.after_due
        if after_due is not None:
            found = [record for record in found if record.due is not None and (record.due, record.key) > after_due]
        by_due = wanted.due_before is not None or after_due is not None
        found.sort(key=lambda record: (record.due or 0.0 if by_due else 0.0, record.key))
        return [record._replace(body=_copy(record.body)) for record in found[: wanted.limit]]

    def count(self, kind: str, wanted: Filter = Filter()) -> int:  # noqa: B008
        return len(self._matching(kind, wanted))

    def delete(self, kind: str, key: str) -> bool:
        return self.records.pop((kind, key), None) is not None

    def _matching(self, kind: str, wanted: Filter) -> list[Record]:
        def fits(record: Record) -> bool:
            if wanted.due_before is not None and (record.due is None or record.due > wanted.due_before):
                return False
            return record.kind == kind and wanted.state in (None, record.state) and wanted.ref in (None, record.ref)

        return [record for record in self.records.values() if fits(record)]

    # logs

    def append(self, log: str, body: Body) -> Entry:
        lines = self.logs.get(log, ())
        entry = Entry(log, len(lines) + 1, _copy(body), self._now)
        self.logs[log] = (*lines, entry)
        return entry

    def last(self, log: str) -> Entry | None:
        lines = self.logs.get(log)
        return lines[-1] if lines else None

    def read(self, log: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        return list(self.logs.get(log, ())[after : after + limit])

    # house keeping

    def purge_done(self, queue: str, before: float) -> int:
        old = [row.item for row in self._rows(queue) if row.state == DONE and row.ended_at < before]
        for item in old:
            del self.work[item.queue, item.key]
        return len(old)

    def purge_records(self, kind: str, state: str | None, before: float) -> int:
        old = [record for record in self._matching(kind, Filter(state=state)) if record.updated_at < before]
        for record in old:
            self.delete(kind, record.key)
        return len(old)


class _MemoryLook(Look, _MemoryTransaction):
    pass


def _copy(body: Body) -> dict[str, Any]:
    return copy.deepcopy(dict(body))


def _shown(item: Item) -> Item:
    return item._replace(body=_copy(item.body))
