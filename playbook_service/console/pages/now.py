"""Now: the pipeline in numbers, what waits, what is broken, and the mode with its kill switch."""

from __future__ import annotations

import math
from collections.abc import Mapping

from playbook_service.console import contained, day, trouble
from playbook_service.console.contained import path_of
from playbook_service.console.decision_words import case_of, newest, state_chip, target_of
from playbook_service.console.frame import ROOT, facts, moment, table, target
from playbook_service.console.person import Role
from playbook_service.console.trouble import Trouble
from playbook_service.console.visit import Page, Place, Told, Visit
from playbook_service.console.whole import grant_of, whole
from playbook_service.engine import analysis, approval, decided, lease, switch
from playbook_service.engine.step import STEPS
from playbook_service.playbook import MODES
from playbook_service.replay.words import acting
from playbook_service.store.contract import Filter, Record, Transaction
from playbook_service.web.html import Child, Html, code, el, join, said
from propolis.clock import utc_text
from propolis.duration import duration_text
from propolis.errors import InputError
from propolis.guardrails import PolicyError

_SAYS = {
    "observe": "Nothing is contained. What would have been done is on record. Releases go on.",
    "approve": "Nothing is contained without an analyst\u2019s answer.",
    "enforce": "Playbooks act alone where they say so.",
}
_SET_ASIDE, _FAILING, _REASONS, _LATELY, _LAST, _NEXT = 20, 20, 8, 10, 10, 5


def show(visit: Visit, work: Transaction) -> Page:
    """The page; it looks again every five seconds."""
    now = visit.desk.clock.now()
    parts = (
        _tiles(work, now), _mode(visit, work), _broken(visit, work), day.section(visit, work, now), _waiting(work),
        _decisions(visit, work), _ends(visit, work, now), _lately(work),
    )  # fmt: skip
    return Page("Now", join(parts), live=5)


# numbers ------------------------------------------------------------------------------------------------------------


def _tiles(work: Transaction, now: float) -> Html:
    inbox, steps = work.backlog("inbox"), work.backlog(STEPS)
    in_force = sum(work.count(lease.KIND, Filter(state=state)) for state in lease.IN_FORCE)
    out = sum(work.count(analysis.KIND, Filter(state=state)) for state in (analysis.ASKING, analysis.RUNNING))
    asked = sum(work.count(approval.KIND, Filter(state=state)) for state in (approval.ASKED, approval.WAITING))
    dead = inbox.dead + steps.dead
    taken, late = inbox.waiting + inbox.claimed, trouble.overdue(work, now)
    tiles: tuple[tuple[str, int, str, str], ...] = (
        ("plain", taken, f"events to be taken up{_since(inbox.oldest_put_at, now)}", ""),
        ("plain", steps.waiting, f"steps wait{_late(late)}", "#waiting"),
        ("plain", steps.claimed, "steps in hand", ""),
        ("plain", out, "analyzers at work", ""),
        ("ask" if asked else "plain", asked, "questions to analysts", f"{ROOT}/approvals"),
        ("act" if in_force else "plain", in_force, "contained at this moment", f"{ROOT}/leases"),
        ("act" if dead else "safe", dead, "steps set aside", "#broken" if dead else ""),
    )
    return el("ul", [_tile(*tile) for tile in tiles], class_="tiles", data_part="tiles")


def _since(oldest: float | None, now: float) -> str:
    return "" if oldest is None else f", the oldest for {duration_text(now - oldest)}"


def _late(seconds: float) -> str:
    """One that is due is taken within a second where somebody is free."""
    return f", one is {duration_text(seconds)} late" if seconds >= 2 else " for their time"


def _tile(kind: str, number: int, text: str, to: str) -> Html:
    words = join((el("b", f"{number:,}"), el("span", text)))
    return el("li", el("a", words, href=to) if to else words, class_=kind)


# what needs a person ------------------------------------------------------------------------------------------------


def _broken(visit: Visit, work: Transaction) -> Html:
    found = [_trouble(one) for one in trouble.troubles(visit.desk, work)]
    aside = trouble.set_aside(work, _SET_ASIDE)
    rows: list[list[Child]] = [
        [moment(item.put_at), code(item.key, 80), said(item.error), _again(visit, item.queue, item.key)]
        for item in aside
    ]
    heads = ("!Since", "!Step", "~Why", "What to do")
    listed = table("Steps that were set aside for a person", heads, rows, "") if rows else None
    nothing = None if found or rows else el("p", "Nothing is broken.", class_="note empty")
    cards = el("div", found, class_="grid") if found else None
    return el("section", el("h2", "What is broken"), cards, listed, nothing, id="broken", data_part="broken")


def _trouble(one: Trouble) -> Html:
    told: list[Child] = [el("p", el("b", said(one.what, 1500))), el("p", one.do)]
    if one.path:
        told.append(
            el("p", el("a", "Look at it", el("span", ": ", said(one.what, 80), class_="unseen"), href=one.path))
        )
    return el("div", told, class_="card trouble")


def _again(visit: Visit, queue: str, key: str) -> Html:
    if not visit.person.may(Role.OPERATOR):
        return el("span", "an operator can have it tried again")
    hidden = [el("input", type="hidden", name=name, value=value) for name, value in (("queue", queue), ("key", key))]
    return visit.form(
        f"{ROOT}/again", hidden, button=join(("Try again", el("span", " ", said(key, 80), class_="unseen")))
    )


def again(visit: Visit, form: Mapping[str, str]) -> Told:
    """Have a step that was set aside tried again. Raises InputError where it is not there any more."""
    queue, key = form.get("queue", ""), form.get("key", "")
    with visit.desk.store.transaction() as work:
        if queue not in trouble.QUEUES or not work.revive(queue, key):
            raise InputError("This step is not set aside any more.")
        visit.desk.journal.write(work, "step tried again", step=key, operator=visit.person.login)
    return Told(ROOT, f"{key} is tried again.")


def _waiting(work: Transaction) -> Html:
    found = trouble.waiting(work)
    rows: list[list[Child]] = [
        [code(item.key, 80), f"{item.failures:,}", moment(item.due), said(item.error)]
        for item in found.failing[:_FAILING]
    ]
    heads = ("!Step", "#Failures in a row", "!Next try", "~Why")
    failing = table("Steps that failed and are tried again, newest first", heads, rows, "No step fails.")
    reasons: list[list[Child]] = [[f"{number:,}", said(why, 160)] for why, number in found.reasons[:_REASONS]]
    caption = f"Of the {found.looked_through:,} steps and events that are due first, the others"
    others = table(caption, ("#How many", "~What they wait for"), reasons, "") if reasons else None
    return el("section", el("h2", "What waits, and why"), failing, others, id="waiting", data_part="waiting")


def _lately(work: Transaction) -> Html:
    rows: list[list[Child]] = [
        [_when(line), said(line.get("action"), 60), _about(line), said(line.get("why") or line.get("rule"))]
        for line in trouble.lately(work, _LATELY)
    ]
    heads = ("!When", "What", "About", "~Why")
    listed = table("From the end of the audit chain, newest first", heads, rows, "Nothing went wrong lately.")
    return el("section", el("h2", "What went wrong or was escalated lately"), listed, id="lately", data_part="lately")


def _when(line: Mapping[str, object]) -> Html:
    text = str(line.get("at") or "")[:19].replace("T", " ")
    return el("span", said(text))


def _about(line: Mapping[str, object]) -> Html:
    about = line.get("target") or line.get("step") or line.get("lease") or line.get("case")
    key = line.get("lease")
    return el("a", code(about, 80), href=path_of("leases", key)) if isinstance(key, str) and key else code(about, 80)


# what was and what will be ------------------------------------------------------------------------------------------


def _decisions(visit: Visit, work: Transaction) -> Html:
    found, _ = newest(work, limit=_LAST)
    heads = ("!When", "!State", "!What", "Playbook", "!Case")
    listed = table(
        "The newest decisions", heads, [_decision(visit, work, one) for one in found], "Nothing was decided yet."
    )
    return el("section", el("h2", "Last decisions"), listed, data_part="decisions")


def _decision(visit: Visit, work: Transaction, record: Record) -> list[Child]:
    name = target(target_of(record.body["decision"]))
    link = el("a", said(acting(decided.responder_of(record)), 60), " ", name, href=path_of("decisions", record.key))
    return [
        moment(float(record.body["at"])), state_chip(record.state), link, said(decided.playbook_of(record), 80),
        case_of(visit, work, record.ref),
    ]  # fmt: skip


def _ends(visit: Visit, work: Transaction, now: float) -> Html:
    wanted = Filter(state=lease.ACTIVE, due_before=math.inf, after_due=(now, ""), limit=_NEXT)
    rows: list[list[Child]] = [
        [contained.linked(record), contained.ending(record, now), case_of(visit, work, record.ref),
         said(grant_of(record).by, 80)]
        for record in map(whole, work.find(lease.KIND, wanted)) if not record.body.get("permanent")
    ]  # fmt: skip
    heads = ("!What", "!Until", "!Case", "By")
    listed = table("The containments that end next", heads, rows, "Nothing is contained that has an end.")
    return el("section", el("h2", "Next to end"), listed, data_part="ends")


# the mode -----------------------------------------------------------------------------------------------------------


def _mode(visit: Visit, work: Transaction) -> Html:
    configured = str(visit.desk.settings["mode"])
    lowered, policy = switch.lowered(work), _policy_mode(visit)
    current = min(configured, policy or configured, lowered.mode or configured, key=MODES.index)
    told: list[Child] = [
        el("h2", "The mode"),
        facts(
            ("in force", join((el("b", current), ": ", _SAYS[current]))),
            ("configured", configured if current != configured else None),
            ("the policy allows", policy if policy and policy != configured else None),
            ("lowered by", join((said(lowered.by, 80), ", ", moment(lowered.at))) if lowered.mode else None),
            ("because", said(lowered.why) if lowered.why else None),
        ),
    ]
    acts = (_stop(visit, lowered.mode or configured), _choice(visit, configured, lowered.mode or configured))
    return el("section", told, acts, id="mode", class_="card")


def _policy_mode(visit: Visit) -> str:
    """The mode that the policy sets, empty where it sets none; one that cannot be read allows nothing."""
    try:
        return visit.desk.policy().mode or ""
    except PolicyError:
        return MODES[0]


def _stop(visit: Visit, current: str) -> Html | None:
    if current == MODES[0] or not visit.person.may(Role.OPERATOR):
        return None
    why = el("label", "Why", el("input", name="why", maxlength="300"))
    return visit.form(
        f"{ROOT}/stop", why, button="Stop containing: observe only", kind="stop", class_="line", id="kill"
    )


def _choice(visit: Visit, configured: str, current: str) -> Html | None:
    allowed = MODES[: MODES.index(configured) + 1]
    if not visit.person.may(Role.ADMIN) or len(allowed) < 2:
        return None
    options = [el("option", mode, value=mode, selected=mode == current) for mode in allowed]
    fields = (
        el("label", "Mode", el("select", options, name="mode")),
        el("label", "Why", el("input", name="why", maxlength="300")),
    )
    return visit.form(f"{ROOT}/mode", fields, button="Set", class_="line")


def stop(visit: Visit, form: Mapping[str, str]) -> Told:
    """The kill switch: observe, for all playbooks, on every node."""
    return _set(visit, MODES[0], form)


def set_mode(visit: Visit, form: Mapping[str, str]) -> Told:
    """Any mode up to the configured one."""
    return _set(visit, form.get("mode", ""), form)


def _set(visit: Visit, mode: str, form: Mapping[str, str]) -> Told:
    desk = visit.desk
    with desk.store.transaction() as work:
        switch.throw(
            work, desk.journal, mode, str(desk.settings["mode"]), visit.person.login, now=desk.clock.now(),
            why=form.get("why", "").strip()[:300],
        )  # fmt: skip
    return Told(f"{ROOT}#mode", f"The mode is {mode} since {utc_text(desk.clock.now())[11:19]}. {_SAYS[mode]}")


PLACES = (
    Place("", show),
    Place("/again", act=again, role=Role.OPERATOR),
    Place("/stop", act=stop, role=Role.OPERATOR, recheck=False),
    Place("/mode", act=set_mode, role=Role.ADMIN),
)
