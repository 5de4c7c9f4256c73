"""A console over a busy fortnight's data, and somebody to look at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "feedback"))

from console_house import House
from filled import Filled


@pytest.fixture
def world() -> Filled:
    """The data of a busy fortnight."""
    filled = Filled()
    filled.fortnight()
    return filled


@pytest.fixture
def house(world: Filled) -> Iterator[House]:
    """A console over it."""
    with House(world) as opened:
        yield opened
