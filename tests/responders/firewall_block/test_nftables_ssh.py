"""The gate behind a real OpenSSH server: what the key allows, and what happens when the line is not what it was."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from firewall_lab import FW4, FW_MGMT, PEER4, PORT, SOC, FirewallLab, NftBench
from gatefile import write_config
from suite import MARK, look, refused, run, undo

from propolis.containment.backend import BackendError, Target
from propolis.containment.gate import GATE, GateRefused, GateUnreachable, ssh_command, ssh_gate
from propolis.errors import ConfigurationError

pytestmark = [pytest.mark.root, pytest.mark.daemon]

PEER = Target("ip", PEER4, "test")
BLOCK = {"address": PEER4, "seconds": 60, "comment": MARK}


@pytest.fixture
def bench(fresh: FirewallLab) -> NftBench:
    return NftBench(fresh, over_ssh=True)


def over_ssh(lab: FirewallLab, command: str, stdin: str = "{}") -> subprocess.CompletedProcess[str]:
    return lab.run("soc", *ssh_command(lab.place(), command), stdin=stdin)


@pytest.mark.parametrize(
    "command",
    [
        "id",
        "nft list ruleset",
        "status; id",
        "status && id",
        "block extra",
        "--config /dev/null status",
        "/bin/sh",
        "$(id)",
        "",
        "internal-sftp",
        "status\nid",
    ],
)
def test_the_key_runs_nothing_but_the_verbs(fresh: FirewallLab, command: str) -> None:
    done = over_ssh(fresh, command)
    assert done.returncode == 64
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert "none of the verbs" in answer["error"]
    assert "uid=" not in done.stdout


def test_the_key_opens_no_tunnel(fresh: FirewallLab) -> None:
    command = ssh_command(fresh.place(), "status")
    command[command.index("ClearAllForwardings=yes")] = "ExitOnForwardFailure=yes"
    command[command.index("--") : command.index("--")] = ["-R", "9099:127.0.0.1:22"]
    done = fresh.run("soc", *command, stdin=json.dumps({"address": PEER4}))
    assert done.returncode == 255
    assert "forwarding failed" in done.stderr


def test_blocking_the_address_we_come_from_is_refused(fresh: FirewallLab) -> None:
    done = over_ssh(fresh, "block", json.dumps({**BLOCK, "address": SOC}))
    assert done.returncode == 77
    assert "management" in json.loads(done.stdout)["error"]
    assert fresh.logged.writes() == []


def test_blocking_the_client_is_refused_even_when_the_configuration_forgot_it(fresh: FirewallLab) -> None:
    fresh.place()
    config = fresh.folder / "gate.json"
    kept = config.read_text()
    write_config(config)
    try:
        done = over_ssh(fresh, "block", json.dumps({**BLOCK, "address": SOC}))
    finally:
        config.write_text(kept)
    assert done.returncode == 77
    assert "SSH connection comes from" in json.loads(done.stdout)["error"]


def test_the_firewalls_own_limits_hold_whatever_the_caller_says(fresh: FirewallLab) -> None:
    refusals = {
        "203.0.113.200": "never in gate.json",
        FW4: "own addresses",
        "10.1.2.3": "built-in never list",
        "203.0.113.0/16": "canonical",
        "203.0.0.0/16": "overlaps 203.0.113.128/25",
        "2001:db8:f000::/36": "wider than /48",
    }
    for address, why in refusals.items():
        done = over_ssh(fresh, "block", json.dumps({**BLOCK, "address": address}))
        assert done.returncode in (65, 77), address
        assert why in json.loads(done.stdout)["error"]
    done = over_ssh(fresh, "block", json.dumps({**BLOCK, "seconds": 8 * 86400}))
    assert done.returncode == 77
    assert "max_seconds" in json.loads(done.stdout)["error"]
    assert fresh.logged.writes() == []


def test_a_missing_configuration_leaves_only_looking_and_undoing(fresh: FirewallLab, bench: NftBench) -> None:
    run(bench, PEER)
    config = fresh.folder / "gate.json"
    kept = config.read_text()
    for broken in (None, "{", '{"neverr": []}', '{"never": ["10.0.0.0/33"]}', "[]"):
        config.unlink(missing_ok=True)
        if broken is not None:
            config.write_text(broken)
        done = over_ssh(fresh, "block", json.dumps({**BLOCK, "address": "203.0.113.9"}))
        assert done.returncode == 78, broken
        assert over_ssh(fresh, "status", json.dumps({"address": PEER4})).returncode == 0
    config.unlink(missing_ok=True)
    try:
        assert undo(bench, PEER).result == "released"
    finally:
        config.write_text(kept)


def test_a_verb_that_the_configuration_does_not_name_is_refused(fresh: FirewallLab) -> None:
    for verb in ("isolate", "confirm", "isolate-check"):
        done = over_ssh(fresh, verb, json.dumps({"seconds": 60, "comment": MARK}))
        assert done.returncode == 77
        assert "not among the verbs" in json.loads(done.stdout)["error"]


def test_a_changed_host_key_is_refused_and_named(fresh: FirewallLab, bench: NftBench) -> None:
    fresh.ssh.down()
    fresh.ssh.new_host_key()
    fresh.ssh.up()
    try:
        assert "another host key" in refused(bench, lambda: run(bench, PEER), GateUnreachable)
        assert bench.writes() == []
    finally:
        fresh.ssh.trust()
    assert run(bench, PEER).result == "contained"


def test_a_server_that_is_down_is_one_sentence_and_works_again_later(fresh: FirewallLab, bench: NftBench) -> None:
    fresh.ssh.down()
    try:
        assert "refuses connections" in refused(bench, lambda: run(bench, PEER), GateUnreachable)
        assert "refuses connections" in refused(bench, lambda: undo(bench, PEER), GateUnreachable)
    finally:
        fresh.ssh.up()
    assert run(bench, PEER).result == "contained"


def test_a_key_that_is_not_allowed_is_one_sentence(fresh: FirewallLab, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    client = fresh.ssh_client(fresh.place(key_file=str(tmp_path / "other")))
    with pytest.raises(GateUnreachable, match="does not accept this key"):
        client.call("status", {"address": PEER4})


def test_a_firewall_that_never_answers_is_given_up(fresh: FirewallLab) -> None:
    client = fresh.ssh_client(fresh.place(host="192.0.2.99"))
    with pytest.raises(GateUnreachable, match=r"cannot be reached|does not answer"):
        client.call("status", {"address": PEER4})


def test_an_unknown_host_key_is_refused(fresh: FirewallLab, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.touch()
    client = fresh.ssh_client(fresh.place(known_hosts=str(empty)))
    with pytest.raises(GateUnreachable, match="known hosts file"):
        client.call("status", {"address": PEER4})


@pytest.mark.parametrize(
    "host", ["-oProxyCommand=touch trap", "fw -v", "fw;id", "$(id)", "fw\nfw", "user@fw", "", "fe80::1%eth0", "-"]
)
def test_a_host_that_ssh_would_read_as_something_else_is_refused(fresh: FirewallLab, host: str) -> None:
    with pytest.raises(ConfigurationError, match="host name or address"):
        ssh_gate(fresh.place(host=host))


def test_a_host_that_looks_like_an_option_runs_nothing_even_if_it_came_so_far(
    fresh: FirewallLab, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    done = fresh.run("soc", *ssh_command(fresh.place(user="-oProxyCommand=touch", host=f" {trap}"), "status"))
    assert done.returncode == 255
    assert not trap.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "-l"},
        {"user": "Root Root"},
        {"port": 0},
        {"key_file": "relative"},
        {"key_file": "/nowhere/key"},
        {"known_hosts": "/etc/hosts /etc/passwd"},
        {"known_hosts": "/etc/%h"},
    ],
)
def test_a_user_port_or_file_that_cannot_be_meant_is_refused(fresh: FirewallLab, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        ssh_gate(fresh.place(**changes))


def test_a_lost_connection_after_the_act_is_looked_up(fresh: FirewallLab, bench: NftBench) -> None:
    fresh.logged.lose_next_answer()
    outcome = run(bench, PEER)
    assert outcome.result == "contained"
    assert "answer was lost" in outcome.done
    assert len(bench.writes()) == 1


def test_another_program_behind_the_key_is_recognised(fresh: FirewallLab, tmp_path: Path) -> None:
    server = fresh.sshd("peer", "198.51.100.2", PORT, "cat")
    try:
        place = fresh.place(host="198.51.100.2", key_file=str(server.key), known_hosts=str(server.known_hosts))
        client = fresh.ssh_client(place)
        fresh.ip("soc", "route", "replace", "198.51.100.0/24", "via", FW_MGMT)
        fresh.run("fw", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        fresh.ip("peer", "route", "replace", "192.0.2.0/24", "via", FW4)
        with pytest.raises(BackendError, match="forced command"):
            client.call("status", {"address": PEER4})
    finally:
        server.down()


def test_the_gates_refusal_reaches_the_person(fresh: FirewallLab) -> None:
    with pytest.raises(GateRefused, match=r"203\.0\.113\.200 is never blocked here"):
        fresh.ssh_client().call("block", {**BLOCK, "address": "203.0.113.200"})


def test_what_was_done_reads_the_same_from_both_sides(fresh: FirewallLab, bench: NftBench) -> None:
    run(bench, PEER)
    here = NftBench(fresh, over_ssh=False)
    assert look(here, PEER).mark == look(bench, PEER).mark == MARK
    assert undo(here, PEER).result == "released"
    assert not look(bench, PEER).contained
    assert GATE.stat().st_mode & 0o111
