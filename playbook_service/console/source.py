"""The text of a file on a page: with its lines numbered and findings below the lines, or as what differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import unified_diff

from playbook_service.web.html import Child, Html, el, join, said

_MOST_LINES = 2_000
_MOST_COMPARED = 3_000
_WIDEST = 2_000  # characters of a line


def numbered(text: str, caption: str, notes: Mapping[int, Sequence[Child]] | None = None, mark: str = "L") -> Html:
    """The lines, each with its number and the id `L<number>`; `notes` stand below the lines they are about."""
    notes = notes or {}
    lines = text.splitlines()
    shown = [_line(number, line, notes.get(number, ()), mark) for number, line in enumerate(lines[:_MOST_LINES], 1)]
    left = len(lines) - len(shown)
    more = el("p", f"{left:,} more lines are not shown.", class_="note") if left > 0 else None
    listed = el("ol", shown, class_="source")
    return join((el("div", listed, class_="scroll text", tabindex="0", role="region", aria_label=caption), more))


def _line(number: int, line: str, notes: Sequence[Child], mark: str) -> Html:
    below = [el("p", note, class_="finding") for note in notes]
    return el("li", el("code", said(line, _WIDEST)), below, id=f"{mark}{number}", class_="marked" if notes else None)


def difference(before: str, after: str, names: tuple[str, str]) -> Html:
    """What differs between two texts, as `diff -u` writes it; a sentence where nothing does."""
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return el("p", "The texts are the same.", class_="note empty")
    if max(len(old), len(new)) > _MOST_COMPARED:
        sentence = f"The texts have more than {_MOST_COMPARED:,} lines: compare them with diff."
        return el("p", sentence, class_="note")
    lines = list(unified_diff(old, new, *names, lineterm=""))
    return el("pre", _marked(lines), class_="diff", tabindex="0", role="region", aria_label="What differs")


def _marked(lines: Iterable[str]) -> Html:
    return join(el("span", said(line, _WIDEST), "\n", class_=_kind(number, line)) for number, line in enumerate(lines))


def _kind(number: int, line: str) -> str | None:
    if number < 2 or line.startswith("@@"):
        return "place"
    return {"+": "added", "-": "removed"}.get(line[:1])
