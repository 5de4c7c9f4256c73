"""The service killed at every named point, and at seeded moments: nothing acknowledged is lost, nothing done twice.

`python tests/crash/harness.py --kills 300` (`make crash`) is the same, longer.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import Harness, Reckoning, campaign

from playbook_service.engine.crashpoint import POINTS

ROOT = Path(__file__).resolve().parents[2]


def tell(harness: Harness, found: Reckoning) -> None:
    print(f"{harness.kills} kills:", ", ".join(f"{count} {name}" for name, count in found.counts.items()))


@pytest.mark.timeout(300)
def test_the_service_may_be_killed_at_every_named_point(tmp_path: Path):
    harness, found = campaign(tmp_path, version=5, seed=1, kills=0, points=list(POINTS))
    tell(harness, found)
    assert harness.missed == []
    assert found.broken == []


@pytest.mark.timeout(300)
def test_the_service_may_be_killed_at_any_moment_while_thehive_misbehaves(tmp_path: Path):
    harness, found = campaign(tmp_path, version=4, seed=2, kills=30, points=[])
    tell(harness, found)
    assert found.counts["containments"] > 10, "the campaign did not come to the point"
    assert found.broken == []


def test_every_point_that_has_a_name_is_in_the_code_and_the_other_way_round():
    called = {
        name
        for path in (ROOT / "playbook_service").rglob("*.py")
        for name in re.findall(r'\breached\("([^"]+)"\)', path.read_text(encoding="utf-8"))
    }
    assert called == set(POINTS)
