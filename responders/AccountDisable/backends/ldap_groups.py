"""Every group of an account in a plain LDAP directory: by `memberOf`, by search, and the groups those are in."""

from __future__ import annotations

from typing import NamedTuple

from propolis.containment.backend import BackendError

from .directory import Entry
from .ldap_server import LdapServer

_AT_ONCE = 50  # terms in one filter
_MOST = 500  # groups of one account; more than that is a loop or a mistake
_ROOT = "0"  # uidNumber or gidNumber (RFC 2307) of the one who may do everything on a Unix machine
ADMINISTRATIVE = frozenset(("root", "wheel", "sudo", "admin", "admins", "administrators", "ldapadmins"))
"""Groups that give all rights on machines by custom; the directory itself marks nobody as administrator."""


class Groups(NamedTuple):
    """The groups of one account, nested ones included."""

    names: tuple[str, ...] = ()
    """Distinguished names and common names."""
    privileged: bool = False
    """It is root, or in one of the groups that are administrative by custom."""
    unseen: str = ""
    """Why they could not be read; nobody is locked then."""


def groups_of(server: LdapServer, base: str, person: Entry) -> Groups:
    """The groups of a person below `base`. Where they cannot be read, `unseen` says why."""
    try:
        return _groups(server, base, person)
    except BackendError as error:
        return Groups(unseen=str(error))


def _groups(server: LdapServer, base: str, person: Entry) -> Groups:
    known: dict[str, str] = {dn.casefold(): dn for dn in person.texts("memberOf")}
    names: dict[str, None] = dict.fromkeys(known.values())
    asked = [*_unix_terms(server, person), *_terms(server, [person.dn, *known.values()])]
    while asked:
        found = _search(server, base, asked)
        fresh = [group for group in found if group.dn.casefold() not in known]
        known |= {group.dn.casefold(): group.dn for group in fresh}
        if len(known) > _MOST:
            raise BackendError(f"{person.dn} is in more than {_MOST} groups, which is more than this looks through.")
        for group in found:
            names |= dict.fromkeys((group.dn, *group.texts("cn")))
        asked = _terms(server, [group.dn for group in fresh])
    privileged = _ROOT in (person.text("uidNumber"), person.text("gidNumber"))
    return Groups(tuple(names), privileged or bool(ADMINISTRATIVE & {_common(name) for name in names}))


def _terms(server: LdapServer, members: list[str]) -> list[str]:
    """What asks for the groups (RFC 4519) that hold these objects."""
    return [f"({kind}={server.escaped(dn)})" for dn in members for kind in ("member", "uniqueMember")]


def _unix_terms(server: LdapServer, person: Entry) -> list[str]:
    """What asks for a person's Unix groups (RFC 2307): by name, and the primary one by number."""
    terms = [f"(memberUid={server.escaped(uid)})" for uid in person.texts("uid")]
    number = person.text("gidNumber")
    return [*terms, f"(&(objectClass=posixGroup)(gidNumber={server.escaped(number)}))"] if number else terms


def _search(server: LdapServer, base: str, terms: list[str]) -> list[Entry]:
    found: dict[str, Entry] = {}
    for at in range(0, len(terms), _AT_ONCE):
        wanted = f"(|{''.join(terms[at : at + _AT_ONCE])})"
        part = server.find(base, wanted, ["cn"], _MOST + 1)
        found |= {entry.dn: entry for entry in part}
    return list(found.values())


def _common(name: str) -> str:
    """The common name of a distinguished name, or the name itself."""
    first = name.partition(",")[0]
    return (first.partition("=")[2] or first).strip().casefold()
