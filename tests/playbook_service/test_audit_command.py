"""`propolis audit`: a chain that was changed, dropped from or cut short is found."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from data_folder import Folder

from playbook_service.audit.journal import AuditFiles, Journal
from playbook_service.cli import COMMANDS, Command, main
from playbook_service.engine.anchor import Anchoring, Place
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import SystemClock


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setitem(COMMANDS, "audit", Command("playbook_service.commands.audit", "the audit chain"))
    found = Folder(tmp_path, monkeypatch)
    with found.work() as (work, tools):
        for number in range(5):
            tools.journal.write(work, "something", number=number)
    return found


def head(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["audit", "head"]) == 0
    return capsys.readouterr().out.strip()


def change(folder: Folder, statement: str) -> None:
    with sqlite3.connect(folder.place / "propolis.db") as connection:
        connection.execute(statement)
    connection.close()


def files(folder: Folder) -> Path:
    place = folder.place / "audit"
    clock = SystemClock()
    store = SqliteStore(folder.place / "propolis.db", clock)
    AuditFiles(place).catch_up(Journal(store, clock))
    store.close()
    return place


def test_a_sound_chain_is_said_to_be_sound(folder: Folder, capsys: pytest.CaptureFixture[str]):
    assert main(["audit"]) == 0
    said = capsys.readouterr().out
    assert "5 lines checked against 0 anchors: the chain is sound" in said
    assert "Without an anchor" in said


def test_an_altered_line_is_found(folder: Folder, capsys: pytest.CaptureFixture[str]):
    change(folder, """update log set body = replace(body, '"number":2', '"number":7')""")
    assert main(["audit", "verify", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["sound"], found["lines"], [one["number"] for one in found["findings"]]) == (False, 5, [3])


def test_a_cut_end_is_found_by_an_anchor(folder: Folder, capsys: pytest.CaptureFixture[str]):
    anchor = head(capsys)
    assert main(["audit", "verify", "--anchor", anchor]) == 0
    change(folder, "delete from log where number > 3")
    assert main(["audit", "verify"]) == 0
    assert main(["audit", "verify", "--anchor", anchor]) == 1
    assert "line 5 is missing" in capsys.readouterr().out


def test_the_lines_of_a_syslog_file_are_anchors(folder: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    log = tmp_path / "auth.log"
    log.write_text(f"Jan 1 host cron[1]: noise\nJan 1 host propolis audit head {head(capsys)} at 2026\n")
    assert main(["audit", "verify", "--anchors", str(log)]) == 0
    change(folder, "delete from log where number > 4")
    assert main(["audit", "verify", "--anchors", str(log)]) == 1
    log.write_text("nothing here\n")
    assert main(["audit", "verify", "--anchors", str(log)]) == 2
    assert main(["audit", "verify", "--anchors", str(tmp_path / "missing")]) == 2


def test_what_the_service_anchored_is_held_against_the_chain_too(folder: Folder):
    clock = SystemClock()
    store = SqliteStore(folder.place / "propolis.db", clock)
    Anchoring(store, Journal(store, clock), clock.now, [Place("paper", lambda text: None)]).round()
    store.close()
    assert main(["audit"]) == 0
    change(folder, "delete from log where log = 'audit' and number > 4")
    assert main(["audit"]) == 1


def test_two_anchors_that_differ_are_a_finding(folder: Folder, capsys: pytest.CaptureFixture[str]):
    true = head(capsys)
    assert main(["audit", "verify", "--anchor", f"5:{'0' * 64}", "--anchor", true]) == 1
    assert "two anchors that differ" in capsys.readouterr().out


def test_files_are_checked_without_the_store(folder: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    place = files(folder)
    anchor = head(capsys)
    (folder.place / "propolis.db").unlink()
    assert main(["audit", "verify", "--files", str(place), "--anchor", anchor]) == 0
    (file,) = place.iterdir()
    lines = file.read_text().splitlines(keepends=True)
    for broken in (lines[:2] + lines[3:], [lines[1], lines[0], *lines[2:]], [*lines[:-1], "not json\n"], lines[:4]):
        file.write_text("".join(broken))
        assert main(["audit", "verify", "--files", str(place), "--anchor", anchor]) == 1
    assert main(["audit", "verify", "--files", str(tmp_path)]) == 2


def test_export_writes_what_verify_takes(folder: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    target = tmp_path / "out" / "audit-000000000001.jsonl"
    target.parent.mkdir()
    assert main(["audit", "export", "--out", str(target)]) == 0
    assert target.stat().st_mode & 0o077 == 0
    assert main(["audit", "verify", "--files", str(target.parent), "--anchor", head(capsys)]) == 0
    capsys.readouterr()
    assert main(["audit", "export", "--after", "3"]) == 0
    assert [json.loads(line)["n"] for line in capsys.readouterr().out.splitlines()] == [4, 5]
    assert main(["audit", "export", "--out", str(tmp_path / "missing" / "file")]) == 2


def test_the_head_of_an_empty_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(COMMANDS, "audit", Command("playbook_service.commands.audit", "the audit chain"))
    with Folder(tmp_path, monkeypatch).work():
        pass
    assert main(["audit", "head"]) == 0
    assert capsys.readouterr().out == "The chain is empty.\n"
    assert main(["audit", "verify", "--anchor", "nonsense"]) == 2
