"""IsolateHost's backend `wazuh`: the suite, and what is an isolation's own: the trial before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_agent import FakeAgent
from fake_wazuh import PASSWORD
from suite import (
    HOUR,
    OTHER_MARK,
    BackendSuite,
    HttpFailures,
    SlowActions,
    SlowBench,
    look,
    refused,
    run,
    undo,
)
from wazuh_bench import LeftToOthers, WazuhBench, faults, opened
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, Target, Terms
from propolis.containment.flow import NotVerified
from propolis.containment.responder import Workbench
from propolis.guardrails import Refused
from propolis.worker.items import Items

backends = load_backend("IsolateHost", "wazuh")


def aim(value: str, number: str = "") -> Target:
    return Target("host", value, "test", (("wazuh_agent_id", number),) if number else ())


class IsolationBench(WazuhBench, SlowBench):
    responder = "IsolateHost"
    verb = "isolate"
    target = aim("web01", "003")
    other = aim("198.51.100.4")
    missing = aim("web")
    ambiguous = aim("198.51.100.77")
    protected = (aim("wazuh"), aim("dc01"), aim("kept"), aim("here-7"))
    hostile = tuple(
        aim(text)
        for text in (
            "web01,gw1",
            "web%",
            "we_01",
            "*",
            "web01&agents_list=001",
            "-web01",
            "web01~0~propolis",
            "",
            "all",
        )
    )

    def __init__(self, *more: Any):
        super().__init__(*more)
        agents = self.wazuh.agents
        agents["003"].ip, agents["004"].ip = "198.51.100.3", "198.51.100.4"
        self.wazuh.add("000", "wazuh", "127.0.0.1")
        self.wazuh.add("010", "dc01", "198.51.100.10", groups=("tier0",))
        self.wazuh.add("011", "kept", "198.51.100.11", system="Microsoft Windows Server 2022", platform="windows")
        self.wazuh.add("012", "here-7", "198.51.100.12")
        for number in ("013", "014"):
            self.wazuh.add(number, f"nat{number}", "198.51.100.77")

    def backend(self, **changes: Any) -> Backend:
        made: Backend = backends.WazuhIsolation(self.manager(**changes), self.clock, 30, "HERE-7")
        return made

    def place(self, target: Target) -> FakeAgent:
        return self.wazuh.agents["003" if target.value == "web01" else "004"]

    def key(self, target: Target) -> str:
        return "host"

    def shows(self, target: Target) -> tuple[str, ...]:
        return (f"agents_list={self.place(target).id}", '["isolate", "3600", "propolis case=128')

    def slow(self, seconds: float | None, *, fails: bool = False) -> None:
        for agent in self.wazuh.agents.values():
            agent.proof = agent.release_delay = seconds
            agent.proven = agent.release_works = not fails

    def finish(self) -> None:
        for agent in self.wazuh.agents.values():
            agent.finish()
        self.clock.advance(3)  # FIM's delay


@pytest.fixture
def bench() -> Iterator[IsolationBench]:
    with opened(IsolationBench) as made:
        yield made


class TestWazuhIsolation(LeftToOthers, SlowActions, BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""

    def test_an_endless_undo_is_pending_taken_over_and_never_asked_for_twice(  # type: ignore[override]
        self, bench: IsolationBench
    ) -> None:
        """In place of the suite's: nothing at the manager tells that an undo is under way, so none is claimed."""
        run(bench, bench.target, patience=60)
        bench.slow(None)
        assert "no record of it showed within 30 s" in refused(bench, lambda: undo(bench, bench.target), BackendError)
        assert look(bench, bench.target).contained
        bench.slow(0)
        assert undo(bench, bench.target).result == "released"
        assert not bench.in_force(bench.target)

    def test_nothing_is_contained_while_its_release_is_under_way(  # type: ignore[override]
        self, bench: IsolationBench
    ) -> None:
        """In place of the suite's: what is still on record counts as contained, and nothing is sent."""
        run(bench, bench.target, patience=60)
        bench.slow(None)
        refused(bench, lambda: undo(bench, bench.target), BackendError)
        writes = bench.writes()
        assert run(bench, bench.target).result == "already_contained"
        assert bench.writes() == writes

    def test_an_undo_that_fails_says_why(self, bench: IsolationBench) -> None:
        run(bench, bench.target)
        bench.slow(10, fails=True)
        assert "it said: nft refused: busy" in refused(bench, lambda: undo(bench, bench.target), BackendError)


def test_an_isolation_on_trial_is_not_claimed(bench: IsolationBench) -> None:
    bench.slow(100)
    outcome = run(bench, bench.target)
    assert (outcome.result, outcome.pending) == ("pending", "isolating on agent web01 (003) until 2026-01-01T00:02:00Z")
    assert not look(bench, bench.target).contained


def test_a_host_that_does_not_reach_its_manager_opens_again_and_says_so(bench: IsolationBench) -> None:
    bench.slow(30, fails=True)
    sentence = refused(bench, lambda: run(bench, bench.target, patience=200), NotVerified)
    assert "the manager was not reached" in sentence
    assert undo(bench, bench.target).result == "already_released"


def test_an_isolation_on_trial_can_be_taken_back(bench: IsolationBench) -> None:
    bench.slow(None)
    run(bench, bench.target)
    bench.wazuh.agents["003"].release_delay = 0
    assert undo(bench, bench.target).result == "released"
    assert bench.wazuh.agents["003"].trial is None


def test_a_trial_of_an_earlier_call_is_not_taken_for_this_ones(bench: IsolationBench) -> None:
    """Asked directly, as the flow would not: the program is not there any more, and its old record proves nothing."""
    bench.slow(None)
    run(bench, bench.target)
    agent, backend = bench.wazuh.agents["003"], bench.backend()
    agent.installed = False
    seen = backend.status(bench.target)
    refused(bench, lambda: backend.contain(bench.target, seen, Terms(HOUR, OTHER_MARK)), BackendError)
    backend.close()


def test_an_extension_needs_no_second_trial(bench: IsolationBench) -> None:
    run(bench, bench.target, patience=60)
    longer = run(bench, bench.target, 5 * HOUR, extend=True)
    assert longer.result == "extended"
    assert look(bench, bench.target).until == pytest.approx(bench.clock.now() + 5 * HOUR, abs=30)


def test_the_agent_that_the_case_names_must_be_the_host_that_is_asked_for(bench: IsolationBench) -> None:
    """An attacker's address in the case of a victim must not isolate the victim, nor the other way round."""
    sentence = refused(bench, lambda: run(bench, aim("web02", "003")), BackendError)
    assert "web01 (003)" in sentence
    assert "not web02" in sentence
    refused(bench, lambda: run(bench, aim("203.0.113.7", "003")), BackendError)
    assert bench.writes() == []


def test_the_manager_itself_is_refused_by_name_and_by_id(bench: IsolationBench) -> None:
    refused(bench, lambda: run(bench, aim("wazuh", "000")), Refused)
    backend = bench.backend()
    with pytest.raises(BackendError, match="000"):
        bench.manager().active_response(backend.agents(aim("wazuh")), {"command": "!propolis-contain"})  # type: ignore[attr-defined]
    backend.close()
    assert bench.writes() == []


def test_of_namesakes_the_one_that_is_connected_is_meant(bench: IsolationBench) -> None:
    bench.wazuh.add("020", "WEB02", "198.51.100.20", status="never_connected")
    bench.wazuh.add("021", "web02", "198.51.100.4", status="disconnected")
    assert run(bench, aim("web02"), patience=60).result == "contained"
    assert bench.wazuh.agents["004"].calls
    bench.wazuh.agents["004"].status = "disconnected"
    refused(bench, lambda: run(bench, aim("web02")), Ambiguous)


def test_a_host_is_found_by_its_address_in_any_notation(bench: IsolationBench) -> None:
    bench.wazuh.agents["003"].ip = "2001:0DB8:0000:0000:0000:0000:0000:0003"
    assert run(bench, aim("2001:db8::3"), patience=60).result == "contained"
    assert bench.wazuh.agents["003"].kernel


def test_an_agent_that_never_connected_is_not_asked_for_records(bench: IsolationBench) -> None:
    bench.wazuh.agents["003"].status = "never_connected"
    assert "not connected" in refused(bench, lambda: run(bench, aim("web01")), BackendError)
    assert not [asked for asked in bench.front.requests if "/syscheck" in asked.target]


def test_an_agent_that_was_last_heard_of_days_ago_is_refused_as_it_may_be_another_host_by_now(
    bench: IsolationBench,
) -> None:
    bench.wazuh.agents["003"].silent = 49 * HOUR
    assert "hosts.max_last_seen" in refused(bench, lambda: run(bench, aim("web01")), Refused)
    assert undo(bench, aim("web01")).result == "already_released"


def test_windows_servers_are_servers_and_workstations_are_not(bench: IsolationBench) -> None:
    assert "Server" in refused(bench, lambda: run(bench, aim("kept")), Refused)
    bench.wazuh.agents["011"].system = "Microsoft Windows 11 Pro"
    assert run(bench, aim("kept"), patience=60).result == "contained"
    assert bench.commands()[-1]["command"] == "!propolis-contain.cmd"


@pytest.mark.shared
def test_every_request_is_one_of_the_official_description(bench: IsolationBench, shared: Path) -> None:
    run(bench, bench.target, patience=60)
    undo(bench, bench.target)
    run(bench, bench.other, patience=60)
    assert faults(bench, shared) == []


def test_it_is_made_from_its_items() -> None:
    items = {"wazuh_url": "https://w.example.org:55000", "wazuh_user": "propolis", "wazuh_password": PASSWORD}
    made = backends.make(Workbench(Items(items), ManualClock(), None))
    assert (made.name, made.where) == ("wazuh", "Wazuh at https://w.example.org:55000")
