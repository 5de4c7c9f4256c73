"""How much may be contained: so many an hour, so many for a case, so many at a time; and a breaker for what fails.

Record `spent`, key = the lease: state = `firewall`, `accounts` or `hosts`, ref = the case, due = when it was granted.
Record `budget`, key = the kind: saved with every grant, so that two nodes that count at the same moment cannot both
find room for the last one. Everything is counted in the transaction that grants.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from playbook_service.engine import lease
from playbook_service.judgement.guard import POLICY_KIND
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.store.contract import Filter, Record, Transaction
from propolis.duration import duration_text
from propolis.guardrails import Policy
from propolis.guardrails.policy import Breaker, Limits

SPENT, BUDGET = "spent", "budget"
_HOUR = 3600.0
_PAGE = 1000


class Expense(NamedTuple):
    """A containment that is about to be granted. `kind` is the policy's: `firewall`, `accounts` or `hosts`."""

    lease: str
    responder: str
    kind: str
    case_id: str


def spend(work: Transaction, policy: Policy, expense: Expense, now: float) -> str:
    """Take it from the budget; the reason where there is none left, and then nothing is taken. Spending the same
    lease twice takes once. Raises Conflict where another node spends at this moment."""
    if work.get(SPENT, expense.lease) is not None:
        return ""
    why = tripped(work, policy.limits.breaker, expense.responder, now) or _exceeded(work, policy, expense, now)
    if why:
        return why
    guard = work.get(BUDGET, expense.kind)
    work.save(BUDGET, expense.kind, {"last": expense.lease}, version=guard.version if guard else 0)
    work.save(SPENT, expense.lease, {"responder": expense.responder}, version=0, state=expense.kind,
              ref=expense.case_id, due=now)  # fmt: skip
    return ""


def _exceeded(work: Transaction, policy: Policy, expense: Expense, now: float) -> str:
    kind, limits = expense.kind, policy.limits
    spent = Filter(state=kind)
    hourly = work.count(SPENT, spent) - work.count(SPENT, spent._replace(due_before=now - _HOUR))
    checks = (
        ("in the last hour", "limits.per_hour", hourly, getattr(limits.per_hour, kind)),
        ("for this case", "limits.per_case", _of_case(work, expense), getattr(limits.per_case, kind)),
        ("in force", "limits.active_total", _active(work, expense, limits), getattr(limits.active_total, kind)),
    )
    for what, key, count, most in checks:
        if count >= most:
            return f"the budget is used up: {count} {kind} containments {what} (policy {key}.{kind}: {most})"
    return ""


def _of_case(work: Transaction, expense: Expense) -> int:
    return work.count(SPENT, Filter(state=expense.kind, ref=expense.case_id))


def _active(work: Transaction, expense: Expense, limits: Limits) -> int:
    """Leases of this kind that are in force or on their way. All kinds are counted first: that is one number."""
    states = (lease.WISHED, *lease.IN_FORCE)
    everything = sum(work.count(lease.KIND, Filter(state=state)) for state in states)
    if everything < getattr(limits.active_total, expense.kind):
        return everything
    return sum(kind_of(record) == expense.kind for state in states for record in _leases(work, state))


def _leases(work: Transaction, state: str) -> Iterable[Record]:
    after = ""
    while True:
        page = work.find(lease.KIND, Filter(state=state, after_key=after, limit=_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].key


def kind_of(granted: Record) -> str:
    """The policy's kind of a lease."""
    return POLICY_KIND[RESPONDERS[granted.body["grant"]["responder"]].contains]


def tripped(work: Transaction, breaker: Breaker, responder: str, now: float) -> str:
    """Why a responder is stopped for a while: it failed too often; empty where it is not."""
    failed = sorted(
        record.updated_at
        for record in _leases(work, lease.DOUBTFUL)
        if record.body["grant"]["responder"] == responder
        and now - record.updated_at <= breaker.cool_down + breaker.within
    )
    until = open_until(failed, breaker)
    if until is None or now >= until:
        return ""
    return (
        f"{responder} failed {breaker.failures} times within {duration_text(breaker.within)} and is stopped for "
        f"another {duration_text(until - now + 1)} (policy limits.breaker)"
    )


def open_until(failed: list[float], breaker: Breaker) -> float | None:
    """When the breaker closes again, from the ascending times of failures; None where it never opened."""
    last = None
    for place in range(breaker.failures - 1, len(failed)):
        if failed[place] - failed[place - breaker.failures + 1] <= breaker.within:
            last = failed[place] + breaker.cool_down
    return last
