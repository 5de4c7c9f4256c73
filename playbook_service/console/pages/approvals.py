"""Approvals: the questions that wait, with the evidence and what a yes would do; answering them; what was answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus

from playbook_service.console import contained, cursor
from playbook_service.console.contained import answered, path_of
from playbook_service.console.decision_words import case_of, newest
from playbook_service.console.frame import ROOT, facts, moment, table, target
from playbook_service.console.ledger import LEGEND
from playbook_service.console.person import Role
from playbook_service.console.visit import Act, Page, Place, Told, Visit
from playbook_service.console.whole import get, grant_of, whole
from playbook_service.engine import approval, lease
from playbook_service.store.contract import Filter, Record, Transaction
from playbook_service.web.html import Child, Html, address, el, join, said, visible
from playbook_service.web.message import Failure
from propolis.duration import duration_text

_HERE = f"{ROOT}/approvals"
_ROWS, _ANSWERED = 20, 20
_OPEN = (approval.ASKED, approval.WAITING)
_LOOKS_ON = (
    "Your account may look on. To answer takes the permission manageAction in TheHive, or being named as an approver."
)
_WORDS = (
    ("ask", "3h20m left", "It waits for an answer; after that time it lapses, and nothing is done."),
    ("act", "granted", "Those who were needed said yes, nothing spoke against it, and it was set going."),
    ("safe", "denied", "Somebody said no, or said yes who may not."),
    ("alone", contained.NOT_GRANTED, "It ended without an answer that counts: its outcome says why."),
    ("alone", "expired", "Nobody answered in time."),
)


def show(visit: Visit, work: Transaction) -> Page:
    """What waits, soonest expiry on top; then what was answered lately. A form that is open is left as it is."""
    found, onward = _waiting(work, visit.query.get("after", ""))
    listed: list[Child] = [el("h2", "Waiting for an answer")]
    if found:
        listed += [el("p", LEGEND, class_="note"), [_card(visit, work, record) for record in found]]
    else:
        listed.append(el("p", "Nobody is asked anything at this moment.", class_="note empty"))
    waiting = el("section", listed, _pages(onward), data_part="waiting")
    ended = el("section", el("h2", "Answered lately"), _answered(visit, work), data_part="answered")
    return Page("Approvals", join((waiting, ended, contained.glossary(_WORDS))), live=5)


def one(visit: Visit, work: Transaction) -> Page:
    """One question, answered or not."""
    record = get(work, approval.KIND, visit.parts["approval"])
    if record is None:
        sentence = "There is no such question, or it was answered so long ago that it is not kept any more."
        return Page("Question", el("p", sentence, class_="card"), status=HTTPStatus.NOT_FOUND)
    body = join((el("p", LEGEND, class_="note"), _card(visit, work, record, "h2")))
    title = f"Question: {visible(contained.words(grant_of(record))[:80])}?"
    return Page(title, el("div", body, data_part="question"), live=5)


def _waiting(work: Transaction, after: str) -> tuple[list[Record], str]:
    since = _moment_of(after) if after else None
    wanted = [Filter(state=state, due_before=math.inf, after_due=since, limit=_ROWS + 1) for state in _OPEN]
    found = sorted((one for each in wanted for one in work.find(approval.KIND, each)), key=_expiry)
    last = found[_ROWS - 1] if len(found) > _ROWS else None
    return [whole(one) for one in found[:_ROWS]], cursor.written(_expiry(last)) if last is not None else ""


def _expiry(record: Record) -> tuple[float, str]:
    return record.due or 0.0, record.key


def _moment_of(after: str) -> tuple[float, str]:
    found = cursor.read(after)
    if found is None:
        raise Failure(HTTPStatus.BAD_REQUEST, "This page of questions does not exist: begin with the first.")
    return found


def _pages(onward: str) -> Html | None:
    more = el("a", "More", href=address(_HERE, after=onward), class_="button", rel="next") if onward else None
    return el("nav", more, class_="pages", aria_label="More questions") if more else None


# a question ---------------------------------------------------------------------------------------------------------


def _card(visit: Visit, work: Transaction, record: Record, level: str = "h3") -> Html:
    grant = grant_of(record)
    decision = contained.decision_of(work, record.key)
    title = el(level, el("a", contained.what(grant), "?", href=path_of("approvals", record.key)))
    head = el("div", title, answered(record, visit.desk.clock.now()), class_="head", data_part=f"head-{record.key}")
    parts = (head, _facts(visit, work, record, decision is not None), contained.evidence(work, decision))
    forms = _answer(visit, record) if record.state in _OPEN else None
    return el("article", parts, forms, class_="card question", id=record.key)


def _facts(visit: Visit, work: Transaction, record: Record, decided_here: bool) -> Html:
    body, grant = record.body, grant_of(record)
    approvers = join((said(name, 120) for name in body["approvers"]), ", ")
    asked, is_open = body["asked_at"], record.state in _OPEN
    return facts(
        ("if granted" if is_open else "it was about", _would(grant) if is_open else contained.what(grant)),
        ("because", said(grant.why, 2000)),
        ("case", case_of(visit, work, grant.case_id)),
        ("decision", el("a", record.key, href=path_of("decisions", record.key)) if decided_here else None),
        ("asked", moment(float(asked)) if asked else None),
        ("lapses", moment(float(body["expires"])) if is_open else None),
        ("ended", None if is_open else moment(record.updated_at)),
        ("lease", _lease(work, record)),
        ("who may answer", approvers or "any analyst"),
        ("answers", _answers(record)),
        ("outcome", said(body["why"], 800) if body.get("why") else None),
    )


def _lease(work: Transaction, record: Record) -> Html | None:
    """The way to what a grant came to."""
    found = get(work, lease.KIND, record.key)
    if found is None:
        return None
    return join((el("a", "what came of it", href=path_of("leases", record.key)), ": ", contained.standing(found)))


def _would(grant: lease.Grant) -> Html:
    lasting = f" for {duration_text(grant.seconds)}, after which it is undone by itself."
    return join((said(grant.responder, 80), " is started on ", target(grant.target), lasting))


def _answers(record: Record) -> Html:
    needed = max(1, int(record.body["needed"]))
    given = [join((said(login, 120), " ", said(word, 20))) for login, word in record.body["given"]]
    given += [said(login, 300) for login in record.body["answers"]] if not given else []
    told = join(given, ", ") or ("none yet" if record.state in _OPEN else "none")
    several = f"; {needed} different people must say yes" if needed > 1 else ""
    return join((told, several))


# answering ----------------------------------------------------------------------------------------------------------


def _answer(visit: Visit, record: Record) -> Html:
    """The forms; where this person's answer cannot count, the sentence that says why."""
    against = _against(visit, record)
    if against:
        return el("p", said(against), class_="note")
    grant, where = grant_of(record), path_of("approvals", record.key)
    name = target(grant.target)
    counts = (
        "It counts while the question stands, the case is open, and no guardrail, mode or newer evidence speaks "
        "against it: all of that is looked at again before anything is done. TheHive\u2019s task is closed for you."
    )
    about = el("span", ": ", contained.what(grant), class_="unseen")
    grants = visit.form(f"{where}/grant", button=join(("Grant it", about)), kind="stop", class_="line")
    denies = visit.form(f"{where}/deny", button=join(("Deny it", about)), class_="line")
    yes = contained.second_look(
        ("Grant: ", contained.what(grant), "\u2026"), join((_would(grant), " ", counts)), grants
    )
    will = "Nothing is done to it. It is asked again only where the evidence changes."
    return join((yes, contained.second_look(("Deny: leave ", name, " alone\u2026"), will, denies)))


def _against(visit: Visit, record: Record) -> str:
    """Why this person's answer would not count; empty where it would."""
    person, tools = visit.person, visit.desk.tools()
    if not _may_answer(visit, record):
        return _LOOKS_ON
    if visit.desk.clock.now() >= float(record.body["expires"]):
        return "It has expired: nothing will be done."
    account = tools.account if tools is not None else ""
    judged = approval.judged(record, person.login, account, lambda _: person.profile)
    if judged.word != approval.GRANTED:
        return f"Your answer would not count: {judged.why}."
    if any(login == person.login for login, _ in record.body["given"]):
        return "You have answered. The service weighs it in a moment, with what others say."
    return ""


def _may_answer(visit: Visit, record: Record) -> bool:
    """Operators may, and whoever is named as an approver, whatever else they may in TheHive."""
    person = visit.person
    return person.may(Role.OPERATOR) or approval.is_listed(record.body["approvers"], person.login, person.profile)


def _giving(word: str, sentence: str) -> Act:
    """The same as the API: `approval.give` judges whether it can count, the engine's step weighs it again."""

    def act(visit: Visit, form: Mapping[str, str]) -> Told:
        tools, person = visit.desk.engine(), visit.person
        with visit.desk.store.transaction() as work:
            record = get(work, approval.KIND, visit.parts["approval"])
            if not person.may(Role.OPERATOR) and (record is None or not _may_answer(visit, record)):
                raise Failure(HTTPStatus.FORBIDDEN, _LOOKS_ON)
            approval.give(work, tools, visit.parts["approval"], person.login, word, person.profile)
        return Told(_HERE, sentence)

    return act


grant: Callable[[Visit, Mapping[str, str]], Told] = _giving(
    approval.GRANTED, "Granted. Everything is checked again, then it is done."
)
deny: Callable[[Visit, Mapping[str, str]], Told] = _giving(approval.DENIED, "Denied. Nothing is done.")


# what was answered --------------------------------------------------------------------------------------------------


def _answered(visit: Visit, work: Transaction) -> Html:
    """Of the questions that were asked last, those that were answered: by way of the register of decisions."""
    asked, _ = newest(work, state="ask", limit=_ANSWERED)
    records = [get(work, approval.KIND, decision.key) for decision in asked]
    found = [record for record in records if record is not None and record.state not in _OPEN]
    rows: list[list[Child]] = [_row(visit, work, record) for record in sorted(found, key=lambda one: -one.updated_at)]
    caption = f"Of the last {_ANSWERED} questions those that have ended, newest first"
    heads = ("!Question", "!Answer", "By", "!When", "!Case", "~Outcome")
    return table(caption, heads, rows, "No question has ended yet.")


def _row(visit: Visit, work: Transaction, record: Record) -> list[Child]:
    grant = grant_of(record)
    link = el("a", contained.what(grant), href=path_of("approvals", record.key))
    by = join((said(login, 120) for login in record.body["answers"]), ", ")
    return [
        link, answered(record, 0.0), by or None, moment(record.updated_at),
        case_of(visit, work, grant.case_id), said(record.body["why"], 300),
    ]  # fmt: skip


PLACES = (
    Place("/approvals", show),
    Place("/approvals/{approval}", one),
    Place("/approvals/{approval}/grant", act=grant),
    Place("/approvals/{approval}/deny", act=deny, recheck=False),
)
