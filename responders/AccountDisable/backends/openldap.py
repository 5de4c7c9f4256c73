"""Lock accounts in OpenLDAP with the overlay ppolicy: `pwdAccountLockedTime` set to the value that never ends.

Binds of such an account are refused until the attribute is taken away, where a policy that locks applies to it; so a
lock where none applies is neither made nor believed. The proof that it was us is a value of our own in a text attribute
of the operator's choice, written and taken away in the same step.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

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
from propolis.containment.mark import is_ours
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError

from .account import parse_account
from .directory import AnswerLost, Changes, Entry, Outdated
from .guard import UNSEEN
from .ldap_groups import Groups, groups_of
from .ldap_lock import FOR_GOOD, LOCK, Lock, lock_of
from .ldap_server import LdapServer, Settings

if TYPE_CHECKING:
    from propolis.worker.items import Items

_PROOF = " lock=ppolicy"  # ends our mark, and tells it from prose that happens to begin with our name
_PERSON = "(|(objectClass=person)(objectClass=account)(objectClass=posixAccount))"  # RFC 4519, 4524, 2307
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_NOT_FOR_MARKS = ("userpassword", "uid", "objectclass", "member", "memberof", "mail", "cn", "sn", LOCK.lower())
REMAINING = (
    "Connections that are bound already go on until they are closed: restart, or cut off, what holds them.",
    "Services that keep sessions or cached credentials of their own (SSSD, web applications, Kerberos) go on until "
    "they ask the directory again.",
    "SSH keys work on where servers read them from the directory or from files: a lock stops passwords, not keys.",
    "Other copies of the directory follow with replication.",
    "The password was not changed: reset it before the account is unlocked.",
)


class OpenLdap(Backend):
    """One directory, through one server: what it wrote it also reads there."""

    name = "openldap"
    kinds = ("account",)
    expires = False

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        base_dn: str,
        group_base_dn: str = "",
        login_attribute: str = "uid",
        default_policy: str = "",
        mark_attribute: str = "",
    ):
        self._server = LdapServer(settings)
        self._clock = clock
        self._base, self._group_base = base_dn, group_base_dn or base_dn
        self._login, self._attribute = login_attribute, mark_attribute
        self._default_policy = default_policy
        for dn, item in ((base_dn, "base_dn"), (group_base_dn, "group_base_dn"), (default_policy, "default_policy")):
            if dn or item == "base_dn":
                self._server.parts(dn, f"openldap_{item}")
        self.marks = bool(mark_attribute)

    @classmethod
    def from_items(cls, items: Items, clock: Clock) -> OpenLdap:
        """From the configuration items `openldap_*`."""
        starttls = items.flag("openldap_starttls", False)
        valid_name = items.optional_text("openldap_valid_name")
        if valid_name == "*":
            raise ConfigurationError("must be a name; * would switch the check off.", path=_item("valid_name"))
        settings = Settings(
            server=_server(items.text("openldap_server")),
            port=int(items.number("openldap_port", 389 if starttls else 636, low=1, high=65535)),
            starttls=starttls,
            bind_dn=items.text("openldap_bind_dn"),
            bind_password=items.text("openldap_bind_password", strip=False),
            ca_file=items.optional_text("openldap_ca_file"),
            valid_name=valid_name,
            timeout=int(items.number("timeout_seconds", 15, low=1, high=120)),
        )
        return cls(
            settings,
            clock,
            base_dn=items.text("openldap_base_dn"),
            group_base_dn=items.text("openldap_group_base_dn", ""),
            login_attribute=_attribute(items.text("openldap_login_attribute", "uid"), "login_attribute"),
            default_policy=items.text("openldap_default_policy", ""),
            mark_attribute=_mark_attribute(items.text("openldap_mark_attribute", "")),
        )

    @property
    def where(self) -> str:
        return f"{self._server.where} below {self._base}"

    def status(self, target: Target) -> Status:
        entry = self._find(target)
        lock, mark = self._lock(entry), self._mark(entry)
        contained = lock.for_good
        groups = Groups() if contained else groups_of(self._server, self._group_base, entry)
        ours = bool(mark) and (lock.value == FOR_GOOD or not contained)
        remains = ours and not contained
        seen = lock.why + (f"; our mark is left in {self._attribute}" if remains else "")
        seen += f"; {groups.unseen}" if groups.unseen else ""
        return Status(self._subject(entry, groups), contained, ours, None, mark if ours else "", seen, remains=remains)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        entry = self._again(status)
        lock = self._lock(entry)
        if lock.for_good and not self._mark(entry):
            if status.contained:
                return Effect(f"{status.subject.name} was locked already, not by us, and was left as it is")
            raise BackendError(f"{status.subject.name} was locked by somebody else just now; nothing was done.")
        _check_policy(lock, status)
        changes = self._locking(entry, lock, terms)
        done = f"set {LOCK} of {status.subject.name} to {FOR_GOOD}"
        done += f" (it was {lock.value}, after wrong passwords)" if lock.value not in ("", FOR_GOOD) else ""
        done += self._change(status, changes, FOR_GOOD)
        return Effect(done, ended=("New binds with the password are refused.",), remaining=REMAINING)

    def release(self, target: Target, status: Status) -> Effect:
        entry = self._again(status)
        value, mark = entry.text(LOCK), self._mark(entry)
        locked = value == FOR_GOOD
        if locked and self.marks and not mark:
            raise BackendError(f"{status.subject.name} does not carry our mark any more; nothing was changed.")
        changes: Changes = {LOCK: [("delete", [FOR_GOOD.encode()])]} if locked else {}
        if mark:
            changes[self._attribute] = [("delete", [mark.encode()])]
        if not changes:
            return Effect(f"{status.subject.name} does not carry the lock that we set any more")
        done = f"took {LOCK} {FOR_GOOD} away from {status.subject.name}" if locked else "took our mark away"
        return Effect(done + self._change(status, changes, "" if locked else value))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        entry = self._again(status)
        lock = self._lock(entry)
        _check_policy(lock, status)
        text = f"LDAP modify of {entry.dn}: {LOCK} {lock.value or '(none)'} -> {FOR_GOOD}"
        return text + (f"; in {self._attribute}, add the value {terms.mark}{_PROOF}" if self.marks else "")

    def close(self) -> None:
        self._server.close()

    def _find(self, target: Target) -> Entry:
        name = parse_account(target.value)
        if name.domain:
            raise NotFound(f"{name.text} is a name of the Windows domain {name.domain}, which {self.where} is not.")
        wanted = [self._login, "mail"] if name.realm else [self._login]
        terms = "".join(f"({kind}={self._server.escaped(name.text)})" for kind in wanted)
        found = self._server.find(self._base, f"(&{_PERSON}(|{terms}))", self._attributes, 2)
        if not found:
            raise NotFound(f"{name.text} is no account at {self.where}, by {' or '.join(wanted)}; check the spelling.")
        if len(found) > 1:
            raise Ambiguous(target, [entry.dn for entry in found])
        if name.text.casefold() not in {text.casefold() for kind in wanted for text in found[0].texts(kind)}:
            raise NotFound(f"{name.text} is only nearly the name of {found[0].dn}; give the name as it stands there.")
        return found[0]

    def _again(self, status: Status) -> Entry:
        """The subject as it is now. Raises where another object has taken its name meanwhile."""
        entry = self._server.read(status.subject.id, self._attributes)
        if entry is None or _uuid(entry) not in status.subject.ids:
            raise BackendError(f"{status.subject.name} was moved or deleted meanwhile; nothing was done.")
        return entry

    def _change(self, status: Status, changes: Changes, wanted: str) -> str:
        """Make the change; where it was lost or overtaken, look. Returns what is to be added to the sentence."""
        try:
            self._server.change(status.subject.id, changes)
        except AnswerLost as error:
            if self._again(status).text(LOCK) != wanted:
                raise BackendError(f"{error} The entry was read again, and the change was not made.") from None
            return "; the answer was lost, and the change was found made"
        except Outdated:
            if self._again(status).text(LOCK) != wanted:
                raise
            return "; another job did it at the same moment"
        return ""

    def _locking(self, entry: Entry, lock: Lock, terms: Terms) -> Changes:
        """What makes the entry, as it was read, a locked one with our mark; refused where it has changed since."""
        changes: Changes = {}
        if lock.value != FOR_GOOD:
            steps = [("delete", [lock.value.encode()])] if lock.value else []
            changes[LOCK] = [*steps, ("add", [FOR_GOOD.encode()])]
        before, mark = self._mark(entry), f"{terms.mark}{_PROOF}"
        if self.marks and before != mark:
            steps = [("delete", [before.encode()])] if before else []
            changes[self._attribute] = [*steps, ("add", [mark.encode()])]
        return changes

    def _lock(self, entry: Entry) -> Lock:
        return lock_of(self._server, entry, self._default_policy, self._clock.now())

    def _mark(self, entry: Entry) -> str:
        """Our mark among the values of the mark attribute, or the empty string."""
        values = entry.texts(self._attribute) if self.marks else []
        return next((text for text in values if is_ours(text) and text.endswith(_PROOF)), "")

    @property
    def _attributes(self) -> list[str]:
        mine = [self._attribute] if self._attribute else []
        return [
            "entryUUID", LOCK, "pwdPolicySubentry", "uid", "cn", "mail", "memberOf", "uidNumber", "gidNumber",
            self._login, *mine,
        ]  # fmt: skip

    def _subject(self, entry: Entry, groups: Groups) -> Subject:
        names = [text for kind in (self._login, "uid", "mail", "cn") for text in entry.texts(kind)] + [entry.dn]
        return Subject(
            id=entry.dn,
            name=names[0],
            names=tuple(dict.fromkeys(names)),
            ids=(_uuid(entry), entry.dn),
            groups=groups.names,
            types=("user", *((UNSEEN,) if groups.unseen else ())),
            privileged=groups.privileged or bool(groups.unseen),
            own=self._server.is_own(entry.dn),
        )


def _check_policy(lock: Lock, status: Status) -> None:
    if not lock.works:
        raise BackendError(f"{status.subject.name} was not locked: {lock.why}. See docs/backends-openldap.md, step 1.")


def _uuid(entry: Entry) -> str:
    if not entry.text("entryUUID"):
        raise BackendError(f"entryUUID of {entry.dn} cannot be read: give the bind account the right to read it.")
    return entry.text("entryUUID")


def _server(text: str) -> str:
    if "/" in text or " " in text or text.startswith("-"):
        raise ConfigurationError("must be a host name or an address alone; TLS is always used.", path=_item("server"))
    return text


def _attribute(text: str, item: str) -> str:
    if not _ATTRIBUTE.fullmatch(text):
        raise ConfigurationError(f"{text} is no name of an attribute, such as uid.", path=_item(item))
    return text


def _mark_attribute(text: str) -> str:
    if text and _attribute(text, "mark_attribute").lower() in _NOT_FOR_MARKS:
        raise ConfigurationError(
            f"{text} cannot carry a mark: name a text attribute such as description.", path=_item("mark_attribute")
        )
    return text


def _item(name: str) -> str:
    return f"configuration item openldap_{name}"


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    return OpenLdap.from_items(workbench.items, workbench.clock)
