"""Records as pages read them: what a record lacks is empty, and what is of another kind than it should be is too.

A record may be of an older version, which did not write all of it, or hold what a product reported. Pages show what
there is; they never fail on what there is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.engine import approval, arrival, launch, lease, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.feedback import closure
from playbook_service.store.contract import Record, Transaction

UNKNOWN = "not on record"
_LAST_MOMENT = 253_402_300_799.0  # 9999-12-31T23:59:59Z
_GRANT = {
    "lease": "", "responder": "", "entity": "", "entity_id": "", "case_id": "", "target": UNKNOWN, "seconds": 0,
    "why": "", "decision": "", "by": "",
}  # fmt: skip
_TARGET = {"kind": "", "data_type": "", "data": UNKNOWN, "label": ""}
_DECISION: Mapping[str, Any] = {
    "kind": "", "wanted": "", "capped_by": "", "event": "", "action": "", "target": None, "candidates": [],
    "seconds": 0, "permanent": False, "settings": {}, "playbooks": [], "evidence": {}, "numbers": {}, "reasons": [],
}  # fmt: skip
_BODIES: Mapping[str, Mapping[str, Any]] = {
    ruling.KIND: {
        "decision": _DECISION, "outcome": "", "why": "", "rule": "", "alert": "", "verdict": "", "observable": "",
        "lines": [], "mode": "", "policy": "", "playbooks": "",
    },
    lease.KIND: {
        "grant": _GRANT, "until": 0.0, "held": 0.0, "where": "", "undos": 0, "failures": 0, "renewals": 0,
        "ended_by": "", "ended_at": 0.0, "report": {}, "released": {},
    },
    approval.KIND: {
        "grant": _GRANT, "approvers": [], "needed": 1, "expires": 0.0, "given": [], "answers": [], "why": "",
        "asked_at": 0.0,
    },
    arrival.KIND: {"alert": {}, "suppressed": "", "observables": []},
    VERDICT: {"observable": {"dataType": "", "data": UNKNOWN, "tags": []}, "full": {}, "how": "", "run": ""},
    launch.KIND: {
        "wish": {"responder": "", "parameters": {}}, "asked_at": 0.0, "job": "", "why": "",
        "ended": {"success": False, "full": {}, "error": ""},
    },
    closure.KIND: {"resolution": "", "judgement": "", "by": "", "why": ""},
}  # fmt: skip
_DATED = (ruling.KIND, arrival.KIND, VERDICT, closure.KIND)
"""Kinds that hold `at`; in its place stands when the record was written last."""


def whole(record: Record) -> Record:
    """The record with all that pages read of one of its kind."""
    lacking = _BODIES.get(record.kind)
    if lacking is None:
        return record
    body = _filled(record.body, {**lacking, "at": record.updated_at} if record.kind in _DATED else lacking)
    if record.kind == ruling.KIND:
        body["decision"] = _decision(body["decision"])
        body["outcome"] = body["outcome"] or record.state
    if record.kind == arrival.KIND:
        body["observables"] = [entry for entry in body["observables"] if isinstance(entry, list) and len(entry) > 3]
    if record.kind == approval.KIND:
        body["given"] = [entry for entry in body["given"] if isinstance(entry, list) and len(entry) == 2]
        body["expires"] = body["expires"] or record.due or 0.0
    return record._replace(body=body)


def get(work: Transaction, kind: str, key: str) -> Record | None:
    """One record, whole; None where there is none."""
    record = work.get(kind, key) if key else None
    return whole(record) if record is not None else None


def grant_of(record: Record) -> lease.Grant:
    """The grant of a lease or a question. What a newer version added to one is left out."""
    found = _filled(record.body.get("grant"), _GRANT)
    return lease.Grant(**{name: found[name] for name in _GRANT})


def _decision(found: dict[str, Any]) -> dict[str, Any]:
    books = [_filled(book, {"name": UNKNOWN, "digest": ""}) for book in found["playbooks"]]
    return {
        **found, "target": _filled(found["target"], _TARGET) if isinstance(found["target"], Mapping) else None,
        "candidates": [_filled(one, _TARGET) for one in found["candidates"]],
        "playbooks": books or [{"name": UNKNOWN, "digest": ""}],
    }  # fmt: skip


def _filled(found: Any, lacking: Any) -> Any:
    """What was found where it is of the same kind as what stands for it; a mapping part by part."""
    if isinstance(lacking, Mapping):
        there = dict(found) if isinstance(found, Mapping) else {}
        return {**there, **{name: _filled(there.get(name), value) for name, value in lacking.items()}}
    if isinstance(lacking, str):
        return lacking if found is None else str(found)
    if isinstance(lacking, (int, float)) and not isinstance(lacking, bool):
        return found if _is_number(found) else lacking
    if isinstance(lacking, list):
        return found if isinstance(found, list) else []
    return lacking if found is None else found


def _is_number(found: Any) -> bool:
    """A count, or a moment that a calendar has."""
    return isinstance(found, (int, float)) and not isinstance(found, bool) and 0 <= found <= _LAST_MOMENT
