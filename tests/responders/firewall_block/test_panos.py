"""FirewallBlock's backend `panos`: the suite, and what is PAN-OS's own, against a firewall that remembers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest
from failing_front import Front
from fake_panos import KEY, FakePanos
from front_bench import FrontBench
from suite import HOUR, MARK, OTHER_MARK, BackendSuite, Failure, HttpFailures, look, refused, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import NotOurs, NotVerified
from propolis.containment.mark import is_ours
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError, InputError
from propolis.guardrails import Policy
from propolis.worker.items import Items

panos = load_backend("FirewallBlock", "panos")
api = load_backend("FirewallBlock", "pan_api")
pan_mark = load_backend("FirewallBlock", "pan_mark")
TAG = "propolis-block"
BILLION = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<response status="success"><result>&b;</result></response>'
)
FILE = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><response status="success"><result></result></response>'


def aim(value: str) -> Target:
    return Target("ip", value, "test")


class PanosBench(FrontBench):
    target = aim("203.0.113.7")
    other = aim("2001:db8::7")
    protected = tuple(aim(text) for text in ("10.0.0.5", "198.51.100.9", "0.0.0.0/0", "127.0.0.1", "203.0.112.0/20"))
    hostile = tuple(
        aim(text)
        for text in (
            '203.0.113.7"><tag><member>trusted</member></tag></entry><entry ip="10.0.0.1',
            "203.0.113.7</ip><all/>",
            "&xxe;",
            "203.0.113.7&type=config&action=delete",
            "203.0.113.1-203.0.113.99",
            "203.0.113.0/255.255.255.0",
            "2001:db8::/64",
            "010.1.1.8",
            "",
        )
    )
    secrets = (KEY,)

    def __init__(self, product: FakePanos, front: Front, clock: ManualClock):
        self.product, self.front, self.clock = product, front, clock
        self.policy = Policy.parse("firewall: {own: [198.51.100.0/24], max_prefix_v4: 24, max_prefix_v6: 64}")

    def backend(self, **changes: Any) -> Backend:
        settings = panos.Settings((self.front.url,), (KEY,), TAG, api.Link("vsys1", None, None, 0.3))
        made: Backend = panos.PanosBackend(settings._replace(**changes), self.clock)
        return made

    def in_force(self, target: Target) -> bool:
        return self.product.blocks(target.value)

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.tag(target.value, TAG)

    def release_by_other_hands(self, target: Target) -> None:
        del self.product.registered[target.value]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def bench(clock: ManualClock) -> Iterator[PanosBench]:
    product = FakePanos(clock)
    with Front(product.answer) as front:
        front.reading = product.is_question
        yield PanosBench(product, front, clock)


class TestPanos(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def xml(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - our own requests, and the description of them


def forms(bench: PanosBench) -> list[dict[str, str]]:
    return [{name: text[0] for name, text in parse_qs(asked.body.decode()).items()} for asked in bench.front.requests]


def test_the_block_is_one_message_with_both_tags_and_one_time(bench: PanosBench) -> None:
    run(bench, bench.target, 90)
    (message,) = [xml(form["cmd"]) for form in forms(bench) if form["type"] == "user-id"]
    members = message.findall("./payload/register/entry[@ip='203.0.113.7']/tag/member")
    assert [member.get("timeout") for member in members] == ["90", "90"]
    assert members[0].text == TAG
    assert (members[1].text or "").startswith("propolis,until=")


def test_the_key_is_in_a_header_and_nowhere_else(bench: PanosBench) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert {(asked.method, asked.target) for asked in bench.front.requests} == {("POST", "/api/")}
    assert {asked.headers["x-pan-key"] for asked in bench.front.requests} == {KEY}
    assert not [form for form in forms(bench) if "key" in form or KEY in form["cmd"]]


def test_an_undo_takes_our_tags_and_no_others(bench: PanosBench) -> None:
    bench.product.tag("203.0.113.7", "scanner")
    run(bench, bench.target)
    undo(bench, bench.target)
    assert bench.product.tags_of("203.0.113.7") == {"scanner"}


def test_a_new_end_takes_the_old_tags_off_as_a_tag_that_is_there_keeps_its_end(bench: PanosBench) -> None:
    run(bench, bench.target)
    outcome = run(bench, bench.target, 3 * HOUR, extend=True)
    assert any("for a moment" in line for line in outcome.remaining)
    assert bench.product.registered["203.0.113.7"][TAG] == bench.clock.now() + 3 * HOUR
    assert len(bench.product.tags_of("203.0.113.7")) == 2


def test_a_new_end_that_fails_half_way_says_that_nothing_is_blocked(bench: PanosBench) -> None:
    run(bench, bench.target)
    backend = bench.backend()
    seen = backend.status(bench.target)
    taken = bench.front.product

    def refuse_registers(asked: Any) -> Any:
        bench.product.refusal = "max registered-ip for the platform reached" if b"%3Cregister" in asked.body else ""
        return taken(asked)

    bench.front.product = refuse_registers
    sentence = refused(bench, lambda: backend.contain(bench.target, seen, Terms(3 * HOUR, OTHER_MARK)), BackendError)
    backend.close()
    assert "is not blocked there now" in sentence
    assert "platform" in sentence
    assert not bench.in_force(bench.target)


def test_what_is_there_already_and_what_is_gone_already_is_success(bench: PanosBench) -> None:
    firewall = api.Firewall(bench.front.url, KEY, api.Link("vsys1", None, None, 0.3), bench.clock)
    firewall.register("203.0.113.7", ["a", "b"], 60)
    firewall.register("203.0.113.7", ["a", "b", "c"], 60)
    firewall.unregister("203.0.113.7", ["a", "d"])
    assert sorted(firewall.tags("203.0.113.7")) == ["b", "c"]
    firewall.close()


@pytest.mark.parametrize("said", ["tag x already exists, ignore me not", "Unauthorized request", ""])
def test_any_other_error_is_one(bench: PanosBench, said: str) -> None:
    bench.product.refusal = said or " "
    refused(bench, lambda: run(bench, bench.target), BackendError)


def test_success_that_did_nothing_is_not_believed(bench: PanosBench) -> None:
    bench.product.deaf = True
    refused(bench, lambda: run(bench, bench.target), NotVerified)


def test_more_than_a_page_of_addresses_is_read_to_its_end(bench: PanosBench) -> None:
    for number in range(1100):
        bench.product.tag(f"192.0.{number // 250}.{number % 250}", TAG)
    bench.product.tag("203.0.113.0/24", TAG)
    assert look(bench, bench.target).contained
    starts = [re.search(r"<start-point>(\d+)<", form["cmd"]) for form in forms(bench)]
    assert [found.group(1) for found in starts if found] == ["1", "501", "1001"]


def test_a_firewall_that_gives_the_same_page_for_ever_is_left(bench: PanosBench) -> None:
    for number in range(600):
        bench.product.tag(f"192.0.{number // 250}.{number % 250}", TAG)
    bench.product.stuck = True
    assert "end" in refused(bench, lambda: run(bench, bench.target), BackendError)


@pytest.mark.parametrize("body", [BILLION, FILE], ids=["entities", "a file"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_answer_that_declares_a_document_type_is_refused(bench: PanosBench, body: str, encoding: str) -> None:
    bench.product.raw = body.encode(encoding)
    assert "XML API" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_a_file_in_place_of_a_list_names_the_version(bench: PanosBench) -> None:
    bench.product.raw = (
        b'<response status="success"><result><msg><line><outfile>x</outfile></line></msg></result></response>'
    )
    assert "8.0" in refused(bench, lambda: run(bench, bench.target), BackendError)


@pytest.mark.parametrize("holder", ["203.0.113.0/24", "203.0.113.1-203.0.113.9"])
def test_a_network_or_range_around_it_contains_it_and_is_not_ours(bench: PanosBench, holder: str) -> None:
    bench.product.tag(holder, TAG)
    status = look(bench, bench.target)
    assert (status.contained, status.ours) == (True, False)
    assert holder in status.detail
    refused(bench, lambda: undo(bench, bench.target), NotOurs)
    assert bench.writes() == []


@pytest.mark.parametrize("holder", ["203.0.113.8-203.0.113.9", "scanner-7", "2001:db8::1-2001:db8::9", "web"])
def test_what_does_not_hold_it_does_not_contain_it(bench: PanosBench, holder: str) -> None:
    bench.product.registered[holder] = {TAG: None}
    assert not look(bench, bench.target).contained


def test_a_network_is_registered_as_one(bench: PanosBench) -> None:
    assert run(bench, aim("203.0.113.0/24")).result == "contained"
    assert bench.in_force(bench.target)
    assert undo(bench, aim("203.0.113.0/24")).result == "released"


def test_an_ipv6_network_is_refused_with_the_way_out(bench: PanosBench) -> None:
    backend = bench.backend()
    assert "backend edl" in refused(bench, lambda: backend.status(aim("2001:db8::/64")), BackendError)


def test_an_address_that_is_shown_as_a_network_of_one_is_the_address(bench: PanosBench) -> None:
    bench.product.tag("203.0.113.7", TAG)
    bench.product.raw = (
        f'<response status="success"><result><entry ip="203.0.113.7/32"><tag><member>{TAG}</member>'
        f"<member>propolis,until={int(bench.clock.now()) + 60},case=1</member></tag></entry></result></response>"
    ).encode()
    assert look(bench, bench.target).ours


def test_a_mark_without_the_blocking_tag_blocks_nothing_and_an_undo_takes_it_away(bench: PanosBench) -> None:
    run(bench, bench.target)
    del bench.product.registered["203.0.113.7"][TAG]
    status = look(bench, bench.target)
    assert (status.contained, status.ours, status.remains) == (False, True, True)
    assert undo(bench, bench.target).result == "released"
    assert not bench.product.tags_of("203.0.113.7")


def test_a_mark_whose_end_has_passed_proves_nothing(bench: PanosBench) -> None:
    past = int(bench.clock.now()) - 5
    bench.product.tag("203.0.113.7", f"propolis,until={past},case=128")
    bench.product.tag("203.0.113.7", TAG)
    assert not look(bench, bench.target).ours


def test_what_somebody_else_blocked_since_the_look_is_left_alone(bench: PanosBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "left so" in backend.contain(bench.target, seen, Terms(HOUR, MARK)).done
    assert "nothing of ours" in backend.release(bench.target, seen).done
    backend.close()
    assert bench.writes() == []


def test_more_than_thirty_days_are_refused_before_anything_is_written(bench: PanosBench) -> None:
    month = 30 * 24 * HOUR
    assert "30 days" in refused(bench, lambda: run(bench, bench.target, month + 1), BackendError)
    assert "30 days" in refused(bench, lambda: run(bench, bench.target, month + 1, observing=("dry",)), BackendError)
    assert bench.writes() == []
    assert run(bench, bench.target, month).result == "contained"


def test_a_lost_answer_is_told_and_so_is_a_lost_undo(bench: PanosBench) -> None:
    bench.lose_answer()
    assert "the answer was lost" in run(bench, bench.target).done
    bench.lose_answer()
    assert "the answer was lost" in undo(bench, bench.target).done
    assert len(bench.writes()) == 2


def test_a_wrong_key_names_the_item(bench: PanosBench) -> None:
    backend = bench.backend(keys=("wr0ng-key",))
    bench.secrets = ("wr0ng-key",)
    assert "panos_keys" in refused(bench, lambda: backend.status(bench.target), BackendError)


@pytest.mark.parametrize("length", [20, 110, 120])
def test_a_mark_becomes_a_tag_that_is_short_enough_and_is_found_again(length: int) -> None:
    mark = (MARK + " lease=" + "x" * 120)[:length]
    tag = pan_mark.mark_tag(mark, 1_767_225_600.9)
    assert len(tag) <= 127
    assert " " not in tag
    (found,) = pan_mark.marks_of(["scanner", tag, "propolis,case=1", "propolis,until=soon", TAG])
    assert is_ours(found.text)
    assert found.until == 1_767_225_600


@pytest.fixture
def second(bench: PanosBench) -> Iterator[PanosBench]:
    """A second firewall; the first bench's backends then work with both."""
    product = FakePanos(bench.clock)
    with Front(product.answer) as front:
        front.reading = product.is_question
        one = bench.backend
        bench.backend = lambda **more: one(urls=(bench.front.url, front.url), **more)  # type: ignore[method-assign]
        yield PanosBench(product, front, bench.clock)


def test_several_firewalls_are_blocked_and_released_together(bench: PanosBench, second: PanosBench) -> None:
    outcome = run(bench, bench.target)
    assert (bench.in_force(bench.target), second.in_force(bench.target)) == (True, True)
    assert second.front.url in outcome.verified
    assert undo(bench, bench.target).result == "released"
    assert (bench.in_force(bench.target), second.in_force(bench.target)) == (False, False)


def test_a_part_of_the_firewalls_is_no_success_and_is_named(bench: PanosBench, second: PanosBench) -> None:
    second.product.refusal = "max registered-ip for the platform reached"
    sentence = refused(bench, lambda: run(bench, bench.target), BackendError)
    assert f"Not blocked at {second.front.url}" in sentence
    assert "1 of 2" in sentence
    assert (bench.in_force(bench.target), second.in_force(bench.target)) == (True, False)
    status = look(bench, bench.target)
    assert (status.contained, status.ours, status.remains) == (False, True, True)


def test_a_part_is_completed_by_the_next_block(bench: PanosBench, second: PanosBench) -> None:
    second.fail(Failure.SERVER_ERROR, writes_only=True)
    refused(bench, lambda: run(bench, bench.target), BackendError)
    second.mend()
    assert run(bench, bench.target).result == "contained"
    assert second.in_force(bench.target)


def test_a_part_is_taken_back_by_an_undo(bench: PanosBench, second: PanosBench) -> None:
    second.product.refusal = "no"
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert undo(bench, bench.target).result == "released"
    assert not bench.in_force(bench.target)


def test_an_undo_that_fails_at_one_is_done_at_the_others_and_says_where_not(
    bench: PanosBench, second: PanosBench
) -> None:
    run(bench, bench.target)
    bench.product.refusal = "no"
    assert f"Not released at {bench.front.url}" in refused(bench, lambda: undo(bench, bench.target), BackendError)
    assert (bench.in_force(bench.target), second.in_force(bench.target)) == (True, False)
    bench.product.refusal = ""
    assert undo(bench, bench.target).result == "released"


def test_one_firewall_down_is_said_before_anything_is_written(bench: PanosBench, second: PanosBench) -> None:
    second.take_down()
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_the_earliest_end_of_all_is_shown(bench: PanosBench, second: PanosBench) -> None:
    run(bench, bench.target)
    early = int(bench.clock.now()) + 60
    second.product.registered["203.0.113.7"] = {TAG: early, f"propolis,until={early},case=128": early}
    assert look(bench, bench.target).until == early


def test_the_address_by_which_any_of_them_is_reached_is_its_own(bench: PanosBench, second: PanosBench) -> None:
    assert look(bench, aim("127.0.0.1")).subject.own


@pytest.mark.shared
def test_every_message_has_the_shape_of_the_vendors_sdk(bench: PanosBench, shared: Path) -> None:
    run(bench, bench.target)
    run(bench, bench.target, 3 * HOUR, extend=True)
    undo(bench, bench.target)
    text = (shared / "data/specs/panos-userid.md").read_text()
    known = re.findall(r"<uid-message>.*</uid-message>|<show>.*</show>", text)
    shapes = {xml(one)[0].tag: _shape(xml(one)) for one in known[2:]}
    messages = [_shape(xml(one)) for one in known[:2]]
    asked = forms(bench)
    assert {form["type"] for form in asked} == {"user-id", "op"}
    assert all(set(form) == {"type", "cmd", "vsys"} for form in asked)
    for form in asked:
        root = xml(form["cmd"])
        if form["type"] == "user-id":
            assert _shape(root) in messages
        elif root.find(".//tag") is not None:  # paging and the question by address: pan-os-python
            assert (
                _shape(root) - {"show/object/registered-ip/limit", "show/object/registered-ip/start-point"}
                == (shapes["object"])
            )


def _shape(element: ElementTree.Element, above: str = "") -> set[str]:
    """The paths of a document's elements and attributes."""
    here = f"{above}{element.tag}"
    attributes = {f"{here}@{name}" for name in element.attrib}
    return {here} | attributes | {path for child in element for path in _shape(child, f"{here}/")}


def made(**more: object) -> Backend:
    items = {"panos_urls": ["https://fw1.example.org", "https://fw2.example.org/"], "panos_keys": [KEY], **more}
    backend: Backend = panos.make(Workbench(Items(items), ManualClock(), None))
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "PAN-OS at https://fw1.example.org, https://fw2.example.org, tag propolis-block"
    assert made(panos_urls="https://fw1.example.org", panos_tag="soc").where.endswith("fw1.example.org, tag soc")
    assert made(panos_keys=["one", "two"]).name == "panos"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"panos_urls": None}, "panos_urls"),
        ({"panos_urls": ["https://fw1.example.org", "https://fw1.example.org/"]}, "twice"),
        ({"panos_urls": ["http://fw1.example.org"]}, "https://"),
        ({"panos_keys": None}, "panos_keys"),
        ({"panos_keys": ["a", "b", "c"]}, "panos_keys"),
        ({"panos_tag": "a b"}, "panos_tag"),
        ({"panos_tag": "propolis,until=1"}, "panos_tag"),
        ({"panos_vsys": "all"}, "panos_vsys"),
        ({"panos_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)


@pytest.mark.parametrize("text", ["2001:DB8::7", "::ffff:203.0.113.7", "203.0.113.7/32"])
def test_what_is_not_canonical_is_refused_by_the_backend_itself(bench: PanosBench, text: str) -> None:
    backend = bench.backend()
    refused(bench, lambda: backend.status(aim(text)), InputError)
