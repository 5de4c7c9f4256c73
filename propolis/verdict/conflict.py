"""How much the sources contradict each other."""

from __future__ import annotations


def conflict(positive: float, negative: float) -> float:
    """min/max of the masses for guilt and for innocence: 0 = all agree (or nobody speaks), 1 = evenly split."""
    largest = max(positive, negative)
    return min(positive, negative) / largest if largest > 0 else 0.0
