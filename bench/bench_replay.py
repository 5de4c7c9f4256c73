"""How fast `propolis replay` is, and that its memory does not grow with the file.

    python bench/bench_replay.py [--alerts N] [--full]

Beside it stands a straightforward script that does as little as one could: parse the line, sweep it with regular
expressions for observables, look up how many recorded reports call each malicious, and apply the count rule (3 ask, 5
act). Both read the same stream: the bundled samples over and over, with ids and times changed in every alert. A third
row changes the attackers' addresses too, so that nothing that replay remembers helps. Every run is a process of its
own, and its peak memory is the operating system's word.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SAMPLES = ROOT / "playbook_service" / "samples"
TARGET = 5_000  # alerts a second on one core
START = 1_794_873_600
STAMP = re.compile(rb'^\{"timestamp":"[^"]*"')
IDENT = re.compile(rb'"manager":\{"name":"siem01"\},"id":"[^"]*"')


class Stream(io.RawIOBase):
    """The samples as often as wanted, each alert with an id and a time of its own."""

    def __init__(self, count: int, *, fresh: bool = False):
        self._count, self._fresh = count, fresh
        self._number, self._rest = 0, b""
        self._parts = [self._split(line) for line in (SAMPLES / "alerts.jsonl").read_bytes().splitlines()]

    @staticmethod
    def _split(line: bytes) -> tuple[bytes, bytes]:
        ident = IDENT.search(line)
        stamp = STAMP.search(line)
        assert ident is not None
        assert stamp is not None
        return line[stamp.end() : ident.start()], line[ident.end() :]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        pieces, size = [self._rest], len(self._rest)
        while size < len(buffer) and self._number < self._count:
            pieces.append(self._line())
            size += len(pieces[-1])
        data = b"".join(pieces)
        piece, self._rest = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def _line(self) -> bytes:
        number = self._number
        self._number += 1
        cycle, place = divmod(number, len(self._parts))
        middle, end = self._parts[place]
        if self._fresh:
            network = b"%d.%d.%d." % (11 + cycle % 100, cycle // 100 % 250, cycle // 25_000 % 250)
            middle, end = (part.replace(b"203.0.113.", network) for part in (middle, end))
        moment = START + number // 10
        stamp = datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S").encode()
        head = b'{"timestamp":"%s.000+0000"' % stamp
        ident = b'"manager":{"name":"siem01"},"id":"%d.%d"' % (moment, number)
        return b"".join((head, middle, ident, end, b"\n"))


# --- what is measured ----------------------------------------------------------------------------------------------


def replay(stream: io.RawIOBase) -> int:
    """Everything `propolis replay` does between reading and printing."""
    from playbook_service.playbook import SHIPPED, load
    from playbook_service.replay import Setup, items, read_evidence, read_history
    from playbook_service.replay.fault import Faults
    from playbook_service.replay.run import run
    from propolis.guardrails import Policy
    from propolis.verdict import load_sources

    faults = Faults("bench")
    with (SAMPLES / "reports.jsonl").open("rb") as reports, (SAMPLES / "labels.jsonl").open("rb") as labels:
        evidence = read_evidence(reports, load_sources(), faults)
        history = read_history(labels, faults)
    policy = Policy.parse((SAMPLES / "policy.yml").read_text(encoding="utf-8"))
    setup = Setup(load(SHIPPED), policy, evidence, history)
    summary = run(items(stream), setup, faults)
    assert not faults.count
    return summary.alerts


SWEEPS = (
    re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
    re.compile(r"\b[a-f0-9]{64}\b|\b[a-f0-9]{40}\b|\b[a-f0-9]{32}\b", re.IGNORECASE),
    re.compile(r"\b(?:[a-z0-9-]+\.)+(?:com|net|org|test)\b", re.IGNORECASE),
)


def baseline(stream: io.RawIOBase) -> int:
    """The straightforward way: a regex sweep and the count rule."""
    malicious: Counter[str] = Counter()
    for line in (SAMPLES / "reports.jsonl").read_text(encoding="utf-8").splitlines():
        job = json.loads(line)
        taxonomies = job["report"].get("summary", {}).get("taxonomies", [])
        malicious[job["data"]] += any(taxonomy["level"] == "malicious" for taxonomy in taxonomies)
    count, decided, rules = 0, Counter[str](), Counter[str]()
    for line in io.BufferedReader(stream, 1 << 16):
        alert = json.loads(line)
        rules[str(alert["rule"]["id"])] += 1
        text = line.decode()
        for value in {found for sweep in SWEEPS for found in sweep.findall(text)}:
            votes = malicious.get(value, 0)
            decided["act" if votes >= 5 else "ask" if votes >= 3 else "observe"] += 1
        count += 1
    return count


def reading(stream: io.RawIOBase) -> int:
    """Only the making of the stream: what both have to pay."""
    return sum(1 for _ in io.BufferedReader(stream, 1 << 16))


WORK = {"replay": replay, "baseline": baseline, "reading": reading}


def measure(what: str, count: int, *, fresh: bool) -> None:
    """In a process of its own: one line of JSON with seconds of CPU time (others use the machine) and peak memory."""
    began = time.process_time()
    assert WORK[what](Stream(count, fresh=fresh)) == count
    seconds = time.process_time() - began
    print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def measured(what: str, count: int, *, fresh: bool = False, times: int = 1) -> dict[str, float]:
    """The best of several runs: what else the machine does can only make one slower."""
    command = [sys.executable, __file__, "--measure", what, "--alerts", str(count), *(["--fresh"] if fresh else [])]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(times)]
    return min(runs, key=lambda run: float(run["seconds"]))


# --- the report ----------------------------------------------------------------------------------------------------


def report(count: int, *, full: bool) -> bool:
    """Print rates, ratios and memory; False where a target is missed."""
    small = 10_000
    made = measured("reading", count)["seconds"]
    base = measured("baseline", count, times=2)
    ours = measured("replay", count, times=2)
    fresh = measured("replay", count, fresh=True)
    fresh_base = measured("baseline", count, fresh=True)
    rates = {name: count / (run["seconds"] - made) for name, run in (("base", base), ("ours", ours))}
    rates["fresh"] = count / (fresh["seconds"] - made)
    rates["fresh_base"] = count / (fresh_base["seconds"] - made)
    print(f"{count:,} alerts a run, one core, without the {made:.2f} s that it takes to make the stream\n")
    rows = [
        ("baseline: json, regex sweep, count rule", rates["base"], 1.0),
        ("propolis replay", rates["ours"], rates["base"] / rates["ours"]),
        ("propolis replay, every attacker new", rates["fresh"], rates["fresh_base"] / rates["fresh"]),
    ]
    print(f"{'':42}{'alerts/s':>10}{'time, baseline = 1':>22}")
    print("\n".join(f"{name:42}{rate:>10,.0f}{ratio:>22.2f}" for name, rate, ratio in rows))
    return memory(small, [count, *([1_000_000] if full else [])], rates["ours"])


def memory(small: int, counts: Iterable[int], rate: float) -> bool:
    """Print peak memory by number of alerts; False where it grows, or the rate is too low."""
    first = measured("replay", small)["peak"]
    print(f"\npeak memory, {small:,} alerts: {first / 1e6:.1f} MB")
    flat = True
    for count in counts:
        peak = measured("replay", count)["peak"]
        flat = flat and peak < first * 1.15 + 4e6
        print(f"peak memory, {count:,} alerts: {peak / 1e6:.1f} MB, {peak / first:.2f} times as much")
    print(f"\n{'met' if rate >= TARGET else 'MISSED'}: at least {TARGET:,} alerts/s ({rate:,.0f})")
    print(f"{'met' if flat else 'MISSED'}: memory is flat")
    return flat and rate >= TARGET


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alerts", type=int, default=200_000)
    parser.add_argument("--full", action="store_true", help="memory at 1,000,000 alerts too")
    parser.add_argument("--measure", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--fresh", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    if chosen.measure:
        measure(chosen.measure, chosen.alerts, fresh=chosen.fresh)
    else:
        sys.exit(0 if report(chosen.alerts, full=chosen.full) else 1)
