"""The figures of a period, as plain data. Every share and every span says how many it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from playbook_service.feedback.suppression import FALSE, TRUE
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.reports.closings import OTHERWISE, Closings, Said
from playbook_service.reports.measure import Share, Spread, together
from playbook_service.reports.savings import Saving, savings
from playbook_service.reports.tally import ALONE, BY_HAND, GRANTED, RIGHT, UNJUDGED, UNKNOWN, WRONG, Tally


class Incoming(NamedTuple):
    """What came in, counted from the records of alerts; `kept_from` is the moment before which those may be forgotten
    already, None where the whole period is there. Suppressed alerts, cases and closings are counted from the audit."""

    alerts: int
    cased: int
    loose: int
    waiting: int
    kept_from: float | None
    suppressed: int
    cases: int
    closed: Mapping[str, int]


class Speed(NamedTuple):
    """From an alert's coming in. `answer` is the first decision or the first word of a person, whichever came first."""

    answer: Spread
    decision: Spread
    person: Spread
    undecided: int
    unmet: int
    cases_unknown: int
    contained: Mapping[str, Spread]
    """By how it came to be."""
    all_contained: Spread
    contained_unknown: int


class Contained(NamedTuple):
    """Containments of one responder and playbook (empty: an analyst's own), by how they came to be."""

    responder: str
    kind: str
    playbook: str
    how: str
    times: int


class Questions(NamedTuple):
    """What analysts were asked. `void`: no person's answer, such as a case that was closed meanwhile."""

    asked: int
    granted: int
    denied: int
    expired: int
    withdrawn: int
    void: int
    waiting: int
    """Open at the moment of the report."""
    waited: Spread
    """From the question to a person's answer."""


class Blocks(NamedTuple):
    """How often a containment was wrong. Those in cases that nobody judged are in neither share."""

    containments: Share
    cases: Share
    otherwise: int
    """Containments in cases closed as something else."""
    open: int
    """Containments in cases that are open."""


class Book(NamedTuple):
    """One playbook that contains. Decisions first; `right`, `wrong` and `unknown` count cases."""

    playbook: str
    acted: int
    asked: int
    observed: int
    covered: int
    stopped: int
    held: int
    left: int
    right: int
    wrong: int
    unknown: int

    @property
    def share(self) -> Share:
        """Right among the judged."""
        return Share(self.right, self.right + self.wrong)


class Chain(NamedTuple):
    """The period's part of the audit chain, checked while it was read. `first` is above `last` where there is none."""

    first: int
    last: int
    anchors: int
    findings: tuple[str, ...]
    more: int = 0
    """Findings that are not listed."""


class Figures(NamedTuple):
    """All of it. Moments are seconds since the epoch."""

    start: float
    end: float
    made_at: float
    incoming: Incoming
    speed: Speed
    contained: tuple[Contained, ...]
    ended: Mapping[str, int]
    permanent: int
    renewed: int
    in_force: int
    """At the moment of the report."""
    questions: Questions
    savings: tuple[Saving, ...]
    blocks: Blocks
    books: tuple[Book, ...]
    sources: tuple[Said, ...]
    stopped: Mapping[str, int]
    held: Mapping[str, int]
    not_done: Mapping[str, int]
    failures: Mapping[str, int]
    chain: Chain

    @property
    def empty(self) -> bool:
        """Did nothing at all happen?"""
        return not (self.incoming.alerts or self.incoming.suppressed or self.incoming.cases or self.books
                    or self.contained or self.incoming.closed or sum(self.ended.values()))  # fmt: skip

    @property
    def total(self) -> int:
        """All containments of the period."""
        return sum(row.times for row in self.contained)

    @property
    def hours(self) -> float:
        """Assumed to be saved."""
        return sum(row.hours for row in self.savings)


class Present(NamedTuple):
    """What is told by the records and not by the lines."""

    alerts: Mapping[str, int]
    kept_from: float | None
    in_force: int
    waiting: int


def figures(
    period: tuple[float, float], made_at: float, tally: Tally, closings: Closings, present: Present, chain: Chain,
    minutes: Mapping[str, float],
) -> Figures:  # fmt: skip
    """The figures of what was folded."""
    return Figures(
        *period, made_at, _incoming(tally, present), _speed(tally), _contained(tally), dict(tally.ended),
        tally.permanent, tally.renewed, present.in_force, _questions(tally, present), savings(tally.counts(), minutes),
        _blocks(tally), _books(tally), closings.sources(), dict(tally.stopped), dict(tally.held), tally.not_done(),
        tally.failures(), chain,
    )  # fmt: skip


def _incoming(tally: Tally, present: Present) -> Incoming:
    by = present.alerts
    return Incoming(
        sum(by.values()), by.get("cased", 0), by.get("loose", 0), by.get("new", 0), present.kept_from,
        tally.actions["suppressed"], tally.cases, dict(tally.closed_as),
    )  # fmt: skip


def _speed(tally: Tally) -> Speed:
    contained = {how: tally.to_contain[how].spread() for how in (ALONE, GRANTED, BY_HAND, UNKNOWN)}
    return Speed(
        tally.first_answer.spread(), tally.first_decision.spread(), tally.first_person.spread(), tally.undecided,
        tally.unmet, tally.cases_unknown, contained, together(tally.to_contain.values()), tally.to_contain_unknown,
    )  # fmt: skip


def _contained(tally: Tally) -> tuple[Contained, ...]:
    rows = [
        Contained(name, RESPONDERS[name].contains if name in RESPONDERS else "", playbook, how, count)
        for (name, playbook, how), count in tally.contained.items()
    ]
    return tuple(sorted(rows, key=lambda row: (row.responder, -row.times, row.playbook, row.how)))


def _questions(tally: Tally, present: Present) -> Questions:
    by = tally.asked
    return Questions(
        tally.actions["approval asked"], by["granted"], by["denied"], by["expired"], by["withdrawn"], by["void"],
        present.waiting, tally.waited.spread(),
    )  # fmt: skip


def _blocks(tally: Tally) -> Blocks:
    wrong, right = tally.judged[FALSE], tally.judged[TRUE]
    cases_wrong, cases_right = (len(tally.contained_in.get(word, ())) for word in (FALSE, TRUE))
    return Blocks(
        Share(wrong, wrong + right), Share(cases_wrong, cases_wrong + cases_right), tally.judged[OTHERWISE],
        tally.judged[""],
    )  # fmt: skip


def _books(tally: Tally) -> tuple[Book, ...]:
    found = []
    for playbook in sorted({name for name, _ in tally.decided}):
        by = {result: count for (name, result), count in tally.decided.items() if name == playbook}
        cases = tally.quality(playbook)
        found.append(Book(
            playbook, by.get("act", 0), by.get("ask", 0) + by.get("choose", 0), by.get("observe", 0),
            by.get("covered", 0), by.get("stopped", 0), by.get("held", 0), by.get("left", 0) + by.get("ignore", 0),
            cases[RIGHT], cases[WRONG], cases[UNJUDGED],
        ))  # fmt: skip
    return tuple(found)
