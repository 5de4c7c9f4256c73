"""Exchange's own logs: HttpProxy (comma-separated, columns of Exchange 2013 and later) and the ECP server's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from propolis.observables import kinds
from propolis.observables.model import Found
from propolis.observables.patterns import lazy

_HOST, _STEM, _USER, _MAILBOX, _AGENT, _CLIENT = 8, 9, 13, 15, 16, 17  # columns of an HttpProxy line
_QUOTED = lazy(r'"((?:[^"]|"")*)"|([^,]*)')


def proxy_line(text: str) -> Iterator[Found]:
    """Who asked Exchange's front end for what; an ECP line has `S:name=value` pairs instead."""
    if ",ECP.Request," in text or ";S:" in text:
        yield from _activity(text)
        return
    cells = _cells(text)
    if len(cells) <= _CLIENT:
        return
    for column, kind, role in (
        (_CLIENT, kinds.ip, "source"),
        (_USER, kinds.user, "subject"),
        (_AGENT, kinds.agent, "client"),
        (_STEM, kinds.uri, "request"),
        (_HOST, kinds.peer, "request"),
    ):
        yield from _as(kind(cells[column]), role)
    yield from _as(kinds.mail(cells[_MAILBOX].rpartition("~")[2].rpartition(":")[2]), "target")


def _cells(text: str) -> list[str]:
    cells: list[str] = []
    place = 0
    while place <= len(text) and len(cells) < 64:
        found = _QUOTED.match(text, place)
        if found is None:
            break
        cells.append(found.group(1) or found.group(2) or "")
        place = found.end() + 1
    return cells


def _activity(text: str) -> Iterator[Found]:
    for name, value in re.findall(r"S:(PSA|URL|CIP)=([^;,]{1,2048})", text):
        if name == "URL":
            yield from _as(kinds.url(value), "request")
        else:
            yield from _as(
                kinds.user(value) if name == "PSA" else kinds.ip(value), "subject" if name == "PSA" else "source"
            )


def _as(found: Iterable[Found], role: str) -> Iterator[Found]:
    for seen in found:
        yield seen._replace(role=role)
