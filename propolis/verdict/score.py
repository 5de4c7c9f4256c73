"""From weights to one number."""

from __future__ import annotations

import math
from typing import NamedTuple

PRIOR_LOG_ODDS = -3.0  # 4.7 % of what is looked at is malicious
PRIOR_BOUNDS = (0.005, 0.30)  # a prior learned from few closures must not decide alone


class Calibration(NamedTuple):
    """p' = sigma(slope * log-odds + offset), fitted on labelled decisions; the slope is positive."""

    slope: float = 1.0
    offset: float = 0.0


def prior_log_odds(prior: float | None) -> float:
    """The log-odds of a prior probability, clipped; the built-in ones for None."""
    if prior is None:
        return PRIOR_LOG_ODDS
    low, high = PRIOR_BOUNDS
    share = min(high, max(low, prior))
    return math.log(share / (1.0 - share))


def prior_of(true_positives: int, false_positives: int) -> float:
    """The prior that closed cases teach: the mean of Beta(1 + TP, 19 + FP), clipped."""
    low, high = PRIOR_BOUNDS
    return min(high, max(low, (1 + true_positives) / (20 + true_positives + false_positives)))


def probability(log_odds: float, calibration: Calibration | None = None) -> float:
    """sigma of the (calibrated) log-odds."""
    if calibration is not None:
        log_odds = calibration.slope * log_odds + calibration.offset
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-min(log_odds, 700.0)))
    odds = math.exp(max(log_odds, -700.0))
    return odds / (1.0 + odds)
