"""FirewallBlock's backend `edl`: the suite, and what is the lists' own, against the service's real lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from failing_front import Front
from front_bench import FrontBench
from list_service import LISTS, TOKEN, ListService
from suite import HOUR, BackendSuite, Failure, HttpFailures, look, refused, run, undo
from workers import load_backend, load_responder

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import NotVerified
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy
from propolis.worker.items import Items

edl = load_backend("FirewallBlock", "edl")
responder = load_responder("FirewallBlock", "firewall_block")


def aim(value: str, kind: str = "ip") -> Target:
    return Target(kind, value, "test")


class EdlBench(FrontBench):
    """A list as a firewall reads it: what is on the page is blocked."""

    target = aim("203.0.113.7")
    other = aim("203.0.113.8")
    protected = tuple(aim(text) for text in ("10.0.0.5", "198.51.100.9", "0.0.0.0/0", "127.0.0.1", "203.0.112.0/20"))
    hostile = tuple(
        aim(text)
        for text in (
            "203.0.113.7/accept",
            "../names/evil.example.net",
            "203.0.113.7?lease=x",
            "203.0.113.7#",
            "203.0.113.7\r\nX-Evil: 1",
            "203.0.113.7 203.0.113.9",
            "203.0.113.7,203.0.113.9",
            "!203.0.113.7",
            "010.1.1.8",
            "evil.example.net",
            "..",
            "",
        )
    )
    secrets = (TOKEN,)

    def __init__(self, service: ListService, front: Front, clock: ManualClock):
        self.service, self.front, self.clock = service, front, clock
        self.policy = Policy.parse("firewall: {own: [198.51.100.0/24]}")

    def backend(self, **changes: object) -> Backend:
        lists = {kind: name for name, kind in LISTS.items()}
        settings = edl.Settings(self.front.url, TOKEN, None, lists, 0.4, 300.0)._replace(**changes)
        made: Backend = edl.EdlBackend(settings, self.clock)
        return made

    def in_force(self, target: Target) -> bool:
        name = {kind: name for name, kind in LISTS.items()}[target.kind]
        return target.value in self.service.fetch(name)

    def contain_by_other_hands(self, target: Target) -> None:
        self.service.book.put("blocklist", target.value, seconds=HOUR, comment="ticket 17")

    def release_by_other_hands(self, target: Target) -> None:
        self.service.book.remove("blocklist", target.value)


@pytest.fixture
def bench() -> Iterator[EdlBench]:
    clock = ManualClock()
    with ListService(clock) as service, Front(service.api) as front:
        yield EdlBench(service, front, clock)


class TestEdl(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


class TestEdlOfNames(BackendSuite):
    """The same for domain names."""

    @pytest.fixture
    def bench(self, bench: EdlBench) -> EdlBench:
        bench.target, bench.other = aim("evil.example.net", "domain"), aim("bad.example.org", "domain")
        bench.protected = (aim("google.com", "domain"), aim("co.uk", "domain"), aim("dc1.lab.local", "domain"))
        bench.hostile = tuple(
            aim(text, "domain") for text in ("evil.example.net/accept", "*", "203.0.113.7", "a b.net")
        )
        bench.contain_by_other_hands = lambda target: bench.service.book.put(  # type: ignore[method-assign]
            "names", target.value, seconds=HOUR, comment="ticket 17"
        )
        bench.release_by_other_hands = lambda target: bench.service.book.remove(  # type: ignore[method-assign]
            "names", target.value
        )
        return bench


def test_a_web_address_with_everything_that_a_path_must_not_hold(bench: EdlBench) -> None:
    page = aim("https://evil.example.net/A%2Fb/../c;d?x=1&y=/accept#f", "url")
    assert run(bench, page).result == "contained"
    assert bench.service.fetch("pages") == [page.value]
    assert look(bench, page).ours
    assert undo(bench, page).result == "released"
    assert bench.service.fetch("pages") == []


def test_a_name_is_listed_in_its_plain_form_and_found_again_in_any(bench: EdlBench) -> None:
    assert run(bench, aim("Evil.Example.NET", "domain")).result == "contained"
    assert bench.service.fetch("names") == ["evil.example.net"]
    assert undo(bench, aim("EVIL.example.net.", "domain")).result == "released"


def test_networks_and_both_families(bench: EdlBench) -> None:
    wide = Policy.parse("firewall: {own: [198.51.100.0/24], max_prefix_v4: 24, max_prefix_v6: 48}")
    bench.service.policy = bench.policy = wide
    for value in ("203.0.113.128/25", "2001:db8::1", "2001:db8:7::/64"):
        assert run(bench, aim(value)).result == "contained"
        assert undo(bench, aim(value)).result == "released"


def test_the_report_says_when_firewalls_let_go_at_the_latest(bench: EdlBench) -> None:
    contained = run(bench, bench.target)
    assert any("at the latest 5m after its end" in line for line in contained.remaining)
    assert any("cannot reach the list" in line for line in contained.remaining)
    assert any("until their next fetch" in line for line in undo(bench, bench.target).remaining)


def test_the_lease_of_the_service_stands_beside_the_mark(bench: EdlBench) -> None:
    run(bench, bench.target, lease="lease-7")
    entry = bench.service.book.entry("blocklist", bench.target.value)
    assert entry is not None
    assert (entry.lease, entry.comment) == ("lease-7", "propolis case=128 by=analyst@soc.example")


def test_what_the_services_own_policy_protects_is_refused_with_its_sentence(bench: EdlBench) -> None:
    bench.service.policy = Policy.parse("firewall: {own: [203.0.113.0/24]}")
    sentence = refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "firewall.own" in sentence
    assert not bench.in_force(bench.target)


def test_an_entry_that_is_not_published_is_not_claimed_and_can_be_taken_off(bench: EdlBench) -> None:
    bench.service.fetch()
    for number in range(150):
        bench.service.book.put("blocklist", f"192.0.2.{number}", seconds=HOUR)
    sentence = refused(bench, lambda: run(bench, bench.target), NotVerified)
    assert "not published" in sentence
    assert undo(bench, bench.target).result == "released"


def test_an_entry_that_became_protected_is_shown_as_not_in_force_and_can_be_taken_off(bench: EdlBench) -> None:
    run(bench, bench.target)
    bench.service.policy = Policy.parse("firewall: {own: [203.0.113.0/24]}")
    status = look(bench, bench.target)
    assert (status.contained, status.remains) == (False, True)
    assert "firewalls do not get it" in status.detail
    assert undo(bench, bench.target).result == "released"
    assert bench.service.book.entry("blocklist", bench.target.value) is None


def test_what_somebody_else_listed_since_the_look_is_left_alone(bench: EdlBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "left as it is" in backend.contain(bench.target, seen, Terms(HOUR, "propolis")).done
    with pytest.raises(BackendError, match="somebody else"):
        backend.release(bench.target, seen)
    backend.close()
    assert bench.writes() == []
    assert look(bench, bench.target).mark == "ticket 17"


def test_a_list_that_the_service_does_not_have_is_named(bench: EdlBench) -> None:
    backend = bench.backend(lists={"ip": "firewalls"})
    sentence = refused(bench, lambda: backend.status(bench.target), BackendError)
    assert "There is no list 'firewalls'; configured are blocklist" in sentence


def test_a_list_of_another_kind_is_named(bench: EdlBench) -> None:
    backend = bench.backend(lists={"ip": "names"})
    sentence = refused(bench, lambda: backend.status(bench.target), BackendError)
    assert "The list names is one of kind domain" in sentence
    assert "edl_list" in sentence


def test_a_wrong_address_is_never_taken_for_an_entry_that_is_gone(bench: EdlBench) -> None:
    backend = bench.backend(url=f"{bench.front.url}/propolis")
    assert "Check edl_url" in refused(bench, lambda: backend.status(bench.target), BackendError)


def test_a_wrong_token_is_one_sentence_that_names_the_item(bench: EdlBench) -> None:
    backend = bench.backend(token="another")
    assert "edl_token" in refused(bench, lambda: backend.status(bench.target), BackendError)


def test_a_full_list_is_said_to_be_full(bench: EdlBench) -> None:
    bench.service.book._bounds = bench.service.book._bounds._replace(entries=0)
    assert "is full" in refused(bench, lambda: run(bench, bench.target), BackendError)


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "2"}, {"Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT"}, {"X-RateLimit-Reset": "1767225605000"}],
    ids=["seconds", "date", "epoch ms"],
)
def test_a_change_that_was_put_off_is_made_after_the_wait(bench: EdlBench, headers: dict[str, str]) -> None:
    bench.front.refuse_once = [(429, headers), (503, headers)]
    start = bench.clock.now()
    assert run(bench, bench.target).result == "contained"
    assert bench.clock.now() > start
    assert len(bench.writes()) == 1


def test_a_change_that_is_put_off_for_ever_is_given_up(bench: EdlBench) -> None:
    bench.front.refuse_once = [(429, {"Retry-After": "2"})] * 9
    assert "429" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert len(bench.front.refuse_once) == 6


def test_a_lost_answer_is_told_and_so_is_a_lost_undo(bench: EdlBench) -> None:
    bench.lose_answer()
    assert "the answer was lost" in run(bench, bench.target).done
    bench.lose_answer()
    outcome = undo(bench, bench.target)
    assert outcome.result == "released"
    assert "the answer was lost" in outcome.done


def test_an_extension_whose_request_was_lost_is_not_taken_for_made(bench: EdlBench) -> None:
    run(bench, bench.target)
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: run(bench, bench.target, 3 * HOUR, extend=True), BackendError)


def items(**more: object) -> Items:
    return Items({"edl_url": "https://propolis.example.org:8080", "edl_token": TOKEN, "edl_list": "blocklist", **more})


def made(**more: object) -> Backend:
    bench = responder.BACKENDS["edl"]
    backend: Backend = bench(edl.Workbench(items(**more), ManualClock(), None))
    return backend


def test_kinds_are_those_that_have_a_list() -> None:
    assert made().kinds == ("ip",)
    everything = made(edl_domain_list="names", edl_url_list="pages")
    assert everything.kinds == ("ip", "domain", "url")
    assert everything.where == "block lists blocklist, names, pages of https://propolis.example.org:8080"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"edl_url": None}, "edl_url"),
        ({"edl_url": "http://propolis.example.org:8080"}, "https://"),
        ({"edl_url": "https://u:p@propolis.example.org"}, "edl_url"),
        ({"edl_token": None}, "edl_token"),
        ({"edl_list": None}, "edl_domain_list"),
        ({"edl_ca_file": "/nowhere/ca.pem"}, "ca.pem"),
        ({"edl_poll_minutes": 0}, "edl_poll_minutes"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said.replace(".", r"\.")):
        made(**wrong)
