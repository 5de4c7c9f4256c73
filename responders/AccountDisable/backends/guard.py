"""What the guardrails are told of an account, and what holds where the product would not tell enough."""

from __future__ import annotations

from propolis.containment.backend import Status, Target
from propolis.guardrails import AccountFacts, Policy, Refused, check_account

from .account import parse_account

UNSEEN = "rights not visible"
"""Among a subject's types: its groups or roles could not be read. An undo needs neither; a disable is refused."""


def check(policy: Policy, target: Target, status: Status | None) -> None:
    """Raise Refused for what must stay enabled: by the name asked for, then by everything the product says of it."""
    asked = parse_account(target.value).spellings
    if status is None:
        check_account(policy, AccountFacts(names=asked))
        return
    subject = status.subject
    if UNSEEN in subject.types and not subject.own:
        raise Refused(
            f"{subject.name} is not disabled, as nobody could tell whether it is an administrator: {status.detail}",
            rule="accounts.privileged: groups and roles could not be read",
        )
    check_account(
        policy,
        AccountFacts(
            names=(subject.name, *subject.names, *asked),
            ids=subject.ids,
            groups=subject.groups,
            roles=subject.tags,
            is_self=subject.own,
            is_service="service account" in subject.types,
            privileged=subject.privileged,
        ),
    )
