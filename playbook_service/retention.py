"""What is forgotten, and when: handled work and ended records, after the time the operator set.

Leases in force, open questions, labels, suppressions and the audit chain with its index are never forgotten by age. Of
a playbook's texts the newest are kept (`engine.version.MOST`); of `control` and `tally` there are a handful of records.
"""

from __future__ import annotations

from playbook_service.engine import approval, decided, launch, lease
from playbook_service.engine.step import STEPS
from playbook_service.store.contract import Store

QUEUES = (STEPS, "inbox")
KINDS: dict[str, tuple[str | None, ...]] = {
    "alert": (None,),
    "run": (None,),
    "verdict": (None,),
    "decision": (None,),
    decided.KIND: (None,),
    decided.TERM: (None,),
    "casekey": (None,),
    "job": (None,),
    "hivejob": (None,),
    "task": (None,),
    "spent": (None,),
    "session": (None,),
    "errand": (None,),
    "trial": (None,),
    lease.KIND: (lease.ENDED, lease.REFUSED),
    approval.KIND: (approval.GRANTED, approval.DENIED, approval.EXPIRED),
    launch.KIND: (launch.ENDED, launch.FAILED, launch.HUMAN),
}
"""Kind of record -> the states in which it may be forgotten; None: in any."""


def forget(store: Store, before: float) -> int:
    """Forget what was last touched before a wall time; returns how much. Several short transactions, not one long."""
    forgotten = 0
    for queue in QUEUES:
        with store.transaction() as work:
            forgotten += work.purge_done(queue, before)
    for kind, states in KINDS.items():
        for state in states:
            with store.transaction() as work:
                forgotten += work.purge_records(kind, state, before)
    store.compact()
    return forgotten
