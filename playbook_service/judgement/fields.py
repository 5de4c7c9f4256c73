"""Observables and verdicts as playbook conditions see them."""

from __future__ import annotations

from typing import Any

from propolis.observables.model import Observable
from propolis.verdict import Verdict


def observable_fields(observable: Observable) -> dict[str, Any]:
    """An observable as playbook conditions see it."""
    return {
        "dataType": observable.data_type,
        "data": observable.data,
        "tags": observable.tags,
        "role": observable.role,
        "message": observable.message,
        "path": observable.path,
    }


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """A verdict as playbook conditions see it: `Verdict.to_dict()` without the ledger and the sentences."""
    tally = verdict.tally
    return {
        "verdict": verdict.verdict,
        "recommendation": tally.recommendation,
        "score": round(tally.score, 4),
        "malicious": verdict.count("malicious"),
        "suspicious": verdict.count("suspicious"),
        "safe": verdict.count("safe"),
        "missing": verdict.count(None),
        "families": tally.families,
        "coverage": round(tally.coverage, 4),
        "conflict": round(tally.conflict, 4),
        "profile": verdict.basis.profile.name,
    }
