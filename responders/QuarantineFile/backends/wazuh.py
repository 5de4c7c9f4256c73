"""One file on a Linux host with a Wazuh 4.x agent, moved into a vault on that host and put back again.

The program `propolis-contain` on the agent names the evidence by the first 32 hexadecimal digits of the SHA-256 of the
file's full path. See `propolis.containment.wazuh` for how it is started and believed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from propolis.alert.moment import epoch
from propolis.containment.backend import Backend, Subject, Target, Terms
from propolis.containment.file import host_of
from propolis.containment.path import is_path
from propolis.containment.responder import Workbench
from propolis.containment.wazuh import fleet, settings
from propolis.containment.wazuh.answers import Agent
from propolis.containment.wazuh.backend import WazuhBackend
from propolis.containment.wazuh.sight import Words
from propolis.errors import InputError

_PLAIN = re.compile(r"/[ !#-\[\]-~]+")  # ASCII without `"` and `\`, which the agent's program does not take


class WazuhVault(WazuhBackend):
    """Takes a file by its full path; what it is called elsewhere, or is a copy of, stays."""

    name = "wazuh"
    kinds = ("file",)
    expires = False
    words = Words("quarantine", "restore")
    remaining = (
        "A process that runs the file or holds it open goes on.",
        "Copies of it in other places, and on other hosts, are not touched.",
    )

    def agents(self, target: Target) -> list[Agent]:
        path = _path(target)
        agent = fleet.find(self._manager, target, host_of(target))
        if agent.platform == "windows" or not _PLAIN.fullmatch(path):
            raise InputError(
                f"{path[:80]!r} on agent {agent.label} cannot be taken: this backend moves files of Linux hosts, with "
                'paths of ASCII characters without " and \\.'
            )
        return [agent]

    def key(self, target: Target) -> str:
        return hashlib.sha256(_path(target).encode()).hexdigest()[:32]

    def contain_words(self, target: Target, terms: Terms) -> list[str]:
        """Without a hash: the path is all that the observable tells."""
        return [_path(target), "-", terms.mark]

    def subject(self, target: Target, agents: Sequence[Agent]) -> Subject:
        (agent,) = agents
        return Subject(
            id=agent.id,
            name=f"{target.value} on {agent.label}",
            names=(agent.name, target.value),
            ids=(agent.id,),
            tags=agent.groups,
            addresses=(agent.address,) if agent.address not in ("", "any") else (),
            last_seen=epoch(agent.last_seen),
        )


def _path(target: Target) -> str:
    if not is_path(target.value):
        raise InputError("Wazuh's agents take a file by its full path: start this on an observable with the path.")
    return target.value


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    manager, wait = settings.manager(workbench)
    return WazuhVault(manager, workbench.clock, wait)
