"""A hundred firewalls fetch 50,000 entries at the same moment: each gets the whole list, soon, and all the same one."""

from __future__ import annotations

import base64
import hashlib
import http.client
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import NamedTuple

import pytest
from feed_server import DAY, READERS, FeedServer

from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock

POLLERS, ENTRIES = 100, 50_000
BASIC = "Basic " + base64.b64encode(READERS[0].encode()).decode()


class Polled(NamedTuple):
    status: int
    etag: str
    digest: str
    lines: int
    said: int
    """How many lines the header line announces."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeedServer]:
    clock = ManualClock()
    store = SqliteStore(tmp_path_factory.mktemp("crowd") / "propolis.db", clock)
    with store.transaction() as work:  # as the book keeps them; one by one each would be a commit to disk
        for number in range(ENTRIES - 10):
            entry = f"185.{number // 65_536}.{number // 256 % 256}.{number % 256}"
            work.save("feed:blocklist", entry, {"lease": "", "comment": "case 128"}, due=clock.now() + 30 * DAY)
    with FeedServer(clock, store=store) as made:
        yield made
    store.close()


def poll(server: FeedServer, known: str = "") -> Polled:
    """One fetch that keeps nothing of what it reads."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server.port, timeout=60)
    headers = {"Authorization": BASIC, **({"If-None-Match": known} if known else {})}
    connection.request("GET", "/feeds/blocklist.txt", headers=headers)
    answer = connection.getresponse()
    digest, lines, said = hashlib.sha256(), 0, 0
    while piece := answer.read(16_384):
        said = said or int(piece.split(b" ", 4)[3]) + 1
        digest.update(piece)
        lines += piece.count(b"\n")
    connection.close()
    return Polled(answer.status, str(answer.getheader("ETag")), digest.hexdigest()[:32], lines, said)


def crowd(server: FeedServer, known: str = "") -> tuple[list[Polled], float]:
    """All of them at once; what they read, and the seconds that it took."""
    start = Barrier(POLLERS + 1)

    def wait_and_poll(_: int) -> Polled:
        start.wait()
        return poll(server, known)

    with ThreadPoolExecutor(POLLERS) as pool:
        running = pool.map(wait_and_poll, range(POLLERS))
        start.wait()
        began = time.monotonic()
        return list(running), time.monotonic() - began


def test_a_hundred_that_come_at_once_get_the_one_page_that_was_made_for_the_first(server: FeedServer):
    server.protect("firewall: {own: [198.51.100.0/25], max_prefix_v4: 24}")  # so every entry is judged anew
    began = time.monotonic()
    poll(server)
    alone = time.monotonic() - began
    server.protect("firewall: {own: [198.51.100.0/26], max_prefix_v4: 24}")
    polled, together = crowd(server)
    assert len(set(polled)) == 1
    page = polled[0]
    assert page.status == 200
    assert page.lines == page.said == ENTRIES - 10 + 1
    assert page.etag == f'"{page.digest}"'
    assert together < 5 * alone + 5  # and not a hundred times


def test_a_hundred_that_have_it_already_are_told_so_and_get_nothing(server: FeedServer):
    etag = poll(server).etag
    polled, together = crowd(server, known=etag)
    assert {(answer.status, answer.lines) for answer in polled} == {(304, 0)}
    assert together < 5


def test_while_the_list_changes_each_gets_one_of_its_states_whole(server: FeedServer):
    poll(server)
    with ThreadPoolExecutor(1) as changer:
        changing = changer.submit(lambda: [server.put(f"186.0.0.{number}", seconds=DAY) for number in range(3)])
        polled, _ = crowd(server)
        changing.result()
    assert {answer.status for answer in polled} == {200}
    assert all(answer.lines == answer.said and answer.etag == f'"{answer.digest}"' for answer in polled)


def test_a_hundred_readers_need_no_hundred_copies(server: FeedServer):
    size = len(server.fetch().body)
    tracemalloc.start()
    try:
        crowd(server)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < POLLERS * size / 2
