"""The calls that are alike for alerts, cases, tasks and observables: show one, change one, change several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.form import texts
from playbook_service.lab.hive.service import Handler, Hive

Change = Callable[[Hive, Account, Entity, Mapping[str, Any]], object]


def get_one(kind: str, dialect: int) -> Handler:
    """The entity in the address, in a version of the API."""
    return lambda hive, who, request: Reply(200, hive.show(hive.get(kind, request.slot("id"), who), who, dialect))


def change_one(kind: str, update: Change, dialect: int) -> Handler:
    """Change the entity in the address; the answer is that version's own."""

    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        entity = hive.get(kind, request.slot("id"), who)
        update(hive, who, entity, request.document())
        return hive.done(entity, who, dialect)

    return handle


def change_many(kind: str, update: Change) -> Handler:
    """Change all that the body lists in `ids`."""

    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        document = request.document()
        for identity in texts(document, "ids"):
            update(hive, who, hive.get(kind, identity, who), document)
        return NOTHING

    return handle
