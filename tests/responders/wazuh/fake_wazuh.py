"""A Wazuh 4.x manager that remembers agents, tokens and rights, and hands active responses on to its agents.

Written from the official description of the server API (spec.yaml of 4.14.7) and from its source (api/api/validator.py,
framework/wazuh/core/utils.py): 200 also for failures; agent 000 passed over without a word; `search` finds substrings
in any field, without case, and takes % and _ for wildcards; FIM's paths of Windows agents in lower case; a 429 without
Retry-After; error 6000 after 50 wrong passwords. What the agents do is in `fake_agent`.
"""

from __future__ import annotations

import json
import re
import uuid
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from failing_front import Asked, Told
from fake_agent import FakeAgent

from propolis.clock import Clock, utc_text

USER, PASSWORD = "propolis", "w4zuh-s3cret-of-the-lab"
LOGIN = "/security/user/authenticate"
RIGHTS = {"agent:read", "syscheck:read", "syscollector:read", "active-response:command"}
_BASIC = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_KNOWN = {
    "agents": {"agents_list", "search", "limit", "offset", "select", "name", "wait_for_complete"},
    "syscheck": {"search", "select", "limit", "offset", "wait_for_complete"},
    "syscollector": {"search", "limit", "offset"},
    "active-response": {"agents_list", "wait_for_complete"},
}

Document = dict[str, Any]


class FakeWazuh:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.agents: dict[str, FakeAgent] = {}
        self.version = "4.14.7"
        self.tokens: dict[str, float] = {}
        """Token -> its end."""
        self.logins = 0
        self.stale = 0
        """Requests with a token that had ended, or none."""
        self.wrong = 0
        """Wrong passwords so far."""
        self.rights = set(RIGHTS)
        self.permitted: set[str] | None = None
        """Ids of the agents that the user may command; None: all."""
        self.crowded_until = 0.0
        """Wall time until which every request is one too many."""
        self.failing_until = 0.0
        """Wall time until which every request is answered with 500."""
        self.page = 500
        """The most items of one answer."""
        self.on_command: Callable[[], None] | None = None
        """Called in the middle of an active response."""

    def add(self, number: str, name: str, ip: str, **more: Any) -> FakeAgent:
        """A new agent."""
        self.agents[number] = made = FakeAgent(self._clock, number, name, ip, **more)
        return made

    def answer(self, asked: Asked) -> Told:
        """What the API answers."""
        parts = urlsplit(asked.target)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if self._clock.now() < self.crowded_until:
            return _problem(429, 6001, "Maximum number of requests per minute reached")
        if self._clock.now() < self.failing_until:
            return _problem(500, 1000, "Wazuh Internal Error")
        if parts.path == LOGIN:
            return self._login(asked)
        if not self._is_known(asked.headers.get("authorization", "")):
            self.stale += 1
            return _told(401, {"title": "Unauthorized", "detail": "Invalid token"})
        steps = parts.path.strip("/").split("/")
        unknown = set(query) - _KNOWN.get(steps[0], set())
        if unknown:
            return _problem(400, 0, f"Extra query parameter(s) {sorted(unknown)}")
        return self._route(asked, steps, query)

    def _route(self, asked: Asked, steps: list[str], query: dict[str, str]) -> Told:
        if steps == [""]:
            return _told(200, {"data": {"title": "Wazuh API REST", "api_version": self.version, "revision": "rc1"}})
        if self.version.removeprefix("v").startswith("5"):
            return _problem(404, 0, "404: Not Found")
        if steps == ["active-response"] and asked.method == "PUT":
            return self._command(json.loads(asked.body), query.get("agents_list", ""))
        right = f"{steps[0].removesuffix('s')}:read"
        if right not in self.rights:
            return _problem(403, 4000, f"Permission denied: Resource type: agent:id, action {right}")
        return self._agents(query) if steps == ["agents"] else self._of_agent(steps, query)

    def _of_agent(self, steps: list[str], query: dict[str, str]) -> Told:
        agent = self.agents.get(steps[1])
        if agent is None:
            return _list([], [], failed=[(1701, "Agent does not exist", steps[1])])
        if steps[0] == "agents":
            return self._watched(agent)
        if steps[0] == "syscheck":
            return self._page([{"file": path} for path in agent.paths()], query)
        return self._page([{"agent_id": agent.id, "user": user} for user in agent.users], query)

    def _login(self, asked: Asked) -> Told:
        self.logins += 1
        if self.wrong >= 50:
            return _problem(403, 6000, "Limit of login attempts reached. The current IP has been blocked")
        if asked.headers.get("authorization") != _BASIC:
            self.wrong += 1
            return _told(401, {"title": "Unauthorized", "detail": "Invalid credentials"})
        token = uuid.uuid4().hex
        self.tokens[token] = self._clock.now() + 900
        return _told(200, {"data": {"token": token}, "error": 0})

    def _is_known(self, header: str) -> bool:
        return self.tokens.get(header.removeprefix("Bearer "), 0) > self._clock.now()

    def _agents(self, query: dict[str, str]) -> Told:
        shown = [_shown(agent) for agent in self.agents.values()]
        if "agents_list" in query:
            wanted = query["agents_list"].split(",")
            missing = [(1701, "Agent does not exist", one) for one in wanted if one not in self.agents]
            return _list([one for one in shown if one["id"] in wanted], shown, failed=missing)
        return self._page(shown, query)

    def _page(self, items: list[Document], query: dict[str, str]) -> Told:
        found = [item for item in items if _matches(item, query.get("search", ""))]
        start, limit = int(query.get("offset", "0")), min(int(query.get("limit", "500")), self.page)
        return _list(found[start : start + limit], found)

    def _watched(self, agent: FakeAgent) -> Told:
        if agent.status != "active":
            return _problem(400, 1740, "Action only available for active agents")
        folder = "/var/ossec/active-response/propolis"
        if agent.platform == "windows":
            folder = "c:\\program files (x86)\\ossec-agent\\active-response\\propolis"
        folders = [{"opts": ["check_md5sum", "check_size"], "dir": "/etc", "recursion_level": 256}]
        if agent.watches:
            folders.append({"opts": ["check_sha256sum", "realtime"], "dir": folder, "recursion_level": 0})
        return _told(200, {"data": {"syscheck": {"disabled": "no", "directories": folders}}, "error": 0})

    def _command(self, body: Document, listed: str) -> Told:
        if set(body) - {"command", "arguments", "alert"}:
            return _problem(400, 0, "Invalid field found")
        ids = listed.split(",") if listed else list(self.agents)
        if "active-response:command" not in self.rights:
            return _problem(403, 4000, "Permission denied: Resource type: agent:id")
        sent, failed = [], []
        for one in ids:
            if one == "000":
                continue
            why = self._unsent(one)
            if why:
                failed.append((*why, one))
            else:
                sent.append(one)
        if self.on_command is not None:
            self.on_command()
        for one in sent:
            self.agents[one].run(body["command"], body.get("arguments", []))
        return _list(sent, sent, failed=failed)

    def _unsent(self, one: str) -> tuple[int, str] | None:
        if one not in self.agents:
            return 1701, "Agent does not exist"
        if self.permitted is not None and one not in self.permitted:
            return 4000, "Permission denied: Resource type: agent:id"
        if self.agents[one].status != "active":
            return 1707, "Cannot send request, agent is not active"
        return None


def _shown(agent: FakeAgent) -> Document:
    """As `GET /agents` lists it; an agent that never connected has neither system nor address."""
    base = {"id": agent.id, "name": agent.name, "status": agent.status, "registerIP": "any"}
    if agent.status == "never_connected":
        return base
    system = {"name": agent.system, "platform": agent.platform, "uname": f"Linux |{agent.name} |6.1"}
    seen = {
        "lastKeepAlive": utc_text(agent.clock.now() - agent.silent),
        "group": list(agent.groups),
        "version": agent.version,
    }
    return {**base, "ip": agent.ip, "os": system, **seen}


def _matches(item: Document, text: str) -> bool:
    if not text:
        return True
    parts = [re.escape(char) if char not in "%_" else {"%": ".*", "_": "."}[char] for char in text]
    return any(re.search("".join(parts), value, re.IGNORECASE | re.DOTALL) for value in _values(item))


def _values(item: Any) -> list[str]:
    if isinstance(item, dict):
        return [text for value in item.values() for text in _values(value)]
    return [str(item)] if isinstance(item, (str, int)) else []


def _list(items: list[Any], found: list[Any], failed: list[tuple[int, str, str]] | None = None) -> Told:
    """The envelope of every list: 200 whatever failed."""
    lost = [
        {"error": {"code": code, "message": why, "remediation": "Please, look it up."}, "id": [one]}
        for code, why, one in failed or []
    ]
    data = {
        "affected_items": items, "total_affected_items": len(found), "total_failed_items": len(lost),
        "failed_items": lost,
    }  # fmt: skip
    return _told(200, {"data": data, "message": "...", "error": (2 if items else 1) if lost else 0})


def _problem(status: int, code: int, detail: str) -> Told:
    return _told(status, {"title": "Wazuh Error", "detail": detail, "remediation": "...", "error": code, "code": code})


def _told(status: int, body: Any) -> Told:
    return Told(status, json.dumps(body).encode())
