#!/usr/bin/env python3
"""What it costs to publish a block list of 50,000 entries to a hundred firewalls.

    python bench/bench_feed.py [--entries N] [--pollers N] [--rounds N]

The service's book and pages on its own server and its SQLite store, in a process of its own; the pollers, one thread
each with a new connection for every fetch, as firewalls do it, in this one. In turn, `--rounds` times, medians:

- one poller after another, and all of them at once: how much of the server's work is shared;
- the same with the ETag of the page they have: what a conditional GET saves;
- a baseline that renders the page for every request, and one that reads the store for every request, too.

Over loopback bytes cost next to nothing, so an ETag saves little time here; on a line it saves the bytes that the table
says. Budget: a hundred pollers at once take at most twice as long as the same fetches one after another, a page that is
kept is at least three times as fast as one that is rendered, and the server grows by less than twenty pages.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a clone, without installing it

from playbook_service.feed.book import FeedBook  # noqa: E402
from playbook_service.feed.page import Form, Page  # noqa: E402
from playbook_service.feed.routes import FeedPages  # noqa: E402
from playbook_service.store.sqlite import SqliteStore  # noqa: E402
from playbook_service.web.application import Application  # noqa: E402
from playbook_service.web.server import Server  # noqa: E402
from propolis.clock import SystemClock  # noqa: E402
from propolis.guardrails import Policy  # noqa: E402

CLOCK = SystemClock()
READER = "bench:bench-s3cret"
TOGETHER, KEPT, GROWTH = 2.0, 3.0, 20


class Rendering(FeedBook):
    """The baseline that keeps no page."""

    def page(self, name: str, form: Form = Form()) -> Page:  # noqa: B008
        with self._lock:
            if name in self._live:
                self._live[name].pages.clear()
        return super().page(name, form)


class Reading(FeedBook):
    """The baseline that keeps nothing but the policy's word on each entry."""

    def page(self, name: str, form: Form = Form()) -> Page:  # noqa: B008
        with self._lock:
            self._live.pop(name, None)
        return super().page(name, form)


BOOKS = {"service": FeedBook, "rendering": Rendering, "reading": Reading}


def serve(kind: str, folder: str, entries: int) -> None:
    """A full list until the standard input ends."""
    store = SqliteStore(Path(folder) / "propolis.db", CLOCK)
    with store.transaction() as work:  # as the book keeps them; one by one each would be a commit to disk
        for number in range(entries):
            entry = f"185.{number // 65_536}.{number // 256 % 256}.{number % 256}"
            work.save("feed:bench", entry, {"lease": "", "comment": ""}, due=CLOCK.now() + 86_400)
    policy = Policy.parse("firewall: {own: [198.51.100.0/24]}")
    pages = FeedPages(BOOKS[kind](store, CLOCK, lambda: policy, {"bench": "ip"}), [READER])
    server = Server(("127.0.0.1", 0), Application(pages.routes()), CLOCK)
    threading.Thread(target=server.run, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


class Pollers:
    """Fetches from one server."""

    def __init__(self, port: int, process: int):
        self.process = process
        self._port = port
        self._basic = "Basic " + base64.b64encode(READER.encode()).decode()

    def fetch(self, etag: str = "") -> tuple[int, str]:
        """One fetch: bytes of the body, and its ETag."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        headers = {"Authorization": self._basic, **({"If-None-Match": etag} if etag else {})}
        connection.request("GET", "/feeds/bench.txt", headers=headers)
        answer = connection.getresponse()
        if answer.status != (304 if etag else 200):
            raise SystemExit(f"not published: {answer.status} {answer.read()!r}")
        size = len(answer.read())
        connection.close()
        return size, str(answer.getheader("ETag"))

    def one_by_one(self, count: int, etag: str = "") -> float:
        """Seconds for so many fetches, one after another."""
        began = CLOCK.monotonic()
        for _ in range(count):
            self.fetch(etag)
        return CLOCK.monotonic() - began

    def at_once(self, count: int, etag: str = "") -> float:
        """Seconds for so many pollers at the same moment."""
        start = threading.Barrier(count + 1)

        def wait_and_fetch(_: int) -> None:
            start.wait()
            self.fetch(etag)

        with ThreadPoolExecutor(count) as pool:
            running = pool.map(wait_and_fetch, range(count))
            start.wait()
            began = CLOCK.monotonic()
            for _ in running:
                pass
            return CLOCK.monotonic() - began


def with_server(kind: str, entries: int, use: Callable[[Pollers], None]) -> None:
    """Start a server process, hand its pollers over, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", kind, "--folder", folder, "--entries", str(entries)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            use(Pollers(int(process.stdout.readline()), process.pid))
        finally:
            process.stdin.close()
            process.wait(timeout=60)
            process.stdout.close()


class Measured(NamedTuple):
    """Seconds for as many fetches as there are pollers; bytes of a page, and of the answer to who has it; what the
    server's memory grew by, in pages."""

    single: float
    crowd: float
    single_known: float
    crowd_known: float
    size: float
    size_known: float
    growth: float


def measure(entries: int, pollers: int, rounds: int) -> Measured:
    """The service's own numbers."""
    found: list[Measured] = []

    def use(at: Pollers) -> None:
        size, etag = at.fetch()
        before = resident(at.process)
        for _ in range(rounds):
            times = (
                at.one_by_one(pollers),
                at.at_once(pollers),
                at.one_by_one(pollers, etag),
                at.at_once(pollers, etag),
            )
            found.append(Measured(*times, size, at.fetch(etag)[0], (resident(at.process) - before) * 1024 / size))

    with_server("service", entries, use)
    return Measured(*map(statistics.median, zip(*found, strict=True)))


def baseline(kind: str, entries: int, fetches: int) -> float:
    """Seconds for one fetch of a baseline."""
    found: list[float] = []

    def use(at: Pollers) -> None:
        at.fetch()
        found.append(at.one_by_one(fetches) / fetches)

    with_server(kind, entries, use)
    return found[0]


def resident(process: int) -> int:
    """KiB of memory that a process holds now."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("the process is gone")


def main() -> int:
    """Print the table; 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description="Publishing a long block list to many firewalls.")
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--pollers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve, asked.folder, asked.entries)
        return 0
    own = measure(asked.entries, asked.pollers, asked.rounds)
    each = own.single / asked.pollers
    print(f"{asked.entries:,} entries, {asked.pollers} pollers, median of {asked.rounds} rounds")
    rows = (
        ("one after another", own.single, own.size), ("all at once", own.crowd, own.size),
        ("one after another, with ETag", own.single_known, own.size_known),
        ("all at once, with ETag", own.crowd_known, own.size_known),
    )  # fmt: skip
    for name, seconds, size in rows:
        print(f"{name:32} {asked.pollers / seconds:6,.0f} fetches/s {size:10,.0f} bytes", end="")
        print(f" {seconds / own.single:8.2f} x one after another")
    costs = {kind: baseline(kind, asked.entries, 5) / each for kind in ("rendering", "reading")}
    for kind, name in (("rendering", "rendered for every fetch"), ("reading", "read and rendered for each")):
        print(f"{name:32} {1 / costs[kind] / each:6,.0f} fetches/s {own.size:10,.0f} bytes", end="")
        print(f" {costs[kind]:8.2f} x one after another")
    print(f"memory of the server: {own.growth:+.1f} pages")
    met = own.crowd < TOGETHER * own.single and costs["rendering"] > KEPT and own.growth < GROWTH
    print(f"budget: at once < {TOGETHER:g} x, kept > {KEPT:g} x as fast, memory < {GROWTH} pages:", end=" ")
    print("met" if met else "MISSED")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
