"""Where a page of records in the order of their due times begins, as it stands in an address: `<due>:<key>`."""

from __future__ import annotations

import math

Place = tuple[float, str]
"""Due time (seconds since the epoch) and key of the last record before the page."""


def written(place: Place) -> str:
    """The place as it stands in an address."""
    return f"{place[0]!r}:{place[1]}"


def read(text: str) -> Place | None:
    """The place; None where the text is none."""
    due, _, key = text.partition(":")
    try:
        found = float(due)
    except ValueError:
        return None
    return (found, key) if math.isfinite(found) else None
