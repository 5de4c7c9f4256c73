"""A FortiGate that remembers the banned IPs of its VDOMs.

Paths, parameters and bodies as in the documentation of the Ansible collection fortinet.fortios (`fortios_monitor`); the
envelope of the answers as its modules read it (`status`, `http_status`, `vdom`, `results`). What a list entry holds
(`ip_address`, `created`, `expires` in seconds since the epoch, `source`, `ipv6`) is from programs that read it. That a
second `add_users` moves the end is an assumption, and `keeps_end` is the opposite one.
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from failing_front import Asked, Told

from propolis.clock import Clock

TOKEN = "f0rtigate-t0ken-of-the-lab"
_BASE = "/api/v2/monitor/user/banned"


class Banned(NamedTuple):
    created: float
    expires: float
    """0: never."""
    source: str


class FakeFortigate:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.vdoms: dict[str, dict[str, Banned]] = {"root": {}, "guests": {}}
        self.keeps_end = False
        """A second `add_users` leaves the end as it was."""
        self.deaf = False
        """Say success and do nothing."""
        self.refuses = False
        """Answer a change with status 200 and `"status": "error"`."""
        self.answers_for = ""
        """Name this VDOM in answers, whatever was asked for."""
        self.entry: dict[str, Any] | None = None
        """An entry of another shape that the list holds besides."""

    def answer(self, asked: Asked) -> Told:
        """What the FortiGate answers."""
        parts = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Told(401, b"")
        vdom = parse_qs(parts.query).get("vdom", ["root"])[0]
        if vdom not in self.vdoms:
            return self._told(asked, vdom, 424, error=-3)
        verb = parts.path.removeprefix(_BASE)
        if asked.method == "GET" and verb == "":
            return self._told(asked, vdom, 200, results=self._listed(vdom))
        if asked.method == "POST" and verb in ("/add_users", "/clear_users"):
            return self._changed(asked, vdom, verb)
        return self._told(asked, vdom, 404)

    def ban(self, address: str, seconds: int, *, source: str = "admin", vdom: str = "root") -> None:
        """What `diagnose user banned-ip add` does; 0 seconds: for ever."""
        now, held = self._clock.now(), self._live(vdom).get(address)
        expires = now + seconds if seconds else 0
        if held is not None and self.keeps_end:
            expires = held.expires
        self.vdoms[vdom][address] = Banned(now, expires, source)

    def bans(self, address: str, vdom: str = "root") -> bool:
        """Whether traffic from the address is dropped."""
        return address in self._live(vdom)

    def _live(self, vdom: str) -> dict[str, Banned]:
        now = self._clock.now()
        return {name: one for name, one in self.vdoms[vdom].items() if not one.expires or one.expires > now}

    def _listed(self, vdom: str) -> list[dict[str, Any]]:
        entries = [
            {"ip_address": name, "created": int(one.created), "expires": int(one.expires), "source": one.source,
             "ipv6": ":" in name}
            for name, one in self._live(vdom).items()
        ]  # fmt: skip
        return entries if self.entry is None else [*entries, self.entry]

    def _changed(self, asked: Asked, vdom: str, verb: str) -> Told:
        body = json.loads(asked.body)
        if self.refuses:
            return self._told(asked, vdom, 200, status="error")
        for text in () if self.deaf else body["ip_addresses"]:
            address = str(ip_address(text))
            if verb == "/add_users":
                self.ban(address, body.get("expiry", 0), vdom=vdom)
            else:
                self.vdoms[vdom].pop(address, None)
        return self._told(asked, vdom, 200)

    def _told(self, asked: Asked, vdom: str, http_status: int, **more: Any) -> Told:
        document = {
            "http_method": asked.method, "status": "success" if http_status == 200 else "error",
            "http_status": http_status, "vdom": self.answers_for or vdom, "path": "user", "name": "banned",
            "serial": "FGVM000000000000", "version": "v7.4.4", "build": 2662, **more,
        }  # fmt: skip
        return Told(http_status, json.dumps(document).encode())
