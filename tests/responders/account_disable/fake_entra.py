"""An Entra ID tenant that remembers: its token endpoint and as much of Microsoft Graph v1.0 as AccountDisable uses.

Written from Microsoft's documentation (microsoft-graph-docs-contrib, api-reference/v1.0: user-get, user-list,
user-update, user-revokesigninsessions, user-list-transitivememberof, includes/limited-info,
rbacapplication-list-roleassignments and -list-roleeligibilityschedules; the identity platform's page on client
credentials) and from its article "Designing for Eventual Consistency for Microsoft Entra": properties come only when
selected, names without a right to read them are null, a change is accepted before every replica shows it. Nothing here
was seen on the product.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from failing_front import Asked, Told

from propolis.clock import Clock, utc_text

TENANT = "5c1f3a52-6c1c-4f0e-9d35-2f3f1a1f9b10"
CLIENT, SECRET = "0f2b8a7c-4d53-4c6a-8a61-6c1f5a5d0e11", "3ntra~s3cret.of-the_lab"
GLOBAL_ADMIN = "62e90394-69f5-4237-9190-012177145e10"
_DEFAULT = ("id", "userPrincipalName", "mail", "displayName")
_LITERAL = re.compile(r"(\w+) eq '((?:[^']|'')*)'")

Document = dict[str, Any]


@dataclass
class User:
    """One user with everything that hangs on it."""

    document: Document
    belongs: list[Document] = field(default_factory=list)
    """What transitiveMemberOf answers."""
    assigned: list[Document] = field(default_factory=list)
    eligible: list[Document] = field(default_factory=list)
    old: Document = field(default_factory=dict)
    """What replicas that lag behind still show."""
    lag: int = 0
    """How many more reads a replica that lags behind will answer."""


def group(name: str | None, *, for_roles: bool | None = None) -> Document:
    """A membership in a group; a name of None is one that the app may not read."""
    one = str(uuid.uuid5(uuid.NAMESPACE_DNS, name or "hidden"))
    return {"@odata.type": "#microsoft.graph.group", "id": one, "displayName": name, "isAssignableToRole": for_roles}


def directory_role(name: str | None, template: str | None) -> Document:
    """A membership in a role that is in effect."""
    return {"@odata.type": "#microsoft.graph.directoryRole", "id": str(uuid.uuid4()), "displayName": name,
            "roleTemplateId": template}  # fmt: skip


def role(name: str, definition: str, scope: str = "/") -> Document:
    """An assignment or an eligibility, its definition expanded."""
    return {"id": "a-1", "roleDefinitionId": definition, "directoryScopeId": scope,
            "roleDefinition": {"id": definition, "displayName": name, "templateId": definition}}  # fmt: skip


class FakeEntra:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.users: dict[str, User] = {}
        self.tokens: set[str] = set()
        self.logins: list[Document] = []
        self.lag = 0
        """Reads of a changed user that still show it as it was."""
        self.page = 100
        self.next_base = ""
        """Where the next pages are said to be; set to the front's address."""
        self.premium = True
        self.roles_readable = True
        self.revoked_with = 200
        self.revocation_fails = False
        self.revocation_shows = True
        self.login_fault = ""

    def add(self, name: str, **more: Any) -> User:
        """A new user."""
        one = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        held = {key: more.pop(key) for key in ("belongs", "assigned", "eligible") if key in more}
        document = {
            "id": one, "userPrincipalName": name, "mail": name, "displayName": "Some Body", "accountEnabled": True,
            "userType": "Member", "onPremisesSyncEnabled": None, "onPremisesSamAccountName": None,
            "onPremisesSecurityIdentifier": None, "securityIdentifier": f"S-1-12-1-{len(self.users)}-2-3-4",
            "signInSessionsValidFromDateTime": "2025-11-05T08:00:00Z", **more,
        }  # fmt: skip
        self.users[one] = User(document, **held)
        return self.users[one]

    def user(self, name: str) -> User:
        """A user by its userPrincipalName."""
        return next(user for user in self.users.values() if user.document["userPrincipalName"] == name)

    def answer(self, asked: Asked) -> Told:
        """What the login endpoint or Graph answers."""
        parts = urlsplit(asked.target)
        if parts.path == f"/{TENANT}/oauth2/v2.0/token":
            return self._token(dict(parse_qsl(asked.body.decode())))
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _fault(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
        steps = [unquote(step) for step in parts.path.removeprefix("/v1.0/").split("/")]
        return self._route(asked, steps, dict(parse_qsl(parts.query, keep_blank_values=True)))

    def _route(self, asked: Asked, steps: list[str], query: Document) -> Told:
        if steps[0] == "roleManagement":
            return self._roles(steps[-1], query)
        if steps == ["users"]:
            return self._search(query)
        user = self.users.get(steps[1].lower())
        if user is None:
            return _fault(404, "Request_ResourceNotFound", f"Resource '{steps[1]}' does not exist.")
        return self._of_user(asked, user, steps[2:], query)

    def _token(self, form: Document) -> Told:
        self.logins.append(form)
        right = form.get("client_id") == CLIENT and form.get("client_secret") == SECRET
        if self.login_fault or not right or form.get("grant_type") != "client_credentials":
            text = self.login_fault or "AADSTS7000215: Invalid client secret provided."
            return _told(401, {"error": "invalid_client", "error_description": f"{text}\r\nTrace ID: 1", "codes": [1]})
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return _told(200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})

    def _search(self, query: Document) -> Told:
        """Only `name eq 'text' or ...`; text is not distinguished by case."""
        text = query["$filter"]
        if not re.fullmatch(rf"{_LITERAL.pattern}( or {_LITERAL.pattern})*", text):
            return _fault(400, "Request_UnsupportedQuery", "Invalid filter clause")
        wanted = [(match[1], match[2].replace("''", "'").lower()) for match in _LITERAL.finditer(text)]
        found = [
            user for user in self.users.values()
            if any(str(user.document[name]).lower() == text for name, text in wanted)
        ]  # fmt: skip
        return _told(200, {"value": [_selected(user.document, query) for user in found]})

    def _of_user(self, asked: Asked, user: User, rest: list[str], query: Document) -> Told:
        if asked.method == "GET" and not rest:
            return _told(200, _selected(self._replica(user), query))
        if asked.method == "GET" and rest == ["transitiveMemberOf"]:
            return self._belongs(user, query)
        if asked.method == "PATCH" and not rest:
            return self._patch(user, json.loads(asked.body))
        if asked.method == "POST" and rest == ["revokeSignInSessions"]:
            return self._revoke(user)
        return _fault(400, "Request_BadRequest", "Resource not found for the segment.")

    def _replica(self, user: User) -> Document:
        if user.lag > 0:
            user.lag -= 1
            return user.old
        return user.document

    def _belongs(self, user: User, query: Document) -> Told:
        start = int(query.get("$skiptoken", "0"))
        page: Document = {"value": user.belongs[start : start + self.page]}
        if start + self.page < len(user.belongs):
            path = f"/v1.0/users/{user.document['id']}/transitiveMemberOf"
            page["@odata.nextLink"] = f"{self.next_base}{path}?$top=999&$skiptoken={start + self.page}"
        return _told(200, page)

    def _roles(self, kind: str, query: Document) -> Told:
        match = _LITERAL.fullmatch(query["$filter"])
        if not self.roles_readable or match is None or match[1] != "principalId":
            return _fault(403, "UnauthorizedAccessException", "Attempted to perform an unauthorized operation.")
        user = self.users[match[2]]
        if kind == "roleAssignments":
            return _told(200, {"value": user.assigned})
        if not self.premium:
            return _fault(400, "AadPremiumLicenseRequired", "The tenant needs an AAD Premium 2 license.")
        return _told(200, {"value": user.eligible})

    def _patch(self, user: User, body: Document) -> Told:
        if any(one["@odata.type"].endswith("Role") for one in user.belongs):
            return _fault(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        self._write(user, body)
        return Told(204, b"")

    def _revoke(self, user: User) -> Told:
        if self.revocation_fails:
            return _fault(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        if self.revocation_shows:
            self._write(user, {"signInSessionsValidFromDateTime": utc_text(self._clock.now())})
        return _told(self.revoked_with, {"value": True}) if self.revoked_with != 204 else Told(204, b"")

    def _write(self, user: User, changes: Document) -> None:
        if user.lag == 0:
            user.old = dict(user.document)
        user.lag = self.lag
        user.document |= changes


def _selected(document: Document, query: Document) -> Document:
    names = query["$select"].split(",") if "$select" in query else _DEFAULT
    return {name: document[name] for name in names}


def _fault(status: int, code: str, message: str) -> Told:
    return _told(status, {"error": {"code": code, "message": message, "innerError": {"request-id": "1"}}})


def _told(status: int, body: Any) -> Told:
    return Told(status, json.dumps(body).encode())
