"""What cases have to do with each other and with organisations: links, similar observables, access, shares (v5)."""

from __future__ import annotations

from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.form import texts
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route


def _case(hive: Hive, who: Account, request: Request) -> Entity:
    return hive.get("Case", request.slot("id"), who)


def _known(hive: Hive, entity: Entity) -> dict[tuple[str, Any], Entity]:
    return {(one["dataType"], one.get("data")): one for one in hive.store.children(entity.id, "Observable")}


def _linked(hive: Hive, who: Account, request: Request) -> Reply:
    case = _case(hive, who, request)
    mine = _known(hive, case)
    found = []
    for other in hive.store.all("Case"):
        if other.id != case.id and hive.visible(other, who):
            shared = [hive.show(one, who) for key, one in _known(hive, other).items() if key in mine]
            if shared:
                found.append({**hive.show(other, who), "linksCount": len(shared), "linkedWith": shared})
    return Reply(200, found)


def _similar(kind: str) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        mine = _known(hive, hive.get(kind, request.slot("id"), who))
        other = hive.store.find(request.slot("other"))
        if other is None or not hive.visible(other, who):
            return Reply(200, [])
        return Reply(200, [hive.show(one, who) for key, one in _known(hive, other).items() if key in mine])

    return handle


def _link(field: str, key: str, *, add: bool) -> Handler:
    """Add or remove one link of a case to another case or to a web address."""

    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        case, document = _case(hive, who, request), request.document()
        link = {"type": str(document.get("type")), key: str(document.get(key))}
        if key == "caseId":
            hive.get("Case", link[key], who)
        left = [one for one in case.get(field, []) if one != link]
        hive.change(case, {field: [*left, link] if add else left}, who)
        return NOTHING

    return handle


def _link_types(hive: Hive, who: Account, request: Request) -> Reply:
    cases = [case for case in hive.store.all("Case") if hive.visible(case, who)]
    fields = ("caseLinks", "externalLinks")
    return Reply(200, sorted({one["type"] for case in cases for field in fields for one in case.get(field, [])}))


def _access(hive: Hive, who: Account, request: Request) -> Reply:
    access = request.document().get("access")
    if not isinstance(access, dict) or "_kind" not in access:
        raise bad_request("access needs a _kind")
    hive.change(_case(hive, who, request), {"access": access}, who)
    return NOTHING


def _owner(hive: Hive, who: Account, request: Request) -> Reply:
    _case(hive, who, request)
    if request.document().get("organisation") != who.organisation:
        raise bad_request("The lab does not move cases between organisations")
    return NOTHING


def _share(kind: str) -> Handler:
    """Share with one's own organisation, which changes nothing; the lab has no other way of sharing."""

    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        hive.get(kind, request.slot("id"), who)
        if set(texts(request.document(), "organisations")) - {who.organisation}:
            raise bad_request("The lab does not share with other organisations")
        return NOTHING

    return handle


def _no_shares(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, [])


def _shares(hive: Hive, who: Account, request: Request) -> Reply:
    found = hive.store.find(request.slot("id"))
    if found is not None and found.kind == "Observable":  # the public client asks for those of an observable here
        return Reply(200, [])
    case = _case(hive, who, request)
    share = {
        "_id": f"{case.id}0", "_type": "Share", "_createdBy": case.created_by, "_createdAt": case.created_at,
        "caseId": case.id, "profileName": "org-admin", "organisationName": case.organisation, "owner": True,
        "taskRule": "manual", "observableRule": "manual",
    }  # fmt: skip
    return Reply(200, [share])


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    table: list[Route[Handler]] = [
        Route("GET", "/api/v1/case/{id}/links", _linked),
        Route("GET", "/api/case/{id}/links", _linked),
        Route("GET", "/api/v1/case/{id}/shares", _shares),
        Route("GET", "/api/case/{id}/shares", _shares),
    ]
    if version == 4:
        return table
    change = "manageCase/update"
    for path, field, key in (("case", "caseLinks", "caseId"), ("external", "externalLinks", "url")):
        base = f"/api/v1/case/{{id}}/link/{path}"
        table += [
            Route("POST", f"{base}/add", _link(field, key, add=True), change),
            Route("POST", f"{base}/remove", _link(field, key, add=False), change),
        ]
    return [
        *table,
        Route("GET", "/api/v1/case/link/types", _link_types),
        Route("POST", "/api/v1/task/{id}/shares", _share("Task"), "manageShare"),
        Route("GET", "/api/v1/task/{id}/shares", _no_shares),
        Route("POST", "/api/v1/observable/{id}/shares", _share("Observable"), "manageShare"),
        Route("POST", "/api/v1/case/{id}/access", _access, change),
        Route("POST", "/api/v1/case/{id}/owner", _owner, "manageCase/changeOwnership"),
        Route("GET", "/api/v1/case/{id}/similar/{other}/observables", _similar("Case")),
        Route("GET", "/api/v1/alert/{id}/similar/{other}/observables", _similar("Alert")),
    ]
