"""Values for documents: bounded texts, addresses that are addresses, moments as Elasticsearch reads them.

Field names are those of the Elastic Common Schema where it has one (ECS 8.x: `@timestamp`, `event.*`, `rule.*`,
`agent.*`, `host.*`, `source.ip`, `threat.*`, `related.*`, `user.name`), and `propolis.*` for what is ours. What an
attacker writes becomes a value under one of these names, never a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from propolis.clock import utc_text

LONGEST, MOST = 1024, 50
_LONG = 2**63
_YEAR_10000 = 253_402_300_799
Document = dict[str, Any]


def text(value: object, most: int = LONGEST) -> str | None:
    """A text that JSON and Lucene can hold; None for what is none, or empty.

    `ignore_above` counts UTF-16 units, of which an emoji has two: a longer value would be kept and never be found.
    """
    if not isinstance(value, str) or not value:
        return None
    sound = value[:most].encode("utf-8", "replace").decode("utf-8")
    return sound.encode("utf-16-le")[: 2 * most].decode("utf-16-le", "ignore")


def texts(values: Iterable[object]) -> list[str] | None:
    """Several, each once; None where there is none."""
    found = dict.fromkeys(one for value in values if (one := text(value)))
    return list(found)[:MOST] or None


def address(value: object) -> str | None:
    """An address as it is written normally; None for anything else, which a field of type `ip` would refuse."""
    if not isinstance(value, str) or "%" in value:  # a zone means something on one host only
        return None
    try:
        return str(ip_address(value.strip()))
    except ValueError:
        return None


def addresses(values: Iterable[object]) -> list[str] | None:
    """Several, each once."""
    found = dict.fromkeys(one for value in values if (one := address(value)))
    return list(found)[:MOST] or None


def number(value: object) -> float | int | None:
    """A number that JSON has and a field of type `long` can hold; a truth value is none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if -_LONG <= value < _LONG else None  # not so for what is no number, either


def moment(value: object) -> str | None:
    """Seconds since the epoch as a date, to the millisecond; None for what is no such number."""
    found = number(value)
    if found is None or not 0 <= found < _YEAR_10000:
        return None
    thousandths = round(found * 1000)
    return f"{utc_text(thousandths // 1000)[:-1]}.{thousandths % 1000:03}Z"


def between(start: object, end: object) -> float | None:
    """Seconds from one moment to a later one; None where either is not known or they stand the wrong way round."""
    first, last = number(start), number(end)
    return round(last - first, 3) if first is not None and last is not None and last >= first else None


def nested(flat: Mapping[str, object]) -> Document:
    """`{"event.kind": "alert"}` as objects within objects, without what is None."""
    document: Document = {}
    for name, value in flat.items():
        if value is None:
            continue
        node = document
        *path, last = name.split(".")
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return document
