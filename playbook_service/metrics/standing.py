"""How the installation stands now: what waits, what is contained, what is left of the budget.

Only what is small, or counted by an index, is looked at: the cost grows with what is open, never with what was done.
"""

from __future__ import annotations

from collections.abc import Iterator

from playbook_service.engine import approval, budget, lease
from playbook_service.judgement.guard import POLICY_KIND
from playbook_service.metrics import catalogue
from playbook_service.metrics.family import Labels, Measured, measured
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.store.contract import Filter, Record, Transaction
from propolis.guardrails import Policy

_QUEUES = ("inbox", "step")
_OPEN_LEASE = (lease.WISHED, *lease.IN_FORCE)
_HOUR = 3600.0
_EVER = float("inf")
_PAGE = 1000


def standing(work: Transaction, policy: Policy | None, now: float) -> list[Measured]:
    """Everything that the store tells of this moment. `policy` is None where it cannot be read."""
    leases = list(_open_leases(work))
    return [*_backlog(work, now), *_leases(leases, now), *_questions(work, now), *_budget(work, leases, policy, now)]


def _backlog(work: Transaction, now: float) -> list[Measured]:
    found = {queue: work.backlog(queue) for queue in _QUEUES}
    states = [
        ((queue, state), float(count))
        for queue, backlog in found.items()
        for state, count in (("waiting", backlog.waiting), ("claimed", backlog.claimed), ("dead", backlog.dead))
    ]
    oldest = found["inbox"].oldest_put_at
    age = 0.0 if oldest is None else max(0.0, now - oldest)
    return [measured(catalogue.BACKLOG, *states), measured(catalogue.BACKLOG_AGE, ((), age))]


def _open_leases(work: Transaction) -> Iterator[Record]:
    for state in _OPEN_LEASE:
        after, full = "", True
        while full:
            page = work.find(lease.KIND, Filter(state=state, after_key=after, limit=_PAGE))
            yield from page
            full = len(page) == _PAGE
            after = page[-1].key if page else ""


def _leases(leases: list[Record], now: float) -> list[Measured]:
    counts: dict[Labels, float] = {(state, name): 0.0 for state in _OPEN_LEASE for name in RESPONDERS}
    for record in leases:
        labels = (record.state, _responder(record))
        counts[labels] = counts.get(labels, 0.0) + 1
    ends = [float(record.body["until"]) for record in leases if record.body.get("until") is not None]
    overdue = max(0.0, now - min(ends, default=now))
    return [measured(catalogue.LEASES, *counts.items()), measured(catalogue.LEASE_OVERDUE, ((), overdue))]


def _questions(work: Transaction, now: float) -> list[Measured]:
    count = sum(work.count(approval.KIND, Filter(state=state)) for state in (approval.ASKED, approval.WAITING))
    asked = [float(record.body.get("asked_at", record.updated_at)) for record in approval.waiting(work)]
    age = max(0.0, now - min(asked, default=now))
    return [measured(catalogue.WAITING, ((), float(count))), measured(catalogue.WAITING_AGE, ((), age))]


def _budget(work: Transaction, leases: list[Record], policy: Policy | None, now: float) -> list[Measured]:
    kinds = tuple(POLICY_KIND.values())
    open_now = [kind for record in leases if (kind := _kind(record))]
    used = [((kind, "active_total"), float(open_now.count(kind))) for kind in kinds]
    used += [((kind, "per_hour"), float(_spent(work, kind, now))) for kind in kinds]
    limits: list[tuple[Labels, float]] = []
    if policy is not None:
        for name in ("per_hour", "active_total"):
            limits += [((kind, name), float(getattr(getattr(policy.limits, name), kind))) for kind in kinds]
    return [measured(catalogue.BUDGET_USED, *used), measured(catalogue.BUDGET_LIMIT, *limits)]


def _spent(work: Transaction, kind: str, now: float) -> int:
    """Granted within the last hour. The policy bounds how many: they are read, not counted among all there are."""
    since, found = (now - _HOUR, ""), 0
    while True:
        wanted = Filter(state=kind, due_before=_EVER, after_due=since, limit=_PAGE)
        page = work.find(budget.SPENT, wanted)
        found += len(page)
        if len(page) < _PAGE or page[-1].due is None:
            return found
        since = (page[-1].due, page[-1].key)


def _responder(record: Record) -> str:
    return str(record.body["grant"]["responder"])


def _kind(record: Record) -> str:
    """The policy's kind of a lease; empty for a responder that this version does not know."""
    known = RESPONDERS.get(_responder(record))
    return POLICY_KIND[known.contains] if known is not None else ""
