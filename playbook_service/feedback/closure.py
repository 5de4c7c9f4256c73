"""A case was closed, or opened again: labels, suppression counts, and the end of a false positive's containments.

Step `closed:<case>:<...>` `{"case"}`, put by `noticed` whenever somebody sees a case that stands otherwise than it was
known. The case is read again; playbooks `on: case_closed` say what it is (`label`). Step `aftercare:<...>` does what
else those playbooks want.

Record `closure`, key = ref = the case's id: state `closed` or `open` (again); body as `Closing.to_dict()` without what
the log alone needs (labels, observations), and `closed_at` (as TheHive has it), `release` (do its containments end?),
`why` (why it teaches nothing, where so). It keeps a case from being judged again when its other records are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from playbook_service.engine import arrival, lease
from playbook_service.engine.arrival import Known
from playbook_service.engine.context import case_fields
from playbook_service.engine.step import Commit, Done, Handler, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.feedback import matter, register, review
from playbook_service.feedback.label import CLOSED, LOG, REOPENED, Closing, Count, closing_of
from playbook_service.feedback.suppression import FALSE, TRUE, keys_of, origin
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Case
from playbook_service.playbook import Decision, decide
from playbook_service.store.contract import Filter, Item, Record, Transaction

KIND = "closure"
SHUT, OPEN = "closed", "open"
EVENT = "case_closed"
NO_JUDGEMENT = frozenset(("Indeterminate", "Duplicated", "Other"))
"""Resolutions that say neither: whatever a playbook makes of them, they teach nothing."""
_MOST_ALERTS, _MOST_COUNTS = 200, 200
_LOOK_AGAIN = 5.0  # seconds; a containment that is just being started is ended as soon as it is in force
_LOOK_LAST = 120.0  # seconds; one that was granted in the moment of the closing is found then

Settle = Callable[[Case, Known | None, Sequence[Decision], str], Commit]
"""Does the other steps of playbooks on a closed case; the text names the step."""


class Judged(NamedTuple):
    """What a closing comes to."""

    closing: Closing
    release: bool
    ours: bool
    """Was anything of it ours: an alert, a verdict, a decision? Cases of others are no business of the audit."""
    why: str = ""
    """Why nothing is learned from it, where that is so."""


def noticed(work: Transaction, case: Case) -> bool:
    """Somebody saw this case: it is looked into where it was closed or opened since. Harmless however often."""
    record = work.get(KIND, case.id)
    if _is_known(record, case):
        return False
    version = record.version if record else 0
    return follow(work, "closed", f"{case.id}:{version}:{_word(case)}", case=case.id)


def _is_known(record: Record | None, case: Case) -> bool:
    if record is None or case.open:
        return case.open and (record is None or record.state == OPEN)
    said = (record.body["resolution"], record.body["closed_at"])
    return record.state == SHUT and said == (case.resolution, case.closed_at)


def _word(case: Case) -> str:
    return "open" if case.open else f"{case.resolution}:{case.closed_at}"


class Closures:
    """The steps `closed` and `aftercare`."""

    def __init__(self, tools: Tools, settle: Settle | None = None):
        self._tools = tools
        self._settle = settle

    def handlers(self) -> dict[str, Handler]:
        """The words of the steps, for the loop."""
        return {"closed": self.step, "aftercare": self.aftercare}

    def step(self, item: Item) -> Outcome:
        """Step `closed`."""
        case = self._tools.hive.case(str(item.body["case"]))
        if case is None:
            return Done()
        with self._tools.store.transaction() as work:
            record = work.get(KIND, case.id)
        if case.open:
            return Done() if _is_known(record, case) else Done(lambda work: self._reopen(work, case, record))
        if record is not None and _is_known(record, case):
            return self._release(case, bool(record.body["release"]), str(record.body["by"]))
        judged, rest = self._judge(case)

        def commit(work: Transaction) -> None:
            key = item.key.partition(":")[2]
            self._note(work, case, judged, record)
            if rest and self._settle is not None:
                follow(work, "aftercare", key, case=case.id)
            if judged.release:
                follow(work, "closed", f"{key}:last", due=self._tools.clock.now() + _LOOK_LAST, case=case.id)

        return self._release(case, judged.release, judged.closing.by, commit)

    def aftercare(self, item: Item) -> Outcome:
        """Step `aftercare`: what the playbooks on a closed case want besides labels."""
        case = self._tools.hive.case(str(item.body["case"]))
        if case is None or case.open or self._settle is None:
            return Done()
        first = self._alerts(case.id)[:1]
        rest = [entry for entry in self._decide(case, first) if entry.verb != "label"]
        return Done(self._settle(case, first[0] if first else None, rest, item.key))

    # what it comes to -----------------------------------------------------------------------------------------------

    def _judge(self, case: Case) -> tuple[Judged, list[Decision]]:
        """What the playbooks make of the closing, who it is from, and what it teaches."""
        tools, alerts = self._tools, self._alerts(case.id)
        decisions = self._decide(case, alerts[:1])
        said = [dict(entry.settings) for entry in decisions if entry.verb == "label"]
        judgement, why = judgement_of(case.resolution, [str(entry["as"]) for entry in said])
        by = who_closed(tools.hive, case)
        if by in ("", tools.account):
            why = "the service itself closed it" if by else "TheHive does not say who closed it"
            judgement, by = "", ""
        with tools.store.transaction() as work:
            dossier = matter.dossier_of(work, case.id)
            asked = review.tasks_of(work, case.id)
        reviewed = review.answered(tools.hive, asked, case.id, tools.account)
        ours = bool(alerts) or any(dossier)
        observables = tools.hive.observables(case.id) if ours else []
        now = tools.clock.now()
        closing = Closing(
            case.id, case.number, case.resolution, judgement, min(case.closed_at / 1000, now) or now, by,
            matter.labels_of(dossier, observables, reviewed, judgement, tools.account),
            counts_of(alerts) if judgement else (), matter.held_back(dossier),
        )  # fmt: skip
        release = any(bool(entry.get("release")) for entry in said)
        return Judged(closing, release, ours, why), [entry for entry in decisions if entry.verb != "label"]

    def _decide(self, case: Case, alerts: Sequence[Known]) -> list[Decision]:
        """Nothing here contains anything, so no mode holds it back and no policy is asked."""
        context = {"case": case_fields(case), "alert": alerts[0].alert.fields if alerts else {}}
        return decide(self._tools.playbooks(), EVENT, context, ceiling_mode="observe")

    def _alerts(self, case_id: str) -> list[Known]:
        """The alerts of the case that came in here, the one that opened it first."""
        with self._tools.store.transaction() as work:
            records = work.find(arrival.KIND, Filter(ref=case_id, limit=_MOST_ALERTS))
            found = [known for record in records if (known := arrival.known(work, record.key)) is not None]
        return sorted(found, key=lambda known: float(known.record.body["at"]))

    # what is written ------------------------------------------------------------------------------------------------

    def _note(self, work: Transaction, case: Case, judged: Judged, record: Record | None) -> None:
        closing, now = judged.closing, self._tools.clock.now()
        kept = closing._replace(labels=(), held=()).to_dict()
        body = {**kept, "closed_at": case.closed_at, "release": judged.release, "why": judged.why}
        version = record.version if record else 0
        work.save(KIND, closing.case_id, body, version=version, state=SHUT, ref=closing.case_id)
        if not judged.ours and record is None:
            return
        work.append(LOG, {"event": CLOSED, **closing.to_dict()})
        register.replace(work, _standing(record), closing, now)
        self._tools.journal.write(
            work, "case closed", case=closing.case_id, number=closing.number, result=closing.resolution,
            operator=closing.by or None, label=closing.judgement or None, why=judged.why or None,
            labels=[f"{entry.data_type} {entry.data}" for entry in closing.labels] or None,
            counts=len(closing.counts) or None,
        )  # fmt: skip

    def _reopen(self, work: Transaction, case: Case, record: Record | None) -> None:
        """What was judged is open again: until it is closed anew it teaches nothing."""
        if record is None:
            return
        before = _standing(record)
        work.save(KIND, case.id, record.body, version=record.version, state=OPEN, ref=case.id)
        work.append(LOG, {"event": REOPENED, "case_id": case.id, "at": self._tools.clock.now()})
        register.replace(work, before, None, self._tools.clock.now())
        self._tools.journal.write(work, "case reopened", case=case.id, number=case.number)

    def _release(self, case: Case, release: bool, by: str = "", commit: Commit | None = None) -> Outcome:
        """End the leases of the case where it asks for that; one that is just being made is waited for."""
        if not release:
            return Done(commit)
        ended_by = f"case closed as {case.resolution}" + (f" by {by}" if by else "")

        def finish(work: Transaction) -> None:
            if commit is not None:
                commit(work)
            for record in lease.in_force(work, case.id):
                lease.end(work, self._tools, record.key, ended_by)

        with self._tools.store.transaction() as work:
            coming = work.count(lease.KIND, Filter(state=lease.WISHED, ref=case.id))
        if coming:
            return Later(_LOOK_AGAIN, "a containment of the closed case is still being started", finish)
        return Done(finish)


def _standing(record: Record | None) -> Closing | None:
    """The closing that counts until now."""
    return closing_of(record.body) if record is not None and record.state == SHUT else None


def judgement_of(resolution: str, labels: Sequence[str]) -> tuple[str, str]:
    """What the playbooks' labels say together, and why nothing, where they say nothing."""
    said = set(labels)
    if resolution in NO_JUDGEMENT:
        return "", f"{resolution} is no judgement"
    if not said:
        return "", "no playbook labels cases that are closed so"
    if said == {TRUE, FALSE}:
        return "", "playbooks label it as true and as false positive at once"
    return said.pop(), ""


def counts_of(alerts: Sequence[Known]) -> tuple[Count, ...]:
    """For which (source, rule, observable) the closing counts: what could be acted upon in the case's alerts."""
    found: dict[Count, None] = {}
    for known in alerts:
        rule = (origin(known.alert), known.alert.rule_id)
        found.update(dict.fromkeys(Count(*rule, *key) for key in keys_of(known.observables)))
    return tuple(found)[:_MOST_COUNTS]


def who_closed(hive: Hive, case: Case) -> str:
    """The login that closed the case as it is, by TheHive's own trail: not its last editor. Empty where nobody can be
    named."""
    for audit in hive.audits("case", case.id, case.id):
        word = audit.details.get("resolutionStatus") or audit.details.get("status")
        if word:
            return audit.actor if word in (case.resolution, "Resolved") else ""
    return ""
