"""A pfSense with the REST API package version 2, its aliases, and pf's tables.

Written from pfrest/pfSense-pkg-RESTAPI: Models/FirewallAlias.inc (types, what an address may be, missing details are
made up), Core/Model.inc (append and remove compare with what is stored and do nothing where it is equal; an update
without `apply` loads nothing), docs/BUILDING_CUSTOM_MODEL_CLASSES.md (a field that is not editable cannot be
changed), pfrest.org/WORKING_WITH_OBJECT_IDS (ids are places) and pfrest.org/COMMON_CONTROL_PARAMETERS (append, remove,
apply, async). What /diagnostics/table answers is known from the package's generated API description (privilege, id) and
from users of it (entries).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

from failing_front import Asked, Told

KEY = "pf-api-k3y-of-the-lab"
READ, PATCH, TABLE = "api-v2-firewall-aliases-get", "api-v2-firewall-alias-patch", "api-v2-diagnostics-table-get"
Document = dict[str, Any]


class FakePfsense:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self) -> None:
        self.aliases: list[Document] = [
            {"name": "lan_hosts", "type": "host", "descr": "", "address": ["192.0.2.1"], "detail": ["dc"]},
            {"name": "propolis", "type": "network", "descr": "", "address": [], "detail": []},
        ]
        """As configured; the id of each is its place."""
        self.tables: dict[str, list[str]] = {"propolis": []}
        """What pf holds: a table only for an alias that a loaded rule uses."""
        self.privileges = {READ, PATCH, TABLE}
        self.reloads = 0
        self.reload_works = True
        self.guards_names = True
        self.ignores_queries = False
        self.before_patch: list[Callable[[], None]] = []
        """What others do between our look and our change; each once."""
        self.after_patch: list[Callable[[], None]] = []

    def alias(self, name: str = "propolis") -> Document:
        """An alias as configured."""
        return next(one for one in self.aliases if one["name"] == name)

    def holds(self, value: str) -> bool:
        """Whether a rule on the alias would match."""
        wanted: Any = ip_network(value)
        networks: list[Any] = [ip_network(entry) for entry in self.tables.get("propolis", [])]
        return any(one.version == wanted.version and wanted.subnet_of(one) for one in networks)

    def add(self, value: str, detail: str = "by hand") -> None:
        """What an administrator does: add, save, apply."""
        self.alias()["address"].append(str(ip_network(value)))
        self.alias()["detail"].append(detail)
        self.reload()

    def drop(self, value: str) -> None:
        """What an administrator does: delete, save, apply."""
        place = self.alias()["address"].index(str(ip_network(value)))
        del self.alias()["address"][place], self.alias()["detail"][place]
        self.reload()

    def reload(self) -> None:
        """Load the configuration into pf."""
        self.reloads += 1
        if self.reload_works:
            for name in self.tables:
                addresses = self.alias(name)["address"]
                self.tables[name] = [_of_pf(text) for text in addresses if _is_subnet(text) or _is_address(text)]

    def finish_reload(self) -> None:
        """What took so long is done now."""
        self.reload_works = True
        self.reload()

    def answer(self, asked: Asked) -> Told:
        """What pfSense answers."""
        if asked.headers.get("x-api-key") != KEY:
            return _told(401, "AUTH_AUTHENTICATION_FAILED", "Authentication failed.")
        parts = urlsplit(asked.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        route = (asked.method, parts.path.removeprefix("/api/v2"))
        if route == ("GET", "/firewall/aliases"):
            found = [one for one in self._shown() if self.ignores_queries or one["name"] == query["name"]]
            return self._allowed(READ) or _told(200, data=found)
        if route == ("GET", "/diagnostics/table"):
            return self._allowed(TABLE) or self._table(query["id"])
        if route == ("PATCH", "/firewall/alias"):
            return self._allowed(PATCH) or self._patch(json.loads(asked.body))
        return Told(404, b"<html>404 Not Found</html>")

    def _allowed(self, privilege: str) -> Told | None:
        if privilege in self.privileges:
            return None
        return _told(403, "ENDPOINT_CLIENT_NOT_ALLOWED", "The requested action is not allowed by admin policy")

    def _shown(self) -> list[Document]:
        return [{"id": place, **one} for place, one in enumerate(self.aliases)]

    def _table(self, name: str) -> Told:
        if name not in self.tables:
            return _told(404, "MODEL_OBJECT_NOT_FOUND", f"Object with ID `{name}` does not exist.")
        return _told(200, data={"id": name, "name": name, "entries": self.tables[name]})

    def _patch(self, body: Document) -> Told:
        while self.before_patch:
            self.before_patch.pop(0)()
        if body["id"] >= len(self.aliases):
            return _told(404, "MODEL_OBJECT_NOT_FOUND", "Object not found.")
        stored = self.aliases[body["id"]]
        if self.guards_names and body.get("name", stored["name"]) != stored["name"]:
            return _told(400, "FIELD_VALUE_CHANGED_WHEN_NOT_EDITABLE", "Field 'name' is not editable.")
        fields = {name: _merged(body, stored[name], name) for name in ("address", "detail")}
        fault = _fault(stored["type"], [*fields["address"]], [*fields["detail"]])
        if fault:
            return _told(400, "INVALID", fault)
        gaps = {name: value for name, value in fields.items() if body.get("remove")}
        stored.update({name: list(value) for name, value in fields.items()})
        while stored["detail"] and len(stored["detail"]) < len(stored["address"]):
            stored["detail"].append("Entry added Thu, 01 Jan 2026 00:00:00 +0000")
        if body.get("apply"):
            self.reload()
        # PHP writes a list with gaps, as array_diff leaves it, as an object
        shown = {**stored, **{name: dict(enumerate(value)) for name, value in gaps.items()}, "id": body["id"]}
        while self.after_patch:
            self.after_patch.pop(0)()
        return _told(200, data=shown)


def _merged(body: Document, stored: list[str], name: str) -> list[str]:
    if name not in body or body[name] == stored:
        return list(stored)
    if body.get("append"):
        return [*stored, *body[name]]
    if body.get("remove"):
        return [text for text in stored if text not in body[name]]
    return list(body[name])


def _fault(kind: str, addresses: list[str], details: list[str]) -> str:
    fits = _is_subnet if kind == "network" else _is_address
    for text in addresses:
        if not fits(text) and not text.endswith(".example"):
            return f"{kind} alias 'address' value '{text}' is not valid."
    return "Aliases cannot contain more 'detail' items than 'address' items." if len(details) > len(addresses) else ""


def _is_subnet(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return "/" in text


def _is_address(text: str) -> bool:
    return "/" not in text and _is_subnet(f"{text}/{128 if ':' in text else 32}")


def _of_pf(text: str) -> str:
    return text.removesuffix("/32") if "." in text else text.removesuffix("/128")


def _told(status: int, response: str = "SUCCESS", message: str = "", data: Any = ()) -> Told:
    word = {200: "ok", 400: "bad request", 401: "unauthorized", 403: "forbidden", 404: "not found"}[status]
    body = {
        "code": status,
        "status": word,
        "response_id": response,
        "message": message,
        "data": [] if data is None else data,
    }
    return Told(status, json.dumps(body).encode())
