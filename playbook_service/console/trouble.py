"""What needs a person: what is broken and what to do about it, steps that fail, and what went wrong lately.

Every look is bounded, whatever waits or was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from playbook_service.audit.journal import LOG
from playbook_service.console import contained
from playbook_service.console.frame import ROOT
from playbook_service.console.visit import Desk
from playbook_service.console.whole import grant_of, whole
from playbook_service.engine import lease
from playbook_service.engine.step import STEPS
from playbook_service.reload import Reloading
from playbook_service.store.contract import Entry, Filter, Item, Record, Transaction
from propolis.duration import duration_text
from propolis.guardrails import PolicyError

QUEUES = ("inbox", STEPS)
_DUE = 200
"""Steps that are looked through, those that are due first."""
_TAIL = 300
"""Lines at the end of the audit chain that are looked through."""
_LEASES = 20
_LATE = 300.0
"""Seconds past its end after which a containment should have begun to be undone."""
_NAME = 120
_TELLING = frozenset(
    ("set aside", "release failed", "renewal failed", "left to a person", "not contained", "escalated")
)


class Trouble(NamedTuple):
    """Something that is broken, what to do, and the page where it can be seen (empty: none)."""

    what: str
    do: str
    path: str = ""


class Waiting(NamedTuple):
    """What waits: the steps that failed, newest first, and how many others wait for what."""

    failing: list[Item]
    reasons: list[tuple[str, int]]
    looked_through: int


def troubles(desk: Desk, work: Transaction) -> list[Trouble]:
    """What is broken at this moment, the gravest first."""
    return [*_surroundings(desk), *_leases(work, desk.clock.now())]


def _surroundings(desk: Desk) -> Iterator[Trouble]:
    try:
        desk.policy()
    except PolicyError as error:
        yield Trouble(
            f"The policy cannot be used, so nothing is contained or renewed: {error}",
            "Mend its file: it is read again by itself. Releases go on.",
        )
    if desk.tools() is None:
        yield Trouble(
            "The service has not met TheHive since it started: events are taken in, and wait.",
            "See that TheHive runs, and that thehive_url and thehive_key are right; propolis doctor says what is not.",
        )
    fault = desk.playbooks.trouble() if isinstance(desk.playbooks, Reloading) else None
    if fault is not None:
        yield Trouble(
            f"The playbooks as they are now cannot be used; the last sound ones stay in use: {fault.error}",
            "Mend them (propolis lint says where): they are read again by themselves.",
            f"{ROOT}/playbooks",
        )


def _leases(work: Transaction, now: float) -> Iterator[Trouble]:
    over = work.find(lease.KIND, Filter(state=lease.ACTIVE, due_before=now, limit=_LEASES))
    tried = [
        one for one in work.find(lease.KIND, Filter(state=lease.RELEASING, limit=_LEASES)) if one.body.get("undos")
    ]
    for record in [*over, *tried]:
        found = _not_released(whole(record), now)
        if found is not None:
            yield found
    for record in work.find(lease.KIND, Filter(state=lease.DOUBTFUL, limit=_LEASES)):
        yield _doubtful(record)


def _not_released(record: Record, now: float) -> Trouble | None:
    """One that should be over: its undo failed, or was not begun for minutes."""
    name, path = _name(record), contained.path_of("leases", record.key)
    tries, late = int(record.body["undos"]), now - float(record.body["until"])
    if record.body.get("doubtful"):
        return _doubtful(record)
    if tries:
        return Trouble(
            f"{name} is contained still, though its time is over: the release failed "
            f"{tries} {'time' if tries == 1 else 'times'}.",
            "It is tried again for ever. See what the responder says, or undo it at the product.", path,
        )  # fmt: skip
    if late > _LATE:
        return Trouble(
            f"{name} is contained still, {duration_text(late // 60 * 60)} past its end, and its release has not begun.",
            "See what waits, and why, below; or undo it at the product.", path,
        )  # fmt: skip
    return None


def _doubtful(record: Record) -> Trouble:
    return Trouble(
        f"Whether {_name(record)} is contained is not known.",
        "Look at the product. At its end the undo runs all the same; it touches only what carries our mark.",
        contained.path_of("leases", record.key),
    )


def _name(record: Record) -> str:
    return grant_of(record).target[:_NAME]


def set_aside(work: Transaction, limit: int) -> list[Item]:
    """The steps that a person is to look at."""
    return [item for queue in QUEUES for item in work.buried(queue, limit)]


def waiting(work: Transaction) -> Waiting:
    """What waits and why, of what is due first."""
    found = [item for queue in QUEUES for item in work.waiting(queue, _DUE)]
    failing = sorted((item for item in found if item.failures), key=lambda item: -item.put_at)
    reasons = Counter(item.error or "their turn" for item in found if not item.failures)
    return Waiting(failing, reasons.most_common(), len(found))


def overdue(work: Transaction, now: float) -> float:
    """Seconds by which the step that is due longest is late."""
    first = work.waiting(STEPS, 1)
    return max(0.0, now - first[0].due) if first else 0.0


def lately(work: Transaction, limit: int) -> list[Mapping[str, Any]]:
    """What went wrong or was escalated, by the end of the audit chain, newest first."""
    newest: Entry | None = work.last(LOG)
    if newest is None:
        return []
    lines = work.read(LOG, after=max(0, newest.number - _TAIL), limit=_TAIL)
    return [line.body for line in reversed(lines) if line.body.get("action") in _TELLING][:limit]
