"""The lab of the agents' side, for the tests that put the real program behind the manager."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from netns import missing_tools

LAB = Path(__file__).resolve().parents[2] / "deploy" / "wazuh"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Iterator[Any]:
    """A host with the program, its manager and an attacker, as namespaces."""
    lacking = missing_tools()
    need(not lacking, f"root and these tools: {', '.join(lacking)}")
    sys.path.append(str(LAB))  # the lab's modules live beside the tests of the agents' side
    from agent_lab import AgentLab

    with AgentLab(tmp_path_factory.mktemp("hosts")) as lab:
        yield lab
