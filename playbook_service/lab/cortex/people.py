"""Users, keys, roles and organisations of an embedded Cortex."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from playbook_service.lab.exchange import Request, attribute_error, bad_request, forbidden, not_found, unauthenticated

ROLES = ("read", "analyze", "orgadmin", "superadmin")


@dataclass(frozen=True)
class User:
    """`roles` as given; a higher role holds the lower ones."""

    login: str
    name: str
    organization: str
    roles: tuple[str, ...]
    created_by: str = "init"
    created_at: int = 0
    status: str = "Ok"
    key: str | None = None
    password: str | None = field(default=None, repr=False)

    def may(self, role: str) -> bool:
        """Whether the user holds a role or a higher one."""
        return any(ROLES.index(mine) >= ROLES.index(role) for mine in self.roles)

    def view(self) -> dict[str, Any]:
        """As the API shows it; secrets only as whether there are any."""
        return {
            "id": self.login, "_id": self.login, "_type": "user", "login": self.login, "name": self.name,
            "organization": self.organization, "roles": list(self.roles), "status": self.status,
            "hasKey": self.key is not None, "hasPassword": self.password is not None, "createdBy": self.created_by,
            "createdAt": self.created_at,
        }  # fmt: skip


@dataclass(frozen=True)
class Organization:
    """A tenant: workers, jobs and users belong to one."""

    name: str
    description: str
    status: str = "Active"
    created_by: str = "init"
    created_at: int = 0

    def view(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.name, "_id": self.name, "_type": "organization", "name": self.name,
            "description": self.description, "status": self.status, "createdBy": self.created_by,
            "createdAt": self.created_at,
        }  # fmt: skip


class People:
    """Who may use this Cortex."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.organizations: dict[str, Organization] = {"cortex": Organization("cortex", "Default organization")}

    def authenticate(self, request: Request) -> User:
        """The user whose key (bearer) or password (basic) came along. Raises ApiError 401."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        user = self._by_key(text.strip()) if scheme.lower() == "bearer" else self._by_password(scheme, text)
        if user is None or user.status != "Ok":
            raise unauthenticated()
        return user

    def _by_key(self, key: str) -> User | None:
        matching = (user for user in self.users.values() if user.key and secrets.compare_digest(user.key, key))
        return next(matching, None)

    def _by_password(self, scheme: str, text: str) -> User | None:
        if scheme.lower() != "basic":
            return None
        try:
            login, _, password = base64.b64decode(text, validate=True).decode().partition(":")
        except ValueError:
            return None
        user = self.users.get(login.lower())
        return user if user is not None and user.password and user.password == password else None

    def user(self, login: str, asking: User) -> User:
        """A user that the asking one may see. Raises ApiError 404."""
        user = self.users.get(login.lower())
        if user is None or not (asking.may("superadmin") or user.organization == asking.organization):
            raise not_found(f"user {login} not found")
        return user

    def add(self, document: dict[str, Any], asking: User, now: int) -> User:
        """Create a user. Raises ApiError for what is missing, taken or beyond the asking user's rights."""
        login = str(document.get("login") or "").lower()
        organization = document.get("organization") or asking.organization
        if not login or not document.get("name"):
            raise attribute_error("[MissingAttributeError(login, name)]", tableName="user")
        if login in self.users:
            raise bad_request(f"[document already exists: user {login}]")
        if organization not in self.organizations:
            raise bad_request(f"organization {organization} does not exist")
        roles = self._roles(document.get("roles", ["read"]), asking, organization)
        user = User(
            login, str(document["name"]), organization, roles, asking.login, now, password=document.get("password")
        )
        self.users[login] = user
        return user

    def _roles(self, given: Any, asking: User, organization: str) -> tuple[str, ...]:
        if not isinstance(given, list) or any(role not in ROLES for role in given):
            raise attribute_error("[InvalidFormatAttributeError(roles)]", tableName="user")
        inside = asking.organization == organization and "superadmin" not in given
        if not (asking.may("superadmin") or inside):
            raise forbidden("Insufficient rights to perform this action")
        return tuple(given)

    def change(self, user: User, changes: dict[str, Any], asking: User) -> User:
        """Change name, status, roles or organisation of a user."""
        allowed = {name: changes[name] for name in ("name", "status", "organization", "roles") if name in changes}
        if "roles" in allowed:
            allowed["roles"] = self._roles(allowed["roles"], asking, user.organization)
        return self.put(replace(user, **allowed))

    def put(self, user: User) -> User:
        """Keep a user as given."""
        self.users[user.login] = user
        return user

    def renew_key(self, user: User) -> str:
        """A new key for a user; the old one ends."""
        key = secrets.token_urlsafe(24)
        self.put(replace(user, key=key))
        return key
