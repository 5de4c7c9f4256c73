"""What is done again and again: a step that never ends, so that of several nodes one does it at a time."""

from __future__ import annotations

from collections.abc import Callable

from playbook_service.engine.step import Handler, Later, Outcome, follow, wake
from playbook_service.store.contract import Item, Transaction


def every(seconds: float, act: Callable[[], None]) -> Handler:
    """A handler that acts and is due again after so many seconds; what goes wrong is tried again by the loop."""

    def handle(item: Item) -> Outcome:
        act()
        return Later(seconds, "done; waiting for the next time")

    return handle


def begin(work: Transaction, name: str) -> None:
    """Start a timer; harmless where it runs already. One that was set aside runs again."""
    if not follow(work, name, "timer"):
        wake(work, name, "timer")
