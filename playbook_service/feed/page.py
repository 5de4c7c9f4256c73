"""What consumers fetch: a list in the form that they ask for, rendered whole before a byte of it leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from playbook_service.feed.entry import family
from playbook_service.feed.zone import zone
from propolis.clock import utc_text
from propolis.errors import InputError

STYLES = {"plain": ("ip", "domain", "url"), "pan": ("ip",), "rpz": ("ip", "domain")}
"""Form of a page -> the kinds of list that have it. PAN-OS documents comments for lists of addresses only; a DNS zone
holds names and addresses, but no web addresses."""
_FAMILIES = {"4": 4, "6": 6}
_COMMENT = 100  # characters


class Form(NamedTuple):
    """`style` is a word of STYLES, `family` 4 or 6 for the addresses of one family."""

    style: str = "plain"
    family: int | None = None


class Page(NamedTuple):
    """A list as its consumers read it."""

    body: bytes
    etag: str
    serial: int
    """Seconds since 1970 of its last change, or a little more: no two states of a list have the same."""


class State(NamedTuple):
    """What a page is made of."""

    name: str
    kind: str
    entries: Mapping[str, str]
    """Entry -> comment, in the order in which they are published."""
    changed_at: float
    serial: int


def asked_form(kind: str, query: Mapping[str, list[str]]) -> Form:
    """The form that a query string asks for. Raises InputError for one that a list of this kind does not have."""
    style, wanted = _single(query, "format") or "plain", _single(query, "family")
    if kind not in STYLES.get(style, ()):
        known = ", ".join(name for name, kinds in STYLES.items() if kind in kinds)
        raise InputError(f"A list of kind {kind} has no format {style[:20]!r}; it has {known}.")
    if wanted and (kind != "ip" or wanted not in _FAMILIES):
        raise InputError("family is 4 or 6, and only for a list of kind ip.")
    return Form(style, _FAMILIES.get(wanted))


def _single(query: Mapping[str, list[str]], name: str) -> str:
    values = query.get(name, [])
    if len(values) > 1:
        raise InputError(f"{name} is given {len(values)} times; give it once.")
    return values[0] if values else ""


def render(state: State, form: Form) -> Page:
    """The page of a list. Its first line is always a comment: no page has zero bytes."""
    entries = [entry for entry in state.entries if form.family in (None, family(entry))]
    head = f"propolis {state.name}: {len(entries)} entries, changed {utc_text(state.changed_at)}"
    if form.style == "rpz":
        text = zone(head, state.kind, entries, state.serial)
    else:
        comments = state.entries if form.style == "pan" else {}
        text = "\n".join((f"# {head}", *(_line(entry, comments.get(entry, "")) for entry in entries))) + "\n"
    body = text.encode("ascii", "replace")
    return Page(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', state.serial)


def _line(entry: str, comment: str) -> str:
    if not comment:
        return entry
    cleaned = "".join(letter if letter.isalnum() or letter in "-_.:= " else "_" for letter in comment)[:_COMMENT]
    return f"{entry} #{cleaned}"
