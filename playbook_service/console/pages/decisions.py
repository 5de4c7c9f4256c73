"""Decisions: newest first, found by what they are about; and the whole story of each."""

from __future__ import annotations

import logging
from http import HTTPStatus

from playbook_service.console import decision_page
from playbook_service.console.contained import path_of
from playbook_service.console.decision_words import PLACE, STATES, case_of, newest, state_chip, target_of
from playbook_service.console.frame import moment, pages, table
from playbook_service.console.visit import Page, Place, Visit
from playbook_service.engine import decided
from playbook_service.reports.incident import incident
from playbook_service.reports.incident_markdown import incident_markdown
from playbook_service.reports.incident_page import incident_html
from playbook_service.store.contract import Record, Transaction
from playbook_service.web.html import Child, Html, address, code, el, join, said, visible
from playbook_service.web.message import Answer, Failure
from propolis.errors import InputError

_LOG = logging.getLogger("propolis.console")
_PAGE = 50
_SEARCHED = (
    "an address, account or host; a network 203.0.113.0/24; a case #128 or ~41259592; a playbook; a responder; a "
    "rule 5712; an agent; an alert siem01:1767225600.4711; a decision or lease"
)


def show(visit: Visit, work: Transaction) -> Page:
    """The page: fifty decisions, and how to find others."""
    query = visit.query
    term, state = query.get("q", "").strip()[:200], query.get("state", "")
    playbook = query.get("playbook", "")
    state = state if state in STATES else ""
    found, onward = newest(work, state=state, playbook=playbook, term=term, after=query.get("after", ""), limit=_PAGE)
    here = address(PLACE, q=term, state=state, playbook=playbook)
    older = address(PLACE, q=term, state=state, playbook=playbook, after=onward) if onward else ""
    filtered = bool(term or state or playbook)
    body = (
        _search(visit, term, state, playbook),
        _words(),
        _table(visit, work, found, _none(term, onward, filtered)),
        pages(here, older, bool(query.get("after"))),
    )
    return Page("Decisions", join(body))


# finding ------------------------------------------------------------------------------------------------------------


def _search(visit: Visit, term: str, state: str, playbook: str) -> Html:
    known = [book.name for book in visit.desk.playbooks() if book.kind == "respond"]
    names = [*known, *([playbook] if playbook and playbook not in known else [])]
    fields = (
        el(
            "label", "Search, as it is written",
            el("input", name="q", value=term, type="search", maxlength="200", aria_describedby="searched"),
        ),
        _choice("State", "state", [(name, name) for name in STATES], state),
        _choice("Leading playbook", "playbook", [(name, name) for name in names], playbook),
        el("button", "Find", type="submit", class_="button go"),
        el("a", "Show all", href=PLACE, class_="button quiet") if term or state or playbook else None,
    )  # fmt: skip
    hint = el("p", f"Found by: {_SEARCHED}.", class_="note", id="searched")
    return el("section", el("form", fields, action=PLACE, class_="line", role="search"), hint)


def _choice(label: str, name: str, options: list[tuple[str, str]], chosen: str) -> Html:
    all_ = el("option", "any", value="", selected=not chosen)
    rest = [el("option", visible(text[:80]), value=value, selected=value == chosen) for value, text in options]
    return el("label", label, el("select", all_, rest, name=name))


def _words() -> Html:
    rows = [[el("dt", state_chip(state)), el("dd", text)] for state, text in STATES.items()]
    return el("details", el("summary", el("span", "What the words mean", class_="title")),
              el("div", el("dl", rows), class_="story"))  # fmt: skip


def _none(term: str, onward: str, filtered: bool) -> str:
    if onward:
        return "None of those looked through is one; Older goes on looking."
    if term:
        return f"No decision is found by that. It is found as it is written, whole, by {_SEARCHED}."
    return "No decision is of that kind." if filtered else "Nothing was decided yet."


# the table ----------------------------------------------------------------------------------------------------------


def _table(visit: Visit, work: Transaction, found: list[Record], nothing: str) -> Html:
    numbers: dict[str, Html] = {}
    for record in found:
        if record.ref not in numbers:
            numbers[record.ref] = case_of(visit, work, record.ref)
    heads = ("!When", "!State", "Responder", "~Target", "Playbook", "!Case", "~Why")
    return table("Decisions, newest first", heads, [_row(record, numbers) for record in found], nothing)


def _row(record: Record, numbers: dict[str, Html]) -> list[Child]:
    target = target_of(record.body["decision"])
    name = join((moment(float(record.body["at"])), el("span", " ", record.state, " ", said(target), class_="unseen")))
    return [
        el("a", name, href=path_of("decisions", record.key)), state_chip(record.state),
        said(decided.responder_of(record), 60), code(target, 120), said(decided.playbook_of(record), 80),
        numbers[record.ref], said(_why(record), 200),
    ]  # fmt: skip


def _why(record: Record) -> str:
    """What held it back, and from what; else what spoke for it."""
    decision, outcome = record.body["decision"], str(record.body["outcome"])
    reasons = decision["reasons"]
    held = str(record.body["why"] or decision["capped_by"])
    would = f"would {outcome}; " if held and record.state == "observe" and outcome in ("act", "ask") else ""
    return f"{would}{held}" or (str(reasons[0]) if reasons else "")


# one decision, and its case's report --------------------------------------------------------------------------------


def one(visit: Visit, work: Transaction) -> Page:
    """The whole story of one decision."""
    return decision_page.show(visit, work)


def report(visit: Visit, work: Transaction) -> Answer:
    """The incident report of a case, as a file: HTML, or Markdown with `?format=markdown`. Raises Failure."""
    case_id = visit.parts["case"]
    try:
        found = incident(work, case_id, visit.desk.clock.now())
    except InputError as error:
        raise Failure(HTTPStatus.NOT_FOUND, error.message) from None
    except (LookupError, TypeError, ValueError, AttributeError):
        _LOG.exception("there is no report of case %s", visible(case_id[:60]))
        sentence = "One of this case's records cannot be read, so there is no report of it; the service's log says why."
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, sentence) from None
    name = f"incident-{found.number or 'report'}"
    if visit.query.get("format") == "markdown":
        return _file(incident_markdown(found), "text/markdown", f"{name}.md")
    return _file(incident_html(found), "text/html", f"{name}.html")


def _file(text: str, kind: str, name: str) -> Answer:
    headers = (("Content-Type", f"{kind}; charset=utf-8"), ("Content-Disposition", f'attachment; filename="{name}"'))
    return Answer(HTTPStatus.OK, text.encode("utf-8", "replace"), headers)


PLACES = (Place("/decisions", show), Place("/decisions/{decision}", one), Place("/cases/{case}/report", report))
