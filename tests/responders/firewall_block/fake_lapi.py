"""A CrowdSec Local API that remembers alerts and decisions, with the traps that were measured on version 1.4.6.

Paths, parameters and shapes are those of CrowdSec's own description (pkg/models/localapi_swagger.yaml); measured beside
it: no match is `null`; a look by address finds the networks around it; the end of a decision is `stop_at` and its
duration; a second alert makes a second decision; junk and unknown ids answer 500; deleting twice answers 200 twice; a
wrong login answers 401, and so does the login of a User-Agent that is not `name/version`; allowlists answer 404, as
version 1.4.6 has none.
"""

from __future__ import annotations

import json
import re
import uuid
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from failing_front import Asked, Told

from propolis.alert.moment import epoch
from propolis.clock import Clock, utc_text

MACHINE, PASSWORD = "propolis", "lapi-s3cret-of-the-lab"
_REQUIRED = {
    "scenario", "scenario_hash", "scenario_version", "message", "events_count", "start_at", "stop_at", "capacity",
    "leakspeed", "simulated", "events", "source",
}  # fmt: skip
_GO = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")

Document = dict[str, Any]


class FakeLapi:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.alerts: list[Document] = []
        """As stored; each decision holds `until`, wall time in seconds."""
        self.tokens: set[str] = set()
        self.logins = 0
        self.allowlist: dict[str, str] | None = None
        """Address -> reason; None: a version without allowlists."""

    def answer(self, asked: Asked) -> Told:
        """What LAPI answers."""
        parts = urlsplit(asked.target)
        if parts.path == "/v1/watchers/login":
            return self._login(json.loads(asked.body), asked.headers.get("user-agent", ""))
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _told(401, {"code": 401, "message": "token is expired"})
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return self._route(asked, parts.path.removeprefix("/v1/").split("/"), query)

    def _route(self, asked: Asked, steps: list[str], query: dict[str, str]) -> Told:
        if steps == ["alerts"]:
            return self._add(json.loads(asked.body)) if asked.method == "POST" else _told(200, self._found(query))
        if asked.method == "DELETE" and steps[0] == "decisions" and len(steps) == 2:
            return self._delete(steps[1])
        if steps[:2] == ["allowlists", "check"] and self.allowlist is not None:
            reason = self.allowlist.get(unquote(steps[2]))
            return _told(200, {"allowlisted": reason is not None, **({"reason": reason} if reason else {})})
        return Told(404, b"")

    def ban(self, value: str, seconds: float, *, scenario: str, message: str, kind: str = "ban") -> None:
        """A decision made by somebody else."""
        scope = "Range" if "/" in value else "Ip"
        decision = {"scope": scope, "value": value, "type": kind, "scenario": scenario, "origin": "crowdsec"}
        self._store({"scenario": scenario, "message": message}, [(decision, self._clock.now() + seconds)])

    def lift(self, value: str) -> None:
        """What `cscli decisions delete --ip` does."""
        for decision in self._decisions():
            if decision["value"] == value:
                decision["until"] = self._clock.now()

    def banned(self, value: str) -> bool:
        """Whether a bouncer would drop an address."""
        active = [one for one in self._decisions() if one["until"] > self._clock.now() and one["type"] == "ban"]
        return any(_covers(one["value"], value) for one in active)

    def _decisions(self) -> list[Document]:
        return [decision for alert in self.alerts for decision in alert["decisions"]]

    def _login(self, form: Document, agent: str) -> Told:
        self.logins += 1
        if agent.count("/") != 1 or form != {"machine_id": MACHINE, "password": PASSWORD}:
            return _told(401, {"code": 401, "message": "incorrect Username or Password"})
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return _told(200, {"code": 200, "expire": utc_text(self._clock.now() + 3600), "token": token})

    def _add(self, alerts: Any) -> Told:
        if not isinstance(alerts, list) or not all(set(alert) >= _REQUIRED for alert in alerts):
            return _told(400, {"message": "validation failure list"})
        ids = []
        for alert in alerts:
            stop = epoch(alert["stop_at"])
            ends = [(decision, _go_seconds(decision["duration"])) for decision in alert["decisions"]]
            if stop is None or any(end is None or not _is_network(one["value"]) for one, end in ends):
                return _told(500, {"message": "unable to create alerts: unable to parse duration"})
            ids.append(str(self._store(alert, [(one, stop + (end or 0)) for one, end in ends])))
        return _told(201, ids)

    def _store(self, alert: Document, decisions: list[tuple[Document, float]]) -> int:
        first = len(self._decisions()) + 1
        stored = [{**one, "until": end, "id": first + number} for number, (one, end) in enumerate(decisions)]
        self.alerts.append({**alert, "id": len(self.alerts) + 1, "decisions": stored})
        return len(self.alerts)

    def _found(self, query: dict[str, str]) -> Any:
        now, wanted = self._clock.now(), query.get("ip") or query["range"]
        fitting = [
            self._shown(alert, now)
            for alert in reversed(self.alerts)
            if any(one["until"] > now and _covers(one["value"], wanted) for one in alert["decisions"])
        ]
        return fitting[: int(query.get("limit", "50"))] or None

    @staticmethod
    def _shown(alert: Document, now: float) -> Document:
        decisions = [
            {**{name: value for name, value in one.items() if name != "until"}, "simulated": False,
             "duration": f"{one['until'] - now:.9f}s"}
            for one in alert["decisions"]
        ]  # fmt: skip
        return {"simulated": False, **alert, "decisions": decisions}

    def _delete(self, text: str) -> Told:
        for decision in self._decisions():
            if str(decision["id"]) == text:
                decision["until"] = min(decision["until"], self._clock.now())
                return _told(200, {"nbDeleted": "1"})
        return _told(500, {"message": f"decision with id '{text}' doesn't exist: unable to delete"})


def _told(status: int, body: Any) -> Told:
    return Told(status, json.dumps(body).encode())


def _go_seconds(text: str) -> float | None:
    found = _GO.fullmatch(text)
    if found is None or not text:
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _covers(outer: str, inner: str) -> bool:
    wide, narrow = ip_network(outer), ip_network(inner)
    return wide.version == narrow.version and narrow.subnet_of(wide)  # type: ignore[arg-type]
