"""What a block does to real traffic: pings, sessions that are open, both IP versions, and what ends it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from firewall_lab import FW4, FW6, OTHER4, PEER4, PEER6, FirewallLab, NftBench
from netns import wait_until
from suite import MARK, look, refused, run, undo

from propolis.clock import SystemClock
from propolis.containment.backend import BackendError, Target, Terms
from propolis.containment.gate import GATE

pytestmark = pytest.mark.root

PEER = Target("ip", PEER4, "test")


@pytest.fixture
def bench(fresh: FirewallLab) -> NftBench:
    return NftBench(fresh, over_ssh=False)


def test_a_live_session_dies_and_lives_again_at_the_end(fresh: FirewallLab, bench: NftBench) -> None:
    fresh.echo_server("fw", FW4, 7001)
    session = fresh.session("peer", FW4, 7001, source=PEER4)
    bystander = fresh.session("peer", FW4, 7001, source=OTHER4)
    assert session.alive()
    run(bench, PEER, 6)
    assert not session.alive()
    assert bystander.alive()
    wait_until(lambda: fresh.pings("peer", FW4, source=PEER4), 15, "the kernel ends the block")
    wait_until(session.alive, 20, "the session is answered again")


def test_a_session_that_the_firewall_opened_dies_too(fresh: FirewallLab, bench: NftBench) -> None:
    fresh.echo_server("peer", PEER4, 7002)
    session = fresh.session("fw", PEER4, 7002)
    assert session.alive()
    run(bench, PEER)
    assert not session.alive()


def test_traffic_that_is_only_routed_stops_in_both_directions(fresh: FirewallLab, bench: NftBench) -> None:
    fresh.run("fw", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    fresh.ip("peer", "route", "replace", "192.0.2.0/24", "via", FW4)
    fresh.ip("soc", "route", "replace", "198.51.100.0/24", "via", "192.0.2.1")
    assert fresh.pings("peer", "192.0.2.2", source=PEER4)
    assert fresh.pings("soc", PEER4)
    run(bench, PEER)
    assert not fresh.pings("peer", "192.0.2.2", source=PEER4)
    assert not fresh.pings("soc", PEER4)


def test_ipv6(fresh: FirewallLab, bench: NftBench) -> None:
    wait_until(lambda: fresh.pings("peer", FW6), 5, "IPv6 is up")
    target = Target("ip", PEER6, "test")
    run(bench, target)
    assert not fresh.pings("peer", FW6)
    undo(bench, target)
    assert fresh.pings("peer", FW6)


def test_the_second_block_is_a_no_op_and_the_rules_stay_as_they_are(fresh: FirewallLab, bench: NftBench) -> None:
    run(bench, PEER)
    before = fresh.nft("fw", "-s", "list", "ruleset")
    assert run(bench, PEER).result == "already_contained"
    assert fresh.nft("fw", "-s", "list", "ruleset") == before


def test_a_dry_run_leaves_the_ruleset_exactly_as_it_was(fresh: FirewallLab, bench: NftBench) -> None:
    outcome = run(bench, PEER, observing=("dry_run",))
    assert fresh.nft("fw", "list", "ruleset") == ""
    shown = json.loads(outcome.request)
    assert shown["nftables"][-1]["add"]["element"]["elem"][0]["elem"] == {
        "val": PEER4,
        "timeout": 3600,
        "comment": MARK,
    }
    fresh.nft("fw", "-j", "-f", "-", stdin=outcome.request)
    assert not fresh.pings("peer", FW4, source=PEER4)


def test_what_overlaps_a_block_is_refused_with_what_is_there(fresh: FirewallLab, bench: NftBench) -> None:
    backend = bench.backend()
    run(bench, Target("ip", "203.0.113.7", "test"))
    wide = Target("ip", "203.0.113.0/25", "test")
    sentence = refused(bench, lambda: backend.contain(wide, backend.status(wide), Terms(60, MARK)), BackendError)
    assert "overlaps" in sentence
    assert "203.0.113.7" in sentence


def test_what_lies_in_a_blocked_network_counts_as_contained_and_is_not_taken_out_of_it(
    fresh: FirewallLab, bench: NftBench
) -> None:
    backend = bench.backend()
    wide, one = Target("ip", "203.0.113.0/25", "test"), Target("ip", "203.0.113.7", "test")
    backend.contain(wide, backend.status(wide), Terms(60, MARK))
    status = backend.status(one)
    assert status.contained
    assert not status.ours
    assert "203.0.113.0/25" in status.detail
    assert not backend.status(Target("ip", "203.0.113.200", "test")).contained
    backend.release(one, status)
    assert backend.status(wide).contained
    backend.release(wide, backend.status(wide))
    assert not backend.status(wide).contained


def test_changed_chains_are_seen_and_put_right(fresh: FirewallLab, bench: NftBench) -> None:
    run(bench, PEER)
    fresh.nft("fw", "flush", "chain", "inet", "propolis", "early")
    fresh.nft("fw", "delete", "chain", "inet", "propolis", "out")
    status = look(bench, PEER)
    assert not status.contained
    assert "chains were changed" in status.detail
    assert fresh.pings("peer", FW4, source=PEER4) is True
    assert run(bench, PEER).result == "contained"
    assert not fresh.pings("peer", FW4, source=PEER4)


def test_an_entry_that_drops_nothing_any_more_is_still_taken_back(fresh: FirewallLab, bench: NftBench) -> None:
    run(bench, PEER)
    fresh.nft("fw", "flush", "chain", "inet", "propolis", "early")
    assert undo(bench, PEER).result == "released"
    assert PEER4 not in fresh.nft("fw", "list", "set", "inet", "propolis", "b4")
    assert undo(bench, PEER).result == "already_released"


def test_the_table_that_ships_as_a_file_is_the_one_that_the_gate_makes(
    fresh: FirewallLab, bench: NftBench, root: Path
) -> None:
    fresh.nft("fw", "-f", str(root / "deploy" / "nftables" / "propolis.nft"))
    by_file = fresh.nft("fw", "list", "ruleset")
    run(bench, PEER)
    assert all("chain" not in line for line in bench.writes())
    undo(bench, PEER)
    assert fresh.nft("fw", "list", "ruleset") == by_file


def test_a_set_that_would_swallow_entries_is_refused(fresh: FirewallLab, bench: NftBench) -> None:
    fresh.nft("fw", "add", "table", "inet", "propolis")
    fresh.nft("fw", "add", "set", "inet", "propolis", "b4", "{ type ipv4_addr; flags interval,timeout; auto-merge; }")
    assert "delete the table" in refused(bench, lambda: run(bench, PEER), BackendError)
    assert bench.writes() == []


def test_other_tables_are_never_touched(fresh: FirewallLab, bench: NftBench) -> None:
    fresh.nft("fw", "add", "table", "inet", "filter")
    fresh.nft("fw", "add", "chain", "inet", "filter", "input", "{ type filter hook input priority 0; policy accept; }")
    fresh.nft("fw", "add", "rule", "inet", "filter", "input", "tcp", "dport", "9", "drop")
    before = fresh.nft("fw", "list", "table", "inet", "filter")
    run(bench, PEER)
    undo(bench, PEER)
    assert fresh.nft("fw", "list", "table", "inet", "filter") == before


def test_two_processes_at_once_make_one_base_and_lose_nothing(fresh: FirewallLab, bench: NftBench) -> None:
    addresses = [f"203.0.113.{last}" for last in range(1, 9)]
    started = [
        subprocess.Popen(
            [*fresh.prefix("fw"), sys.executable, "-I", str(GATE), "block"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in addresses
    ]
    for process, address in zip(started, addresses, strict=True):
        assert process.stdin is not None
        process.stdin.write(json.dumps({"address": address, "seconds": 60, "comment": MARK}))
        process.stdin.close()
    for process in started:
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["contained"] is True
        assert process.wait() == 0
        process.stdout.close()
    rules = fresh.nft("fw", "list", "chain", "inet", "propolis", "early")
    assert rules.count("drop") == 4
    assert all(look(bench, Target("ip", address, "test")).ours for address in addresses)


def test_the_same_address_twice_at_once_is_one_block(fresh: FirewallLab, bench: NftBench) -> None:
    command = [*fresh.prefix("fw"), sys.executable, "-I", str(GATE), "block"]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    request = json.dumps({"address": PEER4, "seconds": 60, "comment": MARK})
    for process in started:
        assert process.stdin is not None
        process.stdin.write(request)
        process.stdin.close()
    for process in started:
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["ours"] is True
        assert process.wait() == 0
        process.stdout.close()
    assert fresh.nft("fw", "list", "set", "inet", "propolis", "b4").count(PEER4) == 1


def test_an_ended_block_leaves_nothing_but_the_empty_table(fresh: FirewallLab, bench: NftBench) -> None:
    run(bench, PEER, 1)
    wait_until(lambda: not look(bench, PEER).contained, 10, "the kernel ends the block")
    assert PEER4 not in fresh.nft("fw", "list", "ruleset")


def test_without_the_right_to_change_rules_it_says_so(fresh: FirewallLab) -> None:
    done = fresh.run(
        "fw",
        *("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-I", str(GATE), "block"),
        stdin=json.dumps({"address": PEER4, "seconds": 60, "comment": MARK}),
    )
    assert done.returncode == 69
    assert "needs root" in json.loads(done.stdout)["error"]


def test_the_end_is_the_kernels_and_not_a_guess(bench: NftBench) -> None:
    run(bench, PEER, 90)
    until = look(bench, PEER).until
    assert until is not None
    assert 85 < until - SystemClock().now() <= 90
