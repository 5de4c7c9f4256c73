"""Kibana's endpoint API as far as IsolateHost needs it: find one host, read its response actions, ask for one.

Written from Kibana's own description of 2023-10-31 and from its source where that says more: `unhealthy` is a host
status (the documentation of 8.4 has it, too), and an action's state is told for each agent. That an action's `comment`
is told to a key with the right to read the history is assumed. The schema spells `isComplete`, Kibana answers
`isCompleted`: both are read.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from propolis.alert.moment import epoch
from propolis.clock import Clock
from propolis.containment.backend import BackendError, Target
from propolis.containment.change import AnswerLost, change
from propolis.http import HttpError, Response, segment, session

from .edr_host import (
    address_of,
    document,
    exactly_one,
    not_theirs,
    plain_name,
    same_name,
    texts,
    usable_addresses,
)
from .elastic_history import ISOLATE, RELEASE, Action

ENDPOINT = "endpoint"
AGENT_TYPES = (ENDPOINT, "sentinel_one", "crowdstrike", "microsoft_defender_endpoint")
_STATUSES = ["healthy", "offline", "updating", "unhealthy", "inactive"]
_MOST = 100  # entries of a page, the most there are
_AGENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PRODUCT, _ITEM = "Kibana", "elastic_url"
_RIGHTS = (
    " Check elastic_api_key, elastic_space, the licence (Platinum) and the key's privileges: Endpoint list (read), "
    "Host isolation (all), Response actions history (read)."
)
_VERSION = " This Kibana lacks this address: check elastic_url and elastic_space; version 8.5 or later is needed."

Document = dict[str, Any]


class Settings(NamedTuple):
    """Which Kibana and space, and whose agents."""

    url: str
    api_key: str
    space: str
    """Empty: the default space."""
    agent_type: str
    """One of `AGENT_TYPES`."""
    agents: tuple[tuple[str, str], ...]
    """Name and agent id of each host that may be isolated, for agents that are not Elastic's own."""
    proxy: str | None
    ca_file: str | None
    timeout: float
    """Seconds for each answer."""


class Host(NamedTuple):
    """A host as Kibana knows it."""

    id: str
    """The id that actions want: the endpoint's, not Fleet's."""
    fleet_id: str
    names: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    isolated: bool | None = None
    """What the endpoint reports; None for agents that are not Elastic's own."""
    capable: bool = True
    kind: str = "unknown"
    """`Server`, `Workstation` or `unknown`."""
    policy: str = ""
    state: str = "state not reported"
    last_seen: float | None = None
    """Wall time, seconds, of its last check-in."""

    @property
    def text(self) -> str:
        """`pc1 (2852..., offline, last check-in 2026-01-01T00:00:00Z)`."""
        return f"{(self.names or ('a host without a name',))[0]} ({self.id}, {self.state})"


class Kibana:
    """One Kibana, one space, one kind of agents."""

    def __init__(self, settings: Settings, clock: Clock):
        self.prefix = f"/s/{segment(settings.space)}" if settings.space not in ("", "default") else ""
        self._settings = settings
        self._clock = clock
        self._client = session(
            settings.url,
            headers={"Authorization": f"ApiKey {settings.api_key}", "kbn-xsrf": "x"},
            proxy=settings.proxy,
            ca_file=settings.ca_file,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.api_key],
            name=_ITEM,
        )

    def find(self, target: Target) -> Host:
        """The one host of this name, address or agent id. Raises NotFound, Ambiguous or BackendError."""
        text = plain_name(target)
        own = self._settings.agent_type == ENDPOINT
        known = self._hosts(query(text)) if own else [Host(one, one, (name,)) for name, one in self._settings.agents]
        found = [host for host in known if _means(text, host)]
        hint = "Write the name as Kibana does, or give the agent id." if own else "Add it to the item elastic_agents."
        return exactly_one(target, found, lambda host: host.text, _PRODUCT, hint)

    def history(self, agent_id: str) -> list[Action]:
        """The newest isolations and releases of an agent, newest first."""
        params = {"agentIds": [agent_id], "commands": [ISOLATE, RELEASE], "page": 1, "pageSize": _MOST}
        if self._settings.agent_type != ENDPOINT:
            params["agentTypes"] = self._settings.agent_type
        response, entries = self._list("/api/endpoint/action", params)
        try:
            actions = [_action(entry, agent_id) for entry in entries]
        except (KeyError, TypeError, AttributeError):
            raise _fault(not_theirs(response, _PRODUCT, _ITEM)) from None
        return [action for action in actions if action is not None]

    def act(self, command: str, agent_id: str, comment: str) -> str:
        """Ask for an isolation or a release; gives the action's id. Raises AnswerLost or BackendError."""
        try:
            response = change(
                self._client, self._clock, "POST", self.prefix + path(command), json=self.body(agent_id, comment),
                accept=(200,),
            )  # fmt: skip
            answer = document(response, _PRODUCT, _ITEM)
        except HttpError as error:
            if error.ambiguous:
                raise AnswerLost(str(error)) from None
            raise _fault(error) from None
        data = answer.get("data")
        told: Document = data if isinstance(data, dict) else {}
        action_id = told.get("id") or answer.get("action")
        fits = told.get("command", command) == command and told.get("agents", [agent_id]) == [agent_id]
        if not isinstance(action_id, str) or not fits:
            raise AnswerLost(f"{response.where} failed: the answer does not name the action that was asked for.")
        return action_id

    def body(self, agent_id: str, comment: str) -> Document:
        """What `act` sends: nothing in it may be null, and an older Kibana knows no agent type."""
        made: Document = {"endpoint_ids": [agent_id], "comment": comment}
        if self._settings.agent_type != ENDPOINT:
            made["agent_type"] = self._settings.agent_type
        return made

    def close(self) -> None:
        self._client.close()

    def _hosts(self, kuery: str) -> list[Host]:
        params = {"kuery": kuery, "hostStatuses": _STATUSES, "pageSize": _MOST}
        response, entries = self._list("/api/endpoint/metadata", params)
        try:
            return [_host(entry) for entry in entries]
        except (KeyError, TypeError, AttributeError):
            raise _fault(not_theirs(response, _PRODUCT, _ITEM)) from None

    def _list(self, where: str, params: Document) -> tuple[Response, list[Document]]:
        try:
            response = self._client.get(self.prefix + where, params=params, accept=(200,))
            answer = document(response, _PRODUCT, _ITEM)
        except HttpError as error:
            raise _fault(error) from None
        entries: Any = answer.get("data")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise _fault(not_theirs(response, _PRODUCT, _ITEM))
        total = answer.get("total")
        if "kuery" in params and isinstance(total, int) and total > len(entries):
            raise BackendError(f"{response.where} found {total} hosts, more than one look takes: give the agent id.")
        return response, entries


def path(command: str) -> str:
    """Where an action is asked for."""
    return f"/api/endpoint/action/{command}"


def query(text: str) -> str:
    """The KQL that brings every host this may be; the text is a plain name or an address.

    Names are compared with their case, so the two that are usual are asked for.
    """
    if address_of(text):
        return f"united.endpoint.host.ip:{quoted(address_of(text))}"
    if _AGENT_ID.fullmatch(text):
        return f"united.endpoint.agent.id:{quoted(text)} or united.endpoint.elastic.agent.id:{quoted(text)}"
    names = " or ".join(quoted(name) for name in dict.fromkeys((text.lower(), text.upper())))
    return f"united.endpoint.host.hostname:({names}) or united.endpoint.host.name:({names})"


def quoted(text: str) -> str:
    """A KQL string: in quotes, nothing in it means anything but a backslash and a quote, which are escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _means(text: str, host: Host) -> bool:
    address = address_of(text)
    return address in host.addresses if address else same_name(text, (host.id, host.fleet_id, *host.names))


def _host(entry: Document) -> Host:
    told = entry["metadata"]
    endpoint, machine = told["Endpoint"], told["host"]
    isolated = endpoint["state"]["isolation"]
    if not isinstance(isolated, bool):
        raise TypeError
    applied = (endpoint.get("policy") or {}).get("applied") or {}
    checkin = f"last check-in {entry.get('last_checkin') or 'never'}"
    return Host(
        id=told["agent"]["id"],
        fleet_id=str((told.get("elastic") or {}).get("agent", {}).get("id") or ""),
        names=tuple(dict.fromkeys((*texts(machine.get("hostname")), *texts(machine.get("name"))))),
        addresses=usable_addresses(texts(machine.get("ip"))),
        isolated=isolated,
        capable="isolation" in texts(endpoint.get("capabilities")),
        kind=_kind(machine.get("os") or {}),
        policy=str(applied.get("name") or ""),
        state=f"{entry.get('host_status') or 'status not told'}, {checkin}",
        last_seen=epoch(str(entry.get("last_checkin") or "")),
    )


def _kind(system: Document) -> str:
    """Only Windows tells a server from a workstation; macOS counts as the latter."""
    variant = (system.get("Ext") or {}).get("variant")
    words = " ".join(str(one) for one in (system.get("full"), system.get("name"), variant) if one).casefold()
    if "server" in words:
        return "Server"
    return "Workstation" if "windows" in words or "macos" in words else "unknown"


def _action(entry: Document, agent_id: str) -> Action | None:
    """One entry of the list for one agent; None where it is none of ours to read."""
    command = entry["command"]
    if command not in (ISOLATE, RELEASE) or agent_id not in texts(entry.get("agents")):
        return None
    own = (entry.get("agentState") or {}).get(agent_id) or {}
    started = epoch(str(entry.get("startedAt"))) or 0.0
    done = bool(own.get("isCompleted", entry.get("isCompleted", entry.get("isComplete", False))))
    return Action(
        id=str(entry["id"]),
        command=command,
        comment=str(entry.get("comment") or ""),
        started=started,
        completed=epoch(str(own.get("completedAt") or entry.get("completedAt"))) or started,
        done=done,
        successful=own.get("wasSuccessful", entry.get("wasSuccessful")) is True,
        expired=entry.get("isExpired") is True and not done,
    )


def _fault(error: HttpError) -> BackendError:
    hint = _RIGHTS if error.status in (401, 403) else _VERSION if error.status in (307, 308, 404) else ""
    return BackendError(f"{error}{hint}")
