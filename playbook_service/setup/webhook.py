"""TheHive's webhook: by API in version 4; in version 5, which documents none, as steps with the exact values.

Sources: `PUT /api/config/...` and `GET /api/config` of TheHive 4.1.24 (ConfigCtrl); the pages of TheHive 5's
documentation on webhook endpoints and notifications.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from playbook_service import jsonread
from playbook_service.hive import reading
from playbook_service.jsonread import Document
from playbook_service.setup.document import Webhook
from playbook_service.setup.look import CHANGE, MAKE, Change, Look, Step
from playbook_service.setup.thehive import Doors

NAME = "propolis"
_ENDPOINTS = "notification.webhook.endpoints"
_RULES = "/api/config/organisation/notification"
_RULE = {"delegate": False, "trigger": {"name": "AnyEvent"}, "notifier": {"name": "webhook", "endpoint": NAME}}


def look(doors: Doors, wanted: Webhook) -> Look:
    """Compare the webhook with the wish. Raises HttpError."""
    found = Look()
    if doors.major == 5:
        found.steps += _steps(wanted)
        return found
    _endpoint(doors, wanted, found)
    _rule(doors, found)
    return found


def _endpoint(doors: Doors, wanted: Webhook, found: Look) -> None:
    what = f"webhook endpoint {NAME}"
    doors.admin.protect(str(wanted.token.value))
    items = reading.documents(doors.admin.get("/api/config"))
    item = next((one for one in items if one.get("path") == _ENDPOINTS), None)
    if item is None or not isinstance(item.get("value"), list):
        found.steps.append(Step(f"TheHive's {what}", _endpoint_lines(wanted), known=False))
        return
    endpoints: list[Document] = [one for one in item["value"] if isinstance(one, dict)]
    present = next((one for one in endpoints if one.get("name") == NAME), None)
    if present is not None and _same(present, wanted):
        found.right.append(what)
        return
    ours = {
        "name": NAME, "url": wanted.url, "version": 1, "wsConfig": {}, "includedTheHiveOrganisations": ["*"],
        "excludedTheHiveOrganisations": [], **(present or {}),
    } | {"url": wanted.url, "version": 1, "auth": {"type": "bearer", "key": wanted.token.value}}  # fmt: skip
    others = [one for one in endpoints if one.get("name") != NAME]
    put = partial(doors.admin.put, f"/api/config/{_ENDPOINTS}", json={"value": [*others, ours]})
    found.changes.append(Change(MAKE if present is None else CHANGE, what, f" -> {wanted.url}", put))


def _same(present: Document, wanted: Webhook) -> bool:
    auth: Any = present.get("auth")
    key = auth.get("key", auth.get("password")) if isinstance(auth, dict) else None
    return present.get("url") == wanted.url and key == wanted.token.value and present.get("version") in (0, 1)


def _rule(doors: Doors, found: Look) -> None:
    what = f"notification of {doors.organisation}"
    value = reading.document(doors.owner.get(_RULES)).get("value")
    rules = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    if any(_rings(one) for one in rules):
        found.right.append(what)
        return
    put = partial(doors.owner.put, _RULES, json={"value": [*rules, _RULE]})
    found.changes.append(Change(MAKE, what, " (any event -> the endpoint)", put))


def _rings(rule: Document) -> bool:
    trigger, notifier = rule.get("trigger"), rule.get("notifier")
    if not isinstance(trigger, dict) or not isinstance(notifier, dict) or rule.get("delegate"):
        return False
    names = (jsonread.text(trigger, "name"), jsonread.text(notifier, "name"), jsonread.text(notifier, "endpoint"))
    return names == ("AnyEvent", "webhook", NAME)


def _endpoint_lines(wanted: Webhook) -> tuple[str, ...]:
    return (
        "TheHive does not show its endpoints by API. In its application.conf, then restart it:",
        f'  notification.webhook.endpoints = [{{ name: {NAME}, url: "{wanted.url}", version: 1, wsConfig: {{}},',
        '    auth: { type: "bearer", key: "..." }, includedTheHiveOrganisations: ["*"],',
        "    excludedTheHiveOrganisations: [] }]",
        f"  The key is what is in {_origin(wanted)}.",
    )


def _steps(wanted: Webhook) -> list[Step]:
    return [
        Step(
            "TheHive's webhook endpoint",
            (
                "Organisation > Endpoints > + > Webhook (needs manageConfig):",
                f"  Name                 {NAME}",
                f"  URL                  {wanted.url}",
                "  Version              1",
                f"  Authentication type  Bearer, its key is what is in {_origin(wanted)}",
            ),
            known=False,
        ),
        Step(
            "TheHive's notification",
            (
                "Organisation > Notifications > + (once in each organisation):",
                f"  Name                 {NAME}",
                "  Trigger              AnyEvent",
                "  Send notification to every user in the organization: off",
                f"  Notifier             Webhook, endpoint {NAME}",
                "  Enable notification  on",
            ),
            known=False,
        ),
    ]


def _origin(wanted: Webhook) -> str:
    return wanted.token.origin or "the service's webhook_token"
