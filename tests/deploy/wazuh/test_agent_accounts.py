"""Locking local accounts: the real shadow tools, on a private /etc."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_lab import MARK, OTHER_MARK, Agent
from netns import wait_until

pytestmark = pytest.mark.root

HASH = "$6$salt$hash-of-mallory"


def shadow(etc: Path, user: str = "mallory") -> list[str]:
    """The user's fields of /etc/shadow."""
    (line,) = [line for line in (etc / "shadow").read_text().splitlines() if line.startswith(user + ":")]
    return line.split(":")


def change(etc: Path, user: str, *, password: str | None = None, expires: str | None = None) -> None:
    """What an administrator may have set."""
    fields = shadow(etc, user)
    fields[1] = fields[1] if password is None else password
    fields[7] = fields[7] if expires is None else expires
    lines = (etc / "shadow").read_text().splitlines()
    lines = [":".join(fields) if line.startswith(user + ":") else line for line in lines]
    (etc / "shadow").write_text("\n".join(lines) + "\n")


def test_a_lock_closes_the_password_and_expires_the_account_so_that_keys_do_not_get_in(
    resident: Agent, etc: Path
) -> None:
    resident.call("lock", "mallory", MARK)
    assert shadow(etc)[1] == "!" + HASH
    assert shadow(etc)[7] == "1"
    record = resident.home.record("lock")
    assert record is not None
    assert (record.target, record.until, record.mark) == ("mallory", 0, MARK)
    assert shadow(etc, "bob")[1:] == ["$6$salt$hash-of-bob", "19000", "0", "99999", "7", "", "", ""]


@pytest.mark.parametrize(
    ("password", "expires"),
    [(HASH, ""), (HASH, "22000"), (HASH, "1"), ("*", ""), ("!", ""), ("!!", "22000"), ("!" + HASH, ""), ("", "")],
)
def test_an_unlock_puts_back_exactly_what_was(resident: Agent, etc: Path, password: str, expires: str) -> None:
    change(etc, "mallory", password=password, expires=expires)
    before = shadow(etc)
    resident.call("lock", "mallory", MARK)
    assert resident.home.record("lock") is not None
    resident.call("unlock", "mallory")
    after = shadow(etc)
    assert [after[1], after[7]] == [before[1], before[7]]
    assert resident.home.names() == []


def test_a_second_lock_takes_the_new_mark_and_keeps_the_prior_state(resident: Agent, etc: Path) -> None:
    change(etc, "mallory", expires="22000")
    resident.call("lock", "mallory", MARK)
    resident.call("lock", "mallory", OTHER_MARK)
    record = resident.home.record("lock")
    assert record is not None
    assert record.mark == OTHER_MARK
    resident.call("unlock", "mallory")
    assert shadow(etc)[1:8:6] == [HASH, "22000"]


def test_an_unlock_leaves_what_somebody_changed_since(resident: Agent, etc: Path) -> None:
    resident.call("lock", "mallory", MARK)
    change(etc, "mallory", password="$6$new$by-an-administrator", expires="23000")
    resident.call("unlock", "mallory")
    assert shadow(etc)[1:8:6] == ["$6$new$by-an-administrator", "23000"]


def test_a_lock_that_somebody_undid_by_hand_is_not_on_record_any_more(resident: Agent, etc: Path) -> None:
    resident.call("lock", "mallory", MARK)
    change(etc, "mallory", password=HASH, expires="")
    resident.call("renew-records")
    assert resident.home.record("lock") is None
    resident.call("lock", "mallory", MARK)
    assert resident.home.record("lock") is not None


def test_an_unlock_twice_or_of_an_open_account_is_fine(resident: Agent, etc: Path) -> None:
    before = (etc / "shadow").read_text()
    resident.call("unlock", "mallory")
    resident.call("lock", "mallory", MARK)
    resident.call("unlock", "mallory")
    resident.call("unlock", "mallory")
    assert resident.home.results() == ["unlocked", "locked", "unlocked", "unlocked"]
    assert (etc / "shadow").read_text() == before


def test_what_somebody_else_locked_is_neither_taken_over_nor_undone(resident: Agent, etc: Path) -> None:
    change(etc, "mallory", password="!" + HASH, expires="1")
    before = (etc / "shadow").read_text()
    resident.call("lock", "mallory", MARK)
    assert resident.home.refusal() == "mallory is locked already, by somebody else"
    resident.call("unlock", "mallory")
    assert "was not locked by this program" in {r.target: r.mark for r in resident.home.records()}["unlock.mallory"]
    assert (etc / "shadow").read_text() == before


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("root", "uid 0"),
        ("daemon", "uid 1:"),
        ("nobody-here", "not a local account"),
        ("bob", "never_users in propolis.conf"),
    ],
)
def test_who_is_never_locked(resident: Agent, etc: Path, user: str, why: str) -> None:
    resident.home.configure("never_users = bob, alice")
    before = (etc / "shadow").read_text()
    resident.call("lock", user, MARK)
    assert why in resident.home.refusal()
    assert (etc / "shadow").read_text() == before


def test_a_system_account_may_be_locked_where_root_allows_it_but_never_root(resident: Agent, etc: Path) -> None:
    resident.home.configure("lowest_uid = 1")
    resident.call("lock", "daemon", MARK)
    assert resident.home.record("lock") is not None
    (etc / "passwd").write_text((etc / "passwd").read_text() + "toor:x:0:0::/root:/bin/sh\n")
    resident.call("lock", "toor", MARK)
    assert "uid 0" in resident.home.refusal()


def test_a_failing_tool_is_not_taken_for_a_lock(resident: Agent, etc: Path) -> None:
    (etc / ".pwd.lock").mkdir()
    (etc / "shadow.lock").mkdir()
    resident.call("lock", "mallory", MARK)
    assert "not locked after usermod" in resident.home.refusal()
    assert resident.home.record("lock") is None
    assert shadow(etc)[1] == HASH


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Something that mallory left running."""
    running = subprocess.Popen(["setpriv", "--reuid=60123", "--regid=60123", "--clear-groups", "sleep", "300"])
    yield running
    running.kill()
    running.wait()


def test_running_processes_go_on_and_the_record_says_so(resident: Agent, process: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: Path(f"/proc/{process.pid}").stat().st_uid == 60123, 5, "mallory's process runs")
    resident.call("lock", "mallory", MARK)
    assert process.poll() is None
    assert "1 processes go on" in resident.home.content("lock")["found"]


def test_they_are_ended_where_root_has_asked_for_it(resident: Agent, process: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: Path(f"/proc/{process.pid}").stat().st_uid == 60123, 5, "mallory's process runs")
    resident.home.configure("end_sessions = yes")
    resident.call("lock", "mallory", MARK)
    assert process.wait(5) == -9
    assert "0 processes go on" in resident.home.content("lock")["found"]


@pytest.fixture
def door(resident: Agent, etc: Path, tmp_path: Path) -> Iterator[list[str]]:
    """An OpenSSH server on the host that lets mallory in by a key; the command that knocks there."""
    for key in ("host", "mallory"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)], check=True)
    (etc / "keys-of-mallory").write_bytes((tmp_path / "mallory.pub").read_bytes())
    (etc / "keys-of-mallory").chmod(0o644)
    config = tmp_path / "sshd_config"
    lines = (
        "Port 2222",
        "ListenAddress 127.0.0.1",
        f"HostKey {tmp_path / 'host'}",
        "AuthorizedKeysFile /etc/keys-of-mallory",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "StrictModes no",
        "PidFile none",
    )
    config.write_text("\n".join(lines) + "\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    log = tmp_path / "sshd.log"
    inside = f"mount --bind '{etc}' /etc && exec /usr/sbin/sshd -D -e -f '{config}'"
    with open(log, "w", encoding="utf-8") as stream:
        server = subprocess.Popen([*resident.lab.prefix("agent"), "sh", "-c", inside], stderr=stream)
    wait_until(lambda: "listening" in log.read_text(), 10, "sshd listens")
    options = [
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]
    yield ["ssh", *options, "-i", str(tmp_path / "mallory"), "-p", "2222", "mallory@127.0.0.1", "true"]
    server.kill()
    server.wait()


@pytest.mark.daemon
@pytest.mark.parametrize("password", [HASH, "*"])
def test_an_ssh_key_does_not_get_in_while_the_account_is_locked(
    resident: Agent, etc: Path, door: list[str], password: str
) -> None:
    change(etc, "mallory", password=password)

    def gets_in() -> bool:
        return resident.lab.run("agent", *door).returncode == 0

    assert gets_in()
    resident.call("lock", "mallory", MARK)
    assert not gets_in()
    change(etc, "mallory", password=password)
    assert not gets_in(), "the expiry alone keeps the key out"
    resident.call("unlock", "mallory")
    assert gets_in()
