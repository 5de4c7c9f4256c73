"""How long to wait before a request is repeated: what the server asks for, else jittered exponential back-off."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# RFC 9110 10.2.3 allows seconds or a date; the others are what TheHive, Okta, GitHub and gateways send in their place.
_HEADERS = ("Retry-After", "X-RateLimit-RetryAfter", "X-Rate-Limit-Reset", "X-RateLimit-Reset")
_EPOCH_SECONDS = 1_000_000_000  # 2001: a number this large is a moment, not a span
_EPOCH_MILLISECONDS = 100_000_000_000


@dataclass(frozen=True)
class Backoff:
    """Waits double from `first` to `longest` seconds; each is drawn from its upper half so that clients spread out."""

    first: float = 0.5
    longest: float = 30.0
    draw: Callable[[], float] = field(default_factory=lambda: random.SystemRandom().random)

    def wait(self, tries: int, hint: float | None) -> float:
        """Seconds before the next try after `tries` failed ones; never less than the server's own `hint`."""
        if hint is not None:
            return hint + self.draw()
        span: float = min(self.longest, self.first * 2.0 ** min(tries - 1, 30))
        return span * (0.5 + self.draw() / 2)


def wait_asked(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the server asks us to wait, or None where it says nothing that can be read. `now`: wall time."""
    for name in _HEADERS:
        text = headers.get(name)
        seconds = None if text is None else _seconds(text.strip(), now)
        if seconds is not None:
            return seconds
    return None


def _seconds(text: str, now: float) -> float | None:
    number = _number(text)
    if number is None:
        moment = _date(text)
        return None if moment is None else max(0.0, moment - now)
    if number >= _EPOCH_MILLISECONDS:
        number = number / 1000 - now
    elif number >= _EPOCH_SECONDS:
        number -= now
    return max(0.0, number)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str) -> float | None:
    from email.utils import mktime_tz, parsedate_tz  # rarely needed, and not cheap to import

    try:
        parts = parsedate_tz(text)
        return None if parts is None else float(mktime_tz(parts))
    except (ValueError, OverflowError, TypeError):
        return None
