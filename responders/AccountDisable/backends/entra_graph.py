"""The edge to Microsoft Graph v1.0: users, what they belong to, and the two changes that AccountDisable makes.

From Microsoft's own documentation (microsoft-graph-docs-contrib: user-get, user-list, user-update,
user-revokesigninsessions, user-list-transitivememberof, rbacapplication-list-roleassignments and
-list-roleeligibilityschedules; concepts/deployments for the national clouds). No query here needs the header
`ConsistencyLevel: eventual`: that would ask an index which may lag behind, so nothing is cast, counted or searched.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from propolis.clock import Clock
from propolis.containment.backend import BackendError, NotFound
from propolis.containment.change import change
from propolis.http import ClientCredentials, HttpError, authorized, segment, session

_MOST_PAGES = 50
_USER = (
    "id", "userPrincipalName", "mail", "accountEnabled", "userType", "onPremisesSyncEnabled",
    "onPremisesSamAccountName", "onPremisesSecurityIdentifier", "securityIdentifier", "signInSessionsValidFromDateTime",
)  # fmt: skip
_NO_LICENCE = "AadPremiumLicenseRequired"  # without Entra ID P2 nobody can be eligible for a role
_TOKEN_FAULTS = (
    ("AADSTS7000215", "entra_client_secret is not a secret of this app: enter the secret's value, not its id."),
    ("AADSTS7000222", "The secret in entra_client_secret has expired: make a new one."),
    ("AADSTS700016", "entra_client_id is no app of this tenant: check it, entra_tenant and entra_cloud."),
    ("AADSTS90002", "entra_tenant is no tenant of this cloud: check it and entra_cloud."),
)
_READ_RIGHTS = (
    "Grant the app User.Read.All, GroupMember.Read.All and RoleManagement.Read.Directory (application permissions, "
    "with admin consent)."
)
_CHANGE_RIGHTS = (
    "Either the app lacks User.EnableDisableAccount.All (or User.RevokeSessions.All), or the account has an "
    "administrative role or is in a restricted administrative unit; then leave it so."
)

Document = dict[str, Any]


class Cloud(NamedTuple):
    """Where a tenant lives."""

    login: str
    graph: str


CLOUDS = {
    "global": Cloud("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "usgov": Cloud("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "usgov-dod": Cloud("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    "china": Cloud("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
}


class Settings(NamedTuple):
    """Which tenant, and as which app."""

    cloud: Cloud
    tenant: str
    client_id: str
    client_secret: str
    ca_file: str | None
    proxy: str | None
    timeout: float
    """Seconds for each answer."""


class Graph:
    """One tenant. Every method raises BackendError with one sentence."""

    def __init__(self, settings: Settings, clock: Clock):
        self._clock = clock
        self.url = f"{settings.cloud.graph}/v1.0"
        options: dict[str, Any] = {
            "ca_file": settings.ca_file,
            "proxy": settings.proxy,
            "timeout": (min(5.0, settings.timeout), settings.timeout),
            "budget": 4 * settings.timeout,
            "retries": 1,
            "clock": clock,
            "secrets": [settings.client_secret],
            "name": "entra_cloud",
        }
        self._login = session(settings.cloud.login, **options)
        self._client = session(self.url, **options)
        path = f"/{segment(settings.tenant)}/oauth2/v2.0/token"
        scope = f"{settings.cloud.graph}/.default"
        source = ClientCredentials(self._login, path, settings.client_id, settings.client_secret, scope)
        self._api = authorized(self._client, source)

    def find(self, name: str) -> list[Document]:
        """The users whose userPrincipalName or mail is this (Graph ignores case): `id` and both names of each."""
        quoted = name.replace("'", "''")  # OData 4.01 URL conventions 5.1.1.6.1: a quote in a literal is doubled
        wanted = f"userPrincipalName eq '{quoted}' or mail eq '{quoted}'"
        return self._collection("/users", {"$filter": wanted, "$select": ",".join(_USER[:3]), "$top": "20"})

    def user(self, user: str) -> Document:
        """One user, by its object id. Raises NotFound."""
        try:
            found = self._api.get(_user(user), params={"$select": ",".join(_USER)}, accept=(200,)).json()
        except HttpError as error:
            if error.status == 404 and "Request_ResourceNotFound" in error.excerpt:
                raise NotFound(f"{user} is the object id of no user in this tenant.") from None
            raise _fault(error, _READ_RIGHTS) from None
        if not isinstance(found, dict) or str(found.get("id")).lower() != user.lower():
            raise BackendError("Microsoft Graph answered with something else than the user asked for.")
        return found

    def memberships(self, user: str) -> list[Document]:
        """Groups, directory roles in effect, and administrative units; through groups of groups too."""
        return self._collection(f"{_user(user)}/transitiveMemberOf", {"$top": "999"})

    def assigned_roles(self, user: str) -> list[Document]:
        """Role assignments made to the user itself, custom roles and roles over a part of the directory included."""
        return self._collection("/roleManagement/directory/roleAssignments", _roles_of(user))

    def eligible_roles(self, user: str) -> list[Document]:
        """Roles that the user may switch on (Privileged Identity Management); none where that is not licensed."""
        try:
            return self._collection("/roleManagement/directory/roleEligibilitySchedules", _roles_of(user))
        except _Refusal as refusal:
            if _NO_LICENCE in refusal.excerpt:
                return []
            raise

    def enable(self, user: str, enabled: bool) -> None:
        """Set accountEnabled. Raises AnswerLost where it may have been set."""
        self._change("PATCH", _user(user), accept=(204,), json={"accountEnabled": enabled})

    def revoke_sessions(self, user: str) -> None:
        """Refuse refresh tokens and browser sessions issued until now. Some tenants answer another 2xx than 200."""
        self._change("POST", f"{_user(user)}/revokeSignInSessions", accept=(200, 202, 204))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._login.close()

    def _collection(self, path: str, params: dict[str, str] | None) -> list[Document]:
        found: list[Document] = []
        for _ in range(_MOST_PAGES):
            page = self._page(path, params)
            found += page["value"]
            link = page.get("@odata.nextLink")
            if not link:
                return found
            path, params = self._next(str(link))
        raise BackendError(f"Microsoft Graph has more than {_MOST_PAGES} pages of {path}; nothing was done.")

    def _page(self, path: str, params: dict[str, str] | None) -> Document:
        try:
            page = self._api.get(path, params=params, accept=(200,)).json()
        except HttpError as error:
            raise _fault(error, _READ_RIGHTS) from None
        values = page.get("value") if isinstance(page, dict) else None
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise BackendError("Microsoft Graph answered with something else than a list; check entra_cloud.")
        return dict(page)

    def _next(self, link: str) -> tuple[str, dict[str, str]]:
        """The next page as path and query; the token is sent to nobody but Graph, whatever a page says."""
        if not link.startswith(f"{self.url}/"):
            raise BackendError("Microsoft Graph named a next page at another address; it was not asked for.")
        parts = urlsplit(link.removeprefix(self.url))
        return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))

    def _change(self, method: str, path: str, **options: Any) -> None:
        try:
            change(self._api, self._clock, method, path, **options)
        except HttpError as error:
            raise _fault(error, _CHANGE_RIGHTS) from None


class _Refusal(BackendError):
    """What Graph refused, with the beginning of what it said."""

    def __init__(self, text: str, excerpt: str):
        super().__init__(text)
        self.excerpt = excerpt


def _fault(error: HttpError, rights: str) -> BackendError:
    hint = next((text for code, text in _TOKEN_FAULTS if re.search(rf"{code}\b", error.excerpt)), "")
    if not hint and error.status == 403:
        hint = rights
    return _Refusal(f"{error} {hint}".strip(), error.excerpt)


def _user(user: str) -> str:
    return f"/users/{segment(user)}"


def _roles_of(user: str) -> dict[str, str]:
    quoted = user.replace("'", "''")
    return {"$filter": f"principalId eq '{quoted}'", "$expand": "roleDefinition"}
