"""Moving one file into the vault and back, on a real file system, with everything an attacker may put in the way."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_lab import MARK, OTHER_MARK, Agent
from netns import wait_until

pytestmark = pytest.mark.root

EVIL = b"#!/bin/sh\n# dropper\n"
SHA = hashlib.sha256(EVIL).hexdigest()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder an attacker writes to."""
    folder = (tmp_path / "srv").resolve()
    folder.mkdir()
    return folder


@pytest.fixture
def dropper(place: Path) -> Path:
    path = place / "dropper é (1).sh"
    path.write_bytes(EVIL)
    os.chown(path, 60123, 60124)
    path.chmod(0o4751)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_700_000_000_987_654_321))
    return path


def ident(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def vault(agent: Agent) -> Path:
    return agent.home.folder / "active-response" / "propolis-vault"


def said(agent: Agent, count: int) -> None:
    """Wait for so many results: the work goes on behind execd's back."""
    wait_until(lambda: len(agent.home.results()) >= count, 10, f"{count} results")


def quarantine(agent: Agent, path: Path, sha: str = SHA, mark: str = MARK) -> None:
    count = len(agent.home.results())
    assert agent.call("quarantine", str(path), sha, mark).held < 5
    said(agent, count + 1)


def restore(agent: Agent, path: Path) -> None:
    count = len(agent.home.results())
    agent.call("restore", ident(path))
    said(agent, count + 1)


def test_the_file_lies_in_a_vault_of_roots_with_everything_about_it(agent: Agent, dropper: Path) -> None:
    quarantine(agent, dropper)
    assert not dropper.exists()
    kept = vault(agent) / ident(dropper)
    assert kept.read_bytes() == EVIL
    assert (vault(agent).stat().st_mode & 0o7777, vault(agent).stat().st_uid) == (0o700, 0)
    facts = json.loads(kept.with_suffix(".json").read_text())
    assert facts["path"] == str(dropper)
    assert (facts["sha256"], facts["size"], facts["mode"]) == (SHA, str(len(EVIL)), "4751")
    assert (facts["uid"], facts["gid"], facts["mark"]) == ("60123", "60124", MARK)
    assert facts["mtime"] == "1700000000.987654321"
    record = agent.home.record("quarantine")
    assert record is not None
    assert (record.target, record.until, record.mark) == (ident(dropper), 0, MARK)
    assert SHA in agent.home.content("quarantine")["found"]


def test_a_restore_puts_back_owner_mode_and_times(agent: Agent, dropper: Path) -> None:
    before = dropper.stat()
    quarantine(agent, dropper)
    restore(agent, dropper)
    after = dropper.stat()
    assert dropper.read_bytes() == EVIL
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert (after.st_mtime_ns, after.st_nlink) == (before.st_mtime_ns, 1)
    assert agent.home.names() == []
    assert list(vault(agent).iterdir()) == []


def test_without_a_hash_the_file_is_taken_as_it_is(agent: Agent, dropper: Path) -> None:
    quarantine(agent, dropper, "-")
    assert agent.home.record("quarantine") is not None


def test_an_empty_file_is_a_file(agent: Agent, place: Path) -> None:
    (place / "empty").touch()
    quarantine(agent, place / "empty", "-")
    restore(agent, place / "empty")
    assert (place / "empty").read_bytes() == b""


def refused(agent: Agent, path: Path, sha: str = SHA) -> str:
    """The reason, after making sure that nothing was moved."""
    before = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.exists() else []
    quarantine(agent, path, sha)
    assert before == (sorted(entry.name for entry in path.parent.iterdir()) if path.parent.exists() else [])
    assert agent.home.record("quarantine") is None
    assert not vault(agent).exists() or list(vault(agent).iterdir()) == []
    said = {record.target: record.mark for record in agent.home.records()}
    return said[f"quarantine.{ident(path)}"]


def test_another_file_than_the_one_that_was_meant_stays(agent: Agent, dropper: Path) -> None:
    dropper.write_bytes(b"changed")
    assert "not the file that was meant" in refused(agent, dropper)


def test_a_link_is_not_followed(agent: Agent, place: Path) -> None:
    target = place / "shadow"
    target.write_bytes(EVIL)
    (place / "link").symlink_to(target)
    assert "is a symbolic link" in refused(agent, place / "link")
    assert target.read_bytes() == EVIL


def test_a_way_over_a_link_is_not_taken(agent: Agent, place: Path, dropper: Path) -> None:
    (place.parent / "shortcut").symlink_to(place)
    assert "leads over a symbolic link" in refused(agent, place.parent / "shortcut" / dropper.name)


def test_a_second_name_of_the_file_is_seen(agent: Agent, dropper: Path) -> None:
    os.link(dropper, dropper.with_name("second"))
    assert "has 2 hard links" in refused(agent, dropper)


def test_folders_and_special_files_are_not_moved(agent: Agent, place: Path) -> None:
    (place / "folder").mkdir()
    os.mkfifo(place / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "socket"))
    listener.close()
    for name in ("folder", "pipe", "socket"):
        assert "is not a regular file" in refused(agent, place / name, "-")


def test_what_does_not_exist_is_said(agent: Agent, place: Path) -> None:
    assert "does not exist" in refused(agent, place / "nothing")
    assert "folder does not exist" in refused(agent, place / "nowhere" / "nothing")


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/1/status", "/boot/vmlinuz", "/usr/bin/sh", "/etc/pam.d/login"])
def test_what_a_host_cannot_do_without_is_never_moved(agent: Agent, path: str) -> None:
    quarantine(agent, Path(path))  # with a hash that is not theirs: a broken program must not break this machine
    assert "is never moved" in agent.home.refusal()
    assert agent.home.record("quarantine") is None


def test_what_a_package_installed_is_never_moved(agent: Agent) -> None:
    quarantine(agent, Path("/usr/bin/env"))
    assert "belongs to an installed package" in agent.home.refusal()


def test_wazuhs_own_folder_and_what_the_operator_names_are_never_moved(agent: Agent, dropper: Path) -> None:
    agent.home.configure(f"never_paths = {dropper.parent}")
    assert "is spared" in refused(agent, dropper)
    assert "is spared" in refused(agent, agent.home.folder / "etc" / "ossec.conf")


def test_the_same_file_dropped_again_does_not_overwrite_the_evidence(agent: Agent, dropper: Path) -> None:
    quarantine(agent, dropper)
    dropper.write_bytes(b"second stage")
    quarantine(agent, dropper, "-", OTHER_MARK)
    kept = vault(agent) / ident(dropper)
    assert kept.read_bytes() == b"second stage"
    assert kept.with_name(kept.name + ".1").read_bytes() == EVIL
    assert json.loads(kept.with_name(kept.name + ".1.json").read_text())["mark"] == MARK
    record = agent.home.record("quarantine")
    assert record is not None
    assert record.mark == OTHER_MARK


def test_a_restore_never_overwrites(agent: Agent, dropper: Path) -> None:
    quarantine(agent, dropper)
    dropper.write_bytes(b"rebuilt by the owner")
    restore(agent, dropper)
    assert "exists again" in agent.home.refusal()
    assert dropper.read_bytes() == b"rebuilt by the owner"
    assert agent.home.record("quarantine") is not None
    dropper.unlink()
    dropper.symlink_to(dropper.with_name("victim"))
    restore(agent, dropper)
    assert not dropper.with_name("victim").exists()


def test_a_restore_does_not_follow_a_folder_that_became_a_link(agent: Agent, place: Path, dropper: Path) -> None:
    quarantine(agent, dropper)
    place.rename(place.with_name("old"))
    (place.with_name("elsewhere")).mkdir()
    place.symlink_to(place.with_name("elsewhere"))
    restore(agent, dropper)
    assert "leads over a symbolic link" in agent.home.refusal()
    assert list(place.with_name("elsewhere").iterdir()) == []


def test_evidence_that_was_changed_is_not_put_back(agent: Agent, dropper: Path) -> None:
    quarantine(agent, dropper)
    (vault(agent) / ident(dropper)).write_bytes(b"tampered")
    restore(agent, dropper)
    assert "not what was put there" in agent.home.refusal()
    assert not dropper.exists()


def test_a_restore_twice_or_of_nothing_is_fine(agent: Agent, dropper: Path) -> None:
    restore(agent, dropper)
    quarantine(agent, dropper)
    restore(agent, dropper)
    restore(agent, dropper)
    assert agent.home.results() == ["restored", "quarantined", "restored", "restored"]
    assert dropper.read_bytes() == EVIL


def test_evidence_that_somebody_took_out_is_not_on_record_any_more(agent: Agent, dropper: Path) -> None:
    quarantine(agent, dropper)
    (vault(agent) / ident(dropper)).rename(dropper)
    agent.call("renew-records")
    assert agent.home.names() == []


def test_a_vault_that_others_can_enter_is_not_used(agent: Agent, dropper: Path) -> None:
    vault(agent).mkdir(mode=0o755)
    vault(agent).chmod(0o755)
    assert "mode 700" in refused(agent, dropper)


def test_a_file_that_cannot_be_moved_is_said(agent: Agent, dropper: Path) -> None:
    done = subprocess.run(["chattr", "+i", str(dropper)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this file system knows no immutable files")
    try:
        assert "immutable" in refused(agent, dropper)
    finally:
        subprocess.run(["chattr", "-i", str(dropper)], check=True)


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """Another file system."""
    folder = (tmp_path / "disk").resolve()
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_from_another_file_system_it_is_copied_compared_and_then_removed(agent: Agent, other_disk: Path) -> None:
    path = other_disk / "payload"
    path.write_bytes(EVIL)
    os.chown(path, 60123, 60124)
    path.chmod(0o640)
    os.utime(path, ns=(1_600_000_000_000_000_000, 1_700_000_000_987_654_321))
    before = path.stat()
    quarantine(agent, path)
    assert not path.exists()
    assert (vault(agent) / ident(path)).read_bytes() == EVIL
    restore(agent, path)
    after = path.stat()
    assert path.read_bytes() == EVIL
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert after.st_mtime_ns == before.st_mtime_ns
    assert agent.home.names() == []


def test_a_vault_without_room_leaves_the_file_where_it_is(agent: Agent, place: Path, other_disk: Path) -> None:
    (other_disk / "vault").mkdir(mode=0o700)
    agent.home.configure(f"vault = {other_disk / 'vault'}")
    big = place / "big"
    big.write_bytes(os.urandom(2 << 20))
    quarantine(agent, big, "-")
    assert "is there room" in agent.home.refusal()
    assert big.stat().st_size == 2 << 20
    assert list((other_disk / "vault").iterdir()) == []


def test_evidence_from_a_call_that_was_cut_short_is_kept(agent: Agent, dropper: Path) -> None:
    quarantine(agent, dropper)
    kept = vault(agent) / ident(dropper)
    for suffix in ("", ".json"):  # as a power cut between the move and its confirmation leaves it
        kept.with_name(kept.name + suffix).rename(kept.with_name(kept.name + ".part" + suffix))
    dropper.write_bytes(b"again")
    quarantine(agent, dropper, "-")
    assert kept.read_bytes() == b"again"
    assert kept.with_name(kept.name + ".1").read_bytes() == EVIL
