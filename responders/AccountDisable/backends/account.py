"""The ways in which people and logs write an account's name, and nothing else that may pass for one."""

from __future__ import annotations

import re
from typing import NamedTuple

from propolis.errors import InputError

_LONGEST = 256  # characters; a userPrincipalName may have 1024, but no logon form takes more than this
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NEVER = set('*?"<>|')  # no product allows them in a name; in a search they mean "any"


class AccountName(NamedTuple):
    r"""`name`, `DOMAIN\name` or `name@domain`, in its parts."""

    user: str
    r"""The part before `@`, or behind `\`."""
    domain: str = ""
    r"""The Windows domain before the `\`, else the empty string."""
    realm: str = ""
    """What follows the last `@`, else the empty string."""

    @property
    def text(self) -> str:
        """As it is written."""
        if self.domain:
            return f"{self.domain}\\{self.user}"
        return f"{self.user}@{self.realm}" if self.realm else self.user

    @property
    def spellings(self) -> tuple[str, ...]:
        """What guardrails compare with their names before any product was asked."""
        return tuple(dict.fromkeys((self.text, self.user)))


def parse_account(text: str) -> AccountName:
    r"""Read a name. Raises InputError for what is no account's name anywhere, `*` and control characters above all."""
    name = text.strip()
    if not name or len(name) > _LONGEST:
        raise InputError(f"An account's name has 1 to {_LONGEST} characters; this one has {len(name)}.")
    if _CONTROL.search(name) or _NEVER & set(name):
        raise InputError("The account's name holds a control character or one of * ? \" < > |, which no account has.")
    domain, backslash, user = name.rpartition("\\")
    if backslash:
        return _with_domain(domain, user)
    user, at, realm = name.rpartition("@")
    if at and not (user and realm):
        raise InputError(f"{name} is no account's name: something is missing before or behind the @.")
    return AccountName(user, realm=realm) if at else AccountName(name)


def _with_domain(domain: str, user: str) -> AccountName:
    if not domain or not user or "\\" in domain or "@" in domain:
        raise InputError(r"The account's name is not of the form DOMAIN\name: exactly one \ with text on both sides.")
    return AccountName(user, domain=domain)
