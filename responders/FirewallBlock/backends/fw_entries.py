"""What a firewall's list of addresses says about a target: which of its entries hold it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from propolis.containment.backend import Subject, Target
from propolis.errors import InputError
from propolis.guardrails import parse_target
from propolis.guardrails.networks import AnyNetwork, network_text


def network_of(target: Target) -> AnyNetwork:
    """The target's network. Raises InputError for anything but the one canonical text of an address or network."""
    network = parse_target(target.value)
    if network_text(network) != target.value:
        raise InputError(f"{target.value} is not in canonical form; write {network_text(network)}.")
    return network


def entry_network(text: str) -> AnyNetwork | None:
    """The network of a list's entry; None for what is none (a host name, a range, the name of another list)."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def holding(texts: Iterable[str], wanted: AnyNetwork) -> list[str]:
    """The entries that hold the whole target, the narrowest first."""
    found: list[tuple[int, str]] = []
    for text in texts:
        network: Any = entry_network(text)
        if network is not None and network.version == wanted.version and wanted.subnet_of(network):
            found.append((-network.prefixlen, text))
    return [text for _, text in sorted(found, key=lambda pair: pair[0])]


def subject_of(target: Target, wanted: AnyNetwork, url: str) -> Subject:
    """The address itself; it is the firewall's own where we reach the firewall by an address that lies in it."""
    try:
        own = ip_address(urlsplit(url).hostname or "") in wanted
    except ValueError:
        own = False  # reached by a name: the policy's infrastructure list has to hold its addresses
    return Subject(target.value, target.value, addresses=(target.value,), own=own)
