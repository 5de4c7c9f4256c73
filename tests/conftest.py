"""What every test may use: the shared data, where it is, and one way to say that something is needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

pytest.register_assert_rewrite("netns")

# How quickly examples are drawn says something of the machine and nothing of the code.
hypothesis.settings.register_profile("propolis", suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("propolis")

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = Path(__file__).resolve().parent / "fixtures"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell `run_all.py` what failed, where it asks."""
    place = os.environ.get("PROPOLIS_TESTS_FAILED")
    if place and report.failed:
        with open(place, "a", encoding="utf-8") as stream:
            stream.write(f"{report.nodeid}\n")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of test data."""
    return FIXTURES


@pytest.fixture(scope="session")
def shared() -> Path:
    """The data set that stands beside the repository; it belongs to others and is not part of the project."""
    place = Path(os.environ.get("PROPOLIS_SHARED", ROOT.parent / "shared"))
    if not place.is_dir():
        pytest.skip("the shared data set is not beside the repository (or at PROPOLIS_SHARED)")
    return place


@pytest.fixture(scope="session")
def need() -> Callable[[object, str], None]:
    """`need(shutil.which("nft"), "nftables")`: skip where the tool is missing, but fail in CI, which must have it."""

    def check(condition: object, what: str) -> None:
        if condition:
            return
        if os.environ.get("CI"):
            pytest.fail(f"CI must have {what}")
        pytest.skip(f"needs {what}")

    return check
