"""How a program is started on an agent: the one place that differs between Wazuh 4 and 5.

Wazuh 5.0 took `PUT /active-response` away and starts programs from documents in the indexer's data stream
`wazuh-active-responses` (migration guide of 5.0); a way for it would be a second `Dispatch` here. Until there is one,
a 5.x manager is refused before anything else is asked of it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from propolis.containment.backend import BackendError
from propolis.containment.change import AnswerLost
from propolis.containment.wazuh.answers import Agent
from propolis.containment.wazuh.manager import Manager

PROGRAM = "propolis-contain"
_OLDEST_AGENT = (4, 2)  # before it, agents got their active responses as a plain text and not as JSON


class Dispatch(ABC):
    """A way to start the program on agents."""

    @abstractmethod
    def send(self, agents: Sequence[Agent], arguments: Sequence[str]) -> dict[str, str]:
        """Start it. Gives agent id -> why it was not started there. Raises AnswerLost where it may have been."""

    @abstractmethod
    def request(self, agents: Sequence[Agent], arguments: Sequence[str]) -> str:
        """What `send` would send, for a dry run to show."""


class ApiDispatch(Dispatch):
    """Wazuh 4: `PUT /active-response`. execd turns every command into `add`, so the verb is an argument."""

    def __init__(self, manager: Manager):
        self._manager = manager

    def send(self, agents: Sequence[Agent], arguments: Sequence[str]) -> dict[str, str]:
        """One call for each kind of system, as the program's file is called differently on Windows."""
        unsent: dict[str, str] = {}
        for command, group in _by_command(agents):
            try:
                unsent |= self._manager.active_response(group, _body(command, arguments))
            except AnswerLost:
                raise
            except BackendError as error:
                unsent |= {agent.id: str(error).rstrip(".") for agent in group}
        return unsent

    def request(self, agents: Sequence[Agent], arguments: Sequence[str]) -> str:
        shown = []
        for command, group in _by_command(agents):
            body = json.dumps(_body(command, arguments))
            ids = ",".join(agent.id for agent in group)
            shown.append(f"PUT {self._manager.url}/active-response?agents_list={ids} {body}")
        return "; ".join(shown)


def dispatch_for(manager: Manager) -> Dispatch:
    """The way that fits the manager's version. Raises BackendError where there is none."""
    major, minor = manager.version()
    if major == 4:
        return ApiDispatch(manager)
    raise BackendError(
        f"The manager at {manager.url} is Wazuh {major}.{minor}, and only 4.x can start a program on an agent through "
        "its API (5.0 removed it): use a backend of IsolateHost or FirewallBlock that does not go through Wazuh."
    )


def why_not(agent: Agent) -> str:
    """Why the program cannot be started on an agent, as part of a sentence; empty where it can."""
    if agent.status != "active":
        since = f", last seen {agent.last_seen}" if agent.last_seen else ""
        return f"{agent.label} is not connected to the manager ({agent.status}{since})"
    if agent.version < _OLDEST_AGENT:
        return f"{agent.label} runs an agent before 4.2, which cannot be told what to do"
    return ""


def _by_command(agents: Sequence[Agent]) -> list[tuple[str, list[Agent]]]:
    """`!file` names a file of the agent's active-response/bin; it needs no entry in the manager's ar.conf."""
    windows = [agent for agent in agents if agent.platform == "windows"]
    others = [agent for agent in agents if agent.platform != "windows"]
    return [(f"!{PROGRAM}{end}", group) for end, group in (("", others), (".cmd", windows)) if group]


def _body(command: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The alert is empty on purpose: scripts that find one look for addresses in it."""
    return {"command": command, "arguments": list(arguments), "alert": {"data": {}}}
