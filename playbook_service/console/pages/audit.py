"""Audit: the chain's lines, newest first, each held against the one before; and the whole chain verified on request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from playbook_service.audit import index
from playbook_service.audit.chain import GENESIS, Anchor, Finding, anchor_of, verify
from playbook_service.audit.journal import LOG
from playbook_service.console import verifying
from playbook_service.console.errand import RUNNING
from playbook_service.console.frame import ROOT, chip, moment, pages, table
from playbook_service.console.person import Role
from playbook_service.console.visit import Page, Place, Told, Visit
from playbook_service.store.contract import Entry, Transaction
from playbook_service.web.html import Child, Html, address, code, el, join, said
from propolis.errors import InputError

PLACE = f"{ROOT}/audit"
_PAGE = 50
_BOOKKEEPING = frozenset(("n", "prev", "hash", "at", "action"))
_MOST_FACTS, _MOST_ITEMS = 30, 10
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOMENTS, _FAR = ("until",), 250_000_000_000.0
"""Facts that are seconds since the epoch, and beyond which one is no date: the end of what has none."""


def show(visit: Visit, work: Transaction) -> Page:
    """The page."""
    newest = work.last(LOG)
    head = newest.number if newest else 0
    of = visit.query.get("of", "").strip()[:200]
    lines, nav = _named(visit, work, of) if of else _in_order(visit, work, head)
    errand = verifying.stand(visit, work)
    body = (verifying.section(visit, work, errand), _listing(_search(visit, head, of), lines, of), nav)
    return Page("Audit", join(body), live=3 if errand.state == RUNNING else 0)


# finding ------------------------------------------------------------------------------------------------------------


def _search(visit: Visit, head: int, of: str) -> Html:
    at = visit.query.get("at", "")
    by_number = el(
        "form",
        el("label", f"Line number, 1 to {head:,}",
           el("input", name="at", value=at[:12], inputmode="numeric", pattern="[0-9]{1,12}")),
        el("button", "Go to line", type="submit", class_="button"), action=PLACE, class_="line",
    )  # fmt: skip
    by_name = el(
        "form",
        el("label", "Decision, lease, or case id, as it is written", el("input", name="of", value=of, maxlength="200")),
        el("button", "Find lines", type="submit", class_="button"),
        el("a", "Show all", href=PLACE, class_="button quiet") if of or at else None, action=PLACE, class_="line",
    )  # fmt: skip
    return el("div", by_number, by_name, class_="two")


Shown = list[tuple[Entry, list[Finding]]]
"""Lines, newest first, with what is wrong with each."""


def _in_order(visit: Visit, work: Transaction, head: int) -> tuple[Shown, Html | None]:
    """Fifty lines down from a number, verified in one piece from the line before them."""
    wanted = visit.query.get("at", "").strip().replace(",", "")
    number = int(wanted) if wanted.isdecimal() and len(wanted) <= 12 else head
    top = max(1, min(number, head))
    after = max(0, top - _PAGE)
    entries = work.read(LOG, after=max(0, after - 1), limit=_PAGE + (after > 0))
    before, shown = (entries[:1], entries[1:]) if after else ([], entries)
    shown = [entry for entry in shown if entry.number <= top]
    wrong = _by_number(verify((entry.body for entry in shown), start=_start(before)))
    older = address(PLACE, at=after) if after else ""
    return [(entry, wrong.get(entry.number, [])) for entry in reversed(shown)], pages(PLACE, older, top < head)


def _named(visit: Visit, work: Transaction, of: str) -> tuple[Shown, Html | None]:
    """The lines that name something, each held against the one before it."""
    wanted = visit.query.get("below", "")
    below = int(wanted) if wanted.isdecimal() and len(wanted) <= 12 else 0
    numbers = index.numbers(work, of, below=below, limit=_PAGE + 1)
    shown: Shown = []
    for number in numbers[:_PAGE]:
        entries = work.read(LOG, after=max(0, number - 2), limit=2 if number > 1 else 1)
        if entries and entries[-1].number == number:
            wrong = _by_number(verify([entries[-1].body], start=_start(entries[:-1])))
            shown.append((entries[-1], wrong.get(number, [])))
    older = address(PLACE, of=of, below=numbers[_PAGE - 1]) if len(numbers) > _PAGE else ""
    return shown, pages(address(PLACE, of=of), older, bool(below))


def _start(before: list[Entry]) -> Anchor:
    """What the first line shown must follow; a line that holds no hash any more is followed by none."""
    if not before:
        return Anchor(0, GENESIS)
    try:
        return anchor_of(before[0].body)._replace(number=before[0].number)
    except (KeyError, TypeError, ValueError):
        return Anchor(before[0].number, "unknown")


def _by_number(findings: Iterable[Finding]) -> dict[int, list[Finding]]:
    found: dict[int, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.number, []).append(finding)
    return found


# the lines ----------------------------------------------------------------------------------------------------------


def _listing(search: Html, lines: Shown, of: str) -> Html:
    caption = "Lines of the audit chain, newest first"
    nothing = (
        "No line names that. Lines are found by the whole id of a decision, a lease or a case (~41259592)."
        if of
        else "The chain has no lines yet."
    )
    heads = ("#Line", "!When", "What", "~Facts", "!Hash", "!Chain")
    rows = [_row(entry, wrong) for entry, wrong in lines]
    title = join(("Lines that name ", code(of, 120))) if of else "Lines"
    return el("section", el("h2", title), search, table(caption, heads, rows, nothing))


def _row(entry: Entry, wrong: list[Finding]) -> list[Child]:
    line: Mapping[str, Any] = entry.body if isinstance(entry.body, dict) else {}
    return [
        el("b", str(entry.number)), moment(entry.at), said(line.get("action"), 80), _facts(line),
        code(str(line.get("hash") or "")[:12], 12), _check(wrong),
    ]  # fmt: skip


def _check(wrong: list[Finding]) -> Html:
    if not wrong:
        return chip("safe", "follows")
    told = "; ".join(dict.fromkeys(finding.problem for finding in wrong))
    return join((chip("act", "broken"), el("p", said(told), class_="wrong")))


def _facts(line: Mapping[str, Any]) -> Html:
    found = [(name, value) for name, value in line.items() if name not in _BOOKKEEPING]
    shown = [el("span", el("i", said(name, 40)), " ", _value(name, value)) for name, value in found[:_MOST_FACTS]]
    more = [f"and {len(found) - _MOST_FACTS} more"] if len(found) > _MOST_FACTS else []
    return el("div", join((*shown, *more), " \u00b7 "), class_="line-facts")


def _value(name: str, value: Any) -> Html:
    if name in index.NAMES and isinstance(value, str):
        return el("a", said(value, 60), href=address(PLACE, of=value[:200]))
    if name in _MOMENTS and isinstance(value, (int, float)) and 0 < value < _FAR:
        return moment(value)
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return join((code(value[:12], 12), "\u2026"))
    if isinstance(value, list):
        more = f" and {len(value) - _MOST_ITEMS} more" if len(value) > _MOST_ITEMS else ""
        return said("; ".join(str(item) for item in value[:_MOST_ITEMS]) + more, 300)
    if isinstance(value, dict):
        return said(", ".join(f"{key} {item}" for key, item in list(value.items())[:_MOST_ITEMS]), 300)
    return said("yes" if value is True else "no" if value is False else value, 300)


# verifying ----------------------------------------------------------------------------------------------------------


def begin(visit: Visit, form: Mapping[str, str]) -> Told:
    """Have the whole chain verified. Raises InputError where that is under way."""
    if not verifying.start(visit):
        raise InputError("The chain is being verified already.")
    return Told(f"{PLACE}#verify", "The whole chain is being verified; what is found is shown here.")


PLACES = (Place("/audit", show), Place("/audit/verify", act=begin, role=Role.OPERATOR, recheck=False))
