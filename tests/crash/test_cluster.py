"""Three nodes on one PostgreSQL, one killed in its work: work is shared, nothing is lost, nothing doubled.

`python tests/crash/cluster.py --full` is the same with 100,000 alerts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import campaign

from playbook_service.engine.crashpoint import POINTS

Need = Callable[[object, str], None]


@pytest.fixture
def postgresql(need: Need) -> None:
    need(find_spec("psycopg"), "psycopg (the extra `postgres`)")
    from postgres_server import programs

    need(programs(), "PostgreSQL (apt-get install postgresql)")


@pytest.mark.daemon
@pytest.mark.timeout(600)  # two minutes where nothing else runs; `patience` gives up before this
@pytest.mark.usefixtures("postgresql")
def test_three_nodes_share_two_thousand_alerts_and_lose_none_when_one_is_killed(tmp_path: Path):
    from cluster import run

    found = run(tmp_path, events=2_000, nodes=3, one_in=40, patience=400)
    print(f"at rest after {found.seconds:.0f} s, shares {found.shares}, {found.counts}")
    assert found.counts["containments"] > 20, "the run did not come to the point"
    assert found.broken == []


@pytest.mark.daemon
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("postgresql")
def test_a_node_on_postgresql_may_be_killed_at_every_named_point(tmp_path: Path):
    from postgres_server import PostgresServer

    with PostgresServer() as server:
        harness, found = campaign(tmp_path, version=5, seed=1, kills=0, points=list(POINTS), store=server.database())
    assert harness.missed == []
    assert found.broken == []
