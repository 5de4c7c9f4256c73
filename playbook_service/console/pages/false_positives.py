"""False positives: what is suppressed, on whose word, until when, and how to take it back."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from playbook_service.console import cursor
from playbook_service.console.contained import glossary
from playbook_service.console.frame import ROOT, chip, facts, moment, pages, table
from playbook_service.console.person import Role
from playbook_service.console.visit import Page, Place, Told, Visit
from playbook_service.feedback import register
from playbook_service.feedback.register import Suppression
from playbook_service.feedback.suppression import CLOSURES, NEVER_FROM_LEVEL, WINDOW
from playbook_service.store.contract import Filter, Transaction
from playbook_service.web.html import Child, Html, address, code, el, join, said
from propolis.errors import InputError

_HERE = f"{ROOT}/false-positives"
_PAGE = 50
_LOOKS = 10
_WORDS = (
    (
        "suppressed",
        "suppressed",
        "Alerts with it under this rule are tagged and read; nothing is asked or done.",
    ),
    ("ask", "one more to go", "One more case closed as FalsePositive, and its alerts are suppressed."),
    ("plain", "counted", "It was closed so, not yet often enough."),
)
_ALL = float("inf")


def show(visit: Visit, work: Transaction) -> Page:
    """The page: what counts at this moment, in the order in which it ends."""
    found, onward = _page(work, visit.query.get("after", ""), visit.desk.clock.now())
    rows = [_row(visit, entry) for entry in found]
    heads = ("State", "~Observable", "!Under rule", "#Closings", "!Ends", "~Why", "Take back")
    listed = table("Observables that analysts closed as false positive, those that end first on top", heads, rows,
                   "Nothing was closed as false positive in the last 30 days.")  # fmt: skip
    begun, next_page = bool(visit.query.get("after")), address(_HERE, after=onward) if onward else ""
    turn = pages(_HERE, next_page, begun, ("First", "Next"))
    return Page("False positives", join((_rule(), glossary(_WORDS), listed, turn)))


def _rule() -> Html:
    days = int(WINDOW // 86_400)
    return el(
        "p",
        f"An alert is suppressed when analysts closed {CLOSURES} cases within {days} days as FalsePositive with the "
        "same observable under the same rule of the same log source. One TruePositive in between, or clearing it here, "
        f"takes that back. Alerts of rule level {NEVER_FROM_LEVEL} and above are never suppressed.",
        class_="note",
    )


def _page(work: Transaction, after: str, now: float) -> tuple[list[Suppression], str]:
    """What counts, from there on, and where the next page begins. What counts no more is passed over, boundedly."""
    begin = _cursor(after)
    found: list[Suppression] = []
    for _ in range(_LOOKS):
        records = work.find(register.KIND, Filter(due_before=_ALL, after_due=begin, limit=_PAGE))
        for record in records:
            begin = (float(record.due or 0.0), record.key)
            entry = register.suppression_of(record, now)
            if entry.standing:
                found.append(entry)
            if len(found) == _PAGE:
                return found, cursor.written(begin)
        if len(records) < _PAGE:
            return found, ""
    return found, cursor.written(begin) if begin else ""


def _cursor(text: str) -> cursor.Place | None:
    found = cursor.read(text) if text else None
    if text and found is None:
        raise InputError("This address is of no page: begin again at the first one.")
    return found


def _row(visit: Visit, entry: Suppression) -> list[Child]:
    return [
        _state(entry),
        join((code(entry.data, 120), el("small", f" {entry.data_type}"))),
        join((code(entry.rule_id, 20), " of ", said(entry.source, 60))),
        _closings(entry),
        moment(entry.until),
        _why(entry.closures, entry.cleared),
        _clear(visit, entry),
    ]


def _closings(entry: Suppression) -> str:
    return f"{entry.standing} of {CLOSURES}" if entry.standing < CLOSURES else f"{entry.standing}"


def _state(entry: Suppression) -> Html:
    if entry.suppresses:
        return chip("suppressed", "suppressed")
    return chip("ask", "one more to go") if entry.standing == CLOSURES - 1 else chip("plain", "counted")


def _why(closures: tuple[dict[str, Any], ...], cleared: tuple[dict[str, Any], ...]) -> Html:
    told = [_told(entry, f"case #{entry['number']} closed as {entry['resolution']}") for entry in closures]
    told += [_told(entry, "cleared") for entry in cleared]
    words = f"{len(closures)} closing{'s' if len(closures) != 1 else ''}" + (", cleared since" if cleared else "")
    return el("details", el("summary", words), el("ul", [line for _, line in sorted(told)]), class_="small")


def _told(entry: Mapping[str, Any], what: str) -> tuple[float, Html]:
    return float(entry["at"]), el("li", moment(entry["at"]), f" {what} by ", said(entry["by"], 80))


def _clear(visit: Visit, entry: Suppression) -> Html | None:
    if not entry.standing or not visit.person.may(Role.OPERATOR):
        return None
    hidden = el("input", type="hidden", name="key", value=entry.key)
    sentence = "From now on its alerts come in again. What was closed until today no longer counts."
    button = join(("Clear", el("span", " ", said(entry.data, 80), class_="unseen")))
    form = visit.form(f"{_HERE}/clear", hidden, button=button)
    return el("details", el("summary", "Clear\u2026"), el("p", sentence), form, class_="small")


def clear(visit: Visit, form: Mapping[str, str]) -> Told:
    """Let nothing that was closed until now count any more. Raises InputError."""
    desk = visit.desk
    with desk.store.transaction() as work:
        entry = register.clear(work, desk.journal, form.get("key", ""), visit.person.login, desk.clock.now())
    return Told(_HERE, f"{entry.data} is no longer suppressed under rule {entry.rule_id}.")


def detail(visit: Visit, work: Transaction) -> Page:
    """One suppression, by its key."""
    record = work.get(register.KIND, visit.parts["key"])
    if record is None:
        sentence = "Nothing is counted under this key any more: what was closed is more than 30 days ago."
        return Page("A false positive", el("p", sentence, class_="card"), status=HTTPStatus.NOT_FOUND)
    entry = register.suppression_of(record, visit.desk.clock.now())
    body = join(
        (
            _rule(),
            facts(
                ("observable", join((code(entry.data, 200), f" ({entry.data_type})"))),
                ("rule", code(entry.rule_id)), ("log source", said(entry.source)), ("state", _state(entry)),
                ("closings that count", _closings(entry)), ("ends", moment(entry.until)),
            ),
            _why(entry.closures, entry.cleared), _clear(visit, entry),
        )
    )  # fmt: skip
    return Page("A false positive", body)


PLACES = (
    Place("/false-positives", show),
    Place("/false-positives/clear", act=clear, role=Role.OPERATOR),
    Place("/false-positives/{key}", detail),
)
