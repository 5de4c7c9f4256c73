"""Work that takes longer than a page may: done once in the background, kept, and shown with the time it was done.

Record `errand`, key = its name: state `running`, `done` or `failed`; body `began`, `ended`, `by`, `result` (JSON) or
`error`. One that runs longer than its time is taken for cut off, by a crash or a stop, and may be started again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from playbook_service.store.contract import Conflict, Record, Store, StoreError, Transaction
from propolis.clock import Clock
from propolis.errors import PropolisError

_LOG = logging.getLogger("propolis.console")
KIND = "errand"
RUNNING, DONE, FAILED = "running", "done", "failed"
LONGEST = 900.0
"""Seconds after which a running errand is taken for cut off."""


class Errand(NamedTuple):
    """How an errand stands. Times are seconds since the epoch, 0 where there is none; `result` is that of the last time
    it was done."""

    state: str
    began: float
    ended: float
    by: str
    result: Any
    error: str


NEVER = Errand("", 0.0, 0.0, "", None, "")


def standing(work: Transaction, name: str, now: float) -> Errand:
    """How the errand of that name stands."""
    record = work.get(KIND, name)
    if record is None:
        return NEVER
    body = record.body
    cut = record.state == RUNNING and now - float(body["began"]) > LONGEST
    error = "it was cut off before its end" if cut else str(body["error"])
    return Errand(
        FAILED if cut else record.state, float(body["began"]), float(body["ended"]), body["by"], body["result"], error
    )


class Errands:
    """Runs errands, each in a thread of its own, one of a name at a time on all nodes."""

    def __init__(self, store: Store, clock: Clock):
        self._store = store
        self._clock = clock
        self._threads: list[threading.Thread] = []

    def start(self, name: str, act: Callable[[], Any], by: str) -> bool:
        """Start it; False where it runs already. `act` gives what JSON can say."""
        now = self._clock.now()
        try:
            with self._store.transaction() as work:
                if standing(work, name, now).state == RUNNING:
                    return False
                record = work.get(KIND, name)
                before = record.body["result"] if record else None
                body = {"began": now, "ended": 0.0, "by": by, "result": before, "error": ""}
                record = work.save(KIND, name, body, version=record.version if record else 0, state=RUNNING)
        except Conflict:
            return False
        thread = threading.Thread(target=self._run, args=(record, act), name=f"errand-{name}", daemon=True)
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()
        return True

    def join(self) -> None:
        """Wait for what runs."""
        for thread in self._threads:
            thread.join()

    def _run(self, record: Record, act: Callable[[], Any]) -> None:
        try:
            result = act()
        except PropolisError as error:
            self._end(record, FAILED, record.body["result"], str(error).rstrip("."))
        except Exception as error:
            _LOG.exception("%s failed", record.key)
            self._end(record, FAILED, record.body["result"], f"{type(error).__name__}; the service's log says why")
        else:
            self._end(record, DONE, result, "")

    def _end(self, record: Record, state: str, result: Any, error: str) -> None:
        body = {**record.body, "ended": self._clock.now(), "result": result, "error": error}
        try:
            with self._store.transaction() as work:
                work.save(KIND, record.key, body, version=record.version, state=state)
        except (Conflict, StoreError) as lost:
            _LOG.error("what %s found is lost: %s", record.key, lost)
        except (TypeError, ValueError):
            if state != DONE:
                raise
            _LOG.exception("what %s found is nothing that JSON can say", record.key)
            self._end(record, FAILED, record.body["result"], "what it found cannot be kept; the service's log says why")
