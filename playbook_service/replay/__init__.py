"""Replay: alerts through playbooks in dry run, to see what would have been done. See docs/replay.md.

pipeline = Pipeline(Setup(playbooks, policy, evidence, history))
for item in items(stream):                      # .alert or .fault
    outcome = pipeline.process(item.alert)      # .suppressed, .seen, .judged, .case, .changes
"""

from playbook_service.judgement.guard import Guard, Judged
from playbook_service.replay.evidence import Evidence, read_evidence
from playbook_service.replay.history import History, read_history
from playbook_service.replay.pipeline import Outcome, Pipeline, Rules, Setup
from playbook_service.replay.source import Item, items

__all__ = [
    "Evidence",
    "Guard",
    "History",
    "Item",
    "Judged",
    "Outcome",
    "Pipeline",
    "Rules",
    "Setup",
    "items",
    "read_evidence",
    "read_history",
]
