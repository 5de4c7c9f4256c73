"""Work for later, done by a bounded number of threads, at moments of the injected clock."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from propolis.clock import Clock, SystemClock
from propolis.errors import PropolisError

_LOOK_AGAIN = 0.02
"""Seconds between looks at the clock while something is planned: a test's clock moves without telling anybody."""


@dataclass(order=True)
class _Item:
    due: float
    order: int
    task: Callable[[], None] = field(compare=False)
    counts: bool = field(compare=False)


class Agenda:
    """Runs tasks on `threads` threads, each at its time. A task that raises is remembered in `failures`."""

    def __init__(self, name: str, clock: Clock, threads: int):
        self.failures: list[BaseException] = []
        self._name = name
        self._clock = clock
        lock = threading.RLock()
        self._changed = threading.Condition(lock)  # the crew waits here for work
        self._ended = threading.Condition(lock)  # onlookers wait here, so that they never take a wake-up from the crew
        self._items: list[_Item] = []
        self._order = itertools.count()
        self._running = 0
        self.added = 0
        self._open = False
        self._size = threads
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to work."""
        self._open = True
        self._threads = [
            threading.Thread(target=self._work, name=f"lab-{self._name}-{number}") for number in range(self._size)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Forget what is planned, wait for what is being done."""
        with self._changed:
            self._open = False
            self._items.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def add(self, task: Callable[[], None], delay: float = 0.0, *, counts: bool = True) -> None:
        """Plan a task in `delay` seconds; one that does not count is not waited for by `settle`."""
        with self._changed:
            item = _Item(self._clock.monotonic() + delay, next(self._order), task, counts)
            heapq.heappush(self._items, item)
            self.added += item.counts
            self._changed.notify()

    def busy(self, *, future: bool) -> bool:
        """Whether something is being done or due (with `future`: or planned)."""
        with self._changed:
            if self._running:
                return True
            now = self._clock.monotonic()
            return any(item.counts and (future or item.due <= now) for item in self._items)

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition holds, looking at it whenever a task here ends and every few milliseconds.

        `timeout` is in seconds of the machine's own clock, whatever the lab's clock says.
        """
        real = SystemClock()
        deadline = real.monotonic() + timeout
        while not condition():
            if real.monotonic() >= deadline:
                return False
            with self._ended:
                self._ended.wait(_LOOK_AGAIN)
        return True

    def _work(self) -> None:
        while True:
            item = self._next()
            if item is None:
                return
            try:
                item.task()
            except Exception as error:  # kept and raised by `settle`: a broken lab must not look like a quiet one
                self.failures.append(error)
            finally:
                self._done(item)

    def _next(self) -> _Item | None:
        with self._changed:
            while self._open:
                wait = self._items[0].due - self._clock.monotonic() if self._items else None
                if wait is not None and wait <= 0:
                    item = heapq.heappop(self._items)
                    self._running += item.counts
                    return item
                self._changed.wait(None if wait is None else min(wait, _LOOK_AGAIN))
            return None

    def _done(self, item: _Item) -> None:
        with self._changed:
            self._running -= item.counts
            self._ended.notify_all()


def settle(agendas: Iterable[Agenda], awakening: Callable[[], bool], *, timeout: float, future: bool) -> None:
    """Wait until nobody has anything left to do. Raises PropolisError when that takes longer than `timeout` seconds."""
    crew = list(agendas)

    def idle() -> bool:
        before = sum(agenda.added for agenda in crew)
        busy = awakening() or any(agenda.busy(future=future) for agenda in crew)
        return not busy and before == sum(agenda.added for agenda in crew)  # nobody handed work to one seen idle

    quiet = crew[0].wait(idle, timeout)
    failures = [failure for agenda in crew for failure in agenda.failures]
    if failures:
        raise PropolisError(f"A task of the lab failed: {failures[0]!r}.") from failures[0]
    if not quiet:
        raise PropolisError(f"The lab was still busy after {timeout:g} s.")
