"""What a block does to real traffic of the agent's host, and what it leaves alone."""

from __future__ import annotations

import sys
import time

import pytest
from agent_lab import ATTACKER4, ATTACKER6, HOST4, HOST6, MARK, OTHER_MARK, Agent
from netns import wait_until

pytestmark = pytest.mark.root


@pytest.mark.parametrize(("attacker", "host"), [(ATTACKER4, HOST4), (ATTACKER6, HOST6)])
def test_a_block_ends_an_open_session_and_lets_nothing_through_in_either_direction(
    agent: Agent, attacker: str, host: str
) -> None:
    session = agent.lab.session("agent", attacker, 4444)
    assert session.alive()
    agent.call("block", attacker, "60", MARK)
    assert not session.alive()
    assert not agent.lab.pings("evil", host)
    assert not agent.lab.pings("agent", attacker)
    agent.call("unblock", attacker)
    wait_until(session.alive, 10, "the session goes on after the unblocking")
    assert agent.lab.pings("evil", host)


@pytest.mark.parametrize(("attacker", "family"), [(ATTACKER4, "AF_INET"), (ATTACKER6, "AF_INET6")])
def test_the_host_itself_sends_nothing_there(agent: Agent, attacker: str, family: str) -> None:
    """A datagram needs no answer to carry data out."""
    program = f"import socket; socket.socket(socket.{family}, socket.SOCK_DGRAM).sendto(b'x', ('{attacker}', 53))"
    assert agent.lab.run("agent", sys.executable, "-c", program).returncode == 0
    agent.call("block", attacker, "60", MARK)
    assert "PermissionError" in agent.lab.run("agent", sys.executable, "-c", program).stderr


def test_a_network_is_blocked_as_a_whole(agent: Agent) -> None:
    agent.call("block", "203.0.114.0/24", "60", MARK)
    record = agent.home.record("block")
    assert record is not None
    assert record.target == "203.0.114.0/24"
    agent.call("unblock", "203.0.114.0/24")
    assert agent.home.names() == []


def test_what_is_routed_through_the_host_is_blocked_too(agent: Agent) -> None:
    agent.lab.run("agent", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    agent.lab.ip("inside", "route", "replace", "203.0.113.0/24", "via", "198.51.100.1")
    agent.lab.ip("evil", "route", "replace", "198.51.100.0/24", "via", HOST4)
    assert agent.lab.pings("inside", ATTACKER4)
    agent.call("block", ATTACKER4, "60", MARK)
    assert not agent.lab.pings("inside", ATTACKER4)


def test_the_kernel_ends_a_block_by_itself_and_the_record_says_when(agent: Agent) -> None:
    began = time.time()
    agent.call("block", ATTACKER4, "4", MARK)
    record = agent.home.record("block")
    assert record is not None
    assert began + 1 <= record.until <= time.time() + 5, "four seconds from when it was done, in whole ones"
    assert not agent.lab.pings("evil", HOST4)
    wait_until(lambda: agent.lab.pings("evil", HOST4), 8, "the kernel lets go")
    assert time.time() >= record.until - 1
    agent.call("renew-records")
    assert agent.home.names() == []


def test_a_second_block_gives_a_new_end_and_a_new_mark_and_one_record(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "60", MARK)
    agent.call("block", ATTACKER4, "3600", OTHER_MARK)
    record = agent.home.record("block")
    assert record is not None
    assert record.mark == OTHER_MARK
    assert 3590 <= record.until - time.time() <= 3605
    assert OTHER_MARK in agent.lab.ruleset()
    assert MARK not in agent.lab.ruleset()


def test_a_second_block_may_shorten(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "3600", MARK)
    agent.call("block", ATTACKER4, "60", MARK)
    record = agent.home.record("block")
    assert record is not None
    assert record.until - time.time() <= 65


def test_an_overlap_with_what_is_blocked_is_refused(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "60", MARK)
    agent.call("block", "203.0.113.8/29", "60", MARK)
    agent.call("block", "203.0.113.8", "60", MARK)
    assert "overlaps what is blocked already" in agent.home.refusal()
    assert {record.target for record in agent.home.records() if record.verb == "block"} == {ATTACKER4, "203.0.113.8/29"}


def test_what_somebody_else_blocked_is_left_as_it_is(agent: Agent) -> None:
    agent.call("block", "203.0.113.9", "60", MARK)
    for element in ('{ 203.0.113.7 timeout 1h comment "mine, not yours" }', "{ 203.0.113.6 timeout 1h }"):
        agent.lab.nft("agent", "add", "element", "inet", "propolis_agent", "b4", element)
    before = agent.lab.ruleset()
    for target in ("203.0.113.7", "203.0.113.6"):
        agent.call("block", target, "60", OTHER_MARK)
        agent.call("unblock", target)
    assert agent.lab.ruleset() == before
    said = {record.target: record.mark for record in agent.home.records() if record.verb == "refused"}
    assert said["block.203.0.113.7"] == "203.0.113.7 is blocked already, by somebody else"
    assert said["unblock.203.0.113.6"] == "203.0.113.6 was blocked by somebody else and is left alone"
    assert [record.target for record in agent.home.records() if record.verb == "block"] == ["203.0.113.9"]


def test_other_rules_of_the_host_are_not_touched(agent: Agent) -> None:
    for command in (
        ("add", "table", "inet", "filter"),
        ("add", "chain", "inet", "filter", "input", "{ type filter hook input priority 0; policy accept; }"),
        ("add", "rule", "inet", "filter", "input", "tcp", "dport", "9", "drop"),
    ):
        agent.lab.nft("agent", *command)
    before = agent.lab.nft("agent", "list", "table", "inet", "filter")
    agent.call("block", ATTACKER4, "60", MARK)
    agent.call("unblock", ATTACKER4)
    assert agent.lab.nft("agent", "list", "table", "inet", "filter") == before


def test_an_unblocking_twice_or_of_nothing_is_said_and_fine(agent: Agent) -> None:
    agent.call("unblock", ATTACKER4)
    agent.call("block", ATTACKER4, "60", MARK)
    agent.call("unblock", ATTACKER4)
    agent.call("unblock", ATTACKER4)
    assert agent.home.results() == ["unblocked", "blocked", "unblocked", "unblocked"]
    assert agent.home.names() == []


def test_rules_that_somebody_changed_are_put_right_by_the_next_block(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "60", MARK)
    agent.lab.nft("agent", "flush", "chain", "inet", "propolis_agent", "early")
    agent.call("renew-records")
    assert agent.home.record("block") is None, "half a block is none"
    agent.call("block", ATTACKER4, "60", MARK)
    assert agent.home.record("block") is not None
    assert not agent.lab.pings("evil", HOST4)


def test_a_set_that_swallows_entries_is_not_used(agent: Agent) -> None:
    agent.lab.nft("agent", "add", "table", "inet", "propolis_agent")
    body = "{ type ipv4_addr; flags interval, timeout; auto-merge; }"
    agent.lab.nft("agent", "add", "set", "inet", "propolis_agent", "b4", body)
    agent.call("block", ATTACKER4, "60", MARK)
    assert "auto-merge" in agent.home.refusal()


def test_a_block_holds_execd_for_a_moment_only(agent: Agent) -> None:
    assert agent.call("block", ATTACKER4, "60", MARK).held < 5
