"""FirewallBlock's backend `crowdsec`: the suite, and what is CrowdSec's own, against a LAPI that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
import yaml
from failing_front import Asked, Front
from fake_lapi import MACHINE, PASSWORD, FakeLapi
from front_bench import FrontBench
from suite import HOUR, MARK, BackendSuite, Failure, HttpFailures, look, refused, run, undo
from workers import load_backend, load_responder

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Target, Terms
from propolis.containment.flow import NotVerified
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy
from propolis.worker.items import Items

crowdsec = load_backend("FirewallBlock", "crowdsec")
responder = load_responder("FirewallBlock", "firewall_block")


def aim(value: str) -> Target:
    return Target("ip", value, "test")


class CrowdsecBench(FrontBench):
    target = aim("203.0.113.7")
    other = aim("2001:db8::7")
    protected = tuple(aim(text) for text in ("10.0.0.5", "198.51.100.9", "0.0.0.0/0", "127.0.0.1", "203.0.112.0/20"))
    hostile = tuple(
        aim(text)
        for text in (
            "203.0.113.7&scope=Country",
            "203.0.113.7?contains=false",
            "../decisions",
            "203.0.113.7\r\nX-Evil: 1",
            "203.0.113.7,203.0.113.9",
            "010.1.1.8",
            "nonsense",
            "%",
            "",
        )
    )
    secrets = (PASSWORD,)

    def __init__(self, lapi: FakeLapi, front: Front, clock: ManualClock):
        self.lapi, self.front, self.clock = lapi, front, clock
        self.policy = Policy.parse("firewall: {own: [198.51.100.0/24], max_prefix_v4: 24}")

    def backend(self, **changes: object) -> Backend:
        settings = crowdsec.Settings(self.front.url, MACHINE, PASSWORD, None, 0.4)._replace(**changes)
        made: Backend = crowdsec.CrowdsecBackend(settings, self.clock)
        return made

    def in_force(self, target: Target) -> bool:
        return self.lapi.banned(target.value)

    def contain_by_other_hands(self, target: Target) -> None:
        self.lapi.ban(target.value, HOUR, scenario="crowdsecurity/ssh-bf", message="performed 'crowdsecurity/ssh-bf'")

    def release_by_other_hands(self, target: Target) -> None:
        self.lapi.lift(target.value)

    def expire_token(self) -> None:
        self.lapi.tokens.clear()

    def token_requests(self) -> int:
        return self.lapi.logins


@pytest.fixture
def bench() -> Iterator[CrowdsecBench]:
    clock = ManualClock()
    lapi = FakeLapi(clock)
    with Front(lapi.answer, lambda asked: asked.target.endswith("/watchers/login")) as front:
        front.now = clock.now
        yield CrowdsecBench(lapi, front, clock)


class TestCrowdsec(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def decisions(bench: CrowdsecBench, value: str) -> list[dict[str, Any]]:
    """The active decisions for exactly this value."""
    found = [one for alert in bench.lapi.alerts for one in alert["decisions"] if one["value"] == value]
    return [one for one in found if one["until"] > bench.clock.now()]


def test_the_end_is_counted_from_lapis_own_time(bench: CrowdsecBench) -> None:
    """A worker whose clock is a day behind would else ban for nothing: LAPI adds the duration to `stop_at`."""
    ahead = ManualClock(bench.clock.now() + 24 * HOUR)
    bench.lapi._clock, bench.front.now = ahead, ahead.now
    assert run(bench, bench.target).result == "contained"
    (decision,) = decisions(bench, "203.0.113.7")
    assert decision["until"] == pytest.approx(ahead.now() + HOUR, abs=1)
    until = look(bench, bench.target).until
    assert until == pytest.approx(bench.clock.now() + HOUR, abs=1)


def test_a_second_block_makes_no_second_decision(bench: CrowdsecBench) -> None:
    run(bench, bench.target)
    run(bench, bench.target)
    assert len(decisions(bench, "203.0.113.7")) == 1


def test_a_network_is_a_range_and_what_lies_in_it_is_contained_but_not_ours_to_take_out(bench: CrowdsecBench) -> None:
    network, one = aim("203.0.113.0/24"), aim("203.0.113.7")
    assert run(bench, network).result == "contained"
    assert decisions(bench, "203.0.113.0/24")[0]["scope"] == "Range"
    status = look(bench, one)
    assert (status.contained, status.ours) == (True, False)
    assert "203.0.113.0/24" in status.detail
    refused(bench, lambda: undo(bench, one))
    assert bench.in_force(one)
    assert undo(bench, network).result == "released"


def test_an_undo_leaves_the_network_around_it(bench: CrowdsecBench) -> None:
    run(bench, bench.target)
    bench.lapi.ban("203.0.113.0/24", HOUR, scenario="ticket", message="by hand")
    sentence = refused(bench, lambda: undo(bench, bench.target), NotVerified)
    assert "203.0.113.0/24" in sentence
    assert not decisions(bench, "203.0.113.7")
    assert decisions(bench, "203.0.113.0/24")


def test_crowdsecs_own_ban_of_the_same_address_stays_and_is_named(bench: CrowdsecBench) -> None:
    run(bench, bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "besides decision 2 (crowdsecurity/ssh-bf)" in look(bench, bench.target).detail
    assert "crowdsecurity/ssh-bf" in refused(bench, lambda: undo(bench, bench.target), NotVerified)
    assert [one["id"] for one in decisions(bench, "203.0.113.7")] == [2]


def test_our_scenario_without_our_mark_is_not_ours(bench: CrowdsecBench) -> None:
    bench.lapi.ban("203.0.113.7", HOUR, scenario=crowdsec.SCENARIO, message="somebody tries something")
    bench.lapi.ban("203.0.113.8", HOUR, scenario="ticket", message=MARK)
    assert not look(bench, aim("203.0.113.7")).ours
    assert not look(bench, aim("203.0.113.8")).ours


def test_what_a_firewall_does_not_enforce_is_no_containment(bench: CrowdsecBench) -> None:
    bench.lapi.ban("203.0.113.7", HOUR, scenario="web", message="slow down", kind="captcha")
    assert not look(bench, bench.target).contained
    assert run(bench, bench.target).result == "contained"


def test_an_extension_is_undone_whole(bench: CrowdsecBench) -> None:
    run(bench, bench.target)
    run(bench, bench.target, 3 * HOUR, extend=True)
    assert len(decisions(bench, "203.0.113.7")) == 2
    assert undo(bench, bench.target).result == "released"
    assert not decisions(bench, "203.0.113.7")


def test_what_an_allowlist_of_crowdsec_holds_is_refused_before_anything_is_written(bench: CrowdsecBench) -> None:
    bench.lapi.allowlist = {"203.0.113.7": "partner vpn"}
    assert "partner vpn" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "partner vpn" in refused(bench, lambda: run(bench, bench.target, observing=("dry_run",)), BackendError)
    assert bench.writes() == []
    assert run(bench, bench.other).result == "contained"


def test_an_undo_does_not_ask_the_allowlists(bench: CrowdsecBench) -> None:
    run(bench, bench.target)
    bench.lapi.allowlist = {"203.0.113.7": "partner vpn"}
    assert undo(bench, bench.target).result == "released"


def test_what_somebody_else_banned_since_the_look_is_left_alone(bench: CrowdsecBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "left as it is" in backend.contain(bench.target, seen, Terms(HOUR, MARK)).done
    assert "by us was there" in backend.release(bench.target, seen).done
    backend.close()
    assert bench.writes() == []


def test_a_lost_answer_is_told_and_so_is_a_lost_undo(bench: CrowdsecBench) -> None:
    bench.lose_answer()
    assert "the answer was lost" in run(bench, bench.target).done
    bench.lose_answer()
    assert undo(bench, bench.target).result == "released"
    assert sum("DELETE" in change for change in bench.writes()) == 1


def test_an_extension_whose_request_was_lost_is_not_taken_for_made(bench: CrowdsecBench) -> None:
    run(bench, bench.target)
    bench.fail(Failure.HALF_BODY, writes_only=True)
    assert "not made" in refused(bench, lambda: run(bench, bench.target, 3 * HOUR, extend=True), BackendError)


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "2"}, {"Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT"}, {"X-RateLimit-Reset": "1767225605000"}],
    ids=["seconds", "date", "epoch ms"],
)
def test_a_change_that_was_put_off_is_made_after_the_wait(bench: CrowdsecBench, headers: dict[str, str]) -> None:
    bench.front.refuse_once = [(429, headers), (503, headers)]
    start = bench.clock.now()
    assert run(bench, bench.target).result == "contained"
    assert bench.clock.now() > start
    assert len(decisions(bench, "203.0.113.7")) == 1


def test_a_token_that_ends_between_look_and_change_is_renewed(bench: CrowdsecBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.expire_token()
    backend.contain(bench.target, seen, Terms(HOUR, MARK))
    backend.close()
    assert bench.in_force(bench.target)
    assert bench.token_requests() == 2


def test_a_wrong_password_is_one_sentence_that_names_the_items(bench: CrowdsecBench) -> None:
    backend = bench.backend(password="another")
    assert "crowdsec_password" in refused(bench, lambda: backend.status(bench.target), BackendError)


@pytest.mark.parametrize(
    "alerts", [[{"decisions": [{"duration": "1h", "type": "ban", "value": "203.0.113.7"}]}], [{"decisions": [7]}], [5]]
)
def test_alerts_of_another_shape_are_one_sentence(bench: CrowdsecBench, alerts: Any) -> None:
    bench.lapi._found = lambda query: alerts  # type: ignore[method-assign]
    refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_decisions_about_anything_but_addresses_are_passed_over(bench: CrowdsecBench) -> None:
    strange = {"id": 9, "type": "ban", "scope": "Country", "value": "XX", "duration": "1h", "scenario": "x"}
    bench.lapi._found = lambda query: [{"id": 1, "decisions": [strange]}]  # type: ignore[method-assign]
    assert not look(bench, bench.target).contained


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("59m59.5s", 3599.5), ("9h59m59s", 35999), ("-22.5ms", -0.0225), ("-7802h18m37.8s", -28088317.8), ("0s", 0),
     ("1d", 0), ("", 0), ("h", 0), ("12", 0)],
)  # fmt: skip
def test_durations_as_go_writes_them(text: str, seconds: float) -> None:
    assert crowdsec.go_seconds(text) == pytest.approx(seconds)


@pytest.mark.shared
def test_every_request_is_one_of_crowdsecs_own_description(bench: CrowdsecBench, shared: Path) -> None:
    bench.lapi.allowlist = {}
    run(bench, bench.target)
    undo(bench, bench.target)
    run(bench, aim("203.0.113.0/24"))
    spec = yaml.safe_load((shared / "data" / "specs" / "crowdsec-lapi.yaml").read_text())
    checked = {_check(spec, asked) for asked in bench.front.requests}
    assert checked == {
        "post /watchers/login", "get /alerts", "post /alerts", "delete /decisions/{decision_id}",
        "get /allowlists/check/{ip_or_range}",
    }  # fmt: skip


def _check(spec: dict[str, Any], asked: Asked) -> str:
    """Hold a request against the description; gives the operation it is."""
    parts = urlsplit(asked.target)
    steps = parts.path.removeprefix(spec["basePath"]).split("/")
    (path,) = (path for path in spec["paths"] if _fits(path.split("/"), steps))
    operation = spec["paths"][path][asked.method.lower()]
    known = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert set(parse_qs(parts.query)) <= {name for name, one in known.items() if one["in"] == "query"}
    if "body" in known:
        assert asked.headers["content-type"] == "application/json"
        jsonschema.validate(json.loads(asked.body), {**known["body"]["schema"], "definitions": spec["definitions"]})
    return f"{asked.method.lower()} {path}"


def _fits(path: list[str], steps: list[str]) -> bool:
    same = len(path) == len(steps)
    return same and all(one.startswith("{") or one == step for one, step in zip(path, steps, strict=True))


def made(**more: object) -> Backend:
    items = {"crowdsec_url": "https://lapi.example.org:8080", "crowdsec_machine_id": MACHINE, **more}
    items.setdefault("crowdsec_password", PASSWORD)
    backend: Backend = responder.BACKENDS["crowdsec"](crowdsec.Workbench(Items(items), ManualClock(), None))
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == "CrowdSec at https://lapi.example.org:8080"
    assert made(crowdsec_url="http://127.0.0.1:8080/").where == "CrowdSec at http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"crowdsec_url": None}, "crowdsec_url"),
        ({"crowdsec_url": "http://lapi.example.org:8080"}, "https://"),
        ({"crowdsec_machine_id": None}, "crowdsec_machine_id"),
        ({"crowdsec_password": None}, "crowdsec_password"),
        ({"crowdsec_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)
