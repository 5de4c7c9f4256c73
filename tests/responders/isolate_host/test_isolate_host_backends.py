"""A host behind a real SSH server keeps every promise of the contract."""

from __future__ import annotations

import pytest
from isolation_lab import IsolationBench, IsolationLab
from suite import BackendSuite, Bench

pytestmark = [pytest.mark.root, pytest.mark.daemon]


class TestIsolationOverSsh(BackendSuite):
    @pytest.fixture
    def bench(self, fresh: IsolationLab) -> Bench:
        return IsolationBench(fresh)
