"""What a rule level means to an analyst.

Wazuh's levels run from 0 to 16; the bands follow the official classification (12 high importance event, 15 severe
attack), with one more at 8 ("first time seen" and above), so that TheHive's four severities are all used.
"""

from __future__ import annotations

from typing import NamedTuple


class Severity(NamedTuple):
    """A word for people, and TheHive's number (1 low to 4 critical)."""

    name: str
    thehive: int


_BANDS = (
    (15, Severity("Critical", 4)),
    (12, Severity("High", 3)),
    (8, Severity("Medium", 2)),
    (5, Severity("Low", 1)),
)
_LOWEST = Severity("Informational", 1)


def assess(level: int) -> Severity:
    """The severity of a rule level."""
    for floor, severity in _BANDS:
        if level >= floor:
            return severity
    return _LOWEST
