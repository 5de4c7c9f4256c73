"""A SentinelOne console that remembers agents.

SentinelOne publishes no description of its API. This was written from what several clients agree on (paths, filter,
`affected`, the ApiToken header; Tracecat's templates, SEKOIA's tests) and from Dirt-Diver/s1-api, generated from the
console's own description (fields of an agent, the four words of `networkStatus`). Assumed: the state changes to
`disconnecting` or `connecting` at once; a request for what is so already affects 0 agents; a query by name ignores
case. An empty filter affects every agent, as the clients' authors warn. Never compared with the product.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from failing_front import Asked, Told

from propolis.clock import Clock

TOKEN = "s1-t0ken-of-a-service-user-of-the-lab"
_WAY = {
    "disconnect": ("connected", "disconnecting", "disconnected"),
    "connect": ("disconnected", "connecting", "connected"),
}

Document = dict[str, Any]


class FakeSentinelone:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.agents: list[Document] = []
        """Each may hold `due` (wall time in seconds, None for never), `then` and `back`, which no answer shows."""
        self.takes: float | None = 0.0
        self.fails = False
        self.lazy = False
        """The state changes only when the agent did it."""
        self.affected: int | None = None
        """What every change claims to have affected."""
        self.pages = 1

    def add(self, name: str, **more: Any) -> str:
        """An agent that is online and connected; gives its id."""
        identity = str(1_200_000_000_000_000_000 + len(self.agents))
        self.agents.append(
            {
                "id": identity, "computerName": name, "networkStatus": "connected", "isActive": True,
                "uuid": f"u-{name}", "isDecommissioned": False, "isUninstalled": False, "machineType": "desktop",
                "osType": "windows",
                "domain": "corp.example", "groupName": "Default Group", "siteName": "Main", "networkInterfaces": [],
                "lastIpToMgmt": None, "tags": {"sentinelone": []}, "activeDirectory": None,
                "lastActiveDate": "2026-01-01T00:00:00Z", **more,
            }
        )  # fmt: skip
        return identity

    def agent(self, name: str) -> Document:
        """The first agent of this short name."""
        return next(one for one in self.agents if one["computerName"].casefold() == name.casefold().split(".")[0])

    def settle(self) -> None:
        """Let happen what time brings."""
        for agent in self.agents:
            due = agent.get("due")
            if "then" in agent and due is not None and due <= self._clock.now():
                agent["networkStatus"] = agent.pop("back") if self.fails else agent.pop("then")
                agent.pop("then", None)
                agent.pop("back", None)

    def finish(self) -> None:
        """Everything under way is done now."""
        for agent in self.agents:
            agent["due"] = self._clock.now()
        self.settle()

    def answer(self, asked: Asked) -> Told:
        """What the console answers."""
        self.settle()
        if asked.headers.get("authorization") != f"ApiToken {TOKEN}":
            return _told(401, {"errors": [{"code": 4010010, "title": "Unauthorized Access", "detail": None}]})
        parts = urlsplit(asked.target)
        if asked.method == "GET" and parts.path == "/web/api/v2.1/agents":
            return self._listed({name: values[0] for name, values in parse_qs(parts.query).items()})
        verb = parts.path.rpartition("/")[2]
        if asked.method == "POST" and verb in _WAY and parts.path == f"/web/api/v2.1/agents/actions/{verb}":
            return self._act(verb, json.loads(asked.body))
        return _told(404, {"errors": [{"code": 4040010, "title": "Not found"}]})

    def _listed(self, query: dict[str, str]) -> Told:
        limit = int(query.pop("limit", "10"))
        ((field, value),) = query.items()
        found = [one for one in self.agents if _fits(one, field, value)]
        cursor = "next" if self.pages > 1 or len(found) > limit else None
        shown = [{name: item for name, item in one.items() if name not in ("due", "then", "back")} for one in found]
        return _told(200, {"data": shown[:limit], "pagination": {"nextCursor": cursor, "totalItems": len(found)}})

    def _act(self, verb: str, body: Document) -> Told:
        ids = body["filter"].get("ids")
        before, during, after = _WAY[verb]
        meant = [one for one in self.agents if (ids is None or one["id"] in ids) and one["networkStatus"] == before]
        for agent in meant:
            agent.update(
                networkStatus=before if self.lazy else during, then=after, back=before,
                due=self._clock.now() + self.takes if self.takes is not None else None,
            )  # fmt: skip
        return _told(200, {"data": {"affected": len(meant) if self.affected is None else self.affected}})


def _fits(agent: Document, field: str, value: str) -> bool:
    if field == "ids":
        return bool(agent["id"] in value.split(","))
    if field == "computerName":
        return bool(agent["computerName"].casefold() == value.casefold())
    addresses = [text for one in agent["networkInterfaces"] for text in one["inet"]]
    return field == "networkInterfaceInet__contains" and any(value in text for text in addresses)


def _told(status: int, body: Any) -> Told:
    return Told(status, json.dumps(body).encode())
