"""Backups: whole though the service writes, atomic, rotated, and damage of any kind is found."""

from __future__ import annotations

import gzip
import io
import json
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from calls import ROOT, call
from data_folder import Folder

from playbook_service.audit.journal import Journal
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import SystemClock

CLOCK = SystemClock()


def made(target: Path) -> list[Path]:
    return sorted(target.glob("propolis-*.tar.gz"))


def back_up(target: Path, *words: str) -> Path:
    assert call("backup", "--to", target, *words) == 0
    return made(target)[-1]


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def rewritten(file: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The same archive with something in it changed; the manifest is left as it is unless the change changes it."""
    content = members(file)
    change(content)
    target = file.with_name("changed.tar.gz")
    with tarfile.open(target, "w:gz") as tar:
        for name, raw in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return target


# what is in it --------------------------------------------------------------------------------------------------------


def test_a_backup_holds_store_audit_files_and_the_operators_own_files(
    node: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = back_up(tmp_path / "backups", "--format", "json")
    told = json.loads(capsys.readouterr().out)
    names = set(members(file))
    assert {"manifest.json", "propolis.db", "config/settings/propolis.yml", "config/policy/policy.yml"} <= names
    assert sum(name.startswith("audit/audit-") for name in names) == 2
    assert told["sound"] is True
    assert (told["counts"]["record"]["lease active"], told["counts"]["record"]["approval asked"]) == (2, 1)
    assert told["audit_head"].startswith("3:")
    assert told["settings"]["mode"] == "enforce"
    assert "PROPOLIS_DATA_DIR" in told["settings"]["variables"]


def test_only_its_owner_may_read_it_and_the_manifest_holds_no_secret(
    node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PROPOLIS_THEHIVE_KEY", "k3y-0f-the-hive")
    monkeypatch.setenv("PROPOLIS_NOTIFY", "slack:https://hooks.example.org/s3cret-place")
    file = back_up(tmp_path / "backups", "--format", "json")
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0
    said = capsys.readouterr().out + members(file)["manifest.json"].decode()
    assert "PROPOLIS_THEHIVE_KEY" in said
    assert ("k3y-0f-the-hive" in said, "s3cret-place" in said) == (False, False)


def test_a_backup_under_write_load_is_one_moment_of_the_store(node: Folder, tmp_path: Path):
    """Each transaction writes a record and an audit line: a copy that mixed two moments would have one without the
    other."""
    store = SqliteStore(node.place / "propolis.db", CLOCK)
    journal, stop, written = Journal(store, CLOCK), threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            with store.transaction() as work:
                for _ in range(20):
                    number += 1
                    work.save("load", f"{number:08}", {"filler": "x" * 2000})
                    journal.write(work, "contained", target=str(number))
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            written.clear()
            assert written.wait(20), "the writer is not held up"
            file = back_up(tmp_path / f"backups-{len(list(tmp_path.iterdir()))}")
            counts = json.loads(members(file)["manifest.json"])["counts"]
            assert counts["record"]["load"] == counts["log"]["audit"] - 3
            assert counts["record"]["load"] % 20 == 0
    finally:
        stop.set()
        writer.join()
        store.close()


def test_a_line_that_the_service_is_just_writing_to_an_audit_file_is_left_out(node: Folder, tmp_path: Path):
    newest = sorted((node.place / "audit").iterdir())[-1]
    newest.write_bytes(newest.read_bytes() + b'{"n":4,"prev":"')
    file = back_up(tmp_path / "backups")
    assert members(file)[f"audit/{newest.name}"].endswith(b"}\n")


# rotation -------------------------------------------------------------------------------------------------------------


def test_the_newest_are_kept_and_nothing_else_in_the_folder_is_touched(node: Folder, tmp_path: Path):
    target = tmp_path / "backups"
    target.mkdir()
    for day in range(1, 6):
        (target / f"propolis-2026010{day}T030000Z.tar.gz").write_text("old")
    strangers = ["propolis-20260101T030000Z.tar.gz.sha256", "before-upgrade.tar.gz", "notes.txt"]
    for name in strangers:
        (target / name).write_text("mine")
    newest = back_up(target, "--keep", "3")
    left = {path.name for path in target.iterdir()} - set(strangers)
    assert left == {"propolis-20260104T030000Z.tar.gz", "propolis-20260105T030000Z.tar.gz", newest.name}
    assert {path.name for path in target.iterdir()} >= set(strangers)


@pytest.mark.parametrize("keep", ["0", "-1", "three"])
def test_a_number_to_keep_that_would_keep_none_is_wrong_use(node: Folder, tmp_path: Path, keep: str):
    with pytest.raises(SystemExit) as leaving:
        call("backup", "--to", tmp_path / "backups", "--keep", keep)
    assert leaving.value.code == 2


def test_when_a_backup_fails_the_old_ones_stay_and_nothing_half_is_left(
    node: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "backups"
    target.mkdir()
    (target / "propolis-20260101T030000Z.tar.gz").write_text("old")
    (node.place / "propolis.db").write_bytes(b"this is no database" * 1000)
    assert call("backup", "--to", target, "--keep", "1") == 2
    assert "cannot be copied" in capsys.readouterr().err
    assert [path.name for path in target.iterdir()] == ["propolis-20260101T030000Z.tar.gz"]


def test_a_backup_that_is_killed_leaves_no_file_with_a_backups_name_and_the_next_one_clears_up(
    node: Folder, tmp_path: Path
):
    with node.work() as (work, _):
        for number in range(300):
            work.save("load", str(number), {"filler": f"{number}" * 60_000})
    target = tmp_path / "backups"
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from calls import call; sys.exit(call(*sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(Path(__file__).parent), "backup", "--to", str(target)], cwd=ROOT
    )
    while process.poll() is None and not list(target.glob(".propolis-*.partial/archive")):
        CLOCK.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert made(target) == []
    assert len(list(target.iterdir())) == 1
    file = back_up(target)
    assert list(target.iterdir()) == [file]


# verification ---------------------------------------------------------------------------------------------------------


def test_a_backup_is_verified_without_the_service_or_its_settings(
    node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = back_up(tmp_path / "backups")
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "nowhere"))
    assert call("backup", "--verify", file) == 0
    assert f"{file}: sound" in capsys.readouterr().out


def _drop(name: str) -> Callable[[dict[str, bytes]], object]:
    return lambda content: content.pop(next(one for one in content if one.startswith(name)))


def _flip(name: str) -> Callable[[dict[str, bytes]], object]:
    def change(content: dict[str, bytes]) -> None:
        found = next(one for one in content if one.startswith(name))
        raw = bytearray(content[found])
        raw[len(raw) // 2] ^= 1
        content[found] = bytes(raw)

    return change


DAMAGE = {
    "a byte of the store": (_flip("propolis.db"), "SHA-256"),
    "a byte of an audit file": (_flip("audit/"), "SHA-256"),
    "a lost store": (_drop("propolis.db"), "propolis.db is missing"),
    "a lost audit file": (_drop("audit/"), "is missing"),
    "a stranger": (lambda content: content.update({"config/settings/evil.yml": b"x"}), "not as the manifest says"),
    "a longer file": (lambda content: content.update({"config/policy/policy.yml": b"x" * 999}), "not as the manifest"),
}


@pytest.mark.parametrize(("change", "said"), DAMAGE.values(), ids=DAMAGE)
def test_any_change_to_a_backup_is_found(
    change: Callable[[dict[str, bytes]], object], said: str, node: Folder, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    file = rewritten(back_up(tmp_path / "backups"), change)
    assert call("backup", "--verify", file) == 1
    shown = capsys.readouterr().out
    assert said in shown
    assert shown.rstrip().count(": damaged") == 1


@pytest.mark.parametrize("name", ["../../etc/cron.d/evil", "/etc/evil", "config/settings/../../../evil", "audit/x.sh"])
def test_an_archive_that_wants_to_write_elsewhere_writes_nothing(name: str, node: Folder, tmp_path: Path):
    def change(content: dict[str, bytes]) -> None:
        import hashlib

        manifest = json.loads(content["manifest.json"])
        manifest["files"].append({"name": name, "size": 4, "sha256": hashlib.sha256(b"evil").hexdigest()})
        content["manifest.json"] = json.dumps(manifest).encode()
        content[name] = b"evil"

    file = rewritten(back_up(tmp_path / "backups"), change)
    assert call("backup", "--verify", file) == 1


@pytest.mark.parametrize("part", [0, 0.3, 0.9, 0.999])
def test_a_backup_that_was_cut_off_is_found(
    part: float, node: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = back_up(tmp_path / "backups")
    raw = file.read_bytes()
    file.write_bytes(raw[: int(len(raw) * part)])
    assert call("backup", "--verify", file) in (1, 2)
    out = capsys.readouterr()
    assert "sound" not in out.out.splitlines()[-1]
    assert "Traceback" not in out.err


@pytest.mark.parametrize("content", [b"", b"hello", gzip.compress(b"hello" * 1000)], ids=["empty", "text", "gzip"])
def test_what_is_no_backup_is_said_in_a_sentence(
    content: bytes, node: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "propolis-20260101T030000Z.tar.gz"
    file.write_bytes(content)
    assert call("backup", "--verify", file) == 2
    assert str(file) in capsys.readouterr().err


def test_a_chain_that_was_tampered_with_before_the_backup_is_told_and_the_backup_is_kept(
    node: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with closing(sqlite3.connect(node.place / "propolis.db")) as database, database:
        database.execute("update log set body = replace(body, '203.0.113.7', '203.0.113.9') where log = 'audit'")
    assert call("backup", "--to", tmp_path / "backups") == 1
    shown = capsys.readouterr().out
    assert "NOT SOUND when it was backed up: line 1 of the audit chain was altered" in shown
    assert "line 1 of the audit files is not that of the store" in shown
    assert len(made(tmp_path / "backups")) == 1


# where there is nothing to back up ------------------------------------------------------------------------------------


def test_a_node_without_a_store_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "none"))
    assert call("backup", "--to", tmp_path / "backups") == 2
    assert "There is no store" in capsys.readouterr().err


def test_postgresql_is_left_to_its_own_tools_and_no_password_is_shown(
    node: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PROPOLIS_STORE", "postgresql://propolis:pa55word@db.example.org/propolis")
    assert call("backup", "--to", tmp_path / "backups") == 2
    assert call("restore", tmp_path / "any") == 2
    said = capsys.readouterr().err
    assert "pg_dump" in said
    assert "pa55word" not in said
    assert not (tmp_path / "backups").exists()
