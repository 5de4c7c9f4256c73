"""Group commit: many senders share one transaction, and each hears of its event only when that is committed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from playbook_service.engine.crashpoint import reached
from playbook_service.store.contract import Store, StoreError
from propolis.clock import Clock

_COUNT_EVERY = 1.0  # seconds between two looks at the backlog, which costs a query
_COUNT_SHARE = 100  # of which a long one is made more rarely: a hundredth of the time may go into counting


class Event(NamedTuple):
    """Something to be handled later: its key makes a repetition harmless."""

    key: str
    body: dict[str, Any]


Settled = Callable[[Sequence[Event], Sequence[bool]], None]
"""Told of a sender's events and which of them were new; of none where they were refused."""


class Full(StoreError):
    """More waits than may wait; the sender should come back."""


class _Waiting:
    """A sender's events and the outcome it waits for."""

    def __init__(self, events: Sequence[Event]):
        self.events = events
        self.fresh: list[bool] = []
        self.error: Exception | None = None
        self.settled = threading.Event()


class Committer:
    """One thread that commits what others hand in, and says so to `committed`. Use as a context manager."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        queue: str = "inbox",
        backlog_limit: int,
        batch: int = 512,
        committed: Callable[[], None] = lambda: None,
        settled: Settled = lambda _events, _fresh: None,
    ):
        self._store = store
        self._clock = clock
        self._queue = queue
        self._backlog_limit = backlog_limit
        self._batch = batch
        self._committed = committed
        self._settled = settled
        self._handed_in: list[_Waiting] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._backlog = 0
        self._count_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)

    def __enter__(self) -> Committer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def commit(self, events: Sequence[Event]) -> list[bool]:
        """Commit the events together; True for each that was new. Returns only when they are durable.

        Raises Full when too much waits, StoreError when the store cannot be written: then nothing was kept.
        """
        waiting = _Waiting(events)
        with self._changed:
            if self._stopping:
                raise StoreError("The service is stopping.")
            self._handed_in.append(waiting)
            self._changed.notify_all()
        waiting.settled.wait()
        self._settled(events, waiting.fresh)
        if waiting.error is not None:
            raise waiting.error
        return waiting.fresh

    def _run(self) -> None:
        while batch := self._next():
            self._settle(batch)
            for waiting in batch:
                waiting.settled.set()

    def _settle(self, batch: list[_Waiting]) -> None:
        """Commit together; where an event cannot be kept, each sender's by themselves: it costs the others nothing."""
        try:
            self._commit(batch)
        except Exception as error:  # whatever it is, the senders must hear that nothing was kept
            if len(batch) > 1 and not isinstance(error, StoreError):
                for waiting in batch:
                    self._settle([waiting])
                return
            for waiting in batch:
                waiting.error = error

    def _next(self) -> list[_Waiting]:
        """The next batch; empty when it is time to stop and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._handed_in or self._stopping)
            batch, self._handed_in = self._handed_in[: self._batch], self._handed_in[self._batch :]
            return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        with self._store.transaction() as work:
            self._check_room(work.backlog)
            outcomes = [[work.put(self._queue, event.key, event.body) for event in each.events] for each in batch]
            reached("intake.put")
        reached("intake.committed")
        self._committed()
        for waiting, fresh in zip(batch, outcomes, strict=True):
            waiting.fresh = fresh
        self._backlog += sum(sum(fresh) for fresh in outcomes)

    def _check_room(self, count: Any) -> None:
        began = self._clock.monotonic()
        if began >= self._count_at or self._backlog >= self._backlog_limit:
            backlog = count(self._queue)
            now = self._clock.monotonic()
            self._backlog, self._count_at = (
                backlog.waiting + backlog.claimed,
                now + max(_COUNT_EVERY, _COUNT_SHARE * (now - began)),
            )
        if self._backlog >= self._backlog_limit:
            raise Full(f"{self._backlog:,} events wait already; at most {self._backlog_limit:,} may.")
