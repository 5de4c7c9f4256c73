"""The mark that makes a containment recognisable as ours, at the product, without any ledger.

It is plain ASCII without quotes, at most 120 characters (nftables comments end at 128 bytes), and reads
`propolis case=128 by=analyst@soc.example job=cortex-job-id lease=...`; everything but the first word is for people.
"""

from __future__ import annotations

import re

WORD = "propolis"
_LONGEST = 120
_UNSAFE = re.compile(r"[^A-Za-z0-9@._:/+-]+")


def mark(**facts: str | None) -> str:
    """A mark with the given facts in their order; empty ones are left out, long ones are cut."""
    text = WORD
    for name, value in facts.items():
        cleaned = _UNSAFE.sub("_", value or "").strip("_")[:48]
        if cleaned and len(text) + len(name) + len(cleaned) + 2 <= _LONGEST:
            text += f" {name}={cleaned}"
    return text


def is_ours(text: str) -> bool:
    """True for a text that a responder of this project wrote as its mark."""
    return text == WORD or text.startswith(WORD + " ")


def fact(text: str, name: str) -> str:
    """One fact of a mark, or the empty string."""
    for part in text.split(" ")[1:] if is_ours(text) else ():
        key, _, value = part.partition("=")
        if key == name:
            return value
    return ""
