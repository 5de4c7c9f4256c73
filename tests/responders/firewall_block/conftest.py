"""A firewall, an attacker with two addresses, and the SOC: three machines that are really there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from firewall_lab import FirewallLab
from netns import missing_tools


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Iterator[FirewallLab]:
    lacking = missing_tools()
    need(not lacking, f"nftables in network namespaces ({', '.join(lacking)})")
    with FirewallLab(tmp_path_factory.mktemp("fw")) as made:
        yield made


@pytest.fixture
def fresh(lab: FirewallLab) -> FirewallLab:
    """The lab with no rules and an empty log."""
    lab.reset()
    return lab
