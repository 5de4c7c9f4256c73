"""Time as one injected object: leases, deadlines, back-off, decay and retention all ask a `Clock`.

Nothing else in the project reads the time; a test holds that. Wall time is seconds since the epoch, UTC, and may jump;
monotonic time never goes back and has no meaning outside the process.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone


class Clock:
    """The contract. `SystemClock` is the real one; `ManualClock` is moved by tests."""

    def now(self) -> float:
        """Wall time in seconds since the epoch."""
        raise NotImplementedError

    def monotonic(self) -> float:
        """Seconds that only go forward, for measuring how long something took."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Wait that long; a negative time is no wait."""
        raise NotImplementedError


class SystemClock(Clock):
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class ManualClock(Clock):
    """A clock that stands still until it is moved; sleeping moves it. For tests and for replay."""

    def __init__(self, now: float = 1_767_225_600.0):
        self._now = now
        self._monotonic = 0.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Let time pass for both readings."""
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP would; monotonic time does not notice."""
        self._now += seconds


def utc_text(moment: float) -> str:
    """`2026-01-01T00:00:00Z` for a wall time in seconds; fractions are cut."""
    return datetime.fromtimestamp(int(moment), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
