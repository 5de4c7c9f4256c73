"""IsolateHost's backend `crowdstrike`: the suite, and what is Falcon's own, against a cloud that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Contract, Request, read
from failing_front import Asked, Front, Told
from fake_crowdstrike import CLIENT, SECRET, FakeFalcon
from front_bench import FrontBench
from suite import (
    HOUR,
    MARK,
    OTHER_MARK,
    BackendSuite,
    HttpFailures,
    SlowActions,
    SlowBench,
    look,
    refused,
    run,
    undo,
)
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Target, Terms
from propolis.containment.flow import NotOurs, NotVerified
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

crowdstrike = load_backend("IsolateHost", "crowdstrike")
falcon = load_backend("IsolateHost", "crowdstrike_falcon")
tags = load_backend("IsolateHost", "crowdstrike_mark")
FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures" / "isolate_host"


def aim(value: str) -> Target:
    return Target("host", value, "test")


class CrowdstrikeBench(FrontBench, SlowBench):
    responder = "IsolateHost"
    target = aim("pc1")
    other = aim("pc2.corp.example.org")
    missing = aim("pc9")
    ambiguous = aim("twin")
    protected = tuple(map(aim, ("dc1", "files", "legacy", "tagged", "grouped", "worker", "10.9.0.8", "localhost")))
    hostile = tuple(
        map(aim, ("pc*", "*", "pc1'+status:'normal", "pc1,pc2", "pc1']", "pc1\r\npc2", "-pc1", "", "pc", "pc1.evil"))
    )
    secrets = (SECRET,)
    rate_limits = (
        lambda now: {"X-RateLimit-RetryAfter": str(int(now + 2))},
        lambda now: {"X-RateLimit-RetryAfter": str(int((now + 2) * 1000))},
    )

    def __init__(self, cloud: FakeFalcon, front: Front, clock: ManualClock):
        self.cloud, self.front, self.clock = cloud, front, clock
        self.policy = Policy.parse("hosts: {never_tags: [crown-jewels, dddd*], never_networks: [10.9.0.0/24]}")

    def backend(self, **changes: object) -> Backend:
        settings = falcon.Settings(self.front.url, CLIENT, SECRET, "", None, None, 0.3)._replace(**changes)
        made: Backend = crowdstrike.CrowdstrikeBackend(settings, self.clock, ("worker.corp.example.org",))
        return made

    def in_force(self, target: Target) -> bool:
        return self.cloud.by_name(target.value).state in ("contained", "lift_containment_pending")

    def contain_by_other_hands(self, target: Target) -> None:
        self.cloud.by_name(target.value).state = "contained"

    def release_by_other_hands(self, target: Target) -> None:
        self.cloud.by_name(target.value).state = "normal"

    def shows(self, target: Target) -> tuple[str, ...]:
        return (self.cloud.by_name(target.value).document["device_id"], "action_name=contain", "case-128")

    def expire_token(self) -> None:
        self.cloud.tokens.clear()

    def token_requests(self) -> int:
        return len(self.cloud.logins)

    def slow(self, seconds: float | None, *, fails: bool = False) -> None:
        self.cloud.takes, self.cloud.fails = seconds, fails

    def finish(self) -> None:
        self.cloud.finish()

    def tags_of(self, target: Target) -> list[str]:
        """Our tags on a host."""
        return [tag for tag in self.cloud.by_name(target.value).tags if "propolis" in tag]


@pytest.fixture
def bench() -> Iterator[CrowdstrikeBench]:
    clock = ManualClock()
    cloud = FakeFalcon(clock)
    for name in ("PC1", "PC2", "PC10", "PC1-OLD"):
        cloud.add(name)
    cloud.add("TWIN")
    cloud.add("twin", domain="lab.example.org")
    cloud.add("ADS", kind="Domain Controller")
    cloud.add("DC1")
    cloud.add("FILES", kind="Server")
    cloud.add("LEGACY", product_type_desc=None, product_type="3")
    cloud.add("TAGGED", tags=["FalconGroupingTags/crown-jewels"])
    cloud.add("GROUPED", groups=["d" * 32])
    cloud.add("WORKER")
    cloud.add("HYPER", address="10.9.0.8")
    with Front(cloud.answer, lambda asked: asked.target == "/oauth2/token") as front:
        front.now = clock.now
        yield CrowdstrikeBench(cloud, front, clock)


class TestCrowdstrike(BackendSuite, HttpFailures, SlowActions):
    """The fixture `bench` is the module's."""


@pytest.mark.parametrize("text", ["pc1", "PC1", "pc1.corp.example.org", "PC1.CORP.EXAMPLE.ORG.", "10.0.0.5"])
def test_a_host_is_found_by_its_name_in_any_case_with_its_domain_and_by_its_address(
    bench: CrowdstrikeBench, text: str
) -> None:
    assert look(bench, aim(text)).subject.name == "PC1.corp.example.org"


def test_a_host_is_found_by_its_device_id(bench: CrowdstrikeBench) -> None:
    device_id = bench.cloud.by_name("twin").document["device_id"]
    assert look(bench, aim(device_id)).subject.id == device_id
    refused(bench, lambda: look(bench, aim("0" * 32)), NotFound)


def test_a_name_that_another_one_only_begins_with_never_stands_for_it(bench: CrowdstrikeBench) -> None:
    """The query for `pc1` brings PC10 and PC1-OLD, too."""
    run(bench, bench.target)
    contained = [one.document["hostname"] for one in bench.cloud.devices.values() if one.state == "contained"]
    assert contained == ["PC1"]
    refused(bench, lambda: look(bench, aim("10.0.0.1")), NotFound)


def test_the_same_name_in_two_domains_is_told_apart_by_the_domain(bench: CrowdstrikeBench) -> None:
    sentence = refused(bench, lambda: look(bench, aim("twin")), Ambiguous)
    assert "TWIN.corp.example.org (" in sentence
    assert look(bench, aim("twin.lab.example.org")).subject.name == "twin.lab.example.org"


def test_more_matches_than_one_look_brings_are_not_chosen_from(bench: CrowdstrikeBench) -> None:
    for number in range(101):
        bench.cloud.add(f"PC1{number:03}")
    assert "device id" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


@pytest.mark.parametrize(
    "text", ["pc1'", "pc1*", "pc1+status:'normal'", "pc1,pc2", "pc1\\", "pc 1", "[pc1]", "!pc1", ""]
)
def test_what_could_change_the_query_is_refused_before_falcon_is_asked(bench: CrowdstrikeBench, text: str) -> None:
    backend = bench.backend()
    assert "cannot be looked up" in refused(bench, lambda: backend.status(aim(text)), BackendError)
    backend.close()
    assert bench.front.requests == []


def test_the_filter_asks_for_either_case_and_for_the_first_label(bench: CrowdstrikeBench) -> None:
    assert falcon.query("pc1.corp") == "hostname:['pc1.corp','PC1.CORP','pc1','PC1']"
    assert falcon.query("10.0.0.5") == "local_ip:'10.0.0.5'"


@pytest.mark.parametrize(("name", "why"), [("ads", "Domain Controller"), ("files", "Server"), ("legacy", "Server")])
def test_what_the_sensor_calls_a_server_is_refused_whatever_its_name(
    bench: CrowdstrikeBench, name: str, why: str
) -> None:
    assert why in refused(bench, lambda: run(bench, aim(name)), Refused)
    assert bench.writes() == []


def test_a_host_whose_type_is_not_told_has_the_type_unknown(bench: CrowdstrikeBench) -> None:
    bench.cloud.add("ODD", product_type_desc=None)
    assert look(bench, aim("odd")).subject.types == ("unknown",)


def test_the_machine_this_runs_on_is_known(bench: CrowdstrikeBench) -> None:
    assert look(bench, aim("worker")).subject.own
    assert not look(bench, bench.target).subject.own


def test_guardrails_see_tags_bare_groups_and_organisational_units(bench: CrowdstrikeBench) -> None:
    found = look(bench, aim("tagged")).subject
    assert {"crown-jewels", "FalconGroupingTags/crown-jewels", "a" * 32, "Laptops"} <= set(found.tags)


def test_the_mark_is_a_grouping_tag_that_is_there_before_the_host_is_contained(bench: CrowdstrikeBench) -> None:
    run(bench, bench.target)
    assert bench.tags_of(bench.target) == ["FalconGroupingTags/propolis/case-128/by-analyst_40soc_2eexample"]
    assert [change.split()[0] for change in bench.writes()] == ["PATCH", "POST"]
    assert look(bench, bench.target).mark == MARK
    assert "SensorGroupingTags/site-1" in bench.cloud.by_name("pc1").tags


def test_an_undo_takes_the_tag_away_and_leaves_all_others(bench: CrowdstrikeBench) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert bench.cloud.by_name("pc1").tags == ["SensorGroupingTags/site-1"]


def test_a_host_lifted_by_hand_keeps_our_tag_until_an_undo_takes_it(bench: CrowdstrikeBench) -> None:
    """A tag left behind would prove that somebody else's later containment is ours."""
    run(bench, bench.target)
    bench.release_by_other_hands(bench.target)
    status = look(bench, bench.target)
    assert (status.contained, status.remains) == (False, True)
    assert undo(bench, bench.target).result == "released"
    assert bench.tags_of(bench.target) == []
    assert not [change for change in bench.writes() if "lift_containment" in change]


def test_a_new_containment_replaces_a_tag_that_was_left_behind(bench: CrowdstrikeBench) -> None:
    run(bench, bench.target)
    bench.release_by_other_hands(bench.target)
    run(bench, bench.target, mark=OTHER_MARK)
    assert [tags.mark_of(tag) for tag in bench.tags_of(bench.target)] == [OTHER_MARK]


@pytest.mark.parametrize(
    "mark",
    [
        MARK,
        "propolis",
        "propolis case=7 lease=l-1_2/3:4+5 by=a.b@c.example at=2026-01-01T00:00:00Z",
    ],
)
def test_a_tag_gives_the_mark_back(mark: str) -> None:
    tag = tags.tag_of(mark)
    assert tags.mark_of(tag) == mark


def test_a_mark_of_any_length_fits_into_a_tag() -> None:
    mark = "propolis case=1 by=" + "@" * 90
    assert tags.tag_of(mark) == "FalconGroupingTags/propolis/case-1"


@pytest.mark.parametrize(
    "tag", ["propolis/case-1", "FalconGroupingTags/propolisx/case-1", "SensorGroupingTags/propolis"]
)
def test_other_tags_prove_nothing(tag: str) -> None:
    assert tags.mark_of(tag) == ""


def test_a_change_that_does_not_show_at_once_counts_as_under_way(bench: CrowdstrikeBench) -> None:
    bench.cloud.lag = 8
    assert run(bench, bench.target, patience=60).result == "contained"
    assert undo(bench, bench.target, patience=60).result == "released"


def test_a_change_that_never_shows_is_not_claimed(bench: CrowdstrikeBench) -> None:
    bench.cloud.lag = 9e9
    refused(bench, lambda: run(bench, bench.target, patience=60), NotVerified)


def test_a_lift_that_fails_leaves_the_host_to_people(bench: CrowdstrikeBench) -> None:
    """Our tag went with the accepted lift, so nothing claims the containment any more."""
    run(bench, bench.target)
    bench.slow(10, fails=True)
    refused(bench, lambda: undo(bench, bench.target, patience=60), NotVerified)
    refused(bench, lambda: undo(bench, bench.target), NotOurs)


@pytest.mark.parametrize("status", [400, 403, 409])
def test_a_containment_that_falcon_refuses_leaves_no_tag(bench: CrowdstrikeBench, status: int) -> None:
    bench.cloud.refuse["contain"] = status
    sentence = refused(bench, lambda: run(bench, bench.target), BackendError)
    assert ("under way" in sentence) == (status == 409)
    assert ("crowdstrike_client_id" in sentence) == (status == 403)
    assert bench.tags_of(bench.target) == []
    assert not bench.in_force(bench.target)


def test_a_lift_in_conflict_is_an_error_unless_the_host_is_being_lifted(bench: CrowdstrikeBench) -> None:
    run(bench, bench.target)
    bench.cloud.refuse["lift_containment"] = 409
    assert "under way" in refused(bench, lambda: undo(bench, bench.target), BackendError)
    backend = bench.backend()
    seen = backend.status(bench.target)
    real = bench.cloud._action

    def overtaken(query: dict[str, list[str]], body: dict[str, object]) -> object:
        bench.release_by_other_hands(bench.target)
        return real(query, body)

    bench.cloud._action = overtaken  # type: ignore[method-assign, assignment]
    assert "being lifted already" in backend.release(bench.target, seen).done
    backend.close()


@pytest.mark.parametrize("status", [200, 202, 207])
@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_an_error_in_the_body_is_a_failure_whatever_the_status(
    bench: CrowdstrikeBench, method: str, status: int
) -> None:
    bench.cloud.body_errors[method] = status
    assert "backend said no" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert not bench.in_force(bench.target)
    assert bench.tags_of(bench.target) == [] or method == "PATCH"


def test_an_error_in_the_body_of_a_read_is_a_failure(bench: CrowdstrikeBench) -> None:
    bench.cloud.body_errors["GET"] = 200
    assert "backend said no" in refused(bench, lambda: look(bench, bench.target), BackendError)


def test_a_state_that_is_not_known_here_is_never_taken_for_one_that_is(bench: CrowdstrikeBench) -> None:
    bench.cloud.by_name("pc1").state = "filesystem_contained"
    assert "filesystem_contained" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_what_somebody_else_contained_since_the_look_is_left_alone(bench: CrowdstrikeBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "left as it is" in backend.contain(bench.target, seen, Terms(HOUR, MARK)).done
    assert "by us was there" in backend.release(bench.target, seen).done
    backend.close()
    assert bench.writes() == []


def test_what_is_being_lifted_since_the_look_is_not_contained(bench: CrowdstrikeBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.cloud.by_name("pc1").state = "lift_containment_pending"
    sentence = refused(bench, lambda: backend.contain(bench.target, seen, Terms(HOUR, MARK)), BackendError)
    backend.close()
    assert "being lifted" in sentence
    assert bench.writes() == []


@pytest.mark.parametrize("resources", [[], [{"id": "f" * 32}], [{"id": "f" * 32}, {"id": "e" * 32}]])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_answer_that_names_another_host_or_none_is_looked_into(
    bench: CrowdstrikeBench, method: str, resources: list[dict[str, object]]
) -> None:
    named = [{**one, "device_id": one["id"], "updated": True} for one in resources]
    real = bench.front.product

    def odd(asked: Asked) -> Told:
        if asked.method != method or "oauth2" in asked.target:
            return real(asked)
        return Told(202, json.dumps({"meta": {}, "errors": [], "resources": named}).encode())

    bench.front.product = odd
    assert "was not made" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_a_tag_that_falcon_did_not_take_stops_the_containment(bench: CrowdstrikeBench) -> None:
    device_id = bench.cloud.by_name("pc1").document["device_id"]
    real = bench.front.product

    def odd(asked: Asked) -> Told:
        if asked.method != "PATCH":
            return real(asked)
        refusal = {"device_id": device_id, "updated": False, "error": "tag limit reached"}
        return Told(200, json.dumps({"meta": {}, "errors": [], "resources": [refusal]}).encode())

    bench.front.product = odd
    assert "tag limit reached" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert not bench.in_force(bench.target)


def test_a_tag_that_could_not_be_taken_away_is_told_and_goes_with_the_next_undo(bench: CrowdstrikeBench) -> None:
    run(bench, bench.target)
    bench.cloud.body_errors["PATCH"] = 202
    outcome = undo(bench, bench.target)
    assert outcome.result == "released"
    assert "start ReleaseHost once more" in " ".join(outcome.remaining)
    bench.cloud.body_errors.clear()
    undo(bench, bench.target)
    assert bench.tags_of(bench.target) == []


def test_a_lost_undo_is_looked_up(bench: CrowdstrikeBench) -> None:
    run(bench, bench.target)
    bench.lose_answer()
    outcome = undo(bench, bench.target)
    assert outcome.result == "released"
    assert "the answer was lost" in outcome.done
    assert sum("lift_containment" in change for change in bench.writes()) == 1


def test_a_sensor_in_reduced_functionality_is_pointed_out(bench: CrowdstrikeBench) -> None:
    bench.cloud.by_name("pc1").document["reduced_functionality_mode"] = "yes"
    assert "reduced functionality" in " ".join(run(bench, bench.target).remaining)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_secret_names_the_items_and_shows_no_secret(bench: CrowdstrikeBench, status: int) -> None:
    bench.cloud.no_token = status
    backend = bench.backend(client_secret="wr0ng-" + SECRET)
    assert "crowdstrike_client_secret" in refused(bench, lambda: backend.status(bench.target), BackendError)
    backend.close()


@pytest.mark.parametrize("member", ["", "c" * 32])
def test_a_token_is_for_the_member_that_was_set_and_else_for_the_clients_own_customer(
    bench: CrowdstrikeBench, member: str
) -> None:
    backend = bench.backend(member_cid=member)
    backend.status(bench.target)
    backend.close()
    assert bench.cloud.logins[-1].get("member_cid", "") == member


@pytest.mark.shared
def test_every_request_is_one_that_the_vendors_own_clients_could_send(bench: CrowdstrikeBench, shared: Path) -> None:
    run(bench, bench.target)
    run(bench, bench.target, mark=OTHER_MARK)
    undo(bench, bench.target)
    look(bench, aim("10.0.0.5"))
    refused(bench, lambda: look(bench, aim("twin")), Ambiguous)
    backend = bench.backend(member_cid="c" * 32)
    backend.status(aim("pc2"))
    backend.close()
    contract = Contract(shared / "data/specs/crowdstrike.json", FIXTURES / "falcon_tags.yaml")
    assert {asked.method for asked in bench.front.requests} == {"GET", "POST", "PATCH"}
    assert [fault for asked in bench.front.requests for fault in contract.faults(read(asked))] == []


@pytest.mark.shared
def test_the_contract_would_notice(shared: Path) -> None:
    contract = Contract(shared / "data/specs/crowdstrike.json", FIXTURES / "falcon_tags.yaml")
    body = {"action": "add", "device_ids": ["a" * 32], "tags": ["FalconGroupingTags/propolis case"]}
    request = Request("PATCH", "/devices/entities/devices/tags/v1", (), {}, body, "application/json")
    assert "does not match" in " ".join(contract.faults(request))


def made(**more: object) -> Backend:
    items = {"crowdstrike_client_id": CLIENT, "crowdstrike_client_secret": SECRET, **more}
    backend: Backend = crowdstrike.make(Workbench(Items(items), ManualClock(), "http://proxy.example.org:3128"))
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "CrowdStrike Falcon at https://api.crowdstrike.com"
    eu = made(crowdstrike_url="https://api.eu-1.crowdstrike.com/")
    assert eu.where == "CrowdStrike Falcon at https://api.eu-1.crowdstrike.com"


def test_the_proxy_is_cortexs_unless_it_is_not_wanted() -> None:
    assert made()._falcon._client._proxy == "http://proxy.example.org:3128"  # type: ignore[attr-defined]
    assert made(crowdstrike_use_proxy=False)._falcon._client._proxy is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"crowdstrike_url": "http://api.crowdstrike.com"}, "https://"),
        ({"crowdstrike_client_id": None}, "crowdstrike_client_id"),
        ({"crowdstrike_client_secret": None}, "crowdstrike_client_secret"),
        ({"crowdstrike_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
        ({"timeout_seconds": 0}, "between 1 and 120"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)


def test_a_host_that_was_not_heard_of_for_a_day_is_left_alone(bench: CrowdstrikeBench) -> None:
    bench.clock.advance(25 * HOUR)
    assert "hosts.max_last_seen" in refused(bench, lambda: run(bench, bench.target), Refused)
    assert bench.writes() == []
