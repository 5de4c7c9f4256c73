#!/usr/bin/env python3
"""How many events a second the hooks take in, each committed to disk before its 202.

    python bench/bench_intake.py [--events N] [--full]

Eight clients on loopback with connections that stay open, each waiting for its answer before it sends the next Wazuh
alert of 3 KB. Beside the service's group commit stand two baselines over the same server, the same routes and the same
checks: one that commits every request by itself, and one that keeps nothing at all (what HTTP and JSON alone cost).
Each runs in a process of its own, in turn, `--rounds` times; medians and ratios are printed. Then one long run shows
that time grows with the events and memory does not (1,000,000 of them with `--full`).

Budget: 1,000 events a second, p99 under 50 ms, on two cores of which the clients use one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a clone, without installing it

from playbook_service.intake.committer import Committer, Event  # noqa: E402
from playbook_service.intake.credential import Doorkeeper  # noqa: E402
from playbook_service.intake.routes import Hooks, health_routes  # noqa: E402
from playbook_service.intake.siem import load_mapping  # noqa: E402
from playbook_service.metrics.meter import Meter  # noqa: E402
from playbook_service.store.contract import Store  # noqa: E402
from playbook_service.store.sqlite import SqliteStore  # noqa: E402
from playbook_service.web.application import Application  # noqa: E402
from playbook_service.web.server import Server  # noqa: E402
from propolis.clock import SystemClock  # noqa: E402

CLIENTS, SIZE = 8, 3000
RATE, P99 = 1_000, 50.0
CLOCK = SystemClock()
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class PerRequest:
    """The obvious way: a transaction, and so a sync to disk, for each request."""

    def __init__(self, store: Store):
        self._store = store

    def commit(self, events: Sequence[Event]) -> list[bool]:
        with self._store.transaction() as work:
            return [work.put("inbox", event.key, event.body) for event in events]


class Nothing:
    """Says yes and keeps nothing: the price of HTTP, JSON and recognising the alert."""

    def commit(self, events: Sequence[Event]) -> list[bool]:
        return [True for _ in events]


def committer(kind: str, folder: str, meter: Meter) -> PerRequest | Nothing | Committer:
    """What stands behind the hooks, by its name on the command line, counted as the service counts."""
    if kind == "nothing":
        return Nothing()
    store = meter.store(SqliteStore(Path(folder) / "propolis.db", CLOCK))
    if kind == "each":
        return PerRequest(store)
    return Committer(store, CLOCK, backlog_limit=10**9, settled=meter.events).__enter__()


def serve(kind: str, folder: str) -> None:
    """The hooks with one of the committers behind them, until the standard input ends."""
    doorkeeper, meter = Doorkeeper(["bench"]), Meter(CLOCK)
    behind = committer(kind, folder, meter)
    hooks = Hooks(doorkeeper, behind, load_mapping(), body_limit=1024 * 1024)  # type: ignore[arg-type]
    routes = meter.routes([*hooks.routes(), *health_routes(lambda: None)])
    server = Server(("127.0.0.1", 0), Application(routes), CLOCK)
    threading.Thread(target=server.run, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


# --- the clients ---------------------------------------------------------------------------------------------------


class Template:
    """Requests that differ in the alert's id."""

    def __init__(self) -> None:
        line = (ROOT / "playbook_service" / "samples" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()[0]
        alert = json.loads(line) | {"id": "1234567890.0000000000"}
        alert["full_log"] = ""
        alert["full_log"] = "x" * (SIZE - len(json.dumps(alert)))
        body = json.dumps(alert).encode()
        head = (
            b"POST /hooks/wazuh HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: wazuh\r\nAccept: */*\r\nAuthorization: "
            b"Bearer bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        self._before, self._after = (head + body).split(b"0000000000", 1)

    def request(self, number: int) -> bytes:
        return b"%s%010d%s" % (self._before, number, self._after)


class Clients:
    """Eight connections in one thread, each with one request under way."""

    def __init__(self, port: int):
        self._template = Template()
        self._selector = selectors.DefaultSelector()
        self._sent: dict[socket.socket, float] = {}
        self._read: dict[socket.socket, bytes] = {}
        for _ in range(CLIENTS):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)

    def send(self, first: int, count: int) -> tuple[float, list[float]]:
        """Send events `first` to `first + count`; returns seconds in all, and milliseconds of each."""
        waits: list[float] = []
        began, number, last = CLOCK.monotonic(), first, first + count
        for key in list(self._selector.get_map().values()):
            number = self._next(key.fileobj, number, last)  # type: ignore[arg-type]
        while len(waits) < count:
            for key, _ in self._selector.select():
                connection = key.fileobj
                if not self._answered(connection):  # type: ignore[arg-type]
                    continue
                waits.append((CLOCK.monotonic() - self._sent[connection]) * 1000)  # type: ignore[index]
                number = self._next(connection, number, last)  # type: ignore[arg-type]
        return CLOCK.monotonic() - began, waits

    def _answered(self, connection: socket.socket) -> bool:
        """Read what is there; True when the answer is whole."""
        answer = self._read[connection] = self._read.get(connection, b"") + connection.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return False
        if not head.startswith(b"HTTP/1.1 202"):
            raise SystemExit(f"not taken in: {answer[:300]!r}")
        self._read[connection] = b""
        return True

    def _next(self, connection: socket.socket, number: int, last: int) -> int:
        if number >= last:
            return number
        self._sent[connection] = CLOCK.monotonic()
        connection.sendall(self._template.request(number))
        return number + 1


# --- the measurement -----------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """One run: events a second, milliseconds at the median and at the 99th percentile."""

    rate: float
    p50: float
    p99: float
    cpu: float
    """Microseconds of the server's processor for each: what says something also where others use the machine."""


def with_server(kind: str, use: Callable[[Clients, int], None], place: str | None) -> None:
    """Start a server process, hand its clients and its process id over, stop it."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        command = [sys.executable, __file__, "--serve", kind, "--folder", folder]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            use(Clients(int(process.stdout.readline())), process.pid)
        finally:
            process.stdin.close()
            process.wait(timeout=30)
            process.stdout.close()


def measure(kind: str, events: int, place: str | None) -> Result:
    """One run over so many events, after a short warming up."""
    results: list[Result] = []

    def use(clients: Clients, process: int) -> None:
        clients.send(0, min(events, 500))
        before = worked(process)
        seconds, waits = clients.send(1_000_000_000, events)
        cuts = statistics.quantiles(waits, n=100)
        results.append(Result(events / seconds, cuts[49], cuts[98], (worked(process) - before) / events * 1e6))

    with_server(kind, use, place)
    return results[0]


def compare(events: int, rounds: int, place: str | None) -> Result:
    """All three in turn; prints a table and returns the service's own medians."""
    kinds = {"group": "group commit (the service)", "each": "a commit for each request", "nothing": "nothing kept"}
    runs: dict[str, list[Result]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            runs[kind].append(measure(kind, events, place))
    medians = {kind: Result(*map(statistics.median, zip(*found, strict=True))) for kind, found in runs.items()}
    own = medians["group"]
    print(f"{CLIENTS} clients, {SIZE:,} bytes, {events:,} events, median of {rounds} runs")
    for kind, name in kinds.items():
        row = medians[kind]
        print(f"{name:28} {row.rate:8,.0f} events/s   p50 {row.p50:6.2f} ms   p99 {row.p99:6.2f} ms", end="")
        print(f"   {row.cpu:4.0f} us CPU", end="")
        print(f"   {row.rate / own.rate:5.2f} x the service")
    return own


def long_run(events: int, place: str | None) -> bool:
    """One long run in ten parts; True where the last part is as fast as the first, and memory stays."""
    parts: list[tuple[float, int]] = []

    def use(clients: Clients, process: int) -> None:
        each = events // 10
        for part in range(10):
            seconds, _ = clients.send(part * each, each)
            parts.append((each / seconds, resident(process)))
            print(f"{(part + 1) * each:11,} events   {parts[-1][0]:8,.0f} events/s   {parts[-1][1]:6,} KiB resident")

    with_server("group", use, place)
    slower = statistics.median(rate for rate, _ in parts[:3]) / statistics.median(rate for rate, _ in parts[-3:])
    grown = parts[-1][1] / parts[0][1]
    print(f"first three parts to last three: {slower:.2f} x the time, memory {grown:.2f} x")
    return slower < 1.5 and grown < 1.5


def worked(process: int) -> float:
    """Seconds of processor that a process has used (proc(5): utime and stime, in clock ticks)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> int:
    """KiB of memory that a process holds now."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("the process is gone")


def main() -> int:
    """Print the table and the long run; 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description="Durable intake: events a second, and how long a sender waits.")
    parser.add_argument("--events", type=int, default=50_000, help="events of the long run")
    parser.add_argument("--full", action="store_true", help="1,000,000 events in the long run")
    parser.add_argument("--each", type=int, default=5_000, help="events of a run that is compared")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", help="folder on the disk to be measured (default: the system's temporary folder)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve, asked.folder)
        return 0
    own = compare(asked.each, asked.rounds, asked.place)
    steady = long_run(1_000_000 if asked.full else asked.events, asked.place)
    met = own.rate >= RATE and own.p99 < P99 and steady
    print(f"budget: {RATE:,} events/s, p99 < {P99:.0f} ms, linear, flat: {'met' if met else 'MISSED'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
