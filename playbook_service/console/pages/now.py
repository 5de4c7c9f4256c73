"""Now: the pipeline in numbers, what waits, what is broken, and the mode with its kill switch."""

from __future__ import annotations

from collections.abc import Mapping

from playbook_service.console.frame import ROOT, facts, moment, table
from playbook_service.console.person import Role
from playbook_service.console.visit import Page, Place, Told, Visit
from playbook_service.engine import approval, lease, switch
from playbook_service.engine.step import STEPS
from playbook_service.playbook import MODES
from playbook_service.store.contract import Filter, Transaction
from playbook_service.web.html import Child, Html, code, el, join, said
from propolis.clock import utc_text
from propolis.errors import InputError

_SAYS = {
    "observe": "Nothing is contained. What would have been done is on record. Releases go on.",
    "approve": "Nothing is contained without an analyst\u2019s answer.",
    "enforce": "Playbooks act alone where they say so.",
}
_SET_ASIDE = 20


def show(visit: Visit, work: Transaction) -> Page:
    """The page; it looks again every five seconds."""
    return Page("Now", join((_tiles(work), _broken(visit, work), _mode(visit, work))), live=5)


def _tiles(work: Transaction) -> Html:
    inbox, steps = work.backlog("inbox"), work.backlog(STEPS)
    in_force = sum(work.count(lease.KIND, Filter(state=state)) for state in lease.IN_FORCE)
    asked = len(approval.waiting(work))
    dead = inbox.dead + steps.dead
    tiles: tuple[tuple[str, int, str, str], ...] = (
        ("plain", inbox.waiting + inbox.claimed, "events to be taken up", ""),
        ("plain", steps.claimed, "steps in hand", ""),
        ("ask" if asked else "plain", asked, "questions to analysts", f"{ROOT}/approvals"),
        ("act" if in_force else "plain", in_force, "contained at this moment", f"{ROOT}/leases"),
        ("act" if dead else "safe", dead, "steps set aside", "#broken" if dead else ""),
    )
    return el("ul", [_tile(*tile) for tile in tiles], class_="tiles", data_part="tiles")


def _tile(kind: str, number: int, text: str, to: str) -> Html:
    words = join((el("b", f"{number:,}"), el("span", text)))
    return el("li", el("a", words, href=to) if to else words, class_=kind)


def _broken(visit: Visit, work: Transaction) -> Html:
    found = [item for queue in ("inbox", STEPS) for item in work.buried(queue, _SET_ASIDE)]
    rows: list[list[Child]] = [
        [moment(item.put_at), code(item.key, 80), said(item.error), _again(visit, item.queue, item.key)]
        for item in found
    ]
    heads = ("!Since", "!Step", "~Why", "")
    listed = table("Steps that were set aside for a person", heads, rows, "Nothing is broken.")
    return el("section", el("h2", "What is broken"), listed, id="broken", data_part="broken")


def _again(visit: Visit, queue: str, key: str) -> Html | None:
    if not visit.person.may(Role.OPERATOR):
        return None
    hidden = [el("input", type="hidden", name=name, value=value) for name, value in (("queue", queue), ("key", key))]
    return visit.form(f"{ROOT}/again", hidden, button="Try again")


def again(visit: Visit, form: Mapping[str, str]) -> Told:
    """Have a step that was set aside tried again. Raises InputError where it is not there any more."""
    queue, key = form.get("queue", ""), form.get("key", "")
    with visit.desk.store.transaction() as work:
        if queue not in ("inbox", STEPS) or not work.revive(queue, key):
            raise InputError("This step is not set aside any more.")
        visit.desk.journal.write(work, "step tried again", step=key, operator=visit.person.login)
    return Told(ROOT, f"{key} is tried again.")


# the mode -----------------------------------------------------------------------------------------------------------


def _mode(visit: Visit, work: Transaction) -> Html:
    configured = str(visit.desk.settings["mode"])
    lowered = switch.lowered(work)
    current = lowered.mode or configured
    told: list[Child] = [
        el("h2", "The mode"),
        facts(
            ("in force", join((el("b", current), ": ", _SAYS[current]))),
            ("configured", configured if lowered.mode else None),
            ("lowered by", join((said(lowered.by, 80), ", ", moment(lowered.at))) if lowered.mode else None),
            ("because", said(lowered.why) if lowered.why else None),
        ),
    ]
    return el("section", told, _stop(visit, current), _choice(visit, configured, current), id="mode", class_="card")


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
