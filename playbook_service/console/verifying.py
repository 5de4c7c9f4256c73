"""The whole audit chain, verified as an errand, and where its heads are kept outside."""

from __future__ import annotations

from typing import Any

from playbook_service.audit.chain import Anchor, anchor_of, disagreeing
from playbook_service.audit.journal import LOG, Journal
from playbook_service.console import errand
from playbook_service.console.errand import Errand
from playbook_service.console.frame import ROOT, chip, facts, moment, table
from playbook_service.console.person import Role
from playbook_service.console.visit import Visit
from playbook_service.engine import anchor
from playbook_service.reports.words import count
from playbook_service.store.contract import Filter, Record, Store, Transaction
from playbook_service.web.html import Child, Html, code, el, join, said

NAME = "audit-verify"
"""The errand."""
_MOST = 50
"""Findings that are kept."""
_PLACES = 20


def stand(visit: Visit, work: Transaction) -> Errand:
    """How the verification stands."""
    return errand.standing(work, NAME, visit.desk.clock.now())


def start(visit: Visit) -> bool:
    """Begin it; False where it is under way. The audit has who did."""
    desk = visit.desk
    with desk.store.reading() as work:
        if stand(visit, work).state == errand.RUNNING:
            return False
    with desk.store.transaction() as work:
        desk.journal.write(work, "verification started", operator=visit.person.login)
    return desk.errands.start(NAME, lambda: verified(desk.store, desk.journal), visit.person.login)


def verified(store: Store, journal: Journal) -> dict[str, Any]:
    """The chain against itself and every anchor that the store noted, in short looks; JSON for the errand."""
    with store.reading() as work:
        anchors = anchor.noted(work)
    checked = journal.check(tuple(anchors))
    findings = [*checked.findings, *disagreeing(anchors)]
    return {
        "lines": checked.lines, "head": _text(checked.head), "anchors": len(set(anchors)), "wrong": len(findings),
        "findings": [[finding.number, finding.problem] for finding in findings[:_MOST]],
    }  # fmt: skip


def _text(head: Anchor | None) -> str:
    return f"{head.number}:{head.hash}" if head else ""


# shown --------------------------------------------------------------------------------------------------------------


def section(visit: Visit, work: Transaction, standing: Errand) -> Html:
    """What was found the last time, the head to keep elsewhere, and where it is kept already."""
    running = standing.state == errand.RUNNING
    button = (
        visit.form(f"{ROOT}/audit/verify", button="Verify the whole chain", kind="go")
        if visit.person.may(Role.OPERATOR) and not running
        else None
    )
    return el(
        "section", el("h2", "The whole chain"), el("div", _found(standing), button, class_="card"), _heads(visit, work),
        _hint(), id="verify", data_part="verify",
    )  # fmt: skip


def _found(standing: Errand) -> Html:
    parts: list[Child] = []
    if standing.state == errand.RUNNING:
        parts.append(el("p", "It is being verified, begun ", moment(standing.began), " by ", said(standing.by, 80),
                        ".", role="status"))  # fmt: skip
    if standing.state == errand.FAILED:
        parts.append(el("p", "It could not be verified: ", said(standing.error), "."))
    if standing.result is None:
        return join(parts or [el("p", "It was not verified here yet.")])
    return join((*parts, *_result(standing)))


def _result(standing: Errand) -> list[Child]:
    result = standing.result
    sound = not result["wrong"]
    against = count(int(result["anchors"]), "anchor")
    as_of = moment(standing.ended) if standing.state == errand.DONE else "an earlier time"
    head = el("p", chip("safe" if sound else "act", "sound" if sound else "NOT sound"),
              f" {count(int(result['lines']), 'line')} checked against {against}.")  # fmt: skip
    rows: list[list[Child]] = [[str(number), said(problem)] for number, problem in result["findings"]]
    listed = table("What is wrong with the chain", ("#Line", "~Problem"), rows, "") if rows else None
    more = int(result["wrong"]) - len(rows)
    told = facts(("as of", as_of), ("head then", code(result["head"], 100) if result["head"] else None),
                 ("asked for by", said(standing.by, 80)))  # fmt: skip
    return [head, told, listed, el("p", f"\u2026 and {count(more, 'more finding')}.", class_="note") if more else None]


def _heads(visit: Visit, work: Transaction) -> Html:
    newest = work.last(LOG)
    head = f"{newest.number}:{newest.body.get('hash')}" if newest else "none"
    kept = work.find(anchor.KIND, Filter(limit=_PLACES))
    rows = [_place(work, record) for record in kept]
    settings = visit.desk.settings
    nowhere = "No place outside has a head of it yet."
    if not settings["audit_syslog"] and not settings["audit_case"]:
        nowhere = "No place outside keeps its heads: set audit_syslog or audit_case, or keep this head yourself."
    return el(
        "div",
        facts(("head now", code(head, 100))),
        el("p", "Keep the head where nobody of the service can change it: a chain that was cut short or written anew "
                "shows only against one that was kept elsewhere.", class_="note"),
        table("Heads that were written out", ("Where", "~Head", "!Chain"), rows, nowhere),
    )  # fmt: skip


def _place(work: Transaction, record: Record) -> list[Child]:
    number, kept = int(record.body["number"]), str(record.body["hash"])
    lines = work.read(LOG, after=number - 1, limit=1) if number > 0 else []
    there = lines[0] if lines and lines[0].number == number else None
    same = there is not None and _is(there.body, number, kept)
    word = chip("safe", "has it") if same else chip("act", "differs" if there else "has no such line")
    return [said(record.body["place"], 60), code(f"{number}:{kept}", 100), word]


def _is(line: Any, number: int, kept: str) -> bool:
    try:
        return anchor_of(line) == Anchor(number, kept)
    except (KeyError, TypeError, ValueError):
        return False


def _hint() -> Html:
    return el(
        "p", "To check it without this page: ", code("propolis audit verify --anchor <head>"), "; to take it away: ",
        code("propolis audit export --out audit.jsonl"), ".", class_="note",
    )  # fmt: skip
