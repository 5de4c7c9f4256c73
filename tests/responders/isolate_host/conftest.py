"""A host, its management and an attacker: machines that are really there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from isolation_lab import IsolationLab
from netns import missing_tools


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Iterator[IsolationLab]:
    lacking = missing_tools()
    need(not lacking, f"nftables and sshd in network namespaces ({', '.join(lacking)})")
    with IsolationLab(tmp_path_factory.mktemp("iso")) as made:
        yield made


@pytest.fixture
def fresh(lab: IsolationLab) -> IsolationLab:
    """The lab with nothing isolated and an empty log."""
    lab.reset()
    return lab
