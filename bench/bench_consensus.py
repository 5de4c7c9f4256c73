"""Compare the verdict with the plain count rule, XSOAR's and IntelOwl's on seeded worlds.

`python bench/bench_consensus.py [--quick]`; the whole of it is 12 worlds of 3,000 observables at two base rates.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from consensus_simulation import METHODS, Measure, run  # noqa: E402

from propolis.verdict import Options, Report, assess, load_sources  # noqa: E402

BASE_RATES = (0.10, 0.30)
HEADINGS = ("Brier", "ECE", "precision", ">= (95 %)", "recall", "false/1000")


def table(found: dict[str, Measure]) -> str:
    """The measures as text."""
    lines = [f"{'':42}" + "".join(f"{heading:>11}" for heading in HEADINGS)]
    for name, measure in found.items():
        lines.append(f"{name:42}" + "".join(f"{value:>11.4f}" for value in measure))
    return "\n".join(lines)


def ranking(results: list[dict[str, Measure]]) -> dict[str, float]:
    """How much of the Brier score each part is worth: what is lost when it alone is left out, over all base rates."""

    def mean(name: str) -> float:
        return sum(found[name].brier for found in results) / len(results)

    whole = mean("families, 200 labels")
    return {
        "families": mean("naive Bayes, 200 labels") - whole,
        "prior": mean("families, 200 labels, shipped prior") - whole,
        "learned reliabilities": mean("families, default weights, z 0 (day 0)") - whole,
    }


def microseconds(repeats: int = 2000) -> float:
    """The best time of one assessment of five reports."""
    sources = load_sources("\n".join(f"S{number}: {{family: f{number}}}" for number in range(5)))
    reports = [Report(f"S{n}", f"S{n}_1_0", "malicious", None, 1e9, 1e9, "ip", "203.0.113.45") for n in range(5)]
    options, best = Options(sources=sources), float("inf")
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(repeats // 10):
            assess("ip", "203.0.113.45", reports, now=1e9 + 60, options=options)
        best = min(best, (time.perf_counter() - start) / (repeats // 10))
    return best * 1e6


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 worlds of 1,000 observables")
    worlds, count = (3, 1000) if parser.parse_args().quick else (12, 3000)
    results = []
    for base_rate in BASE_RATES:
        results.append(run(base_rate, worlds, count))
        print(f"{base_rate:.0%} malicious, {worlds} worlds of {count} observables, {len(METHODS)} methods")
        print(table(results[-1]), end="\n\n")
    parts = ", ".join(f"{name} {value:+.4f}" for name, value in ranking(results).items())
    print(f"What each part is worth (Brier lost without it): {parts}")
    print(f"One assessment of five reports: {microseconds():.0f} microseconds")


if __name__ == "__main__":
    main()
