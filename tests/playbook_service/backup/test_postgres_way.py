"""What docs/operate.md says of PostgreSQL, with a real server: dumped while nodes write, restored, the chain sound."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))


@pytest.fixture
def server(need: Callable[[object, str], None]) -> Iterator[Any]:
    need(find_spec("psycopg"), "psycopg (the extra `postgres`)")
    from postgres_server import PostgresServer, programs

    need(programs(), "PostgreSQL (apt-get install postgresql)")
    with PostgresServer() as running:
        yield running


def said(program: str) -> str:
    """The command as the page has it."""
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    found = re.search(rf"^{program} [^#\n]*", page, re.MULTILINE)
    assert found is not None
    return found.group()


def run(command: str, url: str, place: Path) -> None:
    from postgres_server import programs

    path = f"{programs()}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command], env={"PATH": path, "DATABASE_URL": url}, cwd=place, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.daemon
def test_a_dump_of_nodes_that_write_is_restored_into_an_empty_database(server: Any, tmp_path: Path):
    from playbook_service.audit.journal import Journal
    from playbook_service.store.postgres import PostgresStore
    from propolis.clock import SystemClock

    clock = SystemClock()
    url, elsewhere = server.database(), server.database()
    store = PostgresStore(url, clock)
    journal, stop, written = Journal(store, clock), threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with store.transaction() as work:
                work.save("load", f"{number:08}", {"filler": "x"})
                journal.write(work, "contained", target=str(number))
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(20)
        run(said("pg_dump"), url, tmp_path)
    finally:
        stop.set()
        writer.join()
        store.close()

    run(said("pg_restore"), elsewhere, tmp_path)
    restored = PostgresStore(elsewhere, clock)
    journal = Journal(restored, clock)
    with restored.transaction() as work:
        records, newest = work.count("load"), work.last("audit")
    assert newest is not None
    assert records == newest.number > 0
    assert journal.verify() == []
    with restored.transaction() as work:
        assert journal.write(work, "service started")["n"] == records + 1
    restored.close()
