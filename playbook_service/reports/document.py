"""The figures of a period as JSON, schema `propolis-report/1` (docs/reports.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from playbook_service.reports.closings import Said
from playbook_service.reports.figures import Contained, Figures, Incoming
from playbook_service.reports.measure import Share, Spread
from playbook_service.reports.savings import Saving
from propolis.clock import utc_text

SCHEMA = "propolis-report/1"


def document(found: Figures) -> dict[str, Any]:
    """JSON values. Spans are in seconds; what rests on nothing is null."""
    speed, chain = found.speed, found.chain
    return {
        "schema": SCHEMA, "from": utc_text(found.start), "until": utc_text(found.end),
        "made_at": utc_text(found.made_at),
        "incoming": _incoming_document(found.incoming),
        "first_answer": {
            "any": _spread(speed.answer), "decision": _spread(speed.decision), "person": _spread(speed.person),
            "undecided": speed.undecided, "unanswered": speed.unmet, "unknown": speed.cases_unknown,
        },
        "time_to_contain": {
            **{_key(how): _spread(spread) for how, spread in speed.contained.items()},
            "all": _spread(speed.all_contained),
            "no_longer_known": speed.contained_unknown,
        },
        "containments": {
            "total": found.total, "by": [_counted(row) for row in found.contained],
            "ended": {_key(how): number for how, number in sorted(found.ended.items())},
            "permanent": found.permanent, "renewed": found.renewed, "in_force": found.in_force,
        },
        "approvals": {**found.questions._asdict(), "waited": _spread(found.questions.waited)},
        "hours_saved": {
            "assumed": True, "hours": round(found.hours, 2), "formula": "sum of count * minutes / 60",
            "steps": [{**_counted(row), "hours": round(row.hours, 2)} for row in found.savings],
        },
        "false_blocks": {
            "containments": found.blocks.containments.to_dict(), "cases": found.blocks.cases.to_dict(),
            "in_cases_closed_otherwise": found.blocks.otherwise, "in_open_cases": found.blocks.open,
        },
        "playbooks": [{**row._asdict(), "precision": row.share.to_dict()} for row in found.books],
        "sources": [_source(row) for row in found.sources],
        "guardrails": {"stopped": _sorted(found.stopped), "held": _sorted(found.held),
                       "not_made": _sorted(found.not_done)},
        "failures": dict(found.failures),
        "audit_chain": {
            "first": chain.first, "last": chain.last, "anchors": chain.anchors,
            "sound": not chain.findings if chain.last >= chain.first else None,
            "findings": list(chain.findings), "more_findings": chain.more,
        },
    }  # fmt: skip


def _incoming_document(incoming: Incoming) -> dict[str, Any]:
    kept = None if incoming.kept_from is None else utc_text(incoming.kept_from)
    return {**incoming._asdict(), "kept_from": kept, "closed": _sorted(incoming.closed)}


def _spread(spread: Spread) -> dict[str, Any]:
    seconds = {name: getattr(spread, name) for name in ("median", "p90", "longest")}
    return {"count": spread.of, **{name: None if value is None else round(value, 1) for name, value in
                                      seconds.items()}}  # fmt: skip


def _counted(row: Contained | Saving) -> dict[str, Any]:
    found = row._asdict()
    times = found.pop("times")
    return {**found, "count": times}


def _source(row: Said) -> dict[str, Any]:
    return {
        "source": row.source,
        "called_malicious_of_labelled_malicious": Share(row.malicious, row.of_malicious).to_dict(),
        "called_malicious_of_labelled_harmless": Share(row.harmless, row.of_harmless).to_dict(),
    }


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(ordered(counts.items()))


def ordered(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The most frequent first."""
    return sorted(counts, key=lambda pair: (-pair[1], pair[0]))


def _key(text: str) -> str:
    return text.replace(" ", "_")
