"""Two sets of playbooks over the same past: what would be decided otherwise, alert by alert, and what it amounts to.

The past is what the service has on record: its alerts, and the verdicts as they were given. Pure: no clock, no store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from playbook_service.judgement.guard import ACT, ASK, OUTCOMES, STOPPED, Guard, Judged
from playbook_service.playbook import Enrichment, Playbooks
from playbook_service.replay.difference import NOTHING, Change, changes
from playbook_service.replay.pipeline import Course, Rules
from propolis.alert import Alert
from propolis.guardrails import Policy
from propolis.observables.model import Observable
from propolis.verdict.canonical import canonical

Key = tuple[str, str]
"""Data type and canonical data of an observable."""
GRAVEST = (ACT, ASK, STOPPED)
ALONE = "left alone"
MOST_ROWS = 5_000
"""Differences that are told apart; more are counted."""
_ORDER = (*OUTCOMES, NOTHING)


class Word(NamedTuple):
    """A verdict as it was recorded: what conditions see of it, and the tags that the observable had by then."""

    fields: dict[str, Any]
    tags: tuple[str, ...] = ()


class Past(NamedTuple):
    """One alert with what is on record of it; `moment` is when it came in, in seconds since the epoch."""

    key: str
    alert: Alert
    observables: tuple[Observable, ...]
    moment: float
    verdicts: Mapping[Key, Word]


class Heard(NamedTuple):
    """An observable with its recorded verdict."""

    observable: Observable
    fields: dict[str, Any]


class Row(NamedTuple):
    """One difference on one target: how many alerts show it, and which was taken first."""

    change: Change
    times: int
    alert: str


def key_of(data_type: str, data: str) -> Key:
    """What verdicts and observables are matched by."""
    return data_type, canonical(data_type, data)


class Recorded:
    """The verdicts of one alert after the other, as an oracle for both sets. What was never asked is not known."""

    def __init__(self) -> None:
        self._verdicts: Mapping[Key, Word] = {}
        self.unknown: set[Key] = set()
        """Observables of this alert that a set asks about, and that no verdict is on record for."""

    def turn_to(self, verdicts: Mapping[Key, Word]) -> None:
        """From here on it is about this alert."""
        self._verdicts = verdicts
        self.unknown = set()

    def on(self, observable: Observable, asked: Enrichment, moment: float) -> Heard | None:
        """The recorded verdict, whoever was asked for it then."""
        key = key_of(observable.data_type, observable.data)
        word = self._verdicts.get(key)
        if word is None:
            self.unknown.add(key)
            return None
        tags = tuple(dict.fromkeys((*observable.tags, *word.tags)))
        return Heard(observable._replace(tags=tags), word.fields)


@dataclass
class Tally:
    """What a comparison amounts to. Counts are complete, rows are bounded."""

    alerts: int = 0
    changed: int = 0
    unknown: int = 0
    """Observables, counted once for each alert, without a recorded verdict."""
    first: float = 0.0
    last: float = 0.0
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    before_today: Counter[str] = field(default_factory=Counter)
    after_today: Counter[str] = field(default_factory=Counter)
    rows: dict[tuple[str, str, str, str], Row] = field(default_factory=dict)
    more: int = 0

    def add(self, past: Past, before: Sequence[Judged], after: Sequence[Judged], unknown: int) -> None:
        """One alert, and what both sets decide on it."""
        self.alerts += 1
        self.unknown += unknown
        self.first = min(self.first or past.moment, past.moment)
        self.last = max(self.last, past.moment)
        self.before[gravest(entry.outcome for entry in _containing(before))] += 1
        self.after[gravest(entry.outcome for entry in _containing(after))] += 1
        self.before_today[gravest(entry.today for entry in _containing(before))] += 1
        self.after_today[gravest(entry.today for entry in _containing(after))] += 1
        found = changes(before, after)
        self.changed += bool(found)
        for change in found:
            self._row(change, past.key)

    def _row(self, change: Change, alert: str) -> None:
        key = (change.action, change.target, change.before, change.after)
        known = self.rows.get(key)
        if known is None and len(self.rows) >= MOST_ROWS:
            self.more += 1
        elif known is None:
            self.rows[key] = Row(change, 1, alert)
        else:
            self.rows[key] = known._replace(times=known.times + 1)

    def ranked(self) -> list[Row]:
        """The rows, what would newly be done first, then what would be done no more, then by how often."""
        return sorted(self.rows.values(), key=lambda row: (*weight(row.change), -row.times, row.change.target))

    def groups(self) -> list[tuple[str, str, str, int, int]]:
        """(action, before, after, alerts, targets), in the order of the rows."""
        found: dict[tuple[str, str, str], list[int]] = {}
        for row in self.ranked():
            counts = found.setdefault((row.change.action, row.change.before, row.change.after), [0, 0])
            counts[0] += row.times
            counts[1] += 1
        return [(*key, alerts, targets) for key, (alerts, targets) in found.items()]


def weight(change: Change) -> tuple[int, int, str]:
    """For sorting: containments before the books, the gravest outcome of either side first, what is new before what is
    gone."""
    after, before = _ORDER.index(_outcome(change.after)), _ORDER.index(_outcome(change.before))
    books = 0 if change.target else len(_ORDER)
    return books + min(before, after), 0 if after < before else 1, change.action


def _outcome(text: str) -> str:
    """`act` of `act, today observe (playbook mode observe)`."""
    return text.partition(",")[0]


def gravest(outcomes: Iterable[str]) -> str:
    """The gravest of what becomes of an alert's decisions: act, ask, stopped, or left alone."""
    found = set(outcomes)
    return next((outcome for outcome in GRAVEST if outcome in found), ALONE)


def _containing(judged: Sequence[Judged]) -> list[Judged]:
    return [entry for entry in judged if entry.decision.responder]


class Comparison:
    """Takes alerts in order of time, or against it. `ceiling` is the mode that the service has now."""

    def __init__(self, before: Playbooks, after: Playbooks, policy: Policy, ceiling: str):
        guard = Guard(policy)
        self._oracle = Recorded()
        self._before = Course(Rules(before, self._oracle, guard, ceiling))
        self._after = Course(Rules(after, self._oracle, guard, ceiling))
        self.tally = Tally()

    def take(self, past: Past) -> None:
        """Decide on one alert with both sets, and take in the difference."""
        self._oracle.turn_to(past.verdicts)
        before = self._before.take(past.alert, past.observables, past.moment).judged
        after = self._after.take(past.alert, past.observables, past.moment).judged
        self.tally.add(past, before, after, len(self._oracle.unknown))
