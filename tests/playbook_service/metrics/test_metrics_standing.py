"""How the installation stands: what waits, what is contained, what is left of the budget."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scraped import Scraped, scraped

from playbook_service.engine import approval, budget, lease
from playbook_service.engine.step import STEPS
from playbook_service.metrics.standing import standing
from playbook_service.store.contract import Store
from playbook_service.store.memory import MemoryStore
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock
from propolis.guardrails import Policy

HOUR = 3600.0
POLICY = Policy.parse("limits: {per_hour: {firewall: 7}, active_total: {firewall: 70, hosts: 3}}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = MemoryStore(clock) if request.param == "memory" else SqliteStore(tmp_path / "db", clock)
    yield opened
    opened.close()


def told(store: Store, clock: ManualClock, policy: Policy | None = POLICY) -> Scraped:
    with store.reading() as work:
        return scraped(standing(work, policy, clock.now()))


def contain(store: Store, key: str, state: str, until: float | None, responder: str = "FirewallBlock") -> None:
    with store.transaction() as work:
        work.save(lease.KIND, key, {"grant": {"responder": responder}, "until": until}, state=state, due=until)


def test_an_empty_installation_says_zero(store: Store, clock: ManualClock):
    scrape = told(store, clock)
    assert scrape.value("propolis_backlog_items", queue="inbox", state="dead") == 0
    assert scrape.value("propolis_leases", state="active", responder="IsolateHost") == 0
    assert scrape.value("propolis_lease_overdue_seconds") == 0
    assert scrape.value("propolis_approval_oldest_seconds") == 0


def test_what_waits_and_for_how_long(store: Store, clock: ManualClock):
    with store.transaction() as work:
        for key in "abc":
            work.put("inbox", key, {})
        work.put(STEPS, "release:P1", {}, due=clock.now() + HOUR)
    with store.transaction() as work:
        work.bury(work.claim("inbox", "me", seconds=60)[0], "no reason")
        work.claim("inbox", "me", seconds=60)
    clock.advance(90)
    scrape = told(store, clock)
    assert scrape.grown("propolis_backlog_items") == {
        ("inbox", "waiting"): 1, ("inbox", "claimed"): 1, ("inbox", "dead"): 1, ("step", "waiting"): 1
    }  # fmt: skip
    assert scrape.value("propolis_backlog_oldest_seconds") == 90


def test_containments_by_state_and_responder_and_the_most_overdue(store: Store, clock: ManualClock):
    contain(store, "P1", lease.ACTIVE, clock.now() + HOUR)
    contain(store, "P2", lease.RELEASING, clock.now() - 100)
    contain(store, "P3", lease.DOUBTFUL, clock.now() - 20, "IsolateHost")
    contain(store, "P4", lease.WISHED, None)
    contain(store, "P5", lease.ENDED, clock.now() - 10 * HOUR)
    scrape = told(store, clock)
    assert scrape.grown("propolis_leases") == {
        ("FirewallBlock", "active"): 1, ("FirewallBlock", "releasing"): 1, ("IsolateHost", "doubtful"): 1,
        ("FirewallBlock", "wished"): 1,
    }  # fmt: skip
    assert scrape.value("propolis_lease_overdue_seconds") == 100
    assert scrape.grown("propolis_budget_used") == {("firewall", "active_total"): 3, ("hosts", "active_total"): 1}


def test_a_responder_that_this_version_does_not_know_is_told_and_counts_for_no_budget(store: Store, clock: ManualClock):
    contain(store, "P1", lease.ACTIVE, clock.now() + HOUR, "OfALaterVersion")
    scrape = told(store, clock)
    assert scrape.value("propolis_leases", state="active", responder="OfALaterVersion") == 1
    assert scrape.grown("propolis_budget_used") == {}


def test_more_containments_than_one_page_are_all_counted(store: Store, clock: ManualClock):
    with store.transaction() as work:
        for number in range(1001):
            body = {"grant": {"responder": "FirewallBlock"}, "until": clock.now() + HOUR}
            work.save(lease.KIND, f"P{number}", body, state=lease.ACTIVE)
    assert told(store, clock).value("propolis_leases", state="active", responder="FirewallBlock") == 1001


def test_questions_that_wait(store: Store, clock: ManualClock):
    with store.transaction() as work:
        work.save(approval.KIND, "P1", {"asked_at": clock.now() - 500}, state=approval.WAITING)
        work.save(approval.KIND, "P2", {"asked_at": clock.now() - 50}, state=approval.ASKED)
        work.save(approval.KIND, "P3", {"asked_at": clock.now() - 5000}, state=approval.GRANTED)
    scrape = told(store, clock)
    assert scrape.value("propolis_approvals_waiting") == 2
    assert scrape.value("propolis_approval_oldest_seconds") == 500


def test_the_budget_counts_the_last_hour(store: Store, clock: ManualClock):
    policy = Policy.parse("limits: {per_hour: {firewall: 5000}}")
    for number in range(1005):
        with store.transaction() as work:
            expense = budget.Expense(f"P{number}", "FirewallBlock", "firewall", f"~{number}")
            assert budget.spend(work, policy, expense, clock.now() - (2 * HOUR if number < 2 else 0)) == ""
    scrape = told(store, clock)
    assert scrape.value("propolis_budget_used", kind="firewall", limit="per_hour") == 1003
    assert scrape.value("propolis_budget_used", kind="hosts", limit="per_hour") == 0


def test_the_limits_are_those_of_the_policy_and_missing_where_it_cannot_be_read(store: Store, clock: ManualClock):
    scrape = told(store, clock)
    assert scrape.value("propolis_budget_limit", kind="firewall", limit="per_hour") == 7
    assert scrape.value("propolis_budget_limit", kind="firewall", limit="active_total") == 70
    assert scrape.value("propolis_budget_limit", kind="hosts", limit="active_total") == 3
    assert "propolis_budget_limit" not in told(store, clock, None).families
