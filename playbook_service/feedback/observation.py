"""How would we have done? What a mode held back, against how analysts closed the cases.

A containment that would have been made in a case closed TruePositive was right, in one closed FalsePositive wrong; in
all others nobody knows. The cases count, not the containments: ten addresses in one case are judged by one closing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from playbook_service.engine import ruling
from playbook_service.feedback.label import Closing, Held, Judgements
from playbook_service.feedback.matter import Dossier, held_back
from playbook_service.feedback.register import paged
from playbook_service.feedback.suppression import FALSE, TRUE
from playbook_service.store.contract import Record, Transaction

RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"
_VERDICT = {TRUE: RIGHT, FALSE: WRONG}
_Z = 1.959963984540054  # of a two-sided 95 % interval
NEEDED = 0.95
"""The bound that earns a promotion: with nothing wrong it takes 73 cases."""


class Observation(NamedTuple):
    """One containment that was held back, and what became of its case."""

    held: Held
    case_id: str
    number: int
    result: str
    """`right`, `wrong` or `unknown`."""
    resolution: str


class Score(NamedTuple):
    """How one playbook would have done with one outcome (`act` alone, or `ask`). The first three count cases."""

    playbook: str
    outcome: str
    right: int
    wrong: int
    unknown: int
    containments: int
    versions: int

    @property
    def precision(self) -> float | None:
        """Right among the judged, 0 to 1; None while there are none."""
        judged = self.right + self.wrong
        return self.right / judged if judged else None

    @property
    def bound(self) -> float:
        """The lower end of Wilson's 95 % interval of the precision; 0 while nothing was judged."""
        return wilson(self.right, self.right + self.wrong)

    @property
    def earned(self) -> bool:
        """Do the team's own closings allow to let the playbook act alone?"""
        return self.outcome == ruling.ACT and self.bound >= NEEDED

    @property
    def advice(self) -> str:
        """What to do, in a sentence."""
        if self.outcome != ruling.ACT:
            return "asking needs no promotion"
        if self.earned:
            return "promotion to enforce is earned"
        more = still_needed(self.right, self.wrong)
        return f"stay: {more} more right cases in a row are needed" if more else "stay"


def wilson(right: int, judged: int) -> float:
    """The lower end of Wilson's 95 % score interval."""
    if not judged:
        return 0.0
    share, z2 = right / judged, _Z * _Z
    middle = share + z2 / (2 * judged)
    spread = _Z * math.sqrt(share * (1 - share) / judged + z2 / (4 * judged * judged))
    return (middle - spread) / (1 + z2 / judged)


def still_needed(right: int, wrong: int) -> int:
    """How many right cases in a row would bring the bound to what a promotion needs."""
    low, high = 0, 64
    while wilson(right + high, right + high + wrong) < NEEDED:
        high *= 2
    while low < high:
        middle = (low + high) // 2
        if wilson(right + middle, right + middle + wrong) >= NEEDED:
            high = middle
        else:
            low = middle + 1
    return low


def observed(closing: Closing) -> list[Observation]:
    """What was held back in a closed case, judged by an analyst's closing."""
    result = _VERDICT.get(closing.judgement, UNKNOWN)
    return [Observation(held, closing.case_id, closing.number, result, closing.resolution) for held in closing.held]


def scores(observations: Iterable[Observation]) -> list[Score]:
    """The score of each playbook and outcome, in the order of their names."""
    groups: dict[tuple[str, str], list[Observation]] = {}
    for entry in observations:
        groups.setdefault((entry.held.playbook, entry.held.outcome), []).append(entry)
    return [_score(*key, group) for key, group in sorted(groups.items())]


def _score(playbook: str, outcome: str, group: list[Observation]) -> Score:
    cases = {entry.case_id: entry.result for entry in group}
    results = list(cases.values())
    return Score(
        playbook, outcome, results.count(RIGHT), results.count(WRONG), results.count(UNKNOWN),
        len({(entry.case_id, entry.held.action, entry.held.target) for entry in group}),
        len({entry.held.version for entry in group}),
    )  # fmt: skip


def open_cases(decisions: Iterable[Record], closed: Iterable[str]) -> list[Observation]:
    """What was held back in cases that nobody has closed yet."""
    known = set(closed)
    waiting = [record for record in decisions if record.ref and record.ref not in known]
    return [
        Observation(held, record.ref, 0, UNKNOWN, "")
        for record in waiting
        for held in held_back(Dossier((record,), (), (), {}))
    ]


def all_observations(work: Transaction, judgements: Judgements) -> list[Observation]:
    """Everything that was held back, in closed and in open cases."""
    closed = [closing for _, closing in judgements.closings.values()]
    found = [entry for closing in closed for entry in observed(closing)]
    return found + open_cases(paged(work, ruling.KIND), judgements.closings)
