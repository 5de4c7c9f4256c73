"""The REST calls of Cortex about users and organisations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from playbook_service.lab.cortex.people import Organization, User
from playbook_service.lab.cortex.search import answer, count
from playbook_service.lab.cortex.service import Cortex, Handler
from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request, not_found, unauthenticated
from playbook_service.lab.route import Route


def _users(cortex: Cortex, user: User) -> list[dict[str, Any]]:
    everyone = cortex.people.users.values()
    return [one.view() for one in everyone if user.may("superadmin") or one.organization == user.organization]


def _search_users(cortex: Cortex, user: User, request: Request) -> Reply:
    users = _users(cortex, user)
    wanted = request.slots.get("id")
    return answer(request, [one for one in users if wanted in (None, one["organization"])])


def _current(cortex: Cortex, user: User, request: Request) -> Reply:
    return Reply(200, user.view())


def _get_user(cortex: Cortex, user: User, request: Request) -> Reply:
    return Reply(200, cortex.people.user(request.slot("login"), user).view())


def _add_user(cortex: Cortex, user: User, request: Request) -> Reply:
    return Reply(201, cortex.people.add(request.document(), user, cortex.now()).view())


def _change_user(cortex: Cortex, user: User, request: Request) -> Reply:
    target = cortex.people.user(request.slot("login"), user)
    return Reply(200, cortex.people.change(target, request.document(), user).view())


def _lock_user(cortex: Cortex, user: User, request: Request) -> Reply:
    target = cortex.people.user(request.slot("login"), user)
    cortex.people.put(replace(target, status="Locked"))
    return NOTHING


def _renew_key(cortex: Cortex, user: User, request: Request) -> Reply:
    key = cortex.people.renew_key(cortex.people.user(request.slot("login"), user))
    return Reply(200, key, kind="text/plain")


def _get_key(cortex: Cortex, user: User, request: Request) -> Reply:
    target = cortex.people.user(request.slot("login"), user)
    if target.key is None:
        raise not_found(f"user {target.login} has no key")
    return Reply(200, target.key, kind="text/plain")


def _drop_key(cortex: Cortex, user: User, request: Request) -> Reply:
    cortex.people.put(replace(cortex.people.user(request.slot("login"), user), key=None))
    return NOTHING


def _set_password(cortex: Cortex, user: User, request: Request) -> Reply:
    target = cortex.people.user(request.slot("login"), user)
    cortex.people.put(replace(target, password=request.document().get("password")))
    return NOTHING


def _change_password(cortex: Cortex, user: User, request: Request) -> Reply:
    document = request.document()
    if user.login != request.slot("login").lower() or user.password != document.get("currentPassword"):
        raise unauthenticated()
    cortex.people.put(replace(user, password=document.get("password")))
    return NOTHING


def _organizations(cortex: Cortex, user: User) -> list[dict[str, Any]]:
    everyone = cortex.people.organizations.values()
    return [one.view() for one in everyone if user.may("superadmin") or one.name == user.organization]


def _search_organizations(cortex: Cortex, user: User, request: Request) -> Reply:
    return answer(request, _organizations(cortex, user))


def _count_organizations(cortex: Cortex, user: User, request: Request) -> Reply:
    return count(request, _organizations(cortex, user))


def _get_organization(cortex: Cortex, user: User, request: Request) -> Reply:
    shown = [one for one in _organizations(cortex, user) if one["id"] == request.slot("id")]
    if not shown:
        raise not_found(f"organization {request.slot('id')} not found")
    return Reply(200, shown[0])


def _add_organization(cortex: Cortex, user: User, request: Request) -> Reply:
    document = request.document()
    name = document.get("name")
    if not isinstance(name, str) or not name or name in cortex.people.organizations:
        raise bad_request(f"[document already exists or has no name: organization {name}]")
    description = str(document.get("description") or "")
    made = Organization(name, description, created_by=user.login, created_at=cortex.now())
    cortex.people.organizations[name] = made
    return Reply(201, made.view())


def _change_organization(cortex: Cortex, user: User, request: Request) -> Reply:
    _get_organization(cortex, user, request)
    document = request.document()
    changes = {name: document[name] for name in ("description", "status") if name in document}
    name = request.slot("id")
    cortex.people.organizations[name] = replace(cortex.people.organizations[name], **changes)
    return _get_organization(cortex, user, request)


def _close_organization(cortex: Cortex, user: User, request: Request) -> Reply:
    _get_organization(cortex, user, request)
    name = request.slot("id")
    cortex.people.organizations[name] = replace(cortex.people.organizations[name], status="Locked")
    return NOTHING


ROUTES: list[Route[Handler]] = [
    Route("GET", "/api/user/current", _current),
    Route("POST", "/api/user", _add_user, "orgadmin"),
    Route("POST", "/api/user/_search", _search_users, "orgadmin"),
    Route("GET", "/api/user/{login}", _get_user),
    Route("PATCH", "/api/user/{login}", _change_user, "orgadmin"),
    Route("DELETE", "/api/user/{login}", _lock_user, "orgadmin"),
    Route("POST", "/api/user/{login}/key/renew", _renew_key, "orgadmin"),
    Route("GET", "/api/user/{login}/key", _get_key, "orgadmin"),
    Route("DELETE", "/api/user/{login}/key", _drop_key, "orgadmin"),
    Route("POST", "/api/user/{login}/password/set", _set_password, "orgadmin"),
    Route("POST", "/api/user/{login}/password/change", _change_password),
    Route("GET", "/api/organization", _search_organizations, "superadmin"),
    Route("POST", "/api/organization", _add_organization, "superadmin"),
    Route("POST", "/api/organization/_search", _search_organizations, "superadmin"),
    Route("POST", "/api/organization/_stats", _count_organizations, "superadmin"),
    Route("GET", "/api/organization/{id}", _get_organization),
    Route("PATCH", "/api/organization/{id}", _change_organization, "superadmin"),
    Route("DELETE", "/api/organization/{id}", _close_organization, "superadmin"),
    Route("GET", "/api/organization/{id}/user", _search_users, "orgadmin"),
    Route("POST", "/api/organization/{id}/user/_search", _search_users, "orgadmin"),
]
