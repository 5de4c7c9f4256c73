"""What firewalls need of a published list, rule by rule, over real HTTP.

The rules come from what PAN-OS, FortiOS, OPNsense, pfSense and Check Point do with an answer (docs/backends-edl.md).
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from feed_server import DAY, READERS, FeedServer

from playbook_service.feed.book import Bounds
from playbook_service.store.contract import StoreError, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock
from propolis.errors import PropolisError
from propolis.guardrails import Refused

ALL = ("/feeds/blocklist.txt", "/feeds/names.txt", "/feeds/pages.txt", "/feeds/names.txt?format=rpz")
HOSTILE = ("x\n198.51.100.1", "x\r\n0.0.0.0/0", "\u2028 10.0.0.1", "<script>", "\x00\x1b[2J", "# ; ! , |", "é" * 500)
FORMS = ("", "?format=pan", "?family=4", "?family=6", "?format=rpz")


class FailingStore(MemoryStore):
    """A store whose disk may fail."""

    fails = False

    def transaction(self) -> AbstractContextManager[Transaction]:
        if self.fails:
            raise StoreError("The disk is full.")
        return super().transaction()


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as made:
        yield made


def entries(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("#")]


# A body is text, whole, and never empty


@pytest.mark.parametrize("target", ALL)
def test_an_empty_list_is_a_line_of_comment_and_not_zero_bytes(server: FeedServer, target: str):
    fetched = server.fetch(target)
    assert fetched.status == 200
    assert fetched.lines[0][0] in "#;"


@pytest.mark.parametrize("form", FORMS)
def test_a_page_is_plain_text_with_line_feeds_and_its_whole_length_said(server: FeedServer, form: str):
    for number in range(300):
        server.put(f"203.0.113.{number % 256}" if number < 256 else f"2606:4700::{number}")
    fetched = server.fetch(f"/feeds/blocklist.txt{form}")
    assert fetched.headers["content-type"] == "text/plain; charset=utf-8"
    assert int(fetched.headers["content-length"]) == len(fetched.body)
    assert "transfer-encoding" not in fetched.headers
    assert b"\r" not in fetched.body
    assert fetched.body.endswith(b"\n")


def test_the_header_line_says_how_many_there_are_and_since_when(server: FeedServer):
    server.put("203.0.113.7")
    assert re.fullmatch(
        r"# propolis blocklist: 1 entries, changed 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ",
        server.fetch().lines[0],
    )


def test_a_connection_that_breaks_half_way_leaves_less_than_the_length_that_was_said(server: FeedServer):
    """A consumer that gets half a body can tell: it was told how long the whole is before the first byte of it."""
    for number in range(256):
        server.put(f"203.0.113.{number}")
    with socket.create_connection(("127.0.0.1", server.server.port), timeout=10) as connection:
        basic = base64.b64encode(READERS[0].encode())
        connection.sendall(
            b"GET /feeds/blocklist.txt HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + basic + b"\r\n\r\n"
        )
        head, _, begun = connection.recv(1000).partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length is not None
    assert int(length[1]) == len(server.fetch().body) > len(begun)


def test_what_a_fault_says_is_never_a_200_and_never_html(server: FeedServer):
    answers = [
        server.fetch(reader=None),
        server.fetch("/feeds/other.txt"),
        server.fetch("/feeds/blocklist.html"),
        server.fetch("/"),
        server.fetch("/feeds/blocklist.txt?format=html"),
    ]
    assert [answer.status for answer in answers] == [401, 503, 404, 404, 400]
    assert all("html" not in answer.headers["content-type"] and b"<" not in answer.body for answer in answers)


# One canonical entry a line


def test_entries_are_canonical_sorted_by_number_and_alone_on_their_line(server: FeedServer):
    for entry in ("203.0.113.66", "2001:DB8:0::1", "203.0.113.7", "2001:db8::1", "203.0.113.0/26", "::ffff:192.0.2.1"):
        server.put(entry)
    listed = entries(server.fetch().lines)
    assert listed == ["192.0.2.1", "203.0.113.0/26", "203.0.113.7", "203.0.113.66", "2001:db8::1"]
    assert all(str(ipaddress.ip_network(entry)).removesuffix("/32").removesuffix("/128") == entry for entry in listed)


def test_a_network_stands_before_the_address_that_it_begins_with(server: FeedServer):
    server.put("203.0.113.0")
    server.put("203.0.113.0/25")
    assert entries(server.fetch().lines) == ["203.0.113.0/25", "203.0.113.0"]


def test_the_two_families_are_the_joined_list_taken_apart(server: FeedServer):
    for number in range(1, 60):
        server.put(f"203.0.113.{number}")
        server.put(f"2606:4700::{number:x}")
    four, six, joined = (entries(server.fetch(f"/feeds/blocklist.txt{form}").lines) for form in (*FORMS[2:4], ""))
    assert four + six == joined
    assert {ipaddress.ip_network(entry).version for entry in four} == {4}
    assert {ipaddress.ip_network(entry).version for entry in six} == {6}


def test_case_numbers_travel_only_in_the_form_for_pan_os_and_only_when_it_is_asked_for(server: FeedServer):
    server.put("203.0.113.7", comment="case 128")
    for form in ("", "?family=4", "?format=plain", "?format=rpz"):
        assert b"128" not in server.fetch(f"/feeds/blocklist.txt{form}").body.replace(b"32.7.113", b"")
    assert entries(server.fetch("/feeds/blocklist.txt?format=pan").lines) == ["203.0.113.7 #case 128"]


@pytest.mark.parametrize(
    "comment",
    ["x\n198.51.100.1", "x\r\n0.0.0.0/0", "\u2028 10.0.0.1", "<script>", "\x00\x1b[2J", "# ; ! , |", "é" * 500],
)
def test_a_comment_stays_one_comment_whatever_is_in_it(server: FeedServer, comment: str):
    server.put("203.0.113.7", comment=comment)
    server.put("203.0.113.8", comment="")
    first, second = entries(server.fetch("/feeds/blocklist.txt?format=pan").lines)
    assert re.fullmatch(r"203\.0\.113\.7 #[\w.:=? -]{1,100}", first)
    assert second == "203.0.113.8"


# What is on it


def test_what_has_become_protected_is_gone_with_the_next_fetch_and_back_when_it_is_not_any_more(server: FeedServer):
    server.put("203.0.113.7")
    server.put("203.0.113.8")
    server.put("evil.example.net", name="names")
    server.protect("firewall: {own: [203.0.113.7/32]}\ndomains: {own: [example.net]}")
    assert entries(server.fetch().lines) == ["203.0.113.8"]
    assert entries(server.fetch("/feeds/names.txt").lines) == []
    assert b"evil" not in server.fetch("/feeds/names.txt?format=rpz").body
    assert b"7.113.0.203" not in server.fetch("/feeds/blocklist.txt?format=rpz").body
    server.protect("firewall: {own: [198.51.100.0/24]}")
    assert entries(server.fetch().lines) == ["203.0.113.7", "203.0.113.8"]


def test_what_was_protected_when_it_came_in_never_gets_on_it(server: FeedServer):
    with pytest.raises(Refused):
        server.put("198.51.100.7")
    assert entries(server.fetch().lines) == []


def test_a_full_list_takes_no_more_and_goes_on_being_published():
    with FeedServer(bounds=Bounds(entries=3)) as server:
        for number in range(3):
            server.put(f"203.0.113.{number}")
        assert server.api("PUT", "blocklist/203.0.113.9", {"ttl": 60}).status == 409
        assert len(entries(server.fetch().lines)) == 3


# It changes in steps that somebody could have meant


def test_a_list_that_would_shrink_at_once_is_not_published_until_somebody_says_so(server: FeedServer):
    for number in range(256):
        server.put(f"203.0.113.{number}", seconds=60 if number < 150 else DAY)
    assert len(entries(server.fetch().lines)) == 256
    server.clock.sleep(61)
    refused = server.fetch()
    assert (refused.status, refused.headers["retry-after"]) == (503, "60")
    assert server.api("POST", "blocklist/accept").status == 200
    assert len(entries(server.fetch().lines)) == 106


def test_a_list_that_would_grow_at_once_is_not_published_until_somebody_says_so(server: FeedServer):
    server.put("203.0.113.7")
    assert server.fetch().status == 200
    for number in range(101):
        server.put(f"192.0.2.{number}")
    assert server.fetch().status == 503
    server.api("POST", "blocklist/accept")
    assert len(entries(server.fetch().lines)) == 102


def test_a_list_that_came_back_into_its_bounds_is_published_again_by_itself(server: FeedServer):
    server.put("203.0.113.7")
    assert server.fetch().status == 200
    for number in range(101):
        server.put(f"192.0.2.{number}")
    assert server.fetch().status == 503
    server.book.remove("blocklist", "192.0.2.1")
    assert server.fetch().status == 200


def test_a_restart_does_not_let_a_jump_pass():
    clock = ManualClock()
    store = MemoryStore(clock)
    with FeedServer(clock, store=store) as before:
        for number in range(256):
            before.put(f"203.0.113.{number}", seconds=60)
        before.put("192.0.2.1")
        assert before.fetch().status == 200
    clock.advance(61)
    with FeedServer(clock, store=store) as after:
        assert after.fetch().status == 503
        held = after.api("GET", "blocklist/192.0.2.1")
        assert b"would change from 257 to 1 entries" in held.body


def test_what_one_node_was_told_to_accept_the_others_publish_too():
    clock = ManualClock()
    store = MemoryStore(clock)
    with FeedServer(clock, store=store) as one, FeedServer(clock, store=store) as other:
        one.put("203.0.113.7")
        assert (one.fetch().status, other.fetch().status) == (200, 200)
        for number in range(101):
            one.put(f"192.0.2.{number}")
        assert (one.fetch().status, other.fetch().status) == (503, 503)
        one.api("POST", "blocklist/accept")
        assert (one.fetch().status, other.fetch().status) == (200, 200)
        assert one.fetch().body == other.fetch().body


def test_nodes_agree_on_the_page_and_its_tag_so_that_a_consumer_may_ask_any(server: FeedServer):
    store = MemoryStore(server.clock)
    with FeedServer(server.clock, store=store) as one, FeedServer(server.clock, store=store) as other:
        one.put("203.0.113.7")
        first = one.fetch()
        assert other.fetch(if_none_match=first.headers["etag"]).status == 304


# 304 only for those who ask


def test_a_consumer_that_asks_nothing_always_gets_the_whole_list(server: FeedServer):
    server.put("203.0.113.7")
    assert [server.fetch().status for _ in range(3)] == [200, 200, 200]


def test_304_has_no_body_and_the_tag(server: FeedServer):
    server.put("203.0.113.7")
    tag = server.fetch().headers["etag"]
    again = server.fetch(if_none_match=tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)


def test_each_form_has_its_own_tag(server: FeedServer):
    server.put("203.0.113.7")
    server.put("2606:4700::1")
    tags = [server.fetch(f"/feeds/blocklist.txt{form}").headers["etag"] for form in FORMS]
    assert len(set(tags)) == len(FORMS)


def test_two_changes_within_one_second_are_seen_by_who_asks_by_date(server: FeedServer):
    server.put("203.0.113.7")
    date = server.fetch().headers["last-modified"]
    server.put("203.0.113.8")
    assert server.fetch(if_modified_since=date).status == 200
    latest = server.fetch().headers["last-modified"]
    assert server.fetch(if_modified_since=latest).status == 304


def test_an_end_that_passed_is_a_change_to_who_asks_by_tag_or_by_date(server: FeedServer):
    server.put("203.0.113.7", seconds=60)
    first = server.fetch()
    server.clock.sleep(60)
    assert server.fetch(if_none_match=first.headers["etag"]).status == 200
    assert server.fetch(if_modified_since=first.headers["last-modified"]).status == 200


# Each consumer has its own password


def test_each_reader_reads_with_its_own_password_and_with_no_other(server: FeedServer):
    user, other = READERS[0].split(":")[0], READERS[1].split(":")[1]
    wrong = [None, f"{user}:{other}", user, f"{user}:", ":", "", READERS[0] + "x", READERS[0][:-1], READERS[0].upper()]
    assert [server.fetch(reader=reader).status for reader in READERS] == [200, 200]
    assert {server.fetch(reader=reader).status for reader in wrong} == {401}


def test_who_may_not_read_learns_nothing_not_even_which_lists_there_are(server: FeedServer):
    server.put("203.0.113.7")
    known, unknown = server.fetch(reader=None), server.fetch("/feeds/other.txt", reader=None)
    assert known.body == unknown.body
    assert b"203.0.113" not in known.body
    assert known.headers["www-authenticate"].startswith("Basic realm=")


# On a fault, 503: consumers keep what they have


def test_a_store_that_fails_is_503_and_the_list_is_back_when_it_works_again():
    clock = ManualClock()
    store = FailingStore(clock)
    with FeedServer(clock, store=store) as server:
        server.put("203.0.113.7")
        assert server.fetch().status == 200
        store.fails = True
        refused = server.fetch()
        assert (refused.status, refused.headers["retry-after"]) == (503, "60")
        assert b"203.0.113.7" not in refused.body
        store.fails = False
        assert entries(server.fetch().lines) == ["203.0.113.7"]


def test_a_policy_that_cannot_be_read_is_503_and_not_a_list_that_nobody_checked(server: FeedServer):
    server.put("203.0.113.7")
    server.protect("firewall: {own: [nonsense]}")
    assert server.fetch().status == 503
    assert server.fetch(if_none_match="*").status == 503
    with pytest.raises(PropolisError):
        server.put("203.0.113.8")
