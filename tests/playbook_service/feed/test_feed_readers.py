"""Published lists as programs read them that know nothing of us: nft, BIND, Unbound and curl."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from pathlib import Path
from typing import Any

import pytest
from dns_servers import Resolver, Unbound, missing
from feed_server import READERS, TOKEN, FeedServer
from netns import Lab, find, missing_tools, wait_until

HERE = Path(__file__).resolve().parent
HANDBOOK = HERE.parents[2] / "docs" / "service.md"
EDGE, PEER = "203.0.113.1", ("203.0.113.7", "203.0.113.8")
SERVICE, HOST = "192.0.2.10", "192.0.2.1"
PORT = 8081

Need = Callable[[object, str], None]
AnyNetwork = IPv4Network | IPv6Network


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as made:
        yield made


# A Linux host: the handbook's own script, nft, and traffic


class Edge(Lab):
    """`host` runs the handbook's script; `peer` has the addresses that are listed, `service` serves the list."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        for name in ("host", "peer", "service"):
            self.host(name)
        self.cable(("host", [f"{EDGE}/24"]), ("peer", [f"{address}/24" for address in PEER]))
        self.cable(("host", [f"{HOST}/24"]), ("service", [f"{SERVICE}/24"]))
        self.start("service", sys.executable, str(HERE / "feed_server.py"), SERVICE, str(PORT))
        self.nft("host", "-f", "-", stdin=RULES)

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> int:
        """One call of the API from the service's own machine; gives the status."""
        url = f"http://{SERVICE}:{PORT}/api/v1/blocklist/{path}"
        head = ["-H", f"Authorization: Bearer {TOKEN}", "-H", "Content-Type: application/json"]
        data = ["-d", json.dumps(body or {})]
        return int(self.run("service", "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, *head,
                            *data, url).stdout)  # fmt: skip

    def list_(self, *entries: str) -> None:
        for entry in entries:
            assert self.api("PUT", f"blocklist/{entry}", {"ttl": 3600}) == 200

    def fetch(self, credentials: str = READERS[0]) -> int:
        """The handbook's script as cron runs it, with this lab's address and password in it."""
        found = re.search(r"```sh\n(#!/bin/sh -e\n.*?)```", HANDBOOK.read_text(encoding="utf-8"), re.DOTALL)
        assert found is not None
        script = found[1].replace("https://propolis.example.org:8081", f"http://{SERVICE}:{PORT}")
        script = script.replace("host:the-password", credentials).replace("/run/", f"{self.folder}/")
        return self.run("host", "sh", "-e", "-c", script).returncode

    def blocked(self, name: str = "blocked") -> list[str]:
        """The networks that nft itself says are in the set."""
        told = json.loads(self.nft("host", "-j", "list", "set", "inet", "propolis_list", name))
        elements = next(part["set"].get("elem", []) for part in told["nftables"] if "set" in part)
        return [str(network) for element in elements for network in networks(element)]


def networks(element: Any) -> Iterator[AnyNetwork]:
    """An element of a set in nft's JSON: an address, a prefix, or a range where neighbours were joined."""
    if isinstance(element, str):
        return iter([ip_network(element)])
    if "prefix" in element:
        return iter([ip_network("{addr}/{len}".format(**element["prefix"]))])
    first, last = (ip_address(end) for end in element["range"])
    return summarize_address_range(first, last)  # type: ignore[type-var]


RULES = """
table inet propolis_list {
  set blocked { type ipv4_addr; flags interval; auto-merge; }
  set blocked6 { type ipv6_addr; flags interval; auto-merge; }
  chain in { type filter hook prerouting priority -290; ip saddr @blocked drop; ip6 saddr @blocked6 drop; }
}
"""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, need: Need) -> Iterator[Edge]:
    lacking = [tool for tool in missing_tools() if tool not in ("sshd", "ssh", "ssh-keygen")] + missing("curl")
    need(not lacking, f"nftables in network namespaces, and curl ({', '.join(lacking)})")
    with Edge(tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.mark.root
def test_nft_holds_exactly_what_is_listed_and_traffic_follows_the_list(edge: Edge):
    listed = (PEER[0], "192.0.2.128/25", "192.0.2.130", "2606:4700:1::1")  # the third lies in the second
    assert edge.pings("peer", EDGE, PEER[0])
    edge.list_(*listed)
    assert edge.fetch() == 0
    assert edge.blocked() == ["192.0.2.128/25", f"{PEER[0]}/32"]
    assert edge.blocked("blocked6") == ["2606:4700:1::1/128"]
    assert not edge.pings("peer", EDGE, PEER[0])
    assert edge.pings("peer", EDGE, PEER[1])
    for entry in listed:
        assert edge.api("DELETE", f"blocklist/{entry}") == 200
    assert edge.fetch() == 0  # the list is empty now, and so must the sets be
    assert edge.blocked() == edge.blocked("blocked6") == []
    assert edge.pings("peer", EDGE, PEER[0])


@pytest.mark.root
def test_a_fetch_that_fails_changes_nothing_at_the_host(edge: Edge):
    edge.list_(PEER[1])
    assert edge.fetch() == 0
    assert edge.fetch("fw1:wrong") != 0
    assert edge.blocked() == [f"{PEER[1]}/32"]
    assert not edge.pings("peer", EDGE, PEER[1])


# DNS


def zones(server: FeedServer) -> tuple[bytes, bytes]:
    fetched = [server.fetch(f"/feeds/{name}.txt?format=rpz") for name in ("names", "blocklist")]
    assert [answer.status for answer in fetched] == [200, 200]
    return fetched[0].body, fetched[1].body


def fill(server: FeedServer) -> None:
    server.put("evil.example.net", name="names", seconds=600)
    server.put("stays.example.net", name="names")
    server.put("_dmarc.odd-1.example.net", name="names")
    server.put("32.7.113.0.203.rpz-ip", name="names")  # a name, and no rule about an address
    server.put("xn--bcher-kva.example.net", name="names")
    server.put(".".join(["a" * 60] * 3) + ".net", name="names")
    server.put("203.0.113.7", seconds=600)
    server.put("2606:4700:1::1")


LISTED = ("evil.example.net", "deep.below.evil.example.net", "stays.example.net", "x.stays.example.net")
LISTED += ("_dmarc.odd-1.example.net", "xn--bcher-kva.example.net")
FREE = ("good.example.net", "devil.example.net", "evil.example.net.example.net", "odd-1.example.net")


@pytest.mark.daemon
def test_bind_denies_what_is_listed_and_below_and_nothing_else_and_forgets_it_with_its_end(
    server: FeedServer, tmp_path: Path, need: Need
):
    lacking = missing("named", "named-checkzone", "dig")
    need(not lacking, f"BIND: Debian's bind9, bind9-utils, bind9-dnsutils ({', '.join(lacking)})")
    fill(server)
    with Resolver(tmp_path) as bind:
        bind.load(*zones(server))
        assert {name: bind.status(name) for name in LISTED} == dict.fromkeys(LISTED, "NXDOMAIN")
        assert {name: bind.status(name) for name in FREE} == dict.fromkeys(FREE, "NOERROR")
        assert (bind.status("by4.example.net"), bind.status("by6.example.net", "AAAA")) == ("NXDOMAIN", "NXDOMAIN")
        server.clock.sleep(600)
        bind.load(*zones(server))
        wait_until(lambda: bind.status("evil.example.net") == "NOERROR", 20, "BIND reads the new zone")
        wait_until(lambda: bind.status("by4.example.net") == "NOERROR", 20, "BIND reads the new addresses")
        assert bind.status("deep.below.evil.example.net") == "NOERROR"
        assert bind.status("stays.example.net") == "NXDOMAIN"
        assert bind.status("by6.example.net", "AAAA") == "NXDOMAIN"
        assert bind.complaints() == []


@pytest.mark.daemon
def test_bind_takes_the_zone_of_a_list_that_has_become_empty(server: FeedServer, tmp_path: Path, need: Need):
    need(not missing("named", "named-checkzone", "dig"), "BIND: Debian's bind9, bind9-utils, bind9-dnsutils")
    server.put("evil.example.net", name="names", seconds=60)
    with Resolver(tmp_path) as bind:
        bind.load(*zones(server))
        assert bind.status("evil.example.net") == "NXDOMAIN"
        server.clock.sleep(60)
        bind.load(*zones(server))
        wait_until(lambda: bind.status("evil.example.net") == "NOERROR", 20, "BIND reads the empty zone")


@pytest.mark.daemon
def test_unbound_reads_the_same_zones_in_the_same_way(server: FeedServer, tmp_path: Path, need: Need):
    need(not missing("unbound", "dig"), "Unbound and dig: Debian's unbound, bind9-dnsutils")
    fill(server)
    with Unbound(tmp_path) as unbound:
        unbound.load(*zones(server))
        assert {name: unbound.status(name) for name in LISTED} == dict.fromkeys(LISTED, "NXDOMAIN")
        assert {name: unbound.status(name) for name in FREE} == dict.fromkeys(FREE, "NOERROR")
        assert unbound.status("by4.example.net") == "NXDOMAIN"
        assert unbound.status("by6.example.net", "AAAA") == "NXDOMAIN"
        assert "error" not in unbound.log


# curl


class Curl:
    """curl with one file that it keeps up to date."""

    def __init__(self, server: FeedServer, folder: Path):
        self._url = f"{server.url}/feeds/blocklist.txt"
        self.file = folder / "list.txt"

    def get(self, *options: str) -> int:
        command = ["curl", "-sS", "-u", READERS[0], "-o", str(self.file), "-w", "%{http_code}", *options, self._url]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture
def curl(server: FeedServer, tmp_path: Path, need: Need) -> Curl:
    need(find("curl"), "curl")
    return Curl(server, tmp_path)


def test_curl_is_told_by_its_saved_tag_that_nothing_changed_and_gets_the_list_when_it_did(
    server: FeedServer, curl: Curl, tmp_path: Path
):
    tag = str(tmp_path / "tag")
    options = ("--etag-compare", tag, "--etag-save", tag)
    server.put("203.0.113.7", seconds=600)
    assert curl.get(*options) == 200
    kept = curl.file.read_bytes()
    assert curl.get(*options) == 304
    assert curl.file.read_bytes() == kept == server.fetch().body
    server.put("203.0.113.8")
    assert curl.get(*options) == 200
    server.clock.sleep(600)
    assert curl.get(*options) == 200  # the first entry is over
    assert curl.file.read_text().splitlines()[1:] == ["203.0.113.8"]


def test_curl_is_told_by_the_date_of_its_file_that_nothing_changed(server: FeedServer, curl: Curl):
    options = ("-R", "-z", str(curl.file))  # the file gets the list's own date, and is asked about by it
    server.put("203.0.113.7")
    assert curl.get(*options) == 200
    assert curl.get(*options) == 304
    server.put("203.0.113.8")  # within the same second of the lists' clock
    assert curl.get(*options) == 200
    assert curl.file.read_text().splitlines()[1:] == ["203.0.113.7", "203.0.113.8"]
    assert curl.get(*options) == 304
