"""Our mark as a second tag of a registered address.

PAN-OS shows programs a tag's name and not its end. So the mark is a tag of its own, registered with the blocking tag in
one message and for the same time: it holds the end, goes when the block goes, and no group matches it. It has commas
where a mark has spaces, and leaves out whole facts beyond the 127 characters that the name of a tag may have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from propolis.containment.mark import WORD, fact, is_ours

_LONGEST = 127


class Mark(NamedTuple):
    """A mark as it was found."""

    tag: str
    text: str
    until: float
    """Wall time, seconds."""


def mark_tag(mark: str, until: float) -> str:
    """The tag for a mark and the end of its block."""
    word, *facts = mark.split(" ")
    tag = f"{word},until={int(until)}"
    for one in facts:
        if len(tag) + 1 + len(one) > _LONGEST:
            break
        tag += f",{one}"
    return tag


def marks_of(tags: Iterable[str]) -> list[Mark]:
    """The marks among an address's tags, the one that ends last first."""
    found = []
    for tag in tags:
        text = tag.replace(",", " ")
        until = fact(text, "until")
        if tag.startswith(f"{WORD},") and is_ours(text) and until.isdigit():
            found.append(Mark(tag, text, float(until)))
    return sorted(found, key=lambda mark: -mark.until)
