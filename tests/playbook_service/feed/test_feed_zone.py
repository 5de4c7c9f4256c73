"""A list as a response policy zone: valid whatever is on it, and never another rule than the one that was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from feed_server import FeedServer

from playbook_service.feed.zone import zone

NAMES = "/feeds/names.txt?format=rpz"
ADDRESSES = "/feeds/blocklist.txt?format=rpz"
RECORD = re.compile(r"\S+ IN CNAME \.")


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as made:
        yield made


def owners(lines: list[str]) -> list[str]:
    """The owners of the rules, after the header of a zone that must be there."""
    body = [line for line in lines if not line.startswith(";")]
    assert body[0] == "$TTL 60"
    assert re.fullmatch(r"@ IN SOA localhost\. hostmaster\.localhost\. \d+ \d+ \d+ \d+ 60", body[1])
    assert body[2] == "@ IN NS localhost."
    assert all(RECORD.fullmatch(line) for line in body[3:])
    return [line.split()[0] for line in body[3:]]


def serial(lines: list[str]) -> int:
    return int(next(line for line in lines if " SOA " in line).split()[5])


def test_a_name_is_blocked_with_all_below_it(server: FeedServer):
    server.put("evil.example.net", name="names")
    assert owners(server.fetch(NAMES).lines) == ["evil.example.net", "*.evil.example.net"]


def test_a_list_without_entries_is_a_zone_without_rules(server: FeedServer):
    assert owners(server.fetch(NAMES).lines) == []
    assert owners(server.fetch(ADDRESSES).lines) == []


@pytest.mark.parametrize(
    ("entry", "owner"),
    [
        ("203.0.113.7", "32.7.113.0.203.rpz-ip"),
        ("203.0.113.0/25", "25.0.113.0.203.rpz-ip"),
        ("2606:4700:1::1", "128.1.zz.1.4700.2606.rpz-ip"),
        ("2606:4700::/32", "32.zz.4700.2606.rpz-ip"),
        ("2606:4700:1:2:3:4:5:6", "128.6.5.4.3.2.1.4700.2606.rpz-ip"),
        ("2606:0:0:1::1", "128.1.zz.1.0.0.2606.rpz-ip"),
        ("2606:0:1:2:3:4:5:6", "128.6.5.4.3.2.1.0.2606.rpz-ip"),
        ("::5", "128.5.zz.rpz-ip"),
    ],
)
def test_an_address_is_written_backwards_with_its_prefix_in_front(entry: str, owner: str):
    assert owners(zone("x", "ip", [entry], 1).splitlines()) == [owner]


def test_one_family_of_addresses_can_be_asked_for(server: FeedServer):
    server.put("203.0.113.7")
    server.put("2606:4700:1::1")
    assert owners(server.fetch(f"{ADDRESSES}&family=4").lines) == ["32.7.113.0.203.rpz-ip"]
    assert owners(server.fetch(f"{ADDRESSES}&family=6").lines) == ["128.1.zz.1.4700.2606.rpz-ip"]


@pytest.mark.parametrize(
    "entry",
    [
        "32.7.113.0.203.rpz-ip",
        "48.zz.2.2001.rpz-client-ip",
        "ns.example.net.rpz-nsdname",
        "rpz-passthru",
        "$include.example.net",
        "evil.example.net. IN A 192.0.2.1\nx.example.net",
        "evil.example.net CNAME rpz-passthru. ;",
        "*.example.net",
        "@",
        "a..example.net",
        "(evil.example.net",
        'x".example.net',
        "ev\\105l.example.net",
        f"{'a' * 64}.example.net",
        ".".join(["a" * 60] * 4),
        "",
    ],
)
def test_what_a_zone_would_read_as_something_else_is_left_out_and_counted(entry: str):
    lines = zone("head", "domain", ["evil.example.net", entry], 1).splitlines()
    assert owners(lines) == ["evil.example.net", "*.evil.example.net"]
    assert lines[:2] == ["; head", "; 1 of them cannot be written in a zone and are left out"]


def test_a_name_that_is_another_trigger_in_a_zone_does_not_get_into_one_through_the_service(server: FeedServer):
    server.put("32.7.113.0.203.rpz-ip", name="names")
    server.put("evil.example.net", name="names")
    assert owners(server.fetch(NAMES).lines) == ["evil.example.net", "*.evil.example.net"]
    assert "32.7.113.0.203.rpz-ip" in server.fetch("/feeds/names.txt").lines  # as a name it can be listed


def test_the_serial_grows_with_every_change_also_within_one_second(server: FeedServer):
    seen = [serial(server.fetch(NAMES).lines)]
    server.put("one.example.net", name="names", seconds=60)
    seen.append(serial(server.fetch(NAMES).lines))
    server.put("two.example.net", name="names")
    seen.append(serial(server.fetch(NAMES).lines))
    server.book.remove("names", "two.example.net")
    seen.append(serial(server.fetch(NAMES).lines))
    server.clock.sleep(60)
    seen.append(serial(server.fetch(NAMES).lines))  # `one` is over
    assert seen == sorted(set(seen))


def test_the_serial_stays_while_nothing_changes(server: FeedServer):
    server.put("one.example.net", name="names")
    first = server.fetch(NAMES)
    server.clock.sleep(3600)
    assert server.fetch(NAMES).body == first.body


def test_the_serial_grows_though_the_clock_is_set_back(server: FeedServer):
    server.put("one.example.net", name="names")
    before = serial(server.fetch(NAMES).lines)
    server.clock.jump(-86_400)  # type: ignore[attr-defined]
    server.put("two.example.net", name="names")
    assert serial(server.fetch(NAMES).lines) > before


def test_the_serial_fits_its_32_bits():
    assert serial(zone("x", "ip", [], 2**32 + 5).splitlines()) == 5


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/feeds/pages.txt?format=rpz", "kind url has no format 'rpz'; it has plain"),
        ("/feeds/pages.txt?format=pan", "kind url has no format 'pan'"),
        ("/feeds/names.txt?format=pan", "kind domain has no format 'pan'; it has plain, rpz"),
        ("/feeds/names.txt?family=4", "only for a list of kind ip"),
        ("/feeds/pages.txt?family=6", "only for a list of kind ip"),
        ("/feeds/blocklist.txt?family=5", "family is 4 or 6"),
        ("/feeds/blocklist.txt?format=html", "no format 'html'; it has plain, pan, rpz"),
        ("/feeds/blocklist.txt?format=plain&format=pan", "format is given 2 times"),
    ],
)
def test_a_form_that_a_list_does_not_have_is_400_with_what_it_has(server: FeedServer, target: str, said: str):
    fetched = server.fetch(target)
    assert fetched.status == 400
    assert said in fetched.body.decode()
