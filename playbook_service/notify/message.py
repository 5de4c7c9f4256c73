"""What is said to people outside TheHive."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """A title, some lines of text, and how urgent it is."""

    title: str
    text: str
    urgency: str = "info"
    """`info` or `high`."""
    case: str = ""
    link: str = ""
