"""How long a containment may last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from propolis.errors import InputError
from propolis.guardrails.refusal import Refused, change

if TYPE_CHECKING:
    from propolis.guardrails.policy import Policy

PERMANENT = 0
"""What `check_ttl` gives for a containment without an end."""


def check_ttl(policy: Policy, seconds: int | None, *, permanent_by_human: bool = False) -> int:
    """The seconds a containment may last: those wished, at most `max_ttl`; for None the policy's `default_ttl`.

    `permanent_by_human` says that a person asked for one without an end; the answer is then PERMANENT, or Refused where
    the policy says `permanent: never`. Raises InputError for a span that is not above zero.
    """
    if permanent_by_human:
        if policy.firewall.permanent == "never":
            raise Refused(
                f"Nothing is contained for good under this policy. {change('firewall.permanent')}",
                rule="firewall.permanent: never",
            )
        return PERMANENT
    if seconds is None:
        return policy.firewall.default_ttl
    if seconds <= 0:
        raise InputError("A containment must last longer than no time at all.")
    return min(int(seconds), policy.firewall.max_ttl) or 1
