"""What wazuh-execd hands over is a request exactly, or nothing happens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from agent_lab import ATTACKER4, COLLEAGUE, HOST4, MANAGEMENT, MANAGER, MARK, Agent
from execd import request

pytestmark = pytest.mark.root

BLOCK = ("block", ATTACKER4, "60", MARK)
SHA = "0" * 64

MALFORMED: tuple[Sequence[Any], ...] = (
    (),
    ("",),
    ("format", "c"),
    ("block",),
    ("block", ATTACKER4, "60"),
    (*BLOCK, "more"),
    (*BLOCK, "and", "more"),
    ("block", ATTACKER4, 60, MARK),
    ("block", [ATTACKER4], "60", MARK),
    ("block", None, "60", MARK),
    # what is not an address in its one form
    ("block", "0.0.0.0/0 ", "60", MARK),
    ("block", "evil.example", "60", MARK),
    ("block", "localhost", "60", MARK),
    ("block", "010.1.1.8", "60", MARK),
    ("block", "203.0.113.07", "60", MARK),
    ("block", "203.0.113", "60", MARK),
    ("block", "3405803783", "60", MARK),
    ("block", "0xcb.0.113.7", "60", MARK),
    ("block", "203.0.113.256", "60", MARK),
    ("block", "203.0.113.7/32", "60", MARK),
    ("block", "203.0.113.7/24", "60", MARK),
    ("block", "203.0.113.0/33", "60", MARK),
    ("block", "203.0.113.0/-1", "60", MARK),
    ("block", "203.0.113.2-203.0.113.9", "60", MARK),
    ("block", "2001:DB8:2::2", "60", MARK),
    ("block", "2001:db8:2:0:0:0:0:2", "60", MARK),
    ("block", "2001:db8:::2", "60", MARK),
    ("block", "fe80::1%eth0", "60", MARK),
    ("block", "::ffff:203.0.113.7", "60", MARK),
    ("block", "-f", "60", MARK),
    # what would be commands of a shell, of nft or of awk
    ("block", "203.0.113.7 }; flush ruleset; add element inet x y { 203.0.113.8", "60", MARK),
    ("block", "$(touch /tmp/propolis-injected)", "60", MARK),
    ("block", "`id`", "60", MARK),
    ("block", "203.0.113.7\nflush ruleset", "60", MARK),
    ("block", "203.0.113.7;id", "60", MARK),
    ("block", "@/etc/passwd", "60", MARK),
    ("block", ATTACKER4, "60s; flush ruleset", MARK),
    ("block", ATTACKER4, "0", MARK),
    ("block", ATTACKER4, "-1", MARK),
    ("block", ATTACKER4, "1e3", MARK),
    ("block", ATTACKER4, "060", MARK),
    ("block", ATTACKER4, "10000000", MARK),
    ("block", ATTACKER4, "$((60))", MARK),
    ("block", ATTACKER4, "60", 'propolis "}; flush ruleset; #'),
    ("block", ATTACKER4, "60", "propolis $(id)"),
    ("block", ATTACKER4, "60", "propolis `id`"),
    ("block", ATTACKER4, "60", "propolis\nx"),
    ("block", ATTACKER4, "60", "propolis \\x"),
    ("block", ATTACKER4, "60", "propolis é"),
    ("block", ATTACKER4, "60", "propolis a~b"),
    ("block", ATTACKER4, "60", "propolis " + "x" * 112),
    ("block", ATTACKER4, "60", "somebody else's"),
    ("unblock", "*"),
    ("unblock", "../../etc/passwd"),
    ("isolate", "3600"),
    ("isolate", "host", "3600", MARK),
    ("isolate", "3600; reboot", MARK),
    ("release", "host"),
    ("lock", "-U", MARK),
    ("lock", "root;id", MARK),
    ("lock", "../root", MARK),
    ("lock", "mallory bob", MARK),
    ("lock", "mallory:x", MARK),
    ("lock", "*", MARK),
    ("lock", "m" * 33, MARK),
    ("unlock", "--root=/tmp"),
    ("quarantine", "etc/passwd", SHA, MARK),
    ("quarantine", "/tmp/../etc/passwd", SHA, MARK),
    ("quarantine", "/tmp/./x", SHA, MARK),
    ("quarantine", "/tmp//x", SHA, MARK),
    ("quarantine", "/tmp/x/", SHA, MARK),
    ("quarantine", "/tmp/..", SHA, MARK),
    ("quarantine", '/tmp/"x', SHA, MARK),
    ("quarantine", "/tmp/\\x", SHA, MARK),
    ("quarantine", "/tmp/a\nb", SHA, MARK),
    ("quarantine", "/" + "x" * 1100, SHA, MARK),
    ("quarantine", "/tmp/x", "0" * 63, MARK),
    ("quarantine", "/tmp/x", "g" * 64, MARK),
    ("quarantine", "/tmp/x", "-" * 64, MARK),
    ("restore", "../../../etc/passwd"),
    ("restore", "A" * 32),
    ("restore", "0" * 31),
    ("renew-records", "now"),
)


def test_whatever_is_not_a_request_changes_nothing_and_asks_for_nothing(agent: Agent) -> None:
    before = agent.lab.ruleset()
    for arguments in MALFORMED:
        exchange = agent.call(*arguments)
        assert exchange.reply == "", arguments
    assert agent.home.results() == ["malformed"] * len(MALFORMED)
    assert agent.home.names() == []
    assert agent.lab.ruleset() == before


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "null",
        "propolis",
        request(BLOCK)[:-1],
        request(BLOCK) + "}",
        request(BLOCK) + request(BLOCK),
        request(BLOCK).replace('"add"', '"add","command":"add"'),
        request(BLOCK).replace("{", "[", 1),
        request(BLOCK).replace(ATTACKER4, "\\u0032" + ATTACKER4[1:]),
        request(BLOCK).replace('"add"', "add"),
        request(BLOCK, command="delete"),
        request(BLOCK, command="enable"),
        request(BLOCK).replace("parameters", "parameter"),
        '{"command":"add","parameters.extra_args":["release"]}',
        "[" * 5000,
        request(BLOCK).replace(MARK, "x" * 20000),
        "\x01" + request(BLOCK),
    ],
)
def test_a_line_that_is_no_request_of_execd_is_dropped(agent: Agent, line: str) -> None:
    before = agent.lab.ruleset()
    exchange = agent.execd.send(line)
    assert (exchange.reply, exchange.rest, exchange.returncode) == ("", "", 0)
    assert agent.lab.ruleset() == before
    assert agent.home.names() == []
    assert agent.home.results() == ["malformed"]


def test_what_else_stands_in_the_line_does_not_matter(agent: Agent) -> None:
    document = json.loads(request(BLOCK))
    document["parameters"]["alert"] = {
        "data": {"srcip": COLLEAGUE, "text": 'quo"te, \\ and é'},
        "rule": {"id": [1, -2.5e3, None]},
    }
    agent.execd.send(json.dumps(document))
    assert [(record.verb, record.target) for record in agent.home.records()] == [("block", ATTACKER4)]


@pytest.mark.parametrize("answer", ["abort", "delete", ""])
def test_without_execds_continue_nothing_is_done(agent: Agent, answer: str) -> None:
    before = agent.lab.ruleset()
    exchange = agent.call(*BLOCK, answer=answer)
    assert exchange.keys == [f"block {ATTACKER4}"]
    assert agent.lab.ruleset() == before
    assert agent.home.names() == []
    assert agent.home.results() == ["aborted"]


def test_a_request_is_logged_in_the_form_that_wazuhs_rule_657_reads(agent: Agent) -> None:
    agent.call(*BLOCK)
    (line,) = agent.home.log()
    assert line["command"] == "add"
    assert line["parameters"]["program"] == "propolis-contain"
    assert (line["parameters"]["verb"], line["parameters"]["target"]) == ("block", ATTACKER4)
    assert line["parameters"]["mark"] == MARK


def test_a_log_that_is_a_link_is_not_followed(agent: Agent) -> None:
    victim = agent.home.folder / "victim"
    (agent.home.folder / "logs" / "active-responses.log").symlink_to(victim)
    agent.call(*BLOCK)
    assert not victim.exists()


SPARED = {
    "10.1.2.3": "built-in",
    "192.168.4.0/24": "built-in",
    "127.0.0.1": "built-in",
    "0.0.0.0/0": "wider than /24",
    "::/0": "wider than /48",
    "fe80::1": "built-in",
    MANAGER: "the Wazuh manager",
    "198.51.100.0/24": "the Wazuh manager",
    MANAGEMENT: "management in propolis.conf",
    HOST4: "an address of this host",
    "2001:db8:2::1": "an address of this host",
    "2001:db8:7::5": "never in propolis.conf",
    "2001:db8:1::/48": "an address of this host",
    "185.0.0.0/8": "wider than /24",
    "2a00:1450::/32": "wider than /48",
}


def test_what_must_be_spared_is_refused_last_of_all_here(agent: Agent) -> None:
    agent.home.configure(f"management = {MANAGEMENT}", "never = 2001:db8:7::/48, 203.0.113.128/25")
    before = agent.lab.ruleset()
    for target, why in SPARED.items():
        agent.call("block", target, "60", MARK)
        refusals = {record.target: record.mark for record in agent.home.records()}
        assert why in refusals[f"block.{target}"], target
    assert agent.lab.ruleset() == before
    assert {record.verb for record in agent.home.records()} == {"refused"}


def test_a_longer_time_than_this_host_allows_is_refused(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "604801", MARK)
    assert "max_seconds (604800)" in agent.home.refusal()
    agent.home.configure("max_seconds = 60")
    agent.call("isolate", "61", MARK)
    assert "propolis_agent" not in agent.lab.ruleset()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("never = 203.0.113.0/33", "line 2: 203.0.113.0/33 is not an address or network"),
        ("never = internal.example", "is not an address or network"),
        ("never = 203.0.113.7/24", "is not an address or network"),
        ("nevr = 203.0.113.0/24", "nevr is not known"),
        ("never 203.0.113.0/24", "not of the form"),
        ("never =", "never needs one value"),
        ("trial = 0", "trial must be a number of seconds"),
        ("end_sessions = maybe", "yes or no"),
        ("vault = ../x", "absolute path"),
        ("vault = /a /b", "needs one value"),
        ("management = $(id)", "a character that no value has"),
    ],
)
def test_an_entry_that_cannot_be_read_refuses_everything_but_undoing(agent: Agent, line: str, why: str) -> None:
    agent.call(*BLOCK)
    agent.home.configure("# ours", line)
    agent.call("block", "203.0.113.9", "60", MARK)
    assert why in agent.home.refusal()
    agent.call("unblock", ATTACKER4)
    assert agent.home.record("block") is None
    assert "elements" not in agent.lab.ruleset()


def test_a_configuration_that_others_can_write_is_not_obeyed(agent: Agent) -> None:
    agent.home.configure("never = 192.0.2.0/24", mode=0o666)
    agent.call(*BLOCK)
    assert "nobody else can write" in agent.home.refusal()


def test_a_link_in_the_configurations_place_is_not_obeyed(agent: Agent) -> None:
    (agent.home.folder / "etc" / "propolis.conf").symlink_to("/dev/null")
    agent.call(*BLOCK)
    assert "must be a file of root" in agent.home.refusal()


def test_the_managers_copy_may_say_who_is_spared(agent: Agent) -> None:
    agent.home.push("never = 203.0.113.0/24")
    agent.call(*BLOCK)
    assert "never in propolis.conf" in agent.home.refusal()


@pytest.mark.parametrize("line", ["trial = 5", "vault = /etc/cron.d", "lowest_uid = 1", "end_sessions = yes"])
def test_the_managers_copy_may_not_give_the_program_more_power(agent: Agent, line: str) -> None:
    agent.home.push(line)
    agent.call(*BLOCK)
    assert "does not belong in this file" in agent.home.refusal()


def test_roots_own_copy_goes_before_the_managers(agent: Agent) -> None:
    agent.home.configure("never = 192.0.2.0/24")
    agent.home.push("never = 203.0.113.0/24")
    agent.call(*BLOCK)
    assert agent.home.record("block") is not None


@pytest.mark.parametrize(
    ("ossec", "why"),
    [
        ("<ossec_config></ossec_config>", "names no manager"),
        ("<client><server><address>no.such.host.invalid</address></server></client>", "cannot be resolved"),
        ("<client><server><address>198.51.100.2; id</address></server></client>", "cannot be read"),
        ("<client><server><address>198.51.100.2</address><port>x</port></server></client>", "cannot be read"),
    ],
)
def test_where_it_cannot_be_told_who_the_manager_is_nothing_is_cut(resident: Agent, ossec: str, why: str) -> None:
    resident.home.ossec(ossec)
    resident.call(*BLOCK)
    assert why in resident.home.refusal()
    resident.call("isolate", "3600", MARK)
    assert "propolis_agent" not in resident.lab.ruleset()


def test_a_manager_given_by_name_is_spared(resident: Agent) -> None:
    resident.home.manager("198.51.100.9", "wazuh.soc.example")
    resident.call(*BLOCK)
    assert "the Wazuh manager" in resident.home.refusal()


def test_two_calls_at_once_both_come_to_their_end(agent: Agent) -> None:
    targets = [f"203.0.113.{number}" for number in range(10, 16)]
    calls = [agent.execd.start(request(("block", target, "60", MARK))) for target in targets]
    for call in calls:
        assert agent.execd.finish(call).returncode == 0
    assert sorted(record.target for record in agent.home.records()) == targets
    assert agent.home.results() == ["blocked"] * len(targets)


def test_a_person_may_call_it_with_the_same_words(agent: Agent) -> None:
    done = agent.by_hand(*BLOCK)
    assert (done.returncode, done.stdout.startswith("blocked:")) == (0, True)
    refused = agent.by_hand("block", "10.0.0.1", "60", MARK)
    assert (refused.returncode, "built-in never list" in refused.stderr) == (1, True)
    nonsense = agent.by_hand("block", "10.0.0.1")
    assert (nonsense.returncode, "takes 3 arguments" in nonsense.stderr) == (64, True)
