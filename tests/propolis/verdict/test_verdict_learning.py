"""Calibration on labelled decisions."""

from __future__ import annotations

import math
import random

import pytest
from verdict_helpers import ADDRESS, NOW, OPTIONS, said

from propolis.verdict import assess
from propolis.verdict.calibration import Labelled, calibrate
from propolis.verdict.score import Calibration, probability


def closures(count: int, slope: float, offset: float, seed: int = 7) -> list[Labelled]:
    """Decisions whose outcomes follow sigma(slope * log-odds + offset)."""
    draw = random.Random(seed)  # noqa: S311 - a seeded world, no secret
    values = [draw.gauss(0, 3) for _ in range(count)]
    return [Labelled(value, draw.random() < probability(slope * value + offset)) for value in values]


def test_fewer_than_fifty_closures_calibrate_nothing() -> None:
    assert calibrate(closures(49, 1.0, 0.0)) is None
    assert calibrate(closures(50, 1.0, 0.0)) is not None


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -1.0), (1.5, 0.7)])
def test_many_closures_find_the_slope_and_the_offset(slope: float, offset: float) -> None:
    found = calibrate(closures(4000, slope, offset))
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=0.1)
    assert found.offset == pytest.approx(offset, abs=0.15)


def test_a_calibrated_score_has_less_log_loss() -> None:
    train, test = closures(400, 0.4, -1.0), closures(2000, 0.4, -1.0, seed=8)
    fitted = calibrate(train)

    def loss(calibration: Calibration | None) -> float:
        return sum(-math.log(abs((not hit) - probability(value, calibration))) for value, hit, _ in test)

    assert loss(fitted) < loss(None)


def test_the_ridge_holds_where_closures_are_separated_and_the_slope_stays_positive() -> None:
    perfect = [Labelled(value, value > 0) for value in [-3.0, -2.0, 2.0, 3.0] * 15]
    inverted = [Labelled(value, value < 0) for value in [-3.0, -2.0, 2.0, 3.0] * 15]
    fitted, turned = calibrate(perfect), calibrate(inverted)
    assert fitted is not None
    assert turned is not None
    assert 1.0 < fitted.slope <= 5.0
    assert turned.slope == 0.05


def test_a_closure_of_half_weight_pulls_half_as_much() -> None:
    base = closures(60, 1.0, 0.0)
    denied = [Labelled(2.0, False)] * 30
    whole, half = calibrate(base + denied), calibrate(base + [entry._replace(weight=0.5) for entry in denied])
    assert whole is not None
    assert half is not None
    assert probability(2.0, whole) < probability(2.0, half) < probability(2.0, calibrate(base))


def test_a_verdict_says_whether_it_is_calibrated_and_its_ledger_follows() -> None:
    options = OPTIONS._replace(calibration=Calibration(0.5, 0.0))
    plain = assess("ip", ADDRESS, [said("Ind0", "malicious")], now=NOW, options=OPTIONS).to_dict()
    fitted = assess("ip", ADDRESS, [said("Ind0", "malicious")], now=NOW, options=options).to_dict()
    assert (plain["calibrated"], fitted["calibrated"]) == (False, True)
    assert fitted["ledger"][0]["contribution"] == pytest.approx(plain["ledger"][0]["contribution"] / 2, abs=1e-3)
    assert "probability" in fitted["explanation"][0]
    assert "score" in plain["explanation"][0]
