"""The gate's own rules, without a network: what it takes in, what it refuses, what it would hand to nft."""

from __future__ import annotations

import ast
import io
import ipaddress
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gatefile import load_gate, write_config
from hypothesis import given
from hypothesis import strategies as st

from propolis.containment.gate import GATE
from propolis.containment.mark import is_ours, mark
from propolis.guardrails.builtin import NEVER_NETWORKS

gate = load_gate()
TERMS = ("address", "seconds", "comment")
GOOD = {"address": "203.0.113.7", "seconds": 60, "comment": "propolis case=1"}


def a_gate(limits: Any = None, peer: Any = None) -> Any:
    return gate.Gate("/nowhere/nft", limits or gate.Limits(), peer or gate.Peer(), "boot")


def raw(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def refusal(code: int, act: Any) -> str:
    with pytest.raises(gate.GateError) as caught:
        act()
    assert caught.value.code == code
    return str(caught.value)


def test_it_is_one_program_for_python_3_9_with_the_standard_library_alone() -> None:
    source = GATE.read_text()
    assert source.startswith("#!/usr/bin/python3 -I\n")
    assert os.access(GATE, os.X_OK)
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names


def test_a_good_request() -> None:
    assert gate.parse_request(raw(), TERMS) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff{}",
        b'{"address": "203.0.113.7"}',
        b"[" * 2000,
        raw(extra=1),
        raw(seconds=0),
        raw(seconds=-5),
        raw(seconds=1.5),
        raw(seconds="60"),
        raw(seconds=True),
        raw(seconds=float("nan")),
        raw(comment="mine"),
        raw(comment="propolisX"),
        raw(comment='propolis "}; flush ruleset'),
        raw(comment="propolis\nx"),
        raw(comment="propolis " + "x" * 120),
        raw(comment=7),
        raw(comment=None),
        raw()[:-1] + b', "seconds": 70}',
        raw(comment="propolis " + "y" * 5000),
    ],
)
def test_a_request_that_is_not_exactly_right_is_refused(text: bytes) -> None:
    assert refusal(65, lambda: gate.parse_request(text, TERMS))


@pytest.mark.parametrize(
    "value",
    [
        "203.0.113.7 }; flush ruleset; #",
        "localhost",
        "203.0.113.07",
        "203.0.113",
        "203.0.113.7/32",
        "203.0.113.7/24",
        "203.0.113.7/255.255.255.255",
        "2001:DB8::1",
        "2001:db8:0::1",
        "fe80::1%eth0",
        " 203.0.113.7",
        "203.0.113.7\n",
        "@b4",
        "0xcb007107",
        "",
        3405803783,
        None,
        ["203.0.113.7"],
        {"prefix": {"addr": "203.0.113.0", "len": 24}},
        "2001:db8::1" * 10,
    ],
)
def test_only_the_one_canonical_form_of_an_address_is_taken(value: Any) -> None:
    assert "canonical" in refusal(65, lambda: gate.parse_network(value))


@given(st.ip_addresses() | st.ip_addresses(v=4).map(lambda a: ipaddress.ip_network((a, 24), strict=False)))
def test_every_canonical_form_survives_the_way_to_nft_and_back(address: Any) -> None:
    network = ipaddress.ip_network(address)
    text = gate.text_of(network)
    assert gate.parse_network(text) == network
    element = gate._element({"elem": {"val": gate._value(network), "comment": "propolis", "expires": 5}})
    assert (element.text, element.version, element.expires) == (text, network.version, 5)


@given(st.dictionaries(st.sampled_from(["case", "by", "at", "lease", "job"]), st.text(max_size=80)))
def test_every_mark_that_a_responder_makes_is_a_comment_that_the_gate_takes(facts: dict[str, str]) -> None:
    comment = mark(**facts)
    assert gate.parse_request(raw(comment=comment), TERMS)["comment"] == comment
    assert gate.is_ours(comment)


@given(st.text() | st.text(alphabet="propolis x=1").map(lambda rest: "propolis" + rest))
def test_ours_means_the_same_on_both_sides(text: str) -> None:
    assert gate.is_ours(text) == is_ours(text)


@pytest.mark.parametrize("text", [network for network, _ in NEVER_NETWORKS])
def test_what_the_core_never_blocks_the_gate_never_blocks(text: str) -> None:
    network = ipaddress.ip_network(text)
    assert gate.protected_by(network, a_gate())
    assert gate.protected_by(ipaddress.ip_network(network.network_address + 1), a_gate()), text


def test_overlap_counts_in_both_directions() -> None:
    limits = gate.Limits(never=(ipaddress.ip_network("203.0.113.128/25"),), widest_v4=8)
    for text in ("203.0.113.200", "203.0.113.0/24", "203.0.0.0/16", "203.0.113.128/25"):
        assert "never in gate.json" in gate.protected_by(ipaddress.ip_network(text), a_gate(limits))
    assert gate.protected_by(ipaddress.ip_network("203.0.113.7"), a_gate(limits)) == ""


def test_the_client_is_protected_in_every_notation_sshd_uses() -> None:
    for connection in ("203.0.113.7 50000 192.0.2.1 22", "::ffff:203.0.113.7 50000 ::ffff:192.0.2.1 22"):
        peer = gate.parse_peer(connection)
        assert "SSH connection" in gate.protected_by(ipaddress.ip_network("203.0.113.7"), a_gate(peer=peer))
    peer = gate.parse_peer("2001:db8::9%eth0 1 2001:db8::1 2222")
    assert (str(peer.address), peer.port) == ("2001:db8::9/128", 2222)
    for text in ("", "here", "a b c d", "203.0.113.7 1 192.0.2.1 ssh"):
        assert gate.parse_peer(text) == gate.Peer()


def test_own_addresses_are_protected() -> None:
    own = gate.local_addresses()
    assert "127.0.0.1" not in own
    for text in own:
        assert gate.protected_by(ipaddress.ip_network(text), a_gate())
        assert gate.is_own(ipaddress.ip_network(text), a_gate())


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"nevr": []}, "nevr"),
        ({"never": "10.0.0.0/8"}, "never must be a list"),
        ({"never": ["10.0.0.1/8"]}, "canonical"),
        ({"management": ["soc.example.org"]}, "canonical"),
        ({"max_seconds": "1h"}, "max_seconds"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"max_seconds": True}, "max_seconds"),
        ({"widest_v4": 0}, "widest_v4"),
        ({"verbs": ["block", "flush"]}, "flush"),
        ({"verbs": [{}]}, "none"),
        ({"why_not": ""}, "why_not"),
        ({"keep": [{"address": "192.0.2.9"}]}, "keep"),
        ({"keep": [{"address": "192.0.2.9", "protocol": "icmp", "port": 1}]}, "tcp or udp"),
        ({"keep": [{"address": "192.0.2.9", "protocol": "tcp", "port": 0}]}, "port"),
    ],
)
def test_one_bad_entry_makes_the_configuration_unusable(tmp_path: Path, document: dict[str, Any], named: str) -> None:
    limits = gate.read_limits(str(write_config(tmp_path / "gate.json", **document)), True)
    assert named in limits.why_not
    assert limits.never == ()


def test_a_configuration_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    path = write_config(tmp_path / "gate.json")
    path.chmod(0o666)
    assert "chmod" in gate.read_limits(str(path), True).why_not


def test_a_missing_configuration_matters_only_to_those_who_come_from_outside(tmp_path: Path) -> None:
    assert "does not exist" in gate.read_limits(str(tmp_path / "gate.json"), True).why_not
    assert gate.read_limits(str(tmp_path / "gate.json"), False).why_not == ""


def test_the_shipped_example_is_a_usable_configuration() -> None:
    example = GATE.parent / "gate.json.example"
    limits = gate.parse_limits(example.read_bytes())
    assert limits.why_not == ""
    assert set(limits.verbs) <= set(gate.VERBS)


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        ([], {}, 64),
        ([], {"SSH_ORIGINAL_COMMAND": "reboot"}, 64),
        ([], {"SSH_ORIGINAL_COMMAND": "status status"}, 64),
        (["status", "block"], {}, 64),
        (["--config"], {}, 64),
        (["--shell", "/bin/sh", "status"], {}, 64),
    ],
)
def test_no_verb_no_service(arguments: list[str], environment: dict[str, str], code: int) -> None:
    assert "none of the verbs" in refusal(code, lambda: gate.serve(arguments, environment, raw()))


def test_a_caller_from_outside_needs_the_configuration(tmp_path: Path) -> None:
    options = ["--config", str(tmp_path / "none.json")]
    environment = {"SSH_ORIGINAL_COMMAND": "block", "SSH_CONNECTION": "192.0.2.2 1 192.0.2.1 22"}
    assert "does not exist" in refusal(78, lambda: gate.serve(options, environment, raw()))


def test_a_caller_from_outside_whose_address_is_lost_on_the_way_may_only_look_and_undo(tmp_path: Path) -> None:
    options = ["--config", str(write_config(tmp_path / "gate.json"))]
    environment = {"SSH_ORIGINAL_COMMAND": "block"}
    assert "env_keep" in refusal(78, lambda: gate.serve(options, environment, raw()))


def test_the_block_transaction_is_add_delete_add_with_the_end_and_the_mark() -> None:
    network = ipaddress.ip_network("198.51.100.0/24")
    base = [command["add"] for command in gate.block_base(None)]
    document = gate.block_batch(base, network, 60, "propolis case=1")
    assert [next(iter(command)) for command in document["nftables"]] == ["add", "delete", "add"]
    last = document["nftables"][-1]["add"]["element"]["elem"][0]["elem"]
    assert last == {
        "val": {"prefix": {"addr": "198.51.100.0", "len": 24}},
        "timeout": 60,
        "comment": "propolis case=1",
    }


def test_changed_chains_are_rebuilt_and_good_ones_left() -> None:
    good = [command["add"] for command in gate.block_base(None)]
    assert gate.block_base(good) == []
    without = [entry for entry in good if "rule" not in entry]
    verbs = [next(iter(command)) for command in gate.block_base(without)]
    assert verbs.count("delete") == 2
    assert verbs.count("flush") == 2


@pytest.mark.parametrize(
    ("printed", "code", "said"),
    [
        ("Error: interval overlaps with an existing one\nadd ...", 73, "overlaps"),
        ("netlink: Error: cache initialization failed: Operation not permitted", 69, "needs root"),
        ("Error: syntax error, unexpected junk\n" + "x" * 1000, 69, "syntax error"),
        ("", 69, "without a word"),
    ],
)
def test_what_nft_says_becomes_one_sentence(printed: str, code: int, said: str) -> None:
    error = gate._nft_error(printed)
    assert error.code == code
    assert said in str(error)
    assert "\n" not in str(error)


def test_a_missing_nft_is_one_sentence() -> None:
    assert "install nftables" in refusal(69, lambda: gate.run_nft(a_gate(), ["-j", "list", "ruleset"]))


def test_an_nft_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "nft"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(gate, "NFT_TIMEOUT", 0.2)
    assert "not known" in refusal(75, lambda: gate.run_nft(a_gate()._replace(nft=str(slow)), ["-j", "list"]))


def test_whatever_happens_the_caller_gets_one_json_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["propolis-gate", "--boot-id", "/proc/self/mem", "status"])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"address": "203.0.113.7"}')))
    monkeypatch.setattr(gate, "lock", lambda: None)
    monkeypatch.setattr(gate.signal, "signal", lambda *_: None)
    monkeypatch.setattr(gate.signal, "alarm", lambda *_: None)
    assert gate.main() == 70
    assert json.loads(capsys.readouterr().out)["ok"] is False
