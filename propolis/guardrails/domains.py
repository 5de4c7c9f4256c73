"""Domain names and web addresses: canonical form, and the names whose block would hit the wrong people."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from propolis.errors import InputError
from propolis.guardrails.builtin import INTERNAL_SUFFIXES, SHARED_DOMAINS, SHARED_SUFFIXES
from propolis.guardrails.networks import check_network
from propolis.guardrails.refusal import BUILT_IN, Refused, change

if TYPE_CHECKING:
    from propolis.guardrails.policy import Policy

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_UNFIT_IN_URL = re.compile(r"[^\x21-\x7e]|[\\<>\"{}|^`]")


def canonical_domain(text: str) -> str:
    """Lower-case ASCII (IDNA) without the final dot. Raises InputError for what is no full domain name."""
    name = unicodedata.normalize("NFKC", text).lower().removesuffix(".")
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii_name = ""
    labels = ascii_name.split(".")
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InputError(f"{text[:60]!r} is not a domain name, such as mail.example.org.")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        raise InputError(f"{text[:60]!r} is not a domain name but looks like an address in a form that is not plain.")
    return ascii_name


def check_domain(policy: Policy, text: str) -> str:
    """The canonical name if it may be blocked, with all below it. Raises InputError, or Refused with the rule."""
    name = canonical_domain(text)
    if "." not in name:
        _refuse(name, "domains.never", "a whole top-level domain or a bare host name")
    if name in SHARED_SUFFIXES:
        _refuse(name, "domains.never", f"{name}, below which many owners live")
    for shared in SHARED_DOMAINS:
        if name == shared:
            _refuse(name, "domains.never", f"{name}, which everybody uses")
    _check_listed(policy, name)
    return name


def check_url(policy: Policy, text: str) -> str:
    """The address, unchanged but for the host in lower case, if it may be blocked. Raises InputError, or Refused."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if _UNFIT_IN_URL.search(text) or parts.scheme not in ("http", "https", "ftp") or not host:
        raise InputError(f"{text[:60]!r} is not a web address, such as https://www.example.org/page.")
    if "@" in parts.netloc:
        raise InputError("A web address with a user or password in it is not accepted: leave that part out.")
    if ":" in host or host.rpartition(".")[2].isdigit():
        check_network(policy, host)
    else:
        name = canonical_domain(host)
        if "." not in name:
            _refuse(name, "domains.never", "a bare host name")
        _check_listed(policy, name)
    return parts._replace(netloc=parts.netloc.lower()).geturl()


def _check_listed(policy: Policy, name: str) -> None:
    for suffix in INTERNAL_SUFFIXES:
        if _touch(name, suffix):
            _refuse(name, "domains.never", f"*.{suffix}, which only exists inside")
    lists = (
        ("domains.own", policy.domains.own),
        ("domains.never", policy.domains.never),
        ("firewall.infrastructure", policy.firewall.infrastructure_names),
    )
    for key, entries in lists:
        for entry in entries:
            if _touch(name, entry):
                _refuse(name, key, entry, own=True)


def _touch(name: str, entry: str) -> bool:
    """True when one is the other or lies below it: a block of the upper one hits the lower one."""
    return name == entry or name.endswith(f".{entry}") or entry.endswith(f".{name}")


def _refuse(name: str, key: str, entry: str, *, own: bool = False) -> None:
    hint = change(key) if own else BUILT_IN
    raise Refused(f"{name} is never blocked: {key} names {entry}. {hint}", rule=f"{key}: {entry}")
