"""From the numbers to advice: act, ask or observe."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

from propolis.verdict.conflict import conflict
from propolis.verdict.coverage import coverage
from propolis.verdict.ledger import Line
from propolis.verdict.profile import Profile
from propolis.verdict.report import MALICIOUS
from propolis.verdict.score import Calibration, probability

ACT, ASK, OBSERVE = "act", "ask", "observe"
ACT_AT = 0.95  # one false block costs as much as nineteen misses
ASK_AT = 0.50
FAMILIES = 3
COVERAGE = 0.5
CONFLICT = 0.5


class Basis(NamedTuple):
    """What does not change from source to source."""

    profile: Profile
    prior: float  # log-odds
    calibration: Calibration | None
    never: str | None = None  # the entry of the operator's list that covers the observable


class Tally(NamedTuple):
    """The numbers of one verdict."""

    positive: float
    negative: float
    log_odds: float  # before calibration
    score: float
    families: int
    coverage: float
    conflict: float
    veto: tuple[str, ...]
    recommendation: str


def tally(lines: Sequence[Line], basis: Basis) -> Tally:
    """Add up the ledger and judge it. The order of the lines does not matter, to the last bit."""
    negative = fsum(-line.kept for line in lines if line.kept < 0)
    positive = fsum(line.kept for line in lines if line.kept > 0)
    log_odds = basis.prior + positive - negative
    score = probability(log_odds, basis.calibration)
    families = len({line.family for line in lines if line.level == MALICIOUS})
    veto = _vetoes(lines, basis)
    blocked = lacking(lines, basis, families, positive, negative, veto) if score >= ACT_AT else ()
    advice = ASK if score >= ASK_AT else OBSERVE
    if score >= ACT_AT and not blocked:
        advice = ACT
    return Tally(
        positive, negative, log_odds, score, families, coverage(lines), conflict(positive, negative), veto, advice
    )


def _vetoes(lines: Sequence[Line], basis: Basis) -> tuple[str, ...]:
    """Why it must not be acted on. The count profile has no clearing sources; the operator's own list always holds."""
    clearing = [f"{line.source} clears it ({line.clears})" for line in lines if line.clears is not None]
    own = [f"never list: {basis.never}"] if basis.never else []
    return (*own, *(sorted(clearing) if basis.profile.clauses else ()))


def lacking(
    lines: Sequence[Line], basis: Basis, families: int, positive: float, negative: float, veto: tuple[str, ...]
) -> tuple[str, ...]:
    """What acting still needs beside the score, in words; empty when nothing is.

    The conflict clause asks that the mass for guilt be more than twice the mass for innocence. Wherever guilt outweighs
    innocence that is conflict < .5; put like this, more guilt can never break it.
    """
    needs = [f"no veto ({'; '.join(veto)})"] if veto else []
    if not basis.profile.clauses:
        return tuple(needs)
    if families < FAMILIES:
        needs.append(f"{FAMILIES} independent families that say malicious (there {_are(families)})")
    if (covered := coverage(lines, forgive_old=True)) < COVERAGE:
        needs.append(f"coverage of at least {COVERAGE:.2f} (it is {covered:.2f})")
    if negative and not negative < CONFLICT * positive:
        needs.append(f"less conflict than {CONFLICT:.2f} (it is {conflict(positive, negative):.2f})")
    return tuple(needs)


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"
