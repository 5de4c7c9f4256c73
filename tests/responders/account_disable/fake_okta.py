"""An Okta org that remembers: as much of the management API as AccountDisable uses.

Written from Okta's own description (okta-management-openapi-spec, dist/current/management-minimal.yaml, 2026.06.3) and
its guide on rate limits: a path takes an id, a login or an unambiguous short name; search ignores case and answers from
an index that may lag behind; only an ACTIVE user can be suspended and only a SUSPENDED one unsuspended; revoked
sessions show nowhere; roles given by groups show among a user's. Assumed: that a state which does not fit answers 400
with E0000001. Nothing here was seen on the product.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from failing_front import Asked, Told

TOKEN = "00okta-t0ken-of-the-lab"
_TERM = re.compile(r'profile\.(login|email) eq ("(?:[^"\\]|\\.)*")')

Document = dict[str, Any]


@dataclass
class User:
    """One user with everything that hangs on it."""

    document: Document
    indexed: Document
    """What the search knows."""
    groups: list[Document] = field(default_factory=list)
    roles: list[Document] = field(default_factory=list)
    sessions: int = 1
    tokens: int = 1


def group(name: str | None) -> Document:
    """A group, with its name or, where it may not be seen, without."""
    return {"id": f"00g-{name}", "type": "OKTA_GROUP", "profile": {"name": name} if name else {}}


def role(kind: str, label: str, by: str = "USER") -> Document:
    """An administrative role's assignment."""
    return {"id": "ra1", "type": kind, "label": label, "status": "ACTIVE", "assignmentType": by}


class FakeOkta:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.owner = ""
        """The id of the user whose token is used."""
        self.sessions_fail = False
        self.roles_readable = True

    def add(self, login: str, status: str = "ACTIVE", **more: Any) -> User:
        """A new user."""
        one = more.pop("id", f"00u{len(self.users):017d}")
        document = {
            "id": one, "status": status, "created": "2025-01-01T00:00:00.000Z", "transitioningToStatus": None,
            "profile": {"login": login, "email": more.pop("email", login), "firstName": "Some", "lastName": "Body"},
            "credentials": {"provider": {"type": "OKTA", "name": "OKTA"}},
        }  # fmt: skip
        self.users[one] = User(document, json.loads(json.dumps(document)), **more)
        return self.users[one]

    def user(self, login: str) -> User:
        """A user by its login."""
        return next(user for user in self.users.values() if user.document["profile"]["login"] == login)

    def answer(self, asked: Asked) -> Told:
        """What Okta answers."""
        parts = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"SSWS {TOKEN}":
            return _error(401, "E0000011", "Invalid token provided")
        steps = [unquote(step) for step in parts.path.split("/")[4:]]
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if not steps:
            return self._search(query)
        user = self._named(steps[0])
        if user is None:
            return _error(404, "E0000007", f"Not found: Resource not found: {steps[0]} (User)")
        return self._of_user(asked.method, user, steps[1:], query)

    def _named(self, text: str) -> User | None:
        """By id, by login, or by what stands before the @ of one login only."""
        if text == "me":
            return self.users[self.owner]
        if text in self.users:
            return self.users[text]
        logins = {user.document["profile"]["login"].lower(): user for user in self.users.values()}
        short = [user for login, user in logins.items() if login.split("@")[0] == text.lower()]
        return logins.get(text.lower()) or (short[0] if len(short) == 1 else None)

    def _search(self, query: Document) -> Told:
        text = query.get("search", "")
        if not re.fullmatch(rf"{_TERM.pattern}( or {_TERM.pattern})*", text):
            return _error(400, "E0000031", "Invalid search criteria.")
        wanted = [(term[1], json.loads(term[2]).lower()) for term in _TERM.finditer(text)]
        found = [
            user.indexed for user in self.users.values()
            if any(user.indexed["profile"][name].lower() == text for name, text in wanted)
        ]  # fmt: skip
        return _told(200, found[: int(query["limit"])])

    def _of_user(self, method: str, user: User, rest: list[str], query: Document) -> Told:
        reads = {"": user.document, "groups": user.groups, "roles": user.roles}
        where = "/".join(rest)
        if method == "GET" and where in reads:
            if where == "roles" and not self.roles_readable:
                return _error(403, "E0000006", "You do not have permission to perform the requested action")
            return _told(200, reads[where])
        if method == "DELETE" and where == "sessions":
            return self._end_sessions(user, query)
        moves = {"lifecycle/suspend": ("ACTIVE", "SUSPENDED"), "lifecycle/unsuspend": ("SUSPENDED", "ACTIVE")}
        if method == "POST" and where in moves:
            return _move(user, *moves[where])
        return _error(405, "E0000022", "The endpoint does not support the provided HTTP method")

    def _end_sessions(self, user: User, query: Document) -> Told:
        if self.sessions_fail:
            return _error(403, "E0000006", "You do not have permission to perform the requested action")
        user.sessions = 0
        if query.get("oauthTokens") == "true":
            user.tokens = 0
        return Told(204, b"")


def _move(user: User, before: str, after: str) -> Told:
    if user.document["status"] != before:
        return _error(400, "E0000001", "Api validation failed: Cannot suspend a user that is not active")
    user.document["status"] = after
    return _told(200, {})


def _error(status: int, code: str, summary: str) -> Told:
    return _told(
        status, {"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "o1", "errorCauses": []}
    )


def _told(status: int, body: Any) -> Told:
    return Told(status, json.dumps(body).encode())
