"""The report of one case as Markdown, for a case page, a ticket or a wiki. Texts from outside have no meaning in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from playbook_service.engine.draft import cell
from playbook_service.engine.markdown import plain
from playbook_service.reports.incident_model import Evidence, Incident
from playbook_service.reports.incident_words import LEVELS, SOURCE, answer, end, numbers, offset, until
from playbook_service.reports.words import moment

_LONG, _MOST_WORDS = 600, 60


def incident_markdown(found: Incident) -> str:
    """The whole document."""
    return "\n".join(_lines(found)).encode("utf-8", "replace").decode("utf-8") + "\n"


def _lines(found: Incident) -> Iterator[str]:
    title = f": {plain(found.title)}" if found.title else ""
    yield from (f"# Incident report, {plain(found.name)}{title}", "")
    yield from (line for sentence in answer(found) for line in (plain(sentence, _LONG), ""))
    yield from (line for gap in found.gaps for line in (plain(gap, _LONG), ""))
    yield from _table(
        "Timeline", ("When (UTC)", "After", "What", "In words", "Audit line"),
        [(moment(one.at), offset(one.at, found.began), plain(one.what), plain(one.text, _LONG), str(one.line or ""))
         for one in found.moments],
    )  # fmt: skip
    yield from ("## Evidence", "")
    yield from (line for one in found.evidence for line in _evidence(one))
    if not found.evidence:
        yield from ("None is on record.", "")
    yield from _table(
        "Containments", ("Target", "Responder", "Granted by", "Until", "Verified", "Its end"),
        [(cell(one.target), plain(one.responder), plain(one.by), plain(until(one)),
          plain(one.verified or one.message, _LONG), plain(f"{end(one)}. {one.undo_verified or one.undone}", _LONG))
         for one in found.contained],
    )  # fmt: skip
    yield from _table(
        "Questions", ("Target", "Responder", "Asked", "Answer", "By", "Why"),
        [(cell(one.target), plain(one.responder), moment(one.asked_at), one.state, plain(", ".join(one.answered_by)),
          plain(one.why, _LONG))
         for one in found.questions],
    )  # fmt: skip
    yield from _table(
        "What was not done, and why", ("What", "Responder", "Target", "Why"),
        [(plain(one.state), plain(one.responder), cell(one.target), plain(one.why, _LONG)) for one in found.not_done],
    )  # fmt: skip
    yield f"Made at {moment(found.made_at)} UTC from {SOURCE}. Case id {cell(found.case_id)}."


def _evidence(one: Evidence) -> Iterator[str]:
    yield from (f"### {plain(one.data)}", "")
    yield from (f"{plain(one.data_type)}, {plain(one.verdict)}: {plain(numbers(one))}. {plain(one.how)}.", "")
    for word in one.words[:_MOST_WORDS]:
        reason = f": {plain(word.reason)}" if word.reason else ""
        yield f"- {plain(word.source)}: {plain(LEVELS.get(word.level, word.level))}, {word.weight:+.2f}{reason}"
    yield from (f"- veto: {plain(veto)}" for veto in one.vetoes[:_MOST_WORDS])
    yield ""


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from (f"## {title}", "")
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        yield from ("Nothing.", "")
        return
    yield from (f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *lines, "")
