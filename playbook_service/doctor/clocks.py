"""How far a server's clock is from ours, by the Date of its answers (RFC 9110 6.6.1: whole seconds, UTC)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from playbook_service.doctor.finding import Finding, fail, ok, unknown, warn
from propolis.clock import Clock
from propolis.http import Response

_WARN, _FAIL = 10.0, 120.0
_FIX = "let both machines take their time from the same NTP server (timedatectl, chronyc tracking)"


def skew(answer: Response, clock: Clock) -> Finding:
    """The difference, from an answer that has just come."""
    text = answer.headers.get("Date", "")
    try:
        theirs = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return unknown("clock", "its answers bear no date, so its clock cannot be compared")
    ahead = theirs - clock.now()
    told = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    if abs(ahead) >= _FAIL:
        return fail("clock", f"{told}: ends of leases and approvals will be wrong", _FIX)
    return warn("clock", told, _FIX) if abs(ahead) >= _WARN else ok("clock", f"within {_WARN:.0f} s of ours")
