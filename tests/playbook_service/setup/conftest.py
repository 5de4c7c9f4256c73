"""A lab to be set up, and the file that says how."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from setup_file import ROOT, File

from playbook_service.lab import Lab
from propolis.http import Client, session


@pytest.fixture(params=[4, 5], ids=["thehive4", "thehive5"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(request.param, analyzers=[ROOT / "analyzers"], responders=[ROOT / "responders"]) as lab:
        yield lab


@pytest.fixture
def lab5() -> Iterator[Lab]:
    with Lab(5, analyzers=[ROOT / "analyzers"], responders=[ROOT / "responders"]) as lab:
        yield lab


@pytest.fixture
def lab4() -> Iterator[Lab]:
    with Lab(4) as lab:
        yield lab


@pytest.fixture
def admin() -> Iterator[Callable[[Lab, str], Client]]:
    """`admin(lab, "orgadmin")`: a client with that key of the lab."""
    made: list[Client] = []

    def client(lab: Lab, name: str) -> Client:
        url = lab.cortex_url if name.startswith("cortex") else lab.thehive_url
        made.append(session(url, headers={"Authorization": f"Bearer {getattr(lab.keys, name)}"}, retries=0))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Lab], File]:
    """`file(lab)`: a set-up file that fits the lab."""
    return lambda lab: File(tmp_path, lab, monkeypatch)
