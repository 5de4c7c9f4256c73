"""What is said to people outside TheHive."""

from __future__ import annotations

import re
from typing import NamedTuple

_TITLE, _TEXT = 200, 4000  # characters
_UNSEEN = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Signs that nobody sees: they turn the direction of text, hide parts of it, or are half of a sign."""


class Message(NamedTuple):
    """A title, some lines of text, and how urgent it is. All of it is plain text: no channel reads markup in it."""

    title: str
    text: str
    urgency: str = "info"
    """`info` or `high`."""
    case: str = ""
    link: str = ""
    """A web address from the settings, never from an entity."""

    def cleaned(self) -> Message:
        """The same, bounded, with a title of one line, and without signs that only pretend."""
        title = " ".join(visible(self.title).split())
        text = "\n".join(visible(line) for line in self.text.splitlines())
        return self._replace(title=_cut(title, _TITLE), text=_cut(text, _TEXT), case=visible(self.case))


def visible(text: str) -> str:
    """One line of text in which every sign can be seen."""
    return "".join(sign if sign.isprintable() else " " for sign in _UNSEEN.sub("", text))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
