"""Disable accounts in Keycloak: the whole user as it was read, with `enabled` changed, then its sessions ended.

A disabled user's offline sessions come back to life when it is enabled again (keycloak/keycloak#50926), so they are
destroyed, not left. The proof that it was us is a user attribute, written and read back before the user is disabled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from propolis.clock import Clock, utc_text
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
from propolis.containment.change import AnswerLost, safe_url
from propolis.containment.mark import is_ours
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError

from .account import AccountName, parse_account
from .guard import UNSEEN
from .realm import Document, Realm, Settings
from .rights import NOTHING, Held, Rights

if TYPE_CHECKING:
    from propolis.worker.items import Items

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_OWN_FIELDS = ("username", "email", "firstName", "lastName", "locale")
REMAINING = (
    "Access tokens issued already are good until they end (5 minutes by default) wherever a service checks only their "
    "signature.",
    "Sessions that applications keep themselves go on until they ask Keycloak again or are logged out by it.",
    "The password and other credentials were not changed: reset them before the account is enabled again.",
)


class Keycloak(Backend):
    """One realm."""

    name = "keycloak"
    kinds = ("account",)
    expires = False

    def __init__(self, settings: Settings, clock: Clock, *, domain: str = "", mark_attribute: str = ""):
        self._realm = Realm(settings, clock)
        self._rights = Rights(self._realm, settings.client_id)
        self._url = settings.url.rstrip("/")
        self._domain = domain
        self._attribute = mark_attribute
        self.marks = bool(mark_attribute)

    @classmethod
    def from_items(cls, items: Items, *, clock: Clock, proxy: str | None) -> Keycloak:
        """From the configuration items `kc_*`."""
        settings = Settings(
            url=safe_url(items.text("kc_url"), "kc_url"),
            realm=items.text("kc_realm"),
            client_id=items.text("kc_client_id"),
            client_secret=items.text("kc_client_secret", strip=False),
            ca_file=items.optional_text("kc_ca_file"),
            proxy=proxy if items.flag("kc_use_proxy", False) else None,
            timeout=items.number("timeout_seconds", 15, low=1, high=120),
        )
        attribute = _checked_attribute(items.text("kc_mark_attribute", ""))
        return cls(settings, clock, domain=items.text("kc_domain", ""), mark_attribute=attribute)

    @property
    def where(self) -> str:
        return f"{self._url} realm {self._realm.name}"

    def status(self, target: Target) -> Status:
        user = self._find(target)
        contained = not _enabled(user)
        mark = self._mark(user) if contained else ""
        held = NOTHING if contained else self._rights.of(str(user["id"]))
        seen = f"user {user['username']} is {'disabled' if contained else 'enabled'}"
        seen += f"; {held.unseen}" if held.unseen else ""
        return Status(self._subject(user, held), contained, is_ours(mark), None, mark, seen)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        user = self._realm.user(status.subject.id)
        if not _enabled(user) and not is_ours(self._mark(user)):
            if not status.contained:  # else a lease would later take back what somebody else did in between
                raise BackendError(f"{status.subject.name} was disabled by somebody else just now; nothing was done.")
            return Effect(f"{status.subject.name} was disabled already, not by us, and was left as it is")
        if self.marks:
            user = self._marked(user, terms.mark)
        done = f"set enabled to false for user {status.subject.name} (id {status.subject.id})"
        if _enabled(user):
            done += self._put({**user, "enabled": False}, lambda seen: not _enabled(seen))
        ended, left = self._end_sessions(status.subject.id)
        return Effect(done, ended=ended, remaining=(*left, *_of_federation(user), *REMAINING))

    def release(self, target: Target, status: Status) -> Effect:
        user = self._realm.user(status.subject.id)
        ours = is_ours(self._mark(user))
        if self.marks and not ours and not _enabled(user):
            raise BackendError(f"{status.subject.name} does not carry our mark any more; nothing was changed.")
        if _enabled(user) and not ours:
            return Effect(f"{status.subject.name} was enabled already")
        document = {**user, "enabled": True}
        if ours:
            document["attributes"] = {
                name: values for name, values in _attributes(user).items() if name != self._attribute
            }
        done = f"set enabled to true for user {status.subject.name} (id {status.subject.id})"
        done += self._put(document, lambda seen: _enabled(seen) and not is_ours(self._mark(seen)))
        return Effect(done, remaining=self._left(status.subject.id))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        path = f"{self._url}/admin/realms/{self._realm.name}/users/{status.subject.id}"
        mark = f"; first the attribute {self._attribute} is set to: {terms.mark}" if self.marks else ""
        return (
            f"PUT {path} (user {status.subject.name} as it is, with enabled: false{mark}), then POST {path}/logout, "
            f"then DELETE {path}/consents/<client> for every client that holds a consent or an offline token"
        )

    def close(self) -> None:
        self._realm.close()

    def _find(self, target: Target) -> Document:
        name = parse_account(target.value)
        self._check_domain(name)
        wanted = name.user if name.domain else name.text
        found = {str(user.get("id")): user for user in self._matches(wanted)}
        if not found:
            raise NotFound(f"{wanted} is no user of {self.where}; check the spelling.")
        if len(found) > 1:
            raise Ambiguous(target, [f"{user.get('username')} (id {one})" for one, user in found.items()])
        return self._full(next(iter(found)))

    def _check_domain(self, name: AccountName) -> None:
        if name.domain and name.domain.casefold() != self._domain.casefold():
            raise NotFound(
                f"{name.text} is an account of the Windows domain {name.domain}: set kc_domain to it if that "
                "domain's users are this realm's."
            )

    def _matches(self, wanted: str) -> list[Document]:
        """Users whose name, or mail address, is exactly this; looked at again here, as old versions ignore `exact`."""
        found = [
            user for user in self._realm.users(username=wanted)
            if str(user.get("username")).casefold() == wanted.casefold()
        ]  # fmt: skip
        if "@" in wanted:
            found += [
                user for user in self._realm.users(email=wanted)
                if str(user.get("email")).casefold() == wanted.casefold()
            ]  # fmt: skip
        return found

    def _full(self, user: str) -> Document:
        document = self._realm.user(user)
        if document.get("id") != user or not document.get("username"):
            raise BackendError("Keycloak answered with another user than the one asked for; nothing was done.")
        return document

    def _subject(self, user: Document, held: Held) -> Subject:
        name, one = str(user["username"]), str(user["id"])
        service = bool(user.get("serviceAccountClientId")) or name.startswith("service-account-")
        return Subject(
            id=one,
            name=name,
            names=tuple(dict.fromkeys(part for part in (name, str(user.get("email") or "")) if part)),
            ids=(one,),
            groups=held.groups,
            types=("service account" if service else "user", *((UNSEEN,) if held.unseen else ())),
            tags=held.roles,
            privileged=held.privileged,
            own=self._rights.is_own(one, name),
        )

    def _mark(self, user: Document) -> str:
        """What stands in our attribute, ours or not."""
        return "; ".join(_attributes(user).get(self._attribute, [])) if self.marks else ""

    def _marked(self, user: Document, mark: str) -> Document:
        """The user with our mark stored. Raises where Keycloak drops it, while the user is still enabled."""
        standing = self._mark(user)
        if standing and not is_ours(standing):
            raise BackendError(
                f"The attribute {self._attribute} of {user['username']} holds somebody else's text, which is never "
                "overwritten: name an attribute of our own in kc_mark_attribute."
            )
        attributes = {**_attributes(user), self._attribute: [mark]}
        self._put({**user, "attributes": attributes}, lambda seen: self._mark(seen) == mark)
        stored = self._realm.user(str(user["id"]))
        if self._mark(stored) != mark:
            raise BackendError(
                f"Keycloak did not store the attribute {self._attribute}, so nothing would prove an undo ours and "
                f"{user['username']} was not disabled: under Realm settings, set Unmanaged attributes to 'Only "
                f"administrators can write', or declare the attribute {self._attribute} under User profile."
            )
        return stored

    def _put(self, document: Document, wanted: Callable[[Document], bool]) -> str:
        """Replace the user; where the answer is lost, look. Returns what is to be added to the sentence."""
        try:
            self._realm.put(str(document["id"]), document)
        except AnswerLost as error:
            if not wanted(self._realm.user(str(document["id"]))):
                raise BackendError(f"{error} The user was looked at again, and the change was not made.") from None
            return "; the answer was lost, and the change was found made"
        return ""

    def _end_sessions(self, user: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """End what can be ended; the user is disabled already, so a failure here is told and does not undo that."""
        ended: list[str] = []
        left: list[str] = []
        steps: tuple[Callable[[str], list[str]], ...] = (self._log_out, self._revoke_consents)
        for step in steps:
            try:
                ended += step(user)
            except BackendError as error:
                left.append(f"NOT ended, and to be ended by hand: {error}")
        return tuple(ended), (*left, *self._left(user))

    def _log_out(self, user: str) -> list[str]:
        count = len(self._realm.sessions(user))
        self._realm.logout(user)
        since = self._realm.user(user).get("notBefore")
        ended = [f"{count} online session{'s' if count != 1 else ''}."]
        if isinstance(since, int) and since > 0:
            ended.append(f"Tokens issued before {utc_text(since)} are refused by Keycloak.")
        return ended

    def _revoke_consents(self, user: str) -> list[str]:
        ended = []
        for consent in self._realm.consents(user):
            client = str(consent.get("clientId") or "")
            count = sum(len(self._realm.offline_sessions(user, one)) for one in _offline_clients(consent))
            self._realm.revoke(user, client)
            sessions = f" and {count} offline session{'s' if count != 1 else ''}" if count else ""
            ended.append(f"The consent{sessions} of client {client}.")
        return ended

    def _left(self, user: str) -> tuple[str, ...]:
        """The sessions that Keycloak still shows."""
        try:
            online, consents = len(self._realm.sessions(user)), self._realm.consents(user)
        except BackendError as error:
            return (f"Which sessions live on could not be read: {error}",)
        offline = [str(consent.get("clientId")) for consent in consents if _offline_clients(consent)]
        left = [f"{online} online session(s) at Keycloak."] if online else []
        left += [f"Offline sessions of client {client}: an enabled user can use them again." for client in offline]
        return tuple(left)


def _enabled(user: Document) -> bool:
    enabled = user.get("enabled")
    if not isinstance(enabled, bool):
        raise BackendError("Keycloak does not say whether the user is enabled; nothing was done.")
    return enabled


def _attributes(user: Document) -> dict[str, list[str]]:
    attributes: Any = user.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _offline_clients(consent: Document) -> list[str]:
    """The ids of the clients for which a consent entry shows an offline token."""
    grants = consent.get("additionalGrants")
    found = [grant for grant in grants if isinstance(grant, dict)] if isinstance(grants, list) else []
    return [str(grant["client"]) for grant in found if grant.get("client")]


def _of_federation(user: Document) -> tuple[str, ...]:
    if not user.get("federationLink"):
        return ()
    return ("This user comes from a user federation: disable it there too, or the next synchronisation may undo this.",)


def _checked_attribute(name: str) -> str:
    if name and (not _ATTRIBUTE.fullmatch(name) or name in _OWN_FIELDS):
        raise ConfigurationError(
            f"{name} cannot carry a mark: name a user attribute of its own, such as propolis.",
            path="configuration item kc_mark_attribute",
        )
    return name


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    return Keycloak.from_items(workbench.items, clock=workbench.clock, proxy=workbench.proxy)
