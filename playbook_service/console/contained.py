"""How containments are told on pages: what is done to what, how it stands, until when, in which case, on what evidence.

Records may be old or come from a product's report: what is missing is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from playbook_service.console import whole
from playbook_service.console.frame import ROOT, chip, moment, target
from playbook_service.console.ledger import ledger
from playbook_service.console.whole import grant_of
from playbook_service.engine import approval, lease, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.replay.words import acting
from playbook_service.store.contract import Record, Transaction
from playbook_service.web.html import Child, Html, el, join, said
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
PENDING, ASKED_FOR, LEFT = "pending at the product", "release asked for", "left to a person"
WORDS: tuple[tuple[str, str, str], ...] = (
    ("ask", "about to be contained", "It was decided; the responder is to be started, or runs."),
    ("act", "in force", "The responder did it. It is undone at its end, or when somebody releases it."),
    ("ask", PENDING, "The product took the order and has not finished it. It counts as in force."),
    ("ask", ASKED_FOR, "In force still; the undo is started next."),
    ("stopped", "the release failed", "The undo failed. It is tried again, with growing pauses, for ever."),
    ("stopped", "doubtful", "Whether it took effect is not known. At its end the undo runs all the same."),
    ("ask", "being released", "The undo runs, or waits for the product."),
    ("safe", "over", "The undo was verified, or a person undid it at the product."),
    ("stopped", LEFT, "It was doubtful, and the undo failed too: look at the product."),
    ("alone", "not contained", "Nothing was changed: a dry run, called off, or contained there by somebody else."),
)
"""How a lease may stand: style, the words, what they mean."""
ANSWERS: Mapping[str, tuple[str, str]] = {
    approval.ASKED: ("ask", "waiting"), approval.WAITING: ("ask", "waiting"), approval.GRANTED: ("act", "granted"),
    approval.DENIED: ("safe", "denied"), approval.EXPIRED: ("alone", "expired"),
}  # fmt: skip
"""State of a question -> style, and the words for it."""
NOT_GRANTED = "not granted"


def path_of(page: str, key: str) -> str:
    """The address of one lease (`leases`), question (`approvals`) or decision (`decisions`); they share their key."""
    return f"{ROOT}/{page}/{quote(key, safe='')}"


def what(grant: lease.Grant) -> Html:
    """`block 203.0.113.17`."""
    return join((said(acting(grant.responder), 60), " ", target(grant.target or whole.UNKNOWN)))


def words(grant: lease.Grant) -> str:
    """The same as a text, for names of links and sentences."""
    return f"{acting(grant.responder)} {grant.target}"


def linked(record: Record) -> Html:
    """What is contained, with the way to its page."""
    return el("a", what(grant_of(record)), href=path_of("leases", record.key))


def standing(record: Record) -> Html:
    """How a lease stands, in a word."""
    return chip(*_stands(record))


def _stands(record: Record) -> tuple[str, str]:
    body, kind = record.body, STATES.get(record.state, ("alone", record.state))
    if record.state == lease.ACTIVE:
        unsure = "doubtful" if body.get("doubtful") else "in force"
        if body.get("undos"):
            return "stopped", f"{unsure}: the release failed {body['undos']}x"
        if body.get("ended_by"):
            return "ask", f"{unsure}: {ASKED_FOR}"
        if body.get("pending"):
            return "ask", PENDING
    if record.state == lease.RELEASING and body.get("undos"):
        return "stopped", f"being released: failed {body['undos']}x"
    if record.state == lease.DOUBTFUL and body.get("ended_by"):
        return "stopped", f"doubtful: {ASKED_FOR}"
    return ("stopped", LEFT) if is_left(record) else kind


def is_left(record: Record) -> bool:
    """Was the undo of a doubtful containment given up, so that only the product knows?"""
    body = record.body
    undone = bool(body.get("released") or body.get("ended_at"))
    return record.state == lease.ENDED and bool(body.get("doubtful")) and not undone


def answered(record: Record, now: float) -> Html:
    """How a question stands, in a word. One that ends without a person's no was not denied."""
    if record.state in (approval.ASKED, approval.WAITING):
        expires = float(record.body["expires"])
        return chip("ask", left(expires, now) if expires > now else "expired: nothing will be done")
    if record.state == approval.DENIED and not record.body["answers"]:
        return chip("alone", NOT_GRANTED)
    return chip(*ANSWERS.get(record.state, ("alone", record.state)))


def ending(record: Record, now: float) -> Html:
    """When it ends, and how long that is from now; for one that is over, when that was."""
    body = record.body
    if record.state in (lease.ENDED, lease.REFUSED):
        return moment(float(body.get("ended_at") or 0.0))
    if body.get("permanent") and not body.get("ended_by"):
        return el("span", "permanent: until somebody releases it")
    until = body.get("until")
    if not until:
        return moment(None)
    return join((moment(float(until)), " ", el("small", left(float(until), now), class_="left")))


def left(until: float, now: float) -> str:
    """`3h20m left`, `5m overdue`; to the minute where it is more than one."""
    seconds = abs(until - now)
    text = duration_text(seconds if seconds < 60 else seconds // 60 * 60)
    return f"{text} left" if until > now else f"{text} overdue"


def evidence(work: Transaction, decision: Record | None) -> Html:
    """The evidence that was decided on: bars, and the sentences that were written down with the decision."""
    if decision is None:
        nothing = "No decision is on record for it: it was started by hand in TheHive, or is older than what is kept."
        return el("p", nothing, class_="note")
    key = str(decision.body["verdict"])
    verdict = whole.get(work, VERDICT, key)
    if verdict is not None:
        return join((ledger(verdict.body["full"]), told(decision)))
    gone = "The verdict is not kept any more." if key else "It was not decided on a verdict."
    return join((el("p", gone, class_="note"), told(decision)))


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
    return whole.get(work, ruling.KIND, key)


def glossary(rows: Iterable[tuple[str, str, str]]) -> Html:
    """What the words of a page mean, to be opened: style, word, meaning."""
    listed = [[el("dt", chip(kind, word)), el("dd", text)] for kind, word, text in rows]
    title = el("summary", el("span", "What the words mean", class_="title"))
    return el("details", title, el("div", el("dl", listed), class_="story"))


def second_look(title: Child, will: Child, form: Child) -> Html:
    """A form that is opened first, and then says what will happen."""
    summary = el("summary", el("span", title, class_="title"))
    return el("details", summary, el("div", el("p", will), form, class_="story"))
