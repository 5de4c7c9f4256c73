"""Notifications: which audit triggers which notifier of which organisation (webhook, RunAnalyzer, RunResponder)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from playbook_service.lab.exchange import NOTHING, ApiError, Reply, Request, bad_request
from playbook_service.lab.filter import matches, reader
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.audit import Audit
from playbook_service.lab.hive.form import rows
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route

Rule = Mapping[str, Any]
Notify = Callable[[Rule, Audit], None]
_ENDPOINTS = "notification.webhook.endpoints"
_FINISHED = ("Success", "Failure", "Deleted")


class Notifier:
    """Looks at every audit and calls the notifiers whose trigger it is. `notify`: by the notifier's name."""

    def __init__(self, hive: Hive):
        self.notify: dict[str, Notify] = {}
        self._hive = hive
        hive.trail.listeners.append(self.tell)

    def tell(self, audits: list[Audit]) -> None:
        """Look at the audits of one transaction."""
        for audit in audits:
            for rule in self._hive.notifications.get(audit.organisation, ()):
                notifier = self.notify.get(str(rule.get("notifier", {}).get("name")))
                if notifier is not None and not rule.get("delegate") and self._triggered(rule["trigger"], audit):
                    notifier(rule["notifier"], audit)

    def _triggered(self, trigger: Rule, audit: Audit) -> bool:
        name = trigger.get("name")
        if name == "AnyEvent":
            return True
        if name == "FilteredEvent":
            return self._filtered(trigger.get("filter") or {}, audit)
        test = _TRIGGERS.get(str(name))
        return test is not None and test(self._hive, audit)

    def _filtered(self, expression: Mapping[str, Any], audit: Audit) -> bool:
        document = self._hive.envelopes.draw(audit, 1, audit.at)
        if self._hive.version == 4:  # there `details` is a text, and the author is known
            document = {
                "action": audit.action, "objectType": audit.object_kind, "objectId": audit.object_id, "user": audit.by,
                "mainAction": audit.main, "requestId": audit.request_id, "_createdBy": audit.by,
            }  # fmt: skip
        return matches(expression, reader(document), audit.at)


Test = Callable[[Hive, Audit], bool]


def _made(kind: str, parent: str | None = None) -> Test:
    def test(hive: Hive, audit: Audit) -> bool:
        if audit.action != "create" or audit.object_kind != kind:
            return False
        if parent is None:
            return True
        entity = hive.store.find(audit.object_id)
        above = hive.store.find(entity.parent) if entity is not None else None
        return above is not None and above.kind == parent

    return test


def _changed(kind: str, field: str, *values: Any) -> Test:
    def test(hive: Hive, audit: Audit) -> bool:
        return audit.action == "update" and audit.object_kind == kind and audit.details.get(field) in values

    return test


def _closed(hive: Hive, audit: Audit) -> bool:
    return _changed("Case", "stage", "Closed")(hive, audit) or _changed("Case", "status", "Resolved")(hive, audit)


def _work_done(kind: str) -> Test:
    def test(hive: Hive, audit: Audit) -> bool:
        if hive.version == 4:  # there JobFinished comes with any update of a job
            return audit.action == "update" and audit.object_kind == kind
        return _changed(kind, "status", *_FINISHED)(hive, audit)

    return test


def _shared(hive: Hive, audit: Audit) -> bool:
    return audit.object_kind == "Case" and "share" in audit.details


def _imported(hive: Hive, audit: Audit) -> bool:
    return audit.action == "update" and audit.object_kind == "Alert" and bool(audit.details.get("caseId"))


_TRIGGERS: dict[str, Test] = {
    "CaseCreated": _made("Case"),
    "CaseClosed": _closed,
    "CaseFlagged": _changed("Case", "flag", True),
    "CaseShared": _shared,
    "AlertCreated": _made("Alert"),
    "AlertImported": _imported,
    "AlertClosed": _changed("Alert", "stage", "Closed"),
    "ObservableCreated": _made("Observable"),
    "AlertObservableCreated": _made("Observable", "Alert"),
    "CaseObservableCreated": _made("Observable", "Case"),
    "TaskClosed": _changed("Task", "status", "Completed", "Cancel"),
    "TaskMandatory": _changed("Task", "mandatory", True),
    "JobFinished": _work_done("Job"),
    "ActionFinished": _work_done("Action"),
}
_ONLY_5 = {*_TRIGGERS, "AnyEvent", "FilteredEvent"} - {
    "AnyEvent", "AlertCreated", "CaseCreated", "CaseShared", "FilteredEvent", "JobFinished",
}  # fmt: skip
_RUN = {
    "RunAnalyzer": ("FilteredEvent", "AlertObservableCreated", "CaseObservableCreated", "ObservableCreated"),
    "RunResponder": (
        "FilteredEvent", "ActionFinished", "CaseClosed", "CaseCreated", "CaseFlagged", "CaseShared", "AlertClosed",
        "AlertCreated", "AlertImported", "AlertObservableCreated", "CaseObservableCreated", "ObservableCreated",
        "TaskClosed", "TaskMandatory",
    ),
}  # fmt: skip


def check(hive: Hive, rules: Any) -> list[dict[str, Any]]:
    """A list of notifications, checked. Raises ApiError."""
    if not isinstance(rules, list):
        raise bad_request("value must be a list of notifications")
    for rule in rows({"value": rules}, "value"):
        trigger, notifier = _name(rule, "trigger"), _name(rule, "notifier")
        known = trigger in _TRIGGERS or trigger in ("AnyEvent", "FilteredEvent")
        if not known or (hive.version == 4 and trigger in _ONLY_5):
            raise bad_request(f"Unknown trigger: {trigger}")
        allowed = _RUN.get(str(notifier))
        if hive.version == 5 and allowed is not None and trigger not in allowed:
            raise bad_request(f"{notifier} cannot be used with the trigger {trigger}")
    return [dict(rule) for rule in rules]


def _name(rule: Rule, part: str) -> str | None:
    found = rule.get(part)
    return str(found.get("name")) if isinstance(found, dict) else None


def _set_rules(hive: Hive, who: Account, request: Request) -> Reply:
    rules = check(hive, request.document().get("value"))
    hive.notifications[who.organisation] = rules
    return Reply(200, {"path": "notification", "defaultValue": [], "value": rules})


def _get_rules(hive: Hive, who: Account, request: Request) -> Reply:
    rules = hive.notifications.get(who.organisation, [])
    return Reply(200, {"path": "notification", "defaultValue": [], "value": rules})


def _list_items(hive: Hive, who: Account, request: Request) -> Reply:
    """The items of the configuration that can be changed at run time: here the one that the lab has."""
    item = {"path": _ENDPOINTS, "description": "webhook configuration list", "defaultValue": []}
    return Reply(200, [item | {"value": hive.endpoints}])


def _set_endpoints(hive: Hive, who: Account, request: Request) -> Reply:
    endpoints = rows(request.document(), "value")
    if who.organisation != "admin":
        raise ApiError(403, "AuthorizationError", "Unauthorized action")
    if not all(one.get("name") and one.get("url") for one in endpoints):
        raise bad_request("value must be a list of endpoints with name and url")
    hive.endpoints = [dict(one) for one in endpoints]
    return NOTHING


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    return [
        Route("PUT", "/api/config/organisation/notification", _set_rules, "manageConfig"),
        Route("GET", "/api/config/organisation/notification", _get_rules, "manageConfig"),
        Route("GET", "/api/config", _list_items, "manageConfig"),
        Route("PUT", f"/api/config/{_ENDPOINTS}", _set_endpoints, "manageConfig"),
    ]
