"""Hosts with a Wazuh 4.x agent that drop an address themselves: gateways that are named, or the host it attacked.

The program `propolis-contain` on the agent puts the address into a set of the host's own nftables, whose time the
kernel keeps. See `propolis.containment.wazuh` for how it is started and believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from propolis.clock import Clock
from propolis.containment.backend import Backend, Subject, Target
from propolis.containment.responder import Workbench
from propolis.containment.wazuh import fleet, settings
from propolis.containment.wazuh.answers import Agent
from propolis.containment.wazuh.backend import WazuhBackend
from propolis.containment.wazuh.manager import Manager
from propolis.containment.wazuh.sight import Words
from propolis.errors import ConfigurationError


class WazuhFirewall(WazuhBackend):
    """Blocks on the named agents, or, without names, on the one that raised the alert."""

    name = "wazuh"
    kinds = ("ip",)
    expires = True
    words = Words("block", "unblock")
    remaining = (
        "Only the named hosts drop the address, and what they route; all others still reach it.",
        "A reboot of such a host lifts the block there.",
    )

    def __init__(self, manager: Manager, clock: Clock, wait: float, gateways: Sequence[str]):
        super().__init__(manager, clock, wait)
        self._gateways = gateways

    def agents(self, target: Target) -> list[Agent]:
        if not self._gateways:
            return [fleet.victim(self._manager, target)]
        found = [fleet.named(self._manager, text) for text in self._gateways]
        return list({agent.id: agent for agent in found}.values())

    def key(self, target: Target) -> str:
        return target.value

    def subject(self, target: Target, agents: Sequence[Agent]) -> Subject:
        """Blocking a firewall's own address, or the network it is in, would cut off the firewall."""
        own = any(_covers(target.value, agent.address) for agent in agents)
        return Subject(target.value, target.value, addresses=(target.value,), own=own)


def _covers(network: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(network)
    except ValueError:
        return False  # the manager does not know the agent's address


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    place = items.choice("wazuh_block_on", ("agents", "victim"), "agents")
    gateways = items.texts("wazuh_agents")
    if (place == "agents") != bool(gateways):
        raise ConfigurationError(
            "must name the agents that block (gateways), at least one; for the host that raised the alert, leave it "
            "empty and set wazuh_block_on to victim.",
            path="configuration item wazuh_agents",
        )
    if any(text.isdecimal() and int(text) == 0 for text in gateways):
        raise ConfigurationError(
            "names 000, the manager itself, which its API never sends an active response to: take it out, and give "
            "the manager's host an agent-less backend such as nftables if it is a gateway.",
            path="configuration item wazuh_agents",
        )
    manager, wait = settings.manager(workbench)
    return WazuhFirewall(manager, workbench.clock, wait, gateways)
