"""Text from outside, made harmless for Markdown: shown as it is, never as a link, markup or a line of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|<>~&@])")
_WRITTEN = re.compile(r"`([^`]*)`|\\(.)")  # code, or a sign that was escaped
_LINKS = re.compile(r"(?i)(://|\bwww\.)")  # what Markdown makes a link of by itself
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def plain(text: object, longest: int = 300) -> str:
    """One line of text without meaning to Markdown; longer text is cut, visibly."""
    line = _INVISIBLE.sub("", " ".join(str(text).split()))
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    if len(line) > longest:
        line = line[: longest - 3] + "..."
    return _LINKS.sub(lambda match: match[0][:-1] + "\\" + match[0][-1], _SPECIAL.sub(r"\\\1", line))


def bare(lines: Iterable[str]) -> str:
    """The lines as they were before `plain` and `code`, for places where nothing is formatted."""
    return _WRITTEN.sub(lambda match: match[1] if match[1] is not None else match[2], "\n".join(lines))


def code(text: object, longest: int = 300) -> str:
    """One line as code, for values that are to be copied."""
    line = _INVISIBLE.sub("", " ".join(str(text).split())).replace("`", "'")
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return f"`{line[: longest - 3] + '...' if len(line) > longest else line}`"
