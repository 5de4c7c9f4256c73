"""The rule of suppression: what analysts closed as FalsePositive again and again is not put before them once more.

Three FalsePositive closings within 30 days of the same observable, under the same rule of the same log source, suppress
the next. A TruePositive closing in between, or a person who clears it, takes back what came before. The service and
replay both judge by this module.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from typing import NamedTuple

from propolis.alert import Alert
from propolis.observables.model import Observable
from propolis.verdict.canonical import canonical

CLOSURES = 3
WINDOW = 30 * 86_400.0
NEVER_FROM_LEVEL = 12
FALSE, TRUE = "FalsePositive", "TruePositive"

ACTIONABLE = frozenset(("ip", "domain", "fqdn", "url", "hash", "mail", "user", "username", "account"))
"""Data types of observables that a playbook could act upon, or have somebody act upon."""
_INTERNAL = "internal"

Key = tuple[str, str]
"""Data type and canonical data of an observable."""


class Closures(NamedTuple):
    """When one observable under one rule was closed as false positive, and when something took that back (a closing as
    true positive, or a person who cleared it); both ascending, in seconds since the epoch."""

    false: list[float]
    true: list[float]

    def enter(self, resolution: str, moment: float) -> None:
        """One more closing; anything but a false positive takes back."""
        insort(self.false if resolution == FALSE else self.true, moment)

    def standing(self, moment: float) -> int:
        """How many false positives count at that moment."""
        start = moment - WINDOW
        before = bisect_right(self.true, moment)
        if before and self.true[before - 1] > start:
            start = self.true[before - 1]
        return bisect_left(self.false, moment) - bisect_right(self.false, start)


def origin(alert: Alert) -> str:
    """The log source of an alert: its decoder, or for plain JSON the place it came from."""
    decoder = alert.decoder
    return alert.location if decoder == "json" or not decoder else decoder


def keys_of(observables: Sequence[Observable]) -> list[Key]:
    """The observables that closings count for, and that suppression asks about: those that could be acted upon.

    Our own can never be; where an alert holds nothing else (an authorised scanner of ours) they stand for it.
    """
    kinds = [entry for entry in observables if entry.data_type in ACTIONABLE]
    foreign = [entry for entry in kinds if _INTERNAL not in entry.tags]
    return list(dict.fromkeys((entry.data_type, canonical(entry.data_type, entry.data)) for entry in foreign or kinds))


def suppressed(
    alert: Alert, observables: Sequence[Observable], closures: Callable[[Key], Closures | None], moment: float
) -> str:
    """Why the alert is suppressed, or the empty text. `closures` gives those under the alert's source and rule.

    It is only where every observable that could be acted upon is, and never from level 12 on.
    """
    keys = keys_of(observables) if alert.level < NEVER_FROM_LEVEL else []
    least = 0
    for key in keys:
        found = closures(key)
        count = found.standing(moment) if found else 0
        if count < CLOSURES:
            return ""
        least = min(least, count) if least else count
    return _why(keys, least, alert.rule_id) if keys else ""


def _why(keys: Sequence[Key], count: int, rule_id: str) -> str:
    what = ", ".join(f"{data_type} {data}" for data_type, data in keys[:3])
    return f"{what}: closed as FalsePositive {count} times in 30 days under rule {rule_id}"
