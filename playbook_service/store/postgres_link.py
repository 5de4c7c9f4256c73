"""Connections to PostgreSQL: where they go, how long anything may take, and what is said when the server is away.

Connections are lent to one transaction at a time and kept for the next. A server that is away is tried again after
growing pauses, and not by every thread at once; in between every transaction fails at once with the same sentence.
"""

from __future__ import annotations

import logging
import os
import random
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from playbook_service.store.contract import Conflict, StoreError
from propolis.clock import Clock
from propolis.errors import ConfigurationError, MissingExtraError

try:
    import psycopg
    from psycopg import conninfo, errors
except ImportError:
    raise MissingExtraError("The PostgreSQL store", "postgres") from None

Connection = psycopg.Connection[tuple[Any, ...]]

# It warns of every pipeline that broke off. Here that is a Conflict, which the engine runs again.
logging.getLogger("psycopg").setLevel(logging.ERROR)

_OLDEST = 120_000  # PostgreSQL 12: what `tcp_user_timeout` needs
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
_LENT_WITHIN = 10.0
"""Seconds that a transaction waits for one of the process's connections."""

# A machine that vanishes says no farewell. Both ends notice within half a minute, so that what a lost node held is free
# again; a node that hangs in the middle of a transaction is cut off after a minute.
_CLIENT = {
    "connect_timeout": "5", "keepalives": "1", "keepalives_idle": "10", "keepalives_interval": "5",
    "keepalives_count": "3", "tcp_user_timeout": "20000",
}  # fmt: skip
_SESSION = (
    "set statement_timeout = '30s'",
    "set lock_timeout = '20s'",
    "set idle_in_transaction_session_timeout = '60s'",
    "set tcp_keepalives_idle = 10",
    "set tcp_keepalives_interval = 5",
    "set tcp_keepalives_count = 3",
    "set search_path = propolis",
    # A commit that was acknowledged is on disk, whatever the server's default; stricter ones (replicas) stay.
    "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'",
)


class Place(NamedTuple):
    """A database, as libpq is told of it, and as people may be told of it."""

    parameters: dict[str, Any]
    name: str
    """`postgresql://host:port/database`: neither user nor password."""


def read_place(url: str) -> Place:
    """The database that a URL names. Raises ConfigurationError, which never shows the URL: it holds a password."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError(
            "must be `sqlite`, or a PostgreSQL URL: postgresql://user:password@host:5432/database.", path="store"
        )
    try:
        if urlsplit(url).netloc.count("@") > 1:
            raise ValueError
        given = conninfo.conninfo_to_dict(url)
    except (ValueError, psycopg.Error):
        raise ConfigurationError(
            "is no valid PostgreSQL URL: special characters in the password are written %40 for @, %2F for /, %3A for "
            ": and %25 for %.",
            path="store",
        ) from None
    if not given.get("dbname"):
        raise ConfigurationError("names no database: postgresql://user:password@host:5432/database.", path="store")
    name = f"postgresql://{given.get('host') or 'localhost'}:{given.get('port') or 5432}/{given['dbname']}"
    own = {"application_name": f"propolis {socket.gethostname()}:{os.getpid()}"}
    return Place({**_CLIENT, **own, **given}, name)


class Link:
    """At most so many connections of this process."""

    def __init__(self, place: Place, clock: Clock, connections: int = 16):
        self.place = place
        self._clock = clock
        self._most = connections
        self._idle: list[Connection] = []
        self._lent = 0
        self._changed = threading.Condition()
        self._failures = 0
        self._again_at = 0.0
        self._sentence = ""
        self._looks = max(1, connections // 4)
        self._free_looks = threading.BoundedSemaphore(self._looks)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """A place among those who only look. Raises StoreError where none gets free."""
        if not self._free_looks.acquire(timeout=_LENT_WITHIN):
            raise StoreError(f"{self._looks} looks at {self.place.name} were under way for {_LENT_WITHIN:.0f} s.")
        try:
            yield
        finally:
            self._free_looks.release()

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """A connection in which no transaction is open, and none is left open.

        Raises StoreError where the server is away, Conflict where it took two transactions for each other's rivals.
        """
        connection = self._take()
        try:
            yield connection
        except psycopg.Error as error:
            raise self._told(error) from error
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close those that are not lent."""
        with self._changed:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Connection:
        with self._changed:
            if not self._changed.wait_for(lambda: self._lent < self._most, _LENT_WITHIN):
                raise StoreError(
                    f"All {self._most} connections to {self.place.name} were busy for {_LENT_WITHIN:.0f} s."
                )
            self._lent += 1
        try:
            return self._awake() or self._open()
        except BaseException:
            with self._changed:
                self._lent -= 1
                self._changed.notify()
            raise

    def _awake(self) -> Connection | None:
        """A kept connection that still works: after a restart of the server none does, and that is nobody's error."""
        while True:
            with self._changed:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not _has_something_to_say(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.close()  # whatever is open there ends with it
        with self._changed:
            self._lent -= 1
            if not connection.closed:
                self._idle.append(connection)
            self._changed.notify()

    def _open(self) -> Connection:
        if self._clock.monotonic() < self._again_at:
            raise StoreError(self._sentence)
        try:
            connection = psycopg.connect(**self.place.parameters, autocommit=True)
            _prepare(connection)
        except psycopg.Error as error:
            self._failures += 1
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
            told = self._told(error)
            self._sentence, self._again_at = str(told), self._clock.monotonic() + pause
            raise told from None
        self._failures, self._again_at = 0, 0.0
        return connection

    def _told(self, error: psycopg.Error) -> StoreError | Conflict:
        """One sentence; libpq's own words are shown in so far as they hold no secret."""
        name, said = self.place.name, self._bare(str(error).strip().splitlines()[:1])
        if isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure)):
            return Conflict("Two transactions stood in each other's way; this one gave way.")
        if isinstance(error, (errors.QueryCanceled, errors.LockNotAvailable)):
            return StoreError(f"The store {name} took too long ({said}).")
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            return StoreError(f"The store {name} is away ({said}); it is tried again by itself.")
        return StoreError(f"The store {name} cannot be used: {said}.")

    def _bare(self, lines: list[str]) -> str:
        said = (lines[0] if lines else "no reason was given").rstrip(".")
        password = self.place.parameters.get("password")
        return said.replace(str(password), "********") if password else said


def _has_something_to_say(connection: Connection) -> bool:
    """A server speaks on its own account only to say farewell; this is noticed without a round trip."""
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN)
    except psycopg.Error:
        return True
    return bool(poll.poll(0))


def _prepare(connection: Connection) -> None:
    """Set the session's limits. Raises psycopg.Error for a server that is too old or cannot be written."""
    if connection.info.server_version < _OLDEST:
        raise psycopg.NotSupportedError("it is older than PostgreSQL 12")
    with connection.pipeline():
        for statement in _SESSION:
            connection.execute(statement)
        standby = connection.execute("select pg_is_in_recovery()")
    if standby.fetchall() == [(True,)]:
        connection.close()
        raise psycopg.OperationalError("it is a standby and takes no writes")
