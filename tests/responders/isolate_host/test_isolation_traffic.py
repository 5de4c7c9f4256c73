"""What an isolation does to real traffic, who still gets in, and what happens when nobody does."""

from __future__ import annotations

import json

import pytest
from gatefile import load_gate
from isolation_lab import (
    ATTACKER4,
    ATTACKER6,
    HOST4,
    HOST6,
    HOST_MGMT,
    MGMT,
    PORT,
    IsolationBench,
    IsolationLab,
    backends,
)
from netns import wait_until
from suite import MARK, OTHER_MARK, look, plan, refused, run, undo
from workers import load_backend

from propolis.clock import SystemClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import contain
from propolis.containment.gate import GateClient, SshPlace, ssh_command

pytestmark = [pytest.mark.root, pytest.mark.daemon]

WEB = Target("host", "web-01", "test")


@pytest.fixture
def bench(fresh: IsolationLab) -> IsolationBench:
    return IsolationBench(fresh)


def test_the_attackers_session_dies_and_management_stays(fresh: IsolationLab, bench: IsolationBench) -> None:
    fresh.echo_server("evil", ATTACKER4, 4444)
    fresh.echo_server("web", HOST4, 8080)
    command_and_control = fresh.session("web", ATTACKER4, 4444)
    visitor = fresh.session("evil", HOST4, 8080)
    assert command_and_control.alive()
    assert visitor.alive()
    outcome = run(bench, WEB)
    assert outcome.result == "contained"
    assert outcome.ended
    assert not command_and_control.alive()
    assert not visitor.alive()
    assert look(bench, WEB).contained
    assert not fresh.pings("mgmt", HOST_MGMT)


def test_ipv6_is_cut_as_well(fresh: IsolationLab, bench: IsolationBench) -> None:
    wait_until(lambda: fresh.pings("evil", HOST6), 5, "IPv6 is up")
    run(bench, WEB)
    assert not fresh.pings("evil", HOST6)
    assert not fresh.pings("web", ATTACKER6)
    undo(bench, WEB)
    assert fresh.pings("evil", HOST6)


def test_loopback_goes_on(fresh: IsolationLab, bench: IsolationBench) -> None:
    run(bench, WEB)
    assert fresh.pings("web", "127.0.0.1")
    assert fresh.pings("web", "::1")


def test_what_is_routed_through_the_host_stops(fresh: IsolationLab, bench: IsolationBench) -> None:
    fresh.run("web", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    fresh.ip("evil", "route", "replace", "192.0.2.0/24", "via", HOST4)
    fresh.ip("mgmt", "route", "replace", "203.0.113.0/24", "via", HOST_MGMT)
    assert fresh.pings("evil", MGMT)
    run(bench, WEB)
    assert not fresh.pings("evil", MGMT)


def test_management_keeps_its_ssh_and_nothing_else(fresh: IsolationLab, bench: IsolationBench) -> None:
    fresh.echo_server("web", HOST_MGMT, 9000)
    other = fresh.session("mgmt", HOST_MGMT, 9000)
    assert other.alive()
    run(bench, WEB)
    assert not other.alive()
    assert undo(bench, WEB).result == "released"
    wait_until(other.alive, 10, "the connection goes on after the release")


def test_a_service_that_the_operator_keeps_goes_on(fresh: IsolationLab, bench: IsolationBench) -> None:
    fresh.configure(keep=[{"address": MGMT, "protocol": "tcp", "port": 1514}])
    fresh.echo_server("mgmt", MGMT, 1514)
    fresh.echo_server("mgmt", MGMT, 1515)
    agent, other = fresh.session("web", MGMT, 1514), fresh.session("web", MGMT, 1515)
    run(bench, WEB)
    assert agent.alive()
    assert not other.alive()


def test_the_kernel_opens_the_host_by_itself(fresh: IsolationLab, bench: IsolationBench) -> None:
    run(bench, WEB, 10)
    assert bench.in_force(WEB)
    wait_until(lambda: fresh.pings("evil", HOST4), 20, "the kernel ends the isolation")
    assert not look(bench, WEB).contained
    assert run(bench, WEB, 60).result == "contained"


def test_the_first_step_is_a_trial_and_the_second_makes_it_last(fresh: IsolationLab, bench: IsolationBench) -> None:
    seen: list[tuple[str, int]] = []

    class Watching(GateClient):
        def call(self, verb: str, request: dict[str, object]) -> dict[str, object]:
            answer = super().call(verb, request)
            seen.append((verb, int(str(answer.get("expires") or 0))))
            return answer

    backend = bench.backend()
    plain = backend._connect  # type: ignore[attr-defined]
    backend._connect = lambda host: _as(Watching, plain(host))  # type: ignore[attr-defined]
    contain(backend, plan(WEB, 3600), bench.guard, bench.clock)
    writes = [(verb, expires) for verb, expires in seen if verb in ("isolate", "confirm")]
    assert [verb for verb, _ in writes] == ["isolate", "confirm"]
    assert 100 < writes[0][1] <= 120
    assert writes[1][1] > 3500


def _as(cls: type[GateClient], client: GateClient) -> GateClient:
    return cls(client.where, client._command)


def test_an_extension_needs_no_new_trial(fresh: IsolationLab, bench: IsolationBench) -> None:
    run(bench, WEB, 600)
    assert run(bench, WEB, 7200, extend=True, mark=OTHER_MARK).result == "extended"
    documents = [json.loads(line)["nftables"] for line in bench.writes()]
    assert [next(iter(document[0])) for document in documents] == ["add", "flush", "flush"]


def hasty_backend(lab: IsolationLab, *, second_from: str) -> Backend:
    """A backend on the gate with the short trial; its confirmation comes from another address than its first call."""
    lab.ip("mgmt", "addr", "replace", f"{second_from}/24", "dev", "e1b")
    place = SshPlace(HOST_MGMT, PORT + 1, "root", str(lab.hasty.key), str(lab.hasty.known_hosts))

    def command(verb: str) -> list[str]:
        plain = ssh_command(place, verb)
        bound = [plain[0], "-b", second_from, *plain[1:]] if verb == "confirm" else plain
        return [*lab.prefix("mgmt"), *bound]

    inventory = load_backend("IsolateHost", "inventory").parse_inventory([f"web-01=root@{HOST_MGMT}:{PORT + 1}"])
    made: Backend = backends().NftablesSshBackend(
        inventory, lambda host: GateClient("root@web", command), SystemClock(), "other"
    )
    return made


def test_where_management_does_not_get_back_in_the_host_opens_by_itself(
    fresh: IsolationLab, bench: IsolationBench
) -> None:
    fresh.configure(management=[])
    backend = hasty_backend(fresh, second_from="192.0.2.3")
    with pytest.raises(BackendError, match="opens by itself"):
        contain(backend, plan(WEB, 3600), bench.guard, bench.clock)
    wait_until(lambda: fresh.pings("evil", HOST4), 20, "the dead-man's switch opens the host")
    assert not backend.status(WEB).contained


def test_the_same_host_stays_isolated_where_management_does_get_in(fresh: IsolationLab, bench: IsolationBench) -> None:
    fresh.configure(management=["192.0.2.2/31"])
    backend = hasty_backend(fresh, second_from="192.0.2.3")
    assert contain(backend, plan(WEB, 3600), bench.guard, bench.clock).result == "contained"
    assert not fresh.pings("evil", HOST4)


def test_a_release_touches_only_our_table(fresh: IsolationLab, bench: IsolationBench) -> None:
    fresh.nft("web", "add", "table", "inet", "filter")
    fresh.nft("web", "add", "chain", "inet", "filter", "input", "{ type filter hook input priority 0; policy accept; }")
    fresh.nft("web", "add", "rule", "inet", "filter", "input", "tcp", "dport", "9", "drop")
    before = fresh.nft("web", "list", "ruleset")
    run(bench, WEB)
    undo(bench, WEB)
    assert fresh.nft("web", "list", "ruleset") == before


def test_the_hosts_own_firewall_keeps_its_word_about_management(fresh: IsolationLab, bench: IsolationBench) -> None:
    """Our accept does not open what the host's own rules close: it only ends our own chain."""
    fresh.nft("web", "add", "table", "inet", "filter")
    fresh.nft("web", "add", "chain", "inet", "filter", "input", "{ type filter hook input priority 0; policy accept; }")
    fresh.nft("web", "add", "rule", "inet", "filter", "input", "ip", "saddr", "192.0.2.3", "drop")
    run(bench, WEB)
    fresh.ip("mgmt", "addr", "replace", "192.0.2.3/24", "dev", "e1b")
    done = fresh.run("mgmt", "ssh", "-o", "ConnectTimeout=1", "-b", "192.0.2.3", "-p", str(PORT), HOST_MGMT)
    assert done.returncode == 255


def test_the_machine_we_run_on_is_never_isolated(fresh: IsolationLab, bench: IsolationBench) -> None:
    bench.boot_id = (fresh.folder / "boot_id").read_text().strip()
    assert look(bench, WEB).subject.own
    sentence = refused(bench, lambda: run(bench, WEB))
    assert "machine this integration works on" in sentence
    assert bench.writes() == []


def test_what_the_host_says_of_itself_is_held_against_the_policy(fresh: IsolationLab, bench: IsolationBench) -> None:
    subject = look(bench, WEB).subject
    assert {"web-01", "web-01.example.org", "www"} <= set(subject.names)
    assert {HOST_MGMT, HOST4, HOST6} <= set(subject.addresses)
    assert not [address for address in subject.addresses if address.startswith("fe80")]


def test_a_host_is_found_by_its_address_or_alias_and_never_by_half_a_name(bench: IsolationBench) -> None:
    for name in (HOST_MGMT, "WEB-01", "web-01.example.org.", "Web-01.Example.Org"):
        assert look(bench, Target("host", name, "test")).subject.name == "web-01"
    for name in ("web", "web-01.example", "example.org", "192.0.2"):
        refused(bench, lambda name=name: look(bench, Target("host", name, "test")))  # type: ignore[misc]


def test_nobody_to_keep_is_refused() -> None:
    gate = load_gate()
    with pytest.raises(gate.GateError, match="Nobody could reach"):
        gate._isolation_document(
            gate.Gate("nft", gate.Limits(), gate.Peer(), ""), {"seconds": 60, "comment": "propolis"}
        )


def test_a_confirmation_of_nothing_is_refused(fresh: IsolationLab, bench: IsolationBench) -> None:
    client = fresh.connect(
        load_backend("IsolateHost", "inventory").parse_inventory([f"web-01=root@{HOST_MGMT}:{PORT}"])[0]
    )
    with pytest.raises(BackendError, match="not isolated any more"):
        client.call("confirm", {"seconds": 60, "comment": MARK})


def test_half_an_isolation_is_none(fresh: IsolationLab, bench: IsolationBench) -> None:
    run(bench, WEB)
    fresh.nft("web", "delete", "element", "inet", "propolis_isolation", "active", "{ ipv6 }")
    assert not look(bench, WEB).contained
    backend = bench.backend()
    backend.contain(WEB, backend.status(WEB), Terms(60, MARK))
    assert backend.status(WEB).contained


def test_what_is_left_of_an_isolation_is_taken_back(fresh: IsolationLab, bench: IsolationBench) -> None:
    run(bench, WEB)
    fresh.nft("web", "flush", "chain", "inet", "propolis_isolation", "routed")
    assert bench.in_force(WEB)
    assert "only partly" in look(bench, WEB).detail
    assert undo(bench, WEB).result == "released"
    assert fresh.pings("evil", HOST4)
    assert undo(bench, WEB).result == "already_released"


def test_flushed_rules_are_seen(fresh: IsolationLab, bench: IsolationBench) -> None:
    run(bench, WEB)
    fresh.nft("web", "flush", "chain", "inet", "propolis_isolation", "outbound")
    assert not look(bench, WEB).contained
    assert run(bench, WEB).result == "contained"
    assert bench.in_force(WEB)
