"""How containments are told on pages: what is done to what, how it stands, until when, in which case, on what evidence.

Records may be old or come from a product's report: what is missing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from playbook_service.console.frame import ROOT, chip, moment, target
from playbook_service.console.ledger import ledger
from playbook_service.engine import lease, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.placement import CASE
from playbook_service.replay.words import acting
from playbook_service.store.contract import Record, Transaction
from playbook_service.web.html import Child, Html, code, el, join, said
from propolis.duration import duration_text

STATES: Mapping[str, tuple[str, str]] = {
    lease.WISHED: ("ask", "about to be contained"),
    lease.ACTIVE: ("act", "in force"),
    lease.DOUBTFUL: ("stopped", "doubtful"),
    lease.RELEASING: ("ask", "being released"),
    lease.ENDED: ("safe", "over"),
    lease.REFUSED: ("alone", "not contained"),
}
"""State of a lease -> style, and the words for it."""


def path_of(page: str, key: str) -> str:
    """The address of one lease (`leases`), question (`approvals`) or decision (`decisions`); they share their key."""
    return f"{ROOT}/{page}/{quote(key, safe='')}"


def what(grant: lease.Grant) -> Html:
    """`block 203.0.113.17`."""
    return join((said(acting(grant.responder), 60), " ", target(grant.target)))


def words(grant: lease.Grant) -> str:
    """The same as a text, for names of links and sentences."""
    return f"{acting(grant.responder)} {grant.target}"


def linked(record: Record) -> Html:
    """What is contained, with the way to its page."""
    return el("a", what(grant_of(record)), href=path_of("leases", record.key))


def grant_of(record: Record) -> lease.Grant:
    """The grant of a lease or a question."""
    return lease.Grant(**record.body["grant"])


def standing(record: Record) -> Html:
    """How a lease stands, in a word."""
    body, kind = record.body, STATES.get(record.state, ("alone", record.state))
    if record.state == lease.ACTIVE:
        if body.get("undos"):
            kind = ("stopped", f"in force: the release failed {body['undos']}x")
        elif body.get("ended_by"):
            kind = ("ask", "in force: release asked for")
        elif body.get("pending"):
            kind = ("ask", "pending at the product")
    return chip(*kind)


def ending(record: Record, now: float) -> Html:
    """When it ends, and how long that is from now."""
    if record.body.get("permanent"):
        return el("span", "permanent: until somebody releases it")
    until = record.body.get("until")
    if not until:
        return moment(None)
    return join((moment(float(until)), " ", el("small", left(float(until), now), class_="left")))


def left(until: float, now: float) -> str:
    """`3h20m left`, `5m overdue`; to the minute where it is more than one."""
    seconds = abs(until - now)
    text = duration_text(seconds if seconds < 60 else seconds // 60 * 60)
    return f"{text} left" if until > now else f"{text} overdue"


def case_name(work: Transaction, case_id: str) -> Html | None:
    """`#128` for a case of ours, else its id."""
    if not case_id:
        return None
    record = work.get(CASE, case_id)
    number = record.body.get("number") if record is not None else None
    return el("span", f"#{number}") if isinstance(number, int) else code(case_id, 60)


def evidence(work: Transaction, decision: Record | None) -> Html:
    """The evidence that was decided on: bars, and the sentences that were written down with the decision."""
    if decision is None:
        nothing = "No decision is on record for it: it was started by hand in TheHive, or is older than what is kept."
        return el("p", nothing, class_="note")
    verdict = work.get(VERDICT, str(decision.body.get("verdict") or ""))
    full: Any = verdict.body.get("full") if verdict is not None else None
    if isinstance(full, Mapping):
        return join((ledger(full), told(decision)))
    return told(decision) or el("p", "It was not decided on a verdict.", class_="note")


def told(decision: Record) -> Html | None:
    """The evidence in sentences, to be opened."""
    sentences = lines(decision)
    if not sentences:
        return None
    listed = el("div", el("ul", [el("li", said(line, 600)) for line in sentences]), class_="story")
    return el("details", el("summary", el("span", "The evidence in sentences", class_="title")), listed)


def lines(decision: Record) -> list[Child]:
    """The sentences that were written down with a decision."""
    found = decision.body.get("lines")
    return list(found[:40]) if isinstance(found, list) else []


def decision_of(work: Transaction, key: str) -> Record | None:
    """The decision that a lease or a question came from."""
    return work.get(ruling.KIND, key)


def second_look(title: Child, will: Child, form: Child) -> Html:
    """A form that is opened first, and then says what will happen."""
    summary = el("summary", el("span", title, class_="title"))
    return el("details", summary, el("div", el("p", will), form, class_="story"))
