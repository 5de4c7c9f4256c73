"""Disable accounts in FreeIPA: `user_disable`, which sets nsAccountLock for logins by LDAP, Kerberos and the web alike.

The proof that it was us is a value of our own in a text attribute of the operator's choice, written before the account
is disabled and taken away after it was enabled, so that no step in between is left without it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, NotFound, Status, Subject, Target, Terms
from propolis.containment.change import safe_url, settled
from propolis.containment.mark import is_ours
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError

from .account import parse_account
from .guard import UNSEEN
from .ipa_api import ALREADY_ACTIVE, ALREADY_INACTIVE, NO_SUCH_VALUE, NOT_FOUND, Document, Ipa, IpaError, Settings

_PROOF = " lock=freeipa"  # ends our mark, and tells it from prose that happens to begin with our name
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9-]{0,63}")
_NOT_FOR_MARKS = (
    "uid",
    "userpassword",
    "objectclass",
    "memberof",
    "mail",
    "cn",
    "sn",
    "nsaccountlock",
    "krbprincipalname",
)
_LOGIN = re.compile(r"[a-z0-9_.][a-z0-9_.$-]{0,254}", re.IGNORECASE)  # PATTERN_GROUPUSER_NAME of ipalib's constants.py
_ADMINS = ("admins", "trust admins", "editors")  # groups with rights of FreeIPA's own
REMAINING = (
    "Kerberos tickets issued already go on until they end (a day by default), and a ticket-granting ticket may still "
    "get service tickets: end sessions where they matter.",
    "Logins that SSSD has cached work on machines that are offline, and sessions on machines go on.",
    "SSH keys work on where a machine does not ask FreeIPA at login (SSSD with access_provider ipa), or is offline.",
    "LDAP connections that are bound already, and sessions of applications, go on until they are closed.",
    "The password and the keys were not changed: look for added ones, and reset the password, before the undo.",
)


class FreeIpa(Backend):
    """One domain, through one server: what it wrote it also reads there."""

    name = "freeipa"
    kinds = ("account",)
    expires = False

    def __init__(self, settings: Settings, clock: Clock, *, mark_attribute: str = ""):
        self._ipa = Ipa(settings, clock)
        self._url, self._user = settings.url, settings.user
        self._attribute = mark_attribute
        self.marks = bool(mark_attribute)

    @property
    def where(self) -> str:
        return f"FreeIPA at {self._url}"

    def status(self, target: Target) -> Status:
        user = self._find(target)
        contained, mark = _locked(user), self._mark(user)
        seen = f"nsaccountlock of {_uid(user)} is {'true' if contained else 'false'}"
        seen += " (a preserved user, who is deleted)" if _preserved(user) else ""
        unseen = "" if contained else _unseen(user)
        seen += f"; our mark is left in {self._attribute}" if mark and not contained else ""
        seen += f"; {unseen}" if unseen else ""
        ours = bool(mark) and not _preserved(user)
        return Status(
            self._subject(user, unseen), contained, ours, None, mark if ours else "", seen,
            remains=ours and not contained,
        )  # fmt: skip

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        user = self._again(status)
        name, mark = _uid(user), self._mark(user)
        if _locked(user) and not mark:
            if status.contained:
                return Effect(f"{name} was disabled already, not by us, and was left as it is")
            raise BackendError(f"{name} was disabled by somebody else just now; nothing was done.")
        self._swap_mark(name, mark, f"{terms.mark}{_PROOF}" if self.marks else "")
        if _locked(user):
            return Effect(f"{name} was disabled by us already; its mark is now that of {terms.mark}")
        try:
            done = settled(lambda: self._ipa.disable(name), lambda: _locked(self._ipa.show(name)), f"disabled {name}")
        except IpaError as error:
            self._swap_mark(name, self._mark(self._ipa.show(name)), "")
            if error.code == ALREADY_INACTIVE:
                raise BackendError(f"{name} was disabled by somebody else just now, and is theirs.") from None
            raise
        return Effect(done, ("New logins and new Kerberos tickets are refused.",), REMAINING)

    def release(self, target: Target, status: Status) -> Effect:
        user = self._again(status)
        name, mark, locked = _uid(user), self._mark(user), _locked(user)
        if _preserved(user):
            raise BackendError(f"{name} was deleted (preserved) meanwhile, which is not ours to take back.")
        if locked and self.marks and not mark:
            raise BackendError(f"{name} does not carry our mark any more; nothing was changed.")
        done = f"{name} was enabled already"
        if locked:
            done = settled(lambda: self._enable(name), lambda: not _locked(self._ipa.show(name)), f"enabled {name}")
        self._swap_mark(name, mark, "")
        return Effect(done)

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        name = _uid(self._again(status))
        first = f"user_mod {name} addattr {self._attribute}={terms.mark}{_PROOF}, then " if self.marks else ""
        return f"POST {self._url}/ipa/session/json: {first}user_disable {name}"

    def close(self) -> None:
        self._ipa.close()

    def _find(self, target: Target) -> Document:
        """The user of this login name. Of `name@realm` the whole must be a principal or mail address of that user."""
        name = parse_account(target.value)
        if name.domain:
            raise NotFound(f"{name.text} is a name of a Windows domain: disable it there.")
        missing = NotFound(f"{name.text} is no user of {self.where}; check the spelling, and give the login name.")
        if not _LOGIN.fullmatch(name.user):
            raise missing
        try:
            user = self._ipa.show(name.user)
        except IpaError as error:
            raise missing if error.code == NOT_FOUND else error from None
        if _uid(user).casefold() != name.user.casefold():
            raise missing
        full = {
            text.casefold() for kind in ("krbprincipalname", "krbcanonicalname", "mail") for text in _texts(user, kind)
        }
        if name.realm and name.text.casefold() not in full:
            raise missing
        return user

    def _again(self, status: Status) -> Document:
        """The subject as it is now. Raises where another has taken its name meanwhile."""
        user = self._ipa.show(status.subject.name)
        if _unique(user) not in status.subject.ids:
            raise BackendError(f"{status.subject.name} was deleted and made anew meanwhile; nothing was done.")
        return user

    def _enable(self, name: str) -> None:
        try:
            self._ipa.enable(name)
        except IpaError as error:
            if error.code != ALREADY_ACTIVE:
                raise

    def _swap_mark(self, name: str, old: str, new: str) -> None:
        """Put a mark where one was, or none; other values of the attribute stay."""
        if old == new:
            return
        if new:
            settled(
                lambda: self._ipa.add_value(name, self._attribute, new),
                lambda: new in _texts(self._ipa.show(name), self._attribute),
                "",
            )
        if old:
            settled(
                lambda: self._take_mark(name, old),
                lambda: old not in _texts(self._ipa.show(name), self._attribute),
                "",
            )

    def _take_mark(self, name: str, mark: str) -> None:
        try:
            self._ipa.take_value(name, self._attribute, mark)
        except IpaError as error:
            if error.code != NO_SUCH_VALUE:
                raise

    def _mark(self, user: Document) -> str:
        """Our mark among the values of the mark attribute, or the empty string."""
        values = _texts(user, self._attribute) if self.marks else []
        return next((text for text in values if is_ours(text) and text.endswith(_PROOF)), "")

    def _subject(self, user: Document, unseen: str) -> Subject:
        groups = _groups(user)
        roles = (*_texts(user, "memberof_role"), *_texts(user, "memberofindirect_role"))
        administrative = bool(roles or {group.casefold() for group in groups} & set(_ADMINS))
        names = [text for kind in ("uid", "krbprincipalname", "mail") for text in _texts(user, kind)]
        dn = str(user.get("dn") or "")
        return Subject(
            id=_unique(user),
            name=_uid(user),
            names=tuple(dict.fromkeys(names)),
            ids=tuple(text for text in (_unique(user), dn, *_texts(user, "ipantsecurityidentifier")) if text),
            groups=groups,
            types=("user", *((UNSEEN,) if unseen else ())),
            tags=roles,
            privileged=administrative or bool(unseen),
            own=_uid(user).casefold() == self._user.partition("@")[0].casefold(),
        )


def _texts(user: Document, name: str) -> list[str]:
    value = user.get(name)
    listed = value if isinstance(value, list) else [value]
    return [text for text in listed if isinstance(text, str) and text]


def _uid(user: Document) -> str:
    uid = _texts(user, "uid")
    if len(uid) != 1:
        raise BackendError(
            "FreeIPA does not show the login name of a user; check freeipa_url and the account's rights."
        )
    return uid[0]


def _unique(user: Document) -> str:
    """`ipaUniqueID`, which no other entry ever has."""
    found = _texts(user, "ipauniqueid")
    if not found:
        raise BackendError(f"FreeIPA does not show ipaUniqueID of {_uid(user)}: let the account read it.")
    return found[0]


def _locked(user: Document) -> bool:
    """`nsaccountlock` as user_show gives it: true or false, in old versions also as a text in a list."""
    value = user.get("nsaccountlock")
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    known = {True: True, False: False, "TRUE": True, "FALSE": False}
    said = known.get(one.upper() if isinstance(one, str) else one) if isinstance(one, (bool, str)) else None
    if said is None:
        raise BackendError(f"FreeIPA does not show whether {_uid(user)} is disabled (nsaccountlock); check the rights.")
    return said


def _preserved(user: Document) -> bool:
    return user.get("preserved") in (True, "TRUE")


def _groups(user: Document) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*_texts(user, "memberof_group"), *_texts(user, "memberofindirect_group"))))


def _unseen(user: Document) -> str:
    """Why nobody could tell what the user may do: everybody is in a default group, so no group means no sight."""
    if _groups(user):
        return ""
    return (
        f"FreeIPA shows no group of {_uid(user)}: let the account read memberOf (System: Read User Membership), or put "
        "the user into a group, as the default group ipausers is for."
    )


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    url = safe_url(items.text("freeipa_url"), "freeipa_url")
    if urlsplit(url).path:
        raise ConfigurationError(
            "must be the server's own address, such as https://ipa.example.org, without a path.",
            path="configuration item freeipa_url",
        )
    settings = Settings(
        url=url,
        user=items.text("freeipa_user"),
        password=items.text("freeipa_password", strip=False),
        ca_file=items.optional_text("freeipa_ca_file"),
        proxy=workbench.proxy if items.flag("freeipa_use_proxy", False) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    attribute = items.text("freeipa_mark_attribute", "").lower()
    if attribute and (not _ATTRIBUTE.fullmatch(attribute) or attribute in _NOT_FOR_MARKS):
        raise ConfigurationError(
            f"{attribute} cannot carry a mark: name a text attribute such as description.",
            path="configuration item freeipa_mark_attribute",
        )
    return FreeIpa(settings, workbench.clock, mark_attribute=attribute)
