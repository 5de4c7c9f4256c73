"""Everything that is known of one decision, and the moments from the alert to the undo in their order.

Read from records by their keys, and from the audit lines that name the decision; of those at most `MOST_LINES`, so
that a decision with a thousand failed undos costs no more than another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from playbook_service.audit import index
from playbook_service.audit.journal import LOG
from playbook_service.console import whole
from playbook_service.console.again import Evidence
from playbook_service.engine import approval, arrival, enrichment, lease, placement, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.draft import title_of
from playbook_service.feedback import closure
from playbook_service.reports import story
from playbook_service.reports.incident_model import Moment
from playbook_service.store.contract import Entry, Record, Transaction
from propolis.alert import Alert

MOST_LINES = 100


class Known(NamedTuple):
    """A decision's record and those it leads to; None for what there never was or what is not kept any more. `lines`
    are the newest of the audit chain that name it, oldest first; `more` says that there are older ones."""

    decision: Record
    alert: Record | None
    run: Record | None
    verdict: Record | None
    question: Record | None
    lease: Record | None
    case: Record | None
    closure: Record | None
    lines: tuple[Entry, ...]
    more: bool

    @property
    def case_number(self) -> int:
        """The case's number; 0 where it is not known."""
        for record in (self.case, self.closure):
            if record is not None and isinstance(record.body.get("number"), int):
                return int(record.body["number"])
        return 0

    @property
    def evidence(self) -> Evidence:
        """What it can be decided again by."""
        verdict = self.verdict.body if self.verdict else {}
        alert = Alert(self.alert.body["alert"] if self.alert else {})
        return Evidence(
            self.decision.state, self.decision.body, alert, verdict.get("full") or {}, verdict.get("observable") or {},
            self.case_number,
        )  # fmt: skip


def known(work: Transaction, key: str) -> Known | None:
    """What there is on a decision; None where there is no decision of that id (any more)."""
    decision = whole.get(work, ruling.KIND, key)
    if decision is None:
        return None
    body, case_id = decision.body, decision.ref
    verdict = _get(work, VERDICT, body["verdict"])
    numbers = index.numbers(work, key, limit=MOST_LINES + 1)
    return Known(
        decision, _get(work, arrival.KIND, body["alert"]),
        _get(work, enrichment.KIND, verdict.body.get("run") if verdict else ""), verdict,
        _get(work, approval.KIND, key), _get(work, lease.KIND, key), _get(work, placement.CASE, case_id),
        _get(work, closure.KIND, case_id), tuple(lines_at(work, reversed(numbers[:MOST_LINES]))),
        len(numbers) > MOST_LINES,
    )  # fmt: skip


def _get(work: Transaction, kind: str, key: Any) -> Record | None:
    return whole.get(work, kind, str(key or ""))


def lines_at(work: Transaction, numbers: Any) -> Iterator[Entry]:
    """The audit lines with these numbers; one that is not there is left out."""
    for number in numbers:
        yield from work.read(LOG, after=number - 1, limit=1)


def moments(found: Known) -> list[Moment]:
    """What happened, oldest first: from records up to the decision, from then on as the audit chain has it."""
    told = [*_before(found), *(story.told(entry.body, entry.at, entry.number) for entry in found.lines)]
    told += list(_closing(found))
    there = [moment for moment in told if moment is not None]
    if not any(moment.what == story.DECISION for moment in there):  # older than the index, or its line is gone
        body = found.decision.body
        there.append(Moment(float(body["at"]), found.decision.state, story.DECISION, found.decision.state))
    return sorted(there, key=lambda moment: (moment.at, moment.line))


def _before(found: Known) -> Iterator[Moment]:
    if found.alert is not None:
        alert, came_in = Alert(found.alert.body["alert"]), float(found.alert.body["at"])
        occurred = alert.timestamp
        if occurred is not None and occurred <= came_in:
            yield Moment(occurred, "plain", "event", f"Wazuh wrote the alert {alert.id} on {alert.agent_name}")
        yield Moment(came_in, "plain", "alert", f"came in: {title_of(alert)} (level {alert.level})")
    if found.verdict is not None:
        began = float(found.run.body.get("began") or 0.0) if found.run is not None else 0.0
        if found.run is not None and 0.0 < began <= float(found.verdict.body["at"]):  # it may have been run again since
            names = ", ".join(str(name) for name in found.run.body.get("analyzers") or ())
            yield Moment(began, "plain", "asked", f"analyzers were asked: {names}")
        full, told = found.verdict.body["full"], found.verdict.body["observable"]
        advice = f", which advises to {full['recommendation']}" if full.get("recommendation") else ""
        text = f"{told['data']}: {full.get('verdict') or 'no verdict on record'}{advice}"
        yield Moment(float(found.verdict.body["at"]), "plain", "verdict", text)


def _closing(found: Known) -> Iterator[Moment]:
    if found.closure is not None:
        body = found.closure.body
        by = f" by {body['by']}" if body["by"] else ""
        label = f", which labels what it was about {body['judgement']}" if body["judgement"] else ""
        yield Moment(float(body["at"]), "plain", "closed", f"the case as {body['resolution']}{by}{label}")
