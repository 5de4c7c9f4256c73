"""One thing that was looked at: how it is, and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_QUERY = re.compile(r"\?[^\s)\"']+")
_TOKEN = re.compile(r"(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+/=-]{20,}")
OK, WARN, FAIL, UNKNOWN, LATER = "ok", "warn", "fail", "unknown", "later"


class Finding(NamedTuple):
    """One line of the doctor's."""

    name: str
    """`permissions`: the thing that was looked at, unique in its part."""
    state: str
    """`ok`, `warn` (works, not as it should), `fail`, `unknown` (could not be looked at), `later` (not there yet)."""
    text: str
    fix: str = ""
    """What to do; empty where there is nothing to be done."""


def ok(name: str, text: str) -> Finding:
    """Looked at, and right."""
    return Finding(name, OK, text)


def warn(name: str, text: str, fix: str) -> Finding:
    """Works, but not as it should, or not for long."""
    return Finding(name, WARN, text, fix)


def fail(name: str, text: str, fix: str) -> Finding:
    """Something will get lost."""
    return Finding(name, FAIL, text, fix)


def unknown(name: str, text: str, fix: str = "") -> Finding:
    """Could not be looked at, and why."""
    return Finding(name, UNKNOWN, text, fix)


def later(name: str, text: str) -> Finding:
    """Not there yet."""
    return Finding(name, LATER, text)


def listed(names: Iterable[str], most: int = 8) -> str:
    """Some names in a sentence, the rest counted."""
    found = list(names)
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest


def harmless(text: str, most: int = 160) -> str:
    """Somebody else's error text on one line, without what may be a key: queries of addresses, and long tokens."""
    line = _TOKEN.sub("...", _QUERY.sub("?...", " ".join(text.split())))
    return line if len(line) <= most else f"{line[: most - 3]}..."


def ago(seconds: float) -> str:
    """A span as people say it: `40 s`, `12 min`, `5 h`, `3 d`."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
