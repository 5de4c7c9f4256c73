"""FirewallBlock's backend `wazuh`: the suite, and what is Wazuh's own, against a manager and agents that remember."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_agent import FakeAgent
from fake_wazuh import PASSWORD
from suite import HOUR, MARK, BackendSuite, Failure, HttpFailures, look, refused, run, undo
from wazuh_bench import VICTIM, LeftToOthers, WazuhBench, faults, opened
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, NotFound, Target, Terms
from propolis.containment.responder import Workbench
from propolis.containment.wazuh.settings import settings
from propolis.errors import ConfigurationError
from propolis.guardrails import Refused
from propolis.worker.items import Items

backends = load_backend("FirewallBlock", "wazuh")


def aim(value: str, hints: tuple[tuple[str, str], ...] = ()) -> Target:
    return Target("ip", value, "test", hints)


class FirewallBench(WazuhBench):
    responder = "FirewallBlock"
    verb = "block"
    target = aim("203.0.113.7")
    other = aim("2001:db8::7")
    protected = tuple(aim(text) for text in ("10.0.0.5", "192.0.2.1", "0.0.0.0/0", "127.0.0.1", "203.0.112.0/20"))
    hostile = tuple(
        aim(text)
        for text in (
            "203.0.113.7&agents_list=001",
            "203.0.113.7~0~propolis",
            "203.0.113.%",
            "../block",
            '203.0.113.7","x":"',
            "203.0.113.7\n000",
            "-203.0.113.7",
            "010.1.1.8",
            "",
        )
    )
    gateways: tuple[str, ...] = ("gw1",)

    def backend(self, **changes: Any) -> Backend:
        made: Backend = backends.WazuhFirewall(self.manager(**changes), self.clock, 30, self.gateways)
        return made

    def place(self, target: Target) -> FakeAgent:
        return self.wazuh.agents["001"]


@pytest.fixture
def bench() -> Iterator[FirewallBench]:
    with opened(FirewallBench) as made:
        yield made


@pytest.fixture
def both(bench: FirewallBench) -> FirewallBench:
    """The same with two gateways, one named by its id."""
    bench.gateways = ("gw1", "002")
    return bench


class TestWazuhFirewall(LeftToOthers, BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def blocked(bench: FirewallBench, number: str, value: str = "203.0.113.7") -> bool:
    return ("block", value) in bench.wazuh.agents[number].kernel


def test_the_verb_is_an_argument_and_the_alert_is_empty(bench: FirewallBench) -> None:
    """execd turns every command into `add`, and scripts look for addresses in the alert."""
    run(bench, bench.target)
    undo(bench, bench.target)
    assert bench.commands() == [
        {"command": "!propolis-contain", "arguments": words, "alert": {"data": {}}}
        for words in (["block", "203.0.113.7", "3600", MARK], ["unblock", "203.0.113.7"])
    ]
    sent = [asked.target for asked in bench.front.requests if asked.method == "PUT"]
    assert set(sent) == {"/active-response?agents_list=001&wait_for_complete=true"}


def test_sent_is_not_taken_for_done(bench: FirewallBench) -> None:
    bench.wazuh.agents["001"].installed = False
    sentence = refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "no record of it showed within 30 s" in sentence
    assert "gw1 (001)" in sentence


def test_every_named_gateway_blocks(both: FirewallBench) -> None:
    outcome = run(both, both.target)
    assert outcome.result == "contained"
    assert blocked(both, "001")
    assert blocked(both, "002")
    assert len(both.commands()) == 1
    assert "gw1 (001)" in outcome.verified
    assert "gw2 (002)" in outcome.verified
    assert undo(both, both.target).result == "released"
    assert not blocked(both, "001")
    assert not blocked(both, "002")


def test_a_gateway_that_is_named_twice_is_told_once(bench: FirewallBench) -> None:
    bench.gateways = ("gw1", "1", "GW1")
    outcome = run(bench, bench.target)
    assert outcome.verified.count("gw1 (001)") == 1
    assert "agents_list=001&" in bench.writes()[0]


def test_some_of_the_gateways_is_no_success_and_the_next_run_completes_it(both: FirewallBench) -> None:
    both.wazuh.agents["002"].status = "disconnected"
    sentence = refused(both, lambda: run(both, both.target), BackendError)
    assert "agent gw1 (001), but not everywhere: gw2 (002) is not connected" in sentence
    assert blocked(both, "001")
    status = look(both, both.target)
    assert (status.contained, status.ours, status.remains) == (False, True, True)
    both.wazuh.agents["002"].status = "active"
    assert run(both, both.target).result == "contained"
    assert blocked(both, "002")


def test_an_undo_takes_away_what_stands_on_some_of_the_gateways(both: FirewallBench) -> None:
    both.wazuh.agents["002"].installed = False
    refused(both, lambda: run(both, both.target), BackendError)
    assert undo(both, both.target).result == "released"
    assert not blocked(both, "001")
    assert both.wazuh.agents["002"].calls == []


def test_one_gateway_that_refuses_is_named_with_its_reason(both: FirewallBench) -> None:
    both.wazuh.agents["002"].spared.add("203.0.113.7")
    sentence = refused(both, lambda: run(both, both.target), BackendError)
    assert "gw2 (002): it said: 203.0.113.7 is never touched here" in sentence
    assert "ran block of 203.0.113.7 for 1h on agent gw1 (001)".lower() in sentence.lower()


def test_a_refusal_of_yesterday_is_not_taken_for_todays(bench: FirewallBench) -> None:
    bench.wazuh.agents["001"].refuse("block", "203.0.113.7", "the set is full")
    bench.clock.advance(24 * HOUR)
    assert "the set is full" in look(bench, bench.target).detail
    assert run(bench, bench.target).result == "contained"


def test_an_agent_that_may_not_be_commanded_is_one_sentence(both: FirewallBench) -> None:
    both.wazuh.permitted = {"001"}
    sentence = refused(both, lambda: run(both, both.target), BackendError)
    assert "gw2 (002): the API user may not do this on the agent" in sentence
    assert "4000" in sentence


def test_the_host_that_raised_the_alert_blocks_where_no_gateway_is_named(bench: FirewallBench) -> None:
    bench.gateways = ()
    outcome = run(bench, aim("203.0.113.7", VICTIM))
    assert "web01 (003)" in outcome.done
    assert blocked(bench, "003")
    assert not blocked(bench, "001")


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        ((), "wazuh_agent_name"),
        ((("wazuh_agent_id", "009"),), "no agent 009"),
        ((("wazuh_agent_id", "004"), ("wazuh_agent_name", "web01")), "web02 (004)"),
        ((("wazuh_agent_id", "003,001"),), "no agent's id"),
        ((("wazuh_agent_name", "web"),), "web"),
    ],
)
def test_a_victim_that_is_not_exactly_one_agent_is_refused(
    bench: FirewallBench, hints: tuple[tuple[str, str], ...], said: str
) -> None:
    bench.gateways = ()
    assert said in refused(bench, lambda: run(bench, aim("203.0.113.7", hints)), BackendError)
    assert bench.writes() == []


def test_the_address_of_the_blocking_host_itself_is_refused(bench: FirewallBench) -> None:
    bench.wazuh.agents["001"].ip = "203.0.113.1"
    refused(bench, lambda: run(bench, aim("203.0.113.1")), Refused)
    refused(bench, lambda: run(bench, aim("203.0.113.0/24")), Refused)
    assert bench.writes() == []


def test_a_record_elsewhere_on_the_host_proves_nothing(bench: FirewallBench) -> None:
    """Anybody may make such a file in a folder of his own that FIM watches too."""
    agent = bench.wazuh.agents["001"]
    agent.paths = lambda: ["/home/mallory/active-response/propolis/block~203.0.113.7~9999999999~propolis"]  # type: ignore[method-assign]
    assert not look(bench, bench.target).contained


def test_a_record_of_a_longer_name_is_not_taken_for_the_target(bench: FirewallBench) -> None:
    run(bench, aim("203.0.113.70"))
    run(bench, aim("203.0.113.0/24"))
    assert not look(bench, bench.target).contained


def test_a_network_and_an_ipv6_address_are_found_again_in_their_encoded_names(bench: FirewallBench) -> None:
    for value in ("203.0.113.0/24", "2001:db8:0:1::/64", "2001:db8::7"):
        assert run(bench, aim(value)).result == "contained"
        assert look(bench, aim(value)).ours
        assert undo(bench, aim(value)).result == "released"


def test_windows_agents_get_their_own_file_and_their_lower_case_names_are_understood(bench: FirewallBench) -> None:
    agent = bench.wazuh.agents["001"]
    agent.platform = "windows"
    assert run(bench, bench.other, mark="propolis case=128 by=Analyst@SOC.example").result == "contained"
    assert bench.commands()[0]["command"] == "!propolis-contain.cmd"
    assert look(bench, bench.other).ours
    assert undo(bench, bench.other).result == "released"


def test_a_long_mark_loses_its_last_facts_and_the_record_still_has_a_name(bench: FirewallBench) -> None:
    long = "propolis case=128 " + "lease=" + ":" * 48 + " by=" + "_" * 40
    value = "2001:db8:1111:2222:3333:4444:5555:0/112"
    bench.policy = type(bench.policy).parse("firewall: {own: [192.0.2.0/24], max_prefix_v6: 64}")
    assert run(bench, aim(value), mark=long).result == "contained"
    (name,) = bench.wazuh.agents["001"].seen()
    assert len(name) <= 255
    assert look(bench, aim(value)).mark.startswith("propolis case=128")


def test_without_fim_on_the_records_nothing_is_sent(bench: FirewallBench) -> None:
    bench.wazuh.agents["001"].watches = False
    sentence = refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "does not watch the folder" in sentence
    refused(bench, lambda: undo(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_an_agent_that_shows_records_is_not_asked_for_its_configuration(bench: FirewallBench) -> None:
    run(bench, bench.target)
    before = len(bench.front.requests)
    look(bench, bench.target)
    assert not [asked for asked in bench.front.requests[before:] if "/config/" in asked.target]


def test_waiting_is_thrifty_as_the_limit_counts_all_clients_of_the_api(bench: FirewallBench) -> None:
    bench.wazuh.agents["001"].installed = False
    refused(bench, lambda: run(bench, bench.target), BackendError)
    asked = [one.target for one in bench.front.requests]
    assert sum("/config/" in target for target in asked) == 1
    assert 8 <= sum("/syscheck/" in target for target in asked) <= 12
    assert len(asked) <= 18


def test_fim_that_is_slow_is_waited_for(bench: FirewallBench) -> None:
    bench.wazuh.agents["001"].fim_delay = 20
    assert run(bench, bench.target).result == "contained"
    assert undo(bench, bench.target).result == "released"


def test_an_agent_that_is_gone_is_told_with_what_a_person_can_do(bench: FirewallBench) -> None:
    run(bench, bench.target)
    bench.wazuh.agents["001"].status = "disconnected"
    assert "as last told: the agent is disconnected" in look(bench, bench.target).detail
    writes = bench.writes()
    sentence = refused(bench, lambda: undo(bench, bench.target), BackendError)
    assert "disconnected" in sentence
    assert "root may run propolis-contain by hand" in sentence
    refused(bench, lambda: run(bench, aim("203.0.113.9")), BackendError)
    refused(bench, lambda: run(bench, aim("203.0.113.9"), observing=("dry_run is true.",)), BackendError)
    assert bench.writes() == writes


def test_an_agent_too_old_for_json_is_refused(bench: FirewallBench) -> None:
    bench.wazuh.agents["001"].version = "Wazuh v4.1.5"
    assert "before 4.2" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_wazuh_5_is_refused_plainly(bench: FirewallBench) -> None:
    bench.wazuh.version = "v5.0.0"
    for act in (lambda: run(bench, bench.target), lambda: undo(bench, bench.target)):
        assert "is Wazuh 5.0, and only 4.x" in refused(bench, act, BackendError)


def test_a_lost_answer_is_told_and_the_call_is_not_repeated(bench: FirewallBench) -> None:
    bench.lose_answer()
    assert "the answer was lost" in run(bench, bench.target).done
    bench.lose_answer()
    assert undo(bench, bench.target).result == "released"
    assert len(bench.writes()) == 2


def test_a_manager_that_fails_right_after_the_call_leaves_no_doubt_that_it_was_sent(bench: FirewallBench) -> None:
    bench.wazuh.on_command = lambda: bench.fail(Failure.SERVER_ERROR)
    sentence = refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "the call was sent, and what became of it could not be looked up" in sentence
    bench.mend()
    assert run(bench, bench.target).result == "already_contained"


def test_a_manager_that_fails_for_a_moment_after_the_call_is_asked_again(bench: FirewallBench) -> None:
    bench.wazuh.on_command = lambda: setattr(bench.wazuh, "failing_until", bench.clock.now() + 8)
    assert run(bench, bench.target).result == "contained"


def test_gateways_of_two_systems_are_told_one_after_the_other(both: FirewallBench) -> None:
    both.wazuh.agents["002"].platform = "windows"
    assert run(both, both.target).result == "contained"
    assert [command["command"] for command in both.commands()] == ["!propolis-contain", "!propolis-contain.cmd"]
    undo(both, both.target)
    both.wazuh.on_command = lambda: both.wazuh.rights.discard("active-response:command")
    sentence = refused(both, lambda: run(both, both.target), BackendError)
    assert "agent gw1 (001), but not everywhere: gw2 (002)" in sentence
    assert "active-response:command" in sentence


def test_the_minutes_limit_without_a_retry_after_is_waited_out(bench: FirewallBench) -> None:
    bench.wazuh.crowded_until = bench.clock.now() + 50
    assert run(bench, bench.target).result == "contained"
    bench.wazuh.crowded_until = bench.clock.now() + 7200
    assert "max_request_per_minute" in refused(bench, lambda: look(bench, bench.target), BackendError)


def test_a_wrong_password_is_sent_once_and_names_the_items(bench: FirewallBench) -> None:
    backend = bench.backend(password="wr0ng")
    for _ in range(3):
        assert "wazuh_user and wazuh_password" in refused(bench, lambda: backend.status(bench.target), BackendError)
    assert bench.wazuh.wrong == 1


def test_an_address_that_was_shut_out_is_told_so(bench: FirewallBench) -> None:
    bench.wazuh.wrong = 50
    assert "300 s" in refused(bench, lambda: look(bench, bench.target), BackendError)


@pytest.mark.parametrize("right", ["agent:read", "syscheck:read", "active-response:command"])
def test_a_missing_right_is_named(bench: FirewallBench, right: str) -> None:
    bench.wazuh.rights.discard(right)
    assert right in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_a_token_is_renewed_before_its_life_is_over(bench: FirewallBench) -> None:
    backend = bench.backend()
    for _ in range(4):
        backend.status(bench.target)
        bench.clock.advance(400)
    assert bench.wazuh.logins == 2
    assert bench.wazuh.stale == 0


def test_agents_are_found_behind_many_others(bench: FirewallBench) -> None:
    for number in range(100, 160):
        bench.wazuh.add(str(number), f"old-gw1-{number}", "198.51.100.1")
    bench.wazuh.page = 7
    bench.wazuh.agents["001"] = bench.wazuh.agents.pop("001")
    assert run(bench, bench.target).result == "contained"


def test_a_search_that_finds_everything_is_stopped(bench: FirewallBench) -> None:
    agent = bench.wazuh.agents["001"]
    agent.paths = lambda: [f"/home/m/{number}/203.0.113.7~" for number in range(6000)]  # type: ignore[method-assign]
    assert "more than 5000 items" in refused(bench, lambda: look(bench, bench.target), BackendError)


def test_an_extension_that_does_not_show_is_not_claimed(bench: FirewallBench) -> None:
    run(bench, bench.target)
    bench.fail(Failure.HALF_BODY, writes_only=True)
    refused(bench, lambda: run(bench, bench.target, 3 * HOUR, extend=True), BackendError)
    assert (look(bench, bench.target).until or 0) < bench.clock.now() + 2 * HOUR


def test_clocks_that_differ_do_not_hide_a_new_record(bench: FirewallBench) -> None:
    """The agent's clock is 20 minutes behind: its ends are not ours, but the record is new all the same."""
    agent = bench.wazuh.agents["001"]
    agent.clock = ManualClock(bench.clock.now() - 1200)
    agent.fim_delay = -1300
    assert run(bench, bench.target).result == "contained"


def test_a_hand_made_record_without_our_mark_is_not_ours_to_touch(bench: FirewallBench) -> None:
    bench.wazuh.agents["001"].tell("block~203.0.113.7~9999999999~ticket%204711", True)
    bench.clock.advance(5)
    standing = run(bench, bench.target)
    assert "somebody else" in standing.done
    backend = bench.backend()
    assert "left as it is" in backend.contain(bench.target, look(bench, bench.target), Terms(HOUR, MARK)).done
    assert "by us was there" in backend.release(bench.target, look(bench, bench.target)).done
    backend.close()
    assert bench.writes() == []


@pytest.mark.shared
def test_every_request_is_one_of_the_official_description(both: FirewallBench, shared: Path) -> None:
    run(both, both.target)
    run(both, both.target, 3 * HOUR, extend=True)
    undo(both, both.target)
    refused(both, lambda: run(both, aim("203.0.113.9"), mark="not ours"), BackendError)
    both.gateways = ("nobody",)
    refused(both, lambda: run(both, both.target), NotFound)
    assert len(both.front.requests) > 30
    assert faults(both, shared) == []


ITEMS: dict[str, object] = {
    "wazuh_url": "https://wazuh.example.org:55000",
    "wazuh_user": "propolis",
    "wazuh_password": PASSWORD,
    "wazuh_agents": ["gw1"],
}


def made(**more: object) -> Backend:
    backend: Backend = backends.make(
        Workbench(Items({**ITEMS, **more}), ManualClock(), "http://proxy.example.org:3128")
    )
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "Wazuh at https://wazuh.example.org:55000"
    assert made(wazuh_agents=None, wazuh_block_on="victim").name == "wazuh"


def test_a_proxy_sees_the_calls_only_where_the_operator_says_so() -> None:
    proxy = "http://proxy.example.org:3128"
    asked = [
        settings(Workbench(Items({**ITEMS, **more}), ManualClock(), proxy)) for more in ({}, {"wazuh_use_proxy": True})
    ]
    assert [one.proxy for one in asked] == [None, proxy]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"wazuh_url": None}, "wazuh_url"),
        ({"wazuh_url": "http://wazuh.example.org:55000"}, "https://"),
        ({"wazuh_user": None}, "wazuh_user"),
        ({"wazuh_password": None}, "wazuh_password"),
        ({"wazuh_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
        ({"wazuh_wait_seconds": 1}, "between 5 and 300"),
        ({"wazuh_agents": None}, "at least one"),
        ({"wazuh_block_on": "victim"}, "leave it empty"),
        ({"wazuh_block_on": "all"}, "one of agents, victim"),
        ({"wazuh_agents": ["gw1", "000"]}, "000, the manager itself"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        made(**wrong)
    assert PASSWORD not in str(caught.value)
