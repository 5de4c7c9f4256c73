"""What an isolated host still sends and gets: one isolation, looked at from all sides."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from agent_lab import (
    ATTACKER4,
    ATTACKER6,
    COLLEAGUE,
    HOST4,
    HOST6,
    HOST_INSIDE,
    HOST_INSIDE6,
    MANAGEMENT,
    MANAGEMENT6,
    MANAGER,
    MARK,
    AgentLab,
)
from netns import Session, wait_until

pytestmark = pytest.mark.root


class IsolatedHost:
    """A host whose isolation is proven, and the sessions that were open before it."""

    def __init__(self, lab: AgentLab):
        self.lab = lab
        lab.reset()
        lab.run("agent", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        lab.ip("inside", "route", "replace", "203.0.113.0/24", "via", HOST_INSIDE)
        lab.ip("evil", "route", "replace", "198.51.100.0/24", "via", HOST4)
        self.was_routed = lab.pings("inside", ATTACKER4)
        self.visitor = self._open("evil", HOST4, 8080)
        self.shell = self._open("agent", ATTACKER4, 4444)
        self.colleague = self._open("agent", COLLEAGUE, 8080)
        self.agent = lab.agent()
        self.agent.home.configure(f"management = {MANAGEMENT}, {MANAGEMENT6}")
        self.agent.connect()
        self.agent.call("isolate", "3600", MARK)
        wait_until(lambda: self.agent.home.record("isolate") is not None, 10, "the isolation is proven")

    def _open(self, host: str, address: str, port: int) -> Session:
        session = self.lab.session(host, address, port)
        assert session.alive()
        return session

    def dropped(self) -> int:
        """Packets that the outbound chain dropped."""
        listing = self.lab.nft("agent", "list", "chain", "inet", "propolis_agent_isolation", "outbound")
        return int(listing.partition("@active counter packets ")[2].split()[0])


@pytest.fixture(scope="module")
def host(agent_lab: AgentLab) -> Iterator[IsolatedHost]:
    made = IsolatedHost(agent_lab)
    yield made
    made.agent.disconnect()
    agent_lab.nft("agent", "flush", "ruleset")


def test_sessions_that_were_open_are_dead(host: IsolatedHost) -> None:
    assert not host.visitor.alive()
    assert not host.shell.alive()
    assert not host.colleague.alive()


@pytest.mark.parametrize(
    ("source", "address"), [("evil", HOST4), ("evil", HOST6), ("agent", ATTACKER4), ("agent", ATTACKER6)]
)
def test_nothing_gets_in_or_out(host: IsolatedHost, source: str, address: str) -> None:
    assert not host.lab.pings(source, address)


def test_what_was_routed_through_the_host_stops(host: IsolatedHost) -> None:
    assert host.was_routed
    assert not host.lab.pings("inside", ATTACKER4)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", MANAGEMENT])
def test_loopback_and_management_stay(host: IsolatedHost, address: str) -> None:
    assert host.lab.pings("agent", address)


def test_management_over_ipv6_finds_its_neighbour_anew(host: IsolatedHost) -> None:
    for side in ("agent", "inside"):
        host.lab.run(side, "ip", "-6", "neigh", "flush", "all")
    wait_until(lambda: host.lab.pings("inside", HOST_INSIDE6, MANAGEMENT6), 5, "neighbour discovery works")
    assert host.lab.pings("agent", MANAGEMENT6)


def test_the_agent_may_connect_anew_to_its_manager_and_to_nothing_else_there(host: IsolatedHost) -> None:
    assert host.lab.session("agent", MANAGER, 1514).alive()
    assert not host.lab.pings("agent", MANAGER)


def test_a_port_that_looks_like_dhcp_is_no_way_out(host: IsolatedHost) -> None:
    before = host.dropped()
    sent = host.lab.run(
        "agent",
        sys.executable,
        "-c",
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 68))\n"
        f"s.sendto(b'x', ('{ATTACKER4}', 67))",
    )
    assert "PermissionError" in sent.stderr
    assert host.dropped() > before
