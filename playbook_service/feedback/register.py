"""The register of suppressions: for each (source, rule, observable) how it was closed lately, as records in the store.

Record `suppression`, key a hash of (source, rule, data type, data): body `source`, `rule_id`, `data_type`, `data`,
`closures` (`{case, number, resolution, at, by}`) and `cleared` (`{at, by}`), those of the window only; due = when the
newest of them is out of it. State `counted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from playbook_service.audit.journal import Journal
from playbook_service.feedback.label import CLEARED, LOG, Closing, Count
from playbook_service.feedback.suppression import (
    CLOSURES,
    NEVER_FROM_LEVEL,
    WINDOW,
    Closures,
    Key,
    origin,
    suppressed,
)
from playbook_service.playbook.model import content_digest
from playbook_service.store.contract import Filter, Record, Store, Transaction
from propolis.alert import Alert
from propolis.clock import Clock
from propolis.errors import InputError
from propolis.observables.model import Observable

KIND = "suppression"
_STATE = "counted"
_MOST_CLOSURES = 100
_PAGE = 1000


class Suppression(NamedTuple):
    """One line of the register at a moment. `until` is when it ends if nothing more happens; None where it does not
    suppress."""

    key: str
    source: str
    rule_id: str
    data_type: str
    data: str
    standing: int
    suppresses: bool
    until: float | None
    closures: tuple[dict[str, Any], ...]
    cleared: tuple[dict[str, Any], ...]


def key_of(count: Count) -> str:
    """16 hex digits that people can copy."""
    return content_digest(list(count))[:16]


# what closings do ---------------------------------------------------------------------------------------------------


def replace(work: Transaction, before: Closing | None, after: Closing | None, now: float) -> None:
    """Enter what a closing counts, and take out what an earlier closing of the same case counted. Raises Conflict."""
    entered = _counting(after)
    for count in dict.fromkeys((*_counting(before), *entered)):
        record = work.get(KIND, key_of(count))
        body = dict(record.body) if record else {**count._asdict(), "closures": [], "cleared": []}
        case_id = (after or before).case_id  # type: ignore[union-attr]
        closures = [entry for entry in body["closures"] if entry["case"] != case_id]
        if after is not None and count in entered:
            closures.append(_closure(after))
        _save(work, record, count, {**body, "closures": closures}, now)


def _counting(closing: Closing | None) -> tuple[Count, ...]:
    return closing.counts if closing is not None else ()


def _closure(closing: Closing) -> dict[str, Any]:
    return {
        "case": closing.case_id, "number": closing.number, "resolution": closing.judgement, "at": closing.at,
        "by": closing.by,
    }  # fmt: skip


def _save(work: Transaction, record: Record | None, count: Count, body: dict[str, Any], now: float) -> None:
    """Only what is in the window is kept: nothing older can count again."""
    start = now - WINDOW
    closures = sorted((entry for entry in body["closures"] if entry["at"] > start), key=lambda entry: entry["at"])
    cleared = [entry for entry in body["cleared"] if entry["at"] > start]
    if not closures:
        if record is not None:
            work.delete(KIND, record.key)
        return
    body = {**body, "closures": closures[-_MOST_CLOSURES:], "cleared": cleared}
    due = closures[-1]["at"] + WINDOW
    work.save(KIND, key_of(count), body, version=record.version if record else 0, state=_STATE, due=due)


def forget(work: Transaction, now: float) -> int:
    """Remove what is out of the window; returns how many."""
    old = work.find(KIND, Filter(due_before=now, limit=_PAGE))
    return sum(work.delete(KIND, record.key) for record in old)


# what arrivals ask --------------------------------------------------------------------------------------------------


class Suppressor:
    """Says of an alert that came in why nobody need look at it: `suppressor(alert, observables)`."""

    def __init__(self, store: Store, clock: Clock):
        self._store = store
        self._clock = clock

    def __call__(self, alert: Alert, observables: Sequence[Observable]) -> str | None:
        if alert.level >= NEVER_FROM_LEVEL:
            return None
        with self._store.transaction() as work:
            return suppressed(alert, observables, _closures(work, alert), self._clock.now()) or None


def _closures(work: Transaction, alert: Alert) -> Callable[[Key], Closures | None]:
    source, rule_id = origin(alert), alert.rule_id

    def look(key: Key) -> Closures | None:
        record = work.get(KIND, key_of(Count(source, rule_id, *key)))
        return closures_of(record) if record else None

    return look


def closures_of(record: Record) -> Closures:
    """A record as the rule sees it: a clearing takes back as a closing as true positive does."""
    found = Closures([], [])
    for entry in record.body["closures"]:
        found.enter(entry["resolution"], float(entry["at"]))
    for entry in record.body["cleared"]:
        found.enter(CLEARED, float(entry["at"]))
    return found


# what people ask ----------------------------------------------------------------------------------------------------


def listed(work: Transaction, now: float) -> list[Suppression]:
    """What counts at this moment, the most often closed first."""
    found = [suppression_of(record, now) for record in _all(work)]
    return sorted((entry for entry in found if entry.standing), key=lambda entry: (-entry.standing, entry[1:5]))


def explained(work: Transaction, key: str, now: float) -> Suppression:
    """One line, by its key or the beginning of it. Raises InputError."""
    return suppression_of(_record(work, key), now)


def clear(work: Transaction, journal: Journal, key: str, by: str, now: float) -> Suppression:
    """Let nothing that was closed until now count any more. Raises InputError."""
    record = _record(work, key)
    body = {**record.body, "cleared": [*record.body["cleared"], {"at": now, "by": by}]}
    count = Count(**{name: body[name] for name in Count._fields})
    work.append(LOG, {"event": CLEARED, "key": record.key, **count._asdict(), "by": by, "at": now})
    journal.write(
        work, "suppression cleared", target=count.data, source=count.source, rule=count.rule_id, operator=by,
        result=f"{closures_of(record).standing(now)} closings no longer count",
    )  # fmt: skip
    _save(work, record, count, body, now)
    return suppression_of(record._replace(body=body), now)


def suppression_of(record: Record, now: float) -> Suppression:
    """A record at a moment."""
    body, closures = record.body, closures_of(record)
    standing = closures.standing(now)
    suppresses = standing >= CLOSURES
    until = closures.false[-CLOSURES] + WINDOW if suppresses else None
    return Suppression(
        record.key, body["source"], body["rule_id"], body["data_type"], body["data"], standing, suppresses, until,
        tuple(body["closures"]), tuple(body["cleared"]),
    )  # fmt: skip


def _record(work: Transaction, key: str) -> Record:
    record = work.get(KIND, key)
    found = [record] if record else [one for one in _all(work) if key and one.key.startswith(key)]
    if len(found) != 1:
        many = "several keys begin" if found else "no key is or begins"
        raise InputError(f"{many} with {key!r}; `propolis suppressions` lists them.")
    return found[0]


def _all(work: Transaction) -> Iterator[Record]:
    return paged(work, KIND)


def paged(work: Transaction, kind: str, wanted: Filter = Filter()) -> Iterator[Record]:  # noqa: B008 - immutable
    """All records of a kind, a page at a time."""
    after: str | None = None
    while True:
        page = work.find(kind, wanted._replace(after_key=after, limit=_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].key
