"""The embedded store: SQLite in WAL mode, durable at every commit.

One transaction manager owns every transaction. Each thread has a connection of its own; writers queue up behind
SQLite's own lock, which also orders several processes on one machine. `synchronous = full` makes a commit survive a
power cut.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    StoreError,
    Transaction,
)
from playbook_service.store.schema import MIGRATIONS
from propolis.clock import Clock

_BUSY_SECONDS = 10.0
_LOOSE_PAGES = 2_500  # about 10 MB: less is not worth a rewrite of the file
_ITEM = "id, queue, key, body, attempts, due, put_at, owner, error, failures"
_RECORD = "kind, key, body, version, state, ref, due, updated_at"


class SqliteStore(Store):
    """A store in one file. Raises StoreError where the file cannot be used or was written by a newer version."""

    def __init__(self, path: str | Path, clock: Clock):
        self._path = str(path)
        self._clock = clock
        self._local = threading.local()
        self._all: weakref.WeakSet[_Own] = weakref.WeakSet()
        self._all_lock = threading.Lock()
        self._migrate()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        connection = self._connection()
        try:
            connection.execute("begin immediate")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        try:
            yield _SqliteTransaction(connection, self._clock.now())
            connection.execute("commit")
        except sqlite3.Error as error:
            _roll_back(connection)
            raise self._unusable(error) from error
        except BaseException:
            _roll_back(connection)
            raise

    def check(self) -> None:
        with self.transaction() as work:
            work.save("store", "probe", {"checked_at": self._clock.now()})

    def compact(self) -> None:
        connection = self._connection()
        try:
            (free,) = connection.execute("pragma freelist_count").fetchone()
            (pages,) = connection.execute("pragma page_count").fetchone()
            if free > _LOOSE_PAGES and free > pages // 4:
                connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        with self._all_lock:
            for own in tuple(self._all):
                own.connection.close()
            self._all.clear()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        own: _Own | None = getattr(self._local, "own", None)
        if own is None:
            own = self._local.own = self._open()
        return own.connection

    def _open(self) -> _Own:
        try:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        own = _Own(connection)
        with self._all_lock:
            self._all.add(own)
        return own

    def _migrate(self) -> None:
        connection = self._connection()
        try:
            connection.execute("begin immediate")
            (version,) = connection.execute("pragma user_version").fetchone()
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"pragma user_version = {max(version, len(MIGRATIONS))}")
            connection.execute("commit")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self._path} was written by a newer version (schema {version}, this one knows {len(MIGRATIONS)}): "
                "upgrade, or restore a backup of the older version."
            )

    def _unusable(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"The store {self._path} cannot be used: {error}.")


class _Own:
    """A thread's connection. It is closed with its thread: servers start one for each of their connections."""

    def __init__(self, connection: sqlite3.Connection):
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


def _roll_back(connection: sqlite3.Connection) -> None:
    """Undo what is open. SQLite has done so by itself after a full disk or an I/O error."""
    if connection.in_transaction:
        connection.execute("rollback")


class _SqliteTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection, now: float):
        self._connection = connection
        self._now = now

    def _run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    # work

    def put(self, queue: str, key: str, body: Body, *, due: float | None = None) -> bool:
        added = self._run(
            "insert or ignore into work (queue, key, body, due, put_at) values (?, ?, ?, ?, ?)",
            queue,
            key,
            _dump(body),
            self._now if due is None else due,
            self._now,
        )
        return added.rowcount == 1

    def claim(self, queue: str, owner: str, *, seconds: float, limit: int = 1) -> list[Item]:
        ready = self._run(
            "select id, due from work where queue = ? and state = 'waiting' and due <= ? "
            "union all select id, due from work where queue = ? and state = 'claimed' and lease_until <= ? "
            "order by due, id limit ?",
            queue,
            self._now,
            queue,
            self._now,
            limit,
        ).fetchall()
        return [self._take(number, owner, seconds) for number, _ in ready]

    def _take(self, number: int, owner: str, seconds: float) -> Item:
        self._run(
            "update work set state = 'claimed', owner = ?, lease_until = ?, attempts = attempts + 1 where id = ?",
            owner,
            self._now + seconds,
            number,
        )
        return _item(self._run(f"select {_ITEM} from work where id = ?", number).fetchone())  # noqa: S608

    def done(self, item: Item) -> None:
        self._end(item, "state = 'done', ended_at = ?", self._now)

    def later(self, item: Item, due: float, error: str = "", *, failed: bool = False) -> None:
        failures = "failures + 1" if failed else "0"
        self._end(item, f"state = 'waiting', owner = '', due = ?, error = ?, failures = {failures}", due, error)

    def bury(self, item: Item, error: str) -> None:
        self._end(item, "state = 'dead', owner = '', ended_at = ?, error = ?", self._now, error)

    def _end(self, item: Item, change: str, *values: Any) -> None:
        ended = self._run(
            f"update work set {change} where id = ? and state = 'claimed' and owner = ? and attempts = ?",  # noqa: S608
            *values,
            item.id,
            item.owner,
            item.attempts,
        )
        if ended.rowcount != 1:
            raise LostClaim(f"The claim on {item.queue} {item.key} is no longer held by {item.owner}.")

    def revive(self, queue: str, key: str) -> bool:
        changed = self._run(
            "update work set failures = iif(state = 'dead', 0, failures), state = 'waiting', due = ?, ended_at = null "
            "where queue = ? and key = ? and state in ('waiting', 'dead')",
            self._now,
            queue,
            key,
        )
        return changed.rowcount == 1

    def backlog(self, queue: str) -> Backlog:
        waiting, since = self._open_work(queue, "state = 'waiting'")
        claimed, held = self._open_work(queue, "state = 'claimed'")
        (dead,) = self._run(  # `ended_at` is said so that its index serves
            "select count(*) from work where queue = ? and state = 'dead' and ended_at is not null", queue
        ).fetchone()
        return Backlog(waiting, claimed, dead, min((at for at in (since, held) if at is not None), default=None))

    def _open_work(self, queue: str, where: str) -> tuple[int, float | None]:
        """How much, and since when: from the indexes alone, whatever the backlog."""
        found = self._run(f"select count(*), min(put_at) from work where queue = ? and {where}", queue)  # noqa: S608
        count, since = found.fetchone()
        return count, since

    def buried(self, queue: str, limit: int = 100) -> list[Item]:
        rows = self._run(
            f"select {_ITEM} from work where queue = ? and state = 'dead' order by id limit ?",  # noqa: S608
            queue,
            limit,
        )
        return [_item(row) for row in rows]

    # records

    def get(self, kind: str, key: str) -> Record | None:
        row = self._run(f"select {_RECORD} from record where kind = ? and key = ?", kind, key).fetchone()  # noqa: S608
        return _record(row) if row else None

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
        row = self._run("select version from record where kind = ? and key = ?", kind, key).fetchone()
        stored = row[0] if row else 0
        if version is not None and version != stored:
            raise Conflict(f"{kind} {key} was saved by somebody else: it is at version {stored}, not {version}.")
        text = _dump(body)
        self._run(
            f"insert or replace into record ({_RECORD}) values (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            kind,
            key,
            text,
            stored + 1,
            state,
            ref,
            due,
            self._now,
        )
        return Record(kind, key, json.loads(text), stored + 1, state, ref, due, self._now)

    def find(self, kind: str, wanted: Filter = Filter()) -> list[Record]:  # noqa: B008
        clause, values = _where(kind, wanted)
        if wanted.after_key is not None:
            clause, values = f"{clause} and key > ?", [*values, wanted.after_key]
        order = "due, key" if wanted.due_before is not None else "key"
        sql = f"select {_RECORD} from record where {clause} order by {order} limit ?"  # noqa: S608 - fixed words only
        return [_record(row) for row in self._run(sql, *values, wanted.limit)]

    def count(self, kind: str, wanted: Filter = Filter()) -> int:  # noqa: B008
        clause, values = _where(kind, wanted)
        (number,) = self._run(f"select count(*) from record where {clause}", *values).fetchone()  # noqa: S608
        return int(number)

    def delete(self, kind: str, key: str) -> bool:
        return self._run("delete from record where kind = ? and key = ?", kind, key).rowcount == 1

    # logs

    def append(self, log: str, body: Body) -> Entry:
        text = _dump(body)
        newest = self.last(log)
        number = newest.number + 1 if newest else 1
        self._run("insert into log (log, number, body, at) values (?, ?, ?, ?)", log, number, text, self._now)
        return Entry(log, number, json.loads(text), self._now)

    def last(self, log: str) -> Entry | None:
        row = self._run(
            "select log, number, body, at from log where log = ? order by number desc limit 1", log
        ).fetchone()
        return _entry(row) if row else None

    def read(self, log: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        rows = self._run(
            "select log, number, body, at from log where log = ? and number > ? order by number limit ?",
            log,
            after,
            limit,
        )
        return [_entry(row) for row in rows]

    # house keeping

    def purge_done(self, queue: str, before: float) -> int:
        return self._run("delete from work where queue = ? and state = 'done' and ended_at < ?", queue, before).rowcount

    def purge_records(self, kind: str, state: str | None, before: float) -> int:
        return self._run(
            "delete from record where kind = ? and ifnull(?, state) = state and updated_at < ?", kind, state, before
        ).rowcount


def _where(kind: str, wanted: Filter) -> tuple[str, list[Any]]:
    clauses, values = ["kind = ?"], [kind]
    pairs: tuple[tuple[str, Any], ...] = (
        ("state = ?", wanted.state),
        ("ref = ?", wanted.ref),
        ("due <= ?", wanted.due_before),
    )
    for clause, value in pairs:
        if value is not None:
            clauses.append(clause)
            values.append(value)
    return " and ".join(clauses), values


def _dump(body: Body) -> str:
    return json.dumps(body, separators=(",", ":"), allow_nan=False)


def _item(row: tuple[Any, ...]) -> Item:
    return Item(row[0], row[1], row[2], json.loads(row[3]), *row[4:])


def _record(row: tuple[Any, ...]) -> Record:
    return Record(row[0], row[1], json.loads(row[2]), *row[3:])


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(row[0], row[1], json.loads(row[2]), row[3])
