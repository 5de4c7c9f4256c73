"""Accounts that must stay enabled."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from propolis.errors import InputError
from propolis.guardrails.builtin import (
    NEVER_ACCOUNTS,
    NEVER_GROUPS,
    NEVER_RIDS,
    NEVER_ROLES,
    NEVER_SIDS,
    SERVICE_ACCOUNTS,
)
from propolis.guardrails.names import account_forms, group_forms, matching, plain
from propolis.guardrails.refusal import BUILT_IN, Refused, change

if TYPE_CHECKING:
    from propolis.guardrails.policy import Policy

_DOMAIN_SID = re.compile(r"s-1-5-21(?:-[0-9]+){3}-([0-9]+)")


class AccountFacts(NamedTuple):
    """What is known of an account: all its names and ids, groups and roles with the nested ones."""

    names: tuple[str, ...]
    ids: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    is_self: bool = False
    """It is the account that the integration itself logs in with."""
    is_service: bool = False
    privileged: bool = False
    """The product marks it as administrative (adminCount, isCriticalSystemObject, a directory role)."""


class _Guard(NamedTuple):
    """A rule that spoke: its key, what it says, whether an operator wrote it."""

    key: str
    entry: str
    why: str = ""
    own: bool = False


def check_account(policy: Policy, facts: AccountFacts) -> None:
    """Nothing, if the account may be disabled under this policy. Raises Refused with the rule that forbids it."""
    if not any(name.strip() for name in facts.names):
        raise InputError("The account has no name, so it cannot be held against the never-lists.")
    guard = (
        _by_standing(policy, facts) or _by_name(policy, facts) or _by_id(policy, facts) or _by_membership(policy, facts)
    )
    if guard is None:
        return
    why = f" ({guard.why})" if guard.why else ""
    raise Refused(
        f"The account {facts.names[0]!r} is never disabled: {guard.key} names {guard.entry}{why}. "
        f"{change(guard.key) if guard.own else BUILT_IN}",
        rule=f"{guard.key}: {guard.entry}{why}",
    )


def _by_standing(policy: Policy, facts: AccountFacts) -> _Guard | None:
    if facts.is_self:
        return _Guard("accounts.never_self", "the account this integration works with")
    if facts.privileged:
        return _Guard("accounts.privileged", "accounts that the product marks as administrative")
    if policy.accounts.service_accounts == "allow":
        return None
    forms = account_forms(facts.names)
    if facts.is_service or any(matching(pattern, forms) for pattern in SERVICE_ACCOUNTS):
        return _Guard("accounts.service_accounts", "service accounts", own=True)
    return None


def _by_name(policy: Policy, facts: AccountFacts) -> _Guard | None:
    forms = account_forms(facts.names)
    for pattern, why in NEVER_ACCOUNTS:
        if matching(pattern, forms):
            return _Guard("accounts.never_names", pattern, why)
    return _own("accounts.never_names", policy.accounts.never_names, forms)


def _by_id(policy: Policy, facts: AccountFacts) -> _Guard | None:
    for text in facts.ids:
        why = _well_known(text)
        if why:
            return _Guard("accounts.never_ids", text, why)
    ids = {plain(text) for text in facts.ids} | {rid for text in facts.ids if (rid := _rid(text))}
    for entry in policy.accounts.never_ids:
        if plain(entry) in ids:
            return _Guard("accounts.never_ids", entry, own=True)
    return None


def _by_membership(policy: Policy, facts: AccountFacts) -> _Guard | None:
    for group in facts.groups:
        why = _well_known(group)
        if why:
            return _Guard("accounts.never_groups", group, why)
    groups, roles = group_forms(facts.groups), group_forms(facts.roles)
    for entry in NEVER_GROUPS:
        if matching(entry, groups):
            return _Guard("accounts.never_groups", entry)
    for entry in NEVER_ROLES:  # some products report roles among the groups
        if matching(entry, roles | groups):
            return _Guard("accounts.never_roles", entry)
    return _own("accounts.never_groups", policy.accounts.never_groups, groups) or _own(
        "accounts.never_roles", policy.accounts.never_roles, roles | groups
    )


def _own(key: str, patterns: Iterable[str], forms: frozenset[str]) -> _Guard | None:
    for pattern in patterns:
        if matching(pattern, forms):
            return _Guard(key, pattern, own=True)
    return None


def _rid(text: str) -> str | None:
    match = _DOMAIN_SID.fullmatch(plain(text))
    return match.group(1) if match else None


def _well_known(text: str) -> str | None:
    return NEVER_SIDS.get(plain(text)) or NEVER_RIDS.get(_rid(text) or "")
