"""Discount sources that copy each other."""

from __future__ import annotations

from collections.abc import Sequence

RHO = 0.25  # what each further voice of one family keeps: 0 = one vote a family, 1 = all independent


def discounts(weights: Sequence[float], rho: float) -> list[float]:
    """What is left of each weight of one family, in the order given.

    Same-sign weights are ranked by size; the strongest counts whole, each further one a `rho` of the one before. Adding
    a weight of one sign never moves the sum of that sign the other way.
    """
    kept = [0.0] * len(weights)
    for sign in (1.0, -1.0):
        ranked = sorted((i for i, w in enumerate(weights) if w * sign > 0), key=lambda i: -abs(weights[i]))
        share = 1.0
        for index in ranked:
            kept[index] = weights[index] * share
            share *= rho
    return kept
