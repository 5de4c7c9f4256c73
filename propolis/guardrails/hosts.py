"""Hosts that must stay on the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from propolis.duration import duration_text
from propolis.errors import InputError
from propolis.guardrails.builtin import NEVER_AGENTS, NEVER_HOST_TAGS, NEVER_HOST_TYPES, NEVER_HOSTS
from propolis.guardrails.names import host_forms, matching, plain
from propolis.guardrails.networks import overlapping
from propolis.guardrails.refusal import BUILT_IN, Refused, change

if TYPE_CHECKING:
    from propolis.guardrails.policy import Policy


class HostFacts(NamedTuple):
    """What is known of a host: all its names, ids, tags, types and addresses."""

    names: tuple[str, ...]
    ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    last_seen: float | None = None
    """Wall time, seconds, at which the product last heard of it; None where it does not say."""
    is_self: bool = False
    """It is the machine that the integration itself runs on or works through."""


class _Guard(NamedTuple):
    key: str
    entry: str
    own: bool = False


def check_host(policy: Policy, facts: HostFacts, *, now: float | None = None) -> None:
    """Nothing, if the host may be isolated under this policy. Raises Refused with the rule that forbids it.

    `now` (wall time, seconds) lets an inventory that is too old be refused; without it age is not looked at.
    """
    if not any(name.strip() for name in facts.names):
        raise InputError("The host has no name, so it cannot be held against the never-lists.")
    guard = _by_name(policy, facts) or _by_kind(policy, facts) or _by_address(policy, facts)
    guard = guard or _by_age(policy, facts, now)
    if guard is None:
        return
    raise Refused(
        f"The host {facts.names[0]!r} is not isolated: {guard.key} names {guard.entry}. "
        f"{change(guard.key) if guard.own else BUILT_IN}",
        rule=f"{guard.key}: {guard.entry}",
    )


def _by_name(policy: Policy, facts: HostFacts) -> _Guard | None:
    if facts.is_self:
        return _Guard("hosts.never_names", "the machine this integration works on")
    for text in facts.ids:
        if plain(text) in NEVER_AGENTS:
            return _Guard("hosts.never_ids", f"agent {plain(text)} ({NEVER_AGENTS[plain(text)]})")
    forms = host_forms(facts.names)
    for pattern, why in NEVER_HOSTS:
        if matching(pattern, forms):
            return _Guard("hosts.never_names", f"{pattern} ({why})")
    for pattern in policy.hosts.never_names:
        if matching(pattern, forms):
            return _Guard("hosts.never_names", pattern, own=True)
    for name in policy.firewall.infrastructure_names:
        if host_forms([name]) & forms:
            return _Guard("firewall.infrastructure", name, own=True)
    return None


def _by_kind(policy: Policy, facts: HostFacts) -> _Guard | None:
    tags, types = {plain(tag) for tag in facts.tags}, {plain(kind) for kind in facts.types}
    own_types = policy.hosts.never_types
    kinds = NEVER_HOST_TYPES if own_types is None else own_types
    lists = (
        ("hosts.never_tags", NEVER_HOST_TAGS, tags, False),
        ("hosts.never_tags", policy.hosts.never_tags, tags, True),
    )
    for key, entries, have, own in (*lists, ("hosts.never_types", kinds, types, True)):
        for entry in entries:
            if matching(entry, have):
                return _Guard(key, entry, own)
    return None


def _by_address(policy: Policy, facts: HostFacts) -> _Guard | None:
    for text in facts.addresses:
        rule = overlapping(policy.host_rules, _bare(text))
        if rule is not None:
            return _Guard(rule.key, str(rule.network), own=True)
    return None


def _bare(address: str) -> str:
    """An address as inventories list it (`fe80::1%eth0`, `10.1.2.3/24`) without its zone and prefix length."""
    return address.strip().partition("%")[0].partition("/")[0]


def _by_age(policy: Policy, facts: HostFacts, now: float | None) -> _Guard | None:
    most = policy.hosts.max_last_seen
    if now is None or facts.last_seen is None or now - facts.last_seen <= most:
        return None
    return _Guard("hosts.max_last_seen", f"hosts not seen for {duration_text(most)}", own=True)
