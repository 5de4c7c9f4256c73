"""Whether an account of OpenLDAP is locked, by its entry and by the password policy that applies to it.

From slapo-ppolicy(5) of OpenLDAP 2.5, and measured on slapd 2.5: `pwdAccountLockedTime` locks only where a policy with
`pwdLockout TRUE` applies; without one the attribute is stored and the user gets in. Its value 000001010000Z locks until
it is taken away, any other is a moment and locks for `pwdLockoutDuration` seconds from then (0: for ever). A policy
applies by `pwdPolicySubentry` of the entry, else by the overlay's default, which is not visible from outside.
"""

from __future__ import annotations

from calendar import timegm
from time import strptime
from typing import NamedTuple

from .directory import Entry
from .ldap_server import LdapServer

LOCK, FOR_GOOD = "pwdAccountLockedTime", "000001010000Z"


class Lock(NamedTuple):
    """What a person's entry and policy say of its lock."""

    value: str
    """Of `pwdAccountLockedTime`, or the empty string."""
    works: bool
    """A policy that locks accounts applies."""
    for_good: bool
    """Binds are refused until somebody takes the lock away."""
    why: str
    """What was seen, as a part of a sentence."""


def lock_of(server: LdapServer, entry: Entry, default_policy: str, now: float) -> Lock:
    """The lock of an entry that was read with `pwdAccountLockedTime` and `pwdPolicySubentry`; `now` is wall time."""
    value = entry.text(LOCK)
    seen = f"{LOCK} is {value or 'not set'}"
    policy = entry.text("pwdPolicySubentry") or default_policy
    if not policy:
        no = f"no password policy is known for {entry.dn}: set openldap_default_policy to the overlay's default one"
        return Lock(value, False, False, f"{seen}; {no}")
    rules = server.read(policy, ["pwdLockout", "pwdLockoutDuration"])
    if rules is None or rules.text("pwdLockout").upper() != "TRUE":
        how = "cannot be read" if rules is None else "does not say pwdLockout TRUE"
        no = f"the policy {policy} {how}, so that a lock of {entry.dn} has no effect"
        return Lock(value, False, False, f"{seen}; {no}")
    if value in ("", FOR_GOOD):
        return Lock(value, True, bool(value), seen)
    seconds = rules.text("pwdLockoutDuration")
    if not seconds.isdecimal() or int(seconds) == 0:
        return Lock(value, True, True, f"{seen}, after wrong passwords, and never ends by itself ({policy})")
    past = _moment(value) + int(seconds) <= now
    return Lock(value, True, False, f"{seen}, after wrong passwords, {'and over' if past else 'for a while'}")


def _moment(stamp: str) -> float:
    """A generalizedTime as slapd writes it, in seconds. One that cannot be read lies in the future: still locked."""
    try:
        return timegm(strptime(stamp.partition(".")[0].removesuffix("Z"), "%Y%m%d%H%M%S"))
    except ValueError:
        return float("inf")
