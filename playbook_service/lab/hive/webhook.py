"""Webhooks: one message per audit and endpoint, sent once, in no order, not kept (section 1.7 of the contract)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from playbook_service.lab.agenda import Agenda
from playbook_service.lab.faults import Faults
from playbook_service.lab.hive.audit import Audit
from playbook_service.lab.hive.service import Hive
from propolis.clock import SystemClock
from propolis.http import Client, HttpError, session

RESENDS = 5
"""How often TheHive's HTTP client repeats a message whose connection was cut: up to six copies arrive."""
_TIMEOUT = (5.0, 20.0)


class Webhooks:
    """Sends messages with a few threads. `sent` and `refused` count deliveries, for tests and the demo's summary."""

    def __init__(self, hive: Hive, faults: Faults, threads: int = 6):
        self.agenda = Agenda("webhook", hive.clock, threads)
        self.sent = 0
        self.refused = 0
        self._hive = hive
        self._faults = faults
        self._clients: dict[str, Client] = {}

    def close(self) -> None:
        """Hang up on every receiver."""
        for client in self._clients.values():
            client.close()

    def notify(self, rule: Mapping[str, Any], audit: Audit) -> None:
        """Send the audit to the endpoint that the notification names, subject to the faults that are switched on."""
        for endpoint in self._hive.endpoints:
            if endpoint["name"] == rule.get("endpoint") and _includes(endpoint, audit.organisation):
                dialect = int(endpoint.get("version", 0))
                body = self._hive.envelopes.draw(audit, dialect, self._hive.now())
                for delay in self._faults.hooks.plan():
                    self._plan(endpoint, body, delay)

    def _plan(self, endpoint: Mapping[str, Any], body: dict[str, Any], delay: float) -> None:
        text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        self.agenda.add(lambda: self._send(endpoint, text), delay)

    def _send(self, endpoint: Mapping[str, Any], text: bytes) -> None:
        client = self._client(endpoint)
        for _ in range(1 + RESENDS):
            try:
                client.post("", data=text, headers={"Content-Type": "application/json"}, retry=False)
            except HttpError as error:
                self.refused += 1
                if error.kind != "broken":
                    return
            else:
                self.sent += 1
                return

    def _client(self, endpoint: Mapping[str, Any]) -> Client:
        identity = json.dumps(endpoint, sort_keys=True)
        if identity not in self._clients:
            self._clients[identity] = session(
                endpoint["url"], headers=authorization(endpoint.get("auth") or {}), timeout=_TIMEOUT, retries=0,
                clock=SystemClock(),
            )  # fmt: skip
        return self._clients[identity]


def _includes(endpoint: Mapping[str, Any], organisation: str) -> bool:
    included = endpoint.get("includedTheHiveOrganisations") or ["*"]
    excluded = endpoint.get("excludedTheHiveOrganisations") or []
    return ("*" in included or organisation in included) and organisation not in excluded


def authorization(auth: Mapping[str, Any]) -> dict[str, str]:
    """The header that an endpoint's `auth` stands for."""
    kind = auth.get("type", "none")
    if kind == "basic":
        pair = base64.b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    if kind == "bearer":
        return {"Authorization": f"Bearer {auth['key']}"}
    return {"Authorization": str(auth["key"])} if kind == "key" else {}
