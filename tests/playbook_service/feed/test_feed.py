"""The published list: never half, never HTML, never empty, never protected, and gone when its time is over."""

from __future__ import annotations

import base64
import io
import json
import threading
from email.utils import formatdate
from typing import Any

import pytest

from playbook_service.feed.book import Bounds, FeedBook, FeedError
from playbook_service.feed.routes import FeedApi, FeedPages
from playbook_service.intake.credential import Doorkeeper
from playbook_service.store.memory import MemoryStore
from playbook_service.web.application import Application
from propolis.clock import ManualClock
from propolis.errors import InputError
from propolis.guardrails import Policy, Refused

OWN = Policy.parse("firewall: {own: [198.51.100.0/24]}")
READER = "fw1:s3cret"
DAY = 86400


class Publisher:
    """A book with its API and its pages, and a policy that can change."""

    def __init__(self, bounds: Bounds = Bounds()):  # noqa: B008
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.policy = OWN
        kinds = {"blocklist": "ip", "names": "domain", "links": "url"}
        self.book = FeedBook(self.store, self.clock, lambda: self.policy, kinds, bounds)
        api, pages = FeedApi(self.book, Doorkeeper(["token"])), FeedPages(self.book, [READER])
        self.application = Application([*api.routes(), *pages.routes()])

    def call(self, method: str, path: str, body: Any = None, authorization: str = "Bearer token", **headers: str):
        raw = b"" if body is None else json.dumps(body).encode()
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": "192.0.2.9",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(raw)), "wsgi.input": io.BytesIO(raw),
            "HTTP_AUTHORIZATION": authorization, **headers,
        }  # fmt: skip
        told: list[Any] = []
        chunks = self.application(environ, lambda status, heads: told.extend([int(status[:3]), dict(heads)]))
        return told[0], b"".join(chunks), told[1]

    def fetch(self, path: str = "/feeds/blocklist.txt", **headers: str):
        return self.call("GET", path, authorization="Basic " + base64.b64encode(READER.encode()).decode(), **headers)

    def lines(self, path: str = "/feeds/blocklist.txt") -> list[str]:
        status, body, _ = self.fetch(path)
        assert status == 200
        assert body.endswith(b"\n")
        return body.decode("ascii").splitlines()

    def put(self, entry: str, ttl: int = DAY, name: str = "blocklist"):
        return self.call("PUT", f"/api/v1/blocklist/{name}/{entry}", {"ttl": ttl, "lease": "L1", "comment": "case 128"})


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def test_an_empty_list_is_its_header_line(publisher: Publisher):
    (head,) = publisher.lines()
    assert head.startswith("# propolis blocklist: 0 entries, changed 20")


def test_entries_are_canonical_sorted_and_carry_no_comment(publisher: Publisher):
    for entry in ("203.0.113.66", "2001:DB8::1", "203.0.113.7", "203.0.113.66"):
        assert publisher.put(entry)[0] == 200
    assert publisher.lines()[1:] == ["203.0.113.7", "203.0.113.66", "2001:db8::1"]
    assert publisher.lines("/feeds/blocklist.txt?family=4")[1:] == ["203.0.113.7", "203.0.113.66"]
    assert publisher.lines("/feeds/blocklist.txt?family=6")[1:] == ["2001:db8::1"]
    assert publisher.lines("/feeds/blocklist.txt?format=pan")[1] == "203.0.113.7 #case 128"


def test_an_entry_disappears_when_its_time_is_over_without_anybody_doing_anything(publisher: Publisher):
    publisher.put("203.0.113.7", ttl=60)
    publisher.put("203.0.113.8", ttl=120)
    _, _, before = publisher.fetch()
    publisher.clock.advance(60)
    assert publisher.lines()[1:] == ["203.0.113.8"]
    _, _, after = publisher.fetch()
    assert before["ETag"] != after["ETag"]
    assert before["Last-Modified"] != after["Last-Modified"]


def test_a_renewed_entry_has_the_new_end(publisher: Publisher):
    publisher.put("203.0.113.7", ttl=60)
    publisher.put("203.0.113.7", ttl=600)
    publisher.clock.advance(300)
    assert publisher.lines()[1:] == ["203.0.113.7"]


def test_what_is_taken_off_is_gone_and_taking_it_off_twice_is_fine(publisher: Publisher):
    publisher.put("203.0.113.7")
    assert json.loads(publisher.call("DELETE", "/api/v1/blocklist/blocklist/203.0.113.7")[1])["removed"] is True
    assert json.loads(publisher.call("DELETE", "/api/v1/blocklist/blocklist/203.0.113.7")[1])["removed"] is False
    assert len(publisher.lines()) == 1


@pytest.mark.parametrize("entry", ["10.0.0.1", "198.51.100.7", "0.0.0.0/0", "127.0.0.1", "::ffff:10.0.0.1"])
def test_the_protected_is_never_listed(publisher: Publisher, entry: str):
    assert publisher.put(entry)[0] == 403
    assert len(publisher.lines()) == 1


@pytest.mark.parametrize("entry", ["host.example.net", "010.1.1.1", "1", "203.0.113.7;drop", "!203.0.113.7"])
def test_what_is_no_address_is_refused(publisher: Publisher, entry: str):
    assert publisher.put(entry)[0] == 400


def test_what_becomes_protected_disappears_from_the_list_and_can_still_be_taken_off(publisher: Publisher):
    publisher.put("203.0.113.7")
    publisher.put("203.0.113.8")
    publisher.policy = Policy.parse("firewall: {own: [198.51.100.0/24, 203.0.113.7/32]}")
    assert publisher.lines()[1:] == ["203.0.113.8"]
    assert publisher.book.remove("blocklist", "203.0.113.7")


def test_while_the_policy_is_broken_consumers_keep_what_they_have(publisher: Publisher):
    publisher.put("203.0.113.7")

    def broken() -> Policy:
        return Policy.parse("firewall: {own: [nonsense]}")

    publisher.book._policy = broken
    status, body, headers = publisher.fetch()
    assert (status, headers["Retry-After"]) == (503, "60")
    assert b"203.0.113.7" not in body


def test_names_and_links_have_lists_of_their_own(publisher: Publisher):
    assert publisher.put("Evil.Example.NET", name="names")[0] == 200
    assert publisher.put("https://evil.example.net/a/b", name="links")[0] == 200
    assert publisher.lines("/feeds/names.txt")[1:] == ["evil.example.net"]
    assert publisher.lines("/feeds/links.txt")[1:] == ["https://evil.example.net/a/b"]
    assert publisher.put("google.com", name="names")[0] == 403


def test_an_unknown_list_is_said_to_be_none(publisher: Publisher):
    assert publisher.put("203.0.113.7", name="other")[0] == 409
    assert publisher.fetch("/feeds/other.txt")[0] == 503


def test_who_has_the_page_is_told_so_only_when_it_asks(publisher: Publisher):
    publisher.put("203.0.113.7")
    status, _, headers = publisher.fetch()
    assert status == 200
    status, body, _ = publisher.fetch(HTTP_IF_NONE_MATCH=f'W/{headers["ETag"]}, "other"')
    assert (status, body) == (304, b"")
    assert publisher.fetch(HTTP_IF_NONE_MATCH='"other"')[0] == 200
    assert publisher.fetch(HTTP_IF_MODIFIED_SINCE=headers["Last-Modified"])[0] == 304
    assert publisher.fetch(HTTP_IF_MODIFIED_SINCE=formatdate(0, usegmt=True))[0] == 200
    assert publisher.fetch(HTTP_IF_MODIFIED_SINCE="yesterday")[0] == 200


@pytest.mark.parametrize("authorization", ["", "Bearer token", "Basic " + base64.b64encode(b"fw1:wrong").decode()])
def test_the_list_is_for_its_readers_only(publisher: Publisher, authorization: str):
    status, body, _ = publisher.call("GET", "/feeds/blocklist.txt", authorization=authorization)
    assert status == 401
    assert b"#" not in body


def test_only_the_holder_of_the_token_changes_lists(publisher: Publisher):
    for method in ("PUT", "DELETE", "GET"):
        assert publisher.call(method, "/api/v1/blocklist/blocklist/203.0.113.7", {"ttl": 1}, "Bearer no")[0] == 401


@pytest.mark.parametrize("body", [{}, {"ttl": 0}, {"ttl": "1h"}, {"ttl": True}, {"ttl": 10**12}, [], None])
def test_an_entry_without_a_sensible_end_is_refused(publisher: Publisher, body: Any):
    assert publisher.call("PUT", "/api/v1/blocklist/blocklist/203.0.113.7", body)[0] in (400, 411)


def test_a_full_list_takes_no_more(publisher: Publisher):
    publisher = Publisher(Bounds(entries=2))
    assert [publisher.put(f"203.0.113.{n}")[0] for n in (1, 2, 3)] == [200, 200, 409]
    assert publisher.put("203.0.113.2")[0] == 200


def test_a_list_that_jumps_is_published_only_after_somebody_said_so(publisher: Publisher):
    for number in range(10):
        publisher.book.put("blocklist", f"203.0.113.{number}", seconds=DAY)
    assert len(publisher.lines()) == 11
    for number in range(150):
        publisher.book.put("blocklist", f"192.0.2.{number}", seconds=DAY)
    assert publisher.fetch()[0] == 503
    accepted = publisher.call("POST", "/api/v1/blocklist/blocklist/accept", {})
    assert json.loads(accepted[1])["entries"] == 160
    assert len(publisher.lines()) == 161


def test_an_entry_can_be_asked_for_with_its_end_its_lease_and_its_comment(publisher: Publisher):
    publisher.put("2001:DB8::1", ttl=60)
    status, body, _ = publisher.call("GET", "/api/v1/blocklist/blocklist/2001:db8:0::1")
    assert status == 200
    assert json.loads(body) == {
        "ok": True, "listed": True, "kind": "ip", "entry": "2001:db8::1", "until": "2026-01-01T00:01:00Z",
        "lease": "L1", "comment": "case 128", "held": "",
    }  # fmt: skip
    publisher.clock.advance(61)
    status, body, _ = publisher.call("GET", "/api/v1/blocklist/blocklist/2001:db8::1")
    assert status == 404
    assert json.loads(body)["listed"] is False
    assert json.loads(body)["kind"] == "ip"


def test_an_address_of_nothing_is_not_mistaken_for_an_entry_that_is_not_listed(publisher: Publisher):
    status, body, _ = publisher.call("GET", "/api/v1/blocklist-of-old/203.0.113.7")
    assert status == 404
    assert "listed" not in json.loads(body)
    assert publisher.call("GET", "/api/v1/blocklist/other/203.0.113.7")[0] == 409


def held(publisher: Publisher, entry: str) -> str:
    return str(json.loads(publisher.call("GET", f"/api/v1/blocklist/blocklist/{entry}")[1])["held"])


def test_an_entry_that_consumers_do_not_get_says_why(publisher: Publisher):
    publisher.put("203.0.113.7")
    publisher.policy = Policy.parse("firewall: {own: [203.0.113.7/32]}")
    assert "firewall.own" in held(publisher, "203.0.113.7")


def test_asking_for_an_entry_of_a_list_that_jumped_says_so_and_publishes_nothing(publisher: Publisher):
    publisher.put("203.0.113.7")
    publisher.lines()
    for number in range(150):
        publisher.book.put("blocklist", f"192.0.2.{number}", seconds=DAY)
    assert "would change from 1 to 151" in held(publisher, "192.0.2.1")
    assert held(publisher, "203.0.113.7") == ""
    assert publisher.fetch()[0] == 503
    publisher.book.accept("blocklist")
    assert held(publisher, "192.0.2.1") == ""


def test_a_link_that_has_become_protected_can_be_taken_off_whatever_its_letters(publisher: Publisher):
    publisher.put("https://evil.example.net/A/b", name="links")
    publisher.policy = Policy.parse("domains: {own: [evil.example.net]}")
    assert publisher.book.remove("links", "https://evil.example.net/A/b")


def test_a_hundred_pollers_read_the_same_whole_list_while_it_changes(publisher: Publisher):
    for number in range(100):
        publisher.book.put("blocklist", f"203.0.113.{number}", seconds=DAY)
    read: list[bool] = []

    def poll() -> None:
        for _ in range(5):
            lines = publisher.lines()
            read.append(int(lines[0].split()[3]) == len(lines) - 1)

    threads = [threading.Thread(target=poll) for _ in range(100)]
    for thread in threads:
        thread.start()
    for number in range(100, 120):
        publisher.book.put("blocklist", f"203.0.113.{number}", seconds=DAY)
    for thread in threads:
        thread.join()
    assert len(read) == 500
    assert all(read)


def test_the_book_itself_says_what_is_wrong():
    book = Publisher().book
    with pytest.raises(Refused):
        book.put("blocklist", "10.0.0.1", seconds=60)
    with pytest.raises(InputError):
        book.put("blocklist", "nonsense", seconds=60)
    with pytest.raises(FeedError, match="configured are"):
        book.put("other", "203.0.113.7", seconds=60)
