"""Mark what is ours: the policy's own networks and domains are internal, whatever range they are from.

An extractor cannot know them. Without the mark our own public addresses would be asked about at other people's
services, and blocked if somebody calls them malicious.
"""

from __future__ import annotations

from ipaddress import ip_address

from playbook_service.judgement.memo import Memo
from propolis.guardrails import Policy
from propolis.observables.model import Observable

INTERNAL, EXTERNAL = "internal", "external"
_NAMES = frozenset(("domain", "fqdn", "hostname", "url", "mail"))


class Own:
    """The own networks and domains of a policy."""

    def __init__(self, policy: Policy, size: int = 20_000):
        self._networks = policy.firewall.own
        self._domains = tuple(policy.domains.own)
        self._memo: Memo[tuple[str, str], str] = Memo(size)

    def mark(self, observables: list[Observable]) -> list[Observable]:
        """The observables, ours tagged `internal`; a list of its own only where something changes."""
        if not self._networks and not self._domains:
            return observables
        return [self._marked(entry) for entry in observables]

    def _marked(self, entry: Observable) -> Observable:
        ours = (entry.data_type == "ip" and self._networks) or (entry.data_type in _NAMES and self._domains)
        if not ours or INTERNAL in entry.tags or not self.holds(entry.data_type, entry.data):
            return entry
        return entry._replace(tags=(*(tag for tag in entry.tags if tag != EXTERNAL), INTERNAL))

    def holds(self, data_type: str, data: str) -> bool:
        """Is this ours?"""
        key = (data_type, data)
        known = self._memo.get(key) or self._memo.put(key, "yes" if self._look(data_type, data) else "no")
        return known == "yes"

    def _look(self, data_type: str, data: str) -> bool:
        if data_type == "ip":
            return self._is_own_address(data)
        host = _host(data_type, data)
        return any(host == name or host.endswith(f".{name}") for name in self._domains)

    def _is_own_address(self, data: str) -> bool:
        try:
            address = ip_address(data)
        except ValueError:
            return False
        return any(address.version == network.version and address in network for network in self._networks)


def _host(data_type: str, data: str) -> str:
    if data_type == "mail":
        return data.rpartition("@")[2].lower()
    if data_type == "url":
        rest = data.partition("://")[2]
        return rest.split("/", 1)[0].rpartition("@")[2].partition(":")[0].lower()
    return data.lower()
