"""Suspend accounts in Okta, then end their sessions.

Only an ACTIVE user can be suspended, and only a SUSPENDED one is made ACTIVE again: every other state is explained and
left alone, and nothing is ever deactivated, as that takes application assignments away for good. No mark is left: who
may write a profile attribute may also write logins and mail addresses, which is the way to take an account over.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple
from urllib.parse import urlsplit

from propolis.clock import Clock
from propolis.containment.backend import (
    Ambiguous,
    Backend,
    BackendError,
    Effect,
    NotFound,
    Status,
    Subject,
    Target,
    Terms,
)
from propolis.containment.change import AnswerLost, safe_url, settled
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError

from .account import parse_account
from .guard import UNSEEN
from .okta_api import Document, Okta, Settings

_ID = re.compile(r"00u[0-9A-Za-z]{17}")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_ACTIVE, _SUSPENDED, _DEACTIVATED = "ACTIVE", "SUSPENDED", "DEPROVISIONED"
_ELSEWHERE = ("ACTIVE_DIRECTORY", "LDAP", "FEDERATION", "SOCIAL")  # AuthenticationProviderType, without Okta's own
_CANNOT = {
    "LOCKED_OUT": "it is locked out: unlock it in Okta with a new password, then start this again",
    "PASSWORD_EXPIRED": "its password has expired: set a new one in Okta, then start this again",
    "RECOVERY": "its password is being recovered: end that in Okta, then start this again",
    "PROVISIONED": "it is activated and was never set up: deactivate it in Okta, where nothing is lost yet",
    "STAGED": "it was never activated, and nobody can sign in with it",
}
"""State -> why Okta would not suspend it, and what to do."""
_ENDED = (
    "Sessions at Okta, OpenID Connect and OAuth tokens, and factors that devices remember, as Okta says (it shows no "
    "list of them)."
)
REMAINING = (
    "Sessions that web and native applications keep themselves go on until they ask Okta again.",
    "Access tokens are good until they end wherever a service checks only their signature.",
    "The password and the enrolled factors were not changed: look for added ones, and reset the password, before the "
    "account is unsuspended.",
)


class _Held(NamedTuple):
    groups: tuple[str, ...] = ()
    """Names and ids."""
    roles: tuple[str, ...] = ()
    """Types and labels."""
    own: bool = False
    unseen: str = ""
    """Why this could not be read; nobody is suspended then."""


class OktaBackend(Backend):
    """One org."""

    name = "okta"
    kinds = ("account",)
    expires = False
    marks = False

    def __init__(self, settings: Settings, clock: Clock, *, domain: str = ""):
        self._okta = Okta(settings, clock)
        self._url = settings.url
        self._domain = domain

    @property
    def where(self) -> str:
        return f"Okta at {self._url}"

    def status(self, target: Target) -> Status:
        user = self._find(target)
        contained = _state(user) in (_SUSPENDED, _DEACTIVATED)
        held = _Held() if contained else self._held(user["id"])
        seen = f"user {_profile(user)['login']} is {_state(user)}"
        seen += f"; {held.unseen}" if held.unseen else ""
        return Status(_subject(user, held), contained, detail=seen)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        one, name = status.subject.id, status.subject.name
        user = self._okta.user(one)
        if _state(user) in (_SUSPENDED, _DEACTIVATED):
            if status.contained:
                return Effect(f"{name} was {_state(user)} already, not by us, and was left as it is")
            raise BackendError(f"{name} was made {_state(user)} by somebody else just now; nothing was done.")
        _check_state(user)
        done = settled(
            lambda: self._okta.suspend(one),
            lambda: _state(self._okta.user(one)) == _SUSPENDED,
            f"suspended user {name} (id {one})",
        )
        ended, left = self._end_sessions(one)
        return Effect(done, ended, (*left, *_elsewhere(user), *REMAINING))

    def release(self, target: Target, status: Status) -> Effect:
        one, name = status.subject.id, status.subject.name
        state = _state(self._okta.user(one))
        if state == _DEACTIVATED:
            raise BackendError(f"{name} was deactivated meanwhile, which is not ours to take back; nothing was done.")
        if state != _SUSPENDED:
            return Effect(f"{name} was not suspended any more (it is {state})")
        done = settled(
            lambda: self._okta.unsuspend(one),
            lambda: _state(self._okta.user(one)) == _ACTIVE,
            f"unsuspended user {name} (id {one})",
        )
        return Effect(done, remaining=("Sessions that were ended stay so: the user signs in again.",))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        _check_state(self._okta.user(status.subject.id))
        path = f"{self._url}/api/v1/users/{status.subject.id}"
        return (
            f"POST {path}/lifecycle/suspend (user {status.subject.name}), then "
            f"DELETE {path}/sessions?oauthTokens=true&forgetDevices=true"
        )

    def close(self) -> None:
        self._okta.close()

    def _find(self, target: Target) -> Document:
        if _ID.fullmatch(target.value):
            return self._okta.user(target.value)
        names = self._names(target)
        found = {str(user.get("id")): user for user in self._okta.find(names) if _is_called(user, names)}
        if not found:
            raise NotFound(f"{' or '.join(names)} is no user of {self.where}, by login or mail; check the spelling.")
        if len(found) > 1:
            raise Ambiguous(target, [f"{_profile(user).get('login')} (id {one})" for one, user in found.items()])
        user = self._okta.user(next(iter(found)))
        if not _is_called(user, names):
            raise NotFound(f"{' or '.join(names)} was the name of {_profile(user).get('login')}, which was renamed.")
        return user

    def _names(self, target: Target) -> tuple[str, ...]:
        """What is searched: the name as it is, and with the configured domain where it has none."""
        name = parse_account(target.value)
        if name.domain:
            raise NotFound(f"{name.text} is a name of the Windows domain {name.domain}: Okta knows users by login.")
        return (name.text,) if name.realm or not self._domain else (name.text, f"{name.text}@{self._domain}")

    def _held(self, user: str) -> _Held:
        try:
            groups = [(_group_name(group), str(group.get("id") or "")) for group in self._okta.groups(user)]
            roles = [(str(role.get("type") or "role"), str(role.get("label") or "")) for role in self._okta.roles(user)]
            return _Held(_flat(groups), _flat(roles), own=user == self._own)
        except BackendError as error:
            return _Held(unseen=str(error))

    @cached_property
    def _own(self) -> str:
        """The id of the user whose token this is."""
        return str(self._okta.user("me")["id"])

    def _end_sessions(self, user: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was ended and what was not; the user is suspended already, and a failure here does not undo that."""
        try:
            self._okta.end_sessions(user)
        except AnswerLost as error:
            return (), (f"Whether sessions ended is NOT known, and Okta does not show it: end them by hand. {error}",)
        except BackendError as error:
            return (), (f"Sessions NOT ended: end them by hand in Okta. {error}",)
        return (_ENDED,), ()


def _check_state(user: Document) -> None:
    """Nothing, if Okta would suspend the user. Raises BackendError that explains the state."""
    name, state, next_state = _profile(user)["login"], _state(user), user.get("transitioningToStatus")
    if next_state:
        raise BackendError(f"{name} is just becoming {next_state} in Okta: start this again when that is done.")
    if state != _ACTIVE:
        why = _CANNOT.get(state, "Okta suspends only users that are ACTIVE")
        raise BackendError(f"{name} is {state} in Okta and was not suspended: {why}.")


def _state(user: Document) -> str:
    state = user.get("status")
    if not isinstance(state, str) or not state or not _profile(user).get("login"):
        raise BackendError("Okta does not show the user's status and login: let the token's admin view users.")
    return state


def _profile(user: Document) -> Document:
    profile = user.get("profile")
    return profile if isinstance(profile, dict) else {}


def _is_called(user: Document, names: tuple[str, ...]) -> bool:
    """Whether one of these is the user's login or mail address, whole; in whatever case, as Okta has it."""
    wanted = {name.casefold() for name in names}
    return bool(wanted & {str(_profile(user).get(field)).casefold() for field in ("login", "email")})


def _group_name(group: Document) -> str:
    name = _profile(group).get("name")
    if not isinstance(name, str) or not name:
        raise BackendError("Okta does not show the names of groups: let the token's admin view groups.")
    return name


def _elsewhere(user: Document) -> tuple[str, ...]:
    """Where the password is checked by somebody else, who still takes it."""
    credentials = user.get("credentials")
    provider = credentials.get("provider") if isinstance(credentials, dict) else None
    if not isinstance(provider, dict) or provider.get("type") not in _ELSEWHERE:
        return ()
    whose = f"{provider['type']} {provider.get('name') or ''}".rstrip()
    return (f"Its password is that of {whose}: disable the account there too.",)


def _flat(pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for pair in pairs for text in pair if text))


def _subject(user: Document, held: _Held) -> Subject:
    profile = _profile(user)
    names = (str(profile["login"]), str(profile.get("email") or ""))
    return Subject(
        id=str(user["id"]),
        name=names[0],
        names=tuple(dict.fromkeys(name for name in names if name)),
        ids=(str(user["id"]),),
        groups=held.groups,
        types=("user", *((UNSEEN,) if held.unseen else ())),
        tags=held.roles,
        privileged=bool(held.roles or held.unseen),
        own=held.own,
    )


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        url=_org(items.text("okta_url")),
        token=items.text("okta_token", strip=False),
        ca_file=items.optional_text("okta_ca_file"),
        proxy=workbench.proxy if items.flag("okta_use_proxy", True) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    domain = items.text("okta_domain", "").removeprefix("@")
    if domain and not _DOMAIN.fullmatch(domain):
        raise ConfigurationError("must be a domain, such as example.org.", path="configuration item okta_domain")
    return OktaBackend(settings, workbench.clock, domain=domain)


def _org(text: str) -> str:
    url = safe_url(text, "okta_url")
    host = (urlsplit(url).hostname or "").partition(".")[0]
    if host.endswith("-admin") or urlsplit(url).path:
        raise ConfigurationError(
            "must be the org's own address, such as https://example.okta.com, without -admin and without a path.",
            path="configuration item okta_url",
        )
    return url
