"""The operator's own veto: networks and names that are never to be acted on."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from propolis.errors import ConfigurationError
from propolis.verdict.canonical import canonical

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Never(NamedTuple):
    """The list, compiled."""

    networks: tuple[_Network, ...]
    names: frozenset[str]

    def match(self, data_type: str, data: str) -> str | None:
        """The entry that covers the observable, or None. A name covers itself, its subdomains and mails at it."""
        host = _host(data_type, data)
        network = _network(host)
        if network is None:
            return self._name(host, canonical(data_type, data))
        for entry in self.networks:
            if entry.version == network.version and entry.overlaps(network):
                return str(entry)
        return None

    def _name(self, host: str, whole: str) -> str | None:
        if whole.lower() in self.names:
            return whole.lower()
        labels = host.rpartition("@")[2].split(".")
        tails = (".".join(labels[index:]) for index in range(len(labels)))
        return next((tail for tail in tails if tail in self.names), None)


def parse_never(text: str) -> tuple[str, ...]:
    """The entries of the item `never`, one a line; `#` starts a comment. Raises ConfigurationError with the line."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        if any(sign.isspace() for sign in entry):
            message = f"{entry!r} is more than one network or name: write one a line."
            raise ConfigurationError(message, source="configuration item never", line=number)
        _check(entry, number)
        entries.append(entry)
    return tuple(entries)


def _check(entry: str, line: int) -> None:
    """What looks like an address must be one: a mistyped network would protect nothing."""
    looks_numeric = entry.replace(".", "").replace("/", "").isdigit() or (":" in entry and "://" not in entry)
    if (looks_numeric or "/" in entry) and "://" not in entry and _network(entry) is None:
        message = f"{entry!r} is not a network: write it like 192.0.2.0/24 or 2001:db8::/32."
        raise ConfigurationError(message, source="configuration item never", line=line)


@lru_cache(maxsize=8)
def compiled(entries: tuple[str, ...]) -> Never:
    """The list ready for matching."""
    networks = tuple(network for network in map(_network, entries) if network is not None)
    names = frozenset(entry.lower().lstrip("*").strip(".") for entry in entries if _network(entry) is None)
    return Never(networks, names)


def _host(data_type: str, data: str) -> str:
    text = data.strip()
    if data_type == "url" or "://" in text:
        try:
            return (urlsplit(text if "://" in text else f"//{text}").hostname or text).lower()
        except ValueError:
            return text.lower()
    return text.lower().rstrip(".")


def _network(text: str) -> _Network | None:
    try:
        network = ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        return None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}", strict=False)
    return network
