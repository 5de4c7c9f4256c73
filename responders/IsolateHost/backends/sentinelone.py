"""SentinelOne disconnects an agent's endpoint from the network, and connects it again.

SentinelOne publishes no description of its API outside its consoles. This was written from what others made of it
(paths, filter and `affected` agree in several clients; the fields of an agent are those of a client that was generated
from the console's own description, Dirt-Diver/s1-api). **The filter is the target**: an empty or a wide one isolates
the fleet, so it is always exactly one id, never a name, and `affected` must be 1.

An endpoint's state is its `networkStatus`. There is no place for a mark: a tag would have to be made first, with rights
over everybody's tags, so only the service's lease proves that a disconnection is ours.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from propolis.alert.moment import epoch
from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.change import AnswerLost, change, safe_url, settled
from propolis.containment.responder import Workbench
from propolis.http import HttpError, Response, session

from .edr_host import address_of, exactly_one, is_own, own_names, plain_name, same_name, texts, usable_addresses

CONNECTED, DISCONNECTED, CONNECTING, DISCONNECTING = "connected", "disconnected", "connecting", "disconnecting"
_STATES = (CONNECTED, DISCONNECTED, CONNECTING, DISCONNECTING)
_AGENTS = "/web/api/v2.1/agents"
_MOST = 100  # agents of one answer; more is no look for one host
_GRACE = 30.0  # seconds that the console may go on showing the state from before a change that it took
_ENDED = ("Every connection but the agent's own to its console.",)

Document = dict[str, Any]


class Settings(NamedTuple):
    """Which console, and as which service user."""

    url: str
    token: str
    ca_file: str | None
    proxy: str | None
    timeout: float
    """Seconds for each answer."""


class Agent(NamedTuple):
    """One endpoint."""

    id: str
    names: tuple[str, ...]
    state: str
    """`networkStatus`, one of four words."""
    online: bool
    subject: Subject

    @property
    def text(self) -> str:
        return f"{self.subject.name} (agent {self.id}, {self.state}{'' if self.online else ', offline'})"


class _Taken(NamedTuple):
    """A change that the console took and may not show yet."""

    agent: str
    verb: str
    before: str
    until: float
    """Monotonic seconds."""


class SentineloneBackend(Backend):
    """One console."""

    name = "sentinelone"
    kinds = ("host",)
    expires = False
    marks = False

    def __init__(self, settings: Settings, clock: Clock, own: tuple[str, ...] = ()):
        self._url = settings.url
        self._clock = clock
        self._own = own
        self._taken: _Taken | None = None
        self._api = session(
            settings.url,
            headers={"Authorization": f"ApiToken {settings.token}"},
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.token],
            name="sentinelone_url",
        )

    @property
    def where(self) -> str:
        return f"SentinelOne at {self._url}"

    def status(self, target: Target) -> Status:
        agent = self._find(target)
        return Status(
            agent.subject,
            contained=agent.state in (DISCONNECTED, CONNECTING),
            detail=f"SentinelOne shows {agent.text}",
            pending=self._pending(agent),
        )

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        agent = self._agent(status.subject.id)
        if agent.state == CONNECTING:
            raise BackendError(f"{agent.text} is being connected again: start this again when that is done.")
        if agent.state != CONNECTED:
            return Effect(f"{agent.text} was cut off already and was left as it is", pending=self._pending(agent))
        return self._ask(agent, "disconnect", (DISCONNECTING, DISCONNECTED), _ENDED)

    def release(self, target: Target, status: Status) -> Effect:
        agent = self._agent(status.subject.id)
        if agent.state == DISCONNECTING:
            raise BackendError(
                f"{agent.text} is being cut off at this moment, which cannot be called off: start this again when "
                "that is done."
            )
        if agent.state != DISCONNECTED:
            return Effect(f"{agent.text} was not cut off any more", pending=self._pending(agent))
        return self._ask(agent, "connect", (CONNECTING, CONNECTED))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        return f"POST {self._url}{_AGENTS}/actions/disconnect {json.dumps(_only(status.subject.id))}"

    def close(self) -> None:
        self._api.close()

    def _pending(self, agent: Agent) -> str:
        """What is under way: what the console shows, or what it took and does not show yet."""
        taken = self._taken
        unseen = taken is not None and (taken.agent, taken.before) == (agent.id, agent.state)
        if taken is not None and unseen and self._clock.monotonic() < taken.until:
            return f"{taken.verb} {agent.id}"
        return {DISCONNECTING: f"disconnect {agent.id}", CONNECTING: f"connect {agent.id}"}.get(agent.state, "")

    def _ask(self, agent: Agent, verb: str, wanted: tuple[str, ...], ended: tuple[str, ...] = ()) -> Effect:
        done = settled(
            lambda: self._post(verb, agent, wanted),
            lambda: self._agent(agent.id).state in wanted,
            f"asked SentinelOne to {verb} {agent.subject.name} (agent {agent.id})",
        )
        self._taken = _Taken(agent.id, verb, agent.state, self._clock.monotonic() + _GRACE)
        remaining = () if agent.online else ("The agent is offline: this takes effect when it comes back.",)
        return Effect(done, ended, remaining, pending=f"{verb} {agent.id}")

    def _post(self, verb: str, agent: Agent, wanted: tuple[str, ...]) -> None:
        """Make a change of exactly one agent. `affected` 0 may mean that it was made already."""
        path = f"{_AGENTS}/actions/{verb}"
        try:
            response = change(self._api, self._clock, "POST", path, json=_only(agent.id), accept=(200,))
        except HttpError as error:
            raise _fault(error) from None
        affected = _affected(response)
        if affected == 1 or (affected == 0 and self._agent(agent.id).state in wanted):
            return
        if affected == 0:
            raise BackendError(
                f"SentinelOne did not {verb} {agent.text}: it says that no agent was affected. Check the service "
                "user's site and role, and the agent's state in the console."
            )
        raise BackendError(
            f"SentinelOne says that {affected} agents were affected by a request for the one agent {agent.id}: look "
            "into the console's activity log at once."
        )

    def _find(self, target: Target) -> Agent:
        wanted = plain_name(target)
        if wanted.isdigit() and len(wanted) > 12:
            found = [one for one in self._listed("ids", wanted) if one.id == wanted]
        elif address := address_of(wanted):
            listed = self._listed("networkInterfaceInet__contains", address)
            found = [one for one in listed if address in one.subject.addresses]
        else:
            found = self._named(wanted)
        return exactly_one(
            target, found, lambda one: one.text, "SentinelOne", "Give the agent's id where names differ."
        )

    def _named(self, wanted: str) -> list[Agent]:
        """Whole names only. Agents in a domain are listed by their short name, with the domain beside it."""
        found = [one for one in self._listed("computerName", wanted) if same_name(wanted, one.names)]
        short = wanted.partition(".")[0]
        if not found and short != wanted:
            found = [one for one in self._listed("computerName", short) if same_name(wanted, one.names)]
        return found

    def _agent(self, agent_id: str) -> Agent:
        for agent in self._listed("ids", agent_id):
            if agent.id == agent_id:
                return agent
        raise BackendError(f"SentinelOne does not list agent {agent_id} any more; nothing was done.")

    def _listed(self, field: str, value: str) -> list[Agent]:
        """The agents that a query brings. Every caller compares them again: some of its fields match parts of words."""
        try:
            response = self._api.get(_AGENTS, params={field: value, "limit": str(_MOST)}, accept=(200,))
            answer = response.json()
        except HttpError as error:
            raise _fault(error) from None
        entries = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise BackendError(f"{response.where} failed: the answer is not SentinelOne's; check sentinelone_url.")
        pages = answer.get("pagination")
        if isinstance(pages, dict) and pages.get("nextCursor"):
            raise BackendError(f"SentinelOne lists more than {_MOST} agents for {value}; give the agent's id.")
        present = [one for one in entries if not (one.get("isDecommissioned") or one.get("isUninstalled"))]
        return [self._read(response, one) for one in present]

    def _read(self, response: Response, entry: Document) -> Agent:
        state, agent_id = entry.get("networkStatus"), entry.get("id")
        if not isinstance(agent_id, str) or not agent_id or state not in _STATES:
            raise BackendError(f"{response.where} failed: an agent cannot be read; check the console's version.")
        names = _names(entry)
        return Agent(agent_id, names, state, entry.get("isActive") is True, _subject(agent_id, names, entry, self._own))


def _only(agent_id: str) -> Document:
    return {"filter": {"ids": [agent_id]}}


def _affected(response: Response) -> int:
    """Raises AnswerLost for an answer of another shape: the change may have been made."""
    try:
        answer = response.json()
    except HttpError as error:
        raise AnswerLost(str(error)) from None
    data = answer.get("data") if isinstance(answer, dict) else None
    count = data.get("affected") if isinstance(data, dict) else None
    if isinstance(count, bool) or not isinstance(count, int):
        raise AnswerLost(f"{response.where} failed: the answer is not SentinelOne's; check sentinelone_url.")
    return count


def _names(entry: Document) -> tuple[str, ...]:
    """The name as listed, and with its domain where that is one of the DNS."""
    name, domain = str(entry.get("computerName") or ""), str(entry.get("domain") or "")
    full = f"{name}.{domain}" if name and "." in domain and "." not in name else ""
    return tuple(one for one in (name, full) if one)


def _subject(agent_id: str, names: tuple[str, ...], entry: Document, own: tuple[str, ...]) -> Subject:
    kind, directory = str(entry.get("machineType") or ""), entry.get("activeDirectory")
    directory = directory if isinstance(directory, dict) else {}
    place = str(directory.get("computerDistinguishedName") or "").casefold()
    types = (
        kind,
        "Server" if kind == "server" else "",
        "Domain Controller" if "ou=domain controllers" in place else "",
        str(entry.get("osType") or ""),
    )
    interfaces = [one for one in entry.get("networkInterfaces") or () if isinstance(one, dict)]
    listed = [address for one in interfaces for field in ("inet", "inet6") for address in texts(one.get(field))]
    return Subject(
        id=agent_id,
        name=names[-1] if names else agent_id,
        names=names,
        ids=(agent_id, *texts(entry.get("uuid"))),
        groups=texts(directory.get("computerMemberOf")),
        types=tuple(one for one in types if one),
        tags=(*_tags(entry), *texts([entry.get("groupName"), entry.get("siteName")])),
        addresses=usable_addresses([*texts(entry.get("lastIpToMgmt")), *listed]),
        own=is_own(names, own),
        last_seen=epoch(str(entry.get("lastActiveDate") or "")),
    )


def _tags(entry: Document) -> tuple[str, ...]:
    """The console's tags, by key, by value, and as `key:value`."""
    kept = entry.get("tags")
    listed = kept.get("sentinelone") if isinstance(kept, dict) else None
    pairs = [(str(one.get("key") or ""), str(one.get("value") or "")) for one in listed or () if isinstance(one, dict)]
    return tuple(text for key, value in pairs for text in (key, value, f"{key}:{value}") if text)


def _fault(error: HttpError) -> BackendError:
    hint = ""
    if error.status == 401:
        hint = " Check sentinelone_token: the token of a service user expires."
    elif error.status == 403:
        hint = " Its role needs to view endpoints, to disconnect them from the network and to reconnect them."
    return BackendError(f"{error}{hint}")


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        url=safe_url(items.text("sentinelone_url"), "sentinelone_url"),
        token=items.text("sentinelone_token"),
        ca_file=items.optional_text("sentinelone_ca_file"),
        proxy=workbench.proxy if items.flag("sentinelone_use_proxy", True) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    return SentineloneBackend(settings, workbench.clock, own_names())
