"""IsolateHost's backend `sentinelone`: the suite, and what is SentinelOne's own, against a console that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Contract, read
from failing_front import Front
from front_bench import FrontBench
from isolate_host.fake_sentinelone import TOKEN, FakeSentinelone
from suite import (
    HOUR,
    MARK,
    BackendSuite,
    Failure,
    HttpFailures,
    SlowActions,
    SlowBench,
    look,
    refused,
    result_or_sentence,
    run,
    undo,
)
from workers import load_backend, load_backends

from propolis.clock import ManualClock, utc_text
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Target, Terms
from propolis.containment.flow import NotOurs, NotVerified, release
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

sentinelone = load_backend("IsolateHost", "sentinelone")


def aim(name: str) -> Target:
    return Target("host", name, "test")


def interface(*addresses: str) -> dict[str, object]:
    return {"networkInterfaces": [{"name": "eth0", "inet": list(addresses), "inet6": ["fe80::1"]}]}


class SentineloneBench(FrontBench, SlowBench):
    responder = "IsolateHost"
    target = aim("PC-17")
    other = aim("pc-18.corp.example")
    missing = aim("pc-99")
    ambiguous = aim("twin")
    protected = tuple(aim(name) for name in ("dc01", "app-01", "finance-7", "10.20.30.40", "own-box", "localhost"))
    hostile = tuple(
        aim(text) for text in ("pc-1", "*", "pc-17,pc-18", "pc-17&ids=", "../agents", "pc-17\r\nX: 1", "pc 17", "")
    )
    secrets = (TOKEN,)

    def __init__(self, product: FakeSentinelone, front: Front, clock: ManualClock):
        self.product, self.front, self.clock = product, front, clock
        self.policy = Policy.parse("hosts: {never_networks: [10.20.0.0/16]}")
        for name in ("PC-17", "pc-18", "dc01", "own-box", "twin", "twin"):
            product.add(name)
        product.add("app-01", machineType="server")
        product.add("finance-7", tags={"sentinelone": [{"key": "zone", "value": "tier0"}]})
        product.add("printer", **interface("10.20.30.40"))

    def backend(self) -> Backend:
        settings = sentinelone.Settings(self.front.url, TOKEN, None, None, 0.3)
        made: Backend = sentinelone.SentineloneBackend(settings, self.clock, ("own-box",))
        return made

    def in_force(self, target: Target) -> bool:
        self.product.settle()
        return bool(self.product.agent(target.value)["networkStatus"] == "disconnected")

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.agent(target.value)["networkStatus"] = "disconnected"

    def release_by_other_hands(self, target: Target) -> None:
        self.product.agent(target.value)["networkStatus"] = "connected"

    def shows(self, target: Target) -> tuple[str, ...]:
        return ("/actions/disconnect", json.dumps({"filter": {"ids": [self.product.agent(target.value)["id"]]}}))

    def slow(self, seconds: float | None, *, fails: bool = False) -> None:
        self.product.takes, self.product.fails = seconds, fails

    def finish(self) -> None:
        self.product.finish()


@pytest.fixture
def bench() -> Iterator[SentineloneBench]:
    clock = ManualClock()
    product = FakeSentinelone(clock)
    with Front(product.answer) as front:
        front.now = clock.now
        yield SentineloneBench(product, front, clock)


class TestSentinelone(BackendSuite, HttpFailures, SlowActions):
    """The fixture `bench` is the module's."""


def bodies(bench: SentineloneBench) -> list[dict[str, object]]:
    """The bodies of every change."""
    return [json.loads(asked.body) for asked in bench.front.requests if asked.method == "POST"]


def test_the_filter_is_always_exactly_one_id(bench: SentineloneBench) -> None:
    """An empty or a wide filter would isolate the fleet."""
    run(bench, bench.target)
    undo(bench, bench.target)
    one = {"filter": {"ids": [bench.product.agent("PC-17")["id"]]}}
    assert bodies(bench) == [one, one]


def test_only_the_lease_proves_that_it_is_ours(bench: SentineloneBench) -> None:
    run(bench, bench.target)
    backend = bench.backend()
    with pytest.raises(NotOurs):
        release(backend, bench.canonical(bench.target), bench.clock)
    backend.close()
    assert bench.in_force(bench.target)


def test_nobody_affected_is_no_success(bench: SentineloneBench) -> None:
    """200 with `affected` 0: a site that the service user does not see, or a state that changed."""
    bench.product.affected = 0
    act = bench.product._act
    bench.product._act = lambda verb, body: act(verb, {"filter": {"ids": []}})  # type: ignore[method-assign]
    assert "no agent was affected" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert not bench.in_force(bench.target)


def test_nobody_affected_because_it_was_done_already_is_success(bench: SentineloneBench) -> None:
    bench.product.affected = 0
    assert run(bench, bench.target).result == "contained"


def test_more_than_one_affected_is_an_alarm(bench: SentineloneBench) -> None:
    bench.product.affected = 4711
    assert "4711 agents" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_an_answer_that_counts_nothing_is_looked_up(bench: SentineloneBench) -> None:
    bench.fail(Failure.NONSENSE, writes_only=True)
    assert "asked again" in refused(bench, lambda: run(bench, bench.target), BackendError)


@pytest.mark.parametrize("name", ["pc-17", "PC-17.corp.example", "1200000000000000000"])
def test_a_short_name_the_full_name_and_the_agents_id_mean_the_agent(bench: SentineloneBench, name: str) -> None:
    assert look(bench, aim(name)).subject.id == bench.product.agent("PC-17")["id"]


def test_a_full_name_of_another_domain_does_not(bench: SentineloneBench) -> None:
    refused(bench, lambda: look(bench, aim("pc-17.branch.example")), NotFound)


def test_an_address_is_compared_whole(bench: SentineloneBench) -> None:
    """The query matches parts: 192.0.2.1 also brings 192.0.2.17."""
    bench.product.add("pc-30", **interface("192.0.2.17"))
    refused(bench, lambda: run(bench, aim("192.0.2.1")), NotFound)
    bench.product.add("pc-31", **interface("192.0.2.1"))
    assert look(bench, aim("192.0.2.1")).subject.name == "pc-31.corp.example"


def test_an_address_of_two_is_refused_with_both(bench: SentineloneBench) -> None:
    bench.product.add("pc-30", **interface("192.0.2.1"))
    bench.product.add("pc-31", **interface("192.0.2.1"))
    with pytest.raises(Ambiguous) as caught:
        run(bench, aim("192.0.2.1"))
    assert "pc-30" in str(caught.value)
    assert bench.writes() == []


@pytest.mark.parametrize("gone", ["isDecommissioned", "isUninstalled"])
def test_an_agent_that_is_gone_is_nobody(bench: SentineloneBench, gone: str) -> None:
    bench.product.agents[4][gone] = True
    assert look(bench, aim("twin")).subject.id == bench.product.agents[5]["id"]


def test_a_list_that_goes_on_is_not_chosen_from(bench: SentineloneBench) -> None:
    bench.product.pages = 2
    assert "more than 100" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_an_unknown_state_is_not_guessed(bench: SentineloneBench) -> None:
    bench.product.agent("PC-17")["networkStatus"] = "quarantined"
    assert "console's version" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"machineType": "server"}, "Server"),
        ({"activeDirectory": {"computerDistinguishedName": "CN=X,OU=Domain Controllers,DC=corp"}}, "Domain Controller"),
        ({"tags": {"sentinelone": [{"key": "critical", "value": "yes"}]}}, "critical"),
        ({"siteName": "Reactor"}, "never_tags"),
        ({"machineType": "kubernetes node"}, "kubernetes node"),
    ],
)
def test_what_the_console_says_of_the_host_speaks_to_the_guardrails(
    bench: SentineloneBench, facts: dict[str, object], why: str
) -> None:
    types = "['Domain Controller', Server, 'kubernetes node']"
    bench.policy = Policy.parse(f"hosts: {{never_tags: [Reactor], never_types: {types}}}")
    bench.product.add("pc-40", **facts)
    assert why in refused(bench, lambda: run(bench, aim("pc-40")), Refused)
    assert bench.writes() == []


def test_an_agent_that_is_offline_is_asked_and_it_is_said(bench: SentineloneBench) -> None:
    bench.product.agent("PC-17")["isActive"] = False
    bench.slow(None)
    outcome = run(bench, bench.target, patience=30)
    assert outcome.result == "pending"
    assert any("comes back" in line for line in outcome.remaining)
    assert "offline" in outcome.status.detail


def test_a_state_that_is_shown_late_is_waited_for_and_not_asked_for_twice(bench: SentineloneBench) -> None:
    bench.product.lazy = True
    bench.slow(10)
    assert run(bench, bench.target, patience=60).result == "contained"
    assert len(bodies(bench)) == 1


def test_a_state_that_is_never_shown_is_not_claimed(bench: SentineloneBench) -> None:
    bench.product.lazy = True
    bench.slow(None)
    refused(bench, lambda: run(bench, bench.target, patience=120), NotVerified)


def test_a_disconnection_under_way_cannot_be_called_off_and_that_is_said(bench: SentineloneBench) -> None:
    bench.slow(None)
    run(bench, bench.target)
    assert "cannot be called off" in result_or_sentence(lambda: undo(bench, bench.target))
    bench.finish()
    bench.slow(0)
    assert undo(bench, bench.target).result == "released"


def test_nobody_is_disconnected_by_the_backend_while_being_connected(bench: SentineloneBench) -> None:
    bench.product.agent("PC-17")["networkStatus"] = "connecting"
    backend = bench.backend()
    target = bench.canonical(bench.target)
    status = backend.status(target)
    assert (status.contained, bool(status.pending)) == (True, True)
    refused(bench, lambda: backend.contain(target, status, Terms(60, MARK)), BackendError)
    backend.close()
    assert bench.writes() == []


def test_a_token_that_ended_is_named(bench: SentineloneBench) -> None:
    bench.fail(Failure.UNAUTHORIZED)
    assert "sentinelone_token" in refused(bench, lambda: run(bench, bench.target), BackendError)


def made(**more: object) -> Backend:
    items = {"sentinelone_url": "https://example.sentinelone.net", "sentinelone_token": TOKEN, **more}
    make = load_backends("IsolateHost").BACKENDS["sentinelone"]
    backend: Backend = make(Workbench(Items(items), ManualClock(), None))
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "SentinelOne at https://example.sentinelone.net"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sentinelone_url": None}, "sentinelone_url"),
        ({"sentinelone_url": "http://example.sentinelone.net"}, "https://"),
        ({"sentinelone_token": None}, "sentinelone_token"),
        ({"sentinelone_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)


@pytest.mark.shared
def test_every_request_is_one_that_others_make_too(bench: SentineloneBench, shared: Path) -> None:
    """The document is third parties' reading: a hint, no specification."""
    contract = Contract(shared / "data" / "specs" / "sentinelone.yaml")
    run(bench, bench.target)
    run(bench, bench.target)
    undo(bench, bench.target)
    look(bench, bench.other)
    look(bench, aim("10.20.30.40"))
    look(bench, aim(bench.product.agents[0]["id"]))
    sent = [read(asked) for asked in bench.front.requests]
    assert [fault for request in sent for fault in contract.faults(request)] == []
    assert {request.path.rpartition("/")[2] for request in sent} == {"agents", "disconnect", "connect"}


def test_an_agent_that_was_not_heard_of_for_longer_than_the_policy_allows_is_left_alone(
    bench: SentineloneBench,
) -> None:
    """Its address or name may be another machine's by now."""
    bench.product.agent("PC-17")["lastActiveDate"] = utc_text(bench.clock.now() - 25 * HOUR)
    assert "hosts.max_last_seen" in refused(bench, lambda: run(bench, bench.target), Refused)
    assert bench.writes() == []
