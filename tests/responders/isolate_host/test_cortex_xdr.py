"""IsolateHost's backend `cortex_xdr`: the suite, and what is Cortex XDR's own, against a tenant that remembers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Contract, Request, read
from failing_front import Asked, Front, Told
from fake_cortex_xdr import FREE, ISOLATED, KEY, KEY_ID, FakeCortexXdr
from front_bench import FrontBench
from suite import HOUR, MARK, BackendSuite, HttpFailures, SlowActions, SlowBench, look, refused, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Target, Terms
from propolis.containment.flow import NotOurs, NotVerified, release
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

cortex_xdr = load_backend("IsolateHost", "cortex_xdr")
api = load_backend("IsolateHost", "cortex_xdr_api")
FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures" / "isolate_host"
READS = ("/endpoints/get_endpoint/", "/actions/get_action_status/")


def aim(value: str) -> Target:
    return Target("host", value, "test")


class CortexXdrBench(FrontBench, SlowBench):
    responder = "IsolateHost"
    target = aim("pc1")
    other = aim("pc2.corp.example.org")
    missing = aim("pc9")
    ambiguous = aim("twin")
    protected = tuple(map(aim, ("dc1", "files", "tagged", "grouped", "renamed", "worker", "10.9.0.8", "localhost")))
    hostile = tuple(
        map(aim, ("pc*", "*", 'pc1"]', "pc1,pc2", "pc1\r\npc2", "-pc1", "", "pc", "pc1.evil", "10.0.0.0/8"))
    )
    secrets = (KEY,)

    def __init__(self, tenant: FakeCortexXdr, front: Front, clock: ManualClock):
        self.tenant, self.front, self.clock = tenant, front, clock
        self.policy = Policy.parse("hosts: {never_tags: [crown-jewels], never_networks: [10.9.0.0/24]}")
        self.settings = api.Settings(front.url, KEY_ID, KEY, "advanced", None, None, 0.3)

    def backend(self, **changes: object) -> Backend:
        settings = self.settings._replace(**changes)
        made: Backend = cortex_xdr.CortexXdrBackend(settings, self.clock, ("worker.corp.example.org",))
        return made

    def in_force(self, target: Target) -> bool:
        return self.tenant.by_name(target.value).state in (ISOLATED, "AGENT_PENDING_ISOLATION_CANCELLATION")

    def contain_by_other_hands(self, target: Target) -> None:
        self.tenant.by_name(target.value).state = ISOLATED

    def release_by_other_hands(self, target: Target) -> None:
        self.tenant.by_name(target.value).state = FREE

    def shows(self, target: Target) -> tuple[str, ...]:
        return (self.tenant.by_name(target.value).document["endpoint_id"], "/endpoints/isolate/")

    def slow(self, seconds: float | None, *, fails: bool = False) -> None:
        self.tenant.takes, self.tenant.fails = seconds, fails

    def finish(self) -> None:
        self.tenant.finish()


@pytest.fixture
def bench() -> Iterator[CortexXdrBench]:
    clock = ManualClock()
    tenant = FakeCortexXdr(clock)
    for name in ("PC1", "pc2", "PC10", "PC1-OLD"):
        tenant.add(name)
    tenant.add("twin")
    tenant.add("TWIN", domain="lab.example.org")
    tenant.add("DC1")
    tenant.add("files", endpoint_type="AGENT_TYPE_SERVER")
    tenant.add("tagged", tags={"server_tags": [], "endpoint_tags": ["crown-jewels"]})
    tenant.add("grouped", group_name=["crown-jewels"])
    tenant.add("renamed", alias="dc1-of-the-plant")
    tenant.add("worker")
    tenant.add("hyper", ip=["10.9.0.8"])
    with Front(tenant.answer) as front:
        front.now = clock.now
        front.reading = lambda asked: asked.target.endswith(READS)
        yield CortexXdrBench(tenant, front, clock)


class TestCortexXdr(BackendSuite, HttpFailures, SlowActions):
    """The fixture `bench` is the module's."""


@pytest.mark.parametrize("text", ["pc1", "PC1", "PC1.corp.example.org.", "10.0.0.5"])
def test_a_host_is_found_by_its_name_in_any_case_with_its_domain_and_by_its_address(
    bench: CortexXdrBench, text: str
) -> None:
    assert look(bench, aim(text)).subject.name == "PC1.corp.example.org"


def test_a_host_is_found_by_its_endpoint_id(bench: CortexXdrBench) -> None:
    endpoint_id = bench.tenant.by_name("twin").document["endpoint_id"]
    assert look(bench, aim(endpoint_id)).subject.id == endpoint_id
    refused(bench, lambda: look(bench, aim("0" * 32)), NotFound)


def test_a_name_that_another_one_only_begins_with_never_stands_for_it(bench: CortexXdrBench) -> None:
    """The query for `pc1` brings PC10 and PC1-OLD, too."""
    run(bench, bench.target)
    isolated = [one.document["endpoint_name"] for one in bench.tenant.endpoints.values() if one.state == ISOLATED]
    assert isolated == ["PC1"]


def test_the_same_name_in_two_domains_is_told_apart_by_the_domain(bench: CortexXdrBench) -> None:
    refused(bench, lambda: look(bench, aim("twin")), Ambiguous)
    assert look(bench, aim("twin.lab.example.org")).subject.name == "TWIN.lab.example.org"


def test_an_agent_that_was_uninstalled_is_no_candidate(bench: CortexXdrBench) -> None:
    bench.tenant.by_name("twin").document["endpoint_status"] = "UNINSTALLED"
    assert look(bench, aim("twin")).subject.name == "TWIN.lab.example.org"


def test_more_matches_than_one_look_brings_are_not_chosen_from(bench: CortexXdrBench) -> None:
    for number in range(100):
        bench.tenant.add(f"PC1{number:03}")
    assert "give the id" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


@pytest.mark.parametrize("text", ["pc1*", "pc1,pc2", 'pc1"', "pc 1", "[pc1]", ""])
def test_what_is_no_name_is_refused_before_the_tenant_is_asked(bench: CortexXdrBench, text: str) -> None:
    backend = bench.backend()
    assert "cannot be looked up" in refused(bench, lambda: backend.status(aim(text)), BackendError)
    backend.close()
    assert bench.front.requests == []


def test_an_action_is_for_one_endpoint_by_its_id_and_never_by_a_filter(bench: CortexXdrBench) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    bodies = [json.loads(change.split(" ", 2)[2]) for change in bench.writes()]
    assert bodies == [{"request_data": {"endpoint_id": bench.tenant.by_name("pc1").document["endpoint_id"]}}] * 2


def test_an_advanced_key_is_never_sent_and_every_request_is_signed_anew(bench: CortexXdrBench) -> None:
    bench.front.refuse_once = [(429, {"Retry-After": "2"})]
    run(bench, bench.target)
    told = [asked.headers for asked in bench.front.requests]
    assert len({headers["x-xdr-nonce"] for headers in told}) == len(told) > 3
    assert all(len(headers["x-xdr-nonce"]) == 64 and headers["x-xdr-nonce"].isalnum() for headers in told)
    assert not [headers for headers in told if KEY in "".join(headers.values())]


def test_a_signature_is_the_hash_of_key_nonce_and_milliseconds() -> None:
    settings = api.Settings("https://api.example.org", "17", "the key", "advanced", None, None, 1.0)
    headers = api.signature(settings, 1_767_225_600.5)
    assert headers["x-xdr-timestamp"] == "1767225600500"
    text = f"the key{headers['x-xdr-nonce']}1767225600500"
    assert headers["Authorization"] == hashlib.sha256(text.encode()).hexdigest()
    assert headers["x-xdr-auth-id"] == "17"


def test_a_clock_that_is_off_is_told_as_a_cause(bench: CortexXdrBench) -> None:
    bench.tenant._clock = ManualClock(bench.clock.now() + HOUR)
    assert "clock" in refused(bench, lambda: look(bench, bench.target), BackendError)


def test_a_standard_key_is_sent_as_it_is(bench: CortexXdrBench) -> None:
    bench.tenant.standard = True
    bench.settings = bench.settings._replace(key_type="standard")
    assert run(bench, bench.target).result == "contained"
    assert all("x-xdr-nonce" not in asked.headers for asked in bench.front.requests)


def test_a_wrong_key_names_the_items_and_shows_no_secret(bench: CortexXdrBench) -> None:
    backend = bench.backend(key="wr0ng-" + KEY)
    assert "cortex_xdr_key" in refused(bench, lambda: backend.status(bench.target), BackendError)
    backend.close()


def test_a_server_is_refused_whatever_its_name(bench: CortexXdrBench) -> None:
    assert "Server" in refused(bench, lambda: run(bench, aim("files")), Refused)


@pytest.mark.parametrize("kind", ["AGENT_TYPE_MOBILE", None, "AGENT_TYPE_NEW"])
def test_a_host_whose_type_is_not_known_has_the_type_unknown(bench: CortexXdrBench, kind: str | None) -> None:
    bench.tenant.add("odd", endpoint_type=kind)
    assert look(bench, aim("odd")).subject.types == ("unknown",)


def test_guardrails_see_the_alias_the_tags_and_the_groups(bench: CortexXdrBench) -> None:
    found = look(bench, aim("renamed")).subject
    assert "dc1-of-the-plant" in found.names
    assert found.tags == ("site-1", "laptops")
    assert look(bench, aim("worker")).subject.own
    assert not found.own


@pytest.mark.parametrize("status", ["DISCONNECTED", "LOST", ""])
def test_an_agent_that_is_away_is_not_isolated(bench: CortexXdrBench, status: str) -> None:
    """Its action may wait where no state shows it, and a second job would ask again."""
    bench.tenant.by_name("pc1").document["endpoint_status"] = status
    assert "not connected" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "not connected" in refused(bench, lambda: run(bench, bench.target, observing=("dry_run",)), BackendError)
    assert bench.writes() == []


def test_an_agent_that_went_away_is_released_all_the_same(bench: CortexXdrBench) -> None:
    run(bench, bench.target)
    bench.tenant.by_name("pc1").document["endpoint_status"] = "DISCONNECTED"
    assert undo(bench, bench.target).result == "released"


def test_without_a_lease_nothing_proves_that_an_isolation_is_ours(bench: CortexXdrBench) -> None:
    run(bench, bench.target)
    writes = bench.writes()
    backend = bench.backend()
    refused(bench, lambda: release(backend, bench.target, bench.clock), NotOurs)
    backend.close()
    assert bench.writes() == writes


def test_an_isolation_under_way_cannot_be_taken_back_and_nothing_is_sent(bench: CortexXdrBench) -> None:
    bench.slow(None)
    run(bench, bench.target)
    writes = bench.writes()
    assert "Action Center" in refused(bench, lambda: undo(bench, bench.target), BackendError)
    assert bench.writes() == writes


def test_a_state_that_says_nothing_of_an_action_is_helped_by_the_action_itself(bench: CortexXdrBench) -> None:
    bench.tenant.quiet = True
    bench.slow(20)
    outcome = run(bench, bench.target, patience=60)
    assert outcome.result == "contained"
    assert "action 101" in outcome.done


def test_an_action_that_failed_is_not_waited_for_and_its_end_is_told(bench: CortexXdrBench) -> None:
    bench.tenant.quiet = True
    bench.slow(10, fails=True)
    start = bench.clock.now()
    assert "FAILED" in refused(bench, lambda: run(bench, bench.target, patience=600), NotVerified)
    assert bench.clock.now() - start < 60


def test_a_state_that_comes_late_is_waited_for_and_one_that_never_comes_is_not_claimed(bench: CortexXdrBench) -> None:
    bench.tenant.lag = 30
    assert run(bench, bench.target, patience=60).result == "contained"
    assert undo(bench, bench.target, patience=60).result == "released"
    bench.tenant.lag = 9e9
    refused(bench, lambda: run(bench, bench.target, patience=300), NotVerified)


@pytest.mark.parametrize("status", [200, 400, 402, 403, 500])
@pytest.mark.parametrize("word", ["get_endpoint", "isolate"])
def test_an_error_in_the_body_is_a_failure_whatever_the_status(bench: CortexXdrBench, word: str, status: int) -> None:
    bench.tenant.errors[word] = status
    assert f"{word} is out of order" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert not bench.in_force(bench.target)


@pytest.mark.parametrize("state", ["AGENT_SOMETHING_NEW", ""])
def test_a_state_that_is_not_known_here_is_never_taken_for_one_that_is(bench: CortexXdrBench, state: str) -> None:
    bench.tenant.by_name("pc1").state = state
    assert "none that is known" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


@pytest.mark.parametrize("reply", [{"action_id": "1", "endpoints_count": "673"}, {"status": "1"}, {"action_id": None}])
def test_an_answer_that_names_no_single_action_is_looked_into(bench: CortexXdrBench, reply: dict[str, object]) -> None:
    real = bench.front.product

    def odd(asked: Asked) -> Told:
        return Told(200, json.dumps({"reply": reply}).encode()) if asked.target.endswith("/isolate/") else real(asked)

    bench.front.product = odd
    assert "was not made" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_what_somebody_else_isolated_since_the_look_is_left_alone(bench: CortexXdrBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "left as it is" in backend.contain(bench.target, seen, Terms(HOUR, MARK)).done
    backend.close()
    assert bench.writes() == []


def test_what_is_being_released_since_the_look_is_neither_isolated_nor_released_again(bench: CortexXdrBench) -> None:
    run(bench, bench.target)
    writes = bench.writes()
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.tenant.by_name("pc1").state = "AGENT_PENDING_ISOLATION_CANCELLATION"
    sentence = refused(bench, lambda: backend.contain(bench.target, seen, Terms(HOUR, MARK)), BackendError)
    effect = backend.release(bench.target, seen)
    backend.close()
    assert "being released" in sentence
    assert ("released already" in effect.done, effect.pending[:9]) == (True, "unisolate")
    assert bench.writes() == writes


def test_guardrails_see_addresses_of_both_kinds(bench: CortexXdrBench) -> None:
    bench.tenant.add("both", ip=["10.0.1.1"], ipv6=["fe80::1", "2001:db8::7"])
    assert look(bench, aim("both")).subject.addresses == ("10.0.1.1", "2001:db8::7")


def test_a_name_that_changed_hands_since_the_look_is_left_alone(bench: CortexXdrBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.tenant.by_name("pc1").document["endpoint_name"] = "renewed"
    bench.tenant.add("pc1")
    refused(bench, lambda: backend.contain(bench.target, seen, Terms(HOUR, MARK)), BackendError)
    backend.close()
    assert bench.writes() == []


def test_a_lost_undo_is_looked_up(bench: CortexXdrBench) -> None:
    run(bench, bench.target)
    bench.lose_answer()
    outcome = undo(bench, bench.target)
    assert outcome.result == "released"
    assert "the answer was lost" in outcome.done
    assert sum("unisolate" in change for change in bench.writes()) == 1


def test_every_request_is_one_of_the_vendors_reference(bench: CortexXdrBench) -> None:
    bench.slow(20)
    bench.tenant.quiet = True
    run(bench, bench.target, patience=60)
    undo(bench, bench.target, patience=60)
    look(bench, aim("10.0.0.5"))
    look(bench, aim(bench.tenant.by_name("pc1").document["endpoint_id"]))
    refused(bench, lambda: look(bench, aim("twin")), Ambiguous)
    contract = Contract(FIXTURES / "cortex_xdr.yaml")
    assert len({asked.target for asked in bench.front.requests}) == 4
    assert [fault for asked in bench.front.requests for fault in contract.faults(read(asked))] == []


def test_the_reading_of_the_reference_would_notice() -> None:
    contract = Contract(FIXTURES / "cortex_xdr.yaml")
    body = {"request_data": {"filters": [], "endpoint_id": "a"}}
    request = Request("POST", "/public_api/v1/endpoints/isolate/", (), {}, body, "application/json")
    faults = " ".join(contract.faults(request))
    assert "x-xdr-nonce is missing" in faults
    assert "filters" in faults


def made(**more: object) -> Backend:
    items = {
        "cortex_xdr_url": "https://api-lab.xdr.eu.example.org",
        "cortex_xdr_key_id": KEY_ID,
        "cortex_xdr_key": KEY,
        **more,
    }
    backend: Backend = cortex_xdr.make(Workbench(Items(items), ManualClock(), "http://proxy.example.org:3128"))
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "Cortex XDR at https://api-lab.xdr.eu.example.org"


def test_the_proxy_is_cortexs_unless_it_is_not_wanted() -> None:
    assert made()._api._client._proxy == "http://proxy.example.org:3128"  # type: ignore[attr-defined]
    assert made(cortex_xdr_use_proxy=False)._api._client._proxy is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cortex_xdr_url": None}, "cortex_xdr_url"),
        ({"cortex_xdr_url": "http://api.example.org"}, "https://"),
        ({"cortex_xdr_key_id": None}, "cortex_xdr_key_id"),
        ({"cortex_xdr_key": None}, "cortex_xdr_key"),
        ({"cortex_xdr_auth": "simple"}, "advanced, standard"),
        ({"cortex_xdr_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)
