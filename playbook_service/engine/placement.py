"""The case that an alert belongs to: an open one on the same source, agent or observable, else a new one.

Record `casekey`, key `<source|agent|observable>:<hash of the value>`: the newest cases on that value, each with its
source and agent, so that any combination a playbook merges on is found. An entry without a case is a reservation: its
alert is opening the case at this moment, and alerts like it wait for it instead of opening another.

Record `case`, key = the case's id: state `open`; body `number`, `alerts` (keys, the first 200), `note` (what was not as
the playbooks wished, such as a missing template). Written when one of our alerts comes into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from playbook_service.engine import arrival
from playbook_service.engine.arrival import Known
from playbook_service.engine.crashpoint import reached
from playbook_service.engine.step import Later
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Case
from playbook_service.judgement.belonging import DAY, USUAL, Facts, facts_of
from playbook_service.playbook import Decision
from playbook_service.playbook.model import content_digest
from playbook_service.store.contract import Transaction
from propolis.http import HttpError

KIND, CASE = "casekey", "case"
_MOST_ALERTS = 200
_MOST_ENTRIES, _MOST_OBSERVABLES = 20, 50
_OPENS_WITHIN = 600.0  # seconds after which a reservation that came to nothing no longer holds others up
_NO_TEMPLATE = (400, 404)
NO_TEMPLATE_TAG = "propolis:no-template"

Entry = dict[str, Any]
"""`case` (id, or empty), `by` (the alert's key), `opened` (wall time), `source`, `agent`."""


class Place(NamedTuple):
    """Where the alert is now. `note` says what was not as the playbooks wished."""

    case: Case
    opened: bool
    note: str = ""


class Terms(NamedTuple):
    """What must be the same for an alert to join a case, and how old (seconds) the case may be; 0: open a new one."""

    merge_on: tuple[str, ...]
    within: float


class Placement:
    """Opens cases and joins them, each alert once."""

    def __init__(self, tools: Tools):
        self._tools = tools

    def place(self, known: Known, wishes: Sequence[Decision]) -> Place | Later | None:
        """The alert's case as the playbooks' `case` steps wish; Later while another alert is opening it, None where
        the alert is no longer in TheHive."""
        alert = self._tools.hive.alert(known.hive_id)
        if alert is None:
            return None
        facts = facts_of(known.alert, known.observables)
        if alert.case_id:
            return self._settled(known, facts, self._tools.hive.case(alert.case_id), False)
        entry = self._found_or_reserved(known, terms_of(wishes), facts)
        if entry["case"]:
            return self._join(known, facts, str(entry["case"]))
        if entry["by"] != known.key:
            return Later(1.0, f"the alert {entry['by']} is opening the case that this one belongs to")
        reached("case.reserved")
        template = next((str(dict(wish.settings)["template"]) for wish in wishes if _template(wish)), "")
        case, note = self._open(known.hive_id, template)
        reached("case.opened")
        return self._settled(known, facts, case, True, note)

    def _found_or_reserved(self, known: Known, terms: Sequence[Terms], facts: Facts) -> Entry:
        now = self._tools.clock.now()
        with self._tools.store.transaction() as work:
            for term in terms:
                entry = _search(work, term, facts, now, known.key)
                if entry is not None:
                    return entry
            entry = {"case": "", "by": known.key, "opened": now, "source": facts.source, "agent": facts.agent}
            for key in _keys(facts):
                _change(work, key, lambda entries: [*entries, entry])
        return entry

    def _join(self, known: Known, facts: Facts, case_id: str) -> Place | Later | None:
        hive = self._tools.hive
        case = hive.case(case_id)
        if case is None or not case.open:
            self._forget(facts, case_id)
            return Later(0.0, f"the case {case_id} was closed; another is looked for")
        return self._settled(known, facts, hive.merge(known.hive_id, case_id), False)

    def _open(self, hive_id: str, template: str) -> tuple[Case, str]:
        """A new case; where TheHive does not have the template, one without, and a sentence that says so."""
        hive = self._tools.hive
        try:
            return hive.promote(hive_id, template=template), ""
        except HttpError as error:
            if not template or error.ambiguous or error.status not in _NO_TEMPLATE:
                raise
            case = hive.promote(hive_id)
            note = f"TheHive did not open the case from the template {template!r}, so it has none: {error.message}"
        hive.update_case(case.id, add_tags=[NO_TEMPLATE_TAG])
        hive.comment(case.id, f"Propolis: {note}\n\nMake the template (`propolis setup` does) or correct the playbook.")
        return case, note

    def _settled(self, known: Known, facts: Facts, case: Case | None, opened: bool, note: str = "") -> Place | None:
        """Enter the case where the reservation stood, and under the alert's observables."""
        if case is None:
            return None
        mine = {"case": case.id, "by": known.key, "opened": case.created_at / 1000 or self._tools.clock.now()}
        with self._tools.store.transaction() as work:
            for key in _keys(facts):
                _change(work, key, lambda entries: _entered(entries, mine, facts))
        reached("case.entered")
        return Place(case, opened, note)

    def _forget(self, facts: Facts, case_id: str) -> None:
        with self._tools.store.transaction() as work:
            for key in _keys(facts):
                _change(work, key, lambda entries: [entry for entry in entries if entry["case"] != case_id])


def joined(work: Transaction, tools: Tools, known: Known, place: Place) -> None:
    """Note that an alert is in its case."""
    case = place.case
    known.saved(work, arrival.CASED, case.id)
    record = work.get(CASE, case.id)
    body: dict[str, Any] = record.body if record else {"number": case.number, "alerts": [], "note": place.note}
    if known.key in body["alerts"]:
        return
    if len(body["alerts"]) < _MOST_ALERTS:
        body = {**body, "alerts": [*body["alerts"], known.key]}
        work.save(CASE, case.id, body, version=record.version if record else 0, state="open", ref=case.id)
    what = "case opened" if place.opened else "alert joined"
    tools.journal.write(
        work, what, case=case.id, number=case.number, alert=known.key, note=place.note or None, automated=True
    )


def terms_of(wishes: Iterable[Decision]) -> list[Terms]:
    """The terms of `case` steps, the usual ones where there is no such step."""
    settings = [dict(wish.settings) for wish in wishes] or [{"merge_within": DAY, "merge_on": USUAL}]
    return [Terms(tuple(found.get("merge_on") or USUAL), float(found.get("merge_within") or 0)) for found in settings]


def _template(wish: Decision) -> bool:
    return bool(dict(wish.settings).get("template"))


def _search(work: Transaction, terms: Terms, facts: Facts, now: float, me: str) -> Entry | None:
    """The newest case, or reservation, that is the same in everything the terms name."""
    found = [entry for key in _candidates(terms, facts) for entry in _entries(work, key)]
    fitting = [
        entry
        for entry in found
        if entry["by"] == me
        or (now - entry["opened"] <= terms.within and _same(entry, terms, facts) and _holds(work, entry, now))
    ]
    return max(fitting, key=lambda entry: float(entry["opened"]), default=None)


def _holds(work: Transaction, entry: Entry, now: float) -> bool:
    """A case, or a reservation whose alert is still on its way: new, or loose until a verdict brings it there."""
    if entry["case"]:
        return True
    record = work.get(arrival.KIND, entry["by"])
    coming = record is not None and record.state in (arrival.NEW, arrival.LOOSE)
    return coming and float(now - entry["opened"]) < _OPENS_WITHIN


def _same(entry: Entry, terms: Terms, facts: Facts) -> bool:
    if "source" in terms.merge_on and entry["source"] != facts.source:
        return False
    return not ("agent" in terms.merge_on and entry["agent"] != facts.agent)


def _candidates(terms: Terms, facts: Facts) -> list[str]:
    if "observable" in terms.merge_on:
        return [_key("observable", *observable) for observable in facts.observables[:_MOST_OBSERVABLES]]
    if "source" in terms.merge_on and facts.source:
        return [_key("source", facts.source)]
    return [_key("agent", facts.agent)]


def _keys(facts: Facts) -> list[str]:
    seen = [_key("observable", *observable) for observable in facts.observables[:_MOST_OBSERVABLES]]
    return [*([_key("source", facts.source)] if facts.source else []), _key("agent", facts.agent), *seen]


def _key(what: str, *value: str) -> str:
    return f"{what}:{content_digest(value)[:32]}"


def _entries(work: Transaction, key: str) -> list[Entry]:
    record = work.get(KIND, key)
    return list(record.body["entries"]) if record else []


def _change(work: Transaction, key: str, change: Callable[[list[Entry]], list[Entry]]) -> None:
    record = work.get(KIND, key)
    before = list(record.body["entries"]) if record else []
    after = change(before)[-_MOST_ENTRIES:]
    if after != before:
        work.save(KIND, key, {"entries": after}, version=record.version if record else 0, state="open")


def _entered(entries: list[Entry], mine: Entry, facts: Facts) -> list[Entry]:
    """The case's entry once, instead of the reservation; a case that is there keeps the source it was opened on."""
    kept = [entry for entry in entries if entry["case"] or entry["by"] != mine["by"]]
    if any(entry["case"] == mine["case"] for entry in kept):
        return kept
    return [*kept, {**mine, "source": facts.source, "agent": facts.agent}]
