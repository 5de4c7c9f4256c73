"""The seeded simulation still ranks the parts of the algorithm, and the methods, as the evidence says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"
sys.path.insert(0, str(BENCH))

from bench_consensus import ranking  # noqa: E402
from consensus_simulation import Measure, expected_calibration_error, run, wilson_bound  # noqa: E402


@pytest.fixture(scope="module")
def results() -> list[dict[str, Measure]]:
    return [run(base_rate, worlds=4, count=800) for base_rate in (0.1, 0.3)]


def test_families_are_worth_most_then_the_prior_then_learning(results: list[dict[str, Measure]]) -> None:
    worth = ranking(results)
    assert worth["families"] > worth["prior"] > worth["learned reliabilities"] > 0


def test_evidence_beats_the_other_rules_from_day_nought(results: list[dict[str, Measure]]) -> None:
    for found in results:
        day_0 = found["families, default weights, z .4 (day 0)"]
        for other in (
            "plain count (3 ask, 5 block)",
            "XSOAR: most reliable source wins",
            "IntelOwl: highest mean reliability wins",
        ):
            assert day_0.brier < found[other].brier
            assert day_0.false_blocks < found[other].false_blocks / 4
        assert day_0.precision > 0.98


def test_learning_without_families_blocks_more_of_the_innocent(results: list[dict[str, Measure]]) -> None:
    for found in results:
        assert found["naive Bayes, 200 labels"].false_blocks > 3 * found["families, 200 labels"].false_blocks


def test_wrong_families_are_worse_than_right_ones(results: list[dict[str, Measure]]) -> None:
    for found in results:
        assert found["wrong families, 200 labels"].brier > 1.5 * found["families, 200 labels"].brier


def test_a_prior_set_too_low_is_safe_but_misses(results: list[dict[str, Measure]]) -> None:
    for found in results:
        low, known = found["families, 200 labels, prior -4.5"], found["families, 200 labels"]
        assert low.false_blocks <= known.false_blocks
        assert low.recall < known.recall


def test_the_simulation_is_the_same_each_time() -> None:
    assert run(0.1, worlds=1, count=100) == run(0.1, worlds=1, count=100)


def test_the_measures_are_right() -> None:
    assert wilson_bound(73, 73) == pytest.approx(0.95, abs=0.001)
    assert wilson_bound(0, 0) == 0.0
    assert expected_calibration_error([(True, 0.75), (True, 0.75), (True, 0.75), (False, 0.75)]) == 0.0
    assert expected_calibration_error([(False, 1.0)]) == 1.0


def test_the_benchmark_runs_as_one_command() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "bench_consensus.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "--quick" in done.stdout
