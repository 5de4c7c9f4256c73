"""What only the SQLite store does: it outlives its process, migrates, and says clearly when it cannot be used."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from playbook_service.store.contract import Filter, StoreError, Transaction
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


def plan(store: SqliteStore, ask: Callable[[Transaction], object]) -> str:
    """How SQLite goes about what is asked, in its own words."""
    asked: list[str] = []
    with store.reading() as look:
        connection = store._connection("look")
        connection.set_trace_callback(asked.append)
        ask(look)
        connection.set_trace_callback(None)
        steps = connection.execute(f"explain query plan {asked[0]}").fetchall()
    return "; ".join(str(step[3]) for step in steps)


def test_pages_in_the_order_of_due_and_the_newest_of_a_queue_are_read_from_where_they_begin(tmp_path: Path):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    first = Filter(state="active", due_before=9e9)
    for wanted, bounds in ((first, "due<?"), (first._replace(after_due=(5.0, "l")), "due>? AND due<?")):
        how = plan(store, lambda look, wanted=wanted: look.find("lease", wanted))
        assert how == f"SEARCH record USING INDEX record_due (kind=? AND state=? AND {bounds})"  # nothing is sorted
    assert plan(store, lambda look: look.recent("inbox", 10)) == "SCAN work"  # from its end: nothing is sorted
    assert plan(store, lambda look: look.waiting("step", 10)) == "SEARCH work USING INDEX work_waiting (queue=?)"
    store.close()


def test_a_look_refuses_to_write_whatever_it_is_told(tmp_path: Path):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    with pytest.raises(StoreError, match="readonly"), store.reading():
        store._connection("look").execute("delete from record")
    store.close()


def test_a_look_within_a_look_is_refused_and_the_outer_one_goes_on(tmp_path: Path):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    with store.reading() as look:
        with pytest.raises(StoreError, match="within a transaction"), store.reading():
            pass
        assert look.count("lease") == 0
    store.close()


def test_the_room_is_given_back_while_somebody_looks_and_nobody_waits_long_for_that(tmp_path: Path):
    clock = SystemClock()
    database = tmp_path / "propolis.db"
    store = SqliteStore(database, clock)
    with store.transaction() as work:
        for number in range(4000):
            work.save("alert", f"a{number}", {"text": "x" * 4000})
    with store.reading() as look:
        assert look.count("alert") == 4000
        with store.transaction() as work:
            work.purge_records("alert", None, clock.now() + 1)
        began = clock.monotonic()
        store.compact()
        assert clock.monotonic() - began < 5
        assert look.count("alert") == 4000
    store.compact()
    assert database.stat().st_size < 1_000_000
    store.close()
