"""`--since` and `--until`: a date, a moment, or a span of time back from now."""

from __future__ import annotations

import re
from typing import NamedTuple

from propolis.alert.moment import epoch
from propolis.duration import parse_duration
from propolis.errors import ConfigurationError, InputError

_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")


class Period(NamedTuple):
    """From `start` (with it) to `end` (without it), in seconds since the epoch; None is open."""

    start: float | None = None
    end: float | None = None

    def holds(self, moment: float | None) -> bool:
        """Does the moment lie in the period? One that is unknown lies only in a period without bounds."""
        if moment is None:
            return self.start is None and self.end is None
        return (self.start is None or moment >= self.start) and (self.end is None or moment < self.end)


def moment(text: str, option: str, now: float) -> float:
    """`2026-11-17`, `2026-11-17T08:00:00Z`, or `36h` (that long ago). Raises ConfigurationError that names the option.

    A date alone is its first instant, UTC.
    """
    text = text.strip()
    found = epoch(f"{text}T00:00:00Z" if _DATE.match(text) else text)
    if found is None and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d(Z|[+-]|\Z)", text):
        found = epoch(text[:16] + ":00" + text[16:])
    if found is not None:
        return found
    try:
        return now - parse_duration(text)
    except InputError:
        message = f"{text!r} is no date (2026-11-17), moment (2026-11-17T08:00:00Z) or span of time (36h)."
        raise ConfigurationError(message, source=option) from None
