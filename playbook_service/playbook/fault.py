"""Faults in playbooks: each with its place, all of them reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from propolis.errors import ConfigurationError, PropolisError

SUGGESTION_CUTOFF = 0.6
"""How alike two words must be (0..1) before one is offered for the other."""


SHOWN = 200
"""Faults printed of one load; `faults` holds them all."""


class PlaybookError(ConfigurationError):
    """One fault in one playbook; carries file, line and path."""


class PlaybookErrors(PropolisError):
    """Every fault of a set of playbooks. `faults` holds them in the order of file and line."""

    def __init__(self, faults: Iterable[PlaybookError]):
        self.faults: tuple[PlaybookError, ...] = tuple(sorted(faults, key=_place))
        count = len(self.faults)
        super().__init__(f"{count} fault{'' if count == 1 else 's'} in the playbooks")

    def __str__(self) -> str:
        lines = [str(fault) for fault in self.faults[:SHOWN]]
        more = len(self.faults) - SHOWN
        return "\n".join([*lines, f"... and {more} more faults."] if more > 0 else lines)


def _place(fault: PlaybookError) -> tuple[str, int, str]:
    return (fault.source or "", fault.line or 0, fault.path or "")


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "target"?` or nothing where no known word is close."""
    names = sorted(known)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower()[:80], list(lowered), n=1, cutoff=SUGGESTION_CUTOFF)
    return f'; did you mean "{lowered[close[0]]}"?' if close else ""


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """The sentence for a word that is none of a closed list: it suggests, and lists what is valid."""
    names = sorted(known)
    if not names:
        return f'unknown {what} "{shorten(word)}"; it takes none.'
    return f'unknown {what} "{shorten(word)}"{suggest(word, names) or ";"} valid: {", ".join(names)}.'


def shorten(text: str, limit: int = 60) -> str:
    """A value fit for one line of an error: control characters out, long text cut."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + "..."
