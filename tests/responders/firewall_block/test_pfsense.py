"""FirewallBlock's backend `pfsense`: the suite, and what is pfSense's own, against a pfSense that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import Contract, read
from failing_front import Front, Told
from fake_pfsense import KEY, PATCH, READ, TABLE, FakePfsense
from front_bench import FrontBench
from suite import HOUR, MARK, BackendSuite, Failure, HttpFailures, look, plan, refused, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import NotVerified, contain, release
from propolis.errors import ConfigurationError, InputError
from propolis.guardrails import Policy
from propolis.worker.items import Items

pfsense = load_backend("FirewallBlock", "pfsense")
api = load_backend("FirewallBlock", "fw_api")


def aim(value: str) -> Target:
    return Target("ip", value, "test")


class PfsenseBench(FrontBench):
    target = aim("203.0.113.7")
    other = aim("2001:db8::7")
    protected = tuple(aim(text) for text in ("10.0.0.5", "198.51.100.9", "0.0.0.0/0", "127.0.0.1", "203.0.112.0/20"))
    hostile = tuple(
        aim(text)
        for text in (
            '203.0.113.7"],"type":"port","address":["1',
            "203.0.113.7&name=lan_hosts",
            "203.0.113.7||owned",
            "203.0.113.7 203.0.113.8",
            "lan_hosts",
            "evil.example",
            "010.1.1.8",
            "203.0.113.1-203.0.113.9",
            "",
        )
    )
    secrets = (KEY,)

    def __init__(self, product: FakePfsense, front: Front, clock: ManualClock):
        self.product, self.front, self.clock = product, front, clock
        self.policy = Policy.parse("firewall: {own: [198.51.100.0/24], max_prefix_v4: 24}")

    def backend(self, key: str = KEY, alias: str = "propolis") -> Backend:
        at = api.Place(self.front.url, None, None, 0.3)
        made: Backend = pfsense.PfsenseBackend(at, key, alias, self.clock)
        return made

    def in_force(self, target: Target) -> bool:
        return self.product.holds(target.value)

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.add(target.value)

    def release_by_other_hands(self, target: Target) -> None:
        self.product.drop(target.value)

    @property
    def addresses(self) -> list[str]:
        listed: list[str] = self.product.alias()["address"]
        return listed

    @property
    def details(self) -> list[str]:
        listed: list[str] = self.product.alias()["detail"]
        return listed

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(change.split(" ", 2)[2]) for change in self.writes()]


@pytest.fixture
def bench() -> Iterator[PfsenseBench]:
    product = FakePfsense()
    with Front(product.answer) as front:
        yield PfsenseBench(product, front, ManualClock())


class TestPfsense(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def test_the_last_entry_is_taken_out_although_remove_would_do_nothing(bench: PfsenseBench) -> None:
    run(bench, bench.target)
    assert undo(bench, bench.target).result == "released"
    assert (bench.addresses, bench.details) == ([], [])
    assert bench.sent()[-1]["address"] == []
    assert "remove" not in bench.sent()[-1]


def test_one_of_several_is_taken_out_alone_with_its_detail(bench: PfsenseBench) -> None:
    bench.product.add("192.0.2.9", "scanner")
    run(bench, bench.target)
    run(bench, bench.other)
    bench.product.before_patch.append(lambda: bench.product.add("192.0.2.10", "added meanwhile"))
    undo(bench, bench.target)
    assert bench.addresses == ["192.0.2.9/32", "2001:db8::7/128", "192.0.2.10/32"]
    assert bench.details == ["scanner", f"{MARK} ip=2001:db8::7", "added meanwhile"]


def test_an_address_added_meanwhile_is_not_overwritten_by_a_block(bench: PfsenseBench) -> None:
    bench.product.before_patch.append(lambda: bench.product.add("192.0.2.10", "added meanwhile"))
    assert run(bench, bench.target).result == "contained"
    assert bench.addresses == ["192.0.2.10/32", "203.0.113.7/32"]


def test_our_mark_proves_ours_although_the_details_slipped(bench: PfsenseBench) -> None:
    bench.product.add("192.0.2.9", "scanner")
    run(bench, bench.target)
    bench.details[:] = [bench.details[1], bench.details[0]]
    assert look(bench, bench.target).ours
    assert not look(bench, aim("192.0.2.9")).ours
    undo(bench, bench.target)
    assert (bench.addresses, bench.details) == (["192.0.2.9/32"], ["scanner"])


def test_details_that_are_missing_do_not_give_our_mark_to_another_address(bench: PfsenseBench) -> None:
    bench.product.add("192.0.2.9")
    bench.details.clear()
    run(bench, bench.target)
    assert bench.details[0].endswith("ip=203.0.113.7")
    assert not look(bench, aim("192.0.2.9")).ours
    undo(bench, bench.target)
    assert bench.addresses == ["192.0.2.9/32"]


def test_the_id_is_read_anew_for_every_change(bench: PfsenseBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    del bench.product.aliases[0]
    backend.contain(bench.target, seen, Terms(HOUR, MARK))
    backend.close()
    assert bench.sent()[0]["id"] == 0
    assert bench.in_force(bench.target)


def test_an_id_that_moves_between_look_and_change_is_refused_by_the_name_that_goes_along(bench: PfsenseBench) -> None:
    bench.product.aliases.append({"name": "vpn", "type": "network", "descr": "", "address": [], "detail": []})
    bench.product.before_patch.append(lambda: bench.product.aliases.remove(bench.product.alias("lan_hosts")))
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.product.alias("vpn")["address"] == []
    assert bench.addresses == []


def test_a_change_of_another_alias_is_shouted_about_where_the_product_let_it_pass(bench: PfsenseBench) -> None:
    bench.product.guards_names = False
    bench.product.aliases.append({"name": "vpn", "type": "network", "descr": "", "address": [], "detail": []})
    bench.product.before_patch.append(lambda: bench.product.aliases.remove(bench.product.alias("lan_hosts")))
    sentence = refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "changed the alias vpn in place of propolis" in sentence


def test_a_block_that_another_change_overwrote_is_noticed(bench: PfsenseBench) -> None:
    def overwrite() -> None:
        bench.product.alias().update(address=["192.0.2.9/32"], detail=["theirs"])
        bench.product.reload()

    bench.product.after_patch.append(overwrite)
    assert "overwrote" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert run(bench, bench.target).result == "contained"


def test_an_undo_that_another_change_brought_back_is_noticed(bench: PfsenseBench) -> None:
    run(bench, bench.target)
    kept = dict(bench.product.alias())

    def bring_back() -> None:
        bench.product.alias().update(address=["203.0.113.7/32"], detail=[f"{MARK} ip=203.0.113.7"])
        bench.product.reload()

    bench.product.after_patch.append(bring_back)
    assert "brought it back" in refused(bench, lambda: undo(bench, bench.target), BackendError)
    assert kept["name"] == "propolis"
    assert undo(bench, bench.target).result == "released"


def test_entries_of_others_that_vanish_at_the_same_moment_are_named(bench: PfsenseBench) -> None:
    bench.product.add("192.0.2.9")
    bench.product.before_patch.append(lambda: bench.product.drop("192.0.2.9"))
    outcome = run(bench, bench.target)
    assert any("192.0.2.9/32" in line for line in outcome.remaining)
    assert not any("Gone" in line for line in undo(bench, bench.target).remaining)


def test_an_address_that_somebody_else_lists_too_is_left_to_them(bench: PfsenseBench) -> None:
    run(bench, bench.target)
    bench.product.add("203.0.113.7", "ticket 12")
    assert look(bench, bench.target).ours
    refused(bench, lambda: undo(bench, bench.target), NotVerified)
    assert (bench.addresses, bench.details) == (["203.0.113.7/32"], ["ticket 12"])
    assert not look(bench, bench.target).ours


def test_an_address_that_we_listed_twice_is_taken_out_whole(bench: PfsenseBench) -> None:
    mark = f"{MARK} ip=203.0.113.7"
    for detail in (mark, "x", f"{mark} again"):
        bench.product.add("203.0.113.7" if detail != "x" else "192.0.2.9", detail)
    assert undo(bench, bench.target).result == "released"
    assert (bench.addresses, bench.details) == (["192.0.2.9/32"], ["x"])


def test_an_undo_keeps_the_details_of_others_beside_their_addresses(bench: PfsenseBench) -> None:
    bench.product.add("203.0.113.7", f"{MARK} ip=203.0.113.7")
    bench.product.add("192.0.2.9", "scanner")
    bench.product.add("203.0.113.7", "ticket 12")
    refused(bench, lambda: undo(bench, bench.target), NotVerified)
    assert (bench.addresses, bench.details) == (["192.0.2.9/32", "203.0.113.7/32"], ["scanner", "ticket 12"])


def test_details_that_have_no_address_are_not_sent_back_as_the_product_would_refuse_them(bench: PfsenseBench) -> None:
    bench.product.alias().update(address=["203.0.113.7/32"], detail=[f"{MARK} ip=203.0.113.7", "of nobody"])
    bench.product.reload()
    assert undo(bench, bench.target).result == "released"


def test_a_change_whose_request_was_lost_is_not_taken_for_made(bench: PfsenseBench) -> None:
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: run(bench, bench.target), BackendError)
    bench.mend()
    run(bench, bench.target)
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: undo(bench, bench.target), BackendError)


def test_somebody_elses_since_the_look_is_left_alone(bench: PfsenseBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "left as it is" in backend.contain(bench.target, seen, Terms(HOUR, MARK)).done
    refused(bench, lambda: backend.release(bench.target, seen), BackendError)
    backend.close()
    assert bench.writes() == []


def test_a_network_holds_what_lies_in_it_and_is_not_ours_to_take_out_for_it(bench: PfsenseBench) -> None:
    assert run(bench, aim("203.0.113.0/24")).result == "contained"
    status = look(bench, bench.target)
    assert (status.contained, status.ours) == (True, False)
    assert "203.0.113.0/24" in status.detail
    assert undo(bench, aim("203.0.113.0/24")).result == "released"


def test_an_alias_of_hosts_takes_addresses_without_a_mask_and_no_networks(bench: PfsenseBench) -> None:
    bench.product.alias()["type"] = "host"
    assert run(bench, bench.target).result == "contained"
    assert run(bench, bench.other).result == "contained"
    assert bench.addresses == ["203.0.113.7", "2001:db8::7"]
    assert "Network(s)" in refused(bench, lambda: run(bench, aim("203.0.113.0/24")), BackendError)
    assert undo(bench, bench.target).result == "released"


@pytest.mark.parametrize("kind", ["port", "urltable"])
def test_an_alias_of_another_type_is_refused(bench: PfsenseBench, kind: str) -> None:
    bench.product.alias()["type"] = kind
    assert f"of type {kind}" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_no_alias_and_several_are_refused(bench: PfsenseBench) -> None:
    bench.product.alias()["name"] = "other"
    assert "0 aliases called propolis" in refused(bench, lambda: run(bench, bench.target), BackendError)
    for one in bench.product.aliases:
        one["name"] = "propolis"
    assert "2 aliases called propolis" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_a_server_that_ignores_the_query_gets_no_other_alias_changed(bench: PfsenseBench) -> None:
    bench.product.ignores_queries = True
    assert run(bench, bench.target).result == "contained"
    assert bench.addresses == ["203.0.113.7/32"]
    bench.product.alias()["name"] = "propolis_old"
    assert "0 aliases" in refused(bench, lambda: run(bench, bench.target), BackendError)


class TestTheFilter:
    """What is configured and what pf has loaded are two things."""

    def test_that_does_not_reload_is_no_containment_and_is_reloaded_by_the_next_try(self, bench: PfsenseBench) -> None:
        bench.product.reload_works = False
        sentence = refused(bench, lambda: run(bench, bench.target), NotVerified)
        assert "pf's table does not" in sentence
        status = look(bench, bench.target)
        assert (status.contained, status.remains, status.ours) == (False, True, True)
        bench.product.reload_works = True
        assert run(bench, bench.target).result == "contained"
        assert len(bench.addresses) == 1

    def test_that_did_not_reload_can_be_undone(self, bench: PfsenseBench) -> None:
        bench.product.reload_works = False
        refused(bench, lambda: run(bench, bench.target), NotVerified)
        assert undo(bench, bench.target).result == "released"
        assert bench.addresses == []

    def test_that_does_not_reload_is_no_release_and_is_reloaded_by_the_next_try(self, bench: PfsenseBench) -> None:
        run(bench, bench.target)
        bench.product.reload_works = False
        assert "still holds it" in refused(bench, lambda: undo(bench, bench.target), BackendError)
        assert "still" in look(bench, bench.target).detail
        bench.product.reload_works = True
        assert undo(bench, bench.target).result == "released"
        assert not bench.in_force(bench.target)

    def test_that_did_not_reload_after_an_undo_does_not_count_as_contained(self, bench: PfsenseBench) -> None:
        run(bench, bench.target)
        bench.product.alias().update(address=[], detail=[])  # saved by an administrator, not applied
        assert run(bench, bench.target).result == "contained"
        assert bench.addresses == ["203.0.113.7/32"]

    def test_whose_rules_do_not_use_the_alias_blocks_nothing_and_is_said_to(self, bench: PfsenseBench) -> None:
        del bench.product.tables["propolis"]
        assert "no rule" in refused(bench, lambda: run(bench, bench.target), NotVerified)

    def test_holds_more_than_the_alias_shows_where_that_has_names(self, bench: PfsenseBench) -> None:
        bench.addresses.append("evil.example")
        bench.product.tables["propolis"] = ["203.0.113.7"]
        assert run(bench, bench.target).result == "already_contained"
        assert not look(bench, bench.target).ours

    def test_is_asked_to_reload_before_it_answers(self, bench: PfsenseBench) -> None:
        run(bench, bench.target)
        undo(bench, bench.target)
        assert [(sent["apply"], sent["async"]) for sent in bench.sent()] == [(True, False), (True, False)]

    def test_that_takes_longer_than_the_answer_is_waited_for(self, bench: PfsenseBench) -> None:
        for act in ("contain", "release"):
            bench.product.reload_works = False
            bench.lose_answer()
            backend = bench.backend()
            bench.clock.sleep = lambda seconds: bench.product.finish_reload()  # type: ignore[method-assign]
            if act == "contain":
                outcome = contain(backend, plan(bench.target, patience=60, without_end=True), bench.guard, bench.clock)
            else:
                outcome = release(backend, bench.target, bench.clock, patience=60)
            backend.close()
            assert outcome.result == ("contained" if act == "contain" else "released")
            assert bench.in_force(bench.target) == (act == "contain")
        assert len(bench.writes()) == 2

    def test_that_is_still_at_it_when_patience_ends_is_pending(self, bench: PfsenseBench) -> None:
        bench.product.reload_works = False
        bench.lose_answer()
        assert run(bench, bench.target, patience=10).result == "pending"
        bench.product.reload_works = True
        bench.product.reload()
        assert run(bench, bench.target).result == "already_contained"
        bench.product.reload_works = False
        bench.lose_answer()
        assert undo(bench, bench.target, patience=10).result == "pending"


@pytest.mark.parametrize(("lacking", "said"), [(READ, READ), (PATCH, PATCH), (TABLE, TABLE)])
def test_a_right_that_is_missing_is_named(bench: PfsenseBench, lacking: str, said: str) -> None:
    bench.product.privileges.discard(lacking)
    assert said in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.addresses == []


def test_a_wrong_key_names_the_item(bench: PfsenseBench) -> None:
    backend = bench.backend(key="wr0ng-key-of-nobody")
    bench.secrets = ("wr0ng-key-of-nobody",)
    assert "pfsense_key" in refused(bench, lambda: backend.status(bench.target), BackendError)


def test_a_package_without_the_table_is_one_sentence(bench: PfsenseBench) -> None:
    answer = bench.product.answer
    page = Told(404, b"<html>404 Not Found</html>")
    bench.front.product = lambda asked: page if "table" in asked.target else answer(asked)
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


@pytest.mark.parametrize("told", [{"address": "1"}, {"id": None}, {"detail": None}])
def test_an_alias_of_another_shape_is_one_sentence(bench: PfsenseBench, told: dict[str, Any]) -> None:
    bench.product._shown = lambda: [{"id": 1, **bench.product.alias(), **told}]  # type: ignore[method-assign]
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_a_dry_run_shows_the_very_body(bench: PfsenseBench) -> None:
    request = run(bench, bench.target, observing=("dry_run",)).request
    run(bench, bench.target)
    assert json.loads(request[request.index("{") :]) == bench.sent()[0]


def test_what_is_not_canonical_is_refused_by_the_backend_itself(bench: PfsenseBench) -> None:
    backend = bench.backend()
    refused(bench, lambda: backend.status(aim("::ffff:203.0.113.7")), InputError)
    assert bench.front.requests == []


@pytest.mark.shared
def test_every_request_is_one_of_the_packages_own(bench: PfsenseBench, shared: Path, fixtures: Path) -> None:
    run(bench, bench.target)
    backend = bench.backend()
    backend.contain(bench.target, backend.status(bench.target), Terms(HOUR, f"{MARK} again"))
    backend.close()
    run(bench, bench.other)
    undo(bench, bench.target)
    undo(bench, bench.other)
    bench.fail(Failure.SERVER_ERROR, writes_only=True)
    refused(bench, lambda: run(bench, bench.other))
    contract = Contract(shared / "data/specs/pfsense-restapi.yaml", fixtures / "firewall_block/pfsense_more.yaml")
    asked = [read(request) for request in bench.front.requests]
    assert {request.path.removeprefix("/api/v2/") for request in asked} == {
        "firewall/aliases", "firewall/alias", "diagnostics/table",
    }  # fmt: skip
    assert [fault for request in asked for fault in contract.faults(request)] == []


def made(**more: object) -> Backend:
    items = {"pfsense_url": "https://fw.example.org", "pfsense_key": KEY, **more}
    backend: Backend = pfsense.make(pfsense.Workbench(Items(items), ManualClock(), None))
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "pfSense at https://fw.example.org, alias propolis"
    assert made(pfsense_alias="soc_block").where.endswith("alias soc_block")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pfsense_url": None}, "pfsense_url"),
        ({"pfsense_url": "http://fw.example.org"}, "https://"),
        ({"pfsense_key": None}, "pfsense_key"),
        ({"pfsense_alias": "lan&x=1"}, "pfsense_alias"),
        ({"pfsense_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)
