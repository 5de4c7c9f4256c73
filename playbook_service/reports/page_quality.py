"""The second half of the report of a period: how good playbooks and sources were, what was refused, what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from playbook_service.replay import plot
from playbook_service.reports.document import ordered
from playbook_service.reports.figures import Book, Figures
from playbook_service.reports.measure import Share
from playbook_service.reports.paper import chip, section, table
from playbook_service.reports.words import count, number, rate
from playbook_service.web.html import Child, Html, el, said, visible

MOST = 100
"""Rows of a table; more are counted in its caption."""
_FAILED = {
    "failed_or_doubtful": "containments that failed, or of which it is in doubt",
    "undo_failed": "containments whose undo failed at least once",
    "left_to_a_person": "undos left to a person",
    "renewal_failed": "renewals that failed",
    "set_aside": "steps set aside for a person",
    "refused_by_thehive": "changes in TheHive that it refused",
}
_NOT_MADE = {
    "would_contain": "the responder was in dry run", "already_contained": "contained there by somebody else",
    "called_off": "called off before it was started",
}  # fmt: skip


def shown(rows: int, caption: str) -> str:
    """The caption of a table that may be longer than what is shown."""
    return f"{caption}; the first {MOST} of {rows:,} rows" if rows > MOST else caption


def books(found: Figures) -> Html:
    if not found.books:
        return section("Playbooks", "No playbook that contains something had its say.")
    words = (
        "Decisions count what was decided on each target: acted alone, asked an analyst, held back by a mode "
        "(observed), refused by a guardrail or the budget; what was contained or asked about before is not here. "
        "Right, wrong and unknown count the cases in which the playbook wanted a containment, by how analysts closed "
        "them; precision is right among right and wrong."
    )
    heads = ("~Playbook", "#Right", "#Wrong", "#Unknown", "Precision")
    return section(
        "Playbooks",
        words,
        _bars(found.books[:MOST]),
        table(
            shown(len(found.books), "Cases in which each wanted a containment"), heads, map(_book, found.books[:MOST])
        ),
    )


_KINDS = {"act": "acted alone", "ask": "asked", "observe": "observed", "stopped": "refused"}


def _bars(books: Sequence[Book]) -> Html:
    counts = [dict(zip(_KINDS, (row.acted, row.asked, row.observed, row.stopped + row.held), strict=True))
              for row in books]  # fmt: skip
    full = max(sum(each.values()) for each in counts)
    lines = []
    for row, each in zip(books, counts, strict=True):
        told = ", ".join(f"{times:,} {_KINDS[kind]}" for kind, times in each.items() if times) or "nothing wanted"
        bar = Html(plot.stacked(each, _KINDS, full, f"{visible(row.playbook[:80])}: {told}"))
        lines.append((el("div", said(row.playbook, 80), class_="k"), bar, el("div", told, class_="v")))
    legend = el("ul", [el("li", el("i"), text, class_=kind) for kind, text in _KINDS.items()], class_="legend")
    return el("div", el("div", lines, class_="bars"), legend, class_="card")


def _book(row: Book) -> tuple[Child, ...]:
    return (said(row.playbook), *map(number, (row.right, row.wrong, row.unknown)), rate(row.share))


def sources(found: Figures) -> Html:
    words = (
        "From the cases that analysts closed in this period: of the observables a case was about, how many each source "
        "had called malicious. A good source says so often on the left and seldom on the right."
    )
    if not found.sources:
        return section("Sources", "No case with verdicts was closed as true or false positive in this period.")
    rows = [
        (said(row.source), _heard(Share(row.malicious, row.of_malicious)), _heard(Share(row.harmless, row.of_harmless)))
        for row in found.sources[:MOST]
    ]
    heads = ("~Source", "Of the malicious", "Of the harmless")
    caption = shown(len(found.sources), "How many each source had called malicious")
    return section("Sources", words, table(caption, heads, rows))


def _heard(share: Share) -> str:
    return rate(share) if share.of else "\u2013 (it spoke of none)"


# --- work, refusals, failures, chain -------------------------------------------------------------------------------


def saved(found: Figures) -> Html:
    words = (
        "Assumed, not measured: the counts are facts, the minutes a step are what somebody believes it takes by "
        "hand (option --minutes). Hours = the sum of count \u00d7 minutes / 60; questions that had to be answered "
        "count against it."
    )
    rows: list[tuple[Child, ...]] = [
        (number(round(row.hours, 1)), number(row.times), number(row.minutes), row.text) for row in found.savings
    ]
    rows.append((el("b", number(round(found.hours, 1))), "", "", el("b", "together")))
    return section(
        "Hours of work saved, as assumed", words,
        table("Steps", ("#Hours", "#How often", "#Minutes each", "Step"), rows),
    )  # fmt: skip


def refused(found: Figures) -> Html:
    rows: list[tuple[Child, ...]] = [
        *_counted("stopped", "stopped by a guardrail", found.stopped), *_counted("stopped", "held back", found.held),
    ]  # fmt: skip
    rows += [
        (number(times), chip("observe", "not made"), _NOT_MADE.get(word, word))
        for word, times in ordered(found.not_done.items())
    ]
    if not rows:
        return section("What guardrails refused", "Nothing was stopped, held back or called off.")
    return section("What guardrails refused", None, table("Refusals", ("#How many", "What", "~Rule"), rows[:MOST]))


def _counted(kind: str, text: str, counts: Mapping[str, int]) -> list[tuple[Child, ...]]:
    return [(number(times), chip(kind, text), said(rule or "no rule named")) for rule, times in ordered(counts.items())]


def failures(found: Figures) -> Html:
    if not any(found.failures.values()):
        return section("Failures", "Nothing failed.")
    rows = [(number(found.failures.get(name, 0)), text) for name, text in _FAILED.items()]
    return section("Failures", None, table("What did not work", ("#How many", "What"), rows))


def chain(found: Figures) -> Html:
    part = found.chain
    if part.last < part.first:
        return section("The audit chain", "It has no line of this period, so there was nothing to check.")
    checked = f"lines {part.first:,} to {part.last:,}"
    if part.findings:
        told = [el("li", el("code", said(text))) for text in part.findings]
        more = el("li", f"and {part.more:,} more") if part.more else None
        return section("The audit chain", f"NOT sound, {checked}:", el("ul", told, more))
    against = f", and against {count(part.anchors, 'noted head')}" if part.anchors else ""
    return section(
        "The audit chain",
        f"Sound, {checked}: each was checked against the one before{against}. Earlier and later lines were not: "
        "propolis audit verify checks them all, and against heads kept elsewhere.",
    )
