"""What the list of decisions and the page of one have in common: the states' words, targets, and links to cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.console.frame import ROOT, chip
from playbook_service.console.visit import Visit
from playbook_service.console.whole import whole
from playbook_service.engine import decided, placement, ruling
from playbook_service.feedback.matter import target_text
from playbook_service.store.contract import Record, Transaction
from playbook_service.web.html import Child, Html, el, said
from propolis.notify.entity import case_link

PLACE = f"{ROOT}/decisions"
STATES: dict[str, str] = {
    ruling.ACT: "The service was to contain it alone.",
    ruling.ASK: "An analyst was asked.",
    ruling.CHOOSE: "There was not exactly one target: a person was to choose.",
    ruling.STOPPED: "A playbook wanted it, and a guardrail forbade it.",
    ruling.HELD: "There was no budget left for it, or a breaker was open.",
    ruling.COVERED: "It was contained already, or an analyst was being asked.",
    ruling.OBSERVE: "Nothing was done: a mode held it back, or no playbook saw reason enough.",
    ruling.IGNORE: "A playbook says that this is to be left alone.",
}
_COLOURS = {ruling.CHOOSE: "ask", ruling.HELD: "stopped", ruling.COVERED: "alone"}


def newest(work: Transaction, **wanted: Any) -> tuple[list[Record], str]:
    """As `decided.newest`, whole."""
    found, onward = decided.newest(work, **wanted)
    return [whole(record) for record in found], onward


def state_chip(state: str) -> Html:
    """A decision's state."""
    return chip(_COLOURS.get(state, state), state)


def target_of(decision: Mapping[str, Any]) -> str:
    """The target, or what it may be; of hosts the name and the id."""
    target = decision["target"]
    if target and target["label"] and target["label"] != target["data"]:
        return f"{target['label']} ({target['data']})"
    return target_text(decision)


def case_of(visit: Visit, work: Transaction, case_id: str) -> Html:
    """A case by its number, as a link to TheHive where its address is known."""
    if not case_id:
        return el("span", "\u2013", class_="none")
    record = work.get(placement.CASE, case_id)
    number = record.body.get("number") if record is not None else None
    name: Child = f"#{number}" if isinstance(number, int) and number else said(case_id, 40)
    tools = visit.desk.tools()
    to = case_link(str(visit.desk.settings["thehive_url"]), case_id, five=tools.hive.major >= 5) if tools else ""
    return el("a", el("span", "case ", class_="unseen"), name, href=to) if to else el("span", name)
