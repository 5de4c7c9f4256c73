"""What only the SQLite store does: it outlives its process, migrates, and says clearly when it cannot be used."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from playbook_service.store.contract import StoreError
from playbook_service.store.schema import MIGRATIONS
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock, SystemClock

_WRITER = """
import os, sys
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import SystemClock
store = SqliteStore(sys.argv[1], SystemClock())
for number in range(10_000):
    with store.transaction() as work:
        work.put("inbox", f"event-{number}", {})
    print(number, flush=True)
"""


def test_what_was_committed_outlives_a_killed_process(tmp_path: Path):
    database = tmp_path / "propolis.db"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(database)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(25)][-1]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    store = SqliteStore(database, ManualClock(4_000_000_000.0))
    with store.transaction() as work:
        kept = {item.key for item in work.claim("inbox", "reader", seconds=60, limit=20_000)}
    store.close()
    assert {f"event-{number}" for number in range(acknowledged + 1)} <= kept


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path):
    database = tmp_path / "propolis.db"
    SqliteStore(database, ManualClock()).close()
    with sqlite3.connect(database) as connection:
        connection.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(database, ManualClock())


def test_a_file_that_is_no_database_is_named_in_the_error(tmp_path: Path):
    database = tmp_path / "propolis.db"
    database.write_bytes(b"this is not a database, it is a sentence of some length" * 50)
    with pytest.raises(StoreError, match=r"propolis\.db cannot be used"):
        SqliteStore(database, ManualClock())


def test_a_missing_folder_is_named_in_the_error(tmp_path: Path):
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteStore(tmp_path / "missing" / "propolis.db", ManualClock())


def test_check_writes_a_probe(tmp_path: Path):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    store.check()
    with store.transaction() as work:
        assert work.get("store", "probe") is not None
    store.close()


def test_the_room_of_what_was_forgotten_is_given_back(tmp_path: Path):
    database = tmp_path / "propolis.db"
    clock = ManualClock()
    store = SqliteStore(database, clock)
    with store.transaction() as work:
        for number in range(4000):
            work.save("alert", f"a{number}", {"text": "x" * 4000})
    store.compact()
    before = database.stat().st_size
    clock.advance(10)
    with store.transaction() as work:
        assert work.purge_records("alert", None, clock.now()) == 4000
    store.compact()
    assert database.stat().st_size < before // 4
    store.close()


def test_a_full_disk_is_an_error_of_the_store_and_over_when_there_is_room_again(tmp_path: Path):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    connection = store._connection()
    connection.execute("pragma max_page_count = 40")
    with pytest.raises(StoreError, match="full"), store.transaction() as work:
        for number in range(1000):
            work.save("alert", f"a{number}", {"text": "x" * 4000})
    with store.transaction() as work:
        assert work.count("alert") == 0
    connection.execute("pragma max_page_count = 100000")
    with store.transaction() as work:
        work.save("alert", "a", {})
    store.close()


def test_a_connection_ends_with_its_thread(tmp_path: Path):
    """A server starts a thread for each of its connections: what a thread opened must not outlive it."""
    store = SqliteStore(tmp_path / "propolis.db", SystemClock())

    def look() -> None:
        with store.transaction() as work:
            work.get("a", "b")

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) <= before + 2
