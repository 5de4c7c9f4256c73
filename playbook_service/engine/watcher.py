"""Sooner than by polling: Cortex itself says when a job ends, and the step that waits for it is made due.

A convenience and nothing more. What is forgotten here (a restart, a full list, Cortex away) is found by polling.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from playbook_service.store.contract import Store, StoreError
from propolis.errors import PropolisError

_LOG = logging.getLogger("propolis.engine")
_AT_MOST = 30.0  # seconds of one wait: Cortex holds the request open for as long
_MOST = 2_000  # jobs; more are left to polling
_ROUNDS = 40  # waits for one job, after which it is left to polling


class CortexJob(Protocol):
    """What is looked at of a job."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""


Wait = Callable[[str, float], "CortexJob | None"]
"""`wait(job id, seconds)`: the job, once it has ended or the time is up; None where Cortex does not know it."""


class _Watched(NamedTuple):
    job: str
    queue: str
    key: str
    rounds: int


class Watcher:
    """Threads that wait for jobs, each one job at a time. `wake` tells the loop to look at its queues."""

    def __init__(self, wait: Wait, store: Store, wake: Callable[[], None], *, threads: int = 4):
        self._wait = wait
        self._store = store
        self._wake = wake
        self._count = threads
        self._waiting: deque[_Watched] = deque()
        self._known: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def watch(self, job: str, queue: str, key: str) -> None:
        """Make the step due when the job ends; once for each job, however often it is asked for."""
        with self._changed:
            if job in self._known or len(self._known) >= _MOST or self._stopping:
                return
            self._known.add(job)
            self._waiting.append(_Watched(job, queue, key, 0))
            self._changed.notify()

    def start(self) -> None:
        """Start the threads."""
        for number in range(self._count):
            thread = threading.Thread(target=self._work, name=f"watcher-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the threads; one in the middle of a wait is not waited for, as it changes nothing any more."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while (watched := self._next()) is not None:
            if self._ended(watched):
                self._forget(watched.job)
                self._revive(watched)
            else:
                self._again(watched)

    def _next(self) -> _Watched | None:
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            return None if self._stopping else self._waiting.popleft()

    def _ended(self, watched: _Watched) -> bool:
        """True also where Cortex cannot say: then the step looks for itself."""
        try:
            job = self._wait(watched.job, _AT_MOST)
        except PropolisError as error:
            _LOG.info("Cortex does not say how job %s is doing, so it is polled: %s", watched.job, error)
            return True
        return job is None or job.finished

    def _again(self, watched: _Watched) -> None:
        """Behind the others, so that a few slow jobs do not keep all threads."""
        if watched.rounds + 1 >= _ROUNDS:
            self._forget(watched.job)
            return
        with self._changed:
            if not self._stopping:
                self._waiting.append(watched._replace(rounds=watched.rounds + 1))
                self._changed.notify()

    def _forget(self, job: str) -> None:
        with self._changed:
            self._known.discard(job)

    def _revive(self, watched: _Watched) -> None:
        if self._stopping:
            return
        try:
            with self._store.transaction() as work:
                work.revive(watched.queue, watched.key)
        except StoreError as error:
            _LOG.error("the store does not work, so a step is polled: %s", error)
            return
        self._wake()
