"""Users with their keys and passwords, organisations, profiles, observable types, case statuses."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request, forbidden, not_found, unauthenticated
from playbook_service.lab.hive.account import ADMIN_ORGANISATION, Account, hash_key, sign
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.form import TEXT, Field, read, rows
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route

_NAME = Field("text", required=True)
_OFF = Field("flag", default=False)
_RULE = Field("text", default="manual")
_USER = {
    "login": _NAME, "name": _NAME, "email": TEXT, "locked": _OFF, "avatar": TEXT, "defaultOrganisation": TEXT,
    "type": Field("text", default="Normal", choice=("Normal", "Service", "External")),
}  # fmt: skip
_ORGANISATION = {
    "name": _NAME, "description": Field("text", default=""), "taskRule": _RULE, "observableRule": _RULE, "locked": _OFF,
    "avatar": TEXT,
}  # fmt: skip


def add_user(hive: Hive, who: Account, document: Mapping[str, Any]) -> Entity:
    """A new user in an organisation. Raises ApiError where the login is taken."""
    fields = read(_USER, document, hive.now())
    organisation = str(document.get("organisation") or who.organisation)
    profile = str(document.get("profile") or "")
    _check_place(hive, who, organisation, profile)
    login = fields["login"].lower()
    present = hive.store.by_key("User", (login,))
    if present is not None:
        if hive.version == 4:
            raise bad_request(f"User {login} already exists")
        return present  # version 5 answers with the user there is
    fields |= {"login": login, "organisations": [{"organisation": organisation, "profile": profile}]}
    fields["defaultOrganisation"] = organisation
    if document.get("password") and fields["type"] != "Service":
        fields["password"] = sign(str(document["password"]))
    return hive.make("User", fields, who, organisation="", key=(login,))


def _check_place(hive: Hive, who: Account, organisation: str, profile: str) -> None:
    if hive.store.by_key("Organisation", (organisation,)) is None:
        raise not_found(f"Organisation {organisation} not found")
    if hive.store.by_key("Profile", (profile,)) is None:
        raise not_found(f"Profile {profile} not found")
    user = hive.store.by_key("User", (who.login,))
    places = {who.organisation} | {one["organisation"] for one in (user.get("organisations", []) if user else [])}
    if not places & {ADMIN_ORGANISATION, organisation}:
        raise forbidden()


def renew_key(hive: Hive, who: Account, user: Entity) -> str:
    """A new API key; the old one ends."""
    drop_key(hive, user)
    key = secrets.token_urlsafe(24)
    hive.make("ApiKey", {"key": key}, who, parent=user, organisation="", key=(hash_key(key),))
    return key


def drop_key(hive: Hive, user: Entity) -> None:
    """Take the API key of a user away."""
    for key in hive.store.children(user.id, "ApiKey"):
        hive.store.remove(key.id)


def _user(hive: Hive, who: Account, request: Request) -> Entity:
    user = hive.get("User", request.slot("login"), who)
    places = {one["organisation"] for one in user.get("organisations", [])}
    if who.organisation != ADMIN_ORGANISATION and who.organisation not in places:
        raise not_found("User not found")
    return user


def _current(hive: Hive, who: Account, request: Request) -> Reply:
    shown = hive.view1.draw(hive.get("User", who.login, who))
    shown |= {"organisation": who.organisation, "profile": who.profile, "permissions": sorted(who.permissions)}
    return Reply(200, shown)


def _create_user(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(201, hive.view1.draw(add_user(hive, who, request.document())))


def _get_user(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, hive.view1.draw(_user(hive, who, request)))


def _update_user(hive: Hive, who: Account, request: Request) -> Reply:
    user, document = _user(hive, who, request), request.document()
    changes = read(_USER, document, hive.now(), partial=True)
    changes.pop("login", None)
    if document.get("profile"):
        place = str(document.get("organisation") or who.organisation)
        _check_place(hive, who, place, str(document["profile"]))
        others = [one for one in user.get("organisations", []) if one["organisation"] != place]
        changes["organisations"] = [*others, {"organisation": place, "profile": document["profile"]}]
    hive.change(user, changes, who)
    return NOTHING


def _delete_user(hive: Hive, who: Account, request: Request) -> Reply:
    user = _user(hive, who, request)
    place = request.option("organisation") or who.organisation
    left = [one for one in user.get("organisations", []) if one["organisation"] != place]
    if request.option("organisation") is None and who.organisation == ADMIN_ORGANISATION:
        left = []
    if left:
        hive.change(user, {"organisations": left, "defaultOrganisation": left[0]["organisation"]}, who)
    else:
        hive.store.remove(user.id)
    return NOTHING


def _set_organisations(hive: Hive, who: Account, request: Request) -> Reply:
    user = _user(hive, who, request)
    given = rows(request.document(), "organisations")
    for one in given:
        _check_place(hive, who, str(one.get("organisation")), str(one.get("profile")))
    kept = [{"organisation": one["organisation"], "profile": one["profile"]} for one in given]
    default = next((one["organisation"] for one in [*(one for one in given if one.get("default")), *kept]), None)
    hive.change(user, {"organisations": kept, "defaultOrganisation": default}, who)
    return Reply(200, {"organisations": [{**one, "default": one["organisation"] == default} for one in kept]})


def _set_password(hive: Hive, who: Account, request: Request) -> Reply:
    hive.change(_user(hive, who, request), {"password": sign(str(request.document().get("password")))}, who)
    return NOTHING


def _change_password(hive: Hive, who: Account, request: Request) -> Reply:
    user, document = _user(hive, who, request), request.document()
    present = user.get("password", "")
    if user["login"] != who.login or sign(str(document.get("currentPassword")), present.partition(":")[0]) != present:
        raise unauthenticated()
    hive.change(user, {"password": sign(str(document.get("password")))}, who)
    return NOTHING


def _renew_key(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, renew_key(hive, who, _user(hive, who, request)), kind="text/plain; charset=UTF-8")


def _get_key(hive: Hive, who: Account, request: Request) -> Reply:
    keys = hive.store.children(_user(hive, who, request).id, "ApiKey")
    if not keys:
        raise not_found("User has no key")
    return Reply(200, keys[0]["key"], kind="text/plain; charset=UTF-8")


def _drop_key(hive: Hive, who: Account, request: Request) -> Reply:
    drop_key(hive, _user(hive, who, request))
    return NOTHING


def add_organisation(hive: Hive, who: Account, document: Mapping[str, Any]) -> Entity:
    """A new organisation. Raises ApiError where the name is taken."""
    fields = read(_ORGANISATION, document, hive.now())
    if hive.store.by_key("Organisation", (fields["name"],)) is not None:
        raise bad_request(f"Organisation {fields['name']} already exists")
    return hive.make("Organisation", {**fields, "links": []}, who, organisation="", key=(fields["name"],))


def _create_organisation(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(201, hive.view1.draw(add_organisation(hive, who, request.document())))


def _get_organisation(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, hive.view1.draw(hive.get("Organisation", request.slot("id"), who)))


def _update_organisation(hive: Hive, who: Account, request: Request) -> Reply:
    organisation = hive.get("Organisation", request.slot("id"), who)
    changes = read(_ORGANISATION, request.document(), hive.now(), partial=True)
    name = changes.pop("name", None)
    if name not in (None, organisation["name"]):
        if any(hive.store.all(kind) for kind in ("Case", "Alert")):
            raise bad_request("The lab does not rename an organisation that holds cases or alerts")
        organisation = hive.store.put(replace(organisation, key=(name,)))
        changes["name"] = name
    hive.change(organisation, changes, who)
    return NOTHING


def _named(kind: str, table: Mapping[str, Field], word: str) -> tuple[Handler, Handler, Handler, Handler]:
    """Create, read, change and delete things that are nothing but a name and some settings."""

    def create(hive: Hive, who: Account, request: Request) -> Reply:
        fields = read(table, request.document(), hive.now())
        if hive.store.by_key(kind, (fields[word],)) is not None:
            raise bad_request(f"{kind} {fields[word]} already exists")
        made = hive.make(kind, fields, who, organisation="", key=(fields[word],))
        return Reply(201, hive.view1.draw(made))

    def get(hive: Hive, who: Account, request: Request) -> Reply:
        return Reply(200, hive.view1.draw(hive.get(kind, request.slot("id"), who)))

    def update(hive: Hive, who: Account, request: Request) -> Reply:
        changes = read(table, request.document(), hive.now(), partial=True)
        entity = hive.get(kind, request.slot("id"), who)
        if changes.get(word):
            entity = hive.store.put(replace(entity, key=(changes[word],)))
        hive.change(entity, changes, who)
        return NOTHING

    def delete(hive: Hive, who: Account, request: Request) -> Reply:
        hive.store.remove(hive.get(kind, request.slot("id"), who).id)
        return NOTHING

    return create, get, update, delete


_PROFILE = {
    "name": _NAME, "permissions": Field("texts", default=()), "editable": Field("flag", default=True),
    "forAdmin": _OFF, "forOrg": Field("flag", default=True), "consumesLicense": Field("flag", default=True),
}  # fmt: skip
_TYPE = {"name": _NAME, "isAttachment": _OFF}
_STATUS = {
    "value": _NAME, "stage": Field("text", required=True, choice=("New", "InProgress", "Closed", "Imported")),
    "colour": TEXT, "order": Field("number", default=0), "visibility": Field("text", default="Visible"),
}  # fmt: skip


def _table_routes(kind: str, path: str, table: Mapping[str, Field], right: str, word: str) -> list[Route[Handler]]:
    create, get, update, delete = _named(kind, table, word)
    return [
        Route("POST", path, create, right),
        Route("GET", f"{path}/{{id}}", get),
        Route("PATCH", f"{path}/{{id}}", update, right),
        Route("DELETE", f"{path}/{{id}}", delete, right),
    ]


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    table: list[Route[Handler]] = [Route("GET", "/api/user/current", _current)]
    base, right = "/api/v1/user", "manageUser"
    table += [
        Route("GET", f"{base}/current", _current),
        Route("POST", base, _create_user, right),
        Route("GET", f"{base}/{{login}}", _get_user),
        Route("PATCH", f"{base}/{{login}}", _update_user, right),
        Route("DELETE", f"{base}/{{login}}/force", _delete_user, right),
        Route("PUT", f"{base}/{{login}}/organisations", _set_organisations, right),
        Route("POST", f"{base}/{{login}}/password/set", _set_password, right),
        Route("POST", f"{base}/{{login}}/password/change", _change_password),
        Route("POST", f"{base}/{{login}}/key/renew", _renew_key, right),
        Route("GET", f"{base}/{{login}}/key", _get_key, right),
        Route("DELETE", f"{base}/{{login}}/key", _drop_key, right),
        Route("POST", "/api/v1/organisation", _create_organisation, "manageOrganisation"),
        Route("GET", "/api/v1/organisation/{id}", _get_organisation),
        Route("PATCH", "/api/v1/organisation/{id}", _update_organisation, "manageOrganisation"),
        *_table_routes("Profile", "/api/v1/profile", _PROFILE, "manageProfile", "name"),
        *_table_routes("ObservableType", "/api/v1/observable/type", _TYPE, "manageObservableTemplate", "name"),
    ]
    if version == 5:
        table += _table_routes("CaseStatus", "/api/v1/caseStatus", _STATUS, "managePlatform", "value")
        table += _table_routes("AlertStatus", "/api/v1/alertStatus", _STATUS, "managePlatform", "value")
    return table
