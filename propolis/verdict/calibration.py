"""Fit the score to what the team's own closures say: p' = sigma(slope * log-odds + offset)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from propolis.verdict.score import Calibration, probability

ENOUGH = 50  # labelled decisions; with fewer the score stays a score
_RIDGE = 1.0  # pulls towards slope 1 and offset 0, worth about one labelled decision
_SLOPES = (0.05, 5.0)  # a slope at or below nought would turn evidence for guilt into evidence for innocence
_STEPS = 50


class Labelled(NamedTuple):
    """One closed decision: the verdict's log-odds before calibration, and whether it was malicious."""

    log_odds: float
    malicious: bool
    weight: float = 1.0  # a denied approval counts half


def calibrate(decisions: Sequence[Labelled]) -> Calibration | None:
    """The calibration by Newton's method with a ridge, or None while there are fewer than 50 decisions."""
    if len(decisions) < ENOUGH:
        return None
    slope, offset = 1.0, 0.0
    for _ in range(_STEPS):
        step_slope, step_offset = _step(decisions, slope, offset)
        slope, offset = slope - step_slope, offset - step_offset
        if abs(step_slope) + abs(step_offset) < 1e-9:
            break
    low, high = _SLOPES
    return Calibration(min(high, max(low, slope)), max(-10.0, min(10.0, offset)))


def _step(decisions: Sequence[Labelled], slope: float, offset: float) -> tuple[float, float]:
    """One Newton step, halved until it does not overshoot: (change of slope, change of offset)."""
    g_slope, g_offset = _RIDGE * (slope - 1.0), _RIDGE * offset
    h_ss, h_so, h_oo = _RIDGE, 0.0, _RIDGE
    for log_odds, malicious, weight in decisions:
        p = probability(slope * log_odds + offset)
        error, spread = weight * (p - malicious), weight * p * (1.0 - p)
        g_slope, g_offset = g_slope + error * log_odds, g_offset + error
        h_ss, h_so, h_oo = h_ss + spread * log_odds * log_odds, h_so + spread * log_odds, h_oo + spread
    determinant = h_ss * h_oo - h_so * h_so
    full = ((h_oo * g_slope - h_so * g_offset) / determinant, (h_ss * g_offset - h_so * g_slope) / determinant)
    return _damped(decisions, (slope, offset), full)


def _damped(decisions: Sequence[Labelled], at: tuple[float, float], step: tuple[float, float]) -> tuple[float, float]:
    here, share = _loss(decisions, *at), 1.0
    while share > 1e-6 and _loss(decisions, at[0] - share * step[0], at[1] - share * step[1]) > here:
        share /= 2.0
    return share * step[0], share * step[1]


def _loss(decisions: Sequence[Labelled], slope: float, offset: float) -> float:
    """Penalised negative log-likelihood."""
    total = 0.5 * _RIDGE * ((slope - 1.0) ** 2 + offset**2)
    for log_odds, malicious, weight in decisions:
        margin = (slope * log_odds + offset) * (1.0 if malicious else -1.0)
        total += weight * (math.log1p(math.exp(-margin)) if margin > -30 else -margin)
    return total
