"""Playbooks: strict files in, decisions out.

    playbooks = load("playbooks/")                                 # PlaybookErrors: all faults at once
    wanted = analyzers_for(playbooks, context)                     # .analyzers, .deadline (s), .playbooks
    decisions = decide(playbooks, "verdict", context, ceiling_mode="observe")

A context is a mapping of roots to nested maps: `alert` (the Wazuh alert as it came), `observable` (dataType, data,
tags, role, ...), `verdict` (`Verdict.to_dict()`), `case` (number, severity, tags, status, resolutionStatus,
customFields: {name: value}, observables: [...]). Roots may be missing.
"""

from playbook_service.playbook.condition import Check, Condition
from playbook_service.playbook.decision import Decision, Origin
from playbook_service.playbook.engine import Enrichment, Outcome, analyzers_for, decide, matching, outcome_of
from playbook_service.playbook.fault import PlaybookError, PlaybookErrors
from playbook_service.playbook.loader import SHIPPED, load, read
from playbook_service.playbook.model import MODES, Action, Clause, Playbook, Playbooks
from playbook_service.playbook.target import Target

__all__ = [
    "MODES",
    "SHIPPED",
    "Action",
    "Check",
    "Clause",
    "Condition",
    "Decision",
    "Enrichment",
    "Origin",
    "Outcome",
    "Playbook",
    "PlaybookError",
    "PlaybookErrors",
    "Playbooks",
    "Target",
    "analyzers_for",
    "decide",
    "load",
    "matching",
    "outcome_of",
    "read",
]
