"""What an administrator does once in TheHive before Propolis can work with it, by TheHive's own calls."""

from __future__ import annotations

from typing import Any, NamedTuple

from playbook_service.setup.bundle import CASE_TEMPLATE, FIELDS, OBSERVABLE_TYPE, Field
from propolis.http import Client, session

WEBHOOK = "propolis"


class Access(NamedTuple):
    """TheHive's address and the keys of who may do what there."""

    url: str
    version: int
    admin: str
    """Key of TheHive's administrator."""
    orgadmin: str
    """Key of the organisation's administrator."""
    organisation: str


def prepare(access: Access, webhook: str, token: str) -> list[str]:
    """Custom fields, observable type, case template, and a webhook that presents a token; returns what was made.

    Raises HttpError where TheHive refuses.
    """
    with _as(access, access.admin, "admin") as admin, _as(access, access.orgadmin, access.organisation) as owner:
        fill_catalogues(admin, access.version)
        owner.post(_path(access.version, "caseTemplate"), json=_template())
        _notify(admin, owner, webhook, token)
    return [
        f"{len(FIELDS)} custom fields", f"observable type {OBSERVABLE_TYPE}", f"case template {CASE_TEMPLATE!r}",
        f"webhook {WEBHOOK} with a bearer token",
    ]  # fmt: skip


def fill_catalogues(admin: Client, version: int) -> None:
    """The custom fields and the observable type, which alerts need to go in whole. Raises HttpError."""
    for field in FIELDS:
        admin.post(_path(version, "customField"), json=_field(field))
    admin.post("/api/v1/observable/type", json={"name": OBSERVABLE_TYPE, "isAttachment": False})


def _as(access: Access, key: str, organisation: str) -> Client:
    headers = {"Authorization": f"Bearer {key}", "X-Organisation": organisation}
    return session(access.url, headers=headers, secrets=(key,))


def _path(version: int, what: str) -> str:
    if version == 5:
        return f"/api/v1/{what}"
    return {"customField": "/api/customField", "caseTemplate": "/api/case/template"}[what]


def _field(field: Field) -> dict[str, Any]:
    """A custom field in the words of both versions: 4 wants a reference, 5 a display name and a group."""
    return {
        "name": field.name, "reference": field.name, "displayName": field.title, "group": "Wazuh",
        "description": field.description, "type": field.type, "mandatory": False, "options": [],
    }  # fmt: skip


def _template() -> dict[str, Any]:
    """Without tasks: those come from the playbooks, to each case the ones it needs."""
    return {
        "name": CASE_TEMPLATE, "displayName": CASE_TEMPLATE, "description": "Opened by Propolis from a Wazuh alert",
        "tags": ["wazuh"], "severity": 2, "tlp": 2, "pap": 2,
    }  # fmt: skip


def _notify(admin: Client, owner: Client, url: str, token: str) -> None:
    """Every event of the organisation goes to the service."""
    endpoint = {
        "name": WEBHOOK, "url": url, "version": 1, "wsConfig": {}, "auth": {"type": "bearer", "key": token},
        "includedTheHiveOrganisations": ["*"], "excludedTheHiveOrganisations": [],
    }  # fmt: skip
    admin.put("/api/config/notification.webhook.endpoints", json={"value": [endpoint]})
    rule = {
        "delegate": False, "trigger": {"name": "AnyEvent"}, "notifier": {"name": "webhook", "endpoint": WEBHOOK},
    }  # fmt: skip
    owner.put("/api/config/organisation/notification", json={"value": [rule]})
