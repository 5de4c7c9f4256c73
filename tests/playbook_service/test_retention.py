"""What was handled long ago is forgotten; what is in force, open or learned never is."""

from __future__ import annotations

from playbook_service.engine import approval, lease
from playbook_service.engine.step import STEPS
from playbook_service.retention import forget
from playbook_service.store.contract import Filter
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock


def test_only_what_is_over_is_forgotten():
    clock = ManualClock()
    store = MemoryStore(clock)
    with store.transaction() as work:
        work.put("inbox", "handled", {})
        work.put(STEPS, "waiting", {})
        (item,) = work.claim("inbox", "node", seconds=60)
        work.done(item)
        work.save("alert", "a", {})
        work.save(lease.KIND, "over", {}, state=lease.ENDED)
        work.save(lease.KIND, "in force", {}, state=lease.ACTIVE)
        work.save(lease.KIND, "in doubt", {}, state=lease.DOUBTFUL)
        work.save(approval.KIND, "open", {}, state=approval.WAITING)
        work.save("label", "kept", {})
        work.append("audit", {"line": 1})
    clock.advance(3600)
    with store.transaction() as work:
        work.save("alert", "fresh", {})
    assert forget(store, clock.now() - 60) == 3
    with store.transaction() as work:
        assert [record.key for record in work.find("alert")] == ["fresh"]
        assert {record.key for record in work.find(lease.KIND)} == {"in force", "in doubt"}
        assert work.count(approval.KIND, Filter()) == 1
        assert work.count("label") == 1
        assert work.last("audit") is not None
        assert work.backlog(STEPS).waiting == 1


def test_what_pages_leave_behind_is_forgotten_and_what_holds_now_is_not():
    clock = ManualClock()
    store = MemoryStore(clock)
    left = ("session", "errand", "trial", "decided", "decided-term")
    holds = ("control", "tally", "playbook-version", "audit-of")
    with store.transaction() as work:
        for kind in (*left, *holds):
            work.save(kind, "old", {})
    clock.advance(3600)
    forget(store, clock.now() - 60)
    with store.transaction() as work:
        assert [kind for kind in left if work.count(kind)] == []
        assert [kind for kind in holds if work.count(kind)] == list(holds)
