"""A Cortex XDR tenant that remembers endpoints and actions.

Written from the vendor's REST reference (Get Endpoint, Isolate Endpoints, Unisolate Endpoints, Get Action Status, and
the page on advanced API keys) and from what the official Cortex responder and the vendor's own playbooks read: states
of isolation, `reply.action_id`, `reply.data` by endpoint, errors as `reply.err_code`. A signature is checked as the
reference makes one, may be old by some minutes, and is taken once. Assumed: a query for a host name also brings hosts
whose names only begin so, and ignores case; a pending isolation cannot be released.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

from failing_front import Asked, Told

from propolis.clock import Clock

KEY_ID, KEY = "17", "xdr-s3cret-of-the-lab-0123456789"
FREE, ISOLATED = "AGENT_UNISOLATED", "AGENT_ISOLATED"
_SKEW = 300_000  # milliseconds
_ROOT = "/public_api/v1"

Document = dict[str, Any]


@dataclass
class Endpoint:
    """One endpoint; `shown_from` is when reads show what it came to last."""

    document: Document
    state: str = FREE
    before: str = FREE
    shown_from: float = 0.0


@dataclass
class Action:
    """One action."""

    id: int
    endpoint: str
    verb: str
    due: float | None
    fails: bool
    status: str = "PENDING"


class FakeCortexXdr:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.endpoints: dict[str, Endpoint] = {}
        self.actions: list[Action] = []
        self.nonces: list[str] = []
        self.takes: float | None = 0.0
        self.fails = False
        self.lag = 0.0
        """Seconds after which reads show an endpoint's new state."""
        self.quiet = False
        """An endpoint's state says nothing of actions under way."""
        self.errors: dict[str, int] = {}
        """Last word of an address -> status with which it answers an error."""
        self.standard = False
        """The key is a standard one."""

    def add(self, name: str, **more: Any) -> str:
        """A new endpoint; gives its id."""
        endpoint_id = uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}-{len(self.endpoints)}").hex
        self.endpoints[endpoint_id] = Endpoint(
            {
                "endpoint_id": endpoint_id,
                "endpoint_name": name,
                "domain": "corp.example.org",
                "alias": "",
                "endpoint_type": "AGENT_TYPE_WORKSTATION",
                "endpoint_status": "CONNECTED",
                "ip": [f"10.0.0.{len(self.endpoints) + 5}"],
                "ipv6": None,
                "group_name": ["laptops"],
                "tags": {"server_tags": ["site-1"], "endpoint_tags": []},
                **more,
            }
        )
        return endpoint_id

    def by_name(self, name: str) -> Endpoint:
        """An endpoint by its name, whatever its case, with everything done that is due."""
        self._pass()
        wanted = name.casefold().partition(".")[0]
        return next(one for one in self.endpoints.values() if one.document["endpoint_name"].casefold() == wanted)

    def finish(self) -> None:
        """What is under way is done now."""
        for action in self.actions:
            if action.status == "PENDING":
                action.due = self._clock.now()
        self._pass()

    def begin(self, verb: str, endpoint_id: str) -> Action:
        """An action, as the console would start it."""
        endpoint = self.endpoints[endpoint_id]
        due = None if self.takes is None else self._clock.now() + self.takes
        action = Action(len(self.actions) + 101, endpoint_id, verb, due, self.fails)
        self.actions.append(action)
        endpoint.before = endpoint.state
        if not self.quiet:
            isolating = verb == "isolate"
            endpoint.state = "AGENT_PENDING_ISOLATION" if isolating else "AGENT_PENDING_ISOLATION_CANCELLATION"
        endpoint.shown_from = self._clock.now() + self.lag
        self._pass()
        return action

    def _pass(self) -> None:
        for action in self.actions:
            if action.status == "PENDING" and action.due is not None and action.due <= self._clock.now():
                endpoint = self.endpoints[action.endpoint]
                action.status = "FAILED" if action.fails else "COMPLETED_SUCCESSFULLY"
                reached = ISOLATED if action.verb == "isolate" else FREE
                endpoint.state = endpoint.before if action.fails else reached

    def answer(self, asked: Asked) -> Told:
        """What the tenant answers."""
        if not self._signed(asked.headers):
            return _error(401, "Public API request unauthorized")
        word = asked.target.rstrip("/").rpartition("/")[2]
        if word in self.errors:
            return _error(self.errors[word], f"{word} is out of order")
        self._pass()
        data = json.loads(asked.body)["request_data"]
        if asked.target == f"{_ROOT}/endpoints/get_endpoint/":
            return self._find(data)
        if asked.target == f"{_ROOT}/actions/get_action_status/":
            found = [one for one in self.actions if one.id == data["group_action_id"]]
            return _told({"data": {one.endpoint: one.status for one in found}})
        if asked.target in (f"{_ROOT}/endpoints/isolate/", f"{_ROOT}/endpoints/unisolate/"):
            return self._act(word, data)
        return _error(404, "no such address")

    def _signed(self, headers: dict[str, str]) -> bool:
        proof, nonce = headers.get("authorization", ""), headers.get("x-xdr-nonce", "")
        if headers.get("x-xdr-auth-id") != KEY_ID:
            return False
        if self.standard:
            return proof == KEY
        moment = headers.get("x-xdr-timestamp", "")
        fresh = moment.isdigit() and abs(int(moment) - self._clock.now() * 1000) < _SKEW
        if not fresh or len(nonce) != 64 or nonce in self.nonces:
            return False
        self.nonces.append(nonce)
        return proof == hashlib.sha256(f"{KEY}{nonce}{moment}".encode()).hexdigest()

    def _find(self, data: Document) -> Told:
        (wanted,) = data["filters"]
        values = [value.casefold() for value in wanted["value"]]

        def fits(document: Document) -> bool:
            if wanted["field"] == "hostname":
                return any(document["endpoint_name"].casefold().startswith(value) for value in values)
            if wanted["field"] == "ip_list":
                return any(value in (document["ip"] or []) for value in values)
            return document["endpoint_id"] in values

        found = [one for one in self.endpoints.values() if fits(one.document)]
        shown = [self._shown(one) for one in found[data["search_from"] : data["search_to"]]]
        return _told({"total_count": len(found), "result_count": len(shown), "endpoints": shown})

    def _shown(self, endpoint: Endpoint) -> Document:
        late = self._clock.now() < endpoint.shown_from
        return {**endpoint.document, "is_isolated": endpoint.before if late else endpoint.state}

    def _act(self, verb: str, data: Document) -> Told:
        if "filters" in data or data.get("endpoint_id") not in self.endpoints:
            return _error(500, "An error occurred while processing XDR public API")
        if verb == "unisolate" and self.endpoints[data["endpoint_id"]].state == "AGENT_PENDING_ISOLATION":
            return _error(500, "endpoint is pending isolation")
        action = self.begin(verb, data["endpoint_id"])
        return _told({"action_id": str(action.id), "status": "1", "endpoints_count": "1"})


def _told(reply: Document) -> Told:
    return Told(200, json.dumps({"reply": reply}).encode())


def _error(status: int, message: str) -> Told:
    reply = {"err_code": max(status, 400), "err_msg": message, "err_extra": None}
    return Told(status, json.dumps({"reply": reply}).encode())
