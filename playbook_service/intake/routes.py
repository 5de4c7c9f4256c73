"""The hooks: recognise what came, commit it, and only then answer 202."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from playbook_service.intake.committer import Committer, Event, Full
from playbook_service.intake.credential import Doorkeeper
from playbook_service.intake.hook import read_hook
from playbook_service.intake.siem import SiemMapping, to_alert
from playbook_service.store.contract import StoreError
from playbook_service.web.application import Route
from playbook_service.web.message import Answer, Failure, Request, answer_json
from propolis.alert import Alert
from propolis.errors import InputError

MAX_BATCH = 1000
"""Alerts in one request, as a JSON array."""
_RETRY_AFTER = {"Retry-After": "10"}
_Reader = Callable[[Any], Event]


class Hooks:
    """The three addresses that events come in by."""

    def __init__(self, doorkeeper: Doorkeeper, committer: Committer, mapping: SiemMapping, *, body_limit: int):
        self._doorkeeper = doorkeeper
        self._committer = committer
        self._mapping = mapping
        self._body_limit = body_limit

    def routes(self) -> list[Route]:
        """The addresses and their handlers; `/thehive-webhook` is the one that guides for Wazuh configure."""
        readers: dict[str, _Reader] = {
            "/hooks/thehive": thehive_event,
            "/hooks/wazuh": wazuh_event,
            "/thehive-webhook": wazuh_event,
            "/hooks/siem": lambda body: wazuh_event(to_alert(body, self._mapping), origin="siem"),
        }
        return [Route("POST", path, self._handler(reader)) for path, reader in readers.items()]

    def _handler(self, reader: _Reader) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            self._doorkeeper.check(request)
            body = request.json(self._body_limit)
            try:
                events = _events(body, reader)
            except InputError as error:
                raise Failure(HTTPStatus.BAD_REQUEST, str(error)) from None
            return self._commit(events)

        return handle

    def _commit(self, events: list[Event]) -> Answer:
        try:
            fresh = self._committer.commit(events)
        except Full as error:
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _RETRY_AFTER) from None
        except StoreError:
            sentence = "The event could not be stored; send it again."
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence, _RETRY_AFTER) from None
        accepted = sum(fresh)
        document = {"ok": True, "accepted": accepted, "known": len(fresh) - accepted}
        return answer_json(document, HTTPStatus.ACCEPTED)


def _events(body: Any, reader: _Reader) -> list[Event]:
    documents = body if isinstance(body, list) else [body]
    if not 1 <= len(documents) <= MAX_BATCH:
        raise InputError(f"Send between 1 and {MAX_BATCH} events at once.")
    return [reader(document) for document in documents]


def thehive_event(body: Any) -> Event:
    """A hook of TheHive as an event."""
    hook = read_hook(body)
    return Event(f"thehive:{_short(hook.key)}", {"from": "thehive", "hook": hook._asdict()})


def wazuh_event(body: Any, origin: str = "wazuh") -> Event:
    """A Wazuh alert as an event, known again by its node and id; where it has no id, by its content."""
    if not isinstance(body, dict):
        raise InputError("A Wazuh alert is a JSON object.")
    alert = Alert(body)
    if not alert.rule_id:
        raise InputError("This is no Wazuh alert: it has no rule.id.")
    node, number = alert.key
    key = f"{node}:{number}" if number else hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return Event(f"{origin}:{_short(key)}", {"from": origin, "alert": body})


def _short(key: str) -> str:
    """A key that any store can hold, whatever the sender put into it."""
    if len(key) <= 200 and key.isascii() and key.isprintable():
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def health_routes(ready: Callable[[], None]) -> list[Route]:
    """`/healthz`: the process answers. `/readyz`: `ready` raises nothing."""

    def alive(_: Request) -> Answer:
        return answer_json({"ok": True})

    def readiness(_: Request) -> Answer:
        try:
            ready()
        except StoreError:
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, "The store cannot be written.") from None
        return answer_json({"ok": True})

    return [Route("GET", "/healthz", alive), Route("GET", "/readyz", readiness)]
