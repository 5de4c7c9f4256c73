"""FirewallBlock's backend `mikrotik`: the suite, and what is RouterOS's own, against a router that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import Contract, read
from failing_front import Asked, Front, Told
from fake_mikrotik import PASSWORD, USER, FakeMikrotik
from front_bench import FrontBench
from suite import HOUR, MARK, OTHER_MARK, BackendSuite, Failure, HttpFailures, look, refused, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import NotVerified
from propolis.errors import ConfigurationError, InputError
from propolis.guardrails import Policy
from propolis.worker.items import Items

mikrotik = load_backend("FirewallBlock", "mikrotik")
api = load_backend("FirewallBlock", "fw_api")


def aim(value: str) -> Target:
    return Target("ip", value, "test")


class MikrotikBench(FrontBench):
    target = aim("203.0.113.7")
    other = aim("2001:db8::7")
    protected = tuple(aim(text) for text in ("10.0.0.5", "198.51.100.9", "0.0.0.0/0", "127.0.0.1", "203.0.112.0/20"))
    hostile = tuple(
        aim(text)
        for text in (
            '203.0.113.7","list":"allow',
            "203.0.113.7&list=allow",
            "evil.example",
            "203.0.113.1-203.0.113.9",
            "203.0.113.7/../*1",
            "*1",
            "010.1.1.8",
            "203.0.113.7\n203.0.113.8",
            "",
        )
    )
    secrets = (PASSWORD,)

    def __init__(self, product: FakeMikrotik, front: Front, clock: ManualClock):
        self.product, self.front, self.clock = product, front, clock
        self.policy = Policy.parse("firewall: {own: [198.51.100.0/24], max_prefix_v4: 24}")

    def backend(self, **changes: Any) -> Backend:
        at = api.Place(self.front.url, None, None, 0.3)
        settings = mikrotik.Settings(at, USER, PASSWORD, "propolis")._replace(**changes)
        made: Backend = mikrotik.MikrotikBackend(settings, self.clock)
        return made

    def in_force(self, target: Target) -> bool:
        return self.product.holds(target.value)

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.add(target.value, comment="ticket 12")

    def release_by_other_hands(self, target: Target) -> None:
        self.product.drop(target.value)

    def comments(self) -> list[str]:
        return [one["comment"] for one in self.product.entries]

    def sent(self, number: int = -1) -> Any:
        return json.loads(self.writes()[number].split(" ", 2)[2])


@pytest.fixture
def bench() -> Iterator[MikrotikBench]:
    clock = ManualClock()
    product = FakeMikrotik(clock)
    with Front(product.answer) as front:
        yield MikrotikBench(product, front, clock)


class TestMikrotik(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def test_an_entry_holds_mark_and_end_in_the_routers_own_words(bench: MikrotikBench) -> None:
    run(bench, bench.target, 93784)
    assert bench.sent() == {"list": "propolis", "address": "203.0.113.7", "timeout": "1d2h3m4s", "comment": MARK}


def test_ipv6_goes_to_its_own_list(bench: MikrotikBench) -> None:
    run(bench, bench.other)
    assert bench.writes()[0].startswith("PUT /rest/ipv6/firewall/address-list ")
    assert bench.product.entries[0]["address"] == "2001:db8::7/128"
    assert undo(bench, bench.other).result == "released"
    assert bench.writes()[1] == "DELETE /rest/ipv6/firewall/address-list/*3C"


def test_an_undo_deletes_by_id_with_a_plain_asterisk(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert bench.writes()[-1] == "DELETE /rest/ip/firewall/address-list/*3C"


@pytest.mark.parametrize("value", ["evil.example", "203.0.113.07", "::ffff:203.0.113.7", "2001:DB8::7"])
def test_a_name_or_another_notation_is_never_sent(bench: MikrotikBench, value: str) -> None:
    backend = bench.backend()
    refused(bench, lambda: backend.contain(aim(value), look(bench, bench.target), Terms(HOUR, MARK)), InputError)
    backend.close()
    assert bench.writes() == []


def test_an_entry_without_our_comment_is_never_removed(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    bench.product.entries[0]["comment"] = "kept on purpose"
    backend = bench.backend()
    seen = backend.status(bench.target)._replace(ours=True)
    assert "no entry of ours" in backend.release(bench.target, seen).done
    backend.close()
    assert bench.in_force(bench.target)


def test_an_entry_of_another_list_or_family_is_not_looked_at(bench: MikrotikBench) -> None:
    bench.product.ignores_filters = True
    bench.product.add("203.0.113.7", comment=MARK, list="allow")
    assert not look(bench, bench.target).contained
    assert run(bench, bench.target).result == "contained"
    undo(bench, bench.target)
    assert [one["list"] for one in bench.product.entries] == ["allow"]


def test_a_network_holds_what_lies_in_it_and_is_not_ours_to_remove_for_it(bench: MikrotikBench) -> None:
    assert run(bench, aim("203.0.113.0/24")).result == "contained"
    status = look(bench, bench.target)
    assert (status.contained, status.ours) == (True, False)
    assert "203.0.113.0/24" in status.detail
    assert undo(bench, aim("203.0.113.0/24")).result == "released"


def test_an_undo_leaves_the_network_around_it_and_says_so(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    bench.product.add("203.0.113.0/24", comment="ticket 12")
    assert "203.0.113.0/24" in refused(bench, lambda: undo(bench, bench.target), NotVerified)
    assert bench.comments() == ["ticket 12"]


def test_an_entry_of_somebody_else_that_never_ends_shows_no_end(bench: MikrotikBench) -> None:
    bench.contain_by_other_hands(bench.target)
    status = look(bench, bench.target)
    assert (status.until, status.mark) == (None, "ticket 12")
    assert "without an end" in status.detail


def test_an_entry_that_somebody_added_since_the_look_is_left_alone(bench: MikrotikBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "left as it is" in backend.contain(bench.target, seen, Terms(HOUR, MARK)).done
    backend.close()
    assert bench.writes() == []


def test_an_entry_that_the_router_has_already_is_told_with_its_reason(bench: MikrotikBench) -> None:
    answer = bench.product.answer

    def race(asked: Asked) -> Told:
        if asked.method == "PUT":
            bench.contain_by_other_hands(bench.target)
        return answer(asked)

    bench.front.product = race
    assert "already have such entry" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.comments() == ["ticket 12"]


def test_a_disabled_entry_of_ours_blocks_nothing_and_is_enabled_by_a_new_block(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    bench.product.entries[0]["disabled"] = True
    status = look(bench, bench.target)
    assert (status.contained, status.ours, status.remains) == (False, True, True)
    assert run(bench, bench.target, mark=OTHER_MARK).result == "contained"
    assert bench.comments() == [OTHER_MARK]
    bench.product.entries[0]["disabled"] = True
    assert undo(bench, bench.target).result == "released"
    assert bench.product.entries == []


def test_a_disabled_entry_of_somebody_else_is_named_and_left(bench: MikrotikBench) -> None:
    bench.product.add("203.0.113.7", comment="ticket 12", disabled=True)
    assert "disabled" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_an_extension_changes_the_entry_and_makes_no_second_one(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    run(bench, bench.target, 3 * HOUR, extend=True)
    assert [one["id"] for one in bench.product.entries] == ["*3C"]
    assert bench.writes()[-1].startswith("PATCH /rest/ip/firewall/address-list/*3C ")


def test_an_extension_that_the_router_did_not_make_is_not_reported(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    bench.product.keeps_timeouts = True
    sentence = refused(bench, lambda: run(bench, bench.target, 3 * HOUR, extend=True), BackendError)
    assert "undo the block and make it anew" in sentence
    assert bench.in_force(bench.target)


def test_a_lost_extension_is_looked_up(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    bench.lose_answer()
    outcome = run(bench, bench.target, 3 * HOUR, extend=True)
    assert (outcome.result, "the answer was lost" in outcome.done) == ("extended", True)
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: run(bench, bench.target, 9 * HOUR, extend=True), BackendError)


def test_a_lost_answer_is_told_and_so_is_a_lost_undo(bench: MikrotikBench) -> None:
    bench.lose_answer()
    assert "the answer was lost" in run(bench, bench.target).done
    bench.lose_answer()
    assert "the answer was lost" in undo(bench, bench.target).done
    assert len(bench.writes()) == 2


def test_a_change_whose_request_was_lost_is_not_taken_for_made(bench: MikrotikBench) -> None:
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: run(bench, bench.target), BackendError)
    bench.mend()
    run(bench, bench.target)
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: undo(bench, bench.target), BackendError)


def test_an_entry_that_ends_between_look_and_undo_is_gone_and_fine(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    answer = bench.product.answer

    def ends(asked: Asked) -> Told:
        if asked.method == "DELETE":
            bench.product.drop("203.0.113.7")
        return answer(asked)

    bench.front.product = ends
    assert undo(bench, bench.target).result == "released"


def test_a_user_who_may_not_write_is_one_sentence_each(bench: MikrotikBench) -> None:
    bench.product.may_write = False
    assert "not enough permissions" in refused(bench, lambda: run(bench, bench.target), BackendError)
    bench.product.add("203.0.113.7", comment=MARK, seconds=HOUR)
    assert "missing or invalid" in refused(bench, lambda: undo(bench, bench.target), BackendError)


def test_a_wrong_password_names_the_items(bench: MikrotikBench) -> None:
    backend = bench.backend(password="wr0ng-password")
    bench.secrets = ("wr0ng-password",)
    sentence = refused(bench, lambda: backend.status(bench.target), BackendError)
    assert "mikrotik_password" in sentence
    assert "rest-api" in sentence


@pytest.mark.parametrize(
    "row",
    [5, {"address": "203.0.113.7"}, {".id": "1", "address": "203.0.113.7"}, {".id": "*1", "address": 5},
     {".id": "*1/../2", "address": "203.0.113.7"}],
)  # fmt: skip
def test_an_entry_of_another_shape_is_one_sentence(bench: MikrotikBench, row: Any) -> None:
    body = json.dumps([{**row, "list": "propolis"} if isinstance(row, dict) else row]).encode()
    bench.front.product = lambda asked: Told(200, body)
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1d", 86400), ("23h59m58s", 86398), ("1w2d3h4m5s", 788645), ("59s", 59), ("1s500ms", 1), ("1d02:03:04", 93784),
     ("00:10:00", 600), ("", None), ("soon", None), ("-1s", None)],
)  # fmt: skip
def test_spans_as_the_router_writes_them(text: str, seconds: float | None) -> None:
    assert mikrotik.router_seconds(text) == seconds


@pytest.mark.parametrize("seconds", [0, 1, 59, 60, 3600, 86399, 86400, 604800, 93784])
def test_a_span_is_read_as_it_is_written(seconds: int) -> None:
    assert mikrotik.router_seconds(mikrotik.router_time(seconds)) == seconds


def test_a_dry_run_shows_the_very_request(bench: MikrotikBench) -> None:
    request = run(bench, bench.other, observing=("dry_run",)).request
    run(bench, bench.other)
    assert request.startswith(f"PUT {bench.front.url}/rest/ipv6/firewall/address-list")
    assert json.loads(request[request.index("{") : request.index("}") + 1]) == bench.sent()


def test_a_dry_run_of_an_extension_shows_the_change(bench: MikrotikBench) -> None:
    run(bench, bench.target)
    request = run(bench, bench.target, 3 * HOUR, extend=True, observing=("dry_run",)).request
    assert request.startswith(f"PATCH {bench.front.url}/rest/ip/firewall/address-list/*3C ")


def test_every_request_is_one_of_the_manuals(bench: MikrotikBench, fixtures: Path) -> None:
    run(bench, bench.target)
    run(bench, bench.target, 2 * HOUR, extend=True)
    run(bench, bench.other, 604800)
    run(bench, aim("203.0.113.0/24"))
    undo(bench, aim("203.0.113.0/24"))
    undo(bench, bench.other)
    bench.fail(Failure.SERVER_ERROR, writes_only=True)
    refused(bench, lambda: run(bench, bench.other))
    contract = Contract(fixtures / "firewall_block/mikrotik.yaml")
    asked = [read(request) for request in bench.front.requests]
    assert {request.method for request in asked} == {"GET", "PUT", "PATCH", "DELETE"}
    assert [fault for request in asked for fault in contract.faults(request)] == []


def made(**more: object) -> Backend:
    items = {"mikrotik_url": "https://router.example.org", "mikrotik_user": USER, "mikrotik_password": PASSWORD, **more}
    backend: Backend = mikrotik.make(mikrotik.Workbench(Items(items), ManualClock(), None))
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "MikroTik at https://router.example.org, address list propolis"
    assert made(mikrotik_list="soc-block").where.endswith("address list soc-block")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mikrotik_url": None}, "mikrotik_url"),
        ({"mikrotik_url": "http://router.example.org"}, "https://"),
        ({"mikrotik_user": None}, "mikrotik_user"),
        ({"mikrotik_password": None}, "mikrotik_password"),
        ({"mikrotik_list": "a b"}, "mikrotik_list"),
        ({"mikrotik_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)
