"""The edge to Okta's management API: one org, with one API token.

From Okta's own description (okta-management-openapi-spec, 2026.06.3): a path takes an id, a login or a short name that
happens to be unambiguous, so only ids are put into paths and what comes back is compared; logins with a `/` are found
by search alone; search ignores case and may lag behind, so nothing but the id is taken from it; a user is read by id,
which is up to date. The rate limit's header is that of Okta's guide "Rate limit best practices".
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError, NotFound
from propolis.containment.change import change
from propolis.http import HttpError, Response, segment, session

_USERS = "/api/v1/users"
_RENEW = (
    "Make a new token and enter it in okta_token: it was revoked, was unused for 30 days, or the person or service "
    "account that made it was deactivated."
)
_RIGHTS = (
    "The admin whose token this is needs a role that may view users, groups and role assignments, suspend and "
    "unsuspend users, and clear sessions."
)

Document = dict[str, Any]


class Settings(NamedTuple):
    """Which org, and with which token."""

    url: str
    token: str
    ca_file: str | None
    proxy: str | None
    timeout: float
    """Seconds for each answer."""


class Okta:
    """One org. Every method raises BackendError with one sentence."""

    def __init__(self, settings: Settings, clock: Clock):
        self._clock = clock
        self._api = session(
            settings.url,
            headers={"Authorization": f"SSWS {settings.token}"},
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.token],
            name="okta_url",
        )

    def find(self, names: tuple[str, ...]) -> list[Document]:
        """The users whose login or primary mail address is one of these, as the index of the search knows them."""
        # RFC 7644 3.4.2.2, which Okta's search follows: a value is written as JSON writes it
        texts = [json.dumps(name, ensure_ascii=False) for name in names]
        wanted = " or ".join(f"profile.{field} eq {text}" for text in texts for field in ("login", "email"))
        return self._list(_USERS, {"search": wanted, "limit": "20"})

    def user(self, user: str) -> Document:
        """One user, by its id. Raises NotFound, also where Okta takes the id for somebody's login."""
        try:
            found = self._api.get(_user(user), accept=(200,)).json()
        except HttpError as error:
            if error.status == 404 and "E0000007" in error.excerpt:
                raise NotFound(f"{user} is the id of no user in this org.") from None
            raise _fault(error) from None
        if not isinstance(found, dict) or not isinstance(found.get("id"), str):
            raise BackendError("Okta answered with something else than a user; check okta_url.")
        if user not in ("me", found["id"]):
            raise NotFound(f"{user} is the id of no user in this org.")
        return found

    def roles(self, user: str) -> list[Document]:
        """The administrative roles assigned to a user, those of its groups included."""
        return self._list(_user(user, "roles"))

    def groups(self, user: str) -> list[Document]:
        """The groups a user is in; Okta's groups do not nest."""
        return self._list(_user(user, "groups"))

    def suspend(self, user: str) -> None:
        """Suspend an ACTIVE user. Raises AnswerLost where it may have been done."""
        self._change("POST", _user(user, "lifecycle", "suspend"), accept=(200,))

    def unsuspend(self, user: str) -> None:
        """Make a SUSPENDED user ACTIVE again. Raises AnswerLost where it may have been done."""
        self._change("POST", _user(user, "lifecycle", "unsuspend"), accept=(200,))

    def end_sessions(self, user: str) -> None:
        """End a user's sessions at Okta, the tokens given to applications, and factors that devices remember."""
        params = {"oauthTokens": "true", "forgetDevices": "true"}
        self._change("DELETE", _user(user, "sessions"), params=params, accept=(204,))

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _list(self, path: str, params: dict[str, str] | None = None) -> list[Document]:
        try:
            response = self._api.get(path, params=params, accept=(200,))
            found = response.json()
        except HttpError as error:
            raise _fault(error) from None
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise BackendError("Okta answered with something else than a list; check okta_url.")
        check_complete(response)
        return found

    def _change(self, method: str, path: str, **options: Any) -> None:
        try:
            change(self._api, self._clock, method, path, **options)
        except HttpError as error:
            raise _fault(error) from None


def check_complete(response: Response) -> None:
    """Nothing, if a list came whole. Raises BackendError where more of it is on a next page, which is not read."""
    if 'rel="next"' in response.headers.get("Link", ""):
        raise BackendError(f"{response.where} has more than one page, which is more than this reads; nothing was done.")


def _fault(error: HttpError) -> BackendError:
    hint = {401: _RENEW, 403: _RIGHTS}.get(error.status or 0, "")
    return BackendError(f"{error} {hint}".strip())


def _user(user: str, *more: str) -> str:
    return "/".join((_USERS, segment(user), *more))
