"""What the backends for endpoint agents share: how a target names exactly one host, and which host is our own.

Products find hosts by queries that are wider than they look (parts of words, wildcards, either case), so a query only
brings candidates; what is contained is compared here, whole.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from propolis.containment.backend import Ambiguous, BackendError, NotFound, Target
from propolis.http import HttpError, Response

_PLAIN = re.compile(r"[a-z0-9:][a-z0-9._:-]{0,252}")
_SAID = 200  # characters of a product's own words in a sentence of ours
_Host = TypeVar("_Host")


def plain_name(target: Target) -> str:
    """The target in lower case without its last dot. Raises BackendError for what no query may hold."""
    text = target.value.casefold().rstrip(".")
    if not _PLAIN.fullmatch(text):
        raise BackendError(
            f"{target.value[:80]!r} cannot be looked up: a host is given by letters, digits, dots, dashes and "
            "underscores, by its address, or by its agent's id."
        )
    return text


def address_of(text: str) -> str:
    """An address in its canonical form, or the empty string for a name."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def same_name(wanted: str, names: Iterable[str]) -> bool:
    """Whether one of the names is the wanted one, whole: a short name never stands for a longer one."""
    return any(name and name.casefold().rstrip(".") == wanted for name in names)


def exactly_one(
    target: Target, found: Sequence[_Host], text: Callable[[_Host], str], product: str, hint: str = ""
) -> _Host:
    """The one host that was found. Raises NotFound, or Ambiguous with all of them."""
    if not found:
        raise NotFound(f"{product} knows no host that is exactly {target.value}. {hint}".rstrip())
    if len(found) > 1:
        raise Ambiguous(target, [text(host) for host in found])
    return found[0]


def own_names() -> tuple[str, ...]:
    """What the machine that this runs on is called (in a container: the container's name)."""
    return (socket.gethostname(),)


def is_own(names: Iterable[str], own: Iterable[str]) -> bool:
    """Whether a host is the machine this runs on, whole names and short ones compared."""
    mine = {form for name in own for form in _forms(name)}
    return any(form in mine for name in names for form in _forms(name))


def _forms(name: str) -> set[str]:
    whole = name.casefold().rstrip(".")
    return {form for form in (whole, whole.partition(".")[0]) if form and not address_of(form)}


def texts(value: object) -> tuple[str, ...]:
    """The texts of a list as products give it: null, a list, or one text."""
    values = value if isinstance(value, list) else [value]
    return tuple(one for one in values if isinstance(one, str) and one)


def usable_addresses(found: Iterable[str]) -> tuple[str, ...]:
    """Addresses that mean a host to others: canonical, each once, nothing of loopback or link-local."""
    kept: list[str] = []
    for text in found:
        address = address_of(text.strip().partition("%")[0].partition("/")[0])
        if not address:
            continue
        parsed = ipaddress.ip_address(address)
        if not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified) and address not in kept:
            kept.append(address)
    return tuple(kept)


def said(response: Response, words: object) -> str:
    """A product's own words on one line, secrets blanked, cut."""
    line = " ".join(response.redact(str(words)).split())
    return line if len(line) <= _SAID else line[: _SAID - 3] + "..."


def document(response: Response, product: str, item: str) -> dict[str, object]:
    """The JSON object that an answer holds. Raises HttpError where it is something else."""
    answer = response.json()
    if not isinstance(answer, dict):
        raise not_theirs(response, product, item)
    return answer


def not_theirs(response: Response, product: str, item: str) -> HttpError:
    """An answer that is none of the product's: a change that got it may have been made."""
    text = f"{response.where} failed: the answer is not {product}'s; check {item}."
    return HttpError(text, kind="format", status=response.status, ambiguous=True)
