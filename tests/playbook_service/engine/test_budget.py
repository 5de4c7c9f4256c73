"""What may be contained is limited: an hour, a case, at a time; and what keeps failing is stopped for a while."""

from __future__ import annotations

import pytest

from playbook_service.engine import lease
from playbook_service.engine.budget import SPENT, Expense, open_until, spend, tripped
from playbook_service.store.contract import Conflict
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock
from propolis.guardrails import Policy
from propolis.guardrails.policy import Breaker

POLICY = Policy.parse("""
limits:
  per_hour: {firewall: 3, accounts: 1, hosts: 1}
  per_case: {firewall: 2, accounts: 5, hosts: 5}
  active_total: {firewall: 4, accounts: 100, hosts: 20}
  breaker: {failures: 2, within: 10m, cool_down: 30m}
""")
RESPONDER = {"firewall": "FirewallBlock", "accounts": "AccountDisable", "hosts": "IsolateHost"}
HOUR = 3600.0


class Purse:
    """A store, and spending from it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)

    def spend(self, key: str, case: str = "~1", kind: str = "firewall", *, state: str = lease.ACTIVE) -> str:
        with self.store.transaction() as work:
            why = spend(work, POLICY, Expense(key, "FirewallBlock", kind, case), self.clock.now())
            if not why:
                grant = {"responder": RESPONDER[kind]}
                work.save(lease.KIND, key, {"grant": grant}, state=state, ref=case)
            return why

    def end(self, key: str, state: str = lease.ENDED) -> None:
        with self.store.transaction() as work:
            work.save(lease.KIND, key, {"grant": {"responder": "FirewallBlock"}}, state=state)

    def tripped(self, responder: str = "FirewallBlock") -> str:
        with self.store.transaction() as work:
            return tripped(work, POLICY.limits.breaker, responder, self.clock.now())


@pytest.fixture
def purse() -> Purse:
    return Purse()


def test_an_hour_allows_so_many_and_the_next_hour_again(purse: Purse) -> None:
    assert [purse.spend(f"L{number}", f"~{number}") for number in range(3)] == ["", "", ""]
    why = purse.spend("L3", "~3")
    assert why == "the budget is used up: 3 firewall containments in the last hour (policy limits.per_hour.firewall: 3)"
    purse.clock.advance(HOUR + 1)
    assert purse.spend("L3", "~3") == ""


def test_a_case_allows_so_many_ever(purse: Purse) -> None:
    assert (purse.spend("L0"), purse.spend("L1")) == ("", "")
    purse.clock.advance(2 * HOUR)
    assert "for this case" in purse.spend("L2")
    assert purse.spend("L2", "~2") == ""


def test_so_many_are_in_force_at_a_time_and_what_has_ended_makes_room(purse: Purse) -> None:
    for number in range(4):
        assert purse.spend(f"L{number}", f"~{number}") == ""
        purse.clock.advance(HOUR)
    assert "in force" in purse.spend("L4", "~4")
    purse.end("L0")
    assert purse.spend("L4", "~4") == ""


def test_kinds_do_not_eat_each_others_budget(purse: Purse) -> None:
    for number in range(4):
        assert purse.spend(f"L{number}", f"~{number}", state=lease.WISHED) == ""
        purse.clock.advance(HOUR)
    assert purse.spend("H0", "~9", "hosts") == ""
    assert purse.spend("A0", "~9", "accounts") == ""
    assert "hosts" in purse.spend("H1", "~9", "hosts")


def test_the_same_lease_is_paid_for_once(purse: Purse) -> None:
    assert [purse.spend("L0") for _ in range(5)] == [""] * 5
    with purse.store.transaction() as work:
        assert work.count(SPENT) == 1


def test_what_is_refused_costs_nothing(purse: Purse) -> None:
    for number in range(3):
        purse.spend(f"L{number}", f"~{number}")
    purse.spend("L3", "~3")
    with purse.store.transaction() as work:
        assert work.get(SPENT, "L3") is None


def test_two_nodes_that_count_at_the_same_moment_cannot_both_spend(purse: Purse) -> None:
    purse.spend("L0", "~0")
    with purse.store.transaction() as work:
        stale = work.get("budget", "firewall")
    assert stale is not None
    purse.spend("L1", "~1")
    with pytest.raises(Conflict), purse.store.transaction() as work:
        work.save("budget", "firewall", {"last": "L2"}, version=stale.version)


def test_a_responder_that_fails_again_and_again_is_stopped_for_a_while(purse: Purse) -> None:
    purse.spend("L0", "~0", state=lease.DOUBTFUL)
    assert purse.tripped() == ""
    purse.clock.advance(60)
    purse.spend("L1", "~1", state=lease.DOUBTFUL)
    assert "FirewallBlock failed 2 times within 10m and is stopped for another 30m" in purse.tripped()
    assert purse.tripped("IsolateHost") == ""
    assert "is stopped" in purse.spend("L2", "~2")
    purse.clock.advance(1801)
    assert purse.tripped() == ""


@pytest.mark.parametrize(
    ("failed", "until"),
    [
        ([], None), ([0.0], None), ([0.0, 601.0], None), ([0.0, 600.0], 2400.0), ([0.0, 601.0, 700.0], 2500.0),
        ([0.0, 10.0, 5000.0], 1810.0),
    ],
)  # fmt: skip
def test_the_breaker_opens_with_the_failure_that_is_one_too_many(failed: list[float], until: float | None) -> None:
    assert open_until(failed, Breaker(2, 600, 1800)) == until
