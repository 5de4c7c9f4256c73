"""The trail of an alert: its key (`<node>:<id>`) goes along from step to step, into every log and audit line.

A step carries it in its body as `trace`, so it survives restarts and passes from node to node. What a step writes into
the audit chain is logged when the step has ended, and only what was really committed: a log must not tell of what was
rolled back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from playbook_service.store.contract import Item, Store, StoreError

EVENTS = logging.getLogger("propolis.event")
_CHAIN = "audit"
_BOOKKEEPING = ("n", "prev", "hash", "at", "action", "trace")


class _Step:
    """The step that this thread runs."""

    def __init__(self, item: Item):
        self.name = item.key
        self.trace = str(item.body.get("trace") or _key(item.body.get("alert")))
        self.written: list[Mapping[str, Any]] = []


_CURRENT: ContextVar[_Step | None] = ContextVar("step", default=None)


@contextmanager
def step(item: Item, store: Store) -> Iterator[None]:
    """While the block runs, what this thread logs and audits belongs to that step."""
    mine = _Step(item)
    token = _CURRENT.set(mine)
    try:
        yield
    finally:
        try:
            for line in _committed(mine.written, store):
                _tell(line)
        finally:
            _CURRENT.reset(token)


def trace() -> str:
    """The key of the alert that this thread works for; empty where it is for none, or for many."""
    current = _CURRENT.get()
    return current.trace if current is not None else ""


def step_name() -> str:
    """The key of the step that this thread runs, `contain:<lease>`; empty outside steps."""
    current = _CURRENT.get()
    return current.name if current is not None else ""


def belongs_to(alert: str) -> None:
    """The step turns out to be about that alert."""
    current = _CURRENT.get()
    if current is not None:
        current.trace = alert


def carried(facts: Mapping[str, Any]) -> dict[str, str]:
    """What a following step has to carry: `trace`, of the alert that its facts name, else of this step's."""
    found = _key(facts.get("alert")) or trace()
    return {"trace": found} if found else {}


def wrote(line: Mapping[str, Any]) -> None:
    """A line was added to the audit chain, in a transaction that is not committed yet."""
    current = _CURRENT.get()
    if current is None:
        _tell(line)
    else:
        current.written.append(line)


def _committed(lines: list[Mapping[str, Any]], store: Store) -> list[Mapping[str, Any]]:
    """Those that the chain has. Where the store does not answer, the audit chain will tell, not the log."""
    if not lines:
        return []
    first, last = min(line["n"] for line in lines), max(line["n"] for line in lines)
    try:
        with store.reading() as work:
            there = {entry.body["hash"] for entry in work.read(_CHAIN, after=first - 1, limit=last - first + 1)}
    except StoreError:
        return []
    return [line for line in lines if line["hash"] in there]


def _tell(line: Mapping[str, Any]) -> None:
    facts = {name: value for name, value in line.items() if name not in _BOOKKEEPING}
    EVENTS.info("%s", line["action"], extra={"facts": {**facts, "audit": line["n"]}})


def _key(alert: Any) -> str:
    """An alert's key where it is one; in the inbox the same name holds the document."""
    return alert if isinstance(alert, str) else ""
