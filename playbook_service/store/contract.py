"""The contract of a store: work that is claimed, done and acknowledged; records; and append-only logs.

Everything happens in a transaction. Several processes, on several machines where the store can, use one store at the
same time; nothing in the contract relies on a process's memory:

- Transactions are serialisable: what comes of them is as if one ran after the other. A store that lets them run side
  by side may find out late that this cannot be: Conflict and LostClaim come from the call that they are about, or when
  the block ends. Nothing of the block is kept then; after a Conflict it may be run again.
- Work is put once per (queue, key). It is claimed for a while; a claim that is not ended in time is given to another.
- A record has a version. Saving it against another version than the stored one fails, so that two nodes that read the
  same record cannot both write it.
- A log only grows. Its entries are numbered without gaps, in the order of their transactions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from propolis.errors import PropolisError

Body = Mapping[str, Any]
"""A JSON object."""


class Item(NamedTuple):
    """A piece of work."""

    id: int
    queue: str
    key: str
    body: dict[str, Any]
    attempts: int
    """How often it was claimed, this time included."""
    due: float
    """Wall time, seconds, before which it is not claimed."""
    put_at: float
    owner: str = ""
    error: str = ""
    """What went wrong the last time."""
    failures: int = 0
    """How often in a row it was given back as failed."""


class Record(NamedTuple):
    """A document with the few fields by which it is found."""

    kind: str
    key: str
    body: dict[str, Any]
    version: int
    state: str
    ref: str
    """What it belongs to, such as a case id."""
    due: float | None
    updated_at: float


class Fresh(NamedTuple):
    """A record as it is entered."""

    key: str
    body: Body
    state: str = ""
    ref: str = ""


class Entry(NamedTuple):
    """One line of a log."""

    log: str
    number: int
    """1, 2, 3, ... without a gap."""
    body: dict[str, Any]
    at: float


class Backlog(NamedTuple):
    """What waits in a queue."""

    waiting: int
    claimed: int
    dead: int
    oldest_put_at: float | None
    """Of what waits or is claimed."""


class Filter(NamedTuple):
    """Which records are wanted; what is None does not matter."""

    state: str | None = None
    ref: str | None = None
    due_before: float | None = None
    after_key: str | None = None
    """Paging: only keys greater than this."""
    after_due: tuple[float, str] | None = None
    """Paging in the order of `due`: only records whose (due, key) is greater than this pair. Meant to go with
    `due_before`, which may be infinite; with a `state` too a page costs the same wherever it begins."""
    limit: int = 1000


class Conflict(PropolisError):
    """Somebody else saved the record since it was read."""


class LostClaim(PropolisError):
    """The claim ran out and the work may be in other hands; what was done for it must not be committed."""


class StoreError(PropolisError):
    """The store cannot be used: not writable, full, of another version, or damaged."""


class Transaction(ABC):
    """What can be done inside `with store.transaction() as work:`."""

    # work -----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def put(self, queue: str, key: str, body: Body, *, due: float | None = None) -> bool:
        """Add work; False where (queue, key) was put before, done or not: then nothing changes."""

    @abstractmethod
    def claim(self, queue: str, owner: str, *, seconds: float, limit: int = 1) -> list[Item]:
        """Take work that is due and in nobody's hands, or in hands whose time ran out; oldest due first."""

    @abstractmethod
    def done(self, item: Item) -> None:
        """Acknowledge claimed work. Raises LostClaim where the claim is no longer the caller's."""

    @abstractmethod
    def later(self, item: Item, due: float, error: str = "", *, failed: bool = False) -> None:
        """Give claimed work back, not to be claimed before `due`. Raises LostClaim as `done` does.

        `failed` adds to its failures; work that only waits has none any more."""

    @abstractmethod
    def bury(self, item: Item, error: str) -> None:
        """Set claimed work aside for a person: it is not claimed again. Raises LostClaim as `done` does."""

    @abstractmethod
    def revive(self, queue: str, key: str) -> bool:
        """Make buried or waiting work due now; False where there is none. What was buried begins its failures anew."""

    @abstractmethod
    def backlog(self, queue: str) -> Backlog:
        """How much waits in a queue."""

    @abstractmethod
    def buried(self, queue: str, limit: int = 100) -> list[Item]:
        """What was set aside, oldest first."""

    @abstractmethod
    def waiting(self, queue: str, limit: int) -> list[Item]:
        """What waits, due first: neither in somebody's hands, nor done, nor set aside. Costs as much as it gives."""

    @abstractmethod
    def recent(self, queue: str, limit: int) -> list[Item]:
        """What was put into a queue last, done or not, newest first. Costs as much as what was put into all queues
        since the last of them."""

    # records --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def get(self, kind: str, key: str) -> Record | None:
        """One record."""

    @abstractmethod
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
        """Write a record. `version` is that of the record as it was read, 0 for one that must not exist yet, None to
        write whatever is there. Raises Conflict."""

    @abstractmethod
    def enter(self, kind: str, records: Sequence[Fresh]) -> None:
        """Write records that say the same whoever writes them, as the entries of an index do: one that is there
        already stays as it is. All together cost little more than one that is saved."""

    @abstractmethod
    def find(self, kind: str, wanted: Filter = Filter()) -> list[Record]:  # noqa: B008 - it is immutable
        """Records of a kind in the order of their keys; where `due_before` or `after_due` is given, those that have a
        `due`, in its order, then in that of their keys."""

    @abstractmethod
    def count(self, kind: str, wanted: Filter = Filter()) -> int:  # noqa: B008
        """How many there are; `limit`, `after_key` and `after_due` do not matter."""

    @abstractmethod
    def delete(self, kind: str, key: str) -> bool:
        """Remove a record; False where there is none."""

    # logs -----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def append(self, log: str, body: Body) -> Entry:
        """Add a line. Until the transaction ends no other transaction adds one to the same log."""

    @abstractmethod
    def last(self, log: str) -> Entry | None:
        """The newest line, held until the transaction ends as `append` holds it."""

    @abstractmethod
    def read(self, log: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Lines with a number above `after`, in order."""

    # house keeping --------------------------------------------------------------------------------------------------

    @abstractmethod
    def purge_done(self, queue: str, before: float) -> int:
        """Forget acknowledged work that ended before a wall time; returns how many. Their keys may be put again."""

    @abstractmethod
    def purge_records(self, kind: str, state: str | None, before: float) -> int:
        """Forget records of a state (None: of any) that were last saved before a wall time; returns how many."""


class Store(ABC):
    """A place for all that."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]:
        """All or nothing: committed and durable when the block ends, undone when it raises. Not to be nested."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Transaction]:
        """A look at what was committed: all of it as of one moment, between the begin of the block and the first thing
        that is asked.

        Nothing may be written (StoreError), `last` holds nothing up, and a look neither waits for writers nor lets them
        wait. It may be opened within a transaction, which it does not see; not within another look. What a look sees
        cannot be cleared away: let it last seconds, and read what is long page by page, a look for each."""

    @abstractmethod
    def check(self) -> None:
        """Raise StoreError where the store cannot be written."""

    @abstractmethod
    def compact(self) -> None:
        """Give back the room of what was forgotten. May take a while; not inside a transaction."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""
