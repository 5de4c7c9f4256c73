"""The gate's client: nothing of a request in an argument, and after a failure it is known what may have happened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from propolis.containment.gate import (
    GATE,
    GateClient,
    GateRefused,
    GateUnknown,
    GateUnreachable,
    SshPlace,
    local_gate,
    one_line,
    ssh_command,
    ssh_gate,
)
from propolis.errors import ConfigurationError

PLACE = SshPlace("fw1.example.org", 22, "propolis", "/etc/cortex/key", "/etc/cortex/known_hosts")


def program(tmp_path: Path, text: str) -> GateClient:
    """A client of a shell script that stands for ssh or the gate."""
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return GateClient("fw1", lambda verb: [str(path), verb], timeout=5)


def test_an_answer(tmp_path: Path) -> None:
    client = program(tmp_path, 'printf \'{"ok": true, "verb": "%s", "got": %s}\' "$1" "$(cat)"')
    assert client.call("status", {"address": "203.0.113.7"}) == {
        "ok": True,
        "verb": "status",
        "got": {"address": "203.0.113.7"},
    }


def test_a_refusal_is_the_gates_own_sentence(tmp_path: Path) -> None:
    client = program(tmp_path, 'echo \'{"ok": false, "error": "No, never."}\'; exit 77')
    with pytest.raises(GateRefused, match=r"^fw1: No, never\.$"):
        client.call("block", {})


def test_took_too_long_means_look_again(tmp_path: Path) -> None:
    client = program(tmp_path, 'echo \'{"ok": false, "error": "What it did is not known."}\'; exit 75')
    with pytest.raises(GateUnknown):
        client.call("block", {})


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@", "another host key"),
        ("Host key verification failed.", "known hosts file"),
        ("propolis@fw1: Permission denied (publickey).", "does not accept this key"),
        ("Permissions 0644 for key are too open. bad permissions", "chmod 600"),
        ("ssh: Could not resolve hostname fw1: Name or service not known", "cannot be resolved"),
        ("ssh: connect to host fw1 port 22: Connection refused", "refuses connections"),
        ("ssh: connect to host fw1 port 22: No route to host", "no route"),
        ("ssh: connect to host fw1 port 22: Network is unreachable", "no network"),
        ("ssh: connect to host fw1 port 22: Connection timed out", "does not answer"),
        ("Connection timed out during banner exchange", "does not speak SSH"),
        ("kex_exchange_identification: Connection closed by remote host", "before SSH begins"),
    ],
)
def test_what_ssh_says_before_the_request_was_sent(tmp_path: Path, printed: str, said: str) -> None:
    client = program(tmp_path, f"cat > /dev/null; echo '{printed}' >&2; exit 255")
    with pytest.raises(GateUnreachable, match=said) as caught:
        client.call("block", {})
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Connection to fw1 closed by remote host.' >&2; exit 255", "was lost"),
        ("echo 'client_loop: send disconnect: Broken pipe' >&2; exit 255", "was lost"),
        ("echo 'Read from remote host fw1: Connection timed out' >&2; exit 255", "was lost"),
        ("echo 'Timeout, server fw1 not responding.' >&2; exit 255", "was lost"),
        ("kill -9 $$", "was lost"),
        ("echo 'Welcome to fw1'", "forced command"),
        ("echo '[]'", "forced command"),
        ("echo '{}'", "forced command"),
        ("printf '\\377\\376'", "forced command"),
        ("exit 3", "forced command"),
    ],
)
def test_whatever_else_happens_it_may_have_been_done(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(GateUnknown, match=said):
        program(tmp_path, f"cat > /dev/null; {script}").call("block", {})


def test_silence_is_given_up_and_may_have_been_done(tmp_path: Path) -> None:
    client = program(tmp_path, "exec sleep 20")
    client._timeout = 0.3
    with pytest.raises(GateUnknown, match=r"within 0\.3 s"):
        client.call("block", {})


def test_no_gate_there(tmp_path: Path) -> None:
    with pytest.raises(GateUnreachable, match="install propolis-gate"):
        program(tmp_path, "exit 127").call("status", {})
    with pytest.raises(GateUnreachable, match="cannot be asked"):
        GateClient("fw1", lambda verb: [str(tmp_path / "nothing")]).call("status", {})
    with pytest.raises(GateUnreachable, match="sudo"):
        program(tmp_path, "echo 'sudo: a password is required' >&2; exit 1").call("status", {})


def test_ssh_reads_no_configuration_and_asks_nobody() -> None:
    command = ssh_command(PLACE, "status")
    assert command[:4] == ["ssh", "-F", "none", "-T"]
    assert command[-3:] == ["--", "propolis@fw1.example.org", "status"]
    for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "ConnectTimeout=5"):
        assert option in command
    assert "UserKnownHostsFile=/etc/cortex/known_hosts" in command


def test_openssh_itself_takes_every_option() -> None:
    command = ssh_command(PLACE, "status")
    done = subprocess.run([command[0], "-G", *command[1:-1]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "stricthostkeychecking true" in done.stdout
    assert "batchmode yes" in done.stdout


def test_a_place_must_be_what_it_seems(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    good = PLACE._replace(key_file=str(key), known_hosts=str(key))
    assert ssh_gate(good).where == "propolis@fw1.example.org port 22"
    assert ssh_gate(good._replace(host="2001:db8::1"))
    for change in ({"host": "-v"}, {"host": "a b"}, {"user": "-l"}, {"port": 0}, {"key_file": "key"}):
        with pytest.raises(ConfigurationError):
            ssh_gate(good._replace(**change))  # type: ignore[arg-type]


def test_the_local_gate_is_the_one_that_ships() -> None:
    client = local_gate(nft="/usr/sbin/nft")
    assert client._command("status") == [sys.executable, "-I", str(GATE), "--nft", "/usr/sbin/nft", "status"]
    assert local_gate(sudo=True)._command("status") == ["sudo", "-n", "--", str(GATE), "status"]
    with pytest.raises(ConfigurationError, match="does not exist"):
        local_gate(program="/nowhere/gate")


def test_a_foreign_sentence_is_cut_and_cleaned() -> None:
    assert one_line("a\nb\x1b[31m") == "a b [31m"
    assert len(one_line("x" * 5000)) < 500
    assert one_line(None) == one_line(json.loads("7"))
