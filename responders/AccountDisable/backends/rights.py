"""What a Keycloak user may do, and who we are there; refused where Keycloak would not tell.

Recent versions leave out of every list the roles that the asking client may not view. Our own service account must hold
roles of the realm's management client, so that these do not show in its own list is the sign that nothing would show in
anybody's: an administrator would look like a plain user.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from propolis.containment.backend import BackendError

from .realm import Document, Realm

_ADMIN_ROLES = ("admin", "create-realm", "realm-admin")


class Held(NamedTuple):
    """What a user holds."""

    groups: tuple[str, ...]
    roles: tuple[str, ...]
    """`role` for a realm's, `client:role` and `role` for a client's."""
    privileged: bool
    unseen: str = ""
    """Why this could not be read; the user then counts as an administrator."""


NOTHING = Held((), (), False)
"""For a user that is disabled: only its undo is left to do, and no undo waits for roles to be shown."""


class Rights:
    """The roles and groups in one realm."""

    def __init__(self, realm: Realm, client_id: str):
        self._realm = realm
        self._client_id = client_id

    def is_own(self, user: str, username: str) -> bool:
        """Whether this is the service account that we are."""
        return user == self._claims.get("sub") or username == f"service-account-{self._client_id}".lower()

    def of(self, user: str) -> Held:
        """Everything a user holds: directly, by groups, and by roles made of roles."""
        try:
            return self._read(user)
        except BackendError as error:
            return Held((), (), True, str(error))

    def _read(self, user: str) -> Held:
        management = self._management_client
        realm_roles = self._realm.realm_roles(user)
        managing = self._realm.client_roles(user, management)
        direct = _client_roles(self._realm.role_mappings(user))
        groups = self._realm.groups(user)
        named = [f"{client}:{role}" for client, role in direct]
        administers = any(_manages(client) for client, _ in direct) or bool(set(realm_roles) & set(_ADMIN_ROLES))
        roles = [*realm_roles, *managing, *named, *(role for _, role in direct)]
        return Held(tuple(groups), tuple(dict.fromkeys(roles)), bool(managing) or administers)

    @cached_property
    def _claims(self) -> Document:
        return self._realm.claims()

    @cached_property
    def _management_client(self) -> str:
        """The id of the client whose roles manage the realm, learned from our own roles at it."""
        own = self._own_id()
        mappings = self._realm.role_mappings(own).get("clientMappings")
        found = mappings.get(self._management_name) if isinstance(mappings, dict) else None
        if not isinstance(found, dict) or not found.get("id"):
            raise BackendError(
                "Keycloak does not show which administrative roles a user has, so an administrator would look like "
                f"a plain user: give the service account of {self._client_id} the roles view-users, manage-users, "
                f"view-clients and view-realm of {self._management_name}, directly and not through a group."
            )
        claimed = self._claims.get("realm_access")
        if isinstance(claimed, dict) and claimed.get("roles") and not self._realm.realm_roles(own):
            raise BackendError(
                f"Keycloak does not show the realm's roles: give the service account of {self._client_id} the role "
                f"view-realm of {self._management_name}."
            )
        return str(found["id"])

    def _own_id(self) -> str:
        own = self._claims.get("sub")
        if isinstance(own, str) and own:
            return own
        name = f"service-account-{self._client_id}".lower()
        found = [user for user in self._realm.users(username=name) if user.get("username") == name]
        if len(found) != 1 or not found[0].get("id"):
            raise BackendError(
                f"Keycloak does not show the service account of {self._client_id}: switch Service accounts roles on "
                "for that client."
            )
        return str(found[0]["id"])

    @property
    def _management_name(self) -> str:
        return "master-realm" if self._realm.name == "master" else "realm-management"


def _manages(client: str) -> bool:
    """The clients whose roles administer a realm: its own, and in `master` one for each realm."""
    return client == "realm-management" or client.endswith("-realm")


def _client_roles(mappings: Document) -> list[tuple[str, str]]:
    """(client, role) of every role given directly."""
    clients = mappings.get("clientMappings")
    found = []
    for client, entry in clients.items() if isinstance(clients, dict) else ():
        roles = entry.get("mappings") if isinstance(entry, dict) else None
        found += [(str(client), str(role.get("name"))) for role in roles or [] if isinstance(role, dict)]
    return found
