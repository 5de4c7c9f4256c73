"""`propolis report` over a store in PostgreSQL, with a real server: the same figures as over SQLite."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from month_store import Telling

from playbook_service.cli import main

PERIOD = ("--since", "2026-11-01", "--until", "2026-12-01")
CASE = ("--case", "101")


@pytest.fixture
def server(need: Callable[[object, str], None]) -> Iterator[Any]:
    need(find_spec("psycopg"), "psycopg (the extra `postgres`)")
    from postgres_server import PostgresServer, programs

    need(programs(), "PostgreSQL (apt-get install postgresql)")
    with PostgresServer() as running:
        yield running


@pytest.mark.daemon
def test_the_month_is_the_same_in_postgresql(
    server: Any, telling: Telling, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    telling.tell("month.yml")
    monkeypatch.chdir(telling.place.parent)
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(telling.place.parent))
    monkeypatch.setattr("playbook_service.commands.opened.SystemClock", lambda: telling.clock)
    before = [said(capsys, *words) for words in (PERIOD, CASE)]
    assert before[0]["containments"]["total"] == 6
    telling.store.close()
    monkeypatch.setenv("PROPOLIS_STORE", server.database())
    assert main(["migrate-store"]) == 0
    capsys.readouterr()
    assert [said(capsys, *words) for words in (PERIOD, CASE)] == before


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["report", *words, "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found
