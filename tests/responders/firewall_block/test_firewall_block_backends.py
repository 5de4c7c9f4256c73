"""nftables keeps every promise of the contract, on this machine and behind a real SSH server."""

from __future__ import annotations

import pytest
from firewall_lab import FirewallLab, NftBench
from suite import BackendSuite, Bench

pytestmark = pytest.mark.root


class TestNftablesHere(BackendSuite):
    @pytest.fixture
    def bench(self, fresh: FirewallLab) -> Bench:
        return NftBench(fresh, over_ssh=False)


@pytest.mark.daemon
class TestNftablesOverSsh(BackendSuite):
    @pytest.fixture
    def bench(self, fresh: FirewallLab) -> Bench:
        return NftBench(fresh, over_ssh=True)
