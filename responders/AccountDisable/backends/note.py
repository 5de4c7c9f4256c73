"""Our mark as one line in a text attribute that may also hold other people's words.

The line is put before what is there and taken out again to the last character; other people's words are never changed,
whatever they add meanwhile. The line ends in `was=<n>`, the account's flags before we disabled it, which also tells it
from prose that happens to begin with our name.
"""

from __future__ import annotations

import re

from propolis.containment.mark import is_ours

_BREAK = "\r\n"  # as Active Directory Users and Computers writes the notes (attribute info)
_LINE = re.compile(r"(?:^|(?<=\n))(propolis(?: [\x20-\x7e]*?)? was=(-?\d{1,10}))(\r\n|\n|$)")


def line_of(text: str) -> str:
    """Our line in the text, or the empty string."""
    found = _LINE.search(text)
    return found.group(1) if found and is_ours(found.group(1)) else ""


def flags_of(text: str) -> int | None:
    """The flags that our line remembers, or None where there is no line of ours."""
    found = _LINE.search(text)
    return int(found.group(2)) if found else None


def with_line(text: str, mark: str, flags: int) -> str:
    """The text with our line first; a line of ours that is there already is replaced."""
    rest = without_line(text)
    line = f"{mark} was={flags}"
    return f"{line}{_BREAK}{rest}" if rest else line


def without_line(text: str) -> str:
    """The text as others wrote it."""
    found = _LINE.search(text)
    if not found:
        return text
    before, after = text[: found.start()], text[found.end() :]
    if not after and before:  # our line has become the last one: the break before it came with it
        before = before.removesuffix("\n").removesuffix("\r")
    return before + after
