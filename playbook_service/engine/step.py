"""What a step of work is: a handler gets an item, talks to the outside, and returns what is to be committed.

A handler runs without a transaction open. It may be killed anywhere and will then be run again with the same item, so
everything it does outside is idempotent or resolved by looking. What it returns is committed in one transaction with
the item's acknowledgement: records, following steps, audit lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from playbook_service.logs import trail
from playbook_service.store.contract import Item, Transaction
from propolis.errors import PropolisError

STEPS = "step"
"""The queue of steps; `inbox` holds what came in by the hooks."""

Commit = Callable[[Transaction], None]
"""Writes what a step learned. Runs inside the transaction that acknowledges the step."""


class Done(NamedTuple):
    """The step is finished."""

    commit: Commit | None = None


class Later(NamedTuple):
    """The step is to be run again after so many seconds; `commit` keeps what it learned until now."""

    seconds: float
    why: str
    commit: Commit | None = None


class Give(PropolisError):
    """The step can never succeed: it is set aside for a person with this sentence."""


Outcome = Done | Later
Handler = Callable[[Item], Outcome]


def follow(work: Transaction, kind: str, key: str, *, due: float | None = None, **facts: Any) -> bool:
    """Put a following step `<kind>:<key>`; False where it was put before. `facts` are JSON values."""
    return work.put(STEPS, f"{kind}:{key}", {"do": kind, **facts, **trail.carried(facts)}, due=due)


def wake(work: Transaction, kind: str, key: str) -> bool:
    """Make a waiting step due now: a hook says that something happened."""
    return work.revive(STEPS, f"{kind}:{key}")
