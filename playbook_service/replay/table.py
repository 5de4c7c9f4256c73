"""The result for a terminal: the answer first, then tables that fit its width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from playbook_service.judgement.guard import ACT, ASK, STOPPED
from playbook_service.replay.run import Result
from playbook_service.replay.summary import ALONE, DISPOSITIONS, SUPPRESSED, Row
from playbook_service.replay.words import (
    SEVERITIES,
    acting,
    answer,
    clock,
    count,
    doing,
    finding,
    same_day,
    span,
    spoke,
    two_digits,
)

COLOURS = {ACT: "31;1", ASK: "33;1", STOPPED: "35;1", SUPPRESSED: "36", ALONE: "2", "head": "1", "dim": "2"}
NARROWEST, WIDEST = 60, 160
GAP = "  "
_LEAST_TEXT = 14  # characters that a column of sentences keeps before others give way


class Paper:
    """Lines of a certain width, in colour or not."""

    def __init__(self, width: int, *, colour: bool = False):
        self.width = max(NARROWEST, min(width, WIDEST))
        self._colour = colour

    def ink(self, text: str, kind: str) -> str:
        """The text in the colour of a kind."""
        code = COLOURS.get(kind)
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code and text else text

    def wrapped(self, text: str, indent: str = "") -> list[str]:
        """A sentence over as many lines as it needs."""
        return textwrap.wrap(
            plain(text), self.width, initial_indent="", subsequent_indent=indent, break_on_hyphens=False
        ) or [""]

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[str] = ()) -> Iterator[str]:
        """Columns side by side; the last one takes what is left and is cut. The first column takes the row's colour."""
        rows = [[plain(cell) for cell in row] for row in rows]
        widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
        widths = _fit(widths, self.width)
        yield self.ink(_line(heads, widths), "dim")
        for number, row in enumerate(rows):
            line = _line(row, widths)
            kind = kinds[number] if kinds else ""
            yield self.ink(line[: widths[0]], kind) + line[widths[0] :]


def plain(text: str) -> str:
    """Without control characters: what an attacker wrote must not steer the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" if char not in "\r\n\t" else " " for char in text)


def _fit(widths: list[int], total: int) -> list[int]:
    """Narrow the columns until they fit: the last one first, which holds sentences, then the widest."""
    widths = list(widths)
    room = total - len(GAP) * (len(widths) - 1)
    widths[-1] = min(widths[-1], max(_LEAST_TEXT, room - sum(widths[:-1])))
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda index: (widths[index], index))
        if widths[widest] <= 4:
            break
        widths[widest] -= 1
    return widths


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    parts = [_cut(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return GAP.join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "\u2026"


def render(result: Result, paper: Paper, *, limit: int) -> Iterator[str]:
    """The whole page, line by line; `limit` rows a table."""
    yield from _answer(result, paper)
    if not result.summary.alerts:
        yield from _faults(result, paper)
        yield from _what_is_what(result, paper)
        return
    for part in (_containments, _cases, _playbooks, _suppressions, _changes, _alerts, _faults):
        lines = list(part(result, paper, limit))
        if lines:
            yield ""
            yield from lines
    yield from _what_is_what(result, paper)


def _answer(result: Result, paper: Paper) -> Iterator[str]:
    for number, sentence in enumerate(answer(result)):
        for line in paper.wrapped(sentence, "  "):
            yield paper.ink(line, "head") if number == 0 else line


def _title(paper: Paper, text: str, shown: int, total: int) -> str:
    more = f" (the first {shown:,} of {total:,})" if shown < total else f" ({total:,})"
    return paper.ink(text + more, "head")


def _containments(result: Result, paper: Paper, limit: int) -> Iterator[str]:
    rows = result.summary.rows(ACT, ASK, STOPPED)
    if not rows:
        return
    yield _title(paper, "Containments", min(limit, len(rows)), len(rows))
    heads = ("what", "do", "target", "for", "case", "alerts", "because")
    cells = [_containment(row) for row in rows[:limit]]
    yield from paper.table(heads, cells, [row.judged.outcome for row in rows[:limit]])


def _containment(row: Row) -> tuple[str, ...]:
    decision = row.judged.decision
    lasting = span(decision.seconds, permanent=decision.permanent)
    number = f"#{row.case}" if row.case else ""
    return (
        row.judged.outcome,
        acting(decision.responder),
        row.judged.target,
        lasting,
        number,
        f"{row.count:,}",
        because(row),
    )


def because(row: Row) -> str:
    """Why, in a few words: the guardrail's rule, or the verdict's numbers, and the playbooks."""
    names = ", ".join(row.playbooks)
    numbers = dict(row.judged.decision.numbers)
    if row.judged.outcome == STOPPED:
        return f"{row.judged.rule} ({names})"
    if not numbers:
        return names
    return f"score {two_digits(numbers['score'])}, {count(numbers['families'], 'family', 'families')}: {names}"


def _cases(result: Result, paper: Paper, limit: int) -> Iterator[str]:
    cases = result.summary.ranked_cases()
    if not cases:
        return
    yield _title(paper, "Cases", min(limit, len(cases)), result.summary.case_count)
    form = _time_form(result)
    heads = ("case", "outcome", "severity", "alerts", "from", "agent", "source", "title")
    rows = [
        (
            f"#{case.number}", case.outcome, SEVERITIES[case.severity] + "!" * case.flagged, f"{case.alerts:,}",
            clock(case.opened, form), case.agent, case.source or "-", case.title,
        )
        for case in cases[:limit]
    ]  # fmt: skip
    yield from paper.table(heads, rows)


def _playbooks(result: Result, paper: Paper, limit: int) -> Iterator[str]:
    found = result.summary.playbooks
    if not found:
        return
    yield paper.ink("Decisions by playbook", "head")
    heads = ("playbook", "mode", "act", "ask", "stopped", "observe")
    modes = {book.name: book.mode for book in result.setup.playbooks}
    rows = [
        (name, modes.get(name, ""), *(f"{counts[kind]:,}" for kind in (ACT, ASK, STOPPED, "observe")))
        for name, counts in sorted(found.items(), key=lambda pair: (-pair[1][ACT], -pair[1][ASK], pair[0]))[:limit]
    ]
    yield from paper.table(heads, rows)


def _suppressions(result: Result, paper: Paper, limit: int) -> Iterator[str]:
    found = result.summary.suppressions
    if found:
        yield _title(paper, "Suppressed", min(limit, len(found)), len(found))
        rows = [(f"{number:,}", reason) for reason, number in found.most_common(limit)]
        yield from paper.table(("alerts", "because"), rows)


def _changes(result: Result, paper: Paper, limit: int) -> Iterator[str]:
    rows = list(result.summary.changes.values())
    if result.setup.against is None:
        return
    yield _title(
        paper, "Decided differently: before is --against, after is --playbooks", min(limit, len(rows)), len(rows)
    )
    heads = ("before", "after", "action", "target", "alerts", "because")
    cells = [
        (
            row.change.before, row.change.after, row.change.action, row.change.target, f"{row.times:,}",
            "; ".join(row.change.why_after or row.change.why_before),
        )
        for row in rows[:limit]
    ]  # fmt: skip
    if cells:
        yield from paper.table(heads, cells)


def _alerts(result: Result, paper: Paper, limit: int) -> Iterator[str]:
    rows = result.summary.listed[:limit]
    yield _title(paper, "Alerts", len(rows), result.summary.alerts)
    form = _time_form(result)
    heads = ("line", "time", "level", "rule", "agent", "what", "case", "wanted", "gravest verdict")
    cells = [
        (
            str(row.line), clock(row.time, form) if row.time else "-", str(row.level), row.rule_id, row.agent,
            row.disposition, f"#{row.case}" if row.case else "", doing(row), finding(row.gravest),
        )
        for row in rows
    ]  # fmt: skip
    yield from paper.table(heads, cells)


def _time_form(result: Result) -> str:
    return "%H:%M" if same_day(result.summary.first, result.summary.last) else "%m-%d %H:%M"


def _faults(result: Result, paper: Paper, _limit: int = 0) -> Iterator[str]:
    sentences = [sentence for faults in result.faults for sentence in faults.sentences()]
    if sentences:
        yield paper.ink("Could not be read", "head")
        for sentence in sentences:
            yield from paper.wrapped(sentence, "  ")


def _what_is_what(result: Result, paper: Paper) -> Iterator[str]:
    yield ""
    yield from _pairs(paper, spoke(result))


def _pairs(paper: Paper, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in pairs:
        lines = paper.wrapped(f"{name}: {value}", "  ")
        yield from (paper.ink(line, "dim") for line in lines)


__all__ = ["DISPOSITIONS", "Paper", "because", "plain", "render"]
