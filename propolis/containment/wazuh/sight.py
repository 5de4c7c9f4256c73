"""What the records of a target say, on one agent and on several; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from propolis.clock import utc_text
from propolis.containment.backend import Status, Subject
from propolis.containment.wazuh.answers import Agent
from propolis.containment.wazuh.record import REFUSED, Record

_SAME_END = 60  # seconds: two ends closer than this are one
_LAST_WORD = 30  # seconds after a trial's end within which the program says what became of it


class Words(NamedTuple):
    """The verbs of one kind of containment."""

    contain: str
    release: str
    trial: str = ""
    """The verb of its record while it is on trial; empty where it knows none."""


class Sight(NamedTuple):
    """One target on one agent, as FIM shows it."""

    agent: Agent
    records: frozenset[Record] = frozenset()
    """All that are about the target, dead ones too."""
    standing: Record | None = None
    """The containment in force that lasts longest."""
    trial: Record | None = None
    """A containment on trial."""

    @property
    def ours(self) -> bool:
        """Something of ours is there, in force or on trial."""
        return any(record.ours for record in (self.standing, self.trial) if record)

    @property
    def foreign(self) -> bool:
        """It is contained, and not by us."""
        return self.standing is not None and not self.standing.ours

    @property
    def under_way(self) -> str:
        """An id for what is on trial, the same whenever it is looked at; empty where nothing is."""
        if self.standing is not None or self.trial is None:
            return ""
        return f"{self.trial.verb} on agent {self.agent.label} until {utc_text(self.trial.until)}"


def sight(agent: Agent, records: Iterable[Record], words: Words, target: str, now: float) -> Sight:
    """Pick what is about the target; `now` is wall time in seconds."""
    refusals = (f"{words.contain}.{target}", f"{words.release}.{target}")
    about = frozenset(
        record
        for record in records
        if record.is_about(words.contain, target)
        or (words.trial and record.is_about(words.trial, target))
        or any(record.is_about(REFUSED, key) for key in refusals)
    )
    return Sight(agent, about, _longest(about, words.contain, now), _longest(about, words.trial, now - _LAST_WORD))


def _longest(records: Iterable[Record], verb: str, now: float) -> Record | None:
    living = [record for record in records if record.verb == verb and record.lives(now)]
    return max(living, key=lambda record: (record.until == 0, record.until), default=None)


def refusal(before: Sight, seen: Sight, verb: str, target: str) -> str:
    """Why the program refused what it was asked after `before` was seen; empty where it did not."""
    news = [one for one in seen.records - before.records if one.is_about(REFUSED, f"{verb}.{target}")]
    return max(news, key=lambda one: one.until).mark if news else ""


def is_made(before: Sight, seen: Sight, mark: str, until: float) -> bool:
    """Whether the containment that was asked for after `before` is there: a new record, or one that says the same.

    A record's end is told in the agent's wall time, which may differ from ours; that it is new needs no clock.
    """
    record = seen.standing
    if record is None or record.mark.casefold() != mark.casefold():
        return False
    return record not in before.records or record.until == 0 or record.until >= until - _SAME_END


def status(subject: Subject, sights: Sequence[Sight]) -> Status:
    """All agents as one: contained is what is contained on each of them."""
    contained = all(one.standing for one in sights)
    found = [one.standing or one.trial for one in sights]
    shown = [record for record in found if record and record.ours] or [record for record in found if record]
    ends = [record.until for record in shown if record.until]
    ours = any(one.ours for one in sights)
    return Status(
        subject,
        contained=contained,
        ours=ours,
        until=float(min(ends)) if ends else None,
        mark=shown[0].mark if shown else "",
        detail="; ".join(_told(one) for one in sights),
        pending="" if contained else "; ".join(one.under_way for one in sights if one.under_way),
        remains=ours and not contained,
    )


def _told(one: Sight) -> str:
    stale = "" if one.agent.status == "active" else f", as last told: the agent is {one.agent.status}"
    record = one.standing or one.trial
    if record is not None:
        end = f"until {utc_text(record.until)}" if record.until else "without an end"
        return f"record {record.verb} of {record.target} on agent {one.agent.label} {end} ({record.mark}){stale}"
    refused = [record for record in one.records if record.verb == REFUSED]
    last = max(refused, key=lambda record: record.until, default=None)
    said = f", which said at {utc_text(last.until)}: {last.mark}" if last else ""
    return f"no record on agent {one.agent.label}{said}{stale}"
