"""The result as JSON, schema `propolis-replay/1` (docs/replay.md). Alerts are written as they come, not gathered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, Any

from playbook_service.judgement.guard import ACT, ASK, STOPPED, Judged
from playbook_service.replay.casebook import Case
from playbook_service.replay.enrichment import Seen
from playbook_service.replay.history import origin
from playbook_service.replay.pipeline import Outcome, Setup
from playbook_service.replay.run import Result
from playbook_service.replay.summary import DISPOSITIONS, ChangeRow, Row, Summary
from playbook_service.replay.words import answer
from propolis.clock import utc_text

SCHEMA = "propolis-replay/1"


class Writer:
    """Writes the document piece by piece: `begin`, `alert` for each, `end`."""

    def __init__(self, stream: IO[str], limit: int | None = None):
        self._stream = stream
        self._limit = limit
        self._count = 0

    def begin(self, setup: Setup, name: str) -> None:
        """What is known before the first alert."""
        head = {"schema": SCHEMA, "dry_run": True, "input": name, "spoke": spoke(setup)}
        self._stream.write(_text(head)[:-1] + ',\n"alerts": [')

    def alert(self, number: int, outcome: Outcome, disposition: str) -> None:
        """One alert, unless the limit is reached."""
        if self._limit is not None and self._count >= self._limit:
            return
        self._stream.write(",\n" if self._count else "\n")
        self._stream.write(_text(alert_fields(number, outcome, disposition)))
        self._count += 1

    def end(self, result: Result) -> None:
        """Everything that is known only after the last alert."""
        tail = _text(tail_fields(result, self._count))
        self._stream.write("\n],\n" + tail[1:] + "\n")


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def spoke(setup: Setup) -> dict[str, Any]:
    """Which profile, policy, playbooks and modes spoke."""
    return {
        "profile": setup.options.profile,
        "window_hours": setup.options.window_hours,
        "policy": setup.policy.describe(),
        "responders_held_back": setup.policy.holds_back(),
        "ceiling": setup.ceiling,
        "playbooks": {
            "digest": setup.playbooks.digest,
            "books": [
                {
                    "name": book.name,
                    "kind": book.kind,
                    "mode": book.mode,
                    "enabled": book.enabled,
                    "digest": book.digest,
                }
                for book in setup.playbooks
            ],
        },
        "against": {"digest": setup.against.digest} if setup.against is not None else None,
        "reports": len(setup.evidence),
        "labels": setup.history.count,
    }


def alert_fields(number: int, outcome: Outcome, disposition: str) -> dict[str, Any]:
    """One alert and what became of it."""
    alert = outcome.alert
    return {
        "line": number,
        "id": alert.id,
        "node": alert.node,
        "time": alert.timestamp,
        "rule": {"id": alert.rule_id, "level": alert.level, "description": alert.description},
        "agent": {"id": alert.agent_id, "name": alert.agent_name},
        "source": origin(alert),
        "disposition": disposition,
        "suppressed": outcome.suppressed or None,
        "case": outcome.case.number if outcome.case else None,
        "observables": [
            {
                "dataType": entry.data_type,
                "data": entry.data,
                "role": entry.role,
                "path": entry.path,
                "tags": entry.tags,
            }
            for entry in outcome.observables
        ],
        "verdicts": [_verdict(seen) for seen in outcome.seen],
        "decisions": [_judged(entry) for entry in outcome.judged],
        "changes": [change._asdict() for change in outcome.changes],
    }


def _verdict(seen: Seen) -> dict[str, Any]:
    entry = seen.observable
    return {"dataType": entry.data_type, "data": entry.data, **seen.fields, "veto": list(seen.verdict.tally.veto)}


def _judged(judged: Judged) -> dict[str, Any]:
    return {
        **judged.decision.to_dict(),
        "outcome": judged.outcome,
        "today": judged.today,
        "guardrail": {"rule": judged.rule, "why": judged.why} if judged.rule else None,
    }


def tail_fields(result: Result, listed: int) -> dict[str, Any]:
    """Totals, cases, containments, the best known observables, differences, faults."""
    summary = result.summary
    return {
        "alerts_listed": listed,
        "answer": answer(result),
        "totals": _totals(summary),
        "timeline": {
            "bin_seconds": summary.timeline.width,
            "bins": [{"start": start, **counts} for start, counts in summary.timeline.bins()],
        },
        "containments": [_row(row) for row in summary.rows(ACT, ASK, STOPPED)],
        "containments_not_listed": summary.more_targets,
        "cases": [_case(case) for case in sorted(summary.cases.values(), key=lambda case: case.number)],
        "observables": [_observable(seen) for seen in summary.top(100)],
        "suppressions": dict(summary.suppressions.most_common()),
        "changes": [_change(row) for row in summary.changes.values()],
        "faults": [
            {"file": faults.name, "count": faults.count, "first": [fault._asdict() for fault in faults.first]}
            for faults in result.faults
        ],
    }


def _totals(summary: Summary) -> dict[str, Any]:
    return {
        "alerts": summary.alerts,
        "outside_period": summary.outside,
        "first": utc_text(summary.first) if summary.first is not None else None,
        "last": utc_text(summary.last) if summary.last is not None else None,
        "dispositions": {kind: summary.dispositions[kind] for kind in DISPOSITIONS},
        "cases": summary.case_count,
        "observables": summary.observables,
        "verdicts": dict(summary.verdicts),
        "decisions": dict(summary.decisions),
        "guardrails": dict(summary.rules),
        "playbooks": {name: dict(counts) for name, counts in summary.playbooks.items()},
        "levels": {str(level): number for level, number in sorted(summary.levels.items())},
        "sources": dict(summary.sources.most_common()),
        "agents": dict(summary.agents.most_common()),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "outcome": row.judged.outcome,
        "today": row.judged.today,
        "responder": row.judged.decision.responder,
        "target": row.judged.target,
        "seconds": row.judged.decision.seconds,
        "permanent": row.judged.decision.permanent,
        "alerts": row.count,
        "case": row.case or None,
        "playbooks": list(row.playbooks),
        "numbers": dict(row.judged.decision.numbers),
        "reasons": list(row.judged.decision.reasons),
        "guardrail": {"rule": row.judged.rule, "why": row.judged.why} if row.judged.rule else None,
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "number": case.number,
        "title": case.title,
        "severity": case.severity,
        "flagged": case.flagged,
        "outcome": case.outcome,
        "source": case.source or None,
        "agent": case.agent,
        "opened": utc_text(case.opened),
        "last": utc_text(case.last),
        "alerts": case.alerts,
        "rules": case.rules,
        "tags": list(case.tags),
        "tasks": list(case.steps),
        "observables": [{"dataType": kind, "data": data} for kind, data in case.observables],
        "decisions": _case_decisions(case.decisions.values()),
    }


def _case_decisions(judged: Iterable[Judged]) -> list[dict[str, Any]]:
    return [
        {"action": entry.decision.action, "target": entry.target, "outcome": entry.outcome, "today": entry.today}
        for entry in judged
    ]


def _observable(seen: Seen) -> dict[str, Any]:
    return {**_verdict(seen), "ledger": [line.to_dict() for line in seen.verdict.lines]}


def _change(row: ChangeRow) -> dict[str, Any]:
    return {**row.change._asdict(), "alerts": row.times, "first_alert": row.alert}
