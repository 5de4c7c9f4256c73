"""How long a containment lasts: the configuration's hours, a tag's wish, a parameter's shortening."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from propolis.duration import parse_duration
from propolis.errors import InputError

DURATION_TAG = "propolis:for="
"""A tag on the observable, or on its case or alert, that wishes another duration: `propolis:for=4h`."""
_LEASE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Span(NamedTuple):
    """A duration and where it comes from."""

    seconds: int
    origin: str
    wished: bool
    """A person (tag) or the service (renewal) asked for just this, so a containment in force may be extended to it."""


def span(default: int, tags: Iterable[str], parameters: dict[str, Any]) -> Span:
    """Seconds from the configuration, overridden by a tag, shortened (never lengthened) by a parameter.

    `parameters.duration_seconds` is the service's; `parameters.renew` true asks to extend up to the same bound. Raises
    InputError for two tags that disagree and for values that are no durations.
    """
    chosen = _tagged(tags) or Span(default, "configuration item duration_hours", False)
    seconds = parameters.get("duration_seconds")
    if seconds is not None:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 1 <= seconds < 10**9:
            raise InputError(f"parameters.duration_seconds must be a number of seconds above 0, not {seconds!r}.")
        if seconds < chosen.seconds:
            chosen = Span(int(seconds), "parameters.duration_seconds", chosen.wished)
    return chosen._replace(wished=chosen.wished or parameters.get("renew") is True)


def _tagged(tags: Iterable[str]) -> Span | None:
    wishes = {tag: parse_duration(tag[len(DURATION_TAG) :]) for tag in tags if tag.startswith(DURATION_TAG)}
    if len(set(wishes.values())) > 1:
        raise InputError(f"The tags {', '.join(sorted(wishes))} wish different durations: leave one.")
    for tag, seconds in wishes.items():
        return Span(seconds, f"tag {tag}", True)
    return None


def lease_id(parameters: dict[str, Any]) -> str:
    """The service's lease id (`parameters.lease`), or the empty string. Raises InputError for one that is malformed."""
    lease = parameters.get("lease")
    if lease in (None, ""):
        return ""
    if not isinstance(lease, str) or not _LEASE.fullmatch(lease):
        raise InputError("parameters.lease must be at most 64 letters, digits, dots, dashes or underscores.")
    return lease
