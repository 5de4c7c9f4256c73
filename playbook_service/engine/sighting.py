"""What follows from seeing an entity of TheHive as it is now. Hooks and reconciliation see; both do the same here.

Nothing here trusts who made us look: what is put is known again by what was seen, so looking twice does nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence

from playbook_service.engine import adopt, approval, arrival, enrichment, escalation, launch, lease, request
from playbook_service.engine.adopt import CONTAINED_TAG, Adoption, case_of
from playbook_service.engine.analysis import job_moved
from playbook_service.engine.arrival import Known
from playbook_service.engine.escalation_rule import RULES, Rule
from playbook_service.engine.placement import CASE, Place, joined
from playbook_service.engine.standing import changed
from playbook_service.engine.step import Commit, Done, Outcome, follow, wake
from playbook_service.engine.tools import Tools
from playbook_service.feedback.closure import noticed
from playbook_service.hive.model import Alert, Case, Observable
from playbook_service.store.contract import Filter, Item, Transaction

ENTITIES = {"case": "case", "alert": "alert", "observable": "case_artifact", "case_artifact": "case_artifact"}
"""Words for what a responder can be started on -> as the connector calls it."""


class Sighting:
    """Says what is to be committed when something was seen. Reads TheHive where that is needed; raises HttpError."""

    def __init__(self, tools: Tools, rules: Sequence[Rule] = RULES):
        self._tools = tools
        self._rules = tuple(rules)
        self._adoption = Adoption(tools)

    def is_ours(self, case_id: str) -> bool:
        """Is it a case that one of our alerts is in?"""
        with self._tools.store.transaction() as work:
            return bool(case_id) and work.get(CASE, case_id) is not None

    def case(self, work: Transaction, case: Case) -> None:
        """A case: it stands otherwise, it was closed or opened again, its tags ask for something."""
        if work.get(CASE, case.id) is None:
            return
        changed(work, case)
        noticed(work, case)
        request.noticed(work, "case", case.id, case.id, case.tags, case.updated_at)
        escalation.case_seen(work, self._rules, case)

    def alert(self, work: Transaction, alert: Alert) -> None:
        """An alert of ours that an analyst has put into a case, or that went along when cases were merged."""
        known = _known(work, alert)
        if known is None or not alert.case_id or known.case_id == alert.case_id or known.state == arrival.NEW:
            return
        follow(work, "joined", f"{known.key}:{alert.case_id}", alert=known.key, case=alert.case_id)

    def observable(self, work: Transaction, observable: Observable, case_id: str) -> None:
        """An observable of a case: reports hang on it, its tags ask for something."""
        if work.get(CASE, case_id) is None:
            return
        wake_runs(work, case_id, observable.id)
        request.noticed(work, "observable", observable.id, case_id, observable.tags, observable.updated_at)

    def actions(self, entity: str, entity_id: str) -> Commit:
        """What others started on an entity."""
        found = self._adoption.look(entity, entity_id)

        def commit(work: Transaction) -> None:
            adopt.found(work, entity, entity_id, found)

        return commit

    def asks(self, observable: Observable) -> bool:
        """Do its tags ask for something?"""
        return bool(request.requests_of(observable.tags))

    def case_of(self, entity: str, entity_id: str) -> str:
        """The case of an entity in the connector's words, where it is one of ours; else empty."""
        found = case_of(self._tools.hive, entity, entity_id)
        return found if self.is_ours(found) else ""


def says_contained(observable: Observable) -> bool:
    """Does it carry the tag by which responders say that they contained it?"""
    return any(tag.startswith(CONTAINED_TAG) for tag in observable.tags)


class Joining:
    """The step `joined:<alert>:<case>` `{"alert", "case"}`: an alert of ours came into a case without us."""

    def __init__(self, tools: Tools):
        self._tools = tools

    def step(self, item: Item) -> Outcome:
        """Work on it there, as if a playbook had put it there: an analyst says that it matters."""
        with self._tools.store.transaction() as work:
            known = arrival.known(work, str(item.body["alert"]))
        alert = self._tools.hive.alert(known.hive_id) if known is not None else None
        case = self._tools.hive.case(alert.case_id) if alert is not None and alert.case_id else None
        if known is None or case is None or case.id != item.body["case"] or known.case_id == case.id:
            return Done()

        def commit(work: Transaction) -> None:
            joined(work, self._tools, known, Place(case, False))
            for step in ("alert", "enrich"):
                follow(work, step, f"{known.key}:{case.id}", alert=known.key)

        return Done(commit)


def _known(work: Transaction, alert: Alert) -> Known | None:
    """The record of an alert of TheHive: by its reference, which is made of the key, and then by its id."""
    for key in (f"{alert.source}:{alert.reference}", f":{alert.reference}", alert.reference):
        known = arrival.known(work, key)
        if known is not None and known.hive_id == alert.id:
            return known
    return None


def task(work: Transaction, case_id: str) -> None:
    """A task of a case: it may be the answer to a question."""
    for record in approval.waiting(work, case_id):
        wake(work, "approve", record.key)


def job(work: Transaction, job_id: str) -> None:
    """A job: whatever waits for it looks now."""
    job_moved(work, job_id)


def action(work: Transaction, case_id: str) -> None:
    """An action in a case: containments and undos that are on their way look now."""
    for state, step in ((lease.WISHED, "contain"), (lease.RELEASING, "release")):
        for record in work.find(lease.KIND, Filter(state=state, ref=case_id)):
            wake(work, step, record.key)
    for record in work.find(lease.KIND, Filter(state=lease.ACTIVE, ref=case_id)):
        begun = work.get(launch.KIND, lease.extension_key(record))
        if begun is not None and begun.state in launch.OPEN:
            wake(work, "renew", f"{record.key}:{record.body['renewals']}")


def wake_runs(work: Transaction, case_id: str, observable_id: str) -> None:
    """The analyses of an observable of a case look now."""
    for state, step in ((enrichment.STATE_RUNNING, "run"), (enrichment.SCORING, "score")):
        for record in work.find(enrichment.KIND, Filter(state=state, ref=case_id)):
            if record.body["observable"]["id"] == observable_id:
                wake(work, step, f"{record.key}:{record.body['round']}")
