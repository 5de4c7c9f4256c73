#!/usr/bin/env python3
"""IsolateHost and ReleaseHost of the lab: the guardrails of the real ones, at an EDR that is a file."""

from playbook_service.lab.product import ENDPOINTS, LabResponder, lab_backends
from propolis.containment.backend import Status, Target
from propolis.containment.target import Wanted, tags_of
from propolis.errors import InputError
from propolis.guardrails import HostFacts, Policy, check_host


class IsolateHost(LabResponder):
    """Takes a host from an observable, or from a custom field or a tag of a case or an alert."""

    worker_name = "IsolateHost"
    wanted = Wanted(
        data_types=(("hostname", "host"), ("fqdn", "host"), ("ip", "host")),
        fields=(("wazuh_agent_name", "host"),),
        tag_kind="host",
        hints=(("wazuh_agent_id", "wazuh_agent_id"),),
        tagged_types=(("other", "subtype:hostname", "host"),),
    )
    backends = lab_backends(ENDPOINTS)

    def canonical(self, target: Target) -> Target:
        """A name in lower case without its last dot."""
        name = target.value.casefold().rstrip(".")
        plain = name.replace("-", "").replace(".", "").replace("_", "").replace(":", "")
        if not (plain.isascii() and plain.isalnum()) or name.startswith("-") or len(name) > 253:
            raise InputError(f"{target.value[:80]!r} is no host name or address.")
        return target._replace(value=name)

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        """The policy's lists over everything that is known of the host."""
        tags = tuple(tags_of(self.entity))
        ids = tuple(value for name, value in target.hints if name == "wazuh_agent_id")
        if status is None:
            check_host(policy, HostFacts((target.value,), ids, tags))
            return
        found = status.subject
        names = (found.name, *found.names, target.value)
        facts = HostFacts(
            names, (*ids, *found.ids), (*tags, *found.tags), found.types, found.addresses, is_self=found.own
        )
        check_host(policy, facts)


if __name__ == "__main__":
    IsolateHost.main()
