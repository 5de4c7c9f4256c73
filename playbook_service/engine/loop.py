"""Run steps: claim, handle, commit, acknowledge. Several threads, several processes, one store.

A failure of the outside is not a failure of the step: it waits with growing pauses and goes on by itself. A step that
fails for a reason of its own is set aside for a person after a number of tries, and shouted about.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from playbook_service.engine.crashpoint import reached
from playbook_service.engine.step import STEPS, Commit, Done, Give, Handler, Later
from playbook_service.logs import trail
from playbook_service.store.contract import Conflict, Item, LostClaim, Store, StoreError, Transaction
from propolis.clock import Clock
from propolis.errors import PropolisError
from propolis.http import HttpError

_LOG = logging.getLogger("propolis.engine")
_QUEUES = (STEPS, "inbox")  # what is under way goes before what is new
_FRESH = 0.1
_STORE_PAUSE = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 300.0


class Pace(NamedTuple):
    """How the loop works: seconds a claim lasts, seconds between looks at an empty queue, tries of a failing step."""

    claim: float = 300.0
    idle: float = 0.5
    tries: int = 20


class Loop:
    """Workers over one store. `handlers` maps the word in an item's `do` (or `from`, in the inbox) to its handler."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        handlers: Mapping[str, Handler],
        *,
        owner: str,
        buried: Callable[[Transaction, Item, str], None],
        pace: Pace = Pace(),  # noqa: B008 - it is immutable
        jitter: Callable[[], float] = random.random,
        claiming: Callable[[Transaction], object] = lambda _: None,
    ):
        """`claiming` sees every transaction in which a step is claimed."""
        self._store = store
        self._clock = clock
        self._handlers = handlers
        self._owner = owner
        self._buried = buried
        self._pace = pace
        self._jitter = jitter
        self._claiming = claiming
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, threads: int) -> None:
        """Start so many workers."""
        for number in range(threads):
            name = f"engine-{number}"
            thread = threading.Thread(target=self._work, args=(f"{self._owner}/{number}",), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)  # only what runs can be waited for, should somebody stop us at this moment

    def stop(self) -> None:
        """Let every worker finish the step in its hands, and wait for that."""
        self._stop.set()
        self._woken.set()
        for thread in self._threads:
            thread.join()

    def wake(self) -> None:
        """Look at the queues now: something was put."""
        self._woken.set()

    def run_due(self, limit: int = 10_000) -> int:
        """Run what is due in this thread, until nothing is; returns how many steps ran. For tests and commands."""
        ran = 0
        while ran < limit and self._one(self._owner):
            ran += 1
        return ran

    def _work(self, owner: str) -> None:
        while not self._stop.is_set():
            pause = self._pace.idle
            try:
                busy = self._one(owner)
            except StoreError as error:
                _LOG.error("the store does not work, waiting: %s", error)
                busy, pause = False, _STORE_PAUSE
            except Exception:
                _LOG.exception("a step could not be ended; its claim runs out, and it is run again")
                busy, pause = False, _STORE_PAUSE
            if not busy:
                self._woken.wait(pause)
                self._woken.clear()

    def _one(self, owner: str) -> bool:
        """Run one step; False where none is due."""
        item = self._claim(owner)
        if item is None:
            return False
        reached("step.claimed")
        try:
            with trail.step(item, self._store):
                self._run(item)
        except LostClaim as error:
            _LOG.info("%s", error)  # another has the step now
        return True

    def _claim(self, owner: str) -> Item | None:
        with self._store.transaction() as work:
            for queue in _QUEUES:
                items = work.claim(queue, owner, seconds=self._pace.claim)
                if items:
                    self._claiming(work)
                    return items[0]
        return None

    def _run(self, item: Item) -> None:
        try:
            outcome = self._handler(item)(item)
            reached("step.handled")
            self._settle(item, outcome)
            reached("step.settled")
        except (LostClaim, StoreError):
            raise
        except Conflict as error:
            self._again(item, str(error), _FRESH)  # it is run again on what was written meanwhile
        except Give as error:
            self._set_aside(item, str(error))
        except HttpError as error:
            self._once_more(item, str(error))
        except Exception as error:
            self._failed(item, error)

    def _handler(self, item: Item) -> Handler:
        word = str(item.body.get("do") or item.body.get("from"))
        try:
            return self._handlers[word]
        except KeyError:
            raise Give(f"Nobody knows how to do {word!r}: was this written by a newer version?") from None

    def _settle(self, item: Item, outcome: Done | Later) -> None:
        if isinstance(outcome, Later):
            self._again(item, outcome.why, outcome.seconds, outcome.commit)
            return
        with self._store.transaction() as work:
            work.done(item)
            if outcome.commit is not None:
                outcome.commit(work)
            reached("step.settling")

    def _again(self, item: Item, why: str, seconds: float, commit: Commit | None = None) -> None:
        with self._store.transaction() as work:
            work.later(item, self._clock.now() + seconds, why)
            if commit is not None:
                commit(work)

    def _once_more(self, item: Item, why: str) -> None:
        """It failed: how often in a row decides the pause. A step that waited a thousand times has not failed once."""
        with self._store.transaction() as work:
            work.later(item, self._clock.now() + self._pause(item.failures), why, failed=True)

    def _pause(self, failures: int) -> float:
        """Grows with the failures, with a random part so that many steps do not come back at one moment."""
        grown: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures, 20))
        return grown * (0.5 + self._jitter() / 2)

    def _failed(self, item: Item, error: Exception) -> None:
        sentence = str(error) if isinstance(error, PropolisError) else f"{type(error).__name__}: {error}"
        if item.failures + 1 >= self._pace.tries:
            self._set_aside(item, f"{sentence} (given up after {item.failures + 1} tries)")
            return
        if not isinstance(error, PropolisError):
            _LOG.exception("%s %s failed", item.queue, item.key)
        self._once_more(item, sentence)

    def _set_aside(self, item: Item, sentence: str) -> None:
        _LOG.error("%s %s was set aside: %s", item.queue, item.key, sentence)
        with self._store.transaction() as work:
            work.bury(item, sentence)
            self._buried(work, item, sentence)
