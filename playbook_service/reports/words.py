"""How reports speak of moments, spans, shares and counts."""

from __future__ import annotations

from playbook_service.replay.words import ACTS, clock, count
from playbook_service.reports.measure import Share, Spread

__all__ = ["TENTHS", "count", "middle", "moment", "number", "percent", "rate", "span", "what"]

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
TENTHS = 10
"""Of fewer values the one that 90 % are within is the longest, and says nothing of its own."""
_FAR = 250_000_000_000.0
"""Seconds since the epoch beyond which a moment is no date: the end of what has none."""


def moment(at: float | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A moment in UTC; what is no moment of this age is said as such."""
    if at is None:
        return "at an unknown time"
    return clock(at, form) if 0 <= at < _FAR else "without an end" if at >= _FAR else "at an unknown time"


def span(seconds: float | None) -> str:
    """`under 1 s`, `14 s`, `3 min 20 s`, `2 d 4 h`: the two largest units."""
    if seconds is None:
        return "not known"
    if seconds < 1:
        return "under 1 s"
    left, parts = int(seconds), []
    for unit, size in _UNITS:
        several, left = divmod(left, size)
        if several:
            parts.append(f"{several} {unit}")
        if len(parts) == 2 or (parts and not several):
            break
    return " ".join(parts)


def middle(spread: Spread) -> str:
    """What the median rests on: `median of 7`, `the only one`, `none`."""
    return f"median of {spread.of:,}" if spread.of > 1 else "the only one" if spread.of else "none"


def percent(value: float | None) -> str:
    """`8.3 %`, and a dash where nothing was judged."""
    return "\u2013" if value is None else f"{value * 100:.1f}\u00a0%"


def rate(share: Share) -> str:
    """`2 of 24 (8.3 %; 95 %: 2.3 to 25.8 %)`; where there were none, that alone."""
    if share.low is None or share.high is None:
        return "not known: none was judged"
    ends = f"95\u00a0%: {share.low * 100:.1f} to {share.high * 100:.1f}\u00a0%"
    return f"{share.hits:,} of {share.of:,} ({percent(share.value)}; {ends})"


def number(value: float) -> str:
    """`1,234` or `12.5`."""
    text = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    return text.replace("-", "\u2212")


def what(responder: str) -> str:
    """`block`, for people; a responder that is not known goes by its name."""
    return ACTS.get(responder, (responder, "", ""))[0]
