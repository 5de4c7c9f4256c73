"""Move a SQLite store to PostgreSQL, whole or not at all.

Everything is copied in one transaction of the database and verified in it: every row of every table, and the audit
chain. Only then is it committed, and the old store marked as out of date. Killed at any moment, the database is either
empty or complete; where it is complete and the mark is missing, another run finds both to be equal and sets it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from playbook_service.audit.chain import verify
from playbook_service.audit.journal import LOG
from playbook_service.store.moved import DATABASE, mark_moved, refuse_moved
from playbook_service.store.postgres import PostgresStore
from playbook_service.store.postgres_link import Connection
from playbook_service.store.postgres_sql import to_key, to_text
from playbook_service.store.schema import MIGRATIONS as SQLITE_MIGRATIONS
from propolis.clock import Clock, utc_text
from propolis.errors import PropolisError

_BATCH = 1000


class MigrationError(PropolisError):
    """The store cannot be moved as it stands; nothing was changed."""


class Table(NamedTuple):
    """A table of both schemas."""

    name: str
    columns: tuple[str, ...]
    order: str
    """The columns that order it."""
    texts: tuple[str, ...]
    """Columns that may hold what PostgreSQL's texts cannot."""

    @property
    def query(self) -> str:
        """All of it, in one order on both sides."""
        return f"select {', '.join(self.columns)} from {self.name} order by {self.order}"  # noqa: S608 - fixed words


TABLES = (
    Table(
        "work",
        (
            "id", "queue", "key", "body", "state", "due", "put_at", "attempts", "failures", "owner", "lease_until",
            "ended_at", "error",
        ),
        "id",
        ("key", "error"),
    ),
    Table(
        "record",
        ("kind", "key", "body", "version", "state", "ref", "due", "updated_at"),
        "kind, key",
        ("key", "state", "ref"),
    ),
    Table("log", ("log", "number", "body", "at"), "log, number", ()),
)  # fmt: skip


class Moved(NamedTuple):
    """What was moved."""

    counts: dict[str, int]
    """Table -> rows."""
    audit_lines: int
    head: str
    """`<number>:<hash>` of the newest audit line; empty where there is none."""
    already: bool
    """Was it all there before, by a run that did not come to its end?"""


Progress = Callable[[str, int, int], None]
"""`progress(table, rows so far, rows in all)`."""


def migrate(folder: Path, target: PostgresStore, clock: Clock, progress: Progress) -> Moved:
    """Move the store in a data folder. Raises MigrationError, StoreError or InputError; then nothing was changed."""
    refuse_moved(folder)
    with closing(_alone(folder / DATABASE)) as source, target.connection() as connection:
        with connection.transaction():
            connection.execute("set local statement_timeout = 0")  # a large table takes its time
            connection.execute("set local idle_in_transaction_session_timeout = 0")
            # a node that is started meanwhile waits here until everything is there
            connection.execute("lock table work, record, log in access exclusive mode")
            already = not _is_empty(connection)
            if not already:
                _copy_all(source, connection, progress)
            counts = _compare(source, connection, already, target.name)
            lines, head = _audited(connection)
        connection.execute("analyze work, record, log")
        mark_moved(folder, f"it was moved to {target.name} at {utc_text(clock.now())}")
    return Moved(counts, lines, head, already)


def _alone(path: Path) -> sqlite3.Connection:
    """The store, with nobody else at it: SQLite leaves WAL mode only for who is alone, and lets nobody in then."""
    if not path.is_file():
        raise MigrationError(f"There is no store {path}: run this where the service ran, with its data_dir.")
    source = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    try:
        source.execute("pragma locking_mode = exclusive")
        source.execute("pragma journal_mode = delete")
        source.execute("begin exclusive")
        (version,) = source.execute("pragma user_version").fetchone()
    except sqlite3.Error as error:
        source.close()
        if "locked" in str(error):
            raise MigrationError(
                f"The store {path} is in use: stop the service and every other `propolis` command, then try again."
            ) from None
        raise MigrationError(f"The store {path} cannot be read: {error}.") from None
    if version != len(SQLITE_MIGRATIONS):
        source.close()
        raise MigrationError(
            f"The store {path} has schema {version}, this version knows {len(SQLITE_MIGRATIONS)}: start the service of "
            "this version on it once, stop it, and try again."
        )
    return source


def _is_empty(connection: Connection) -> bool:
    sql = " union all ".join(f"(select 1 from {table.name} limit 1)" for table in TABLES)  # noqa: S608 - fixed words
    return not connection.execute(sql).fetchall()


def _copy_all(source: sqlite3.Connection, connection: Connection, progress: Progress) -> None:
    for table in TABLES:
        (total,) = source.execute(f"select count(*) from {table.name}").fetchone()  # noqa: S608
        sql = f"copy {table.name} ({', '.join(table.columns)}) from stdin"
        with connection.cursor() as cursor, cursor.copy(sql) as copy:
            for number, row in enumerate(_sent(source, table), start=1):
                copy.write_row(row)
                if number % _BATCH == 0:
                    progress(table.name, number, total)
        progress(table.name, total, total)
    connection.execute("select setval(pg_get_serial_sequence('work', 'id'), max(id)) from work")


def _sent(source: sqlite3.Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """The rows as PostgreSQL takes them. Raises InputError for a key that is too long for it."""
    encode = [to_key if column == "key" else to_text if column in table.texts else None for column in table.columns]
    for row in source.execute(table.query):
        yield tuple(code(value) if code else value for code, value in zip(encode, row, strict=True))


def _stored(connection: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """The rows as PostgreSQL has them, a batch at a time."""
    with connection.cursor(name=f"all_{table.name}") as cursor:
        cursor.itersize = _BATCH
        yield from cursor.execute(table.query)


def _compare(source: sqlite3.Connection, connection: Connection, already: bool, name: str) -> dict[str, int]:
    """Table -> rows, where both hold the same. Raises MigrationError where they do not."""
    counts = {}
    for table in TABLES:
        sent, there = _summed(_sent(source, table)), _summed(_stored(connection, table))
        if sent != there and already:
            raise MigrationError(
                f"The database {name} is not empty: give an empty one, so that nothing that is there is mixed up."
            )
        if sent != there:
            raise MigrationError(
                f"The table {table.name} of {name} does not hold what was sent ({sent[0]:,} rows, {there[0]:,} there)."
            )
        counts[table.name] = sent[0]
    return counts


def _summed(rows: Iterable[tuple[Any, ...]]) -> tuple[int, str]:
    """How many, and a hash over all of them in their order."""
    count, digest = 0, hashlib.sha256()
    for row in rows:
        count += 1
        digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return count, digest.hexdigest()


def _audited(connection: Connection) -> tuple[int, str]:
    """Length and head of the audit chain that arrived. Raises MigrationError where it is not sound."""
    count, head = 0, ""

    def lines() -> Iterator[Any]:
        nonlocal count, head
        for log, _, body, _ in _stored(connection, TABLES[2]):
            if log == LOG:
                line = json.loads(body)
                count, head = count + 1, f"{line.get('n')}:{line.get('hash')}"
                yield line

    findings = verify(lines())
    if findings:
        raise MigrationError(
            f"The audit chain is not sound: line {findings[0].number} {findings[0].problem}. Nothing was moved; see "
            "`propolis audit verify` first, and find out who changed it."
        )
    return count, head
