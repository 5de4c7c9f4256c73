#!/usr/bin/env python3
"""How long the engine itself takes from the last report to the responder, and what 10,000 observables in flight cost.

    python bench/bench_engine.py [--alerts N] [--observables N]

First part: the lab (TheHive 5 and Cortex) in this process, the service in one of its own, as `propolis serve` starts
it. For each alert, from the moment in which Cortex ends the last analyzer job to the moment in which TheHive is asked
to start the responder. What TheHive takes to answer in between is measured at the lab and shown apart: the rest is the
service's own time. Baseline: a service that only polls, every two seconds at best, needs one second at the median.

Second part: the engine in this process over a TheHive in memory that answers at once; so many observables wait for
their reports at the same time, then all reports come in.

Budgets: 150 ms of own time at the median; 300 MB.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "playbook_service"
sys.path[:0] = [str(ROOT), str(TESTS), str(TESTS / "engine")]  # run from a clone, without installing it

from case_hive import CaseHive  # noqa: E402
from engine_lab import Service as Engine  # noqa: E402
from engine_lab import sample  # noqa: E402
from scenario_soc import FIREWALL_BLOCK, REAL, TOKEN, Soc  # noqa: E402

from playbook_service.audit.journal import Journal  # noqa: E402
from playbook_service.engine.analysis import Pace, Paces  # noqa: E402
from playbook_service.engine.approval import Desk  # noqa: E402
from playbook_service.engine.loop import Loop  # noqa: E402
from playbook_service.engine.pipeline import Seams, pipeline  # noqa: E402
from playbook_service.engine.step import follow  # noqa: E402
from playbook_service.hive.model import Alert, AlertDraft, Job, Observable, ObservableDraft  # noqa: E402
from playbook_service.store.contract import Filter  # noqa: E402
from playbook_service.store.sqlite import SqliteStore  # noqa: E402
from propolis.clock import ManualClock  # noqa: E402

OWN_TIME, MEMORY = 150.0, 300 * 1024
DRAIN = 60.0  # seconds of it that are looked at


# --- last report -> responder --------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """One request that the lab's TheHive answered: wall time, and how long it took."""

    at: float
    seconds: float
    what: str


class Observed(Soc):
    """A SOC whose service runs in a process of its own, and whose TheHive notes what it was asked."""

    def start(self) -> None:
        self.answers: list[Answer] = []
        server: Any = self.lab.thehive_server
        answer = server._answer

        def noted(request: Any) -> Any:
            began = REAL.now()
            reply = answer(request)
            self.answers.append(Answer(began, REAL.now() - began, f"{request.method} {request.path}"))
            return reply

        server._answer = noted
        settings = {
            "listen": "127.0.0.1:0", "data_dir": self.folder / "data", "mode": "enforce",
            "playbooks": ROOT / "tests" / "fixtures" / "scenarios", "policy": self.folder / "policy.yml",
            "webhook_token": TOKEN, "thehive_url": self.lab.thehive_url, "thehive_key": self.lab.keys.service,
            "cortex_url": self.lab.cortex_url, "cortex_key": self.lab.keys.cortex_service,
        }  # fmt: skip
        environment = {**os.environ, **{f"PROPOLIS_{name.upper()}": str(value) for name, value in settings.items()}}
        self._out = (self.folder / "child.log").open("wb")
        self.child = subprocess.Popen(
            [sys.executable, "-m", "playbook_service", "serve"], cwd=ROOT, env=environment, stdout=self._out,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.service: Any = _Remote(self._said(r"listens on 127\.0\.0\.1:(\d+)"))
        self._said(r"the engine (works)")

    def _said(self, pattern: str) -> str:
        end = REAL.monotonic() + 20
        while REAL.monotonic() < end and self.child.poll() is None:
            found = re.search(pattern, (self.folder / "child.log").read_text(encoding="utf-8"))
            if found:
                return found[1]
            REAL.sleep(0.05)
        raise SystemExit((self.folder / "child.log").read_text(encoding="utf-8"))


class _Remote:
    """What of the service the SOC needs to know of one in another process."""

    engine = None

    def __init__(self, port: str):
        self.port = int(port)
        self.stop: Callable[[], None] = lambda: None


def latency(alerts: int) -> tuple[float, float]:
    """Medians, in milliseconds: from the last report to the responder, and of that the service's own time."""
    whole: list[float] = []
    own: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Observed(Path(folder), 5) as soc:
        try:
            for _ in range(alerts):
                address = soc.alert("block")
                asked = _asked(soc, len(whole) + 1)
                ended = max(job.ended_at or 0 for job in soc.lab.cortex.jobs.all() if (job.task.data or "") == address)
                last = ended / 1000
                theirs = sum(one.seconds for one in soc.answers if last <= one.at < asked.at)
                whole.append((asked.at - last) * 1000)
                own.append((asked.at - last - theirs) * 1000)
        finally:
            soc.child.send_signal(signal.SIGTERM)
            soc.child.wait(timeout=30)
            soc._out.close()
    for name, values in (("all in all", whole), ("of that our own", own)):
        cuts = statistics.quantiles(values, n=10)
        print(f"last report -> responder, {name:16} median {cuts[4]:7.1f} ms   p90 {cuts[8]:7.1f} ms")
    return statistics.median(whole), statistics.median(own)


def _asked(soc: Observed, number: int) -> Answer:
    """The request that started the n-th responder."""
    end = REAL.monotonic() + 30
    while REAL.monotonic() < end:
        starts = [one for one in list(soc.answers) if one.what == "POST /api/connector/cortex/action"]
        if len(starts) >= number:
            return starts[number - 1]
        REAL.sleep(0.01)
    raise SystemExit(f"{FIREWALL_BLOCK} was not started\n{(soc.folder / 'child.log').read_text(encoding='utf-8')}")


# --- many in flight ------------------------------------------------------------------------------------------------


class QuickHive(CaseHive):
    """The TheHive in memory with indexes: what it takes is not the engine's, and must not grow with the number."""

    def __init__(self, clock: ManualClock):
        super().__init__(clock)
        self._homes: dict[str, list[Observable]] = {}
        self._of: dict[str, list[str]] = {}
        self._count = 0

    def _id(self) -> str:
        self._count += 1
        return f"~{self._count}"

    def _create_alert(self, draft: AlertDraft) -> tuple[Alert, bool]:
        made = Alert(
            self._id(), draft.type, draft.source, draft.reference, draft.title, "", draft.tags, False, self._ms,
            self._ms, {},
        )  # fmt: skip
        self.alerts[made.id], self.drafts[made.id] = made, draft
        return made, True

    def _put(self, home: str, draft: ObservableDraft) -> Observable:
        made = Observable(
            self._id(), draft.data_type, draft.data, draft.tags, False, False, 2, draft.message, {}, self._ms, 0, {}
        )
        self.things[made.id] = (home, made)
        self._homes.setdefault(home, []).append(made)
        return made

    def _in(self, home: str) -> list[Observable]:
        return list(self._homes.get(home, ()))

    def _finish(self) -> None:
        """Taxonomies play no part here."""

    def run_analyzer(self, worker: Any, observable_id: str, parameters: Any) -> Job:
        job = super().run_analyzer(worker, observable_id, parameters)
        self._of.setdefault(observable_id, []).append(job.id)
        return job

    def jobs(self, observable_id: str) -> list[Job]:
        return [self._as_now(one)._replace(report=None) for one in reversed(self._of.get(observable_id, []))]


def in_flight(observables: int) -> int:
    """Put so many observables under way, let time pass, have all reports come in; returns the most KiB held."""
    clock = ManualClock(REAL.now())
    hive = QuickHive(clock)
    hive.enabled = {"AbuseIPDB_2_0": ("ip",)}
    hive.takes = 400.0
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(hive, clock=clock)
        engine.store = SqliteStore(Path(folder) / "propolis.db", clock)  # type: ignore[assignment]
        engine = _over(engine, clock)
        engine.receive(sample("1794889215.61964"))
        _drain(engine)
        _multiply(engine, hive, observables)
        began = REAL.monotonic()
        _drain(engine)
        running = _count(engine, "run", "running")
        print(f"{running:,} observables under way: analyzers started in {REAL.monotonic() - began:.1f} s")
        polled = REAL.monotonic()
        for _ in range(15):
            clock.advance(2.0)
            _drain(engine)
        print(f"waiting for their reports costs {(REAL.monotonic() - polled) / 30 * 100:.0f} % of a core")
        clock.advance(500.0)
        began = REAL.monotonic()
        while _count(engine, "run", "scored") < running and REAL.monotonic() - began < DRAIN:
            clock.advance(1.0)
            engine.loop.run_due(2_000)
        seconds, scored = REAL.monotonic() - began, _count(engine, "run", "scored")
        most = resident()
        print(
            f"all reports in: {scored / seconds:,.0f} verdicts a second ({scored:,} in {seconds:.0f} s), decided upon"
        )
        print(f"held at the end: {most:,} KiB, TheHive in memory among it")
        engine.store.close()
    return most


def _multiply(engine: Engine, hive: QuickHive, observables: int) -> None:
    """Runs like the one that is there, each for an address of its own, ten in a case."""
    with engine.store.transaction() as work:
        pattern = next(run for run in work.find("run") if run.body["observable"]["dataType"] == "ip")
        for number in range(observables):
            address = ".".join(str(0x0B000000 + number >> shift & 255) for shift in (24, 16, 8, 0))
            case = f"~case{number // 10}"
            hive.board.setdefault(case, hive.board[pattern.ref]._replace(id=case))
            made = hive._put(case, ObservableDraft("ip", address, "", ()))
            told = {**pattern.body["observable"], "id": made.id, "data": address}
            body = {**pattern.body, "observable": told, "began": 0.0}
            key = f"{number:024x}"
            work.save("run", key, body, version=0, state="running", ref=case)
            follow(work, "run", f"{key}:1", run=key, round=1)


def _over(engine: Engine, clock: ManualClock) -> Engine:
    """The same engine over another store."""
    store = engine.store
    fresh = Engine.__new__(Engine)
    fresh.__dict__.update(engine.__dict__)
    fresh.journal = Journal(store, clock)
    fresh.tools = engine.tools._replace(store=store, journal=fresh.journal)
    fresh.engine = pipeline(fresh.tools, Seams(paces=Paces(Pace(10**6, 10**6))))
    fresh.desk = Desk(fresh.tools, fresh.engine.deciding.recheck)
    fresh.loop = fresh.new_loop()
    return fresh


def _drain(engine: Engine) -> None:
    loop: Loop = engine.loop
    while loop.run_due(100_000):
        pass


def _count(engine: Engine, kind: str, state: str) -> int:
    with engine.store.transaction() as work:
        return work.count(kind, Filter(state=state))


def resident() -> int:
    """KiB of memory that this process holds now."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1])


def main() -> int:
    """Both parts; 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description="The engine's own time, and what many observables in flight cost.")
    parser.add_argument("--alerts", type=int, default=20, help="for the first part")
    parser.add_argument("--observables", type=int, default=10_000, help="for the second part")
    asked = parser.parse_args()
    _, own = latency(asked.alerts)
    held = in_flight(asked.observables)
    met = own < OWN_TIME and held < MEMORY
    print(f"budget: {OWN_TIME:.0f} ms of our own, {MEMORY // 1024} MB: {'met' if met else 'MISSED'}")
    assert threading.active_count() < 50
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
