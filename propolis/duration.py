"""Spans of time as people write them: `90s`, `30m`, `4h`, `7d`, or several in falling order, `1d12h`."""

from __future__ import annotations

import re

from propolis.errors import InputError

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_FORM = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
LONGEST = 3_660 * 86_400
"""Ten years, in seconds: anything longer is a slip of the finger."""


def parse_duration(text: str) -> int:
    """Seconds, above zero. Raises InputError for anything else than numbers with the units d, h, m and s."""
    match = _FORM.fullmatch(text) if text else None
    if match is None:
        raise InputError(f"{text[:40]!r} is not a duration: write a number with its unit, such as 90s, 30m, 4h or 7d.")
    seconds = sum(int(number) * unit for number, unit in zip(match.groups("0"), _UNITS.values(), strict=True))
    if not 1 <= seconds <= LONGEST:
        raise InputError(f"{text[:40]!r} is out of range: a duration is at least 1s and at most {LONGEST // 86_400}d.")
    return seconds


def duration_text(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back (`1d12h`); fractions are cut, zero and below give `0s`."""
    left = max(0, int(seconds))
    parts = []
    for unit, size in _UNITS.items():
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
