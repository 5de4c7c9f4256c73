"""Restoring: into an empty folder, all or nothing, and never beside a service that runs."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from calls import ROOT, call
from data_folder import Folder

from playbook_service.audit import index
from playbook_service.audit.journal import AuditFiles, Journal, read_lines
from playbook_service.backup import restore
from playbook_service.console import session
from playbook_service.console.person import Person, Role
from playbook_service.engine import decided, launch, switch
from playbook_service.store.contract import Filter
from playbook_service.store.moved import mark_moved
from playbook_service.store.schema import MIGRATIONS
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import SystemClock

CLOCK = SystemClock()
GRANT = "FirewallBlock"


@pytest.fixture
def backup(node: Folder, tmp_path: Path) -> Path:
    assert call("backup", "--to", tmp_path / "backups") == 0
    (file,) = (tmp_path / "backups").iterdir()
    return file


@pytest.fixture
def elsewhere(backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place, which the settings name from now on."""
    place = tmp_path / "elsewhere"
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(place))
    return place


def test_what_was_backed_up_is_there_again_and_the_chain_goes_on(
    backup: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert call("restore", backup, "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    store = SqliteStore(elsewhere / "propolis.db", CLOCK)
    journal = Journal(store, CLOCK)
    lines = list(journal.lines())
    assert journal.verify() == []
    assert (lines[-1]["action"], lines[-1]["operator"]) == ("restored", "operator at the command line")
    assert lines[-1]["head"] == told["audit_head"] == f"{lines[-2]['n']}:{lines[-2]['hash']}"
    with store.transaction() as work:
        assert [record.key for record in work.find("lease", Filter(state="active"))] == ["L1", "L2"]
        assert work.backlog("step").waiting == 5
    files = AuditFiles(elsewhere / "audit")
    assert list(read_lines(files.paths())) == lines[:-1]
    assert files.catch_up(journal) == 1
    store.close()


def test_the_lowered_mode_the_register_and_the_index_are_restored_with_it(
    node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    decision = {"playbooks": [{"name": "a", "digest": "f"}], "action": "respond FirewallBlock", "candidates": []}
    target = {"kind": "address", "data_type": "ip", "data": "203.0.113.9", "label": ""}
    body = {"decision": {**decision, "target": target}, "at": CLOCK.now(), "alert": "", "rule": ""}
    with node.work() as (work, tools):
        switch.throw(work, tools.journal, "observe", "enforce", "anna", now=CLOCK.now(), why="drill")
        decided.note(work, work.save(decided.DECISION, "P1", body, version=0, state="act", ref="~41"))
        cookie = session.begin(work, Person("anna", "Anna", "analyst", Role.OPERATOR), CLOCK.now())
    assert call("backup", "--to", tmp_path / "backups") == 0
    (file,) = (tmp_path / "backups").iterdir()
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "elsewhere"))
    assert call("restore", file) == 0
    store = SqliteStore(tmp_path / "elsewhere" / "propolis.db", CLOCK)
    with store.reading() as work:
        assert (switch.lowered(work).mode, switch.lowered(work).by) == ("observe", "anna")
        assert [record.key for record in decided.newest(work, term="203.0.113.9")[0]] == ["P1"]
        here = session.current(work, cookie, CLOCK.now())
        found = index.numbers(work, "L1")
    named = [line["n"] for line in Journal(store, CLOCK).lines() if "L1" in (line.get("lease"), line.get("decision"))]
    store.close()
    assert found == named[::-1] != []
    assert here is not None
    assert here.person.login == "anna"


def test_the_folder_is_for_its_owner_and_holds_the_operators_files_aside(backup: Path, elsewhere: Path):
    assert call("restore", backup) == 0
    assert elsewhere.stat().st_mode & 0o077 == 0
    assert (elsewhere / "propolis.db").stat().st_mode & 0o077 == 0
    assert (elsewhere / "config-of-the-backup" / "settings" / "propolis.yml").read_text().startswith("policy:")
    assert {path.name for path in elsewhere.iterdir()} == {"propolis.db", "audit", "config-of-the-backup"}


def test_a_folder_that_is_not_empty_is_refused_and_left_as_it_was(
    backup: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
):
    elsewhere.mkdir()
    (elsewhere / "propolis.db").write_text("somebody's work")
    assert call("restore", backup) == 2
    assert "is not empty (propolis.db)" in capsys.readouterr().err
    assert (elsewhere / "propolis.db").read_text() == "somebody's work"


def test_a_folder_whose_store_goes_on_elsewhere_is_refused_until_a_person_decides(
    backup: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
):
    """Two services, one on the database and one on the past, would end each other's containments."""
    elsewhere.mkdir()
    mark_moved(elsewhere, "it was moved to postgresql://db.example.org:5432/propolis at 2026-01-01T00:00:00Z")
    assert call("restore", backup) == 2
    said = capsys.readouterr().err
    assert "it was moved to postgresql://db.example.org:5432/propolis" in said
    assert f"remove {elsewhere / 'propolis.db.moved'}" in said
    assert [path.name for path in elsewhere.iterdir()] == ["propolis.db.moved"]
    (elsewhere / "propolis.db.moved").unlink()
    assert call("restore", backup) == 0


def test_beside_a_service_that_answers_nothing_is_restored(
    backup: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with socket.create_server(("127.0.0.1", 0)) as running:
        monkeypatch.setenv("PROPOLIS_LISTEN", f"127.0.0.1:{running.getsockname()[1]}")
        assert call("restore", backup) == 2
    assert "stop the service" in capsys.readouterr().err
    assert not elsewhere.exists()


def test_a_backup_of_a_newer_version_is_refused(
    node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with closing(sqlite3.connect(node.place / "propolis.db")) as database:
        database.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    assert call("backup", "--to", tmp_path / "backups") == 2, "this version cannot say whether it would be whole"
    assert "newer version" in capsys.readouterr().err

    with closing(sqlite3.connect(node.place / "propolis.db")) as database:
        database.execute(f"pragma user_version = {len(MIGRATIONS)}")
    assert call("backup", "--to", tmp_path / "backups") == 0
    (file,) = (tmp_path / "backups").iterdir()
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("playbook_service.backup.database.MIGRATIONS", ())  # an older version is installed here
    assert call("restore", file) == 2
    assert "upgrade Propolis first" in capsys.readouterr().err
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_damaged_backup_is_refused_and_nothing_is_left(
    backup: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
):
    raw = backup.read_bytes()
    backup.write_bytes(raw[: len(raw) // 2])
    assert call("restore", backup) == 2
    assert str(backup) in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == []
    backup.write_bytes(raw)
    assert call("restore", backup) == 0


def test_a_restore_that_was_killed_is_begun_again(backup: Path, elsewhere: Path):
    """What a killed run left is its workplace, which no service looks at."""
    (elsewhere / ".restoring" / "audit").mkdir(parents=True)
    (elsewhere / ".restoring" / "propolis.db").write_text("half of it")
    assert call("restore", backup) == 0
    assert not (elsewhere / ".restoring").exists()


@pytest.mark.parametrize("moment", ["propolis.db", "audit"], ids=["while it unpacks", "when all is unpacked"])
def test_killed_at_any_moment_a_restore_leaves_nothing_or_everything(
    moment: str, node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with node.work() as (work, _):
        for number in range(200):
            work.save("load", str(number), {"filler": f"{number}" * 60_000})
    assert call("backup", "--to", tmp_path / "backups") == 0
    (file,) = (tmp_path / "backups").iterdir()
    place = tmp_path / "elsewhere"
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(place))
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from calls import call; sys.exit(call(*sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(Path(__file__).parent), "restore", str(file)], cwd=ROOT
    )
    while process.poll() is None and not (place / ".restoring" / moment).exists():
        CLOCK.sleep(0.001)
    process.kill()
    process.wait()
    left = {path.name for path in place.iterdir()}
    if "propolis.db" in left:  # it was quicker than the kill: then it is all there
        assert call("restore", file) == 2
    else:
        assert left == {".restoring"}
        assert call("restore", file) == 0
    store = SqliteStore(place / "propolis.db", CLOCK)
    with store.transaction() as work:
        assert work.count("load") == 200
    assert Journal(store, CLOCK).verify() == []
    store.close()


def test_steps_that_the_lost_service_held_are_free_at_once(
    node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with node.work() as (work, _):
        work.put("step", "alert:a", {"do": "alert", "alert": "a"})
        assert work.claim("step", "lost-host:1/0", seconds=300, limit=10)
    assert call("backup", "--to", tmp_path / "backups") == 0
    (file,) = (tmp_path / "backups").iterdir()
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "elsewhere"))
    assert call("restore", file) == 0
    store = SqliteStore(tmp_path / "elsewhere" / "propolis.db", CLOCK)
    with store.transaction() as work:
        assert work.backlog("step").claimed == 0
    store.close()


def test_a_start_that_the_backup_only_intended_is_looked_for_before_it_is_asked_for(
    node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The lost service may have asked TheHive a second after the backup."""
    wish = launch.Wish(GRANT, "case_artifact", "~41", {"lease": "L9", "duration_seconds": 3600})
    with node.work() as (work, _):
        launch.intend(work, "contain:L9", wish, ref="~41")
    assert call("backup", "--to", tmp_path / "backups") == 0
    (file,) = (tmp_path / "backups").iterdir()
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "elsewhere"))
    capsys.readouterr()
    assert call("restore", file, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["in_doubt"] == 1
    store = SqliteStore(tmp_path / "elsewhere" / "propolis.db", CLOCK)
    with store.transaction() as work:
        record = work.get(launch.KIND, "contain:L9")
    store.close()
    assert record is not None
    assert (record.state, record.body["known"]) == (launch.ASKING, [])
    assert CLOCK.now() - record.body["asked_at"] < 60, "it is waited for from now on"


def test_a_broken_chain_does_not_keep_containments_from_being_restored_but_is_told(
    node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with closing(sqlite3.connect(node.place / "propolis.db")) as database, database:
        database.execute("delete from log where log = 'audit' and number = 2")
    assert call("backup", "--to", tmp_path / "backups") == 1
    (file,) = (tmp_path / "backups").iterdir()
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "elsewhere"))
    assert call("restore", file) == 1
    assert "NOT SOUND" in capsys.readouterr().out
    assert (tmp_path / "elsewhere" / "propolis.db").is_file()


def test_the_port_is_asked_where_the_service_listens_everywhere():
    with socket.create_server(("127.0.0.1", 0)) as running:
        port = running.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0", "localhost"):
            with pytest.raises(Exception, match="stop the service"):
                restore.refuse_running((host, port))
    restore.refuse_running(("127.0.0.1", 0))
