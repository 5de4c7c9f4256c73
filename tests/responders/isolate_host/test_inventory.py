"""The inventory: one host a line, compared whole, and one bad line makes all of it invalid."""

from __future__ import annotations

import pytest
from workers import load_backend

from propolis.containment.backend import Ambiguous, NotFound, Target
from propolis.errors import ConfigurationError

inventory = load_backend("IsolateHost", "inventory")


def test_a_line() -> None:
    (host,) = inventory.parse_inventory(["Web-01, web-01.Example.org. , www=propolis@198.51.100.9:2222"])
    assert host == inventory.Host(("web-01", "web-01.example.org", "www"), "propolis", "198.51.100.9", 2222)


def test_lines_in_one_text_comments_and_ipv6() -> None:
    text = "# web tier\nweb-01=propolis@web-01.example.org\n\nweb-02=propolis@[2001:db8::9]:22\n"
    first, second = inventory.parse_inventory([text])
    assert (first.address, first.port) == ("web-01.example.org", 22)
    assert second.address == "2001:db8::9"


@pytest.mark.parametrize(
    "line",
    [
        "web-01",
        "web-01=198.51.100.9",
        "=root@198.51.100.9",
        " , =root@198.51.100.9",
        "web-01=@198.51.100.9",
        "web-01=root@",
        "web-01=root@198.51.100.9:port",
        "web-01=root@198.51.100.9:",
        "web-01=root@2001:db8::9",
        "web-01=root@a@b",
        "web-01=root=x@b",
    ],
)
def test_a_line_that_cannot_be_read_names_its_number(line: str) -> None:
    with pytest.raises(ConfigurationError, match="isolate_hosts:2"):
        inventory.parse_inventory(["ok=root@198.51.100.8", line])


def test_an_empty_inventory_says_what_to_write() -> None:
    with pytest.raises(ConfigurationError, match="names no host"):
        inventory.parse_inventory(["# nothing yet"])


def test_exactly_one_host_or_none() -> None:
    hosts = inventory.parse_inventory(["web-01,www=root@198.51.100.8", "web-02,www=root@198.51.100.9"])
    assert inventory.find_host(hosts, Target("host", "198.51.100.9", "test")).names[0] == "web-02"
    with pytest.raises(Ambiguous) as caught:
        inventory.find_host(hosts, Target("host", "www", "test"))
    assert "web-01" in str(caught.value)
    assert "web-02" in str(caught.value)
    with pytest.raises(NotFound, match="isolate_hosts"):
        inventory.find_host(hosts, Target("host", "web-03", "test"))
