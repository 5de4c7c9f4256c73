"""What happened in each of the last hours, by the audit chain: a few sums an hour, of two days at most.

An hour is known by its number since the epoch (UTC), and a line belongs to that of its own `at`. Only the hours that
are newest are kept, so what is kept does not grow; a line without a time that can be read is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from playbook_service.audit.chain import Line

KEPT = 48
"""Hours."""
SECONDS = 3600
DECISION_STATES = ("act", "ask", "choose", "stopped", "held", "covered", "observe", "ignore")
REFUSED = ("stopped", "held")
"""States of a decision that a guardrail or the budget stopped."""
_NOTHING_WRONG = ("would_contain", "already_contained", "called_off")
_PLAIN = {
    "suppressed": "suppressed", "case opened": "cases", "contained": "contained", "taken over": "contained",
    "released": "released", "released by hand": "released", "approval asked": "asked", "approval granted": "granted",
    "approval denied": "denied", "approval expired": "expired", "approval withdrawn": "withdrawn",
    "release failed": "failed", "renewal failed": "failed", "left to a person": "failed", "set aside": "failed",
}  # fmt: skip
"""Action of a line -> what it adds to."""


class Hours:
    """The sums. What is counted: `suppressed`, `cases` (opened), `decision <state>`, `refused`, `contained`,
    `released`, `asked`, `granted`, `denied`, `expired`, `withdrawn`, `failed`."""

    def __init__(self) -> None:
        self._sums: dict[int, Counter[str]] = {}

    def count(self, line: Line) -> None:
        """Go on with a line."""
        hour = _hour(str(line.get("at"))[:13])
        names = _names(line) if hour is not None else ()
        if hour is None or not names:
            return
        self._sums.setdefault(hour, Counter()).update(names)
        if len(self._sums) > KEPT:
            del self._sums[min(self._sums)]

    def last(self, now: float, hours: int = 24) -> list[Mapping[str, int]]:
        """The sums of so many hours, that of this moment last. `now` is in seconds since the epoch."""
        newest = int(now // SECONDS)
        return [self._sums.get(hour, Counter()) for hour in range(newest - hours + 1, newest + 1)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {str(hour): dict(sums) for hour, sums in self._sums.items()}

    @staticmethod
    def of(document: Mapping[str, Any]) -> Hours:
        """What `to_dict` wrote."""
        found = Hours()
        found._sums = {
            int(hour): Counter({name: int(number) for name, number in sums.items()}) for hour, sums in document.items()
        }
        return found


@lru_cache(maxsize=2 * KEPT)
def _hour(text: str) -> int | None:
    """The number of the hour that `2026-11-18T11` names."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return int(moment.timestamp()) // SECONDS


def _names(line: Line) -> tuple[str, ...]:
    action = str(line.get("action"))
    if action in _PLAIN:
        return (_PLAIN[action],)
    tell = _TELLERS.get(action)
    return tell(line) if tell is not None else ()


def _decision(line: Line) -> tuple[str, ...]:
    state = line.get("result")
    if state not in DECISION_STATES:
        return ()
    return (f"decision {state}", *(("refused",) if state in REFUSED else ()))


def _not_contained(line: Line) -> tuple[str, ...]:
    return () if line.get("result") in _NOTHING_WRONG else ("failed",)


_TELLERS: Mapping[str, Callable[[Line], tuple[str, ...]]] = {"decision": _decision, "not contained": _not_contained}
