"""Disable accounts in Microsoft Entra ID: accountEnabled set to false, then the user's sessions revoked.

The directory answers reads from replicas, so that a read after a change may still show the old value ("Designing for
Eventual Consistency for Microsoft Entra", Microsoft's identity blog, 2026-03): after a change of its own this backend
looks a few times more before it says what it saw, and never takes the accepted change for the proof.

No mark is left: what may switch an account off (User.EnableDisableAccount.All) may write no text, and every permission
that may write one is far wider. The app that this works as is no user, so it cannot become its own target.
"""

from __future__ import annotations

import re
from collections.abc import Callable

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
from propolis.containment.change import settled
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError

from .account import parse_account
from .entra_graph import CLOUDS, Document, Graph, Settings
from .entra_rights import NOTHING, Held, held_by
from .guard import UNSEEN

_LOOKS = (1.0, 2.0, 4.0, 8.0)  # seconds between the looks that a replica gets to show a change of ours
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_EXTERNAL = "#ext#"  # in the userPrincipalName of everybody whose account lives in another tenant
_SINCE = "signInSessionsValidFromDateTime"
REMAINING = (
    "Access tokens issued already are good until they end (about an hour) wherever a service does not ask Entra ID "
    "meanwhile; services with Continuous Access Evaluation (Exchange Online, SharePoint Online, Teams) refuse them "
    "within minutes.",
    "Sessions that applications keep themselves, and desktops that are signed in, go on: isolate the machine, or end "
    "them there.",
    "The password, the authentication methods and the consents were not changed: look for added ones, and reset the "
    "password, before the account is enabled again.",
)
_SYNCED = "This account comes from Active Directory, which wins with the next synchronisation: do the same there."


class Entra(Backend):
    """One tenant."""

    name = "entra"
    kinds = ("account",)
    expires = False
    marks = False

    def __init__(self, settings: Settings, clock: Clock, *, domain: str = "", allow_synced: bool = False):
        self._graph = Graph(settings, clock)
        self._clock = clock
        self._tenant = settings.tenant
        self._domain = domain
        self._allow_synced = allow_synced
        self._changed = ("", False)
        """The user that this backend changed last, and the accountEnabled that it set."""

    @property
    def where(self) -> str:
        return f"Entra ID tenant {self._tenant}"

    def status(self, target: Target) -> Status:
        user = self._find(target)
        changed, enabled = self._changed
        if changed == user["id"]:
            user = self._look(changed, _says(enabled))
        contained = not _enabled(user)
        held = NOTHING if contained else held_by(self._graph, user["id"])
        seen = f"user {user['userPrincipalName']} is {'disabled' if contained else 'enabled'}"
        seen += " (synchronised from Active Directory)" if _synced(user) else ""
        seen += f"; {held.unseen}" if held.unseen else ""
        return Status(_subject(user, held), contained, detail=seen)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        user = self._graph.user(status.subject.id)
        if not _enabled(user) and status.contained:
            return Effect(f"{status.subject.name} was disabled already, not by us, and was left as it is")
        if not _enabled(user):
            raise BackendError(f"{status.subject.name} was disabled by somebody else just now; nothing was done.")
        self._check_source(user)
        done = self._set(user, False)
        ended, left = self._end_sessions(user)
        return Effect(done, ended, (*left, *_source(user), *REMAINING))

    def release(self, target: Target, status: Status) -> Effect:
        user = self._graph.user(status.subject.id)
        done = self._set(user, True)  # also where this read says enabled: it may come from a replica that lags behind
        return Effect(done, remaining=("Sessions that were revoked stay so: the user signs in again.", *_source(user)))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        user = self._graph.user(status.subject.id)
        self._check_source(user)
        path = f"{self._graph.url}/users/{status.subject.id}"
        revoke = "" if _external(user) else f", then POST {path}/revokeSignInSessions"
        return f'PATCH {path} {{"accountEnabled": false}} (user {status.subject.name}){revoke}'

    def close(self) -> None:
        self._graph.close()

    def _find(self, target: Target) -> Document:
        if _GUID.fullmatch(target.value):
            return _readable(self._graph.user(target.value))
        wanted = self._full_name(target)
        found = [user for user in self._graph.find(wanted) if _is_called(user, wanted)]
        if not found:
            raise NotFound(f"{wanted} is no user of {self.where}, by userPrincipalName or mail; check the spelling.")
        if len(found) > 1:
            raise Ambiguous(target, [f"{user.get('userPrincipalName')} (id {user.get('id')})" for user in found])
        user = _readable(self._graph.user(str(found[0].get("id"))))
        if not _is_called(user, wanted):
            raise NotFound(f"{wanted} was the name of {user['userPrincipalName']}, which was renamed.")
        return user

    def _full_name(self, target: Target) -> str:
        name = parse_account(target.value)
        if name.domain:
            raise NotFound(
                f"{name.text} is a name of the Windows domain {name.domain}: Entra ID knows users as name@domain."
            )
        if name.realm:
            return name.text
        if not self._domain:
            raise NotFound(f"{name.text} names no domain: give name@domain, or set entra_domain to what is to follow.")
        return f"{name.user}@{self._domain}"

    def _check_source(self, user: Document) -> None:
        if _synced(user) and not self._allow_synced:
            raise BackendError(
                f"{user.get('userPrincipalName')} comes from Active Directory, which wins with the next "
                "synchronisation: disable it there (backend activedirectory), or set entra_allow_synced to true and do "
                "both."
            )

    def _set(self, user: Document, enabled: bool) -> str:
        one, word = str(user["id"]), "true" if enabled else "false"
        done = settled(
            lambda: self._graph.enable(one, enabled),
            lambda: _says(enabled)(self._look(one, _says(enabled))),
            f"set accountEnabled to {word} for user {user.get('userPrincipalName')} (id {one})",
        )
        self._changed = (one, enabled)
        return done

    def _look(self, user: str, shows: Callable[[Document], bool]) -> Document:
        """The user once it shows a change of ours, or as it still is when enough time was given."""
        seen = self._graph.user(user)
        for pause in _LOOKS:
            if shows(seen):
                break
            self._clock.sleep(pause)
            seen = self._graph.user(user)
        return seen

    def _end_sessions(self, user: Document) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was ended and what was not; the user is disabled already, and a failure here does not undo that."""
        if _external(user):
            return (), ("NOT ended: sessions in the guest's own tenant. Only its administrators can revoke them.",)
        one, before = str(user["id"]), user.get(_SINCE)
        shows = _since_another(before)
        try:
            settled(lambda: self._graph.revoke_sessions(one), lambda: shows(self._look(one, shows)), "")
            since = self._look(one, shows)
        except BackendError as error:
            return (), (f"Sessions NOT ended, or not seen to be: revoke them by hand in Entra ID. {error}",)
        if not shows(since):
            return (), (f"Entra ID took the revocation of sessions and does not show it yet ({_SINCE} is {before}).",)
        return (f"Refresh tokens and browser sessions from before {since[_SINCE]}, within minutes.",), ()


def _is_called(user: Document, name: str) -> bool:
    """Whether this is the user's name or mail address, whole; in whatever case, as Entra ID has it."""
    return any(str(user.get(key)).casefold() == name.casefold() for key in ("userPrincipalName", "mail"))


def _says(enabled: bool) -> Callable[[Document], bool]:
    return lambda seen: _enabled(seen) == enabled


def _since_another(before: object) -> Callable[[Document], bool]:
    return lambda seen: bool(seen.get(_SINCE)) and seen.get(_SINCE) != before


def _readable(user: Document) -> Document:
    """The user, if Graph shows what is needed of it."""
    if not user.get("userPrincipalName"):
        raise BackendError("Microsoft Graph hides the user's name: grant the app User.Read.All.")
    _enabled(user)
    return user


def _enabled(user: Document) -> bool:
    enabled = user.get("accountEnabled")
    if not isinstance(enabled, bool):
        raise BackendError("Microsoft Graph does not show accountEnabled: grant the app User.Read.All.")
    return enabled


def _synced(user: Document) -> bool:
    return user.get("onPremisesSyncEnabled") is True


def _source(user: Document) -> tuple[str, ...]:
    return (_SYNCED,) if _synced(user) else ()


def _external(user: Document) -> bool:
    return _EXTERNAL in str(user.get("userPrincipalName")).casefold()


def _subject(user: Document, held: Held) -> Subject:
    def texts(*names: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(user[name]) for name in names if user.get(name)))

    return Subject(
        id=str(user["id"]),
        name=str(user["userPrincipalName"]),
        names=texts("userPrincipalName", "mail", "onPremisesSamAccountName"),
        ids=texts("id", "securityIdentifier", "onPremisesSecurityIdentifier"),
        groups=held.groups,
        types=(str(user.get("userType") or "user").lower(), *((UNSEEN,) if held.unseen else ())),
        tags=held.roles,
        privileged=held.privileged,
    )


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        cloud=CLOUDS[items.choice("entra_cloud", tuple(CLOUDS), "global")],
        tenant=_shaped(items.text("entra_tenant"), "entra_tenant", "the tenant's id or one of its domains"),
        client_id=_shaped(items.text("entra_client_id"), "entra_client_id", "the app's id (a GUID)", domains=False),
        client_secret=items.text("entra_client_secret", strip=False),
        ca_file=items.optional_text("entra_ca_file"),
        proxy=workbench.proxy if items.flag("entra_use_proxy", True) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    domain = items.text("entra_domain", "").removeprefix("@")
    if domain:
        _shaped(domain, "entra_domain", "a domain, such as example.org")
    allow_synced = items.flag("entra_allow_synced", False)
    return Entra(settings, workbench.clock, domain=domain, allow_synced=allow_synced)


def _shaped(text: str, item: str, wanted: str, *, domains: bool = True) -> str:
    if _GUID.fullmatch(text) or (domains and _DOMAIN.fullmatch(text)):
        return text
    raise ConfigurationError(f"must be {wanted}.", path=f"configuration item {item}")
