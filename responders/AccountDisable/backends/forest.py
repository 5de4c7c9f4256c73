"""What the directory knows around an account: its domain's names, who has a name, every group with the nested ones."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from propolis.containment.backend import BackendError, NotFound

from .account import AccountName
from .directory import Directory, Entry
from .sid import sid_bytes, sid_text

_PERSON = "(&(objectCategory=person)(objectClass=user){})"
_IN_CHAIN = "1.2.840.113556.1.4.1941"  # MS-ADTS 3.1.1.3.4.4.3, LDAP_MATCHING_RULE_TRANSITIVE_EVAL


class Groups(NamedTuple):
    """Groups of an account."""

    names: tuple[str, ...] = ()
    """Account names and distinguished names."""
    sids: tuple[str, ...] = ()
    unseen: str = ""
    """Why they could not be read; the account then counts as an administrator's."""


class Forest:
    """The domain of one domain controller."""

    def __init__(self, directory: Directory, base_dn: str):
        self._directory = directory
        self.base = base_dn
        """Where accounts are looked for; the empty string is the whole domain."""

    @cached_property
    def _root(self) -> Entry:
        wanted = ["defaultNamingContext", "configurationNamingContext", "tokenGroups"]
        entry = self._directory.read("", wanted)
        if entry is None or not entry.text("defaultNamingContext"):
            raise BackendError(f"{self._directory.where} is no domain controller of Active Directory; check ad_server.")
        return entry

    @property
    def domain(self) -> str:
        """The domain's distinguished name."""
        return self._root.text("defaultNamingContext")

    @cached_property
    def session(self) -> tuple[str, ...]:
        """The SIDs of whoever is bound, its own first."""
        return tuple(sid_text(raw) for raw in self._root.raw("tokenGroups"))

    @cached_property
    def _cross_reference(self) -> Entry:
        base = f"CN=Partitions,{self._root.text('configurationNamingContext')}"
        domain = self._directory.escaped(self.domain)
        found = self._directory.find(
            base, f"(&(objectClass=crossRef)(nCName={domain}))", ["nETBIOSName", "dnsRoot"], limit=2
        )
        if len(found) != 1:
            raise BackendError(f"{self._directory.where} does not tell the names of its domain {self.domain}.")
        return found[0]

    @property
    def short_name(self) -> str:
        r"""The domain in `DOMAIN\name`."""
        return self._cross_reference.text("nETBIOSName")

    @property
    def dns_name(self) -> str:
        """The domain in `name@domain`, where nothing else was set."""
        return self._cross_reference.text("dnsRoot")

    def names(self, entry: Entry) -> tuple[str, ...]:
        """Every spelling of an account, the usual one first."""
        account, principal = entry.text("sAMAccountName"), entry.text("userPrincipalName")
        spelled = (f"{self.short_name}\\{account}", account, principal, f"{account}@{self.dns_name}")
        return tuple(dict.fromkeys(name for name in spelled if name))

    def people(self, name: AccountName, attributes: list[str]) -> list[Entry]:
        """The users of exactly this name, two at most. Raises NotFound for an account of another domain."""
        wanted = _PERSON.format(self._condition(name))
        return self._directory.find(self.base or self.domain, wanted, attributes, limit=2)

    def _condition(self, name: AccountName) -> str:
        escaped = self._directory.escaped
        account = f"(sAMAccountName={escaped(name.user)})"
        mine = {self.short_name.casefold(), self.dns_name.casefold()}
        if name.domain and name.domain.casefold() not in mine:
            raise NotFound(
                f"{name.text} is no account of the domain {self.short_name}: it may be a local account of a machine or "
                "belong to another domain, and neither can be disabled here."
            )
        if not name.realm:
            return account
        principal = f"(userPrincipalName={escaped(name.text)})"
        return f"(|{principal}{account})" if name.realm.casefold() == self.dns_name.casefold() else principal

    def groups(self, entry: Entry, primary_sid: str) -> Groups:
        """Every group of the account: direct, nested, its primary group and what that is in."""
        try:
            return self._groups(entry, primary_sid)
        except BackendError as error:
            return Groups(unseen=str(error))

    def _groups(self, entry: Entry, primary_sid: str) -> Groups:
        primary = self._primary(primary_sid, entry)
        members = "".join(f"(member:{_IN_CHAIN}:={self._directory.escaped(dn)})" for dn in (entry.dn, primary.dn))
        found = self._directory.find(self.domain, f"(|{members})", ["sAMAccountName", "objectSid"])
        token = self._directory.read(entry.dn, ["tokenGroups"])
        sids = [sid_text(raw) for group in (primary, *found) for raw in group.raw("objectSid")]
        sids += [sid_text(raw) for raw in token.raw("tokenGroups")] if token else []
        names = [text for group in (primary, *found) for text in (group.text("sAMAccountName"), group.dn)]
        return Groups(tuple(dict.fromkeys([*names, *entry.texts("memberOf")])), tuple(dict.fromkeys(sids)))

    def _primary(self, sid: str, entry: Entry) -> Entry:
        raw = "".join(f"\\{byte:02x}" for byte in sid_bytes(sid))
        found = self._directory.find(self.domain, f"(objectSid={raw})", ["sAMAccountName", "objectSid"], limit=2)
        if len(found) != 1:
            raise BackendError(
                f"the groups of {entry.dn} cannot be read: give the bind account the right to read groups."
            )
        return found[0]
