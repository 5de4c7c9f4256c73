#!/usr/bin/env python3
"""FirewallBlock and FirewallUnblock of the lab: the guardrails of the real ones, at a firewall that is a file."""

from playbook_service.lab.product import FIREWALL, LabResponder, lab_backends
from propolis.containment.backend import Status, Target
from propolis.containment.target import Wanted, tags_of
from propolis.guardrails import Policy, Refused, check_network, parse_target
from propolis.guardrails.networks import network_text

SHARED_TAG = "propolis:shared=ok"


class FirewallBlock(LabResponder):
    """Takes an address from an observable, or from a tag of a case or an alert."""

    worker_name = "FirewallBlock"
    wanted = Wanted(data_types=(("ip", "ip"),), fields=(), tag_kind="ip")
    backends = lab_backends(FIREWALL)

    def canonical(self, target: Target) -> Target:
        """An address or network in its one plain form."""
        return target._replace(value=network_text(parse_target(target.value)))

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        """The policy's networks; for what many share somebody must have said that it is meant."""
        shared = check_network(policy, target.value).ask
        if shared and SHARED_TAG not in tags_of(self.entity):
            raise Refused(f"{shared} Tag it {SHARED_TAG} if it is meant.", rule="firewall.third_party_lists")


if __name__ == "__main__":
    FirewallBlock.main()
