"""The samples were recorded on one Tuesday. Evidence ages, so the demo moves them: the last one was a moment ago.

Only dates at the beginning of a value are moved; ids and log lines stay as they were recorded.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

LAST_SAMPLE = datetime(2026, 11, 17, 13, 21, 40, tzinfo=timezone.utc)
"""When the last sample alert was written."""
_MOMENT = re.compile(r'(?<=")(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)')
_DATE = re.compile(r'(?<=")(\d{4}-\d\d-\d\d)(?=")')
_ANALYSED = re.compile(r'(?<="last_analysis_date":)(\s?)(\d{10})(?=[,}\s])')
"""VirusTotal's is the one that is a number, of seconds."""


def moved(text: str, now: float) -> str:
    """JSON text with its moments so much later (or earlier) that the last sample is of this wall time, in seconds."""
    then = datetime.fromtimestamp(int(now), timezone.utc)
    by, days = then - LAST_SAMPLE, then.date() - LAST_SAMPLE.date()
    seconds = int(by.total_seconds())
    text = _MOMENT.sub(lambda match: _later(match[1], by), text)
    text = _DATE.sub(lambda match: _later(match[1], days)[:10], text)
    return _ANALYSED.sub(lambda match: f"{match[1]}{int(match[2]) + seconds}", text)


def _later(text: str, by: timedelta) -> str:
    try:
        moment = datetime.fromisoformat(text) + by
    except (ValueError, OverflowError):  # looks like a date and is none
        return text
    return moment.isoformat(sep=text[10] if len(text) > 10 else "T", timespec="seconds")
