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
