"""Wazuh's timestamps as seconds since 1970.

`2026-11-21T23:33:57.191+0000` has an offset without a colon, which `datetime.fromisoformat` refuses before Python 3.11;
and importing `datetime` would cost a worker that starts anew for every alert several milliseconds. The arithmetic is
the usual one for the proleptic Gregorian calendar.
"""

from __future__ import annotations

import re

_FORM = r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?\s*(?:(Z)|([+-])(\d\d):?(\d\d))?\Z"
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def epoch(text: str) -> float | None:
    """Seconds since 1970, or None where the text is not such a timestamp. Without an offset it is taken for UTC."""
    found = re.match(_FORM, text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= _MONTH_DAYS[month - 1] and hour <= 23 and minute <= 59 and second <= 60):
        return None
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - _offset(found)
    return seconds + float(found.group(7) or 0)


def _offset(found: re.Match[str]) -> int:
    if found.group(9) is None:
        return 0
    seconds = int(found.group(10)) * 3600 + int(found.group(11)) * 60
    return -seconds if found.group(9) == "-" else seconds


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01; the year is taken to begin in March, so that the leap day is its last."""
    year -= month <= 2
    era_years = year - year // 400 * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return year // 400 * 146097 + era_years * 365 + era_years // 4 - era_years // 100 + day_of_year - 719468
