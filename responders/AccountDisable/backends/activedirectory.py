"""Disable accounts in Active Directory (Windows or Samba) over LDAPS.

Only bit 2 of userAccountControl is ever changed, always from its current value: every other flag of the account stays.
The proof that it was us is one line in a text attribute of the operator's choice, written in the same step.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

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
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError

from .account import parse_account
from .directory import AnswerLost, Changes, Directory, Entry, Outdated, Settings
from .forest import Forest, Groups
from .guard import UNSEEN
from .note import flags_of, line_of, with_line, without_line
from .sid import privilege, sibling, sid_text

if TYPE_CHECKING:
    from propolis.worker.items import Items

DISABLED = 0x2  # MS-ADTS 2.2.16, ADS_UF_ACCOUNT_DISABLE
_NORMAL = 0x200  # ADS_UF_NORMAL_ACCOUNT: a person's, not a machine's, a trust's or a domain controller's
_MAY_BE_MARKED = r"[A-Za-z][A-Za-z0-9-]{0,63}"
_NOT_FOR_MARKS = ("useraccountcontrol", "unicodepwd", "samaccountname", "userprincipalname", "objectsid", "member")
REMAINING = (
    "LDAP and other connections that are open already go on until they are closed.",
    "Kerberos service tickets issued already work until they end (10 hours by default); a new one is refused at once "
    "by Samba, and by Windows as soon as the ticket-granting ticket is older than 20 minutes.",
    "Sessions on machines (desktop, SSH, VPN) go on: isolate the machine or log the user off there.",
    "Other domain controllers follow with replication, Entra ID with its next synchronisation (up to 30 minutes), and "
    "access tokens of cloud applications live about an hour.",
    "The password was not changed: reset it before the account is enabled again.",
)


class ActiveDirectory(Backend):
    """One domain, through one domain controller: what it wrote it also reads there, whatever replication does."""

    name = "activedirectory"
    kinds = ("account",)
    expires = False

    def __init__(self, settings: Settings, *, base_dn: str = "", mark_attribute: str = ""):
        self._directory = Directory(settings)
        if base_dn:
            self._directory.check_name(base_dn, "ad_base_dn")
        self._forest = Forest(self._directory, base_dn)
        self._bind_user = settings.bind_user.casefold()
        self._attribute = mark_attribute
        self.marks = bool(mark_attribute)

    @classmethod
    def from_items(cls, items: Items) -> ActiveDirectory:
        """From the configuration items `ad_*`."""
        valid_name = items.optional_text("ad_valid_name")
        if valid_name == "*":
            raise ConfigurationError("must be a name; * would switch the check off.", path=_item("ad_valid_name"))
        settings = Settings(
            server=_server(items.text("ad_server")),
            port=int(items.number("ad_port", 636, low=1, high=65535)),
            bind_user=items.text("ad_bind_user"),
            bind_password=items.text("ad_bind_password", strip=False),
            ca_file=items.optional_text("ad_ca_file"),
            valid_name=valid_name,
            timeout=int(items.number("timeout_seconds", 15, low=1, high=120)),
        )
        attribute = _mark_attribute(items.text("ad_mark_attribute", ""))
        return cls(settings, base_dn=items.text("ad_base_dn", ""), mark_attribute=attribute)

    @property
    def where(self) -> str:
        return f"{self._directory.where}{f' below {self._forest.base}' if self._forest.base else ''}"

    def status(self, target: Target) -> Status:
        entry = self._find(target)
        note = self._note(entry)
        flags = _flags(entry)
        contained = bool(flags & DISABLED)
        mark = line_of(note) if self.marks else ""
        seen = f"userAccountControl is {flags}, {'disabled' if contained else 'enabled'}"
        groups = Groups() if contained else self._groups(entry)
        seen += f"; {groups.unseen}" if groups.unseen else ""
        seen += f", with a mark of ours left in {self._attribute}" if mark and not contained else ""
        return Status(
            self._subject(entry, groups), contained, contained and bool(mark), None, mark if contained else "", seen
        )

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        entry = self._again(status)
        flags = _flags(entry)
        if flags & DISABLED and not self._is_ours(entry):
            return Effect(f"{status.subject.name} was disabled already, not by us, and was left as it is")
        changes = self._disabling(entry, terms)
        done = f"set the disable bit of {status.subject.name} (userAccountControl {flags} -> {flags | DISABLED})"
        done += self._change(status, changes, flags | DISABLED)
        return Effect(done, ended=("New logons and new Kerberos tickets are refused.",), remaining=REMAINING)

    def release(self, target: Target, status: Status) -> Effect:
        entry = self._again(status)
        flags = _flags(entry)
        if flags & DISABLED and self.marks and not self._is_ours(entry):
            raise BackendError(f"{status.subject.name} does not carry our mark any more; nothing was changed.")
        changes: Changes = {}
        if flags & DISABLED:
            changes["userAccountControl"] = [("replace", [str(flags & ~DISABLED).encode()])]
        if self._is_ours(entry):
            changes[self._attribute] = _swap(self._note(entry), without_line(self._note(entry)))
        if not changes:
            return Effect(f"{status.subject.name} was enabled already")
        done = f"cleared the disable bit of {status.subject.name} (userAccountControl {flags} -> {flags & ~DISABLED})"
        return Effect(done + self._change(status, changes, flags & ~DISABLED))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        entry = self._again(status)
        flags = _flags(entry)
        text = f"LDAP modify of {entry.dn}: replace userAccountControl {flags} -> {flags | DISABLED}"
        if self.marks:
            text += f"; in {self._attribute}, put before what is there: {terms.mark} was={flags}"
        return text

    def close(self) -> None:
        self._directory.close()

    def _find(self, target: Target) -> Entry:
        name = parse_account(target.value)
        found = self._forest.people(name, self._attributes)
        if not found:
            raise NotFound(f"{name.text} is no user account at {self.where}; check the spelling and ad_base_dn.")
        if len(found) > 1:
            raise Ambiguous(target, [entry.dn for entry in found])
        return found[0]

    def _again(self, status: Status) -> Entry:
        """The subject as it is now. Raises where another object has taken its name meanwhile."""
        entry = self._directory.read(status.subject.id, self._attributes)
        if entry is None or sid_text(_sid(entry)) not in status.subject.ids:
            raise BackendError(f"{status.subject.name} was moved or deleted meanwhile; nothing was done.")
        return entry

    def _change(self, status: Status, changes: Changes, wanted: int) -> str:
        """Make the change; where the answer is lost, look. Returns what is to be added to the sentence."""
        try:
            self._directory.change(status.subject.id, changes)
        except AnswerLost:
            if _flags(self._again(status)) != wanted:
                raise
            return "; the answer was lost, and the change was found made"
        except Outdated:
            if (_flags(self._again(status)) ^ wanted) & DISABLED:
                raise
            return "; another job did it at the same moment"
        return ""

    def _disabling(self, entry: Entry, terms: Terms) -> Changes:
        flags, note = _flags(entry), self._note(entry)
        changes: Changes = {}
        if not flags & DISABLED:
            changes["userAccountControl"] = [("replace", [str(flags | DISABLED).encode()])]
        if self.marks:
            before = flags_of(note) if flags & DISABLED else flags
            changes[self._attribute] = _swap(note, with_line(note, terms.mark, before if before is not None else flags))
        return changes

    def _is_ours(self, entry: Entry) -> bool:
        return self.marks and bool(line_of(self._note(entry)))

    def _note(self, entry: Entry) -> str:
        if not self.marks:
            return ""
        values = entry.texts(self._attribute)
        if len(values) > 1:
            raise BackendError(
                f"{self._attribute} of {entry.dn} holds {len(values)} values: name an attribute of one value in "
                "ad_mark_attribute."
            )
        return values[0] if values else ""

    @property
    def _attributes(self) -> list[str]:
        mine = [self._attribute] if self._attribute else []
        return [
            "userAccountControl", "objectSid", "sAMAccountName", "userPrincipalName", "adminCount",
            "isCriticalSystemObject", "primaryGroupID", "memberOf", *mine,
        ]  # fmt: skip

    def _groups(self, entry: Entry) -> Groups:
        """Of an enabled account; of a disabled one only the undo is left to do, and no undo waits for groups."""
        return self._forest.groups(entry, sibling(sid_text(_sid(entry)), int(entry.text("primaryGroupID") or 513)))

    def _subject(self, entry: Entry, groups: Groups) -> Subject:
        sid = sid_text(_sid(entry))
        reasons = [privilege(one) for one in (sid, *groups.sids) if privilege(one)]
        names = self._forest.names(entry)
        return Subject(
            id=entry.dn,
            name=names[0],
            names=names,
            ids=(sid,),
            groups=(*groups.names, *groups.sids),
            types=(
                "user" if _flags(entry) & _NORMAL else "machine or trust account",
                *((UNSEEN,) if groups.unseen else ()),
            ),
            privileged=bool(reasons or groups.unseen) or _administrative(entry),
            own=sid in self._forest.session or self._bind_user in (entry.dn.casefold(), *map(str.casefold, names)),
        )


def _administrative(entry: Entry) -> bool:
    """What the directory itself guards: AdminSDHolder's mark, its own objects, and what is no person's account."""
    guarded = entry.text("adminCount") not in ("", "0") or entry.text("isCriticalSystemObject").upper() == "TRUE"
    return guarded or not _flags(entry) & _NORMAL


def _flags(entry: Entry) -> int:
    text = entry.text("userAccountControl")
    if not text.lstrip("-").isdecimal():
        raise BackendError(
            f"userAccountControl of {entry.dn} cannot be read: give the bind account the right to read it."
        )
    return int(text)


def _sid(entry: Entry) -> bytes:
    values = entry.raw("objectSid")
    if not values:
        raise BackendError(f"objectSid of {entry.dn} cannot be read: give the bind account the right to read it.")
    return values[0]


def _swap(old: str, new: str) -> list[tuple[str, list[bytes]]]:
    """Replace a text only if it is still the one that was read: the directory refuses the step where it is not."""
    steps: list[tuple[str, list[bytes]]] = []
    if old == new:
        return [("replace", [new.encode()])] if new else []
    if old:
        steps.append(("delete", [old.encode()]))
    if new:
        steps.append(("add", [new.encode()]))
    return steps


def _server(text: str) -> str:
    if "/" in text or " " in text or text.startswith("-"):
        raise ConfigurationError(
            "must be a host name or an address alone; LDAPS is always used.", path=_item("ad_server")
        )
    return text


def _mark_attribute(text: str) -> str:
    if text and (not re.fullmatch(_MAY_BE_MARKED, text) or text.lower() in _NOT_FOR_MARKS):
        raise ConfigurationError(
            f"{text} cannot carry a mark: name a text attribute such as info.", path=_item("ad_mark_attribute")
        )
    return text


def _item(name: str) -> str:
    return f"configuration item {name}"


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    return ActiveDirectory.from_items(workbench.items)
