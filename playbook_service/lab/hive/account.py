"""Who calls: users, their profiles in organisations, and what the profiles permit."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from playbook_service.lab.exchange import Request, unauthenticated
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.store import Store

ADMIN_ORGANISATION = "admin"
_READ_ONLY: tuple[str, ...] = ()
_ANALYST = (
    "accessTheHiveFS", "manageAction", "manageAlert/create", "manageAlert/delete", "manageAlert/import",
    "manageAlert/reopen", "manageAlert/update", "manageAnalyse", "manageCase/changeOwnership", "manageCase/create",
    "manageCase/delete", "manageCase/merge", "manageCase/reopen", "manageCase/update", "manageComment",
    "manageCustomEvent", "manageFunction/invoke", "manageKnowledgeBase", "manageObservable", "managePage",
    "manageProcedure", "manageShare", "manageTask",
)  # fmt: skip
_ORG_ADMIN = (
    *_ANALYST, "manageCaseTemplate", "manageConfig", "manageFunction/create", "managePageTemplate", "manageTag",
    "manageUser",
)  # fmt: skip
_ADMIN = (
    "manageAnalyzerTemplate", "manageConfig", "manageCustomField", "manageObservableTemplate", "manageOrganisation",
    "managePattern", "managePlatform", "manageProfile", "manageTag", "manageTaxonomy", "manageUser",
)  # fmt: skip
PROFILES = {"admin": _ADMIN, "org-admin": _ORG_ADMIN, "analyst": _ANALYST, "read-only": _READ_ONLY}
_NEW_IN_5 = ("manageComment", "manageCustomEvent", "managePage", "manageKnowledgeBase", "manageFunction")


def permissions(names: Iterable[str], version: int) -> tuple[str, ...]:
    """The permissions as that version of TheHive names them: version 4 knows no parts (`manageCase/update`)."""
    if version == 5:
        return tuple(sorted(names))
    plain = {name.partition("/")[0] for name in names}
    return tuple(sorted(plain - set(_NEW_IN_5)))


@dataclass(frozen=True)
class Account:
    """A user in one of their organisations."""

    login: str
    organisation: str
    profile: str
    permissions: frozenset[str]

    def may(self, right: str) -> bool:
        """Whether the profile permits it; `right` is written as version 5 does."""
        return right in self.permissions or right.partition("/")[0] in self.permissions


NOBODY = Account("", "", "", frozenset())


def sign(password: str, salt: str | None = None) -> str:
    """A salted hash of a password."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}:{hashlib.sha256(f'{salt}{password}'.encode()).hexdigest()}"


def authenticate(store: Store, request: Request) -> Entity:
    """The user whose key (bearer) or password (basic) came along. Raises ApiError 401."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    user = None
    if scheme.lower() == "bearer":
        user = store.by_key("ApiKey", (hash_key(text.strip()),))
        user = store.find(user.parent) if user is not None else None
    elif scheme.lower() == "basic":
        user = _by_password(store, text)
    if user is None or user.get("locked"):
        raise unauthenticated()
    return user


def hash_key(key: str) -> str:
    """What is kept of an API key to find its user by."""
    return hashlib.sha256(key.encode()).hexdigest()


def _by_password(store: Store, text: str) -> Entity | None:
    try:
        login, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    user = store.by_key("User", (login.lower(),))
    signed = None if user is None or user.get("type") == "Service" else user.get("password")
    return user if signed and secrets.compare_digest(signed, sign(password, signed.partition(":")[0])) else None


def account_of(store: Store, user: Entity, organisation: str | None, version: int) -> Account:
    """The user in the organisation asked for, else in their default one. Raises ApiError 401 where they are in none."""
    memberships: list[dict[str, Any]] = user.get("organisations", [])
    wanted = organisation or user.get("defaultOrganisation")
    chosen = [one for one in memberships if wanted in (None, one["organisation"])] or (
        [] if organisation else memberships
    )
    if not chosen:
        raise unauthenticated(f"User {user['login']} is not in organisation {organisation}")
    return membership(store, user, chosen[0], version)


def membership(store: Store, user: Entity, one: dict[str, Any], version: int) -> Account:
    """The account that one of the user's memberships gives."""
    profile = store.by_key("Profile", (one["profile"],))
    granted = permissions(profile.get("permissions", ()) if profile is not None else (), version)
    return Account(user["login"], one["organisation"], one["profile"], frozenset(granted))
