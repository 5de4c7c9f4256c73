"""`propolis migrate-store`: everything arrives, verified, or nothing does; and nobody works on with the old store."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg")

from playbook_service.audit import index
from playbook_service.audit.journal import Journal
from playbook_service.cli import COMMANDS, Command, main
from playbook_service.console import session
from playbook_service.console.errand import Errands, standing
from playbook_service.console.person import Person, Role
from playbook_service.engine import decided, switch, version
from playbook_service.engine.version import Versions
from playbook_service.metrics.counting import Counting
from playbook_service.parts import open_store
from playbook_service.playbook import SHIPPED
from playbook_service.playbook import load as load_playbooks
from playbook_service.settings import load
from playbook_service.store.contract import Filter, Store, StoreError
from playbook_service.store.postgres import PostgresStore
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock

pytestmark = pytest.mark.daemon
ROOT = Path(__file__).resolve().parents[3]
COMMAND = [
    sys.executable,
    "-c",
    "import argparse; from playbook_service.commands import migrate_store as m; p = argparse.ArgumentParser(); "
    "m.add_arguments(p); raise SystemExit(m.run(p.parse_args()))",
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str, clock: ManualClock) -> Path:
    """A data folder with something of everything in its store; the settings name it and the database."""
    monkeypatch.setitem(COMMANDS, "migrate-store", Command("playbook_service.commands.migrate_store", "move the store"))
    monkeypatch.delenv("PROPOLIS_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(folder))
    monkeypatch.setenv("PROPOLIS_STORE", database)
    store = SqliteStore(folder / "propolis.db", clock)
    fill(store, clock)
    store.close()
    return folder


def fill(store: Store, clock: ManualClock) -> None:
    journal = Journal(store, clock)
    for number in range(30):
        with store.transaction() as work:
            work.put("step", f"s{number}", {"do": "x", "odd": "\x00"}, due=clock.now() - 20 + number / 3)
            work.save("lease", f"l{number}", {"n": number}, state="active", ref="case\x00", due=clock.now() + 0.1)
            work.save("lease", f"l{number}", {"n": -number}, state="active", ref="case\x00")
            journal.write(work, "contained", lease=f"l{number}", who="Zoë")
    with store.transaction() as work:
        done, waiting, dead, _ = work.claim("step", "node", seconds=60, limit=4)
        work.done(done)
        work.later(waiting, clock.now() + 5, "TheHive is away", failed=True)
        work.bury(dead, "never \x00")
        work.save("odd\x01kind", "a\x00b", {})


def everything(store: Store, clock: ManualClock) -> Any:
    """What the contract shows of a store."""
    with store.transaction() as work:
        shown = [
            work.backlog("step"), work.buried("step"), work.find("lease", Filter(limit=100)), work.find("odd\x01kind"),
            work.read("audit"), work.put("step", "s0", {}),
        ]  # fmt: skip
        clock.advance(100)
    with store.transaction() as work:
        shown.append(work.claim("step", "reader", seconds=60, limit=100))
        shown.append(work.append("audit", {}).number)
        shown.append(work.put("step", "new", {}))
    return shown


def source_rows(data: Path) -> dict[str, int]:
    """Table -> rows of the store that is moved."""
    with closing(sqlite3.connect(data / "propolis.db")) as connection:
        return {
            table: connection.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("work", "record", "log")
        }


def target_rows(database: str) -> int:
    store = PostgresStore(database, ManualClock())
    with store.connection() as connection:
        (rows,) = connection.execute(
            "select (select count(*) from work) + (select count(*) from record) + (select count(*) from log)"
        ).fetchone() or (0,)
    store.close()
    return int(rows)


def test_everything_arrives_and_a_service_goes_on_from_there(
    data: Path, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["migrate-store", "--from", "sqlite", "--to", database, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == source_rows(data)
    assert (told["counts"]["work"], told["counts"]["log"]) == (30, 30)
    assert (told["audit_lines"], told["already"]) == (30, False)
    then = ManualClock()
    old, new = SqliteStore(data / "propolis.db", then), PostgresStore(database, ManualClock())
    assert not Journal(new, then).verify()
    assert everything(new, new._clock) == everything(old, then)  # type: ignore[arg-type]
    old.close()
    new.close()


def test_what_the_console_the_metrics_and_the_register_stand_on_arrives(
    data: Path, database: str, capsys: pytest.CaptureFixture[str]
):
    clock = ManualClock()
    old = SqliteStore(data / "propolis.db", clock)
    cookie, told = live(old, clock), shown(old, clock)
    here = with_session(old, cookie, clock)
    old.close()
    assert here is not None
    assert main(["migrate-store", "--from", "sqlite", "--to", database]) == 0
    store = PostgresStore(database, clock)
    try:
        assert shown(store, clock) == told
        assert with_session(store, cookie, clock) == here
        assert Journal(store, clock).complete_index() == decided.complete(store) == 0  # neither is done again
    finally:
        store.close()


def live(store: Store, clock: ManualClock) -> str:
    """The mode lowered, a decision on a target that no database likes, somebody signed in, an errand run, playbooks
    noted, audit lines counted; the cookie of who signed in."""
    journal = Journal(store, clock)
    body = {
        "decision": {
            "playbooks": [{"name": "malicious-ip", "digest": "f"}], "action": "respond FirewallBlock",
            "target": {"kind": "address", "data_type": "ip", "data": "203.0.113.7\x00", "label": "\x01"},
            "candidates": [],
        },
        "at": clock.now(), "alert": "", "rule": "",
    }  # fmt: skip
    assert decided.complete(store) == 0
    journal.complete_index()
    with store.transaction() as work:
        switch.throw(work, journal, "observe", "enforce", "anna", now=clock.now(), why="drill")
        decided.note(work, work.save(decided.DECISION, "P1", body, version=0, state="act", ref="~1\x00"))
        journal.write(work, "decision", case="~1\x00", decision="P1")
        cookie = session.begin(work, Person("anna", "Anna", "analyst", Role.OPERATOR), clock.now())
    errands = Errands(store, clock)
    errands.start("coverage", lambda: {"found": 3}, "anna")
    errands.join()
    Versions(store, journal, clock).note(load_playbooks(SHIPPED))
    return cookie


def shown(store: Store, clock: ManualClock) -> Any:
    """What pages and scrapes are made of."""
    counted = Counting(store).look()
    with store.reading() as work:
        return [
            switch.lowered(work), decided.newest(work, term="203.0.113.7\x00"), decided.newest(work, state="act"),
            index.numbers(work, "P1"), index.numbers(work, "~1\x00"), standing(work, "coverage", clock.now()),
            version.versions(work, "malicious-ip"), counted, index.is_whole(work),
        ]  # fmt: skip


def with_session(store: Store, cookie: str, clock: ManualClock) -> Any:
    """Who the cookie names."""
    with store.reading() as work:
        return session.current(work, cookie, clock.now())


def test_where_to_is_taken_from_the_settings_and_its_password_is_not_shown(
    data: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["migrate-store"]) == 0
    said = capsys.readouterr()
    records = source_rows(data)["record"]
    assert f"30 rows of work, {records} rows of record, 30 rows of log: moved and compared row by row." in said.out
    assert "The audit chain is sound: 30 lines" in said.out
    assert "s3cret" not in said.out + said.err
    assert "work: 30 of 30" in said.err


def test_the_old_store_says_where_its_data_went_and_no_service_starts_on_it(
    data: Path, database: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert main(["migrate-store"]) == 0
    monkeypatch.setenv("PROPOLIS_STORE", "sqlite")
    with pytest.raises(StoreError, match=r"out of date: it was moved to postgresql://127\.0\.0\.1:\d+/") as told:
        open_store(load(), clock)
    assert "s3cret" not in str(told.value)
    monkeypatch.setenv("PROPOLIS_STORE", database)
    open_store(load(), clock).close()
    capsys.readouterr()
    assert main(["migrate-store"]) == 2
    assert "out of date" in capsys.readouterr().err


def test_a_store_that_a_service_has_open_is_not_moved(
    data: Path, database: str, clock: ManualClock, capsys: pytest.CaptureFixture[str]
):
    running = SqliteStore(data / "propolis.db", clock)
    running.check()
    assert main(["migrate-store"]) == 2
    assert "is in use: stop the service" in capsys.readouterr().err
    running.check()
    running.close()
    assert target_rows(database) == 0
    assert main(["migrate-store"]) == 0


def test_a_database_that_holds_something_is_left_as_it_is(
    data: Path, database: str, clock: ManualClock, capsys: pytest.CaptureFixture[str]
):
    other = PostgresStore(database, clock)
    with other.transaction() as work:
        work.append("audit", {"of": "another service"})
    other.close()
    assert main(["migrate-store"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert target_rows(database) == 1
    SqliteStore(data / "propolis.db", clock).check()


def test_a_chain_that_was_tampered_with_is_not_moved(data: Path, database: str, capsys: pytest.CaptureFixture[str]):
    with sqlite3.connect(data / "propolis.db") as connection:
        connection.execute("""update log set body = replace(body, '"l7"', '"l8"') where log = 'audit'""")
    connection.close()
    assert main(["migrate-store"]) == 2
    assert "line 8 was altered" in capsys.readouterr().err
    assert target_rows(database) == 0


def test_a_key_that_postgresql_cannot_hold_is_named_before_anything_is_moved(
    data: Path, database: str, clock: ManualClock, capsys: pytest.CaptureFixture[str]
):
    store = SqliteStore(data / "propolis.db", clock)
    with store.transaction() as work:
        work.save("feed:urls", "https://long.example/" + "x" * 3000, {})
    store.close()
    assert main(["migrate-store"]) == 2
    assert "https://long.example/xxx" in capsys.readouterr().err
    assert target_rows(database) == 0


def test_a_folder_without_a_store_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "elsewhere"))
    assert main(["migrate-store"]) == 2
    assert "elsewhere/propolis.db: run this where the service ran" in capsys.readouterr().err


def test_without_a_target_it_says_how_to_name_one(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PROPOLIS_STORE", "")
    assert main(["migrate-store"]) == 2
    assert "--to postgresql://" in capsys.readouterr().err


@pytest.mark.parametrize("line", [1, 4, 8])
def test_killed_in_the_middle_it_left_nothing_and_another_run_moves_everything(
    data: Path, database: str, clock: ManualClock, line: int
):
    store = SqliteStore(data / "propolis.db", clock)
    with store.transaction() as work:
        for number in range(8_000):
            work.put("inbox", f"event-{number}", {"text": "x" * 500})
    store.close()
    whole = sum(source_rows(data).values())
    with subprocess.Popen(COMMAND, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as moving:
        assert moving.stderr is not None
        assert [moving.stderr.readline() for _ in range(line)][-1] == f"work: {line},000 of 8,030\n"
        os.kill(moving.pid, signal.SIGKILL)
    assert not (data / "propolis.db.moved").exists()
    assert target_rows(database) in (0, whole)
    assert main(["migrate-store"]) == 0
    assert target_rows(database) == whole
    assert (data / "propolis.db.moved").exists()


def test_killed_between_the_commit_and_the_mark_another_run_finds_both_equal_and_sets_it(
    data: Path, database: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["migrate-store"]) == 0
    (data / "propolis.db.moved").unlink()  # as such a kill leaves it
    assert main(["migrate-store"]) == 0
    assert "was there already, whole" in capsys.readouterr().out
    assert (data / "propolis.db.moved").exists()
    assert target_rows(database) == sum(source_rows(data).values())
