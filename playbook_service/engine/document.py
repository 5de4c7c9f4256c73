"""Leases and approvals as plain data, for `--format json` and the API."""

from __future__ import annotations

from typing import Any

from playbook_service.engine import lease
from playbook_service.store.contract import Record
from propolis.clock import utc_text


def lease_document(record: Record, now: float) -> dict[str, Any]:
    """A lease; `left` is in seconds, `until` and `left` are null for one that has no end."""
    body, grant = record.body, lease.Grant(**record.body["grant"])
    until = float(body["until"]) if body["until"] and not body.get("permanent") else None
    return {
        "lease": record.key, "state": record.state, "responder": grant.responder, "target": grant.target,
        "where": body["where"], "case": grant.case_id, "until": utc_text(until) if until else None,
        "left": max(0, int(until - now)) if until else None, "permanent": bool(body.get("permanent")),
        "by": grant.by, "why": grant.why, "ended_by": body["ended_by"], "undos": body["undos"],
        "held_until": utc_text(float(body["held"])) if body.get("held") else None,
        "message": body["report"].get("message"), "verified": body["report"].get("verified"),
    }  # fmt: skip


def approval_document(record: Record) -> dict[str, Any]:
    """A question to an analyst, with the answers so far."""
    body, grant = record.body, lease.Grant(**record.body["grant"])
    return {
        "approval": record.key, "state": record.state, "responder": grant.responder, "target": grant.target,
        "seconds": grant.seconds, "case": grant.case_id, "why": grant.why, "evidence": body["evidence"],
        "expires": utc_text(float(body["expires"])), "approvers": body["approvers"], "needed": body["needed"],
        "tasks": body["tasks"], "answers": [*body["answers"], *(list(given) for given in body.get("given", []))],
        "outcome": body["why"],
    }  # fmt: skip
