"""The edge to Keycloak's admin REST interface: one realm, with the rights of one client's service account.

Paths and answers are those of Keycloak 26 (`UsersResource`, `UserResource`, `RoleMapperResource`); a base address may
end in `/auth`, as it did before version 17.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import change
from propolis.http import ClientCredentials, HttpError, authorized, segment, session

Document = dict[str, Any]


class Settings(NamedTuple):
    """How to reach the realm, and as which client."""

    url: str
    realm: str
    client_id: str
    client_secret: str
    ca_file: str | None
    proxy: str | None
    timeout: float
    """Seconds for each answer."""


class Realm:
    """One realm. Every method raises BackendError with one sentence."""

    def __init__(self, settings: Settings, clock: Clock):
        self._clock = clock
        self.name = settings.realm
        self._client = session(
            settings.url,
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.client_secret],
            name="kc_url",
        )
        realm = segment(settings.realm)
        token = f"/realms/{realm}/protocol/openid-connect/token"
        self._source = ClientCredentials(self._client, token, settings.client_id, settings.client_secret)
        self._api = authorized(self._client, self._source)
        self._users = f"/admin/realms/{realm}/users"
        self._groups = f"/admin/realms/{realm}/groups"

    def users(self, **by: str) -> list[Document]:
        """The users whose `username` or `email` is exactly this (Keycloak ignores case)."""
        return _objects(self._get(self._users, params={**by, "exact": "true", "max": "5"}))

    def user(self, user: str) -> Document:
        """A user's full representation, attributes included."""
        return _object(self._get(self._user(user)))

    def sessions(self, user: str) -> list[Document]:
        """The user's online sessions."""
        return _objects(self._get(self._user(user, "sessions")))

    def offline_sessions(self, user: str, client: str) -> list[Document]:
        """The user's offline sessions at a client (its id, not its name)."""
        return _objects(self._get(self._user(user, "offline-sessions", client)))

    def consents(self, user: str) -> list[Document]:
        """The clients that hold a consent or an offline token of the user."""
        return _objects(self._get(self._user(user, "consents")))

    def role_mappings(self, user: str) -> Document:
        """The roles given to the user directly, `realmMappings` and `clientMappings`."""
        return _object(self._get(self._user(user, "role-mappings")))

    def realm_roles(self, user: str) -> list[str]:
        """The realm's roles that the user has in effect: through groups and composite roles too."""
        return _names(self._get(self._user(user, "role-mappings", "realm", "composite")))

    def client_roles(self, user: str, client: str) -> list[str]:
        """The roles at one client (its id) that the user has in effect."""
        return _names(self._get(self._user(user, "role-mappings", "clients", client, "composite")))

    def groups(self, user: str) -> list[str]:
        """The paths of the user's groups."""
        found = _objects(self._get(self._user(user, "groups")))
        return [str(group.get("path") or group.get("name") or "") for group in found]

    def put(self, user: str, document: Document) -> None:
        """Replace a user's representation. Raises AnswerLost where it may have been taken."""
        self._write("PUT", self._user(user), document)

    def logout(self, user: str) -> None:
        """End the user's online sessions; Keycloak sets the user's `notBefore` with it."""
        self._write("POST", self._user(user, "logout"))

    def revoke(self, user: str, client: str) -> None:
        """Take back the consent and the offline tokens of one client (its name)."""
        self._write("DELETE", self._user(user, "consents", client), accept=(204, 404))

    def claims(self) -> Document:
        """What our own token says of us; empty where it is not a JWT that can be read."""
        try:
            payload = self._source.token().split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except HttpError as error:
            raise _fault(error) from None
        except (IndexError, ValueError, binascii.Error):
            return {}
        return claims if isinstance(claims, dict) else {}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _user(self, user: str, *more: str) -> str:
        return "/".join((self._users, segment(user), *(segment(part) for part in more)))

    def _get(self, path: str, params: dict[str, str] | None = None) -> Any:
        try:
            return self._api.get(path, params=params, accept=(200,)).json()
        except HttpError as error:
            raise _fault(error) from None

    def _write(self, method: str, path: str, document: Document | None = None, *, accept: Any = (204,)) -> None:
        try:
            change(self._api, self._clock, method, path, json=document, accept=accept)
        except HttpError as error:
            raise _fault(error) from None


def _fault(error: HttpError) -> BackendError:
    text = str(error)
    if error.status == 403:
        text += " The client's service account needs the roles view-users and manage-users of realm-management."
    if error.status == 401:
        text += " Check kc_client_id and kc_client_secret."
    if error.status == 400 and "read only" in error.excerpt.lower():
        text = (
            "Keycloak holds this user read-only, because it comes from a user federation (LDAP, for instance): disable "
            "it in that directory."
        )
    return BackendError(text)


def _objects(value: Any) -> list[Document]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise BackendError("Keycloak answered with something else than a list; check kc_url and its version.")
    return value


def _object(value: Any) -> Document:
    if not isinstance(value, dict):
        raise BackendError("Keycloak answered with something else than an object; check kc_url and its version.")
    return value


def _names(value: Any) -> list[str]:
    return [str(role.get("name") or "") for role in _objects(value)]
