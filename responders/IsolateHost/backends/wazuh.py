"""A host with a Wazuh 4.x agent that cuts itself off from everything but its manager and its management.

The program `propolis-contain` on the agent does it on trial first, proves that the manager still answers, and only
then for the full time, which the kernel keeps. See `propolis.containment.wazuh` for how it is started and believed.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from propolis.alert.moment import epoch
from propolis.clock import Clock
from propolis.containment.backend import Backend, Subject, Target, Terms
from propolis.containment.responder import Workbench
from propolis.containment.wazuh import fleet, settings
from propolis.containment.wazuh.answers import Agent
from propolis.containment.wazuh.backend import WazuhBackend
from propolis.containment.wazuh.manager import Manager
from propolis.containment.wazuh.sight import Words


class WazuhIsolation(WazuhBackend):
    """Isolates the agent of this name or address."""

    name = "wazuh"
    kinds = ("host",)
    expires = True
    words = Words("isolate", "release", "isolating")
    remaining = (
        "A reboot of the host lifts the isolation.",
        "Whoever is root on the host can lift it, and can forge the record that it is verified by.",
    )

    def __init__(self, manager: Manager, clock: Clock, wait: float, here: str):
        super().__init__(manager, clock, wait)
        self._here = here

    def agents(self, target: Target) -> list[Agent]:
        return [fleet.find(self._manager, target, target.value)]

    def key(self, target: Target) -> str:
        return "host"

    def contain_words(self, target: Target, terms: Terms) -> list[str]:
        return [str(terms.seconds), terms.mark]

    def release_words(self, target: Target) -> list[str]:
        return []

    def subject(self, target: Target, agents: Sequence[Agent]) -> Subject:
        """The agent's groups count as tags, and a Windows Server as a server."""
        (agent,) = agents
        return Subject(
            id=agent.id,
            name=agent.name,
            names=(agent.name,),
            ids=(agent.id,),
            types=("Server",) if "windows server" in agent.system.casefold() else (),
            tags=agent.groups,
            addresses=(agent.address,) if agent.address not in ("", "any") else (),
            last_seen=epoch(agent.last_seen),
            own=agent.name.casefold() == self._here.casefold(),
        )


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    manager, wait = settings.manager(workbench)
    return WazuhIsolation(manager, workbench.clock, wait, socket.gethostname())
