"""FirewallBlock's backend `opnsense`: the suite, and what is OPNsense's own, against an OPNsense that remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import Contract, read
from failing_front import Front, Told
from fake_opnsense import ALIASES, KEY, SECRET, STATES, TABLES, FakeOpnsense
from front_bench import FrontBench
from suite import HOUR, MARK, BackendSuite, Failure, HttpFailures, look, refused, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import NotVerified
from propolis.errors import ConfigurationError, InputError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

opnsense = load_backend("FirewallBlock", "opnsense")
api = load_backend("FirewallBlock", "fw_api")


def aim(value: str) -> Target:
    return Target("ip", value, "test")


class OpnsenseBench(FrontBench):
    target = aim("203.0.113.7")
    other = aim("2001:db8::7")
    protected = tuple(aim(text) for text in ("10.0.0.5", "198.51.100.9", "0.0.0.0/0", "127.0.0.1", "203.0.112.0/20"))
    hostile = tuple(
        aim(text)
        for text in (
            '203.0.113.7","alias":"lan',
            "203.0.113.7/../../flush/propolis",
            "!203.0.113.7",
            "203.0.113.7\n203.0.113.8",
            "203.0.113.7 203.0.113.8",
            "010.1.1.8",
            "fe80::1%vtnet0",
            "localhost",
            "",
        )
    )
    secrets = (SECRET,)
    kill_states = False

    def __init__(self, product: FakeOpnsense, front: Front, clock: ManualClock):
        self.product, self.front, self.clock = product, front, clock
        self.policy = Policy.parse("firewall: {own: [198.51.100.0/24], max_prefix_v4: 24}")

    def backend(self, **changes: Any) -> Backend:
        at = api.Place(self.front.url, None, None, 0.3)
        settings = opnsense.Settings(at, KEY, SECRET, "propolis", self.kill_states)
        made: Backend = opnsense.OpnsenseBackend(settings._replace(**changes), self.clock)
        return made

    def in_force(self, target: Target) -> bool:
        return self.product.holds(target.value)

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.tables["propolis"].append(target.value)

    def release_by_other_hands(self, target: Target) -> None:
        self.product.tables["propolis"].remove(target.value)


@pytest.fixture
def bench() -> Iterator[OpnsenseBench]:
    product = FakeOpnsense()
    with Front(product.answer) as front:
        yield OpnsenseBench(product, front, ManualClock())


class TestOpnsense(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def test_an_answer_of_done_is_not_believed(bench: OpnsenseBench) -> None:
    bench.product.pfctl_works = False
    refused(bench, lambda: run(bench, bench.target), NotVerified)
    bench.contain_by_other_hands(bench.target)
    refused(bench, lambda: undo(bench, bench.target), NotVerified)


def test_an_alias_that_is_not_there_is_said_and_not_taken_for_empty(bench: OpnsenseBench) -> None:
    del bench.product.tables["propolis"]
    assert "opnsense_alias" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "opnsense_alias" in refused(bench, lambda: undo(bench, bench.target), BackendError)
    assert bench.writes() == []


@pytest.mark.parametrize("kind", ["host", "network", "urltable"])
def test_an_alias_of_another_type_is_refused_before_its_configuration_is_rewritten(
    bench: OpnsenseBench, kind: str
) -> None:
    bench.product.aliases["propolis"] = kind
    assert f"of type {kind}" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "External" in refused(bench, lambda: run(bench, bench.target, observing=("dry_run",)), BackendError)
    assert bench.writes() == []
    assert bench.product.saved == 0


def test_a_table_of_opnsenses_own_is_no_alias(bench: OpnsenseBench) -> None:
    backend = bench.backend(alias="bogons")
    seen = backend.status(bench.target)
    sentence = refused(bench, lambda: backend.contain(bench.target, seen, Terms(HOUR, MARK)), BackendError)
    assert "OPNsense's own" in sentence
    assert bench.writes() == []


def test_a_key_that_may_not_read_the_type_blocks_and_says_that_it_was_not_checked(bench: OpnsenseBench) -> None:
    bench.product.privileges = {TABLES}
    assert "not checked" in run(bench, bench.target, observing=("dry_run",)).request
    outcome = run(bench, bench.target)
    assert outcome.result == "contained"
    assert any("'Firewall: Aliases'" in line for line in outcome.remaining)


def test_a_key_that_may_not_use_tables_names_the_privilege(bench: OpnsenseBench) -> None:
    bench.product.privileges = {ALIASES}
    assert "PF Table IP addresses" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_a_wrong_secret_names_the_items(bench: OpnsenseBench) -> None:
    backend = bench.backend(secret="wr0ng-secret")
    bench.secrets = ("wr0ng-secret",)
    assert "opnsense_secret" in refused(bench, lambda: backend.status(bench.target), BackendError)


def test_a_type_of_another_shape_is_one_sentence(bench: OpnsenseBench) -> None:
    bench.product._getitem = lambda uuid: {"alias": {"type": "external"}}  # type: ignore[method-assign]
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_an_undo_does_not_ask_for_the_type(bench: OpnsenseBench) -> None:
    run(bench, bench.target)
    bench.product.aliases["propolis"] = "host"
    assert undo(bench, bench.target).result == "released"


@pytest.mark.parametrize("text", ["2001:DB8::7", "::ffff:203.0.113.7", "2001:db8:0::7", "203.0.113.7/32"])
def test_what_is_not_canonical_is_refused_by_the_backend_itself(bench: OpnsenseBench, text: str) -> None:
    backend = bench.backend()
    refused(bench, lambda: backend.status(aim(text)), InputError)
    assert bench.front.requests == []


def test_an_address_in_upper_case_is_sent_in_lower_case_and_found_however_it_is_listed(bench: OpnsenseBench) -> None:
    assert run(bench, aim("2001:DB8::A")).result == "contained"
    assert bench.product.tables["propolis"] == ["2001:db8::a"]
    bench.product.tables["propolis"] = ["2001:db8:0:0::a"]  # pfctl of another day
    assert undo(bench, aim("2001:db8::a")).result == "released"
    assert bench.product.tables["propolis"] == []


def test_a_network_holds_what_lies_in_it_and_is_not_taken_out_by_its_undo(bench: OpnsenseBench) -> None:
    assert run(bench, aim("203.0.113.0/24")).result == "contained"
    assert look(bench, bench.target).contained
    assert "203.0.113.0/24" in refused(bench, lambda: undo(bench, bench.target), NotVerified)
    assert bench.product.tables["propolis"] == ["203.0.113.0/24"]
    assert undo(bench, aim("203.0.113.0/24")).result == "released"


def test_an_undo_sends_delete_and_never_flush(bench: OpnsenseBench) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert [change.split()[1] for change in bench.writes()] == [
        "/api/firewall/alias_util/add/propolis",
        "/api/firewall/alias_util/delete/propolis",
    ]


def test_entries_that_are_no_addresses_are_passed_over(bench: OpnsenseBench) -> None:
    backend = bench.backend()
    bench.product._list = lambda alias: {"total": 2, "rows": [{"ip": "!203.0.113.7"}, {"ip": "x"}]}  # type: ignore[method-assign]
    assert not backend.status(bench.target).contained


def test_a_list_that_is_cut_short_is_no_answer_unless_the_address_is_in_it(bench: OpnsenseBench) -> None:
    bench.product.page = 2
    bench.product.tables["propolis"] = ["192.0.2.1", "203.0.113.7", "203.0.113.9"]
    assert look(bench, bench.target).contained
    sentence = refused(bench, lambda: look(bench, aim("203.0.113.9")), BackendError)
    assert "3 entries" in sentence


def test_a_refused_address_is_told_with_the_products_reason(bench: OpnsenseBench) -> None:
    for told, said in (
        ({"status": "not_an_address"}, "not taken for an address"),
        ({"status": "failed", "status_msg": "nonexistent alias propolis"}, "nonexistent alias propolis"),
        ({"status": "failed"}, "no reason given"),
    ):
        bench.product._add = lambda alias, address, told=told: told  # type: ignore[method-assign, misc]
        assert said in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_a_lost_answer_is_told_and_so_is_a_lost_undo(bench: OpnsenseBench) -> None:
    bench.lose_answer()
    assert "the answer was lost" in run(bench, bench.target).done
    bench.lose_answer()
    assert "the answer was lost" in undo(bench, bench.target).done
    assert len(bench.writes()) == 2


def test_a_change_whose_request_was_lost_is_not_taken_for_made(bench: OpnsenseBench) -> None:
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: run(bench, bench.target), BackendError)
    bench.mend()
    run(bench, bench.target)
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: undo(bench, bench.target), BackendError)


def test_the_address_by_which_the_firewall_is_reached_is_never_blocked(bench: OpnsenseBench) -> None:
    status = look(bench, aim("127.0.0.1"))
    assert status.subject.own
    assert not look(bench, bench.target).subject.own
    refused(
        bench, lambda: bench.guard(bench.target, look(bench, bench.target)._replace(subject=status.subject)), Refused
    )


class TestStates:
    """Ending the states that are open, which is off by default."""

    @pytest.fixture
    def bench(self) -> Iterator[OpnsenseBench]:
        product = FakeOpnsense()
        product.privileges.add(STATES)
        product.states = [("203.0.113.7", "192.0.2.1"), ("192.0.2.9", "203.0.113.7"), ("198.51.100.231", "192.0.2.1")]
        with Front(product.answer) as front:
            made = OpnsenseBench(product, front, ManualClock())
            made.kill_states = True
            yield made

    def test_are_ended_in_both_directions_after_the_address_is_listed(self, bench: OpnsenseBench) -> None:
        outcome = run(bench, bench.target)
        assert outcome.ended == ("2 states of 203.0.113.7.",)
        assert bench.product.states == [("198.51.100.231", "192.0.2.1")]
        assert [change.split("/")[3] for change in bench.writes()] == ["alias_util", "firewall"]

    def test_are_left_and_told_where_the_item_is_off(self, bench: OpnsenseBench) -> None:
        bench.kill_states = False
        outcome = run(bench, bench.target)
        assert len(bench.product.states) == 3
        assert any("live on" in line for line in outcome.remaining)
        assert not outcome.ended

    @pytest.mark.parametrize("text", ["203.0.113.2/31", "2001:db8::7"])
    def test_of_networks_and_ipv6_are_never_asked_for_as_the_filter_would_mean_others(
        self, bench: OpnsenseBench, text: str
    ) -> None:
        bench.product.states = [("203.0.113.231", "192.0.2.1"), ("192.0.2.1", "192.0.2.2")]
        outcome = run(bench, aim(text))
        assert outcome.result == "contained"
        assert len(bench.product.states) == 2
        assert any("one IPv4 address" in line for line in outcome.remaining)
        assert len(bench.writes()) == 1

    def test_that_could_not_be_ended_are_told_and_the_block_stands(self, bench: OpnsenseBench) -> None:
        bench.product.privileges.discard(STATES)
        outcome = run(bench, bench.target)
        assert outcome.result == "contained"
        assert any("NOT ended" in line and "Show States" in line for line in outcome.remaining)

    def test_that_opnsense_refuses_to_end_are_told(self, bench: OpnsenseBench) -> None:
        bench.product._kill_states = lambda filter: {"result": "failed"}  # type: ignore[method-assign]
        outcome = run(bench, bench.target)
        assert any("NOT ended" in line for line in outcome.remaining)
        assert not outcome.ended

    def test_are_shown_in_a_dry_run(self, bench: OpnsenseBench) -> None:
        request = run(bench, bench.target, observing=("dry_run",)).request
        assert 'kill_states {"filter": "203.0.113.7"}' in request
        assert "kill_states" not in run(bench, bench.other, observing=("dry_run",)).request
        assert len(bench.product.states) == 3


@pytest.mark.shared
def test_every_request_is_one_of_the_sources_own(bench: OpnsenseBench, shared: Path, fixtures: Path) -> None:
    bench.product.privileges.add(STATES)
    bench.kill_states = True
    run(bench, bench.target)
    run(bench, bench.target, 2 * HOUR, extend=True)
    undo(bench, bench.target)
    run(bench, bench.other)
    run(bench, aim("203.0.113.0/24"))
    bench.fail(Failure.SERVER_ERROR, writes_only=True)
    refused(bench, lambda: undo(bench, bench.other))
    contract = Contract(shared / "data/specs/opnsense.yaml", fixtures / "firewall_block/opnsense_more.yaml")
    asked = [read(request) for request in bench.front.requests]
    assert {request.path.split("/")[4] for request in asked} == {
        "aliases", "list", "add", "delete", "getAliasUUID", "getItem", "kill_states",
    }  # fmt: skip
    assert [fault for request in asked for fault in contract.faults(request)] == []


def made(**more: object) -> Backend:
    items = {"opnsense_url": "https://fw.example.org", "opnsense_key": KEY, "opnsense_secret": SECRET, **more}
    workbench = opnsense.Workbench(Items(items), ManualClock(), "http://proxy.example.org:3128")
    backend: Backend = opnsense.make(workbench)
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "OPNsense at https://fw.example.org, alias propolis"
    assert made(opnsense_alias="soc_block", opnsense_kill_states=True).where.endswith("alias soc_block")


def test_cortexs_proxy_is_used_only_where_the_item_says_so() -> None:
    for more, proxy in (({}, None), ({"x_use_proxy": True}, "http://proxy.example.org:3128")):
        items = Items({"x_url": "https://fw.example.org", **more})
        workbench = opnsense.Workbench(items, ManualClock(), "http://proxy.example.org:3128")
        assert opnsense.place(workbench, "x").proxy == proxy


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"opnsense_url": None}, "opnsense_url"),
        ({"opnsense_url": "http://fw.example.org"}, "https://"),
        ({"opnsense_key": None}, "opnsense_key"),
        ({"opnsense_secret": None}, "opnsense_secret"),
        ({"opnsense_alias": "a/../flush"}, "opnsense_alias"),
        ({"opnsense_kill_states": "yes"}, "opnsense_kill_states"),
        ({"opnsense_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
        ({"timeout_seconds": 0}, "between 1 and 120"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)


@pytest.mark.parametrize("page", [b"", b"<html>Sign in</html>", b'{"result": "ok"}'])
def test_a_change_that_was_made_and_answered_with_something_else_is_looked_up(
    bench: OpnsenseBench, page: bytes
) -> None:
    answer = bench.product.answer
    bench.front.product = lambda asked: answer(asked) if asked.method == "GET" else (answer(asked), Told(200, page))[1]
    assert "the answer was lost" in run(bench, bench.target).done
