"""One transaction of the PostgreSQL store; what it promises is told in `postgres`.

Writes are collected and sent together with the commit, in one round trip, so that the turn is held for as short a time
as the server needs. What they would answer is known beforehand from what was read; where that is no longer so when the
turn has come, the transaction ends with a Conflict.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import psycopg

from playbook_service.store import postgres_sql as sql
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
    StoreError,
    Transaction,
)
from playbook_service.store.look import Look
from playbook_service.store.postgres_link import Connection
from playbook_service.store.postgres_sql import Statement

LOCKS = 0x50524F50
"""First number of all our advisory locks ("PROP"), to stay out of the way of others in the same database."""
_TURN = Statement("select pg_advisory_xact_lock(%s, %s)", (LOCKS, 2))
_ARRIVAL = Statement("select pg_advisory_xact_lock(%s, %s)", (LOCKS, 3))
"""Held by whoever only takes events in: TheHive may tell several nodes the same at the same moment, in another order,
and each would wait for the other's."""
_EAGER = "feed"
"""Whoever reads records of these kinds is about to write them, for somebody who waits at the other end of an HTTP
request and cannot be told to run again: they take their turn first."""

_NEW, _READING, _WRITING, _IN_TURN = range(4)
_COMMIT = Statement("commit", ())
_BEGIN = {
    _READING: Statement("begin isolation level repeatable read read only", ()),
    _WRITING: Statement("begin", ()),
}
_ERRORS = {"PR001": Conflict, "PR002": LostClaim}
"""SQLSTATE that `must` raises -> what it means here."""

Cursor = psycopg.Cursor[tuple[Any, ...]]


class PostgresTransaction(Transaction):
    """Begins with its first statement, so that one that does nothing costs nothing."""

    def __init__(self, connection: Connection, now: float):
        self._connection = connection
        self._now = now
        self._mode = _NEW
        self._checks: list[Statement] = []
        """That what was read is still so; asked when the turn has come."""
        self._writes: list[Statement] = []
        self._saved: dict[tuple[str, str], Record] = {}
        """What is among the writes."""
        self._entered: set[str] = set()
        """Kinds of which some are entered among the writes."""
        self._put: set[tuple[str, str]] = set()
        self._last: dict[str, int] = {}
        """Log -> its newest number, known once the turn has come."""
        self._endings: list[Statement] = []
        self._arriving = False

    def commit(self) -> None:
        """Send what was collected, and make all of it durable. Raises Conflict, LostClaim, psycopg.Error."""
        turn = self._turn() if self._writes else self._begun(_WRITING) if self._endings else []
        if self._mode == _NEW:
            return
        ended = self._send([*turn, *self._endings, _COMMIT])
        if ended.statusmessage != "COMMIT":  # an error in it was caught, and nothing of it is kept
            raise StoreError("A transaction that had failed was to be committed; it was undone.")
        self._mode = _NEW

    def roll_back(self) -> None:
        """Undo what is open. A connection on which something went wrong is not used again: what psycopg prepared in a
        pipeline that broke off is not known to the server."""
        try:
            if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._connection.execute("rollback" if self._mode > _READING else "commit")
        except psycopg.Error:
            self._connection.close()
        if self._mode > _READING:
            self._connection.close()

    # how statements are sent

    def _send(self, statements: Sequence[Statement]) -> Cursor:
        """In one round trip where it ends with the commit, else in two; each sees what was committed before it. Gives
        the last one's answer. Raises what `must` says.

        A transaction that stays open ends with a plain statement: after a pipeline psycopg sends one more message,
        which stops the server's clock that cuts off a node that hangs.
        """
        *before, last = statements
        try:
            if last is _COMMIT and before:
                with self._connection.pipeline():
                    for one in before:
                        self._connection.execute(one.sql, one.values)
                    return self._connection.execute(last.sql)
            if len(before) > 1:
                with self._connection.pipeline():
                    for one in before:
                        self._connection.execute(one.sql, one.values)
            elif before:
                self._connection.execute(before[0].sql, before[0].values)
            return self._connection.execute(last.sql, last.values)
        except psycopg.Error as error:
            meant = _ERRORS.get(error.sqlstate or "")
            if meant is None:
                raise
            raise meant(str(error.diag.message_primary)) from None

    def _begun(self, mode: int) -> list[Statement]:
        """What brings the transaction into a mode. Before it writes nothing was written: a snapshot can be let go.
        It is committed, as psycopg forgets all that it prepared whenever something is rolled back."""
        before, self._mode = self._mode, max(mode, self._mode)
        if before >= mode:
            return []
        return [*([_COMMIT] if before == _READING else []), _BEGIN[mode]]

    def _turn(self) -> list[Statement]:
        """What takes the turn, sees that what was read is still so, and writes what was collected."""
        before = self._begun(_WRITING)
        if self._mode != _IN_TURN:
            before += [_TURN, *self._checks]
        self._mode, statements = _IN_TURN, [*before, *self._writes]
        self._checks, self._writes = [], []
        self._saved.clear()
        self._entered.clear()
        return statements

    def _run(self, mode: int, statement: str, *values: Any) -> Cursor:
        """A statement whose answer is needed now."""
        before = self._turn() if mode == _IN_TURN else self._begun(mode)
        return self._send([*before, Statement(statement, values)])

    def _work(self, statement: str, *values: Any) -> Cursor:
        """A statement on pieces of work, after those that were acknowledged."""
        return self._send([*self._before_work(), Statement(statement, values)])

    def _before_work(self) -> list[Statement]:
        endings, self._endings = self._endings, []
        return [*(self._turn() if self._writes else self._begun(_WRITING)), *endings]

    def _check(self, statement: Statement) -> None:
        if self._mode != _IN_TURN:
            self._checks.append(statement)

    # work

    def put(self, queue: str, key: str, body: Body, *, due: float | None = None) -> bool:
        name, text = sql.to_key(key), sql.dump(body)
        values = (queue, name, text, self._now if due is None else due, self._now)
        if not self._checks and not self._writes:
            arrival = [_ARRIVAL] if self._mode != _IN_TURN and not self._endings and not self._arriving else []
            self._arriving = self._arriving or bool(arrival)
            put = Statement(sql.PUT, values)
            return self._send([*self._begun(_WRITING), *arrival, put]).rowcount == 1
        if (queue, key) in self._put or self._state(queue, key):
            return False
        self._put.add((queue, key))
        self._writes.append(Statement(sql.PUT_NEW, (*values, sql.CHANGED)))
        return True

    def _state(self, queue: str, key: str) -> str:
        """Of a piece of work; empty where there is none."""
        found = self._run(
            _READING, "select state from work where queue = %s and key = %s", queue, sql.to_key(key)
        ).fetchone()
        return str(found[0]) if found else ""

    def claim(self, queue: str, owner: str, *, seconds: float, limit: int = 1) -> list[Item]:
        values = {"queue": queue, "now": self._now, "until": self._now + seconds, "owner": owner, "limit": limit}
        claim = Statement(sql.CLAIM, values)  # type: ignore[arg-type]  # by name
        rows = self._send([*self._before_work(), claim]).fetchall()
        return sorted((sql.item_of(row) for row in rows), key=lambda item: (item.due, item.id))

    def done(self, item: Item) -> None:
        self._endings.append(sql.ending(item, sql.DONE, self._now))

    def later(self, item: Item, due: float, error: str = "", *, failed: bool = False) -> None:
        self._endings.append(sql.ending(item, sql.FAILED if failed else sql.LATER, due, sql.to_text(error)))

    def bury(self, item: Item, error: str) -> None:
        self._endings.append(sql.ending(item, sql.DEAD, self._now, sql.to_text(error)))

    def revive(self, queue: str, key: str) -> bool:
        wake = (self._now, queue, sql.to_key(key))
        if self._endings or (queue, key) in self._put:  # it may be one of those
            return self._work(sql.WAKE, *wake).rowcount == 1
        if self._state(queue, key) not in ("waiting", "dead"):
            return False
        self._writes.append(Statement(sql.WAKE, wake))  # who claims it meanwhile does so as if it were after this
        return True

    def backlog(self, queue: str) -> Backlog:
        count = "select count(*), min(put_at) from work where queue = %s and state = "
        waiting, since = self._work(f"{count} 'waiting'", queue).fetchall()[0]
        claimed, held = self._work(f"{count} 'claimed'", queue).fetchall()[0]
        dead, _ = self._work(f"{count} 'dead' and ended_at is not null", queue).fetchall()[0]
        return Backlog(waiting, claimed, dead, min((at for at in (since, held) if at is not None), default=None))

    def buried(self, queue: str, limit: int = 100) -> list[Item]:
        listed = f"select {sql.ITEM} from work as w where queue = %s and state = 'dead' order by id limit %s"  # noqa: S608
        return [sql.item_of(row) for row in self._work(listed, queue, limit)]

    def waiting(self, queue: str, limit: int) -> list[Item]:
        return [sql.item_of(row) for row in self._work(sql.WAITING, queue, limit)]

    def recent(self, queue: str, limit: int) -> list[Item]:
        return [sql.item_of(row) for row in self._work(sql.RECENT, queue, limit)]

    # records

    def get(self, kind: str, key: str) -> Record | None:
        mine = self._saved.get((kind, key))
        if mine is not None:
            return mine._replace(body=json.loads(sql.dump(mine.body)))
        name = sql.to_key(key)
        select = f"select {sql.RECORD} from record where kind = %s and key = %s"  # noqa: S608 - fixed words only
        row = self._run(self._to_read(kind), select, kind, name).fetchone()
        self._check(sql.still_version(kind, name, row[3] if row else 0))
        return sql.record_of(row) if row else None

    def _to_read(self, kind: str) -> int:
        return _IN_TURN if kind.startswith(_EAGER) or kind in self._entered else _READING

    def _to_search(self, kind: str) -> int:
        """What was written and not sent would not be found."""
        return _IN_TURN if any(written == kind for written, _ in self._saved) else self._to_read(kind)

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
        text = sql.dump(body)
        record = Record(kind, key, json.loads(text), (version or 0) + 1, state, ref, due, self._now)
        if version is None:
            values = (kind, sql.to_key(key), text, sql.to_text(state), sql.to_text(ref), due, self._now)
            row = self._run(_IN_TURN, sql.SAVE_ANY, *values).fetchone()
            return record._replace(version=row[0]) if row else record
        self._writes.append(sql.saving(record, text))
        self._saved[kind, key] = record
        return record._replace(body=json.loads(text))

    def enter(self, kind: str, records: Sequence[Fresh]) -> None:
        if records:
            self._writes.append(sql.entering(kind, records, self._now))
            self._entered.add(kind)

    def find(self, kind: str, wanted: Filter = Filter()) -> list[Record]:  # noqa: B008
        query = sql.finding(kind, wanted)
        rows = self._run(self._to_search(kind), f"select {sql.RECORD} {query.sql}", *query.values)
        found = [sql.record_of(row) for row in rows]
        self._check(sql.still_found(query, found))
        return found

    def count(self, kind: str, wanted: Filter = Filter()) -> int:  # noqa: B008
        query = sql.counting(kind, wanted)
        (number,) = self._run(self._to_search(kind), query.sql, *query.values).fetchall()[0]
        self._check(sql.still_count(query, number))
        return int(number)

    def delete(self, kind: str, key: str) -> bool:
        gone = self._run(_IN_TURN, "delete from record where kind = %s and key = %s", kind, sql.to_key(key))
        return gone.rowcount == 1

    # logs

    def append(self, log: str, body: Body) -> Entry:
        if log not in self._last:
            self.last(log)
        self._last[log] += 1
        text = sql.dump(body)
        entry = Entry(log, self._last[log], json.loads(text), self._now)
        insert = "insert into log (log, number, body, at) values (%s, %s, %s, %s)"
        self._writes.append(Statement(insert, (log, entry.number, text, self._now)))
        return entry

    def last(self, log: str) -> Entry | None:
        select = "select log, number, body, at from log where log = %s order by number desc limit 1"
        row = self._run(_IN_TURN, select, log).fetchone()
        self._last[log] = row[1] if row else 0
        return sql.entry_of(row) if row else None

    def read(self, log: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        """A log only grows: what is added meanwhile comes after, and is no reason for a Conflict."""
        select = "select log, number, body, at from log where log = %s and number > %s order by number limit %s"
        return [
            sql.entry_of(row)
            for row in self._run(_IN_TURN if log in self._last else _READING, select, log, after, limit)
        ]

    # house keeping

    def purge_done(self, queue: str, before: float) -> int:
        return self._work(
            "delete from work where queue = %s and state = 'done' and ended_at < %s", queue, before
        ).rowcount

    def purge_records(self, kind: str, state: str | None, before: float) -> int:
        delete = "delete from record where kind = %s and state = coalesce(%s, state) and updated_at < %s"
        return self._run(_IN_TURN, delete, kind, state, before).rowcount


class PostgresLook(Look, PostgresTransaction):
    """One snapshot, in which PostgreSQL itself refuses to write; nothing that was read needs to stay so."""

    def _run(self, _mode: int, statement: str, *values: Any) -> Cursor:
        return self._send([*self._begun(_READING), Statement(statement, values)])

    def _work(self, statement: str, *values: Any) -> Cursor:
        return self._run(_READING, statement, *values)

    def _check(self, _statement: Statement) -> None:
        return None
