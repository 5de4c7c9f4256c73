"""How much of what could be known is known."""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum

from propolis.verdict.ledger import Line


def coverage(lines: Iterable[Line], *, forgive_old: bool = False) -> float:
    """The largest possible weights of the families that answered, over those of all families asked; 0 if none was.

    With `forgive_old` a source whose only word is for guilt but older than the window is not held against the answer:
    it was added to the evidence, and nothing added for guilt may make acting harder.
    """
    capacity: dict[str, float] = {}
    answered = set()
    for line in lines:
        if line.level is not None:
            answered.add(line.family)
        elif not line.counted or (forgive_old and line.old_positive):
            continue
        capacity[line.family] = max(capacity.get(line.family, 0.0), line.capacity)
    total = fsum(capacity.values())
    return fsum(capacity[family] for family in answered) / total if total > 0 else 0.0
