"""Addresses and networks: read strictly, seen through every disguise, and held against the lists in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, NamedTuple

from propolis.errors import InputError
from propolis.guardrails.refusal import BUILT_IN, Refused, change

if TYPE_CHECKING:
    from propolis.guardrails.policy import Policy

AnyNetwork = IPv4Network | IPv6Network

# ASCII only: Python's own parser is strict about octets, and this keeps out what it would merely report less clearly
_V4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/(?:0|[1-9][0-9]?))?")
_V6 = re.compile(r"[0-9A-Fa-f:]{2,39}(?:[0-9]{0,3}(?:\.[0-9]{1,3}){3})?(?:/(?:0|[1-9][0-9]{0,2}))?")

_MAPPED = IPv6Network("::ffff:0:0/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ISATAP = (0x00005EFE, 0x02005EFE)  # bits 64 to 95 of the address, RFC 5214 6.1


class Rule(NamedTuple):
    """A network that an own or built-in list names."""

    network: AnyNetwork
    key: str
    why: str = ""
    built_in: bool = False

    @property
    def name(self) -> str:
        """`firewall.never: 10.0.0.0/8 (private, RFC 1918)`."""
        return f"{self.key}: {self.network}" + (f" ({self.why})" if self.why else "")


class Network(NamedTuple):
    """A target that may be blocked."""

    network: AnyNetwork
    text: str
    """Canonical: `203.0.113.7`, or `198.51.100.0/25`."""
    ask: str = ""
    """Why an analyst must agree first, although no rule forbids it; empty where nothing speaks against it."""


def parse_target(text: str) -> AnyNetwork:
    """Read an address or network in its one plain form. An IPv4-mapped one becomes IPv4.

    Raises InputError for anything that two programs might read differently: short, octal, hexadecimal and integer
    forms, zone ids, masks, host bits beside a prefix, white space, names, and digits outside ASCII.
    """
    if not (_V4.fullmatch(text) or (":" in text and _V6.fullmatch(text))):
        raise InputError(f"{_shown(text)} is not an IP address or network in plain form, such as 203.0.113.7.")
    try:
        return _plain(ip_network(text))
    except ValueError:
        pass
    try:
        wide = ip_network(text, strict=False)
    except ValueError:
        raise InputError(f"{_shown(text)} is not an IP address or network: {_reason(text)}.") from None
    raise InputError(f"{_shown(text)} has bits set below its prefix: write {wide}, or the address alone.")


def network_text(network: AnyNetwork) -> str:
    """Canonical text; a single address without its prefix length."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def check_network(policy: Policy, text: str) -> Network:
    """The target if it may be blocked under this policy. Raises InputError, or Refused with the rule that forbids it.

    The lists are held against the target and against every IPv4 network it stands for, and a list's entry forbids both
    what lies in it and what it lies in.
    """
    target = parse_target(text)
    shown = network_text(target)
    disguises = (*embedded(target), target)
    for rule in policy.network_rules:
        if _hit(rule.network, disguises):
            raise Refused(_refusal(rule, shown), rule=rule.name)
    _check_width(policy, target, shown)
    return Network(target, shown, _third_party(policy, disguises, shown))


def overlapping(rules: Iterable[Rule], text: str) -> Rule | None:
    """The first rule that touches an address, in any disguise; for the addresses a host has. Raises InputError."""
    target = parse_target(text)
    disguises = (*embedded(target), target)
    return next((rule for rule in rules if _hit(rule.network, disguises)), None)


def embedded(network: AnyNetwork) -> Iterator[IPv4Network]:
    """Every IPv4 network that an IPv6 one stands for: mapped, NAT64, 6to4, Teredo, ISATAP and older forms.

    Local NAT64 (64:ff9b:1::/48, RFC 8215) holds its address in one of four places; a built-in rule refuses it all.
    """
    if isinstance(network, IPv4Network):
        return
    for outer in (_MAPPED, _TRANSLATED, _COMPATIBLE, _NAT64):
        if network.prefixlen >= 96 and network.subnet_of(outer):
            yield _cut(network, 96)
    if network.overlaps(_SIX_TO_FOUR):
        yield _cut(network, 16)
    if network.overlaps(_TEREDO):
        yield _cut(network, 32)  # the server
        yield _inverted(_cut(network, 96))  # the client, every bit turned over, RFC 4380 4
    if network.prefixlen >= 96 and (int(network.network_address) >> 32) & 0xFFFFFFFF in _ISATAP:
        yield _cut(network, 96)


def _plain(network: AnyNetwork) -> AnyNetwork:
    if isinstance(network, IPv6Network) and network.prefixlen > 96 and network.subnet_of(_MAPPED):
        return _cut(network, 96)
    return network


def _cut(network: IPv6Network, start: int) -> IPv4Network:
    """The 32 bits from `start` on, as a network; bits beyond the prefix are free."""
    fixed = min(32, max(0, network.prefixlen - start))
    bits = (int(network.network_address) >> (96 - start)) & 0xFFFFFFFF
    return IPv4Network((bits >> (32 - fixed) << (32 - fixed), fixed))


def _inverted(network: IPv4Network) -> IPv4Network:
    return IPv4Network((~int(network.network_address) & int(network.netmask), network.prefixlen))


def _hit(listed: AnyNetwork, disguises: Iterable[AnyNetwork]) -> bool:
    return any(_overlap(listed, disguise) for disguise in disguises)


def _overlap(one: AnyNetwork, other: AnyNetwork) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other)


def _check_width(policy: Policy, target: AnyNetwork, shown: str) -> None:
    key = f"firewall.max_prefix_v{target.version}"
    least = policy.firewall.max_prefix_v4 if target.version == 4 else policy.firewall.max_prefix_v6
    if target.prefixlen < least:
        raise Refused(
            f"{shown} is not blocked: it is wider than /{least}, the widest network allowed. {change(key)}",
            rule=f"{key}: {least}",
        )


def _third_party(policy: Policy, disguises: tuple[AnyNetwork, ...], shown: str) -> str:
    action = policy.firewall.on_third_party_hit
    rule = next((rule for rule in policy.third_party_rules if _hit(rule.network, disguises)), None)
    if rule is None or action == "allow":
        return ""
    text = f"{shown} belongs to a service that many share: {rule.why} ({rule.network})"
    if action == "ask":
        return f"{text}; an analyst must agree to a block of it."
    raise Refused(f"{text}, so it is not blocked. {change('firewall.on_third_party_hit')}", rule=rule.name)


def _refusal(rule: Rule, shown: str) -> str:
    hint = BUILT_IN if rule.built_in else change(rule.key)
    return f"{shown} is never blocked: it touches {rule.name}. {hint}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _reason(text: str) -> str:
    octal = ":" not in text and any(len(part) > 1 and part[0] == "0" for part in text.split("."))
    return "some programs read its leading zero as octal" if octal else "a part of it is out of range"
