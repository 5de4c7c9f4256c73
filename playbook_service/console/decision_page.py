"""One decision's whole story: from the alert to the undo, what it stood on, and what would have changed it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from playbook_service.console import decision_evidence, story
from playbook_service.console.contained import answered, ending, path_of, standing
from playbook_service.console.decision_evidence import section
from playbook_service.console.decision_words import PLACE, STATES, case_of, state_chip, target_of
from playbook_service.console.frame import ROOT, chip, facts, moment, table
from playbook_service.console.frame import target as target_code
from playbook_service.console.story import Known
from playbook_service.console.visit import Page, Visit
from playbook_service.console.what_if import Change, Rules, what_if
from playbook_service.engine import approval, decided, lease
from playbook_service.parts import options_of
from playbook_service.replay.words import acting
from playbook_service.reports.incident_model import Moment
from playbook_service.reports.words import count, span
from playbook_service.store.contract import Record, Transaction
from playbook_service.web.html import Child, Html, address, code, el, join, said, visible
from propolis.duration import duration_text
from propolis.errors import ConfigurationError
from propolis.guardrails import PolicyError

_MOST_REASONS = 40
_LONG = 1_000


def show(visit: Visit, work: Transaction) -> Page:
    """The page; one that says so where there is no such decision."""
    key = visit.parts["decision"]
    found = story.known(work, key)
    if found is None:
        return _unknown(work, key)
    now = visit.desk.clock.now()
    body = (
        _head(visit, work, found), _timeline(found), decision_evidence.alert(found),
        decision_evidence.verdict(found), _decision(found), _question(found, now), _containment(found, now),
        _closing(found), _what_if(visit, found), _audit(found),
    )  # fmt: skip
    doing = f"{acting(decided.responder_of(found.decision))} {target_of(found.decision.body['decision'])}"
    return Page(f"Decision: {visible(doing[:80])}", join(body))


def _unknown(work: Transaction, key: str) -> Page:
    hand = work.get(lease.KIND, key) is not None
    why = (
        "This containment was begun by a person, not by a decision of the service."
        if hand
        else "There is no decision of this id, or it is forgotten: the retention set for the service has passed."
    )
    links = el(
        "p", el("a", "The lease", href=path_of("leases", key), class_="button") if hand else None, " ",
        el("a", "All decisions", href=PLACE, class_="button"), " ",
        el("a", "Audit lines that name it", href=address(f"{ROOT}/audit", of=key[:200]), class_="button"),
    )  # fmt: skip
    return Page("No such decision", el("div", el("p", why), links, class_="card"), status=HTTPStatus.NOT_FOUND)


def _head(visit: Visit, work: Transaction, found: Known) -> Html:
    record, decision = found.decision, found.decision.body["decision"]
    case_id = quote(record.ref, safe="~")
    report = f"{ROOT}/cases/{case_id}/report"
    links = (
        el("a", "Incident report (HTML)", href=report, class_="button"),
        el("a", "Incident report (Markdown)", href=f"{report}?format=markdown", class_="button"),
    )
    return el(
        "div",
        el("p", state_chip(record.state), " ", STATES.get(record.state, "")),
        facts(
            ("decided", moment(float(record.body["at"]))),
            ("target", join((target_code(target_of(decision)), f" {_kind(decision)}"))),
            ("by playbook", said(decided.playbook_of(record), 80)),
            ("responder", said(decided.responder_of(record), 80)),
            ("case", case_of(visit, work, record.ref)),
            ("why not more", said(record.body["why"] or decision["capped_by"], _LONG) if _held_back(record) else None),
            ("decision", code(record.key, 80)),
        ),
        el("p", links, class_="acts") if record.ref else None,
        class_="card",
    )


def _kind(decision: Mapping[str, Any]) -> str:
    return f"({decision['target']['kind']})" if decision["target"] else ""


def _held_back(record: Record) -> bool:
    return bool(record.body["why"] or record.body["decision"]["capped_by"])


# what happened ------------------------------------------------------------------------------------------------------


def _timeline(found: Known) -> Html:
    told = story.moments(found)
    rows = [_moment(one, before) for one, before in zip(told, [None, *told[:-1]], strict=True)]
    heads = ("!When", "!After", "!What", "~In words", "#Audit line")
    more = "Only the newest audit lines are told; the others are in the audit." if found.more else ""
    note = f"After: since the row above. {more}".strip()
    return section("From the alert to the undo", el("p", note, class_="note"),
                    table("What happened, oldest first", heads, rows, "Nothing of it is on record."))  # fmt: skip


def _moment(one: Moment, before: Moment | None) -> list[Child]:
    after = f"+{span(one.at - before.at)}" if before is not None and one.at - before.at >= 0.5 else ""
    to = address(f"{ROOT}/audit", at=one.line) if one.line else ""
    line = el("a", el("span", "audit line ", class_="unseen"), f"{one.line}", href=to) if to else None
    return [moment(one.at), after, chip(one.kind, one.what), said(one.text, _LONG), line]


# what was decided ---------------------------------------------------------------------------------------------------


def _decision(found: Known) -> Html:
    body, decision = found.decision.body, found.decision.body["decision"]
    reasons = el("ul", [el("li", said(reason, _LONG)) for reason in decision["reasons"][:_MOST_REASONS]])
    books = join([el("span", said(book["name"], 80), " ", code(book["digest"][:12], 12))
                  for book in decision["playbooks"]], ", ")  # fmt: skip
    return section(
        "The decision",
        facts(
            ("playbooks", books),
            ("they wanted", state_chip(str(decision["wanted"])) if decision["wanted"] else None),
            ("with the guardrails", state_chip(str(body["outcome"]))),
            ("guardrail", join((said(body["rule"], 200), ": ", said(body["why"], _LONG))) if body["rule"] else None),
            ("mode in force", said(body["mode"], 40) if body["mode"] else None),
            ("held back by", said(decision["capped_by"]) if decision["capped_by"] else None),
            ("became", join((state_chip(found.decision.state), " ", said(body["why"], _LONG)))),
            ("for", "for good" if decision["permanent"] else duration_text(int(decision["seconds"]))),
            ("evidence", _pairs({**decision["numbers"], **decision["evidence"]}) or None),
            ("policy", code(body["policy"][:12], 12) if body["policy"] else "built in"),
        ),
        (el("p", "What the playbooks said:"), reasons) if decision["reasons"] else None,
    )  # fmt: skip


def _pairs(found: Mapping[str, Any]) -> Html:
    return join([said(f"{name} {value}", 120) for name, value in list(found.items())[:40]], ", ")


# what became of it --------------------------------------------------------------------------------------------------


def _question(found: Known, now: float) -> Html | None:
    if found.question is None:
        return None
    body = found.question.body
    is_open = found.question.state in (approval.ASKED, approval.WAITING)
    given = [f"{login}: {word}" for login, word in body["given"]]
    return section(
        "The question to an analyst",
        facts(
            ("stands", answered(found.question, now)),
            ("question", el("a", "its page", href=path_of("approvals", found.question.key))),
            ("asked", moment(body["asked_at"]) if body["asked_at"] else None),
            ("who may answer", said(", ".join(map(str, body["approvers"])) or "any analyst")),
            ("answers needed", str(body["needed"])),
            ("answered by", said(", ".join(map(str, body["answers"]))) if body["answers"] else None),
            ("answers so far", said(", ".join(given)) if given else None),
            ("lapses", moment(float(body["expires"])) if is_open else None),
            ("why it ended so", said(body["why"], _LONG) if body["why"] else None),
        ),
    )


def _containment(found: Known, now: float) -> Html | None:
    if found.lease is None:
        return None
    body, released = found.lease.body, found.lease.body["released"]
    report, grant, over = body["report"], body["grant"], found.lease.state in (lease.ENDED, lease.REFUSED)
    renewed, refused = int(body["renewals"]), found.lease.state == lease.REFUSED
    return section(
        "The containment",
        facts(
            ("stands", standing(found.lease)),
            ("lease", el("a", "its page", href=path_of("leases", found.lease.key))),
            ("on the word of", said(grant["by"])),
            ("where", said(body["where"]) if body["where"] else None),
            ("until", None if over else ending(found.lease, now)),
            ("why not" if refused else "the responder said", _told(report)),
            ("verified", None if refused else _verified(report)),
            ("renewed", count(renewed, "time") if renewed else None),
            ("failed releases", str(body["undos"]) if body["undos"] else None),
            ("released by" if over else "release asked for by", said(body["ended_by"]) if body["ended_by"] else None),
            ("ended", moment(body["ended_at"]) if body["ended_at"] else None),
            ("the undo said", _told(released)),
            ("undo verified", _verified(released) if released else None),
        ),
    )


def _told(report: Mapping[str, Any]) -> Html | None:
    return said(report["message"], _LONG) if report.get("message") else None


def _verified(report: Mapping[str, Any]) -> Html | None:
    found = report.get("verified")
    if found in (None, ""):
        return None
    return el("span", "yes" if found is True else "no") if isinstance(found, bool) else said(found, _LONG)


def _closing(found: Known) -> Html | None:
    if found.closure is None:
        return None
    body = found.closure.body
    label = body["judgement"] or "nothing is learned from it"
    return section(
        "How the case was closed",
        facts(
            ("closed as", said(body["resolution"], 60)),
            ("by", said(body["by"]) if body["by"] else None),
            ("when", moment(float(body["at"]))),
            ("label", said(label, 60)),
            ("because", said(body["why"]) if body["why"] else None),
            ("since", "it was opened again" if found.closure.state == "open" else None),
        ),
    )


# what would have changed it -----------------------------------------------------------------------------------------


def _what_if(visit: Visit, found: Known) -> Html:
    try:
        told = what_if(found.evidence, _rules(visit))
    except (LookupError, TypeError, ValueError, AttributeError):  # what an older version wrote may lack anything
        told = None
    if told is None:
        nothing = "What is on record of it is not enough to decide again."
        return section("What would have changed it", el("p", nothing, class_="note"))
    if told.changes:
        listed = _changes(told.changes)
    else:
        listed = el("p", "No single change among those tried would have changed it.", class_="note")
    without = (
        (
            el("p", f"Had no mode held it back, it would have come to {told.unbound}. Then:"),
            _changes(told.without_modes)
            if told.without_modes
            else el("p", "No single source\u2019s word would have changed that.", class_="note"),
        )
        if told.unbound
        else None
    )
    note = "Decided again on what is stored, with one thing changed at a time; only what changes the outcome is listed."
    return section(
        "What would have changed it", el("p", note, class_="note"),
        [el("p", said(line, _LONG), class_="note") for line in told.notes], listed, without,
    )  # fmt: skip


def _changes(changes: tuple[Change, ...]) -> Html:
    return el("ul", [el("li", said(change.sentence, _LONG)) for change in changes], class_="changes")


def _rules(visit: Visit) -> Rules:
    try:
        policy = visit.desk.policy()
    except PolicyError:
        policy = None
    try:
        sources = options_of(visit.desk.settings).sources
    except ConfigurationError:
        sources = None
    return Rules(visit.desk.playbooks(), policy, sources)


def _audit(found: Known) -> Html:
    key = found.decision.key
    links: list[Child] = [
        el("a", "Audit lines that name this decision", href=address(f"{ROOT}/audit", of=key), class_="button")
    ]
    if found.decision.ref:
        to = address(f"{ROOT}/audit", of=found.decision.ref)
        links += [" ", el("a", "Audit lines that name its case", href=to, class_="button")]
    return section("In the audit chain", el("p", links, class_="acts"))
