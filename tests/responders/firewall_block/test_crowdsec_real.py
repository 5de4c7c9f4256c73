"""The backend `crowdsec` against a real Local API, and whole jobs whose bans a real firewall bouncer enforces."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cortexjob import Report, definition, run_job
from crowdsec_lab import Lapi, lacking
from failing_front import Front
from fake_lapi import MACHINE, PASSWORD
from netns import Lab, missing_tools, wait_until
from suite import HOUR, BackendSuite, Bench
from workers import load_backend

from propolis.clock import SystemClock
from propolis.containment.backend import Backend, Target

pytestmark = pytest.mark.daemon

crowdsec = load_backend("FirewallBlock", "crowdsec")
FW, PEER, OTHER = "198.51.100.1", "198.51.100.2", "198.51.100.3"


class RealBench(Bench):
    """LAPI behind a front that keeps the log and can lose an answer; CrowdSec's own command looks."""

    clock = SystemClock()
    target = Target("ip", "203.0.113.7", "test")
    other = Target("ip", "2001:db8::7", "test")
    secrets = (PASSWORD,)
    short = 4

    def __init__(self, lapi: Lapi, front: Front):
        self.lapi, self.front = lapi, front

    def backend(self) -> Backend:
        settings = crowdsec.Settings(self.front.url, MACHINE, PASSWORD, None, 5.0)
        made: Backend = crowdsec.CrowdsecBackend(settings, self.clock)
        return made

    def writes(self) -> list[str]:
        return list(self.front.changes)

    def in_force(self, target: Target) -> bool:
        return self.lapi.banned(target.value)

    def contain_by_other_hands(self, target: Target) -> None:
        self.lapi.cscli("decisions", "add", "--ip", target.value, "--duration", "1h", "--reason", "ticket 17")

    def release_by_other_hands(self, target: Target) -> None:
        self.lapi.cscli("decisions", "delete", "--ip", target.value)

    def lose_answer(self) -> None:
        self.front.lose_next = True

    def take_down(self) -> None:
        self.front.take_down()


@pytest.fixture(scope="module")
def lapi(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Iterator[Lapi]:
    need(not lacking(), f"CrowdSec ({', '.join(lacking())})")
    with Lapi(tmp_path_factory.mktemp("crowdsec") / "lapi") as running:
        yield running


class TestCrowdsecReal(BackendSuite):
    @pytest.fixture
    def bench(self, lapi: Lapi) -> Iterator[RealBench]:
        with Front(lapi.answer, lambda asked: asked.target.endswith("/watchers/login")) as front:
            yield RealBench(lapi, front)
        lapi.cscli("decisions", "delete", "--all")


def test_a_range_is_not_taken_away_with_an_address_in_it(lapi: Lapi) -> None:
    settings = crowdsec.Settings(lapi.url, MACHINE, PASSWORD, None, 5.0)
    backend = crowdsec.CrowdsecBackend(settings, SystemClock())
    network, one = Target("ip", "203.0.113.0/24", "test"), Target("ip", "203.0.113.7", "test")
    terms = crowdsec.Terms(HOUR, "propolis case=128")
    for target in (one, network):
        backend.contain(target, backend.status(target), terms)
    assert backend.status(one).ours
    backend.release(one, backend.status(one))
    assert not lapi.banned("203.0.113.7")
    assert lapi.banned("203.0.113.0/24")
    assert (backend.status(one).contained, backend.status(one).ours) == (True, False)
    backend.release(network, backend.status(network))
    backend.close()
    assert not lapi.banned("203.0.113.0/24")


class Site:
    """A firewall with LAPI and bouncer, an attacker with two addresses, and Cortex on the firewall."""

    def __init__(self, lab: Lab, lapi: Lapi, folder: Path, fixtures: Path):
        self.lab, self.lapi = lab, lapi
        self._folder, self._fixtures = folder, fixtures
        self._numbers = itertools.count(1)

    def run(self, flavour: str, data: str = PEER, **parameters: Any) -> Report:
        shipped = definition("responders", "FirewallBlock", flavour)
        payload = self._fixtures / "thehive_payloads" / "responder_input_v5_case_artifact.json"
        job: dict[str, Any] = json.loads(payload.read_text())
        job["data"].update(dataType="ip", data=data)
        job["parameters"].update(parameters)
        defaults = {item["name"]: item.get("defaultValue") for item in shipped["configurationItems"]}
        account = {"crowdsec_url": self.lapi.url, "crowdsec_machine_id": MACHINE, "crowdsec_password": PASSWORD}
        saved = {"backend": "crowdsec", "policy": "firewall: {own: [192.0.2.0/24]}", "dry_run": False}
        job["config"] = {**defaults, **saved, **account, "max_tlp": 2, "max_pap": 2, **shipped["config"]}
        folder = self._folder / str(next(self._numbers))
        report = run_job(folder, "responders", shipped, job, prefix=self.lab.prefix("fw"))
        assert PASSWORD not in report.text
        return report

    def reaches(self, source: str = PEER) -> bool:
        return self.lab.pings("peer", FW, source=source)


@pytest.fixture
def site(tmp_path: Path, fixtures: Path, need: Callable[[object, str], None]) -> Iterator[Site]:
    missing = [*lacking(), *missing_tools()]
    need(not missing, f"CrowdSec and nftables in network namespaces ({', '.join(missing)})")
    with Lab(tmp_path) as lab:
        lab.host("fw")
        lab.host("peer")
        lab.cable(("fw", [f"{FW}/24"]), ("peer", [f"{PEER}/24", f"{OTHER}/24"]))
        with Lapi(tmp_path / "lapi", lab.prefix("fw"), 8080) as lapi:
            lapi.bouncer()
            yield Site(lab, lapi, tmp_path / "jobs", fixtures)


@pytest.mark.root
def test_traffic_stops_and_comes_back_by_itself_and_by_an_undo(site: Site) -> None:
    wait_until(site.reaches, 5, "the network is up")
    assert site.run("FirewallBlock", duration_seconds=8).full["result"] == "contained"
    wait_until(lambda: not site.reaches(), 10, "the bouncer blocks")
    assert site.reaches(OTHER)
    wait_until(site.reaches, 20, "the ban ends by itself")
    report = site.run("FirewallBlock").full
    assert report["message"].startswith(f"Contained {PEER} at CrowdSec at http://127.0.0.1:8080 until 20")
    assert report["mark"].startswith("propolis case=128 by=playbook@soc.example")
    wait_until(lambda: not site.reaches(), 10, "the bouncer blocks again")
    site.lapi.cscli("decisions", "add", "--ip", OTHER, "--duration", "1h")
    wait_until(lambda: not site.reaches(OTHER), 10, "the bouncer blocks the other")
    assert "somebody else" in site.run("FirewallBlock", OTHER).full["message"]
    assert "only what we did" in site.run("FirewallUnblock", OTHER).error
    assert site.run("FirewallUnblock").full["result"] == "released"
    wait_until(site.reaches, 10, "the undo takes effect")
    assert not site.reaches(OTHER)


@pytest.mark.root
def test_an_extension_warns_that_the_bouncer_may_open_at_the_first_end(site: Site) -> None:
    """Measured: pings came through once the first ban had ended, while LAPI, all we can read, said it was banned."""
    assert site.run("FirewallBlock", duration_seconds=600).full["result"] == "contained"
    wait_until(lambda: not site.reaches(), 10, "the bouncer blocks")
    report = site.run("FirewallBlock", duration_seconds=1200, renew=True)
    assert report.full["result"] == "extended"
    assert "when the first ban ends" in report.text
    assert not site.reaches()
    assert site.run("FirewallUnblock").full["result"] == "released"
    wait_until(site.reaches, 10, "the undo takes effect")
