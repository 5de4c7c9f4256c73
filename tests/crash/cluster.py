#!/usr/bin/env python3
"""Several nodes on one PostgreSQL, of which one is killed in the middle of its work; then everything is counted.

    python tests/crash/cluster.py [--events 2000] [--nodes 3] [--full]

The lab runs in this process, each node in a process of its own. TheHive tells every node of everything, Wazuh's alerts
go to the nodes in turn. Most alerts are of no account, as in life; one in so many leads to a case, to a containment or
to a question, and to the undo at its end.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run from a clone, without installing it
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import Harness, Life, Reckoning, open_store, opened
from postgres_server import PostgresServer
from world import CLOCK, KINDS, NOISE, World

_TICK = 0.5  # seconds between two rounds of the timer that writes audit files, in `child.SHORT`
_DONE = "select owner, count(*) from work where state = 'done' group by owner"
_TIMER = "select attempts from work where key = 'tick-audit:timer'"


class Outcome(NamedTuple):
    """How a run went; `broken` is empty where every promise was kept."""

    broken: list[str]
    counts: dict[str, int]
    shares: list[float]
    """Of all steps, what each node did."""
    seconds: float
    """From the first alert to rest."""
    events: int
    """What was taken in: Wazuh's alerts, and what TheHive told the nodes of them."""


class Cluster:
    """Nodes of one world. Use as a context manager."""

    def __init__(self, world: World):
        self.world = world
        self._stack = ExitStack()
        self._harness = Harness(world)
        self.nodes: list[Life] = []

    def __enter__(self) -> Cluster:
        self.world.data().mkdir(parents=True, exist_ok=True)
        open_store(self.world).close()  # makes the tables
        self.nodes = [self._stack.enter_context(Life(self.world, node=number)) for number in range(self._size)]
        self._began = CLOCK.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def _size(self) -> int:
        return len(self.world.ports)

    def send(self, events: int, one_in: int) -> None:
        """So many alerts to the nodes in turn, each until it is acknowledged by one that lives."""
        for number in range(events):
            kind = NOISE if number % one_in else KINDS[number // one_in % len(KINDS)]
            while not self.world.send(kind, self._living(number)):
                if not any(not node.ended for node in self.nodes):
                    raise AssertionError(f"no node lives: {self._harness.last_words()}")
            if number % 50 == 0:
                self.world.answer()

    def _living(self, number: int) -> Life:
        living = [node for node in self.nodes if not node.ended]
        return living[number % len(living)]

    def kill_one_when(self, done: int, patience: float = 300.0) -> None:
        """Kill the last node as soon as so many pieces of work are done and it has one in its hands."""
        mine = f"select count(*) from work where state = 'claimed' and owner like '%:{self.nodes[-1].process_id}/%'"
        end = CLOCK.monotonic() + patience
        while self._one("select count(*) from work where state = 'done'") < done or not self._one(mine):
            if CLOCK.monotonic() > end:
                raise AssertionError(f"nothing to kill in {patience:.0f} s: {self._harness.last_words()}")
            CLOCK.sleep(0.01)
        self.nodes[-1].kill()

    def rest(self, patience: float) -> float:
        """Wait until nothing is under way; returns the seconds since the nodes were started."""
        end, quiet, at = CLOCK.monotonic() + patience, 0, 0.0
        while quiet < 4:
            CLOCK.sleep(0.25)
            self.world.answer(everything=True)
            left = self._harness.under_way()
            quiet = 0 if left else quiet + 1
            at = at if quiet > 1 else CLOCK.monotonic() - self._began
            if CLOCK.monotonic() > end:
                raise AssertionError(f"not at rest after {patience:.0f} s: {len(left)} left, {left[:5]}")
        return at

    def reckon(self, seconds: float, dead: int) -> Outcome:
        """Count. `dead` nodes were killed; the others must have done their share."""
        rounds = self._one(_TIMER)
        alive = CLOCK.monotonic() - self._began
        for node in self.nodes[: self._size - dead]:
            node.stop()
        found = Reckoning(self.world)
        broken, shares = list(found.broken), self._shares()
        alive_shares = shares[: self._size - dead]  # what a killed node did depends on when it died
        if min(alive_shares) < 0.3 / self._size or min(shares) == 0:
            broken.append(f"work was not shared: {[f'{share:.0%}' for share in shares]}")
        if rounds > alive / _TICK + self._size:
            broken.append(f"a timer ran {rounds} times in {alive:.0f} s, where every {_TICK} s is right")
        undone = Counter(deed.lease for deed in self.world.deeds() if deed.action == "release")
        twice = [lease for lease, count in undone.items() if count > 1]
        if twice:
            broken.append(f"leases were ended more than once: {twice}")
        events = self._one("select count(*) from work where queue = 'inbox' and state = 'done'")
        return Outcome(broken, found.counts, shares, seconds, events)

    def _shares(self) -> list[float]:
        with closing(opened(self.world)) as database:
            rows = database.execute(_DONE).fetchall()
        by_process: Counter[str] = Counter()
        for owner, count in rows:
            by_process[re.sub(r"^.*:(\d+)/\d+$", r"\1", owner)] += count
        total = sum(by_process.values()) or 1
        return [by_process[str(node.process_id)] / total for node in self.nodes]

    def _one(self, sql: str) -> int:
        with closing(opened(self.world)) as database:
            row: Any = database.execute(sql).fetchone()
        return int(row[0]) if row else 0


def run(folder: Path, *, events: int, nodes: int, one_in: int, patience: float) -> Outcome:
    """A whole run, with a kill. Raises AssertionError where it does not come to rest."""
    with (
        PostgresServer(durable=True) as server,
        World(folder, 5, 1, store=server.database(), nodes=nodes) as world,
        Cluster(world) as cluster,
    ):
        cluster.send(events // 2, one_in)
        cluster.kill_one_when(events // 4)
        cluster.send(events - events // 2, one_in)
        return cluster.reckon(cluster.rest(patience), dead=1)


def undisturbed(folder: Path, *, events: int, nodes: int, one_in: int, store: str, patience: float) -> Outcome:
    """A run without a kill, on any store (empty: SQLite, of one node). For benchmarks."""
    with World(folder, 5, 1, store=store, nodes=nodes) as world, Cluster(world) as cluster:
        cluster.send(events, one_in)
        return cluster.reckon(cluster.rest(patience), dead=0)


def main() -> int:
    """Run and print; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description="Several nodes, one killed: nothing lost, nothing doubled.")
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--one-in", type=int, default=40, help="one alert in so many leads to a case (default: 40)")
    parser.add_argument("--full", action="store_true", help="23,500 alerts, one in 320: 100,000 events")
    asked = parser.parse_args()
    events, one_in = (23_500, 320) if asked.full else (asked.events, asked.one_in)
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), events=events, nodes=asked.nodes, one_in=one_in, patience=120 + events / 5)
    print(f"{events:,} alerts, {asked.nodes} nodes, one killed: at rest after {found.seconds:.0f} s", end="")
    shares = ", ".join(f"{share:.0%}" for share in found.shares)
    print(f" ({events / found.seconds:.0f} alerts/s), {found.events:,} events; shares {shares}")
    for name, count in found.counts.items():
        print(f"{count:9,}  {name}")
    for sentence in found.broken:
        print(f"BROKEN: {sentence}")
    return int(bool(found.broken))


if __name__ == "__main__":
    sys.exit(main())
