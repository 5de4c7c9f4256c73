"""The audit trail over the API: flow (the latest), stream (as it happens)."""

from __future__ import annotations

import secrets
from collections import deque
from typing import Any

from playbook_service.lab.exchange import Reply, Request, not_found
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.audit import Audit
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route

_ROUNDS = 100
_FLOW = 10
_PAUSE = 0.02


def _element(hive: Hive, audit: Audit, dialect: int) -> dict[str, Any]:
    if hive.version == 5 or dialect == 1:
        base = _v1(hive, audit)
        return {"base": base, "summary": {audit.object_kind: {audit.action: 1}}}
    message = hive.envelopes.draw(audit, 0, audit.at)
    verb = {"create": "Creation", "delete": "Delete"}.get(audit.action, "Update")
    head = {"_id": audit.id, "id": audit.id, "createdBy": audit.by, "createdAt": audit.at, "_type": "audit"}
    return {"base": {**message, **head, "operation": verb}, "summary": {message["objectType"]: {verb: 1}}}


def _v1(hive: Hive, audit: Audit) -> dict[str, Any]:
    message = hive.envelopes.draw(audit, 1, audit.at)
    if hive.version == 5:
        return message
    head = {"_id": audit.id, "_type": "Audit", "_createdBy": audit.by, "_createdAt": audit.at, "action": audit.action}
    rest = {name: value for name, value in message.items() if name not in ("operation", "startDate", "base")}
    return {**head, **rest, "mainAction": audit.main}


def draw_line(hive: Hive, entity: Entity, dialect: int) -> dict[str, Any]:
    """A line of the trail as a query shows it; in version 4 the v1 form says nothing of what was changed."""
    audit: Audit = entity["line"]
    shown: dict[str, Any] = _element(hive, audit, dialect)["base"]
    if hive.version == 4 and dialect == 1:
        names = ("_id", "_type", "_createdBy", "_createdAt", "action", "requestId")
        what = {"_id": audit.object_id, "_type": audit.object_kind}
        return {name: shown[name] for name in names} | {"obj": what, "summary": {}}
    return shown


def lines(hive: Hive) -> list[Entity]:
    """The trail as entities that a query can filter and sort."""
    return [_entity(audit) for audit in hive.trail.lines if not audit.quiet]


def _entity(audit: Audit) -> Entity:
    fields = {
        "action": audit.action, "mainAction": audit.main, "requestId": audit.request_id, "rootId": audit.root,
        "objectId": audit.object_id, "objectType": audit.object_kind, "startDate": audit.at, "line": audit,
    }  # fmt: skip
    return Entity(audit.id, "Audit", audit.organisation, None, audit.by, audit.at, fields)


def _shown(audit: Audit, who: Account, root: str | None) -> bool:
    return not audit.quiet and audit.organisation == who.organisation and root in (None, "any", audit.root)


def _flow(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        root, asked = request.option("rootId"), request.option("count") or str(_FLOW)
        count = int(asked) if asked.isdigit() else _FLOW
        if hive.version == 4:
            count = _FLOW  # whatever is asked for
        found: list[dict[str, Any]] = []
        for audit in reversed(hive.trail.lines):
            if len(found) >= count:
                break
            if _shown(audit, who, root) and (audit.main or hive.version == 5):
                found.append(_element(hive, audit, dialect))
        return Reply(200, found)

    return handle


class Streams:
    """The streams that are listened to."""

    def __init__(self) -> None:
        self._queues: dict[str, tuple[Account, deque[Audit]]] = {}

    def open(self, who: Account) -> str:
        """A new stream of what the account may see."""
        name = secrets.token_hex(8)
        self._queues[name] = (who, deque(maxlen=1000))
        return name

    def tell(self, audits: list[Audit]) -> None:
        """Hand audits to everybody who listens."""
        for who, queue in self._queues.values():
            queue.extend(audit for audit in audits if _shown(audit, who, None))

    def take(self, name: str, who: Account) -> list[Audit]:
        """What came since the last time. Raises ApiError 404 for a stream that is not the account's."""
        owner, queue = self._queues.get(name, (None, deque[Audit]()))
        if owner is None or owner.login != who.login:
            raise not_found(f"Stream {name} not found")
        taken = list(queue)
        queue.clear()
        return taken


def _streams(hive: Hive) -> Streams:
    streams = hive.extensions.get("streams")
    if not isinstance(streams, Streams):
        streams = hive.extensions["streams"] = Streams()
        hive.trail.listeners.append(streams.tell)
    return streams


def _open(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, _streams(hive).open(who))


def _poll(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        for _ in range(_ROUNDS):
            with hive.store.transaction():
                audits = _streams(hive).take(request.slot("id"), who)
                if audits:
                    return Reply(200, [_element(hive, audit, dialect) for audit in audits])
            if hive.stopping.wait(_PAUSE):
                break
        return Reply(200, [])

    return handle


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    table: list[Route[Handler]] = []
    for base, dialect in (("/api/v1", 1), ("/api", 0)):
        table += [
            Route("GET", f"{base}/flow", _flow(dialect)),
            Route("POST", f"{base}/stream", _open),
            Route("GET", f"{base}/stream/{{id}}", _poll(dialect), free=True),
        ]
    return table
