"""Read the many ways in which reports write a moment."""

from __future__ import annotations

import math
from typing import Any

_LATEST = 253_402_300_799.0  # the end of year 9999, in seconds
_MILLISECONDS = 20_000_000_000.0  # a number above this (year 2603 in seconds) counts milliseconds


def seconds(value: Any) -> float | None:
    """Seconds since the epoch for a number (seconds or milliseconds) or an ISO 8601 text; None for anything else."""
    if isinstance(value, str):
        return _from_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return _plausible(number)


def _plausible(number: float) -> float | None:
    if not math.isfinite(number) or number <= 0:
        return None
    if number > _MILLISECONDS:
        number /= 1000.0
    return number if number <= _LATEST else None


def _from_text(text: str) -> float | None:
    if not text or len(text) > 40:
        return None
    try:
        return _plausible(float(text))
    except ValueError:
        pass
    from datetime import datetime, timezone

    if text.endswith((" UTC", "Z")):
        text = text.removesuffix(" UTC").removesuffix("Z") + "+00:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return _plausible(moment.timestamp())
