"""The Cortex responder around the flow, with the stub as its product: report, tags, and what holds it back."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from propolis.clock import ManualClock
from propolis.containment.backend import Status, Target
from propolis.containment.responder import ContainmentResponder, Workbench
from propolis.containment.stub import StubBackend
from propolis.containment.target import Wanted
from propolis.guardrails import Policy, Refused

POLICY = "firewall:\n  own: [192.0.2.0/24]\n"


class Stubbed(ContainmentResponder):
    worker_name = "StubBlock"
    wanted = Wanted((("ip", "ip"),), (), "ip")
    clock_in_use: ClassVar[ManualClock]
    product: ClassVar[StubBackend]
    backends: ClassVar[Any] = {"stub": lambda workbench: Stubbed.product}

    def __init__(self) -> None:
        super().__init__()
        self.clock = self.clock_in_use

    def canonical(self, target: Target) -> Target:
        return target

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        if target.value == "192.0.2.1":
            raise Refused("192.0.2.1 is never blocked: it is ours.", rule="test")


class Desk:
    """Runs jobs in this process, one folder each."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self._folder, self._monkeypatch, self._count = folder, monkeypatch, 0
        Stubbed.clock_in_use = self.clock = ManualClock()
        Stubbed.product = self.product = StubBackend(self.clock)

    def run(self, service: str = "contain", entity: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        self._count += 1
        folder = self._folder / str(self._count)
        (folder / "input").mkdir(parents=True)
        config = {"service": service, "backend": "stub", "policy": POLICY, "dry_run": False, **more.pop("config", {})}
        job = {
            "data": entity or {"dataType": "ip", "data": "203.0.113.7", "case": {"caseId": 128}},
            "dataType": "thehive:case_artifact",
            "parameters": {"user": "analyst@soc.example", "organisation": "soc", **more.pop("parameters", {})},
            "config": config,
            **more,
        }
        (folder / "input" / "input.json").write_text(json.dumps(job))
        self._monkeypatch.setattr("sys.argv", ["stub_block.py", str(folder)])
        with contextlib.suppress(SystemExit):
            Stubbed.main()
        report: dict[str, Any] = json.loads((folder / "output" / "output.json").read_text())
        return report


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_the_report_says_what_where_until_when_and_how_it_is_known(desk: Desk) -> None:
    report = desk.run()
    full = report["full"]
    assert full["message"] == "Contained 203.0.113.7 at memory until 2026-01-02T00:00:00Z; verified."
    assert (full["action"], full["result"], full["changed"]) == ("contain", "contained", True)
    assert full["verified"].startswith("read back from memory at 2026-01-01T00:00:00Z")
    assert full["mark"] == "propolis case=128 by=analyst@soc.example at=2026-01-01T00:00:00Z"
    assert full["target"] == {"kind": "ip", "value": "203.0.113.7", "from": "observable"}
    assert report["operations"] == [
        {"type": "AddTagToArtifact", "tag": "propolis:contained:stub:until=2026-01-02T00:00:00Z"}
    ]


def test_release_says_so_and_tags_it(desk: Desk) -> None:
    desk.run()
    desk.clock.advance(60)
    report = desk.run("release")
    assert report["full"]["message"] == "Released 203.0.113.7 at memory; verified."
    assert report["operations"][0]["tag"] == "propolis:released:stub:at=2026-01-01T00:01:00Z"
    again = desk.run("release")
    assert again["full"]["result"] == "already_released"
    assert again["operations"] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"config": {"dry_run": None}}, "dry_run is true"),
        ({"config": {"policy": None}}, "firewall.own"),
        ({"config": {"policy": POLICY + "mode: observe\n"}}, "mode: observe"),
        ({"parameters": {"look_only": True}}, "look_only"),
    ],
)
def test_what_holds_it_back_is_said_and_nothing_is_done(desk: Desk, change: dict[str, Any], reason: str) -> None:
    report = desk.run(**change)
    assert report["full"]["result"] == "would_contain"
    assert report["full"]["dry_run"] is True
    assert reason in " ".join(report["full"]["notes"])
    assert report["operations"] == []
    assert desk.product.writes == []


def test_the_kill_switch_holds_it_back_and_never_an_undo(desk: Desk, tmp_path: Path) -> None:
    switch = tmp_path / "STOP"
    policy = {"config": {"policy": f"{POLICY}kill_switch: {switch}\n"}}
    desk.run(**policy)
    switch.touch()
    assert desk.run(parameters={}, entity={"dataType": "ip", "data": "203.0.113.8"}, **policy)["full"]["result"] == (
        "would_contain"
    )
    assert desk.run("release", **policy)["full"]["result"] == "released"


def test_a_broken_policy_refuses_everything_but_an_undo(desk: Desk) -> None:
    desk.run()
    broken = {"config": {"policy": "firewall: {own: [300.0.0.0/8]}"}}
    report = desk.run(**broken)
    assert report["success"] is False
    assert "policy" in report["errorMessage"]
    assert desk.run("release", **broken)["full"]["result"] == "released"


def test_a_policy_that_wants_somebody_named(desk: Desk) -> None:
    wanted = {"config": {"policy": POLICY + "actor_required: true\n"}}
    assert "actor_required" in desk.run(parameters={"user": ""}, **wanted)["errorMessage"]
    assert desk.run(**wanted)["success"] is True


def test_a_refusal_is_a_failed_job_with_the_rule(desk: Desk) -> None:
    report = desk.run(entity={"dataType": "ip", "data": "192.0.2.1"})
    assert report["success"] is False
    assert report["errorMessage"] == "192.0.2.1 is never blocked: it is ours."
    assert desk.product.writes == []


def test_a_tag_on_the_case_counts_although_the_observable_has_others(desk: Desk) -> None:
    entity = {"dataType": "ip", "data": "203.0.113.7", "tags": ["src-ip"], "case": {"tags": ["propolis:for=4h"]}}
    assert desk.run(entity=entity)["full"]["duration"] == {"seconds": 14_400, "from": "tag propolis:for=4h"}


def test_a_tag_extends_what_is_in_force(desk: Desk) -> None:
    desk.run()
    entity = {"dataType": "ip", "data": "203.0.113.7", "tags": ["propolis:for=3d"]}
    report = desk.run(entity=entity)
    assert report["full"]["result"] == "extended"
    assert report["full"]["until"] == "2026-01-04T00:00:00Z"
    assert report["operations"]


def test_the_policys_ceiling_holds_for_every_wish(desk: Desk) -> None:
    entity = {"dataType": "ip", "data": "203.0.113.7", "tags": ["propolis:for=60d"]}
    assert desk.run(entity=entity)["full"]["duration"]["seconds"] == 7 * 86_400


def test_a_lease_stands_in_the_mark_and_in_the_report(desk: Desk) -> None:
    full = desk.run(parameters={"lease": "L-17"})["full"]
    assert full["lease"] == "L-17"
    assert "lease=L-17" in full["mark"]


def test_parameters_choose_no_target_and_switch_nothing_off(desk: Desk) -> None:
    parameters = {
        "target": "203.0.113.9",
        "data": "203.0.113.9",
        "dry_run": False,
        "policy": None,
        "service": "release",
    }
    report = desk.run(parameters=parameters, config={"dry_run": True})
    assert report["full"]["target"]["value"] == "203.0.113.7"
    assert report["full"]["result"] == "would_contain"


def test_a_kind_that_the_product_cannot_contain_is_refused(desk: Desk) -> None:
    desk.product.kinds = ("account",)
    assert "stub cannot contain a ip" in desk.run()["errorMessage"]


def test_an_unknown_backend_is_refused_with_those_there_are(desk: Desk) -> None:
    assert "must be one of stub" in desk.run(config={"backend": "iptables"})["errorMessage"]


def test_the_backend_gets_what_it_is_made_from(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Workbench] = []
    factory = {"stub": lambda workbench: seen.append(workbench) or desk.product}  # type: ignore[func-returns-value]
    monkeypatch.setattr(Stubbed, "backends", factory)
    desk.run(config={"proxy": {"https": "http://192.0.2.8:3128"}})
    assert seen[0].proxy == "http://192.0.2.8:3128"
    assert seen[0].items.text("backend") == "stub"


def test_a_kill_switch_thrown_while_the_job_runs_still_stops_it(desk: Desk, tmp_path: Path) -> None:
    switch = tmp_path / "stop"
    status = desk.product.status

    def thrown(target: Target) -> Status:
        switch.touch()
        return status(target)

    desk.product.status = thrown  # type: ignore[method-assign]
    report = desk.run(config={"policy": f"{POLICY}kill_switch: {switch}\n"})
    assert "kill switch is on" in report["errorMessage"]
    assert desk.product.writes == []


def test_a_dry_run_also_says_what_would_keep_it_from_being_done(desk: Desk) -> None:
    desk.product.expires = False
    full = desk.run(config={"dry_run": True})["full"]
    assert full["result"] == "would_contain"
    assert "allow_without_expiry" in full["message"]
    assert "allow_without_expiry" in desk.run()["errorMessage"]
    assert desk.product.writes == []


def test_a_job_that_names_nobody_is_refused_where_the_policy_wants_somebody(desk: Desk) -> None:
    policy = {"policy": f"{POLICY}actor_required: true\n"}
    assert "names no user" in desk.run(config=policy, parameters={"user": ""})["errorMessage"]
    assert desk.run(config=policy)["full"]["result"] == "contained"


def test_a_look_changes_nothing_and_says_what_is_there(desk: Desk) -> None:
    look = {"look_only": True}
    assert desk.run(parameters=look)["full"]["result"] == "would_contain"
    assert desk.product.writes == []
    desk.run()
    assert desk.run(parameters=look)["full"]["result"] == "already_contained"
    assert desk.product.writes == ["contain 203.0.113.7"]


def test_a_duration_tagged_on_the_case_counts_where_the_observable_has_none(desk: Desk) -> None:
    case = {"caseId": 128, "tags": ["propolis:for=2h"]}
    entity = {"dataType": "ip", "data": "203.0.113.7", "tags": ["src-ip"], "case": case}
    assert desk.run(entity=entity)["full"]["duration"] == {"seconds": 7200, "from": "tag propolis:for=2h"}
    entity["tags"] = ["propolis:for=1h"]
    assert desk.run(entity=entity, config={"dry_run": True})["full"]["duration"]["seconds"] == 3600
