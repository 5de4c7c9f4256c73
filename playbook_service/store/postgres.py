"""The store of several service nodes: PostgreSQL, from version 12 on.

Every transaction is as if no other ran at the same time, which is what SQLite gives and what the engine is written
for; but only writers of records and logs wait for each other:

- Work is claimed with `for update skip locked`: nodes take different pieces and never wait.
- Whoever writes a record or a log first takes its turn (one advisory lock, held to the end of the transaction). So a
  log has no gaps, and its order is that of the commits.
- What the transaction had read before its turn came is read again then. Where somebody changed it meanwhile, the
  transaction ends with a Conflict and nothing of it is kept; the engine runs the step again a moment later.
- Before they write anything, transactions see one snapshot and disturb nobody. A look is such a transaction to its
  end, and at most a quarter of a process's connections are lent to looks: however many people look, work goes on.

What a transaction writes is sent with its commit, so that the turn is short; a Conflict or a lost claim therefore
shows when the block ends, and nothing of the block is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from playbook_service.store.contract import Store, StoreError, Transaction
from playbook_service.store.postgres_link import Connection, Link, read_place  # first: it names the missing extra
from playbook_service.store.postgres_schema import MIGRATIONS
from playbook_service.store.postgres_transaction import LOCKS, PostgresLook, PostgresTransaction
from propolis.clock import Clock

_LOG = logging.getLogger("propolis.store")
_CLOCK_SECONDS = 5.0
_UPGRADE = 1
"""Number of the advisory lock under which the tables are made."""


class PostgresStore(Store):
    """A store in a database. Raises ConfigurationError for a URL that is none, StoreError where the database is away,
    may not be written or was written by a newer version."""

    def __init__(self, url: str, clock: Clock, *, connections: int = 16):
        self._clock = clock
        self._link = Link(read_place(url), clock, connections)
        try:
            with self._link.lent() as connection:
                _upgrade(connection, self.name)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """`postgresql://host:port/database`, as it may be shown."""
        return self._link.place.name

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._link.lent() as connection:
            work = PostgresTransaction(connection, self._clock.now())
            try:
                yield work
                work.commit()
            except BaseException:
                work.roll_back()
                raise

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._link.looking(), self._link.lent() as connection:
            look = PostgresLook(connection, self._clock.now())
            try:
                yield look
                look.commit()
            except BaseException:
                look.roll_back()
                raise

    def check(self) -> None:
        with self._link.lent() as connection:
            connection.execute(
                "insert into probe (id, at) values (1, %s) on conflict (id) do update set at = excluded.at",
                (self._clock.now(),),
            )

    def compact(self) -> None:
        """Nothing: the server's autovacuum does it, and the tables say how eagerly."""

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of its own, for what no transaction of the contract does. Raises StoreError."""
        with self._link.lent() as connection:
            yield connection

    def clock_difference(self) -> float:
        """Seconds by which the clock of this node is ahead of the server's. Nodes whose clocks differ by more than
        the length of a claim would take work out of each other's hands."""
        with self._link.lent() as connection:
            row = connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
        return self._clock.now() - float(row[0]) if row else 0.0

    def close(self) -> None:
        self._link.close()


def open_postgres(url: str, clock: Clock) -> PostgresStore:
    """The store of a service node; warns where the node's clock is not the server's."""
    store = PostgresStore(url, clock)
    ahead = store.clock_difference()
    if abs(ahead) > _CLOCK_SECONDS:
        _LOG.error(
            "this node's clock is %.0f s %s that of %s: set both by NTP, or nodes take work out of each other's hands",
            abs(ahead), "ahead of" if ahead > 0 else "behind", store.name,
        )  # fmt: skip
    return store


def _upgrade(connection: Connection, name: str) -> None:
    """Bring the tables up to date; of several nodes that start at once, one does."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s, %s)", (LOCKS, _UPGRADE))
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{name} was written by a newer version (schema {version}, this one knows {len(MIGRATIONS)}): "
                "upgrade this node."
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < len(MIGRATIONS):
            connection.execute("update schema_version set version = %s", (len(MIGRATIONS),))


def _version(connection: Connection) -> int:
    """The version of the tables; 0 where there are none yet. Makes the schema (needs CREATE on the database)."""
    (there,) = connection.execute("select to_regclass('propolis.schema_version') is not null").fetchone() or (False,)
    if not there:
        connection.execute("create schema if not exists propolis")
        connection.execute("create table schema_version (version integer not null)")
        connection.execute("insert into schema_version values (0)")
    (version,) = connection.execute("select version from schema_version").fetchone() or (0,)
    return int(version)
