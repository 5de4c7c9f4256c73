"""One transaction of the SQLite store, and one look at it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

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
    Transaction,
)
from playbook_service.store.look import Look

_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_ITEM = "id, queue, key, body, attempts, due, put_at, owner, error, failures"
_RECORD = "kind, key, body, version, state, ref, due, updated_at"


class SqliteTransaction(Transaction):
    """Between `begin` and `commit`, which are the store's."""

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

    def waiting(self, queue: str, limit: int) -> list[Item]:
        rows = self._run(
            f"select {_ITEM} from work where queue = ? and state = 'waiting' order by due, id limit ?",  # noqa: S608
            queue,
            limit,
        )
        return [_item(row) for row in rows]

    def recent(self, queue: str, limit: int) -> list[Item]:
        """From the end of the table backwards: `+` keeps SQLite from sorting the whole queue by way of its keys."""
        rows = self._run(f"select {_ITEM} from work where +queue = ? order by id desc limit ?", queue, limit)  # noqa: S608
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

    def enter(self, kind: str, records: Sequence[Fresh]) -> None:
        self._connection.executemany(
            f"insert or ignore into record ({_RECORD}) values (?, ?, ?, 1, ?, ?, null, ?)",  # noqa: S608
            [(kind, key, _dump(body), state, ref, self._now) for key, body, state, ref in records],
        )

    def find(self, kind: str, wanted: Filter = Filter()) -> list[Record]:  # noqa: B008
        clause, values = _where(kind, wanted)
        if wanted.after_key is not None:
            clause, values = f"{clause} and key > ?", [*values, wanted.after_key]
        if wanted.after_due is not None:  # `due >=` too: from there the index is read
            clause, values = (
                f"{clause} and due >= ? and (due, key) > (?, ?)",
                [*values, wanted.after_due[0], *wanted.after_due],
            )
        order = "key" if wanted.due_before is None and wanted.after_due is None else "due, key"
        source = f"record {_index(wanted)}"
        sql = f"select {_RECORD} from {source} where {clause} order by {order} limit ?"  # noqa: S608 - fixed words only
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
        (newest,) = self._run("select max(number) from log where log = ?", log).fetchone()
        number = (newest or 0) + 1
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


class SqliteLook(Look, SqliteTransaction):
    """Over a connection that may not write."""


def _index(wanted: Filter) -> str:
    """Which index serves. Without statistics, which nobody makes, SQLite would go through all of a kind instead."""
    if wanted.due_before is not None or wanted.after_due is not None:
        return ""
    if wanted.ref is not None:
        return "indexed by record_ref"
    return "indexed by record_state" if wanted.state is not None else ""


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
    return _JSON.encode(body)


def _item(row: tuple[Any, ...]) -> Item:
    return Item(row[0], row[1], row[2], json.loads(row[3]), *row[4:])


def _record(row: tuple[Any, ...]) -> Record:
    return Record(row[0], row[1], json.loads(row[2]), *row[3:])


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(row[0], row[1], json.loads(row[2]), row[3])
