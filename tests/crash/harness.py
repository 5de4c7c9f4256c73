#!/usr/bin/env python3
"""Kill the service again and again, then see whether it kept its promises.

    python tests/crash/harness.py [--kills 300] [--seed 1] [--version 4|5] [--points] [--store postgres]

The lab runs in this process, the service in a child that is killed with SIGKILL: at the named points of
`playbook_service.engine.crashpoint` (`--points`: each once), and at random moments while alerts come in, analysts
answer and TheHive misbehaves. All lives share one store. At the end the service is left alone until nothing is under
way, and everything is counted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run from a clone, without installing it
sys.path.insert(0, str(Path(__file__).resolve().parent))

from world import CLOCK, KINDS, NOISE, World

from playbook_service.audit import index
from playbook_service.audit.journal import AuditFiles, Journal, read_lines
from playbook_service.engine import decided
from playbook_service.engine.crashpoint import POINTS, VARIABLE
from playbook_service.store.contract import Filter, Store
from playbook_service.store.sqlite import SqliteStore

_REST_EVERY = 50  # kills, after which what has piled up is let through
CHILD = Path(__file__).with_name("child.py")
_UNDER_WAY = (
    "select queue, key, state, attempts, error from work where state in ('waiting', 'claimed') "
    "and key not like 'reconcile:%' and key not like '%:timer'"
)


def opened(world: World) -> Any:
    """The store's own database, past the service."""
    if not world.store:
        return sqlite3.connect(world.data() / "propolis.db", timeout=10)
    import psycopg  # the SQL of this module is the same in both

    return psycopg.connect(world.store, autocommit=True, options="-c search_path=propolis")


def open_store(world: World) -> Store:
    """The store, as a service opens it."""
    if not world.store:
        return SqliteStore(world.data() / "propolis.db", CLOCK)
    from playbook_service.store.postgres import PostgresStore

    return PostgresStore(world.store, CLOCK)


def audit_files(world: World) -> list[list[Path]]:
    """The audit files of each node."""
    return [AuditFiles(world.data(node) / "audit").paths() for node in range(len(world.ports))]


class Life:
    """One life of a node. `crash_at` is a named point, with a count behind a colon where it is not the first."""

    def __init__(self, world: World, crash_at: str = "", *, node: int = 0):
        self.node = node
        self._log = (world.folder / "service.log").open("ab")
        environment = {**os.environ, **world.settings(node), VARIABLE: crash_at}
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD)], env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    @property
    def process_id(self) -> int:
        """Of the node, or of what it was."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is dead."""
        return self._process.poll() is not None

    def __enter__(self) -> Life:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing that was started is left behind, whatever went wrong."""
        if not self._log.closed:
            self.kill()

    def kill(self) -> None:
        """As a power cut does it."""
        self._process.kill()
        self._bury()

    def stop(self) -> None:
        """As an operator does it."""
        self._process.terminate()
        self._bury()

    def _bury(self) -> int:
        code = self._process.wait(timeout=30)
        self._log.close()
        return code

    def crashed(self) -> bool:
        """Whether it ended by its own hand at a named point."""
        return self._bury() == -signal.SIGKILL


class Harness:
    """Lives, kills and the reckoning over one world."""

    def __init__(self, world: World):
        self.world = world
        self.kills = 0
        self.missed: list[str] = []
        """Named points that no life came by."""

    def at_points(self, points: list[str], patience: float = 30.0) -> None:
        """A life for each named point, that ends there."""
        for point in points:
            with Life(self.world, point) as life:
                self._live(life, patience)
                if not life.ended:
                    self.missed.append(point)
                    life.kill()
                elif not life.crashed():
                    raise AssertionError(f"the service ended by itself: {self.last_words()}")
            self.kills += 1

    def _live(self, life: Life, patience: float) -> None:
        """Send an alert of each kind now and then, and answer questions, until it dies or patience ends."""
        end, send_at = CLOCK.monotonic() + patience, 0.0
        while not life.ended and CLOCK.monotonic() < end:
            if CLOCK.monotonic() > send_at:
                send_at = CLOCK.monotonic() + 4.0
                for kind in ("block", "ask"):
                    self.world.send(kind, life)
            self.world.answer()
            CLOCK.sleep(0.05)

    def at_random(self, kills: int) -> None:
        """Lives of random length, with alerts, answers and faults in them."""
        chance = self.world.chance
        for number in range(kills):
            if number and number % _REST_EVERY == 0:
                self.rest()
            with Life(self.world) as life:
                if not self.world.send(chance.choice(KINDS), life):
                    raise AssertionError(f"the service does not come up: {self.last_words()}")
                if chance.random() < 0.5:
                    self.world.storm()
                end = CLOCK.monotonic() + chance.uniform(0.0, 1.5)
                while CLOCK.monotonic() < end:
                    if chance.random() < 0.2:
                        self.world.send(chance.choice(KINDS), life)
                    self.world.answer()
                    CLOCK.sleep(0.05)
                life.kill()
            self.kills += 1
            self.world.calm()

    def rest(self, patience: float = 90.0) -> None:
        """One more life, undisturbed, until nothing is under way. Raises AssertionError where that does not come."""
        with Life(self.world) as life:
            end, quiet = CLOCK.monotonic() + patience, 0
            while quiet < 5:
                CLOCK.sleep(0.2)
                self.world.answer(everything=True)
                quiet = 0 if self.under_way() else quiet + 1
                if life.ended:
                    raise AssertionError(f"the service ended by itself: {self.last_words()}")
                if CLOCK.monotonic() > end:
                    raise AssertionError(f"not at rest after {patience:.0f} s: {self.under_way()[:10]}")
            life.stop()

    def under_way(self) -> list[Any]:
        """Work that is neither done nor dead, timers left out, and audit lines that are in no file yet."""
        if not self.world.store and not (self.world.data() / "propolis.db").exists():
            return [("no store yet",)]
        try:
            with closing(opened(self.world)) as database:
                found = database.execute(_UNDER_WAY).fetchall()
                (written,) = database.execute("select count(*) from log where log = 'audit'").fetchone()
        except sqlite3.OperationalError:
            return [("no store yet",)]
        lacking = written - max(len(list(read_lines(files))) for files in audit_files(self.world))
        return [*found, *([("audit lines", lacking)] if lacking else [])]

    def last_words(self) -> str:
        """The end of what the service wrote to its log."""
        return (self.world.folder / "service.log").read_text(encoding="utf-8", errors="replace")[-3000:]


# --- the reckoning -------------------------------------------------------------------------------------------------


class Reckoning:
    """What is found afterwards; `broken` is empty where every promise was kept."""

    def __init__(self, world: World):
        self.world = world
        self.broken: list[str] = []
        self.counts: dict[str, int] = {}
        self._store = open_store(world)
        try:
            for check in (
                self._alerts, self._work, self._deeds, self._leases, self._approvals, self._audit, self._register,
                self._index,
            ):  # fmt: skip
                check()
        finally:
            self._store.close()

    def _records(self, kind: str, state: str | None = None) -> list[Any]:
        with self._store.transaction() as work:
            return work.find(kind, Filter(state=state, limit=100_000))

    def _claim(self, holds: object, sentence: str) -> None:
        if not holds:
            self.broken.append(sentence)

    def _alerts(self) -> None:
        """Acknowledged is handled: once in TheHive, once here, in one case, decided upon once."""
        there = Counter(str(alert["sourceRef"]) for alert in self.world.entities("Alert"))
        acknowledged = [sent.id for sent in self.world.sent]
        self.counts["alerts acknowledged"] = len(acknowledged)
        lost = [number for number in acknowledged if there[number] == 0]
        twice = [number for number, count in there.items() if count > 1]
        self._claim(not lost, f"alerts were acknowledged and are not in TheHive: {lost}")
        self._claim(not twice, f"alerts are in TheHive more than once: {twice}")
        cases = len(list(self.world.entities("Case")))
        self.counts["cases"] = cases
        noise = {sent.id for sent in self.world.sent if sent.kind == NOISE}
        wanted = len(there.keys() - noise)
        self._claim(cases == wanted, f"{wanted} alerts that nothing joins have {cases} cases")
        unfit = [
            record.key
            for record in self._records("alert")
            if record.state != ("loose" if record.key.rpartition(":")[2] in noise else "cased")
        ]
        self._claim(not unfit, f"alerts are in no case that should be, or the other way round: {unfit}")

    def _work(self) -> None:
        """No step was lost or given up."""
        with self._store.transaction() as work:
            dead = [f"{item.key}: {item.error}" for queue in ("step", "inbox") for item in work.buried(queue)]
        self._claim(not dead, f"steps were set aside: {dead}")
        unscored = [record.key for record in self._records("run") if record.state != "scored"]
        self._claim(not unscored, f"runs have no verdict: {unscored}")

    def _deeds(self) -> None:
        """No responder ran twice for one decision, and each block was made."""
        deeds = self.world.deeds()
        started = Counter(deed.lease for deed in deeds if deed.action == "contain")
        self.counts["containments"] = sum(started.values())
        self.counts["undos"] = sum(deed.action == "release" for deed in deeds)
        self._claim(all(count == 1 for count in started.values()), f"ran more than once: {_above_one(started)}")
        wished = {record.key: record for record in self._records("lease")}
        self._claim(set(started) <= set(wished), "a responder ran without a lease")
        targets = Counter(deed.target for deed in deeds if deed.action == "contain")
        blocks = {sent.target for sent in self.world.sent if sent.kind == "block"}
        self._claim(blocks <= set(targets), f"never blocked: {sorted(blocks - set(targets))}")
        self._claim(all(count == 1 for count in targets.values()), f"contained twice: {_above_one(targets)}")

    def _leases(self) -> None:
        """Every lease ended, and its undo ran."""
        leases = self._records("lease")
        states = Counter(record.state for record in leases)
        self.counts["leases ended"] = states["ended"]
        self._claim(set(states) <= {"ended"}, f"leases did not end: {dict(states)}")
        released = {deed.lease for deed in self.world.deeds() if deed.action == "release"}
        held = [record.key for record in leases if record.key not in released]
        self._claim(not held, f"never undone: {held}")

    def _approvals(self) -> None:
        """One question each, and nothing without a grant."""
        approvals = self._records("approval")
        self.counts |= Counter(f"approvals {record.state}" for record in approvals)
        asked = {sent.target for sent in self.world.sent if sent.kind == "ask"}
        self._claim(len(approvals) == len(asked), f"{len(asked)} accounts have {len(approvals)} approvals")
        titles = Counter(str(task["title"]) for task in self.world.questions())
        self._claim(all(count == 1 for count in titles.values()), f"asked twice: {_above_one(titles)}")
        granted = {record.body["grant"]["target"] for record in approvals if record.state == "granted"}
        disabled = {deed.target for deed in self.world.deeds() if deed.worker == "AccountDisable"}
        self._claim(disabled == granted, f"granted and disabled are not the same: {sorted(disabled ^ granted)}")

    def _audit(self) -> None:
        """The chain holds, in the store and in the files, and both say the same."""
        journal = Journal(self._store, CLOCK)
        lines = list(journal.lines())
        self.counts["audit lines"] = len(lines)
        self._claim(not journal.verify(), f"the audit chain is broken: {journal.verify()[:3]}")
        written = [list(read_lines(files)) for files in audit_files(self.world)]
        self._claim(max(written, key=len) == lines, "no node's audit files say what the store says")
        self._claim(
            all(part == lines[: len(part)] for part in written), "audit files have a line that the store has not"
        )

    def _register(self) -> None:
        """Every decision is in the register exactly once, in the order of time, and is found by its words."""
        decisions = {record.key: record for record in self._records(decided.DECISION)}
        self.counts["decisions"] = len(decisions)
        listed = [record.key.split(":")[1] for record in self._records(decided.KIND)]
        self._claim(sorted(listed) == sorted(decisions), "the register and the decisions are not the same")
        times = [decisions[key].body["at"] for key in listed if key in decisions]
        self._claim(times == sorted(times, reverse=True), "the register is not in the order of time")
        lost = []
        with self._store.reading() as work:
            entries = Counter((entry.key.split(":")[1], entry.ref) for entry in self._records(decided.TERM))
            for key, record in decisions.items():
                lost += [(key, term) for term in decided.terms(work, record) if entries[key, term] != 1]
        self._claim(not lost, f"decisions are not found by their words, or twice: {lost[:5]}")

    def _index(self) -> None:
        """Every audit line is found by all that it names, once, and nothing else is."""
        wanted = Counter(
            (str(line[name]), line["n"])
            for line in Journal(self._store, CLOCK).lines()
            for name in {line[fact]: fact for fact in index.NAMES if line.get(fact)}.values()
        )
        with self._store.reading() as work:
            names = {name for name, _ in wanted}
            found = Counter((name, number) for name in names for number in index.numbers(work, name, limit=100_000))
            entries = work.count(index.KIND)
        self.counts["index entries"] = entries
        self._claim(
            found == wanted, f"audit lines and their index differ: {list((wanted - found) + (found - wanted))[:5]}"
        )
        self._claim(entries == len(wanted), f"the index has {entries} entries for {len(wanted)} names in lines")


def _above_one(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count > 1}


def campaign(
    folder: Path, *, version: int, seed: int, kills: int, points: list[str], store: str = ""
) -> tuple[Harness, Reckoning]:
    """A whole campaign in one world. Raises AssertionError where the service does not come to rest."""
    with World(folder, version, seed, store=store) as world:
        if store:
            open_store(world).close()  # makes the tables
        harness = Harness(world)
        harness.at_points(points)
        harness.at_random(kills)
        harness.rest()
        return harness, Reckoning(world)


@contextmanager
def _server(store: str) -> Iterator[str]:
    """The URL of an empty database on a server of our own; empty for SQLite, which needs none."""
    if store == "sqlite":
        yield ""
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from postgres_server import PostgresServer

    with PostgresServer(durable=True) as server:
        yield server.database()


def main() -> int:
    """Run, print the counts; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description="Kill the service, and see whether it kept its promises.")
    parser.add_argument("--kills", type=int, default=300, help="random kills (default: 300)")
    parser.add_argument("--points", action="store_true", help="each named point once, too")
    parser.add_argument("--point", action="append", help="this named point (NAME or NAME:COUNT), too")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--version", type=int, choices=(4, 5), default=5, help="of TheHive")
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite", help="postgres: one of our own")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it for a look")
    asked = parser.parse_args()
    points = [*(POINTS if asked.points else ()), *(asked.point or ())]
    with tempfile.TemporaryDirectory() as temporary, _server(asked.store) as store:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        began = CLOCK.monotonic()
        harness, found = campaign(
            folder, version=asked.version, seed=asked.seed, kills=asked.kills, points=points, store=store
        )
        print(f"{harness.kills} kills in {CLOCK.monotonic() - began:.0f} s, TheHive {asked.version}, seed {asked.seed}")
    for name, count in found.counts.items():
        print(f"{count:7,}  {name}")
    for point in harness.missed:
        print(f"NEVER REACHED: {point}")
    for sentence in found.broken:
        print(f"BROKEN: {sentence}")
    return int(bool(found.broken or harness.missed))


if __name__ == "__main__":
    sys.exit(main())
