"""A list as a DNS response policy zone: its names, and all below them, are answered with NXDOMAIN by a resolver.

Written from the Internet-Draft "DNS Response Policy Zones (RPZ)" (draft-vixie-dnsop-dns-rpz): a QNAME trigger is the
name itself as an owner below the zone, `CNAME .` means NXDOMAIN; an IP trigger is `<prefix>.<address reversed>.rpz-ip`
and holds for every answer with such an address in it, in IPv6 with `zz` where the address has `::`.

Owners are relative, so the resolver gives the zone whatever name its operator likes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

TTL = 60
"""Seconds that a client may keep the answer that a name does not exist: a release reaches it so much later."""

_LONGEST = 190  # a name in DNS has 253 characters; the rest is for `*.` and the zone's own name
_LABEL = re.compile(r"(?!rpz-)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_REFRESH, _RETRY, _EXPIRE = 300, 60, 7 * 86400  # of secondaries, should the operator have any


def zone(head: str, kind: str, entries: Iterable[str], serial: int) -> str:
    """The zone file; `head` is its comment, `serial` must grow with every change. Valid without entries, too.

    An entry that no zone can hold is left out, and a comment says how many.
    """
    owners, unfit = _owners(kind, entries)
    lines = [
        f"; {head}",
        f"$TTL {TTL}",
        f"@ IN SOA localhost. hostmaster.localhost. {serial % 2**32} {_REFRESH} {_RETRY} {_EXPIRE} {TTL}",
        "@ IN NS localhost.",
        *(f"{owner} IN CNAME ." for owner in owners),
    ]
    if unfit:
        lines.insert(1, f"; {unfit} of them cannot be written in a zone and are left out")
    return "\n".join(lines) + "\n"


def _owners(kind: str, entries: Iterable[str]) -> tuple[list[str], int]:
    owners, unfit = [], 0
    for entry in entries:
        if kind == "ip":
            owners.append(_address_owner(entry))
        elif _fits(entry):
            owners += [entry, f"*.{entry}"]
        else:
            unfit += 1
    return owners, unfit


def _fits(name: str) -> bool:
    """False for what a zone file would read as something else: `rpz-ip` and its kin at the end are other triggers."""
    return len(name) <= _LONGEST and all(_LABEL.fullmatch(label) for label in name.split("."))


def _address_owner(entry: str) -> str:
    network = ipaddress.ip_network(entry)
    if network.version == 4:
        parts = str(network.network_address).split(".")
    else:
        parts = [part or "zz" for part in _six(str(network.network_address)).split(":")]
    return ".".join((str(network.prefixlen), *reversed(parts), "rpz-ip"))


def _six(text: str) -> str:
    """An IPv6 address with exactly one empty part where its zeros are left out: `2001:db8::1`, `::` as ``."""
    return text[1:] if text.startswith("::") else text.removesuffix(":") if text.endswith("::") else text
