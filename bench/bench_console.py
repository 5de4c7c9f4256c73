#!/usr/bin/env python3
"""What the console's pages cost: with nothing in the store, and with a hundred thousand decisions.

    python bench/bench_console.py [--decisions N] [--leases N] [--rounds N] [--no-browser] [--json FILE]

A console as it is served, over SQLite on disk, with TheHive embedded for signing in. Of every page the time until its
last byte is there (a keep-alive connection), and in Chromium the time from the click to its first contentful paint,
script and style sheet included. The fastest of the rounds counts: what a page costs, not what the machine was busy with
beside it. Three stores: empty; a tenth of the decisions; all of them, each with its terms and an audit line, and leases
in force. What pages have worked out in the background (Observe, Sources) is worked out before; how long that took is
shown too.

Budgets: first paint of every page below 200 ms with all decisions; and a page's own time with all of them at most 1.5
times that with a tenth (or 5 ms more): it does not grow with what is stored.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "tests" / "playbook_service"
sys.path[:0] = [str(ROOT), str(PLACE / "feedback"), str(PLACE / "console")]

from browser import Someone, found, launched, lived_in, places  # noqa: E402
from console_house import ORGADMIN, House  # noqa: E402
from filled import START, Filled  # noqa: E402

from playbook_service.store.sqlite import SqliteStore  # noqa: E402
from propolis.clock import ManualClock, SystemClock  # noqa: E402

CLOCK = SystemClock()
PAINT_MS, GROWTH, SLACK_MS = 200.0, 1.5, 5.0
LINES = 2000
_PAINT = """() => new Promise((done) => {
  const first = (list) => list.getEntriesByName("first-contentful-paint").forEach((one) => done(one.startTime));
  new PerformanceObserver(first).observe({type: "paint", buffered: true});
})"""
EMPTY = {
    "now": "", "leases": "/leases", "approvals": "/approvals", "decisions": "/decisions", "observe": "/observe",
    "sources": "/sources", "false-positives": "/false-positives", "playbooks": "/playbooks",
    "playbook": "/playbooks/malicious-ip", "playbook-try": "/playbooks/malicious-ip/try", "audit": "/audit",
}  # fmt: skip
"""Pages that are there without any record."""
Row = dict[str, float]


def timed(act: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    began = CLOCK.monotonic()
    act()
    return (CLOCK.monotonic() - began) * 1000


def world_in(folder: Path, decisions: int, leases: int) -> Filled:
    """A store on disk; with decisions, what a busy fortnight leaves too."""
    clock = ManualClock(START)
    world = Filled(SqliteStore(folder / "propolis.db", clock), clock)
    if not decisions:
        return world
    lived_in(world)
    world.many(decisions, leases)
    for start in range(0, decisions, LINES):
        with world.store.transaction() as work:
            for number in range(start, min(decisions, start + LINES)):
                world.journal.write(
                    work, "decision", decision=f"P{number:024x}", case="~128", target="203.0.113.17", result="observe",
                    wanted="act", playbook="malicious-ip", automated=True,
                )  # fmt: skip
    return world


def measured(decisions: int, leases: int, rounds: int, paint: bool) -> dict[str, Row]:
    """Page -> `server` and `paint` in milliseconds; the row `(background)` is what Observe and Sources took."""
    with tempfile.TemporaryDirectory() as folder:
        world = world_in(Path(folder), decisions, leases)
        with House(world) as house:
            rows = {"(background)": {"server": timed(lambda: _background(house))}}
            pages = {name: path for name, path in (places(world) if decisions else EMPTY).items() if name != "nothing"}
            rows |= {name: {"server": _served(house, path, rounds)} for name, path in pages.items()}
            if paint:
                _painted(house, pages, rows, rounds)
        world.store.close()
    return rows


def _background(house: House) -> None:
    visitor = house.visitor(ORGADMIN)
    for page in ("observe", "sources"):
        visitor.get(f"/console/{page}")
        house.errands.join()


def _served(house: House, path: str, rounds: int) -> float:
    visitor = house.visitor(ORGADMIN)
    visitor.get(f"/console{path}")
    taken = []
    for _ in range(rounds):
        began = CLOCK.monotonic()
        page = visitor.get(f"/console{path}")
        taken.append((CLOCK.monotonic() - began) * 1000)
        if page.status != 200:
            raise SystemExit(f"{path} answers {page.status}")
    return min(taken)


def _painted(house: House, pages: Mapping[str, str], rows: dict[str, Row], rounds: int) -> None:
    with launched() as browser:
        someone = Someone(house, browser).visit(ORGADMIN)
        for name, path in pages.items():
            someone.page.goto(f"/console{path}")
            rows[name]["paint"] = min(_paint(someone, path) for _ in range(rounds))
        someone.close()


def _paint(someone: Someone, path: str) -> float:
    someone.page.goto(f"/console{path}")
    return float(someone.page.evaluate(_PAINT))


# said ---------------------------------------------------------------------------------------------------------------


def verdict(tenth: Mapping[str, Row], full: Mapping[str, Row]) -> list[str]:
    """What is over a budget."""
    over = []
    for name, row in full.items():
        if name.startswith("("):
            continue
        if row.get("paint", 0.0) >= PAINT_MS:
            over.append(f"{name}: first paint after {row['paint']:.0f} ms")
        if row["server"] > max(tenth[name]["server"] * GROWTH, tenth[name]["server"] + SLACK_MS):
            over.append(f"{name}: {row['server'] / tenth[name]['server']:.1f} times the time of a tenth")
    return over


def printed(decisions: int, leases: int, empty: Mapping[str, Row], tenth: Mapping[str, Row],
            full: Mapping[str, Row]) -> None:  # fmt: skip
    """A table, in milliseconds."""
    print(f"{'milliseconds':20}{'empty':>18}{decisions // 10:>12,}{decisions:>18,} decisions, {leases:,} leases")
    print(f"{'':20}{'server':>9}{'paint':>9}{'server':>12}{'server':>9}{'paint':>9}{'growth':>9}")
    for name, row in full.items():
        ratio = row["server"] / tenth[name]["server"]
        cells = (empty.get(name, {}).get("server"), empty.get(name, {}).get("paint"))
        first = "".join(f"{cell:9.0f}" if cell is not None else f"{'-':>9}" for cell in cells)
        paint = f"{row['paint']:9.0f}" if "paint" in row else f"{'-':>9}"
        growth = f"{ratio:8.2f}x" if not name.startswith("(") else ""
        print(f"{name:20}{first}{tenth[name]['server']:12.0f}{row['server']:9.0f}{paint}{growth}")


def main() -> int:
    """1 where a budget is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--leases", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-browser", action="store_true", help="measure the server alone")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    arguments = parser.parse_args()
    paint = bool(found()) and not arguments.no_browser
    empty = measured(0, 0, arguments.rounds, paint)
    tenth = measured(arguments.decisions // 10, max(1, arguments.leases // 10), arguments.rounds, False)
    full = measured(arguments.decisions, arguments.leases, arguments.rounds, paint)
    printed(arguments.decisions, arguments.leases, empty, tenth, full)
    over = verdict(tenth, full)
    print("\n".join(["", *over]) if over else "\nall within their budgets")
    if arguments.json:
        told: dict[str, Any] = {"decisions": arguments.decisions, "leases": arguments.leases, "unit": "ms"}
        arguments.json.write_text(json.dumps({**told, "empty": empty, "tenth": tenth, "full": full}, indent=2) + "\n")
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
