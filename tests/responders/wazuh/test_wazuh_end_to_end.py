"""All four responders' flows over the manager's API down to the real program and the real kernel of a host, and back.

The manager is the fake one; execd is the emulator that the tests of the agents' side use; everything else is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from failing_front import Front
from fake_wazuh import PASSWORD, USER, FakeWazuh
from real_agent import RealAgent
from suite import MARK, OTHER_MARK
from wazuh_bench import VICTIM, is_login
from workers import load_backend

from propolis.clock import SystemClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import NotVerified, Outcome, Plan, contain, release
from propolis.containment.wazuh.manager import Manager, Settings

pytestmark = pytest.mark.root

HOST4, ATTACKER4 = "203.0.113.1", "203.0.113.2"
CLOCK = SystemClock()
firewall, isolation = load_backend("FirewallBlock", "wazuh"), load_backend("IsolateHost", "wazuh")
account, vault = load_backend("AccountDisable", "wazuh"), load_backend("QuarantineFile", "wazuh")


class Site:
    """A manager with one agent, `web01` (003)."""

    def __init__(self, lab: Any, host: Any, front: Front, agent: RealAgent):
        self.lab, self.host, self.agent = lab, host, agent
        self.manager = Manager(Settings(front.url, USER, PASSWORD, timeout=10), CLOCK)

    def contain(self, backend: Backend, target: Target, mark: str = MARK, **more: Any) -> Outcome:
        plan = Plan(target, Terms(more.pop("seconds", 3600), mark), without_end=True, patience=20, **more)
        return contain(backend, plan, lambda target, status: None, CLOCK)

    def release(self, backend: Backend, target: Target) -> Outcome:
        return release(backend, target, CLOCK, patience=20)

    def attacked(self) -> bool:
        """Whether the attacker reaches the host."""
        return bool(self.lab.pings("evil", HOST4))


@pytest.fixture
def etc(hosts: Any, tmp_path: Path) -> Path:
    """The host's own /etc, with an account `mallory`."""
    from agent_lab import private_etc  # beside the tests of the agents' side; `hosts` knows the way

    made: Path = private_etc(tmp_path / "etc")
    return made


@pytest.fixture
def site(hosts: Any, etc: Path) -> Iterator[Site]:
    hosts.reset()
    host = hosts.agent(etc)
    wazuh = FakeWazuh(CLOCK)
    wazuh.agents["003"] = agent = RealAgent(host, "003", "web01", HOST4)
    with Front(wazuh.answer, is_login) as front:
        made = Site(hosts, host, front, agent)
        yield made
        made.manager.close()
    host.disconnect()


def test_an_attacker_is_blocked_by_its_victim_and_let_go(site: Site) -> None:
    backend = firewall.WazuhFirewall(site.manager, CLOCK, 10, ())
    attacker = Target("ip", ATTACKER4, "test", VICTIM)
    assert site.attacked()
    first = site.contain(backend, attacker)
    assert first.result == "contained"
    assert first.until == pytest.approx(CLOCK.now() + 3600, abs=15)
    assert not site.attacked()
    assert site.contain(backend, attacker, OTHER_MARK).result == "already_contained"
    longer = site.contain(backend, attacker, OTHER_MARK, seconds=7200, extend=True)
    assert longer.result == "extended"
    assert longer.status.mark == OTHER_MARK
    assert site.release(backend, attacker).result == "released"
    assert site.attacked()
    assert site.release(backend, attacker).result == "already_released"


def test_an_ipv6_network_and_a_long_mark_come_back_as_they_were_sent(site: Site) -> None:
    backend = firewall.WazuhFirewall(site.manager, CLOCK, 10, ("003",))
    network = Target("ip", "2001:db8:9::/64", "test")
    mark = "propolis case=128 by=analyst_of_the_soc@soc.example at=2026-01-01T00:00:00Z lease=L/1+2"
    outcome = site.contain(backend, network, mark)
    assert (outcome.result, outcome.status.mark) == ("contained", mark)
    assert site.release(backend, network).result == "released"


def test_what_the_host_spares_is_refused_in_its_own_words(site: Site) -> None:
    site.host.home.configure("never = 203.0.113.0/24")
    backend = firewall.WazuhFirewall(site.manager, CLOCK, 10, ("web01",))
    with pytest.raises(BackendError, match="it said: "):
        site.contain(backend, Target("ip", ATTACKER4, "test"))
    assert site.attacked()


def test_a_host_is_isolated_after_its_trial_and_released(site: Site) -> None:
    site.host.connect()
    backend = isolation.WazuhIsolation(site.manager, CLOCK, 10, "elsewhere")
    host = Target("host", "web01", "test", (("wazuh_agent_id", "003"),))
    outcome = site.contain(backend, host)
    assert outcome.result == "contained"
    assert outcome.status.until == pytest.approx(CLOCK.now() + 3600, abs=15)
    assert not site.attacked()
    assert site.contain(backend, host, OTHER_MARK, seconds=7200, extend=True).result == "extended"
    assert site.release(backend, host).result == "released"
    assert site.attacked()


def test_a_host_that_would_lose_its_manager_opens_again_and_the_report_says_why(site: Site) -> None:
    site.host.home.configure("trial = 2")
    backend = isolation.WazuhIsolation(site.manager, CLOCK, 10, "elsewhere")
    with pytest.raises(NotVerified, match="the manager was not reached"):
        site.contain(backend, Target("host", "web01", "test"))
    assert site.attacked()


def test_a_local_account_is_locked_and_gets_back_what_it_had(site: Site, etc: Path) -> None:
    backend = account.WazuhAccount(site.manager, CLOCK, 10, inventory=False)
    mallory = Target("account", "mallory", "test", VICTIM)
    before = (etc / "shadow").read_text()
    assert site.contain(backend, mallory).result == "contained"
    locked = (etc / "shadow").read_text()
    assert locked != before
    assert "mallory:!" in locked
    assert site.release(backend, mallory).result == "released"
    assert (etc / "shadow").read_text() == before
    with pytest.raises(BackendError, match="uid 0"):
        site.contain(backend, Target("account", "root", "test", VICTIM))


def test_a_file_goes_into_the_vault_and_comes_back(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "drop per=1"
    path.write_bytes(b"evil")
    backend = vault.WazuhVault(site.manager, CLOCK, 10)
    target = Target("file", str(path), "test", (("host", "web01"),))
    assert site.contain(backend, target).result == "contained"
    assert not path.exists()
    assert site.contain(backend, target).result == "already_contained"
    assert site.release(backend, target).result == "released"
    assert path.read_bytes() == b"evil"
    path.unlink()
    with pytest.raises(BackendError, match="does not exist"):
        site.contain(backend, target)
