#!/usr/bin/env python3
"""How long `propolis report` takes over a month's decisions, and that its memory does not grow with them.

    python bench/bench_report.py [--decisions N]

A SQLite store is filled with cases of an alert, four decisions, a containment and a closing each, as the engine writes
them, chain and all. Then the report of the period is made in a process of its own: seconds of its CPU time, and the
peak memory that the operating system tells; and the story of one case in the middle of it.

Budgets: 100,000 decisions in 30 s of CPU, with at most 32 MB more than 10,000 take (what grows is a few words a case).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playbook_service.audit.chain import Anchor, anchor_of, seal  # noqa: E402
from playbook_service.store.sqlite import SqliteStore  # noqa: E402
from propolis.clock import ManualClock, utc_text  # noqa: E402

START, A_CASE, EACH = 1_793_491_200.0, 60.0, 4
SECONDS, MORE = 30.0, 32e6
BATCH = 500


# --- the store -----------------------------------------------------------------------------------------------------


def fill(folder: Path, decisions: int) -> None:
    """So many decisions, four a case."""
    clock = ManualClock(START)
    store = SqliteStore(folder / "propolis.db", clock)
    head: Anchor | None = None
    cases = decisions // EACH
    for first in range(0, cases, BATCH):
        with store.transaction() as work:
            for number in range(first, min(first + BATCH, cases)):
                clock.jump(A_CASE)
                work._now = clock.now()  # type: ignore[attr-defined]  # one transaction for hours, to fill it quickly
                for kind, key, state, ref, body in records(number, clock.now()):
                    work.save(kind, key, body, state=state, ref=ref)
                for entry in lines(number):
                    line = seal(head, utc_text(clock.now()), entry)
                    work.append("audit", line)
                    head = anchor_of(line)
                work.append("feedback", closing(number, clock.now()))
    store.close()


def records(number: int, now: float) -> Iterator[tuple[str, str, str, str, dict[str, Any]]]:
    case, alert = f"~{number}", f"siem01:{number}"
    document = {
        "id": str(number), "rule": {"id": "5712", "level": 10, "description": "sshd: brute force"},
        "agent": {"id": "001", "name": "web01"}, "data": {"srcip": "203.0.113.7"}, "full_log": "sshd: " + "x" * 1500,
    }  # fmt: skip
    body = {"origin": "wazuh", "alert": document, "hive_id": "~h", "suppressed": "", "at": now, "observables": []}
    yield "alert", alert, "cased", case, body
    yield "case", case, "open", case, {"number": number, "alerts": [alert], "note": ""}


def lines(number: int) -> Iterator[dict[str, Any]]:
    case, alert, lease = f"~{number}", f"siem01:{number}", f"P{number}"
    about = {"case": case, "target": f"203.0.113.{number % 250}", "responder": "FirewallBlock", "trace": alert}
    yield {"action": "case opened", "case": case, "number": number, "alert": alert, "trace": alert}
    for which, result in enumerate(("act", "observe", "covered", "stopped")):
        reasons = ["malicious-ip: act, because 4 families call it malicious"]
        yield {"action": "decision", **about, "decision": f"{lease}{which or ''}", "result": result, "wanted": "act",
               "playbook": f"playbook-{which}", "rule": "firewall.own" if result == "stopped" else "",
               "evidence": "e" * 64, "version": "f" * 64, "reasons": reasons, "automated": True}  # fmt: skip
    yield {"action": "containment wished", **about, "lease": lease, "operator": "playbook playbook-0"}
    yield {"action": "contained", **about, "lease": lease, "result": "contained"}
    yield {"action": "released", **about, "lease": lease, "operator": "expiry"}


def closing(number: int, now: float) -> dict[str, Any]:
    judgement = "FalsePositive" if number % 20 == 0 else "TruePositive"
    words = {"VirusTotal": "malicious", "AbuseIPDB": "malicious" if number % 3 else "none", "OTXQuery": "none"}
    label = {
        "data_type": "ip", "data": "203.0.113.7", "malicious": judgement == "TruePositive", "weight": 1.0,
        "why": ["contained"], "words": words, "log_odds": 2.0,
    }  # fmt: skip
    return {
        "event": "closed", "case_id": f"~{number}", "number": number, "resolution": judgement, "judgement": judgement,
        "at": now, "by": "anna", "labels": [label], "counts": [], "held": [],
    }  # fmt: skip


# --- what is measured ----------------------------------------------------------------------------------------------


def measure(place: Path, decisions: int) -> None:
    """In a process of its own: one line of JSON."""
    from playbook_service.reports.gather import Scope, gather
    from playbook_service.reports.incident import find_case, incident
    from playbook_service.reports.incident_page import incident_html
    from playbook_service.reports.page import page

    store = SqliteStore(place / "propolis.db", ManualClock(START))
    end = START + decisions * A_CASE
    began = time.process_time()
    found = gather(store, Scope(START, end), end)
    shown = page(found)
    seconds = time.process_time() - began
    cases = decisions // EACH
    assert (found.incoming.cases, found.total, sum(book.acted for book in found.books)) == (cases, cases, cases)
    assert (len(found.books), found.chain.findings, len(shown) < 200_000) == (4, (), True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    began = time.process_time()
    with store.reading() as work:
        incident_html(incident(work, find_case(work, str(cases // 2)), end))
    one = time.process_time() - began
    store.close()
    print(json.dumps({"seconds": seconds, "peak": peak, "case": one}))


def measured(decisions: int) -> dict[str, float]:
    """Fill a store, and let another process report on it."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), decisions)
        command = [sys.executable, __file__, "--measure", folder, "--decisions", str(decisions)]
        found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return found


def report(decisions: int) -> bool:
    """Print seconds and memory; False where a budget is missed."""
    small, large = measured(decisions // 10), measured(decisions)
    print(f"{'decisions':>12}{'report, CPU s':>16}{'peak memory':>14}{'one case, CPU s':>18}")
    for count, run in ((decisions // 10, small), (decisions, large)):
        print(f"{count:>12,}{run['seconds']:>16.1f}{run['peak'] / 1e6:>11.1f} MB{run['case']:>18.2f}")
    quick, flat = large["seconds"] <= SECONDS, large["peak"] - small["peak"] <= MORE
    print(f"\n{'met' if quick else 'MISSED'}: at most {SECONDS:.0f} s of CPU for {decisions:,} decisions")
    print(f"{'met' if flat else 'MISSED'}: at most {MORE / 1e6:.0f} MB more than for a tenth of them")
    return quick and flat


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    if chosen.measure:
        measure(chosen.measure, chosen.decisions)
    else:
        sys.exit(0 if report(chosen.decisions) else 1)
