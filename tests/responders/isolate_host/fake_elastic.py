"""A Kibana with Elastic Defend that remembers endpoints and response actions.

Written from Kibana's own description of the endpoint management API (version 2023-10-31) and, where that is silent,
from its source: a write without `kbn-xsrf` and a body with a null are 400; the list of actions is newest first and
holds comments; answers spell `isCompleted`; a second isolation of an isolated endpoint is taken and leaves it unhealthy
(elastic/kibana#136602); the addresses of before version 8 answer 308. Assumed: a KQL phrase brings every host whose
name holds it, so that a caller has to compare.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from failing_front import Asked, Told

from propolis.clock import Clock, utc_text

KEY = "a2V5LWlkOmtleS1zM2NyZXQtb2YtdGhlLWxhYg=="
_STRING = r'"((?:[^"\\]|\\["\\])*)"'
_CLAUSE = re.compile(rf"([a-z.]+):(?:{_STRING}|\(({_STRING}(?: or {_STRING})*)\))", re.IGNORECASE)
_FIELDS = {
    "united.endpoint.host.hostname": lambda one: [one.name],
    "united.endpoint.host.name": lambda one: [one.name],
    "united.endpoint.host.ip": lambda one: one.addresses,
    "united.endpoint.agent.id": lambda one: [one.id],
    "united.endpoint.elastic.agent.id": lambda one: [one.fleet_id],
}

Document = dict[str, Any]


@dataclass
class Endpoint:
    """One endpoint; `reported` is what its metadata show."""

    name: str
    id: str
    fleet_id: str
    addresses: list[str]
    system: Document
    policy: str
    capabilities: list[str]
    isolated: bool = False
    reported: bool = False
    reports_at: float = 0.0
    status: str = "healthy"


@dataclass
class Action:
    """One response action."""

    id: str
    command: str
    agent: str
    comment: str
    started: float
    due: float | None
    fails: bool
    agent_type: str = "endpoint"
    completed: float | None = None
    successful: bool = False
    expired: bool = False


class FakeKibana:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.endpoints: dict[str, Endpoint] = {}
        self.actions: list[Action] = []
        self.takes: float | None = 0.0
        self.fails = False
        self.report_lag = 0.0
        """Seconds after which the metadata show what an endpoint did."""
        self.list_lag = 0.0
        """Seconds after which the list of actions shows a new one."""
        self.spelling = "isCompleted"
        self.per_agent = False
        """Tell an action's state for each agent, and not as a whole."""
        self.ignores_agents = False
        """The list of actions shows those of every agent."""
        self.prefix = ""
        self.moved = False
        """A version that has these addresses elsewhere."""

    def add(self, name: str, **more: Any) -> Endpoint:
        """A new endpoint."""
        number = len(self.endpoints)
        made = Endpoint(
            name,
            str(uuid.uuid5(uuid.NAMESPACE_DNS, f"endpoint-{name}-{number}")),
            str(uuid.uuid5(uuid.NAMESPACE_DNS, f"fleet-{name}-{number}")),
            ["127.0.0.1", "::1", "fe80::1", more.pop("address", f"10.0.0.{number + 5}")],
            more.pop("system", {"name": "Windows", "full": "Windows 11 Enterprise"}),
            more.pop("policy", "laptops"),
            more.pop("capabilities", ["isolation", "kill_process"]),
        )
        self.endpoints[made.id] = made
        return made

    def by_name(self, name: str) -> Endpoint:
        """An endpoint by its name, whatever its case, with everything done that is due."""
        self._pass()
        return next(one for one in self.endpoints.values() if one.name.casefold() == name.casefold())

    def finish(self) -> None:
        """What waits is done now."""
        for action in self.actions:
            if action.completed is None and not action.expired:
                action.due = self._clock.now()
        self._pass()

    def begin(self, command: str, agent: str, comment: str, agent_type: str = "endpoint") -> Action:
        """A response action."""
        now = self._clock.now()
        due = None if self.takes is None else now + self.takes
        action = Action(str(uuid.uuid4()), command, agent, comment, now, due, self.fails, agent_type)
        self.actions.append(action)
        self._pass()
        return action

    def _pass(self) -> None:
        for action in self.actions:
            if action.completed is None and action.due is not None and action.due <= self._clock.now():
                action.completed, action.successful = action.due, not action.fails
                if not action.fails:
                    self._done(action)
        for one in self.endpoints.values():
            if one.reports_at <= self._clock.now():
                one.reported = one.isolated

    def _done(self, action: Action) -> None:
        endpoint = self.endpoints.get(action.agent)
        if endpoint is None:
            return
        if action.command == "isolate" and endpoint.isolated:
            endpoint.status = "unhealthy"
        endpoint.isolated = action.command == "isolate"
        endpoint.reports_at = self._clock.now() + self.report_lag

    def answer(self, asked: Asked) -> Told:  # noqa: PLR0911 - one line a case
        """What Kibana answers."""
        parts = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"ApiKey {KEY}":
            return _told(401, {"statusCode": 401, "error": "Unauthorized", "message": "invalid api key"})
        if self.moved:
            return _told(308, {})
        if not parts.path.startswith(f"{self.prefix}/api/endpoint/"):
            return _told(404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"})
        self._pass()
        where, query = parts.path.removeprefix(self.prefix), parse_qs(parts.query)
        if asked.method == "GET" and where == "/api/endpoint/metadata":
            return self._metadata(query)
        if asked.method == "GET" and where == "/api/endpoint/action":
            return self._list(query)
        if asked.method == "POST" and where in ("/api/endpoint/action/isolate", "/api/endpoint/action/unisolate"):
            return self._act(where.rpartition("/")[2], asked)
        return _told(404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"})

    def _metadata(self, query: dict[str, list[str]]) -> Told:
        wanted = _read(query["kuery"][0])
        if wanted is None:
            return _bad("KQLSyntaxError")
        found = [
            one
            for one in self.endpoints.values()
            if any(value in text for field, values in wanted for value in values for text in _FIELDS[field](one))
            and one.status in query["hostStatuses"]
        ]
        size = int(query["pageSize"][0])
        data = [_shown(one) for one in found[:size]]
        return _told(200, {"data": data, "page": 0, "pageSize": size, "total": len(found)})

    def _list(self, query: dict[str, list[str]]) -> Told:
        kind = query.get("agentTypes", ["endpoint"])[0]
        seen = self._clock.now() - self.list_lag
        found = [
            one
            for one in reversed(self.actions)
            if (self.ignores_agents or one.agent in query["agentIds"])
            and one.command in query["commands"]
            and one.agent_type == kind
            and (one.started < seen or not self.list_lag)
        ]
        size = int(query["pageSize"][0])
        data = [self._details(one) for one in found[:size]]
        return _told(200, {"data": data, "page": 1, "pageSize": size, "total": len(found)})

    def _details(self, action: Action) -> Document:
        done = action.completed is not None
        state: Document = {self.spelling: done, "wasSuccessful": action.successful}
        if action.completed is not None:
            state["completedAt"] = utc_text(action.completed)
        whole = {self.spelling: False, "wasSuccessful": False} if self.per_agent else state
        return {
            "id": action.id,
            "agents": [action.agent],
            "agentType": action.agent_type,
            "command": action.command,
            "comment": action.comment,
            "createdBy": "somebody",
            "startedAt": utc_text(action.started),
            "status": "pending" if not done else "successful" if action.successful else "failed",
            "isExpired": action.expired,
            "hosts": {action.agent: {"name": "whatever"}},
            **whole,
            **({"agentState": {action.agent: {**state, "isCompleted": done}}} if self.per_agent else {}),
        }

    def _act(self, command: str, asked: Asked) -> Told:
        body = json.loads(asked.body)
        kind = body.get("agent_type", "endpoint")
        unknown = set(body) - {"endpoint_ids", "comment", "agent_type", "alert_ids", "case_ids", "parameters"}
        if "kbn-xsrf" not in asked.headers:
            return _bad("Request must contain a kbn-xsrf header.")
        if unknown or any(value is None for value in body.values()) or len(body.get("endpoint_ids", [])) != 1:
            return _bad("[request body]: definition for this key is missing")
        agent = body["endpoint_ids"][0]
        if kind == "endpoint" and agent not in self.endpoints:
            return _told(404, {"statusCode": 404, "error": "Not Found", "message": "The host does not exist"})
        action = self.begin(command, agent, body.get("comment", ""), kind)
        return _told(200, {"action": action.id, "data": self._details(action)})


def _shown(one: Endpoint) -> Document:
    return {
        "host_status": one.status,
        "last_checkin": "2026-01-01T00:00:00.000Z",
        "metadata": {
            "agent": {"id": one.id, "type": "endpoint", "version": "8.19.0"},
            "elastic": {"agent": {"id": one.fleet_id}},
            "Endpoint": {
                "capabilities": one.capabilities,
                "configuration": {"isolation": one.reported},
                "state": {"isolation": one.reported},
                "policy": {"applied": {"name": one.policy, "status": "success"}},
                "status": "enrolled",
            },
            "host": {"hostname": one.name, "name": one.name, "ip": one.addresses, "os": one.system},
        },
    }


def _read(kuery: str) -> list[tuple[str, list[str]]] | None:
    """The clauses of a query that only uses known fields, strings, `or` and one pair of brackets a field."""
    clauses = []
    rest = kuery
    while rest:
        found = _CLAUSE.match(rest)
        if found is None or found[1] not in _FIELDS:
            return None
        strings = re.findall(_STRING, found[0].partition(":")[2])
        clauses.append((found[1], [re.sub(r"\\(.)", r"\1", text) for text in strings]))
        rest = rest[found.end() :]
        if rest and not rest.startswith(" or "):
            return None
        rest = rest.removeprefix(" or ")
    return clauses


def _bad(message: str) -> Told:
    return _told(400, {"statusCode": 400, "error": "Bad Request", "message": message})


def _told(status: int, body: Any) -> Told:
    return Told(status, json.dumps(body).encode())
