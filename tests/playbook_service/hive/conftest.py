"""Fixtures: scripted TheHives of both versions and the adapters opened to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hive_server import Reply, Script, serving

from playbook_service.hive import connect
from playbook_service.hive.contract import Hive
from propolis.clock import ManualClock

Payload = Callable[[str], Any]


@pytest.fixture
def server() -> Iterator[Script]:
    with serving() as script:
        yield script


@pytest.fixture
def payload(fixtures: Path) -> Payload:
    """A recorded answer or webhook by its name."""

    def read(name: str) -> Any:
        return json.loads((fixtures / "thehive_payloads" / f"{name}.json").read_text())

    return read


@pytest.fixture
def hive5(server: Script) -> Iterator[Hive]:
    server.on("GET /api/v1/status/public", Reply(200, {"version": "5.7.5-1", "sso": False}))
    yield from _opened(server)


@pytest.fixture
def hive4(server: Script) -> Iterator[Hive]:
    server.on("GET /api/status", Reply(200, {"versions": {"Scalligraph": "1.0.0", "TheHive": "4.1.24-1"}}))
    yield from _opened(server)


def _opened(server: Script) -> Iterator[Hive]:
    hive = connect(server.url, "secret-key", clock=ManualClock(), timeout=(2.0, 0.3), retries=0)
    yield hive
    hive.close()


@pytest.fixture(params=[4, 5])
def hive(request: pytest.FixtureRequest) -> Hive:
    """Both versions, one after the other."""
    found: Hive = request.getfixturevalue(f"hive{request.param}")
    return found
