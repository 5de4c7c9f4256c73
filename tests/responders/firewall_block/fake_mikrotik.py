"""A RouterOS 7 that remembers the entries of its address lists, behind its REST API.

Written from MikroTik's manual: "REST API" (GET, PUT, PATCH, DELETE and what each answers; `400 failure: already have
such entry`; 404 for the second DELETE; `%2A` is not decoded; 415 without a content type; 401 without the policy
rest-api, 500 `not enough permissions (9)` to add and 400 to change without the policy write; values are texts; a
filter compares exactly) and "Address-lists" (a timeout makes an entry dynamic, names are resolved, IPv6 has a list of
its own). Not in the manual, and assumed: how addresses are written back (IPv6 with its prefix), that a timeout can be
changed.
"""

from __future__ import annotations

import base64
import json
import re
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

from failing_front import Asked, Told

from propolis.clock import Clock

USER, PASSWORD = "propolis", "router-s3cret-of-the-lab"
Document = dict[str, Any]
_SPAN = re.compile(r"(\d+)([wdhms])")
_SIZES = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


class FakeMikrotik:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._entries: list[Document] = []
        self._last = 0x3B
        self.may_write = True
        self.keeps_timeouts = False
        """A change of a timeout is taken and does nothing."""
        self.ignores_filters = False

    @property
    def entries(self) -> list[Document]:
        """Those that did not end; `until` is wall time in seconds, None for one that stays."""
        now = self._clock.now()
        return [one for one in self._entries if one["until"] is None or one["until"] > now]

    def add(self, address: str, *, comment: str = "", seconds: float | None = None, **more: Any) -> Document:
        """An entry made by somebody."""
        self._last += 1
        until = None if seconds is None else self._clock.now() + seconds
        menu = "ipv6" if ":" in address else "ip"
        entry: Document = {"id": f"*{self._last:X}", "menu": menu, "list": "propolis", "address": _written(address)}
        entry |= {"comment": comment, "until": until, "disabled": False, **more}
        self._entries.append(entry)
        return entry

    def drop(self, address: str) -> None:
        """What an administrator does in Winbox."""
        self._entries = [one for one in self._entries if one["address"] != _written(address)]

    def holds(self, value: str) -> bool:
        """Whether a rule on the list would match."""
        wanted: Any = ip_network(value)
        enabled = [one for one in self.entries if one["list"] == "propolis" and not one["disabled"]]
        networks: list[Any] = [ip_network(one["address"]) for one in enabled if _is_network(one["address"])]
        return any(one.version == wanted.version and wanted.subnet_of(one) for one in networks)

    def answer(self, asked: Asked) -> Told:
        """What the router answers."""
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if asked.headers.get("authorization") != expected:
            return _told(401)
        if asked.body and asked.headers.get("content-type") != "application/json":
            return _told(415)
        parts = urlsplit(asked.target)
        found = re.fullmatch(r"/rest/(ip|ipv6)/firewall/address-list(?:/(\*[0-9A-F]+))?", parts.path)
        if found is None:
            return _told(400, "no such command prefix")
        menu, number = found.groups()
        if asked.method == "GET":
            return self._print(menu, {name: values[0] for name, values in parse_qs(parts.query).items()})
        return self._change(asked.method, menu, number, json.loads(asked.body) if asked.body else {})

    def _change(self, method: str, menu: str, number: str, body: Document) -> Told:
        if method == "PUT":
            return self._put(menu, body) if self.may_write else _told(500, "not enough permissions (9)")
        entry = next((one for one in self.entries if (one["menu"], one["id"]) == (menu, number)), None)
        if not self.may_write:
            return _told(400, "missing or invalid resource identifier")
        if entry is None:
            return _told(404)
        if method == "PATCH":
            return self._set(entry, body)
        self._entries.remove(entry)
        return Told(204, b"")

    def _print(self, menu: str, query: dict[str, str]) -> Told:
        wanted = query.pop(".proplist").split(",")
        shown = [self._shown(one) for one in self.entries if one["menu"] == menu]
        if not self.ignores_filters:
            shown = [one for one in shown if all(one.get(name) == value for name, value in query.items())]
        return _told(200, body=[{name: value for name, value in one.items() if name in wanted} for one in shown])

    def _put(self, menu: str, body: Document) -> Told:
        if not _is_network(body["address"]) and not re.fullmatch(r"[a-z.-]+", body["address"]):
            return _told(400, "invalid value for argument address")
        known = [(one["menu"], one["list"], one["address"]) for one in self.entries]
        if (menu, body["list"], _written(body["address"])) in known:
            return _told(400, "failure: already have such entry")
        seconds = _seconds(body["timeout"]) if "timeout" in body else None
        more = {"menu": menu, "list": body["list"]}
        return _told(201, body=self._shown(self.add(body["address"], comment=body["comment"], seconds=seconds, **more)))

    def _set(self, entry: Document, body: Document) -> Told:
        if "timeout" in body and not self.keeps_timeouts:
            entry["until"] = self._clock.now() + _seconds(body["timeout"])
        entry["comment"] = body.get("comment", entry["comment"])
        if "disabled" in body:
            entry["disabled"] = body["disabled"] == "yes"
        return _told(200, body=self._shown(entry))

    def _shown(self, entry: Document) -> Document:
        shown = {".id": entry["id"], "list": entry["list"], "address": entry["address"]}
        shown |= {"creation-time": "2026-01-01 00:00:00", "disabled": str(entry["disabled"]).lower()}
        shown["dynamic"] = str(entry["until"] is not None).lower()
        if entry["comment"]:
            shown["comment"] = entry["comment"]
        if entry["until"] is not None:
            shown["timeout"] = _span(entry["until"] - self._clock.now())
        return shown


def _written(address: str) -> str:
    """As the router writes an address: IPv4 without /32, IPv6 with its prefix."""
    return str(ip_network(address)).removesuffix("/32") if _is_network(address) else address


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _seconds(text: str) -> int:
    assert re.fullmatch(r"(\d+[wdhms])+", text), text
    return sum(int(count) * _SIZES[sign] for count, sign in _SPAN.findall(text))


def _span(seconds: float) -> str:
    text, left = "", int(seconds)
    for sign, size in _SIZES.items():
        count, left = divmod(left, size)
        text += f"{count}{sign}" if count else ""
    return text or "0s"


def _told(status: int, detail: str = "", body: Any = None) -> Told:
    if status >= 400:
        words = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 415: "Unsupported Media Type"}
        body = {"error": status, "message": words.get(status, "Internal Server Error")}
        body |= {"detail": detail} if detail else {}
    return Told(status, json.dumps(body).encode())
