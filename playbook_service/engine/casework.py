"""An alert's case: whether it needs one, which one, and what playbooks do there before anything is looked into.

Step `alert:<alert>` `{"alert"}`: playbooks on the alert; its case (`placement`); bookkeeping and containment
(`deciding`); then step `enrich:<alert>`. The alert's record says `cased` or `loose` afterwards.

Step `case:<case>:<standing>` `{"case", "alert"}`: playbooks on the case, once for each of its standings (`standing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from playbook_service.engine import arrival, placement
from playbook_service.engine.arrival import LOOSE, Known
from playbook_service.engine.context import case_fields, ceiling
from playbook_service.engine.deciding import Deciding, Situation, needs_case
from playbook_service.engine.placement import Place, Placement, joined
from playbook_service.engine.ruling import Scene
from playbook_service.engine.standing import changed, standing
from playbook_service.engine.step import Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Case
from playbook_service.playbook import Decision, decide
from playbook_service.store.contract import Item, Transaction
from propolis.alert import Alert
from propolis.alert.severity import assess


class Casework:
    """The steps `alert` and `case`."""

    def __init__(self, tools: Tools, placement: Placement, deciding: Deciding):
        self._tools = tools
        self._placement = placement
        self._deciding = deciding

    def alert(self, item: Item) -> Outcome:
        """Step `alert`."""
        with self._tools.store.transaction() as work:
            known = arrival.known(work, str(item.body["alert"]))
        if known is None or known.state == arrival.SUPPRESSED:
            return Done()
        tools, playbooks, policy = self._tools, self._tools.playbooks(), self._tools.policy()
        decisions = decide(playbooks, "alert", {"alert": known.alert.fields}, ceiling_mode=ceiling(tools, policy))
        place: Place | Later | None = None
        if known.case_id or needs_case(decisions, known.alert, policy):
            place = self._placement.place(known, [entry for entry in decisions if entry.verb == "case"])
        if isinstance(place, Later):
            return place
        scene = Scene("alert", place.case.id if place else "", known.key, playbooks=playbooks.digest)
        situation = Situation(scene, known.alert, known.hive_id, item.key)
        self._raise_to_the_alert(known, place)
        commit = self._deciding.settle(situation, _without_containment(decisions, place), policy)

        def finish(work: Transaction) -> None:
            self._note(work, known, place)
            commit(work)
            follow(work, "enrich", known.key, alert=known.key)

        return Done(finish)

    def _raise_to_the_alert(self, known: Known, place: Place | None) -> None:
        """A case is at least as severe as each of its alerts; TheHive leaves it as it was opened."""
        severity = assess(known.alert.level).thehive
        if place is not None and place.case.open and place.case.severity < severity:
            self._tools.hive.update_case(place.case.id, severity=severity)

    def _note(self, work: Transaction, known: Known, place: Place | None) -> None:
        if place is None:
            known.saved(work, LOOSE, "")
        else:
            joined(work, self._tools, known, place)

    def case(self, item: Item) -> Outcome:
        """Step `case`."""
        tools = self._tools
        case, key = tools.hive.case(str(item.body["case"])), str(item.body.get("alert") or "")
        if case is None or not case.open:
            return Done()
        if not item.key.endswith(f":{standing(case)}"):
            return Done(partial(_once_more, case=case, alert=key))
        with tools.store.transaction() as work:
            known = arrival.known(work, key or _first_alert(work, case.id))
        playbooks, policy = tools.playbooks(), tools.policy()
        alert = known.alert if known else Alert({})
        context = {"case": case_fields(case, tools.hive.observables(case.id)), "alert": alert.fields}
        decisions = decide(playbooks, "case", context, ceiling_mode=ceiling(tools, policy))
        scene = Scene("case", case.id, known.key if known else "", playbooks=playbooks.digest)
        situation = Situation(scene, alert, known.hive_id if known else "", item.key)
        return Done(self._deciding.settle(situation, decisions, policy))


def _once_more(work: Transaction, case: Case, alert: str) -> None:
    """It looks different by now: that standing has a step of its own."""
    changed(work, case, alert)


def _first_alert(work: Transaction, case_id: str) -> str:
    record = work.get(placement.CASE, case_id)
    return str(record.body["alerts"][0]) if record and record.body["alerts"] else ""


def _without_containment(decisions: Sequence[Decision], place: Place | None) -> list[Decision]:
    """Where the alert is gone from TheHive, or its case is closed already, nothing is contained for it any more."""
    if place is not None and place.case.open:
        return list(decisions)
    return [entry for entry in decisions if not entry.responder]
