#!/usr/bin/env python3
"""How many alerts a second come in by `propolis follow`, and by integratord's way: a process for each alert.

    python bench/bench_follow.py [--lines N] [--full]

The service's hooks run in a process of their own and commit every alert to disk before they answer. On the same lines,
in turn, `--rounds` times: `propolis follow` from the file's first line to its last; custom-propolis started once an
alert, one after the other, as integratord does; and, for comparison, a Python that does nothing at all and the script
that tutorials show (import requests, post the alert, forget it where that fails). Then one long run shows that the
follower's time grows with the lines and its memory does not (1,000,000 lines in ten files with `--full`).

Budget: follow takes at least 20 times what integratord's way takes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a clone, without installing it

from bench_intake import CLOCK, resident  # noqa: E402

SIZE = 1_400  # bytes: the median of a production export
FACTOR = 20
KEY = "bench"
SERIAL = itertools.count()
FOLLOW = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from playbook_service.cli import COMMANDS, Command, main; "
    "COMMANDS.setdefault('follow', Command('playbook_service.commands.follow', 'follow')); "
    "sys.exit(main(['follow', *sys.argv[1:]]))"
)
TUTORIAL = """
import json, sys
import requests
with open(sys.argv[1]) as stream:
    alert = json.load(stream)
headers = {"Authorization": "Bearer " + sys.argv[2]}
requests.post(sys.argv[3], json=alert, headers=headers, timeout=10).raise_for_status()
"""


def alert_lines(count: int) -> Iterator[bytes]:
    """Alerts of the usual size, each with an id of its own."""
    text = (ROOT / "playbook_service" / "samples" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()[0]
    alert = json.loads(text) | {"id": "1234567890.0000000000", "full_log": ""}
    alert["full_log"] = "x" * (SIZE - len(json.dumps(alert)) - 1)
    before, after = json.dumps(alert).encode().split(b"0000000000", 1)
    for _ in range(count):
        yield b"%s%010d%s\n" % (before, next(SERIAL), after)


@contextmanager
def hooks(place: str | None) -> Iterator[str]:
    """The service's intake in a process of its own; yields its address."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        command = [sys.executable, str(ROOT / "bench" / "bench_intake.py"), "--serve", "group", "--folder", folder]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/hooks/wazuh"
        finally:
            process.stdin.close()
            process.wait(timeout=60)
            process.stdout.close()


def follower(file: Path, url: str, state: Path) -> subprocess.Popen[bytes]:
    """`propolis follow --once` over the file, and what was rotated before it."""
    words = [sys.executable, "-c", FOLLOW, str(ROOT), str(file), "--to", url, "--state", str(state)]
    environment = {**os.environ, "PROPOLIS_WEBHOOK_TOKEN": KEY}
    return subprocess.Popen([*words, "--from", "start", "--once"], env=environment, stdout=subprocess.DEVNULL)


def by_follow(url: str, folder: Path, count: int) -> float:
    """Lines a second, the process's start and end included."""
    file = folder / "alerts.json"
    file.write_bytes(b"".join(alert_lines(count)))
    began = CLOCK.monotonic()
    code = follower(file, url, folder / f"state-{next(SERIAL)}").wait()
    assert code == 0, f"propolis follow ended with {code}"
    return count / (CLOCK.monotonic() - began)


def by_process(words: Callable[[Path], list[str]]) -> Callable[[str, Path, int], float]:
    """One process an alert, one after the other: integratord waits for each."""

    def measure(url: str, folder: Path, count: int) -> float:
        alerts = list(alert_lines(count))
        began = CLOCK.monotonic()
        for line in alerts:
            file = folder / f"custom-propolis-{next(SERIAL)}.alert"
            file.write_bytes(line)
            subprocess.run([*words(folder), str(file), KEY, url, "", "", "10", "3"], check=True, cwd=folder)
            file.unlink()
        return count / (CLOCK.monotonic() - began)

    return measure


def manager(folder: Path) -> list[str]:
    """custom-propolis in a Wazuh folder of its own."""
    home = folder / "ossec"
    if not home.exists():
        for name in ("integrations", "logs", "queue", "framework/python/bin"):
            (home / name).mkdir(parents=True)
        (home / "framework/python/bin/python3").symlink_to(os.path.realpath(sys.executable))
        for name in ("custom-propolis", "custom-propolis.py"):
            source = ROOT / "deploy" / "wazuh" / "integration" / name
            (home / "integrations" / name).write_bytes(source.read_bytes())
        (home / "integrations/custom-propolis").chmod(0o750)
    return [str(home / "integrations/custom-propolis")]


WAYS: dict[str, tuple[str, Callable[[str, Path, int], float]]] = {
    "follow": ("propolis follow", by_follow),
    "custom": ("custom-propolis, a process an alert", by_process(manager)),
    "tutorial": ("the tutorials' script (requests)", by_process(lambda _: [sys.executable, "-c", TUTORIAL])),
    "nothing": ("a Python that does nothing", by_process(lambda _: [sys.executable, "-I", "-S", "-c", "pass"])),
}


def compare(lines: int, alerts: int, rounds: int, place: str | None) -> float:
    """All ways in turn; prints a table and returns follow's rate over custom-propolis'."""
    runs: dict[str, list[float]] = {way: [] for way in WAYS}
    with hooks(place) as url, tempfile.TemporaryDirectory(dir=place) as folder:
        for _ in range(rounds):
            for way, (_, measure) in WAYS.items():
                runs[way].append(measure(url, Path(folder), lines if way == "follow" else alerts))
    medians = {way: statistics.median(found) for way, found in runs.items()}
    print(f"{lines:,} lines by follow, {alerts:,} alerts a process each, {SIZE:,} bytes, median of {rounds} runs")
    for way, (name, _) in WAYS.items():
        print(f"{name:38} {medians[way]:9,.1f} alerts/s   {medians[way] / medians['custom']:8.2f} x custom-propolis")
    return medians["follow"] / medians["custom"]


def long_run(lines: int, place: str | None) -> bool:
    """Ten files one after the other; True where the last ones take no longer than the first, and memory stays."""
    each = lines // 10
    parts: list[tuple[float, int]] = []
    with hooks(place) as url, tempfile.TemporaryDirectory(dir=place) as folder:
        file = Path(folder) / "alerts.json"
        for number in range(9, -1, -1):
            path = file.with_name(f"alerts.json.{number}") if number else file
            with path.open("wb") as stream:
                stream.writelines(alert_lines(each))
            if number == 9:
                path.rename(file)  # the follower begins in the oldest one, and is away while the others come
                first = follower(file, url, Path(folder) / "state")
                began = CLOCK.monotonic()
                first.wait()
                parts.append((each / (CLOCK.monotonic() - began), 0))
                file.rename(path)
        process = follower(file, url, Path(folder) / "state")
        began, done, memory = CLOCK.monotonic(), each, 0
        while process.poll() is None:
            CLOCK.sleep(0.05)
            sent = json.loads((Path(folder) / "state" / "checkpoint.json").read_bytes())["counts"]["sent"]
            with suppress(SystemExit, OSError):  # it has ended between two looks
                memory = resident(process.pid)
            if sent >= done + each:
                now = CLOCK.monotonic()
                parts.append(((sent - done) / (now - began), memory))
                began, done = now, sent
                print(f"{sent:11,} lines   {parts[-1][0]:8,.0f} lines/s   {parts[-1][1]:6,} KiB resident", flush=True)
        assert process.returncode == 0
    measured = parts[1:]
    slower = statistics.median(rate for rate, _ in measured[:3]) / statistics.median(rate for rate, _ in measured[-3:])
    grown = measured[-1][1] / measured[0][1]
    print(f"first three parts to last three: {slower:.2f} x the time, memory {grown:.2f} x")
    return slower < 1.5 and grown < 1.5


def main() -> int:
    """Print the table and the long run; 1 where the budget is missed."""
    parser = argparse.ArgumentParser(description="Alerts a second by `propolis follow` and by integratord's way.")
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the long run")
    parser.add_argument("--full", action="store_true", help="1,000,000 lines in the long run")
    parser.add_argument("--each", type=int, default=20_000, help="lines of a follow that is compared")
    parser.add_argument("--alerts", type=int, default=50, help="alerts of a run with a process for each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", help="folder on the disk to be measured (default: the system's temporary folder)")
    asked = parser.parse_args()
    ratio = compare(asked.each, asked.alerts, asked.rounds, asked.place)
    steady = long_run(1_000_000 if asked.full else asked.lines, asked.place)
    met = ratio >= FACTOR and steady
    print(f"budget: {FACTOR} x integratord's way, linear, flat: {'met' if met else 'MISSED'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
