"""One lease in full: what is done to what, on what evidence, what happened since; release, renew, make permanent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus

from playbook_service.console import contained
from playbook_service.console.contained import path_of
from playbook_service.console.decision_words import case_of
from playbook_service.console.frame import facts, moment, table, target
from playbook_service.console.history import Event, history
from playbook_service.console.person import Role
from playbook_service.console.visit import Page, Place, Told, Visit
from playbook_service.console.whole import get, grant_of
from playbook_service.engine import approval, lease, renewal
from playbook_service.engine.tools import Tools
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.store.contract import Record, Transaction
from playbook_service.web.html import Child, Html, code, el, join, said, visible
from propolis.clock import utc_text
from propolis.duration import duration_text, parse_duration
from propolis.errors import InputError
from propolis.guardrails import PolicyError

_SPANS = ("4h", "24h", "7d")
_EVENTS = 60
_RECORD = 20_000
"""Characters of a record that are shown."""


def show(visit: Visit, work: Transaction) -> Page:
    """One lease in full."""
    record = get(work, lease.KIND, visit.parts["lease"])
    if record is None:
        sentence = "There is no such lease, or it ended so long ago that it is not kept any more."
        return Page("Lease", el("p", sentence, class_="card"), status=HTTPStatus.NOT_FOUND)
    decision = contained.decision_of(work, record.key)
    body = join(
        (
            el("section", _facts(visit, work, record, decision), class_="card", data_part="facts"),
            _acts(visit, record),
            el("section", el("h2", "The evidence"), contained.evidence(work, decision)),
            el("section", el("h2", "What happened"), _history(history(work, record)), data_part="history"),
            _whole(work, record),
        )
    )
    return Page(f"Lease: {visible(contained.words(grant_of(record))[:80])}", body, live=10)


def _facts(visit: Visit, work: Transaction, record: Record, decision: Record | None) -> Html:
    body, grant, now = record.body, grant_of(record), visit.desk.clock.now()
    report, over = body["report"], record.state in (lease.ENDED, lease.REFUSED)
    held = body["held"] if not body["ended_by"] and not over else None
    refused = record.state == lease.REFUSED
    return facts(
        ("what", contained.what(grant)),
        ("state", contained.standing(record)),
        ("ended" if over else "until", None if refused else contained.ending(record, now)),
        ("begun", "by hand in TheHive; the service took it over" if body.get("taken") else None),
        ("the product holds it until", moment(float(held)) if held else None),
        ("where", said(body.get("where"), 120) if body.get("where") else None),
        ("verified", None if refused else _how_verified(report)),
        ("why not" if refused else "the responder said", _told(report)),
        ("mark at the product", code(report["mark"], 200) if report.get("mark") else None),
        ("on whose word", said(grant.by, 120)),
        ("why", said(grant.why, 2000)),
        ("case", case_of(visit, work, grant.case_id)),
        ("decision", el("a", record.key, href=path_of("decisions", record.key)) if decision else None),
        ("question", _question(work, record.key)),
        ("released by" if over else "release asked for by", said(body["ended_by"], 120) if body["ended_by"] else None),
        ("the undo said", _told(body["released"])),
        ("failed releases", str(body["undos"]) if body.get("undos") else None),
        ("failed renewals in a row", str(body["failures"]) if body.get("failures") else None),
    )


def _told(report: Mapping[str, object]) -> Html | None:
    return said(report["message"], 800) if report.get("message") else None


def _how_verified(report: Mapping[str, object]) -> Html | None:
    if not report:
        return None
    if report.get("verified") is True:
        return el("span", "yes: the responder looked at the product afterwards")
    return el("span", "no: whether the product does it was not seen")


def _question(work: Transaction, key: str) -> Html | None:
    if work.get(approval.KIND, key) is None:
        return None
    return el("a", "the question that was asked", href=path_of("approvals", key))


def _history(events: list[Event]) -> Html:
    rows: list[list[Child]] = [
        [moment(event.at), said(event.what, 160), said(event.by, 120), said(event.told, 500)]
        for event in events[-_EVENTS:]
    ]
    return table(
        "From its decision until now", ("!When", "What", "By", "~What was said"), rows, "Nothing is on record."
    )


def _whole(work: Transaction, record: Record) -> Html:
    kept = work.get(lease.KIND, record.key)
    text = json.dumps(kept.body if kept else {}, indent=2, sort_keys=True, ensure_ascii=False)[:_RECORD]
    shown = join((said(line, 2000) for line in text.splitlines()), "\n")
    title = el("summary", el("span", "The whole record", class_="title"))
    return el("details", title, el("div", el("pre", shown, tabindex="0"), class_="story"))


# acts ---------------------------------------------------------------------------------------------------------------


def _acts(visit: Visit, record: Record) -> Html:
    acts: list[Child] = []
    in_force = record.state in (lease.ACTIVE, lease.DOUBTFUL) and not record.body["ended_by"]
    if in_force and not visit.person.may(Role.OPERATOR):
        acts.append(el("p", "To release it takes the permission manageAction in TheHive.", class_="note"))
    if in_force and visit.person.may(Role.OPERATOR):
        acts += [el("h2", "What you can do"), contained.second_look(*_release(visit, record))]
        if record.state == lease.ACTIVE and not record.body.get("permanent"):
            acts += _prolong(visit, record)
    return el("section", acts, data_part="acts")


def _release(visit: Visit, record: Record) -> tuple[Child, str, Html]:
    grant = grant_of(record)
    undo = RESPONDERS[grant.responder].undo if grant.responder in RESPONDERS else "its undo"
    will = f"{undo} is started now. When the product shows that it is undone, the lease is over."
    why = el("label", "Why (it is written into the audit chain)", el("input", name="why", maxlength="300"))
    where = f"{path_of('leases', record.key)}/release"
    form = visit.form(where, why, button="Release it now", kind="go", class_="line")
    return ("Release ", target(grant.target), "\u2026"), will, form


def _prolong(visit: Visit, record: Record) -> list[Child]:
    desk = visit.desk
    if not _may_prolong(visit):
        return [el("p", "Those who may prolong a containment are named in the setting approvers.", class_="note")]
    try:
        policy = desk.policy()
    except PolicyError as error:
        return [el("p", "It cannot be renewed while the policy is not valid: ", said(error.message), class_="note")]
    grant, longest = grant_of(record), duration_text(policy.max_ttl)
    where = path_of("leases", record.key)
    spans = el("datalist", [el("option", value=span) for span in _SPANS], id="spans")
    span = el(
        "label", "How much longer", el("input", name="for", value=_SPANS[1], list="spans", required=True, size="8")
    )
    renew = visit.form(f"{where}/renew", span, spans, button="Renew it", kind="stop", class_="line")
    will = f"It stays contained for so much longer, at most until {longest} from now (firewall.max_ttl)."
    found: list[Child] = [contained.second_look(("Renew ", target(grant.target), "\u2026"), will, renew)]
    if policy.firewall.permanent == "never":
        note = "Nobody contains without an end under this policy (firewall.permanent: never)."
        return [*found, el("p", note, class_="note")]
    for_ever = visit.form(f"{where}/permanent", button="Make it permanent", kind="stop", class_="line")
    will = "It stays contained until somebody releases it."
    return [*found, contained.second_look(("Make ", target(grant.target), " permanent\u2026"), will, for_ever)]


def _may_prolong(visit: Visit) -> bool:
    approvers = visit.desk.settings["approvers"]
    return not approvers or approval.is_listed(approvers, visit.person.login, visit.person.profile)


def release(visit: Visit, form: Mapping[str, str]) -> Told:
    """End it now. Raises InputError where it is not in force."""
    key, person, tools = visit.parts["lease"], visit.person, visit.desk.engine()
    why = form.get("why", "").strip()[:300]
    with visit.desk.store.transaction() as work:
        if not lease.end(work, tools, key, person.login, why):
            raise InputError(f"There is no lease {key[:80]} that could be released: it may be over already.")
    return Told(path_of("leases", key), "It is being released.")


def renew(visit: Visit, form: Mapping[str, str]) -> Told:
    """Have it last longer."""
    seconds = parse_duration(form.get("for", "").strip())

    def act(work: Transaction, tools: Tools, key: str) -> str:
        until = renewal.renew(work, tools, key, seconds, visit.person.login)
        return f"It is renewed until {utc_text(until)[:16].replace('T', ' ')}."

    return _prolonged(visit, act)


def permanent(visit: Visit, form: Mapping[str, str]) -> Told:
    """Have it last until somebody releases it."""

    def act(work: Transaction, tools: Tools, key: str) -> str:
        renewal.make_permanent(work, tools, key, visit.person.login)
        return "It is permanent: it stays until somebody releases it."

    return _prolonged(visit, act)


def _prolonged(visit: Visit, act: Callable[[Transaction, Tools, str], str]) -> Told:
    """The rules are the API's: where approvers are named, only they prolong."""
    if not _may_prolong(visit):
        raise InputError(f"{visit.person.login} is not one of those who may prolong a containment.")
    key, tools = visit.parts["lease"], visit.desk.engine()
    with visit.desk.store.transaction() as work:
        sentence = act(work, tools, key)
    return Told(path_of("leases", key), sentence)


PLACES = (
    Place("/leases/{lease}", show),
    Place("/leases/{lease}/release", act=release, role=Role.OPERATOR, recheck=False),
    Place("/leases/{lease}/renew", act=renew, role=Role.OPERATOR),
    Place("/leases/{lease}/permanent", act=permanent, role=Role.OPERATOR),
)
