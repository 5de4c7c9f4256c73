"""What an errand found last, and how a page shows it: as of when, being made or not, and how to have it made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from playbook_service.console.errand import FAILED, RUNNING, Errand, standing
from playbook_service.console.frame import ROOT, moment
from playbook_service.console.person import Role
from playbook_service.console.visit import Told, Visit
from playbook_service.store.contract import Transaction
from playbook_service.web.html import Child, Html, el, join, said

STALE = 3600.0
"""Seconds after which somebody who looks has it made anew."""
_ITSELF = "the service"

Make = Callable[[Visit], Any]
"""Makes the result, in looks of its own."""


def kept(visit: Visit, work: Transaction, name: str, make: Make) -> Errand:
    """The last result. Where there is none, or an old one, it is begun to be made: a look asks for it, nobody waits."""
    now = visit.desk.clock.now()
    found = standing(work, name, now)
    made = found.ended if found.state != RUNNING else now
    if now - made > STALE and found.state != RUNNING:
        visit.desk.errands.start(name, lambda: make(visit), _ITSELF)
        return found._replace(state=RUNNING)
    return found


def shown(visit: Visit, found: Errand, action: str) -> Html:
    """The line above the result."""
    words: list[Child] = []
    if found.state == RUNNING:
        words.append("Being computed; this page looks again by itself. ")
    if found.state == FAILED:
        words.append(join(("The last time it failed: ", said(found.error), ". ")))
    if found.result is not None and found.ended:
        words.append(join(("As of ", moment(found.ended), ". ")))
    again = None
    if found.state != RUNNING and visit.person.may(Role.OPERATOR):
        again = visit.form(f"{ROOT}{action}", button="Compute again")
    return el("div", el("p", words, class_="note"), again, class_="asof", data_part="asof")


def anew(name: str, make: Make, back: str) -> Callable[[Visit, Mapping[str, str]], Told]:
    """The act behind `Compute again`."""

    def act(visit: Visit, form: Mapping[str, str]) -> Told:
        begun = visit.desk.errands.start(name, lambda: make(visit), visit.person.login)
        return Told(f"{ROOT}{back}", "It is being computed." if begun else "It is being computed already.")

    return act
