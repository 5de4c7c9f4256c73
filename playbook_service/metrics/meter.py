"""What this process does, counted in memory: events, steps, requests in and out, transactions of the store.

Everything is counted from outside, by something put around what does the work; one lock, held for a few additions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus

from playbook_service.engine.step import Done, Give, Handler, Later
from playbook_service.intake.committer import Event, Full
from playbook_service.metrics import catalogue
from playbook_service.metrics.family import Family, Measured
from playbook_service.metrics.sums import Sums
from playbook_service.store.contract import Conflict, Item, LostClaim, Store, StoreError, Transaction
from playbook_service.web.application import Handler as Page
from playbook_service.web.application import Route
from playbook_service.web.message import Answer, Failure, Request
from propolis.clock import Clock
from propolis.http.address import Address
from propolis.http.observer import Exchange

Opened = Callable[[], AbstractContextManager[Transaction]]


class Meter:
    """The counters of one process. `dependencies` says which address is whose."""

    def __init__(self, clock: Clock, dependencies: Mapping[Address, str] | None = None):
        self._clock = clock
        self._dependencies = dict(dependencies or {})
        self._lock = threading.Lock()
        self._sums = Sums(catalogue.METERED)

    def measured(self) -> list[Measured]:
        """All counters as they are now."""
        with self._lock:
            return self._sums.measured()

    # what goes in ---------------------------------------------------------------------------------------------------

    def events(self, events: Sequence[Event], fresh: Sequence[bool]) -> None:
        """Events were committed, or refused: then `fresh` is empty."""
        with self._lock:
            for place, event in enumerate(events):
                outcome = ("accepted" if fresh[place] else "known") if fresh else "refused"
                self._sums.add(catalogue.EVENTS, str(event.body.get("from")), outcome)

    def routes(self, routes: Iterable[Route]) -> list[Route]:
        """The same routes, each request counted."""
        return [route._replace(handler=self._page(route)) for route in routes]

    def _page(self, route: Route) -> Page:
        def handle(request: Request) -> Answer:
            began, status = self._clock.monotonic(), HTTPStatus.INTERNAL_SERVER_ERROR
            try:
                answer = route.handler(request)
                status = answer.status
            except Failure as failure:
                status = failure.status
                raise
            finally:
                self._took(catalogue.REQUEST_SECONDS, began, catalogue.REQUESTS, (route.path, str(int(status))))
            return answer

        return handle

    # what is done ---------------------------------------------------------------------------------------------------

    def handlers(self, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
        """The same handlers of steps, each run counted."""
        return {word: self._step(word, handler) for word, handler in handlers.items()}

    def _step(self, word: str, handler: Handler) -> Handler:
        def handle(item: Item) -> Done | Later:
            began, outcome = self._clock.monotonic(), "failed"
            self._late(item)
            try:
                result = handler(item)
                outcome = "later" if isinstance(result, Later) else "done"
            except (Conflict, LostClaim):
                outcome = "again"
                raise
            except Give:
                outcome = "given_up"
                raise
            finally:
                self._took(catalogue.STEP_SECONDS, began, catalogue.STEPS, (word, outcome))
            return result

        return handle

    def _late(self, item: Item) -> None:
        with self._lock:
            self._sums.observe(catalogue.STEP_DELAY, max(0.0, self._clock.now() - item.due), item.queue)

    # what others do -------------------------------------------------------------------------------------------------

    def exchange(self, exchange: Exchange) -> None:
        """A request to somebody else ended."""
        name = self._dependencies.get(exchange.address, "other")
        outcome = exchange.fault or "ok"
        if outcome == "status":
            outcome = f"status_{(exchange.status or 0) // 100}xx"
        with self._lock:
            self._sums.add(catalogue.CALLS, name, outcome)
            self._sums.observe(catalogue.CALL_SECONDS, exchange.seconds, name)

    def store(self, store: Store) -> Store:
        """The same store, each transaction counted."""
        return _Watched(store, self)

    @contextmanager
    def transaction(self, opened: Opened, access: str) -> Iterator[Transaction]:
        """Count a transaction of the store."""
        began, outcome = self._clock.monotonic(), "ok"
        try:
            with opened() as work:
                yield work
        except (Conflict, LostClaim):
            outcome = "conflict"
            raise
        except StoreError as error:
            outcome = "ok" if isinstance(error, Full) else "error"
            raise
        finally:
            with self._lock:
                self._sums.add(catalogue.CALLS, "store", outcome)
                self._sums.observe(catalogue.STORE_SECONDS, self._clock.monotonic() - began, access)

    def _took(self, seconds: Family, began: float, counter: Family, labels: tuple[str, str]) -> None:
        with self._lock:
            self._sums.add(counter, *labels)
            self._sums.observe(seconds, self._clock.monotonic() - began, labels[0])


class _Watched(Store):
    """A store whose transactions are counted."""

    def __init__(self, inner: Store, meter: Meter):
        self._inner = inner
        self._meter = meter

    def transaction(self) -> AbstractContextManager[Transaction]:
        return self._meter.transaction(self._inner.transaction, "write")

    def reading(self) -> AbstractContextManager[Transaction]:
        return self._meter.transaction(self._inner.reading, "read")

    def check(self) -> None:
        self._inner.check()

    def compact(self) -> None:
        self._inner.compact()

    def close(self) -> None:
        self._inner.close()
