"""A scripted Cortex and the client of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hive"))  # the scripted server stands there

from hive_server import Script, serving

from playbook_service.cortex import Cortex
from propolis.clock import ManualClock


@pytest.fixture
def server() -> Iterator[Script]:
    with serving() as script:
        yield script


@pytest.fixture
def cortex(server: Script) -> Iterator[Cortex]:
    cortex = Cortex(server.url, "c0rtex-key", clock=ManualClock(), timeout=(2.0, 0.3), retries=0)
    yield cortex
    cortex.close()
