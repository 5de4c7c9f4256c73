#!/usr/bin/env python3
"""What several nodes on one PostgreSQL do in the time in which one node on SQLite does it.

    python bench/bench_cluster.py [--events N] [--rounds N] [--service N] [--full]

PostgreSQL is started for this, on this machine, with its commits synced to disk as SQLite's are. Every row is measured
in each round, in turn; medians are printed, with the ratio to one node on SQLite.

intake   Wazuh alerts of 3 KB, handed in by eight senders at each node and committed together, as the hooks do it.
steps    the engine's loop over steps that do nothing outside: each alert is a record, three steps and, one in four, an
         audit line. It is what the store itself allows: nobody's network or TheHive is in it.
waiting  the same, where each step waits 20 ms for somebody else, as for an answer of TheHive: what more nodes are for.
service  (with --service N) so many alerts through whole services against the lab, which is one process and the slowest
         of all; it shows that the parts work together more than how fast they could.

`--full`: 100,000 alerts in `intake` and `steps`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a clone, without installing it
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "crash"))

from postgres_server import PostgresServer  # noqa: E402

from playbook_service.audit.journal import Journal  # noqa: E402
from playbook_service.engine.loop import Loop  # noqa: E402
from playbook_service.engine.step import Done, Outcome, follow  # noqa: E402
from playbook_service.intake.committer import Committer, Event  # noqa: E402
from playbook_service.store.contract import Item, Store, Transaction  # noqa: E402
from playbook_service.store.postgres import PostgresStore  # noqa: E402
from playbook_service.store.sqlite import SqliteStore  # noqa: E402
from propolis.clock import SystemClock  # noqa: E402

CLOCK = SystemClock()
SENDERS, THREADS, SIZE, STEPS = 8, 4, 3_000, 3
WAIT = 0.02
BODY = {"from": "bench", "alert": {"full_log": "x" * (SIZE - 60)}}


class Setup(NamedTuple):
    """Where the store is, and how many nodes work on it."""

    name: str
    nodes: int
    postgres: bool


SETUPS = (
    Setup("1 node, SQLite", 1, False),
    Setup("1 node, PostgreSQL", 1, True),
    Setup("3 nodes, PostgreSQL", 3, True),
)


def open_store(place: str) -> Store:
    """By its URL, or by its path."""
    return PostgresStore(place, CLOCK) if place.startswith("postgres") else SqliteStore(place, CLOCK)


# --- what a node does (a process of its own) -----------------------------------------------------------------------


def intake(store: Store, node: int, events: int) -> None:
    """Hand so many events in, by eight senders at once."""
    with Committer(store, CLOCK, backlog_limit=10**9) as committer:

        def send(sender: int) -> None:
            for number in range(sender, events, SENDERS):
                committer.commit([Event(f"bench:{node}:{number}", BODY)])

        run_all([lambda sender=sender: send(sender) for sender in range(SENDERS)])  # type: ignore[misc]


def steps(store: Store, node: int, wait: float) -> None:
    """Work off what is there."""
    journal = Journal(store, CLOCK)

    def first(item: Item) -> Outcome:
        CLOCK.sleep(wait)

        def commit(work: Transaction) -> None:
            if work.get("alert", item.key) is None:
                work.save("alert", item.key, {"text": "x" * 1000}, version=0, state="new")
            follow(work, "next", f"1:{item.key}", number=1, alert=item.key)

        return Done(commit)

    def following(item: Item) -> Outcome:
        CLOCK.sleep(wait)
        number, alert = item.body["number"], item.body["alert"]

        def commit(work: Transaction) -> None:
            record = work.get("alert", alert)
            assert record is not None
            work.save("alert", alert, record.body, version=record.version, state=f"s{number}")
            if number + 1 < STEPS:
                follow(work, "next", f"{number + 1}:{alert}", number=number + 1, alert=alert)
            elif alert.endswith(("0", "4", "8")) or alert[-2:] in ("11", "33", "55", "77", "99"):
                journal.write(work, "bench", alert=alert)

        return Done(commit)

    loop = Loop(
        store, CLOCK, {"bench": first, "next": following}, owner=f"node-{node}", buried=lambda *_: None,
    )  # fmt: skip
    loop.start(THREADS)
    sys.stdin.readline()
    loop.stop()


def serve(asked: argparse.Namespace) -> None:
    """One node: say that it is ready, wait for the word, work."""
    store = open_store(asked.store)
    store.check()
    print("ready", flush=True)
    sys.stdin.readline()
    if asked.role == "intake":
        intake(store, asked.node, asked.events)
    else:
        steps(store, asked.node, WAIT if asked.role == "waiting" else 0.0)
    store.close()


def run_all(acts: list[Callable[[], None]]) -> None:
    """All at once, to the end."""
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- the measurement -----------------------------------------------------------------------------------------------


class Nodes:
    """So many processes over one store. Use as a context manager."""

    def __init__(self, role: str, setup: Setup, place: str, events: int):
        command = [sys.executable, __file__, "--role", role, "--store", place, "--events", str(events // setup.nodes)]
        self._processes = [
            subprocess.Popen([*command, "--node", str(node)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for node in range(setup.nodes)
        ]

    def __enter__(self) -> Nodes:
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise SystemExit("a node did not come up")
        return self

    def tell(self, word: str) -> None:
        """A line to each of them."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{word}\n")
            process.stdin.flush()

    def wait(self) -> None:
        """Until they have ended by themselves."""
        if any(process.wait() for process in self._processes):
            raise SystemExit("a node failed")

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def measure(role: str, setup: Setup, place: str, events: int) -> float:
    """Alerts a second."""
    store = open_store(place)
    events -= events % setup.nodes
    if role != "intake":
        for first in range(0, events, 500):
            with store.transaction() as work:
                for number in range(first, min(events, first + 500)):
                    work.put("inbox", f"a{number}", BODY)
    with Nodes(role, setup, place, events) as nodes:
        began = CLOCK.monotonic()
        nodes.tell("go")
        if role != "intake":
            while left(store):
                CLOCK.sleep(0.05)
            seconds = CLOCK.monotonic() - began
            nodes.tell("stop")
            nodes.wait()
        else:
            nodes.wait()
            seconds = CLOCK.monotonic() - began
    check(role, store, events)
    store.close()
    return events / seconds


def left(store: Store) -> int:
    """What is not done yet."""
    with store.transaction() as work:
        inbox, queue = work.backlog("inbox"), work.backlog("step")
    return inbox.waiting + inbox.claimed + queue.waiting + queue.claimed


def check(role: str, store: Store, events: int) -> None:
    """A fast store that loses something is not what is measured here."""
    with store.transaction() as work:
        waiting, done = work.backlog("inbox").waiting, work.count("alert")
    if (waiting if role == "intake" else done) != events or Journal(store, CLOCK).verify():
        raise SystemExit(f"{role}: {waiting:,} wait and {done:,} are done of {events:,}")


def service(setup: Setup, place: str, events: int) -> float:
    """Alerts a second through whole services against the lab; one in forty leads to a case and a containment."""
    from cluster import undisturbed  # only where it is asked for

    with tempfile.TemporaryDirectory() as folder:
        found = undisturbed(
            Path(folder), events=events, nodes=setup.nodes, one_in=40, store=place if setup.postgres else "",
            patience=120 + events / 3,
        )  # fmt: skip
    if found.broken:
        raise SystemExit("\n".join(found.broken))
    return events / found.seconds


def table(role: str, events: int, rounds: int, folder: str | None) -> dict[str, float]:
    """All setups in turn; prints and returns the medians."""
    runs: dict[str, list[float]] = {setup.name: [] for setup in SETUPS}
    for _ in range(rounds):
        for setup in SETUPS:
            with tempfile.TemporaryDirectory(dir=folder) as place, PostgresServer(durable=True, place=folder) as server:
                store = server.database() if setup.postgres else f"{place}/propolis.db"
                act = service if role == "service" else lambda *given: measure(role, *given)
                runs[setup.name].append(act(setup, store, events))
    medians = {name: statistics.median(found) for name, found in runs.items()}
    base = medians[SETUPS[0].name]
    print(f"{role}: {events:,} alerts, median of {rounds}")
    for name, rate in medians.items():
        print(f"  {name:22} {rate:9,.0f} alerts/s   {rate / base:5.2f} x one node on SQLite", flush=True)
    return medians


def main() -> int:
    """Print a table for each kind of work."""
    parser = argparse.ArgumentParser(description="Several nodes on PostgreSQL beside one on SQLite.")
    parser.add_argument("--events", type=int, default=4_000, help="alerts in each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--service", type=int, default=0, help="alerts through whole services, too")
    parser.add_argument("--full", action="store_true", help="100,000 alerts, one round")
    parser.add_argument("--place", help="folder on the disk to be measured (default: the system's temporary folder)")
    parser.add_argument("--only", choices=("intake", "steps", "waiting", "service"))
    parser.add_argument("--format", choices=("text", "json"), default="text")
    for hidden in ("--role", "--store", "--node"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role:
        serve(asked)
        return 0
    events, rounds = (100_000, 1) if asked.full else (asked.events, asked.rounds)
    wanted = {"intake": events, "steps": events, "waiting": min(events, 4_000), "service": asked.service}
    found = {
        role: table(role, count, rounds if role != "service" else 1, asked.place)
        for role, count in wanted.items()
        if count and asked.only in (None, role)
    }
    if asked.format == "json":
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
