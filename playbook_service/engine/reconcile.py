"""Find what hooks lost: everything that changed in TheHive since a stored moment, in rounds, by a timer and at start.

A round reads, of each kind, what changed from the watermark on, oldest first, and does with it what a hook would have
made us do; the watermark is saved in the transaction that puts what follows. Moments are TheHive's own, so no clock of
ours matters; as TheHive stamps a change before it is committed, each round begins a little before the newest change
that the last one saw. Looking again at what was seen does nothing.

Step `reconcile:<kind>` `{"what"}`. Record `watermark`, key = the kind: `at`, milliseconds since the epoch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from playbook_service.engine import enrichment, lease, sighting
from playbook_service.engine.sighting import Sighting, says_contained
from playbook_service.engine.step import Commit, Later, Outcome, follow, wake
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Alert, Case, Observable, Task
from playbook_service.store.contract import Filter, Item, Transaction
from propolis.errors import InputError

_LOG = logging.getLogger("propolis.engine")

WATERMARK = "watermark"
KINDS = ("case", "alert", "task", "observable")
_OVERLAP = 60_000
"""Milliseconds before the newest change that was seen, from which the next round reads again."""
_BEFORE_THE_FIRST = 600_000
"""Milliseconds before now from which a fresh installation reads: nothing older can be of our making."""
_MOST = 500
"""Entities of a kind in one round."""
_SOON = 1.0

Changed = TypeVar("Changed", Alert, Case, Task, Observable)


class Round(NamedTuple):
    """What one round of one kind came to: what is to be committed, up to where it got, whether there is more."""

    commits: tuple[Commit, ...]
    newest: int
    more: bool


class Reconcile:
    """The step `reconcile`. `seconds` pass between rounds."""

    def __init__(self, tools: Tools, seen: Sighting, seconds: float = 60.0):
        self._tools = tools
        self._seen = seen
        self._seconds = seconds
        hive = tools.hive
        self._readers: Mapping[str, Callable[[int], Round]] = {
            "case": lambda since: _round(hive.changed_cases(since), since, self._case),
            "alert": lambda since: _round(hive.changed_alerts(since), since, self._alert),
            "task": lambda since: _round(hive.changed_tasks(since), since, self._task),
            "observable": lambda since: _round(hive.changed_observables(since), since, self._observable),
        }

    def begin(self, work: Transaction) -> None:
        """At start: have every kind read now, and whatever waits for a job or an action look now."""
        for kind in KINDS:
            if not follow(work, "reconcile", kind, what=kind):
                wake(work, "reconcile", kind)
        for state, step in ((enrichment.STATE_RUNNING, "run"), (enrichment.SCORING, "score")):
            for record in work.find(enrichment.KIND, Filter(state=state)):
                wake(work, step, f"{record.key}:{record.body['round']}")
        for state, step in ((lease.WISHED, "contain"), (lease.RELEASING, "release")):
            for record in work.find(lease.KIND, Filter(state=state)):
                wake(work, step, record.key)

    def step(self, item: Item) -> Outcome:
        """One round of one kind; it never ends."""
        kind = str(item.body["what"])
        with self._tools.store.transaction() as work:
            record = work.get(WATERMARK, kind)
        since = int(record.body["at"]) if record else self._tools.now_ms - _BEFORE_THE_FIRST
        found = self._readers[kind](since)

        def commit(work: Transaction) -> None:
            for one in found.commits:
                one(work)
            version = record.version if record else 0
            work.save(WATERMARK, kind, {"at": _next(since, found)}, version=version)

        return Later(_SOON if found.more else self._seconds, "reconciled; waiting for the next round", commit)

    def _case(self, case: Case) -> Commit | None:
        return lambda work: self._seen.case(work, case)

    def _alert(self, alert: Alert) -> Commit | None:
        return (lambda work: self._seen.alert(work, alert)) if alert.case_id else None

    def _task(self, task: Task) -> Commit | None:
        return (lambda work: sighting.task(work, task.case_id)) if task.case_id else None

    def _observable(self, observable: Observable) -> Commit | None:
        """Whose case it is has to be asked for: only where its tags say that it matters."""
        contained = says_contained(observable)
        if not contained and not self._seen.asks(observable):
            return None
        case_id = self._seen.case_of("case_artifact", observable.id)
        if not case_id:
            return None
        look = self._seen.actions("case_artifact", observable.id) if contained else None

        def commit(work: Transaction) -> None:
            self._seen.observable(work, observable, case_id)
            if look is not None:
                look(work)

        return commit


def _round(changes: Iterator[Changed], since: int, read: Callable[[Changed], Commit | None]) -> Round:
    """Read at most so many; where they all are of one moment, on to its end, as the next round begins there."""
    commits: list[Commit] = []
    newest, count, more = since, 0, False
    for one in changes:
        moment = one.updated_at or one.created_at
        if count >= _MOST and moment > newest > since:
            more = True
            break
        newest, count = max(newest, moment), count + 1
        commit = _read(read, one)
        if commit is not None:
            commits.append(commit)
    return Round(tuple(commits), newest, more)


def _read(read: Callable[[Changed], Commit | None], one: Changed) -> Commit | None:
    """An entity that cannot be worked with must not keep all others from being seen."""
    try:
        return read(one)
    except InputError as error:
        _LOG.error("%s was passed over: %s", one.id, error)
        return None


def _next(since: int, found: Round) -> int:
    """Where the next round begins: never before this one did."""
    return found.newest if found.more else max(since, found.newest - _OVERLAP)
