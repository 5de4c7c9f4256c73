"""A store that counts what is asked of it, so that a test can hold what a page costs.

world.store = counted = Counted(world.store)
with House(world) as house:
    visitor = house.visitor(ANALYST)
    cost = counted.during(lambda: visitor.get("/console/decisions"))
    assert (cost.calls["find"], cost.rows) == (1, 51)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playbook_service.store.contract import Store, Transaction


class Cost:
    """How often each call was made, and how many records, lines and items came back in all."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.rows = 0

    @property
    def total(self) -> int:
        """All calls."""
        return sum(self.calls.values())


class Counted(Store):
    """Around another store."""

    def __init__(self, inner: Store):
        self.inner = inner
        self.cost = Cost()

    def during(self, act: Callable[[], Any]) -> Cost:
        """What that costs."""
        self.cost = cost = Cost()
        act()
        self.cost = Cost()
        return cost

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.inner.transaction() as work:
            yield _counting(work, self)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self.inner.reading() as work:
            yield _counting(work, self)

    def check(self) -> None:
        self.inner.check()

    def compact(self) -> None:
        self.inner.compact()

    def close(self) -> None:
        self.inner.close()


def _counting(work: Transaction, store: Counted) -> Transaction:
    """The transaction, with every call counted on its way."""
    calls = {name: _passing(name, work, store) for name in Transaction.__abstractmethods__}
    made: Transaction = type("Counting", (Transaction,), calls)()
    return made


def _passing(name: str, work: Transaction, store: Counted) -> Callable[..., Any]:
    def call(_: Transaction, *values: Any, **named: Any) -> Any:
        answer = getattr(work, name)(*values, **named)
        store.cost.calls[name] += 1
        store.cost.rows += len(answer) if isinstance(answer, list) else answer is not None
        return answer

    return call
