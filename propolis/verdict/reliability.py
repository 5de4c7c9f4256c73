"""How much a word of a source weighs: capped log-likelihood ratios from a grade, and from labels once there are some.

The numbers stand in the handbook (`docs/consensus.md`) with their reasons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from propolis.verdict.report import LEVELS, MALICIOUS, NONE, SAFE, SUSPICIOUS

GRADES = ("A", "B", "C", "D", "E", "F")
PSEUDO_COUNT = 10.0  # how many labelled reports the grade itself is worth
PSEUDO_COUNT_F = 4.0  # grade F: like C, but hardly anything is known
DISCOUNT = 0.4  # z: standard errors taken off a word for guilt; grade C keeps +1.10 of +1.50
CAP = 3.0  # no single source may block alone

_IF_MALICIOUS = {MALICIOUS: 0.45, SUSPICIOUS: 0.15, SAFE: 0.15, NONE: 0.25}
_IF_BENIGN = {MALICIOUS: 0.10, SUSPICIOUS: 0.09, SAFE: 0.36, NONE: 0.45}
_SAYS_MALICIOUS = {  # grade -> P(says malicious | malicious), P(says malicious | benign)
    "A": (0.60, 0.03),
    "B": (0.55, 0.06),
    "C": (0.45, 0.10),
    "D": (0.35, 0.15),
    "E": (0.25, 0.20),
    "F": (0.45, 0.10),
}


class Counts(NamedTuple):
    """Labelled reports of one source, by level; weights may be fractions. Kept apart from the grade's prior."""

    malicious: Mapping[str, float]  # what it said of observables that turned out malicious
    benign: Mapping[str, float]


class Reliability(NamedTuple):
    """What each word of one source weighs, in log-odds."""

    n: float  # pseudo-count plus labels: how much is known
    raw: Mapping[str, float]  # the log-likelihood ratio itself
    weight: Mapping[str, float]  # after the discount for what is not known, and the cap
    capacity: float  # the largest |weight| any word of it could have


def reliability(grade: str, learned: Counts | None = None) -> Reliability:
    """The weights of a source of that grade, moved by what was learned of it."""
    return _of_grade(grade) if learned is None else _weigh(*_beliefs(grade, learned))


@cache
def _of_grade(grade: str) -> Reliability:
    return _weigh(*_beliefs(grade, None))


def _beliefs(grade: str, learned: Counts | None) -> tuple[dict[str, float], dict[str, float]]:
    """Two Dirichlets as pseudo-counts by level: if malicious, if benign."""
    mass = PSEUDO_COUNT_F if grade == "F" else PSEUDO_COUNT
    if_malicious, if_benign = _SAYS_MALICIOUS[grade]
    return (
        _dirichlet(_IF_MALICIOUS, if_malicious, mass, learned.malicious if learned else {}),
        _dirichlet(_IF_BENIGN, if_benign, mass, learned.benign if learned else {}),
    )


def _dirichlet(base: dict[str, float], malicious: float, mass: float, learned: Mapping[str, float]) -> dict[str, float]:
    """A grade changes only P(malicious); the other words share what is left as before."""
    rest = (1.0 - malicious) / (1.0 - base[MALICIOUS])
    shares = {level: malicious if level == MALICIOUS else share * rest for level, share in base.items()}
    return {level: mass * share + max(0.0, learned.get(level, 0.0)) for level, share in shares.items()}


def _weigh(if_malicious: dict[str, float], if_benign: dict[str, float]) -> Reliability:
    n_m, n_b = sum(if_malicious.values()), sum(if_benign.values())
    raw = {v: math.log(if_malicious[v] / n_m) - math.log(if_benign[v] / n_b) for v in LEVELS}
    raw[SUSPICIOUS] = max(0.0, raw[SUSPICIOUS])
    weight = {v: _bounded(v, raw[v], _error(if_malicious[v], n_m, if_benign[v], n_b)) for v in LEVELS}
    weight[SUSPICIOUS] = min(weight[SUSPICIOUS], weight[MALICIOUS])
    return Reliability(min(n_m, n_b), raw, weight, max(abs(w) for w in weight.values()))


def _error(a_m: float, n_m: float, a_b: float, n_b: float) -> float:
    """The standard error of the log ratio, by the delta method."""
    return math.sqrt(max(0.0, 1 / a_m - 1 / n_m + 1 / a_b - 1 / n_b))


def _bounded(level: str, raw: float, error: float) -> float:
    """A word for guilt never argues for innocence, nor the other way round, and none counts beyond the cap."""
    if level in (MALICIOUS, SUSPICIOUS):
        return min(CAP, max(0.0, raw - DISCOUNT * error))
    return max(-CAP, min(0.0, raw))
