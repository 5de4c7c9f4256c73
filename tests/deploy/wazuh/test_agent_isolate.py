"""How an isolation begins, is proven, renewed and ended, and what happens when the manager is not reached."""

from __future__ import annotations

import subprocess
import time

import pytest
from agent_lab import (
    ATTACKER4,
    HOST4,
    MANAGEMENT,
    MARK,
    OTHER_MARK,
    Agent,
)
from netns import wait_until

pytestmark = pytest.mark.root

TABLE = "propolis_agent_isolation"


def isolated(agent: Agent, seconds: str = "3600", mark: str = MARK) -> None:
    """Isolate and wait until the trial is passed."""
    agent.call("isolate", seconds, mark)
    wait_until(lambda: agent.home.record("isolate") is not None, 10, "the isolation is proven")


def opened_by_the_dead_man(agent: Agent) -> str:
    """Wait until the trial has failed; the reason on record."""
    wait_until(lambda: agent.home.record("refused") is not None, 20, "the trial is over")
    return agent.home.refusal()


def elements(agent: Agent) -> str:
    return agent.lab.run("agent", "nft", "list", "set", "inet", TABLE, "active").stdout


def test_it_is_a_trial_first_and_the_record_says_so(agent: Agent) -> None:
    agent.connect()
    exchange = agent.call("isolate", "3600", MARK)
    assert exchange.held < 5, "execd is not held while the proof goes on"
    trial = agent.home.record("isolating")
    assert trial is not None
    assert 100 <= trial.until - time.time() <= 125
    assert agent.home.record("isolate") is None
    wait_until(lambda: agent.home.record("isolate") is not None, 10, "the isolation is proven")
    full = agent.home.record("isolate")
    assert full is not None
    assert (full.target, full.mark) == ("host", MARK)
    assert 3590 <= full.until - time.time() <= 3605
    wait_until(lambda: agent.home.record("isolating") is None, 5, "the trial is over")
    wait_until(lambda: agent.home.results() == ["isolating", "isolated"], 5, "the log says so")


def test_where_the_manager_is_not_reached_the_kernel_opens_the_host_again(agent: Agent) -> None:
    """The agent talks to its manager over an address that ossec.conf does not name: isolation would cut it off."""
    agent.home.configure("trial = 3")
    agent.connect()
    agent.home.manager("198.51.100.9")
    agent.call("isolate", "3600", MARK)
    assert agent.home.record("isolating") is not None
    assert not agent.lab.pings("evil", HOST4)
    assert opened_by_the_dead_man(agent) == "the manager was not reached"
    assert agent.lab.pings("evil", HOST4)
    assert [record.verb for record in agent.home.records()] == ["refused"]
    assert TABLE not in agent.lab.ruleset()


def test_an_answer_from_before_the_isolation_proves_nothing(agent: Agent) -> None:
    agent.home.configure("trial = 3")
    agent.connect()
    agent.disconnect()
    agent.call("isolate", "3600", MARK)
    assert opened_by_the_dead_man(agent) == "the manager was not reached"


def test_the_host_opens_even_where_the_program_is_killed_in_its_trial(agent: Agent) -> None:
    agent.home.configure("trial = 3")
    agent.call("isolate", "3600", MARK)
    child = subprocess.run(["pgrep", "-f", str(agent.home.folder)], capture_output=True, text=True, check=True)
    subprocess.run(["kill", "-9", *child.stdout.split()], check=True)
    assert not agent.lab.pings("evil", HOST4)
    wait_until(lambda: agent.lab.pings("evil", HOST4), 8, "the kernel opens the host")
    agent.call("renew-records")
    assert agent.home.names() == []


def test_an_isolation_that_drops_nothing_is_not_believed(agent: Agent) -> None:
    """The table is changed during the trial so that forbidden packets get out; the manager answers all the same."""
    agent.home.configure("trial = 6")
    agent.connect()
    agent.call("isolate", "3600", MARK)
    agent.lab.nft("agent", "insert", "rule", "inet", TABLE, "outbound", "accept")
    assert opened_by_the_dead_man(agent) == "no forbidden packet was seen to be dropped"
    assert agent.lab.pings("evil", HOST4)


def test_the_kernel_ends_an_isolation_by_itself(agent: Agent) -> None:
    agent.connect()
    isolated(agent, "4")
    assert not agent.lab.pings("evil", HOST4)
    wait_until(lambda: agent.lab.pings("evil", HOST4), 8, "the kernel lets go")
    agent.call("renew-records")
    assert agent.home.names() == []


def test_a_second_isolation_of_an_isolated_host_renews_it_at_once_but_not_by_hand(agent: Agent) -> None:
    """A call that did not come through the isolation says nothing about the way to the manager."""
    agent.connect()
    isolated(agent)
    agent.call("isolate", "7200", OTHER_MARK)
    record = agent.home.record("isolate")
    assert record is not None
    assert record.mark == OTHER_MARK
    assert 7190 <= record.until - time.time() <= 7205
    assert agent.home.record("isolating") is None
    assert agent.by_hand("isolate", "7200", OTHER_MARK).stdout.startswith("isolating: for a trial")
    assert agent.home.record("isolating") is not None


def test_a_second_isolation_with_other_exceptions_is_proven_anew(agent: Agent) -> None:
    agent.connect()
    isolated(agent)
    agent.home.configure(f"management = {MANAGEMENT}")
    assert not agent.lab.pings("agent", MANAGEMENT)
    agent.call("isolate", "7200", OTHER_MARK)
    assert agent.home.record("isolating") is not None
    assert agent.lab.pings("agent", MANAGEMENT)


def test_a_second_isolation_takes_over_from_a_trial(agent: Agent) -> None:
    agent.home.configure("trial = 10")
    agent.call("isolate", "3600", MARK)
    agent.call("isolate", "7200", OTHER_MARK)
    agent.connect()
    wait_until(lambda: agent.home.record("isolate") is not None, 10, "the second is proven")
    record = agent.home.record("isolate")
    assert record is not None
    assert record.mark == OTHER_MARK
    wait_until(lambda: not workers(agent), 10, "the first trial gives up without a word")
    assert agent.home.results() == ["isolating", "isolating", "isolated"]


def workers(agent: Agent) -> list[str]:
    """Processes of the program that still run."""
    pattern = str(agent.home.folder / "active-response")
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False)
    return found.stdout.split()


def test_rules_that_somebody_changed_are_seen_and_put_right(agent: Agent) -> None:
    agent.connect()
    isolated(agent)
    agent.lab.nft("agent", "flush", "chain", "inet", TABLE, "outbound")
    agent.call("renew-records")
    assert agent.home.record("isolate") is None, "half an isolation is none"
    isolated(agent)
    assert not agent.lab.pings("agent", ATTACKER4)


def test_a_release_opens_the_host_whatever_its_configuration_and_a_second_one_is_fine(agent: Agent) -> None:
    agent.connect()
    isolated(agent)
    agent.home.configure("never = nonsense")
    agent.home.ossec("")
    agent.call("release")
    assert agent.home.names() == []
    assert agent.lab.pings("evil", HOST4)
    assert agent.lab.ruleset() == ""
    agent.call("release")
    assert agent.home.results()[-2:] == ["released", "released"]


def test_a_release_in_the_trial_ends_it(agent: Agent) -> None:
    agent.home.configure("trial = 4")
    agent.call("isolate", "3600", MARK)
    agent.call("release")
    assert agent.lab.pings("evil", HOST4)
    agent.connect()
    wait_until(lambda: not workers(agent), 10, "the trial gives up")
    assert agent.home.names() == []
    assert agent.lab.pings("evil", HOST4)


def test_what_somebody_else_isolated_is_left_alone(agent: Agent) -> None:
    agent.connect()
    isolated(agent)
    agent.lab.nft("agent", "flush", "set", "inet", TABLE, "active")
    foreign = '{ ipv4 comment "ticket 17", ipv6 comment "ticket 17" }'
    agent.lab.nft("agent", "add", "element", "inet", TABLE, "active", foreign)
    before = elements(agent)
    agent.call("release")
    assert agent.home.refusal() == "this host was isolated by somebody else and is left alone"
    agent.call("isolate", "60", MARK)
    assert elements(agent) == before
    assert {record.target for record in agent.home.records()} == {"release.host", "isolate.host"}


def test_a_probe_that_is_a_kept_address_proves_nothing_and_is_refused(agent: Agent) -> None:
    agent.home.configure("management = 192.0.2.0/24")
    agent.call("isolate", "3600", MARK)
    assert "192.0.2.1 is a kept address" in agent.home.refusal()
    agent.home.configure("management = 192.0.2.0/24", f"probe = {ATTACKER4}")
    agent.connect()
    isolated(agent)
