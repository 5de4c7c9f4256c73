"""One SOC in good order for each version of TheHive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ward import Ward


@pytest.fixture(params=[4, 5], ids=["thehive4", "thehive5"])
def ward(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ward]:
    made = Ward(tmp_path, request.param, monkeypatch)
    try:
        yield made.open()
    finally:
        made.close()


@pytest.fixture
def ward5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ward]:
    made = Ward(tmp_path, 5, monkeypatch)
    try:
        yield made.open()
    finally:
        made.close()
