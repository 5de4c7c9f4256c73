"""How a case stands: its severity, tags and flag. Playbooks on cases are asked once for each standing.

Step `case:<case>:<standing>` `{"case", "alert"}`; put by whoever sees the case, as often as they like.
"""

from __future__ import annotations

from playbook_service.engine.step import follow
from playbook_service.hive.model import Case
from playbook_service.playbook.model import content_digest
from playbook_service.store.contract import Transaction


def standing(case: Case) -> str:
    """A short digest of what playbooks on cases are about."""
    return content_digest([case.severity, sorted(case.tags), case.flag])[:16]


def changed(work: Transaction, case: Case, alert_key: str = "") -> bool:
    """A case was opened, or looks different from before; False where this standing was seen already."""
    if not case.open:
        return False
    return follow(work, "case", f"{case.id}:{standing(case)}", case=case.id, alert=alert_key)
