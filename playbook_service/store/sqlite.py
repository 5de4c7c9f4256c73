"""The embedded store: SQLite in WAL mode, durable at every commit.

One transaction manager owns every transaction. Each thread has a connection of its own; writers queue up behind
SQLite's own lock, which also orders several processes on one machine. `synchronous = full` makes a commit survive a
power cut. Looks have a second connection, which may not write: in WAL mode readers and writers do not wait for each
other (https://www.sqlite.org/wal.html, 2.2 Concurrency).
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playbook_service.store.contract import Store, StoreError, Transaction
from playbook_service.store.schema import MIGRATIONS
from playbook_service.store.sqlite_transaction import SqliteLook, SqliteTransaction
from propolis.clock import Clock

_BUSY_SECONDS = 10.0
_TIDY_SECONDS = 0.25
_LOOSE_PAGES = 2_500  # about 10 MB: less is not worth a rewrite of the file


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
            yield SqliteTransaction(connection, self._clock.now())
            connection.execute("commit")
        except sqlite3.Error as error:
            _roll_back(connection)
            raise self._unusable(error) from error
        except BaseException:
            _roll_back(connection)
            raise

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        connection = self._connection("look")
        try:
            connection.execute("begin")  # deferred: it takes no lock
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        try:
            yield SqliteLook(connection, self._clock.now())
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        finally:
            _roll_back(connection)

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
            # Writers stand still while it waits for looks to end: not for long, there is a next time.
            connection.execute(f"pragma busy_timeout = {_TIDY_SECONDS * 1000:.0f}")
            connection.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        finally:
            connection.execute(f"pragma busy_timeout = {_BUSY_SECONDS * 1000:.0f}")

    def close(self) -> None:
        with self._all_lock:
            for own in tuple(self._all):
                own.connection.close()
            self._all.clear()
        self._local = threading.local()

    def _connection(self, use: str = "write") -> sqlite3.Connection:
        """This thread's own for a use: `write` or `look`."""
        own: _Own | None = getattr(self._local, use, None)
        if own is None:
            own = self._open()
            if use == "look":
                own.connection.execute("pragma query_only = on")
            setattr(self._local, use, own)
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
