"""Leases: what is contained, why, until when, by whom and where; those that end first on top."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from playbook_service.console import contained, cursor
from playbook_service.console.contained import STATES
from playbook_service.console.decision_words import case_of
from playbook_service.console.frame import ROOT, table
from playbook_service.console.pages import one_lease
from playbook_service.console.visit import Page, Place, Visit
from playbook_service.console.whole import grant_of, whole
from playbook_service.engine import decided, lease
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.store.contract import Filter, Record, Transaction
from playbook_service.web.html import Child, Html, address, el, join, said
from playbook_service.web.message import Failure

_HERE = f"{ROOT}/leases"
_ROWS = 50
_LOOKS = 20
"""Pages that are looked through for one that a responder is picked out of."""
_FIRST = (lease.RELEASING, lease.WISHED, lease.DOUBTFUL)


class Wanted(NamedTuple):
    """What somebody looks for. `after` is where the page begins."""

    state: str
    responder: str
    find: str
    after: str

    def fits(self, record: Record) -> bool:
        """Is it of the responder that is wanted?"""
        return self.responder in ("", grant_of(record).responder)


Listed = tuple[list[Record], str]
"""Leases, and where the next page begins; empty at the end."""


def show(visit: Visit, work: Transaction) -> Page:
    """The list; those that end first on top, before them what is on its way in or out."""
    wanted = Wanted(*(visit.query.get(name, "").strip() for name in Wanted._fields))
    found, onward = _found(work, wanted)
    now = visit.desk.clock.now()
    rows = [_row(visit, work, whole(record), now) for record in found]
    heads = ("!What", "!State", "!Until", "Where", "By", "!Case", "~Why")
    nothing = "No such lease." if any(wanted[:3]) else "Nothing is contained."
    shown = (table(_caption(wanted), heads, rows, nothing), _cut(wanted, found), _pages(wanted, onward))
    listed = el("div", shown, data_part="leases")
    return Page("Leases", join((_search(wanted), contained.glossary(contained.WORDS), listed)), live=10)


def _cut(wanted: Wanted, found: list[Record]) -> Html | None:
    """Of what stands before the leases in force a page shows so many of a state; the way to all of them."""
    if wanted.find or wanted.state:
        return None
    cut = [state for state in _FIRST if sum(one.state == state for one in found) >= _ROWS]
    links = [
        el("a", f"All that are {STATES[state][1]}", href=address(_HERE, state=state, responder=wanted.responder))
        for state in cut
    ]
    return el("p", f"Of these only {_ROWS} are shown here: ", join(links, ", "), ".", class_="note") if links else None


def _caption(wanted: Wanted) -> str:
    if wanted.find:
        return "Found: leases in force first, then those that are over, newest first"
    return "Leases, those that end first on top"


def _row(visit: Visit, work: Transaction, record: Record, now: float) -> list[Child]:
    grant, body = grant_of(record), record.body
    return [
        contained.linked(record), contained.standing(record), contained.ending(record, now),
        join((said(body.get("where"), 60), _verified(body))), said(grant.by, 80), case_of(visit, work, grant.case_id),
        said(grant.why, 240),
    ]  # fmt: skip


def _verified(body: Mapping[str, object]) -> Html | None:
    report = body.get("report")
    return el("small", " verified") if isinstance(report, Mapping) and report.get("verified") is True else None


def _search(wanted: Wanted) -> Html:
    states = [("", "all that is not over"), *((state, STATES[state][1]) for state in (lease.ACTIVE, *_FIRST))]
    responders = [("", "all"), *((name, name) for name in RESPONDERS)]
    fields = (
        el("label", "State", _select("state", states, wanted.state)),
        el("label", "Responder", _select("responder", responders, wanted.responder)),
        el(
            "label",
            "Target or case, as it is written",
            el("input", name="find", value=wanted.find[:200], type="search"),
        ),
        el("button", "Show", type="submit", class_="button"),
    )
    return el("form", fields, method="get", action=_HERE, class_="line", role="search")


def _select(name: str, choices: list[tuple[str, str]], chosen: str) -> Html:
    options = [el("option", text, value=value, selected=value == chosen) for value, text in choices]
    return el("select", options, name=name)


def _pages(wanted: Wanted, onward: str) -> Html | None:
    query = {"state": wanted.state, "responder": wanted.responder, "find": wanted.find[:200]}
    links = [
        el("a", "First", href=address(_HERE, **query), class_="button") if wanted.after else None,
        el("a", "More", href=address(_HERE, **query, after=onward), class_="button", rel="next") if onward else None,
    ]
    return el("nav", links, class_="pages", aria_label="More leases") if any(links) else None


# finding ------------------------------------------------------------------------------------------------------------


def _found(work: Transaction, wanted: Wanted) -> Listed:
    if wanted.find:
        return _searched(work, wanted)
    if wanted.state:
        return _in_state(work, wanted, wanted.state)
    first = [] if wanted.after else [one for state in _FIRST for one in _in_state(work, wanted, state)[0]]
    found, onward = _in_state(work, wanted, lease.ACTIVE)
    return [*first, *found], onward


def _in_state(work: Transaction, wanted: Wanted, state: str) -> Listed:
    """By their end; what is being released or only wished has none, and comes in the order of keys."""
    by_due = state in (lease.ACTIVE, lease.DOUBTFUL)
    found: list[Record] = []
    after = wanted.after
    for _ in range(_LOOKS):
        page = work.find(lease.KIND, _onward(state, after, by_due))
        for record in page[:_ROWS]:
            found += [record] if wanted.fits(record) else []
            after = f"{record.due!r}:{record.key}" if by_due else record.key
            if len(found) == _ROWS:
                return found, after if record is not page[-1] else ""
        if len(page) <= _ROWS:
            return found, ""
    return found, after


def _onward(state: str, after: str, by_due: bool) -> Filter:
    if not by_due:
        return Filter(state=state, after_key=after or None, limit=_ROWS + 1)
    return Filter(state=state, due_before=math.inf, after_due=_moment_of(after) if after else None, limit=_ROWS + 1)


def _moment_of(after: str) -> tuple[float, str]:
    found = cursor.read(after)
    if found is None:
        raise Failure(HTTPStatus.BAD_REQUEST, "This page of leases does not exist: begin with the first.")
    return found


def _searched(work: Transaction, wanted: Wanted) -> Listed:
    """By way of the decisions, whose keys leases share; what was started by hand has none, and is found in force."""
    term = wanted.find.lstrip("#")
    term = f"#{term}" if term.isdigit() else decided.folded(wanted.find)
    decisions, onward = decided.newest(work, term=term, after=wanted.after, limit=_ROWS)
    records = [work.get(lease.KIND, decision.key) for decision in decisions]
    found = {record.key: record for record in records if record is not None}
    if not wanted.after:
        found |= {record.key: record for record in lease.in_force(work) if term in _names(record)}
    fitting = [record for record in found.values() if wanted.fits(record) and wanted.state in ("", record.state)]
    return sorted(fitting, key=_gravest), onward


def _names(record: Record) -> tuple[str, ...]:
    return decided.folded(grant_of(record).target), record.ref, record.key.casefold()


def _gravest(record: Record) -> tuple[bool, float]:
    if record.state in lease.IN_FORCE:
        return False, record.due or 0.0
    return True, -record.updated_at


PLACES = (Place("/leases", show), *one_lease.PLACES)
