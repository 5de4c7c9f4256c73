"""A Falcon cloud that remembers devices, their containment and their grouping tags.

Written from the vendor's clients, FalconPy 1.6.6 (endpoint tables) and gofalcon (models, statuses, headers): a token is
201; a query brings ids and a total; details of an unknown id are an error entry with code 404; an action is 202 with
the ids it took, and 409 while another one is under way; tags are 202 with `updated` for each device. The states and
their order are those that the vendor's own documents and clients name. Assumed: a query for a host name also brings
hosts whose names only begin so, and ignores case.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from failing_front import Asked, Told

from propolis.clock import Clock

CLIENT, SECRET = "0123456789abcdef0123456789abcdef", "falcon-s3cret-of-the-lab-0123456789"
_FILTER = re.compile(r"(hostname|local_ip):(?:'([^'+,*\[\]]+)'|\[((?:'[^'+,*\[\]]+',?)+)\])")
_ID = re.compile(r"[0-9a-f]{32}")
_TAG = re.compile(r"FalconGroupingTags/[A-Za-z0-9_/-]+")

Document = dict[str, Any]


@dataclass
class Device:
    """One device; `goal` is the state it is on its way to and `due` when it gets there (None: never)."""

    document: Document
    state: str = "normal"
    tags: list[str] = field(default_factory=list)
    goal: str = ""
    due: float | None = None
    fails: bool = False
    before: str = "normal"
    seen_from: float = 0.0
    """Until then reads show `before`."""


class FakeFalcon:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.devices: dict[str, Device] = {}
        self.tokens: set[str] = set()
        self.logins: list[dict[str, str]] = []
        self.takes: float | None = 0.0
        self.fails = False
        self.lag = 0.0
        """Seconds that reads go on showing the state from before a change."""
        self.body_errors: dict[str, int] = {}
        """Verb of a request -> the 2xx status with which it is refused in its body."""
        self.no_token = 403
        """Status for wrong credentials; the vendor's clients know 400, 401 and 403."""
        self.refuse: dict[str, int] = {}
        """Action -> status with which it is refused."""

    def add(self, hostname: str, **more: Any) -> str:
        """A new device; gives its id."""
        device_id = uuid.uuid5(uuid.NAMESPACE_DNS, hostname + str(len(self.devices))).hex
        tags = more.pop("tags", ["SensorGroupingTags/site-1"])
        self.devices[device_id] = Device(
            {
                "device_id": device_id,
                "cid": "c" * 32,
                "hostname": hostname,
                "machine_domain": more.pop("domain", "corp.example.org"),
                "local_ip": more.pop("address", f"10.0.0.{len(self.devices) + 5}"),
                "product_type_desc": more.pop("kind", "Workstation"),
                "last_seen": "2026-01-01T00:00:00Z",
                "groups": more.pop("groups", ["a" * 32]),
                "ou": more.pop("ou", ["Laptops"]),
                "reduced_functionality_mode": "no",
                **more,
            },
            tags=tags,
        )
        return device_id

    def by_name(self, hostname: str) -> Device:
        """A device by its host name, whatever its case, with or without its domain."""
        wanted = hostname.casefold().partition(".")[0]
        device = next(one for one in self.devices.values() if one.document["hostname"].casefold() == wanted)
        self._pass(device)
        return device

    def finish(self) -> None:
        """What is under way is done now."""
        for device in self.devices.values():
            if device.goal:
                device.due = self._clock.now()
                self._pass(device)

    def act(self, device: Device, action: str) -> None:
        """Begin an action."""
        device.before = device.state
        contain = action == "contain"
        device.goal = "contained" if contain else "normal"
        device.state = "containment_pending" if contain else "lift_containment_pending"
        device.due = None if self.takes is None else self._clock.now() + self.takes
        device.fails = self.fails
        device.seen_from = self._clock.now() + self.lag
        self._pass(device)

    def _pass(self, device: Device) -> None:
        if device.goal and device.due is not None and device.due <= self._clock.now():
            device.state = device.before if device.fails else device.goal
            device.goal = ""

    def answer(self, asked: Asked) -> Told:
        """What the cloud answers."""
        parts = urlsplit(asked.target)
        if parts.path == "/oauth2/token":
            return self._login(dict(parse_qsl(asked.body.decode())))
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _told(401, errors=[{"code": 401, "message": "access denied, invalid bearer token"}])
        query = parse_qs(parts.query)
        if asked.method in self.body_errors:
            return _told(self.body_errors[asked.method], errors=[{"code": 500, "message": "backend said no"}])
        route = {
            ("GET", "/devices/queries/devices/v1"): lambda: self._query(query),
            ("GET", "/devices/entities/devices/v2"): lambda: self._details(query.get("ids", [])),
            ("POST", "/devices/entities/devices-actions/v2"): lambda: self._action(query, json.loads(asked.body)),
            ("PATCH", "/devices/entities/devices/tags/v1"): lambda: self._tags(json.loads(asked.body)),
        }.get((asked.method, parts.path))
        return route() if route is not None else _told(404, errors=[{"code": 404, "message": "no such path"}])

    def _login(self, form: dict[str, str]) -> Told:
        self.logins.append(form)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return _told(self.no_token, errors=[{"code": self.no_token, "message": "access denied"}])
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return Told(201, json.dumps({"access_token": token, "expires_in": 1799, "token_type": "bearer"}).encode())

    def _query(self, query: dict[str, list[str]]) -> Told:
        found = _FILTER.fullmatch(query["filter"][0])
        if found is None:
            return _told(400, errors=[{"code": 400, "message": "invalid filter expression"}])
        values = [found[2]] if found[2] else re.findall(r"'([^']+)'", found[3])
        ids = [
            device_id
            for device_id, device in self.devices.items()
            if any(str(device.document[found[1]]).casefold().startswith(value.casefold()) for value in values)
        ]
        limit = int(query["limit"][0])
        return _told(200, ids[:limit], meta={"pagination": {"offset": 0, "limit": limit, "total": len(ids)}})

    def _details(self, ids: list[str]) -> Told:
        known = [one for one in ids if one in self.devices]
        errors = [{"code": 404, "message": "not found", "id": one} for one in ids if one not in known]
        return _told(200 if known else 404, [self._shown(self.devices[one]) for one in known], errors=errors)

    def _shown(self, device: Device) -> Document:
        self._pass(device)
        late = self._clock.now() < device.seen_from
        return {**device.document, "status": device.before if late else device.state, "tags": device.tags}

    def _action(self, query: dict[str, list[str]], body: Document) -> Told:
        action, ids = query["action_name"][0], body["ids"]
        unknown = [one for one in ids if one not in self.devices]
        if action not in ("contain", "lift_containment") or unknown:
            return _told(400, errors=[{"code": 400, "message": "invalid"}])
        if action in self.refuse:
            return _told(self.refuse[action], errors=[{"code": self.refuse[action], "message": "conflict"}])
        for one in ids:
            self.act(self.devices[one], action)
        return _told(202, [{"id": one, "path": f"/devices/entities/devices/v1?ids={one}"} for one in ids])

    def _tags(self, body: Document) -> Told:
        if not all(_ID.fullmatch(one) for one in body["device_ids"]) or not all(map(_TAG.fullmatch, body["tags"])):
            return _told(400, errors=[{"code": 400, "message": "invalid tag"}])
        for one in body["device_ids"]:
            tags = self.devices[one].tags
            kept = [tag for tag in tags if tag not in body["tags"]]
            self.devices[one].tags = kept + (body["tags"] if body["action"] == "add" else [])
        return _told(202, [{"device_id": one, "updated": True, "code": 202} for one in body["device_ids"]])


def _told(status: int, resources: Any = None, *, errors: Any = None, meta: Document | None = None) -> Told:
    body = {"meta": {"query_time": 0.01, **(meta or {})}, "errors": errors or [], "resources": resources or []}
    return Told(status, json.dumps(body).encode())
