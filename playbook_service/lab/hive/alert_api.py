"""The REST calls about alerts."""

from __future__ import annotations

from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request
from playbook_service.lab.hive import alerts
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.entity_api import change_many, change_one, get_one
from playbook_service.lab.hive.form import texts
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route


def _alert(hive: Hive, who: Account, request: Request) -> Entity:
    return hive.get("Alert", request.slot("id"), who)


def _create(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        files = {part.name: part for part in request.files()}
        alert = alerts.create(hive, who, request.document(), files, dialect)
        shown = hive.show(alert, who, dialect)
        if dialect == 1:  # the answer to a creation does not say that the observables updated the alert
            shown = {name: value for name, value in shown.items() if name not in ("_updatedBy", "_updatedAt")}
        return Reply(201, shown)

    return handle


def _promote(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        case = alerts.promote(hive, who, _alert(hive, who, request), request.document())
        return Reply(201, hive.show(case, who, dialect))

    return handle


def _merge(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        case = hive.get("Case", request.slot("case"), who)
        return Reply(200, hive.show(alerts.merge(hive, who, _alert(hive, who, request), case), who, dialect))

    return handle


def _merge_many(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        document = request.document()
        chosen = texts(document, "alertIds")
        if len(chosen) > alerts.MOST_MERGED:
            raise bad_request(f"At most {alerts.MOST_MERGED} alerts can be merged at once")
        case = hive.get("Case", str(document.get("caseId")), who)
        for identity in chosen:
            case = alerts.merge(hive, who, hive.get("Alert", identity, who), case)
        return Reply(200, hive.show(case, who, dialect))

    return handle


def _import(hive: Hive, who: Account, request: Request) -> Reply:
    case = hive.get("Case", request.slot("case"), who)
    alerts.bring_in(hive, who, _alert(hive, who, request), case)
    return Reply(200, hive.show(hive.get("Case", case.id, who), who))


def _mark(dialect: int, **changes: Any) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        alert = _alert(hive, who, request)
        alerts.mark(hive, who, alert, dict(changes))
        return hive.done(alert, who, dialect)

    return handle


def _delete(hive: Hive, who: Account, request: Request) -> Reply:
    alerts.delete(hive, who, _alert(hive, who, request))
    return NOTHING


def _delete_many(hive: Hive, who: Account, request: Request) -> Reply:
    for identity in texts(request.document(), "ids"):
        alerts.delete(hive, who, hive.get("Alert", identity, who))
    return NOTHING


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    change, bring = "manageAlert/update", "manageAlert/import"
    table: list[Route[Handler]] = []
    for base, dialect in (("/api/v1/alert", 1), ("/api/alert", 0)):
        table += [
            Route("POST", base, _create(dialect), "manageAlert/create"),
            Route("PATCH", f"{base}/_bulk", change_many("Alert", alerts.update), change),
            Route("POST", f"{base}/delete/_bulk", _delete_many, "manageAlert/delete"),
            Route("GET", f"{base}/{{id}}", get_one("Alert", dialect)),
            Route("PATCH", f"{base}/{{id}}", change_one("Alert", alerts.update, dialect), change),
            Route("DELETE", f"{base}/{{id}}", _delete, "manageAlert/delete"),
            Route("POST", f"{base}/{{id}}/follow", _mark(dialect, follow=True), change),
            Route("POST", f"{base}/{{id}}/unfollow", _mark(dialect, follow=False), change),
        ]
    table += [
        Route("POST", "/api/v1/alert/{id}/case", _promote(1), bring),
        Route("POST", "/api/alert/{id}/createCase", _promote(0), bring),
        Route("POST", "/api/alert/{id}/merge/{case}", _merge(0), bring),
        Route("POST", "/api/alert/merge/_bulk", _merge_many(0), bring),
    ]
    return table + (_only_5(bring) if version == 5 else _only_4(change))


def _only_5(bring: str) -> list[Route[Handler]]:
    return [
        Route("POST", "/api/v1/alert/{id}/merge/{case}", _merge(1), bring),
        Route("POST", "/api/v1/alert/merge/_bulk", _merge_many(1), bring),
        Route("POST", "/api/v1/alert/{id}/import/{case}", _import, bring),
    ]


def _only_4(change: str) -> list[Route[Handler]]:
    return [
        Route("POST", "/api/alert/{id}/markAsRead", _mark(0, read=True), change),
        Route("POST", "/api/alert/{id}/markAsUnread", _mark(0, read=False), change),
        Route("POST", "/api/v1/alert/{id}/read", _mark(1, read=True), change),
        Route("POST", "/api/v1/alert/{id}/unread", _mark(1, read=False), change),
    ]
