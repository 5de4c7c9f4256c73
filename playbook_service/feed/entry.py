"""An entry of a list: one canonical form for each kind, checked against the guardrails."""

from __future__ import annotations

import socket
from collections.abc import Callable

from propolis.guardrails import Policy, check_domain, check_network, check_url

KINDS = ("ip", "domain", "url")


def _network(policy: Policy, text: str) -> str:
    return check_network(policy, text).text


CHECKS: dict[str, Callable[[Policy, str], str]] = {"ip": _network, "domain": check_domain, "url": check_url}
"""Kind of list -> the check that gives an entry's canonical text. Raises Refused or InputError."""


def order(kind: str, entries: list[str]) -> list[str]:
    """Addresses by family and number, names by the alphabet."""
    return sorted(entries, key=_address_key) if kind == "ip" else sorted(entries)


def family(entry: str) -> int:
    """4 or 6, for an address or network."""
    return 6 if ":" in entry else 4


def _address_key(entry: str) -> tuple[int, bytes, int]:
    version = family(entry)
    address, _, length = entry.partition("/")
    packed = socket.inet_pton(socket.AF_INET6 if version == 6 else socket.AF_INET, address)
    return version, packed, int(length or 8 * len(packed))
