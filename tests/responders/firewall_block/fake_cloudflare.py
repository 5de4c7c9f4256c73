"""Cloudflare's IP access rules of one zone, with what the zone inherits.

Paths, parameters and shapes are those of Cloudflare's SDK for Python (`firewall.access_rules`); the sizes of ranges are
from its documentation (*IP Access rules*, *Parameters*); the error codes from programs that meet them: a second rule
for the same address is 10009, an unknown rule 10001, a wrong token 10000. A search by value is by exactly that text.
"""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

from failing_front import Asked, Told

TOKEN = "cl0udflare-t0ken-of-the-lab"
ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
_RANGES = {4: (16, 24), 6: (32, 48, 64)}


class FakeCloudflare:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, scope: str = "zones"):
        self.base = f"/client/v4/{scope}/{ZONE}/firewall/access_rules/rules"
        self.rules: list[dict[str, Any]] = []
        self.refusal: tuple[int, int, str] | None = None
        """Answer a change so: HTTP status, code, message."""
        self.deaf = False
        """Say success and do nothing."""
        self.pages_end = True
        """False: there is always one page more."""
        self._made = 0

    def answer(self, asked: Asked) -> Told:
        """What the API answers."""
        parts = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(403, 10000, "Authentication error")
        if not parts.path.startswith(self.base):
            return _error(400, 7003, "Could not route to it, perhaps your object identifier is invalid?")
        if asked.method == "GET":
            return self._page({name: values[0] for name, values in parse_qs(parts.query).items()})
        if self.refusal is not None:
            return _error(*self.refusal)
        body = json.loads(asked.body) if asked.body else {}
        return self._changed(asked.method, parts.path.removeprefix(self.base).lstrip("/"), body)

    def add(self, value: str, *, mode: str = "block", notes: str = "", target: str = "", scope: str = "zone") -> str:
        """A rule, whoever makes it; gives its id."""
        self._made += 1
        rule = {
            "id": f"{self._made:032x}", "mode": mode, "notes": notes, "allowed_modes": ["block", "challenge"],
            "configuration": {"target": target or _target(value), "value": value}, "scope": {"type": scope},
        }  # fmt: skip
        self.rules.append(rule)
        return str(rule["id"])

    def drop(self, value: str) -> None:
        """What somebody deletes on the dashboard."""
        self.rules = [rule for rule in self.rules if rule["configuration"]["value"] != value]

    def blocks(self, address: str) -> bool:
        """Whether a visitor from there is blocked."""
        return any(rule["mode"] == "block" and _holds(rule["configuration"], address) for rule in self.rules)

    def _page(self, query: dict[str, str]) -> Told:
        found = [
            rule
            for rule in self.rules
            if query.get("configuration.target") in (None, rule["configuration"]["target"])
            and query.get("configuration.value") in (None, rule["configuration"]["value"])
        ]
        page, size = int(query["page"]), int(query["per_page"])
        pages = -(-len(found) // size) if self.pages_end else page + 1
        shown = found[(page - 1) * size : page * size]
        info = {"page": page, "per_page": size, "count": len(shown), "total_count": len(found), "total_pages": pages}
        return _told(200, {"success": True, "errors": [], "messages": [], "result": shown, "result_info": info})

    def _changed(self, method: str, wanted: str, body: dict[str, Any]) -> Told:
        rule = next((rule for rule in self.rules if rule["id"] == wanted), None)
        if method != "POST" and rule is None:
            return _error(404, 10001, "firewallaccessrules.api.not_found")
        if method == "POST":
            configuration = body["configuration"]
            if _target(configuration["value"]) != configuration["target"]:
                return _error(400, 10001, "firewallaccessrules.api.invalid_target")
            if any(one["configuration"] == configuration and one["scope"] == {"type": "zone"} for one in self.rules):
                return _error(400, 10009, "firewallaccessrules.api.duplicate_of_existing")
        if not self.deaf:
            self._carry_out(method, rule, body)
        return _told(200, {"success": True, "errors": [], "messages": [], "result": {"id": wanted or "new"}})

    def _carry_out(self, method: str, rule: dict[str, Any] | None, body: dict[str, Any]) -> None:
        if method == "POST":
            self.add(body["configuration"]["value"], mode=body["mode"], notes=body["notes"])
        elif rule is not None and method == "PATCH":
            rule |= body
        elif rule is not None:
            self.rules.remove(rule)


def _target(value: str) -> str:
    """The target that a value has to have; empty for a value that no rule takes."""
    network = ip_network(value)
    if "/" in value:
        return "ip_range" if network.prefixlen in _RANGES[network.version] else ""
    return "ip" if network.version == 4 else "ip6"


def _holds(configuration: dict[str, str], address: str) -> bool:
    if not configuration["target"].startswith("ip"):
        return False
    outer, inner = ip_network(configuration["value"]), ip_network(address)
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _error(status: int, code: int, message: str) -> Told:
    errors = [{"code": code, "message": message}]
    return _told(status, {"success": False, "errors": errors, "messages": [], "result": None})


def _told(status: int, document: dict[str, Any]) -> Told:
    return Told(status, json.dumps(document).encode())
