#!/usr/bin/env python3
"""FirewallBlock and FirewallUnblock: drop all traffic of an address at a firewall, for a time, and take it back."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # the bundle's root: Cortex starts this file with only its own folder on the path

import propolis

if ROOT not in Path(propolis.__file__).resolve().parents:
    sys.exit(f"propolis was loaded from {propolis.__file__}, not from this bundle at {ROOT}.")

from backends import BACKENDS

from propolis.containment.backend import Status, Target
from propolis.containment.responder import ContainmentResponder
from propolis.containment.target import Wanted, tags_of
from propolis.guardrails import Policy, Refused, check_domain, check_network, check_url, parse_target
from propolis.guardrails.networks import network_text

SHARED_TAG = "propolis:shared=ok"
"""A tag by which an analyst says that blocking a service which many share is meant."""


class FirewallBlock(ContainmentResponder):
    """Takes an address (or what another backend can block) from an observable, or from a tag of a case or an alert."""

    worker_name = "FirewallBlock"
    backends = BACKENDS
    wanted = Wanted(
        data_types=(("ip", "ip"), ("domain", "domain"), ("fqdn", "domain"), ("url", "url")),
        fields=(),
        tag_kind="ip",
        hints=(("wazuh_agent_id", "wazuh_agent_id"), ("wazuh_agent_name", "wazuh_agent_name")),
    )

    def canonical(self, target: Target) -> Target:
        """An address or network in its one plain form; anything that two programs could read differently is refused."""
        if target.kind != "ip":
            return target
        return target._replace(value=network_text(parse_target(target.value)))

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        """The policy's lists, and never the firewall's own address or the one we reach it from."""
        if target.kind == "ip":
            self._check_address(policy, target)
        else:
            {"domain": check_domain, "url": check_url}[target.kind](policy, target.value)
        if status is not None and status.subject.own:
            raise Refused(
                f"{target.value} is never blocked: it is the firewall's own address, or the one it is reached from.",
                rule="the firewall itself",
            )

    def _check_address(self, policy: Policy, target: Target) -> None:
        """The networks; for a service that many share (public DNS, a CDN) somebody must have said that it is meant."""
        shared = check_network(policy, target.value).ask
        if shared and SHARED_TAG not in tags_of(self.entity):
            raise Refused(f"{shared} Tag it {SHARED_TAG} if it is meant.", rule="firewall.third_party_lists")


if __name__ == "__main__":
    FirewallBlock.main()
