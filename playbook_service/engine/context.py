"""What playbooks see of TheHive's entities, and how far the service may go at this moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Case, Observable
from playbook_service.playbook import MODES
from propolis.guardrails import Policy


def ceiling(tools: Tools, policy: Policy) -> str:
    """The most careful of the service's mode, the policy's, and what a person lowered it to."""
    return tools.switch.under(min(tools.mode(), policy.mode or tools.mode(), key=MODES.index))


def case_fields(case: Case, observables: Iterable[Observable] = ()) -> dict[str, Any]:
    """A case as playbook conditions see it, in both versions' words."""
    return {
        "number": case.number,
        "title": case.title,
        "severity": case.severity,
        "tags": list(case.tags),
        "status": case.raw.get("status") or ("New" if case.open else case.resolution),
        "stage": case.raw.get("stage"),
        "resolutionStatus": case.resolution or None,
        "impactStatus": case.raw.get("impactStatus"),
        "flag": case.flag,
        "tlp": case.raw.get("tlp"),
        "pap": case.raw.get("pap"),
        "assignee": case.assignee or None,
        "owner": case.assignee or None,
        "customFields": dict(case.custom_fields),
        "observables": [{"dataType": entry.data_type, "data": entry.data} for entry in observables],
    }
