"""FirewallBlock's backend `cloudflare`: the suite, and what is Cloudflare's own, against rules that are remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import Contract, read
from failing_front import Front
from fake_cloudflare import TOKEN, ZONE, FakeCloudflare
from front_bench import FrontBench
from suite import HOUR, MARK, OTHER_MARK, BackendSuite, HttpFailures, look, refused, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import NotOurs, NotVerified
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError, InputError
from propolis.guardrails import Policy
from propolis.worker.items import Items

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "firewall_block"
cloudflare = load_backend("FirewallBlock", "cloudflare")
rules = load_backend("FirewallBlock", "cloud_rules")
api = load_backend("FirewallBlock", "fw_api")


def aim(value: str) -> Target:
    return Target("ip", value, "test")


class CloudflareBench(FrontBench):
    target = aim("203.0.113.7")
    other = aim("2001:db8::7")
    protected = tuple(aim(text) for text in ("10.0.0.5", "198.51.100.9", "0.0.0.0/0", "127.0.0.1", "203.0.112.0/15"))
    hostile = tuple(
        aim(text)
        for text in (
            '203.0.113.7","mode":"whitelist',
            "203.0.113.7&mode=whitelist",
            "203.0.113.7/../../dns_records",
            "AS13335",
            "DE",
            "203.0.113.7,203.0.113.8",
            "203.0.113.0/25",
            "2001:db8::/56",
            "010.1.1.8",
            "",
        )
    )
    secrets = (TOKEN,)
    scope = "zones"

    def __init__(self, product: FakeCloudflare, front: Front):
        self.product, self.front, self.clock = product, front, ManualClock()
        self.policy = Policy.parse("firewall: {own: [198.51.100.0/24], max_prefix_v4: 16, max_prefix_v6: 32}")

    def backend(self, **changes: Any) -> Backend:
        at = api.Place(f"{self.front.url}/client/v4", None, None, 0.3)
        settings = rules.Settings(at, TOKEN, self.scope, ZONE)
        made: Backend = cloudflare.CloudflareBackend(settings._replace(**changes), self.clock)
        return made

    def in_force(self, target: Target) -> bool:
        return self.product.blocks(target.value)

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.add(target.value, notes="Attack 26/02")

    def release_by_other_hands(self, target: Target) -> None:
        self.product.drop(target.value)


@pytest.fixture
def bench() -> Iterator[CloudflareBench]:
    product = FakeCloudflare()
    with Front(product.answer) as front:
        yield CloudflareBench(product, front)


class TestCloudflare(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("203.0.113.7", "ip"),
        ("2001:db8::7", "ip6"),
        ("203.0.113.0/24", "ip_range"),
        ("192.0.0.0/16", "ip_range"),
        ("2001:db8::/32", "ip_range"),
        ("2001:db8::/48", "ip_range"),
        ("2001:db8::/64", "ip_range"),
    ],
)
def test_each_kind_of_target_has_cloudflares_own_word(bench: CloudflareBench, value: str, target: str) -> None:
    backend = bench.backend()
    backend.contain(aim(value), backend.status(aim(value)), Terms(HOUR, MARK))
    assert backend.status(aim(value)).ours
    (made,) = bench.product.rules
    assert made["configuration"] == {"target": target, "value": value}
    assert (made["mode"], made["notes"]) == ("block", MARK)
    backend.release(aim(value), backend.status(aim(value)))
    backend.close()
    assert bench.product.rules == []


@pytest.mark.parametrize("value", ["203.0.113.0/25", "203.0.0.0/17", "203.0.0.0/15", "2001:db8::/56", "2001:db8::/127"])
def test_a_size_that_no_rule_takes_is_refused_with_those_that_are(bench: CloudflareBench, value: str) -> None:
    backend = bench.backend()
    sentence = refused(bench, lambda: backend.status(aim(value)), BackendError)
    assert ("/16, /24" in sentence) or ("/32, /48, /64" in sentence)
    assert not bench.front.requests


def test_an_error_with_status_200_is_an_error(bench: CloudflareBench) -> None:
    bench.product.refusal = (200, 10013, "some new reason")
    assert "some new reason (10013)" in refused(bench, lambda: run(bench, bench.target), BackendError)
    bench.product.refusal = None
    run(bench, bench.target)
    bench.product.refusal = (200, 10013, "some new reason")
    assert "some new reason" in refused(bench, lambda: undo(bench, bench.target), BackendError)


def test_a_list_with_success_false_is_not_taken_for_empty(bench: CloudflareBench) -> None:
    backend = bench.backend(id="0" * 32)
    assert "cloudflare_zone_id" in refused(bench, lambda: backend.status(bench.target), BackendError)


def test_success_that_did_nothing_is_not_believed(bench: CloudflareBench) -> None:
    bench.product.deaf = True
    refused(bench, lambda: run(bench, bench.target), NotVerified)


@pytest.mark.parametrize("mode", ["whitelist", "challenge", "js_challenge", "managed_challenge"])
def test_another_rule_for_the_address_that_does_not_block_is_named_and_left(bench: CloudflareBench, mode: str) -> None:
    rule = bench.product.add("203.0.113.7", mode=mode, notes="partner")
    status = look(bench, bench.target)
    assert (status.contained, status.ours) == (False, False)
    for observing in ((), ("dry run",)):
        sentence = refused(bench, lambda seen=observing: run(bench, bench.target, observing=seen), BackendError)  # type: ignore[misc]
        assert rule in sentence
        assert mode in sentence
    assert bench.writes() == []


def test_our_rule_whose_action_was_changed_blocks_nothing_and_can_be_undone(bench: CloudflareBench) -> None:
    run(bench, bench.target)
    bench.product.rules[0]["mode"] = "challenge"
    status = look(bench, bench.target)
    assert (status.contained, status.ours, status.remains) == (False, True, True)
    assert undo(bench, bench.target).result == "released"
    assert bench.product.rules == []


def test_our_rule_whose_action_was_changed_is_made_to_block_again(bench: CloudflareBench) -> None:
    run(bench, bench.target)
    bench.product.rules[0]["mode"] = "challenge"
    assert "PATCH" in run(bench, bench.target, observing=("dry run",)).request
    assert run(bench, bench.target, mark=OTHER_MARK).result == "contained"
    (rule,) = bench.product.rules
    assert (rule["mode"], rule["notes"]) == ("block", OTHER_MARK)


@pytest.mark.parametrize(("inner", "outer"), [
    ("203.0.113.7", "203.0.113.0/24"), ("203.0.113.7", "203.0.0.0/16"), ("203.0.113.0/24", "203.0.0.0/16"),
    ("2001:db8::7", "2001:db8::/64"), ("2001:db8::7", "2001:db8::/32"), ("2001:db8::/64", "2001:db8::/48"),
])  # fmt: skip
def test_a_range_around_it_contains_it_and_is_not_ours(bench: CloudflareBench, inner: str, outer: str) -> None:
    bench.product.add(outer, notes=MARK)
    status = look(bench, aim(inner))
    assert (status.contained, status.ours) == (True, False)
    assert outer in status.detail
    refused(bench, lambda: undo(bench, aim(inner)), NotOurs)
    assert bench.writes() == []


def test_an_undo_leaves_the_range_around_it_and_says_so(bench: CloudflareBench) -> None:
    run(bench, bench.target)
    bench.product.add("203.0.113.0/24", notes="by hand")
    assert "203.0.113.0/24" in refused(bench, lambda: undo(bench, bench.target), NotVerified)
    assert len(bench.product.rules) == 1


def test_rules_about_countries_and_network_operators_are_passed_over(bench: CloudflareBench) -> None:
    for target, value in (("country", "DE"), ("asn", "AS13335")):
        bench.product.add(value, target=target)
    assert not look(bench, bench.other).contained


def test_what_the_account_blocks_counts_and_is_not_the_zones_to_undo(bench: CloudflareBench) -> None:
    bench.product.add("203.0.113.7", notes=MARK, scope="organization")
    status = look(bench, bench.target)
    assert (status.contained, status.ours) == (True, False)
    refused(bench, lambda: undo(bench, bench.target), NotOurs)


def test_another_action_of_the_account_does_not_keep_the_zone_from_blocking(bench: CloudflareBench) -> None:
    bench.product.add("203.0.113.7", mode="challenge", scope="organization")
    assert run(bench, bench.target).result == "contained"


def test_every_page_is_read(bench: CloudflareBench) -> None:
    for number in range(250):
        bench.product.add(f"2001:db8:1::{number:x}")
    bench.product.add("2001:0db8:0000:0000:0000:0000:0000:0007", notes=MARK)
    assert look(bench, bench.other).ours
    assert [asked.target.rpartition("page=1&")[0] == "" for asked in bench.front.requests] == [False, True, True]


def test_pages_without_end_are_left(bench: CloudflareBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_MOST_PAGES", 5)
    bench.product.pages_end = False
    assert "more than 500 rules" in refused(bench, lambda: run(bench, bench.other), BackendError)
    assert len(bench.front.requests) == 5


def test_a_rule_that_somebody_made_meanwhile_is_found_out(bench: CloudflareBench) -> None:
    """Cloudflare answers 10009 to a second rule for an address; whose it is, only a look can tell."""
    backend = bench.backend()
    product = bench.front.product

    def race(asked: Any) -> Any:
        if asked.method == "POST":
            bench.contain_by_other_hands(bench.target)
        return product(asked)

    seen = backend.status(bench.target)
    bench.front.product = race
    sentence = refused(bench, lambda: backend.contain(bench.target, seen, Terms(HOUR, MARK)), BackendError)
    backend.close()
    assert "10009" in sentence
    assert "not made" in sentence


def test_what_somebody_else_blocked_since_the_look_is_left_alone(bench: CloudflareBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "left as it is" in backend.contain(bench.target, seen, Terms(HOUR, MARK)).done
    assert "no rule of ours" in backend.release(bench.target, seen).done
    backend.close()
    assert bench.writes() == []


def test_a_rule_that_is_deleted_between_look_and_undo_is_gone(bench: CloudflareBench) -> None:
    run(bench, bench.target)
    product = bench.front.product

    def race(asked: Any) -> Any:
        if asked.method == "DELETE":
            bench.release_by_other_hands(bench.target)
        return product(asked)

    bench.front.product = race
    assert undo(bench, bench.target).result == "released"


def test_a_lost_answer_is_told_and_so_is_a_lost_undo(bench: CloudflareBench) -> None:
    bench.lose_answer()
    assert "the answer was lost" in run(bench, bench.target).done
    bench.lose_answer()
    assert "the answer was lost" in undo(bench, bench.target).done
    assert len(bench.writes()) == 2


def test_a_wrong_token_names_the_item(bench: CloudflareBench) -> None:
    backend = bench.backend(token="wr0ng-token")
    bench.secrets = ("wr0ng-token",)
    assert "cloudflare_token" in refused(bench, lambda: backend.status(bench.target), BackendError)


@pytest.mark.parametrize(
    "rule",
    [
        {"id": "1"},
        {"id": "1", "mode": "block", "configuration": {"target": "ip", "value": "web.example.org"}},
        {"id": "1", "configuration": {"target": "ip_range", "value": "203.0.113.0/24"}},
        7,
    ],
)
def test_a_rule_that_cannot_be_read_is_one_sentence_and_not_passed_over(bench: CloudflareBench, rule: Any) -> None:
    bench.product._page = lambda query: cloud_page([rule])  # type: ignore[method-assign]
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def cloud_page(result: list[Any]) -> Any:
    document = {"success": True, "errors": [], "messages": [], "result": result, "result_info": {"total_pages": 1}}
    return type("Page", (), {"status": 200, "body": json.dumps(document).encode()})


@pytest.mark.shared
@pytest.mark.parametrize("scope", ["zones", "accounts"])
def test_every_request_is_one_of_the_vendors_sdk(bench: CloudflareBench, shared: Path, scope: str) -> None:
    bench.scope, bench.product.base = scope, bench.product.base.replace("zones", scope)
    for target in (bench.target, bench.other, aim("203.0.112.0/24")):
        run(bench, target)
    backend = bench.backend()
    backend.contain(bench.target, backend.status(bench.target), Terms(2 * HOUR, OTHER_MARK))
    backend.close()
    for target in (bench.target, bench.target, bench.other):
        undo(bench, target)
    own = Contract(FIXTURES / "cloudflare_access_rules.yaml")
    cut = Contract(shared / "data/specs/cloudflare.yaml")
    assert {asked.method for asked in bench.front.requests} == {"GET", "POST", "PATCH", "DELETE"}
    assert [fault for asked in bench.front.requests for fault in own.faults(read(asked))] == []
    faults = [fault for asked in bench.front.requests for fault in cut.faults(read(asked, "/client/v4"))]
    lacking = ("query page is not known", "query per_page is not known", "no such operation")  # the cut has no paging
    assert [fault for fault in faults if not fault.endswith(lacking)] == []
    assert {fault.split(" ")[0] for fault in faults if fault.endswith("no such operation")} == {"PATCH"}


def made(proxy: str | None = None, **more: object) -> Any:
    items = {"cloudflare_zone_id": ZONE, "cloudflare_token": TOKEN, **more}
    return cloudflare.make(Workbench(Items(items), ManualClock(), proxy))


def test_it_is_made_from_its_items() -> None:
    assert made().where == f"Cloudflare, zone {ZONE}"
    assert made(cloudflare_zone_id=None, cloudflare_account_id=ZONE).where == f"Cloudflare, account {ZONE}"


def test_cortexs_proxy_is_used_unless_it_is_switched_off() -> None:
    """A proxy that cannot be is the shortest way to see whether it would be used."""
    with pytest.raises(ConfigurationError):
        made(proxy="no-address")
    made(proxy="no-address", cloudflare_use_proxy=False)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cloudflare_zone_id": None}, "either cloudflare_zone_id or cloudflare_account_id"),
        ({"cloudflare_account_id": ZONE}, "not both"),
        ({"cloudflare_zone_id": "example.org"}, "32 hexadecimal"),
        ({"cloudflare_zone_id": "../" + ZONE}, "32 hexadecimal"),
        ({"cloudflare_token": None}, "cloudflare_token"),
        ({"cloudflare_url": "http://api.example.org"}, "https://"),
        ({"cloudflare_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)


@pytest.mark.parametrize("text", ["2001:DB8::7", "::ffff:203.0.113.7", "203.0.113.7/32"])
def test_what_is_not_canonical_is_refused_by_the_backend_itself(bench: CloudflareBench, text: str) -> None:
    backend = bench.backend()
    refused(bench, lambda: backend.status(aim(text)), InputError)
