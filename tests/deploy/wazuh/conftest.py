"""One lab for all tests of the agent's side; each test begins with an empty ruleset and a new Wazuh home."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent_lab import Agent, AgentLab, private_etc
from netns import find, missing_tools

TOOLS = ("flock", "logger", "usermod", "chage", "setpriv", "pgrep", "pkill", "chattr", "mount")
"""What a host needs beside the network for these tests."""


@pytest.fixture(scope="session")
def agent_lab(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Iterator[AgentLab]:
    lacking = missing_tools() + [tool for tool in TOOLS if find(tool) is None]
    need(not lacking, f"a host with {', '.join(lacking)}")
    lab = AgentLab(tmp_path_factory.mktemp("agents"))
    with lab:
        yield lab


@pytest.fixture
def agent(agent_lab: AgentLab) -> Iterator[Agent]:
    agent_lab.reset()
    made = agent_lab.agent()
    yield made
    made.disconnect()


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """The /etc of `resident`."""
    return private_etc(tmp_path / "etc")


@pytest.fixture
def resident(agent_lab: AgentLab, etc: Path) -> Iterator[Agent]:
    """An agent on a host with accounts and names of its own."""
    agent_lab.reset()
    made = agent_lab.agent(etc)
    yield made
    made.disconnect()
