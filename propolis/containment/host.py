"""A responder whose targets are hosts: where they are found, how they are written, and what must hold for each."""

from __future__ import annotations

from propolis.containment.backend import Status, Target
from propolis.containment.responder import ContainmentResponder
from propolis.containment.target import Wanted, tags_of
from propolis.errors import InputError
from propolis.guardrails import HostFacts, Policy, check_host

_LONGEST_NAME = 253  # characters of a host name, RFC 1035


class HostResponder(ContainmentResponder):
    """Takes a host from an observable, or from a custom field or a tag of a case or an alert."""

    wanted = Wanted(
        data_types=(("hostname", "host"), ("fqdn", "host"), ("ip", "host")),
        fields=(("wazuh_agent_name", "host"),),
        tag_kind="host",
        hints=(("wazuh_agent_id", "wazuh_agent_id"),),
        tagged_types=(("other", "subtype:hostname", "host"),),
    )

    def canonical(self, target: Target) -> Target:
        """A name in lower case without its last dot. What is no plain name or address is refused."""
        name = target.value.casefold().rstrip(".")
        plain = name.replace("-", "").replace(".", "").replace("_", "").replace(":", "")
        if not (plain.isascii() and plain.isalnum()) or name.startswith("-") or len(name) > _LONGEST_NAME:
            raise InputError(f"{target.value[:80]!r} is no host name or address.")
        return target._replace(value=name)

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        """The policy's lists over everything that is known of the host; never the machine this runs on."""
        tags = tuple(tags_of(self.entity))
        ids = tuple(value for name, value in target.hints if name == "wazuh_agent_id")
        if status is None:
            check_host(policy, HostFacts((target.value,), ids, tags))
            return
        found = status.subject
        names = (found.name, *found.names, target.value)
        facts = HostFacts(
            names,
            (*ids, *found.ids),
            (*tags, *found.tags),
            found.types,
            found.addresses,
            last_seen=found.last_seen,
            is_self=found.own,
        )
        standing = status.contained or status.pending  # how old its last word is matters before the act, not after it
        check_host(policy, facts, now=None if standing else self.clock.now())
