"""Stores of every kind, empty, over a clock that stands still."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from propolis.clock import ManualClock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgres(need: Callable[[object, str], None]) -> Iterator[Any]:
    """A PostgreSQL server that all tests of the session share."""
    need(_psycopg(), "psycopg (the extra `postgres`)")
    from postgres_server import PostgresServer, programs

    need(programs(), "PostgreSQL (apt-get install postgresql)")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database(postgres: Any) -> Iterator[str]:
    """The URL of an empty database."""
    url = postgres.database()
    yield url
    postgres.drop(url)


def _psycopg() -> bool:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return False
    return True
