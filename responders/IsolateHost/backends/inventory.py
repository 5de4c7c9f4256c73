"""The hosts that may be isolated: lines of `name[,alias...]=user@address[:port]`, one host a line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from propolis.containment.backend import Ambiguous, NotFound, Target
from propolis.errors import ConfigurationError

ITEM = "configuration item isolate_hosts"
_LINE = re.compile(
    r"(?P<names>[^=@]+)=(?P<user>[^@=]+)@(?P<address>\[[0-9A-Fa-f:]+\]|[^\[\]:@=]+)(?::(?P<port>[0-9]{1,5}))?"
)


class Host(NamedTuple):
    """One line."""

    names: tuple[str, ...]
    """The first is how the report calls it; the others are aliases, all in lower case."""
    user: str
    address: str
    port: int

    @property
    def text(self) -> str:
        """`web-01 (propolis@198.51.100.9 port 22)`."""
        return f"{self.names[0]} ({self.user}@{self.address} port {self.port})"


def parse_inventory(lines: Iterable[str]) -> tuple[Host, ...]:
    """Every host. Raises ConfigurationError that names the line; one bad line makes the whole inventory invalid."""
    texts = [part.strip() for line in lines for part in line.splitlines()]
    hosts = [_host(number, text) for number, text in enumerate(texts, 1) if text and not text.startswith("#")]
    if not hosts:
        raise ConfigurationError("names no host: add lines of name[,alias...]=user@address[:port].", path=ITEM)
    return tuple(hosts)


def _host(number: int, text: str) -> Host:
    match = _LINE.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"must read name[,alias...]=user@address[:port], not {text[:80]!r}.", source=ITEM, line=number
        )
    names = tuple(name.strip().casefold().rstrip(".") for name in match["names"].split(",") if name.strip())
    if not names:
        raise ConfigurationError("a host needs a name.", source=ITEM, line=number)
    return Host(names, match["user"].strip(), match["address"].strip("[] "), int(match["port"] or 22))


def find_host(hosts: tuple[Host, ...], target: Target) -> Host:
    """The one host of this name, alias or address: compared whole, so a short name never stands for a longer one."""
    wanted = target.value.casefold().rstrip(".")
    found = [host for host in hosts if wanted in (*host.names, host.address.casefold())]
    if not found:
        raise NotFound(
            f"{target.value} is no name, alias or address in the {ITEM}: add it there if it may be isolated."
        )
    if len(found) > 1:
        raise Ambiguous(target, [host.text for host in found])
    return found[0]
