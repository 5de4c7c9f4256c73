"""The four responders with the backend `wazuh`, started as processes, as Cortex does, on what TheHive sends."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cortexjob import Report, run_job
from failing_front import Front
from fake_wazuh import PASSWORD, USER, FakeWazuh
from wazuh_bench import is_login

from propolis.clock import SystemClock
from propolis.containment.registry import responder
from propolis.containment.registry.definition import definition

CASE_OF_WEB01 = {"wazuh_agent_id": "003", "wazuh_agent_name": "web01"}
POLICY = "firewall: {own: [192.0.2.0/24]}"


class Jobs:
    """Runs jobs on an observable of a case that an alert of agent `web01` (003) became."""

    def __init__(self, wazuh: FakeWazuh, url: str, folder: Path, fixtures: Path):
        self.wazuh = wazuh
        self.agent = wazuh.add("003", "web01", "198.51.100.3", fim_delay=0)
        self._url, self._folder, self._fixtures = url, folder, fixtures
        self._numbers = itertools.count(1)

    def run(self, worker: str, flavour: str, data_type: str, data: str, **config: Any) -> Report:
        described = responder(worker)
        shipped = definition(described, next(one for one in described.flavours if one.name == flavour))
        payload = self._fixtures / "thehive_payloads" / "responder_input_v5_case_artifact.json"
        job: dict[str, Any] = json.loads(payload.read_text())
        job["data"].update(dataType=data_type, data=data)
        fields = {name: {"string": value, "order": 0} for name, value in CASE_OF_WEB01.items()}
        job["data"]["case"].update(customFields=fields)
        job["data"]["case"].pop("customFieldValues", None)
        defaults = {item["name"]: item.get("defaultValue") for item in shipped["configurationItems"]}
        saved = {
            "backend": "wazuh", "wazuh_url": self._url, "wazuh_user": USER, "wazuh_password": PASSWORD,
            "wazuh_agents": [], "wazuh_block_on": "victim", "policy": POLICY, "dry_run": False,
            "allow_without_expiry": True, "wait_seconds": 10, "wazuh_users_inventory": False,
        }  # fmt: skip
        job["config"] = {**defaults, "max_tlp": 2, "max_pap": 2, **saved, **shipped["config"], **config}
        report = run_job(self._folder / str(next(self._numbers)), "responders", shipped, job)
        assert PASSWORD not in report.text
        return report


@pytest.fixture
def jobs(tmp_path: Path, fixtures: Path) -> Iterator[Jobs]:
    wazuh = FakeWazuh(SystemClock())
    with Front(wazuh.answer, is_login) as front:
        yield Jobs(wazuh, front.url, tmp_path, fixtures)


@pytest.mark.parametrize(
    ("worker", "undo", "data_type", "data", "words"),
    [
        ("FirewallBlock", "FirewallUnblock", "ip", "203.0.113.45", ["block", "203.0.113.45", "86400"]),
        ("IsolateHost", "ReleaseHost", "hostname", "WEB01", ["isolate", "86400"]),
        ("AccountDisable", "AccountEnable", "username", "mallory", ["lock", "mallory"]),
        ("QuarantineFile", "RestoreFile", "filename", "/tmp/dropper", ["quarantine", "/tmp/dropper", "-"]),
    ],
)
def test_the_agent_of_the_case_contains_and_lets_go(
    jobs: Jobs, worker: str, undo: str, data_type: str, data: str, words: list[str]
) -> None:
    report = jobs.run(worker, worker, data_type, data)
    assert report.full["result"] == "contained"
    assert "web01 (003)" in report.full["verified"]
    assert report.full["mark"].startswith("propolis case=128 by=playbook@soc.example at=20")
    (operation,) = report.body["operations"]
    assert operation["tag"].startswith("propolis:contained:wazuh:until=")
    assert jobs.agent.calls[0] == [*words, report.full["mark"]]
    assert jobs.run(worker, undo, data_type, data).full["result"] == "released"
    assert len(jobs.agent.calls) == 2
    assert not jobs.agent.kernel


def test_a_dry_run_shows_the_call_and_sends_nothing(jobs: Jobs) -> None:
    full = jobs.run("FirewallBlock", "FirewallBlock", "ip", "203.0.113.45", dry_run=True).full
    assert full["result"] == "would_contain"
    assert "/active-response?agents_list=003 " in full["request"]
    assert '"arguments": ["block", "203.0.113.45", "86400", "propolis case=128' in full["request"]
    assert jobs.agent.calls == []


def test_what_the_host_refuses_is_the_jobs_error(jobs: Jobs) -> None:
    jobs.agent.spared.add("203.0.113.45")
    error = jobs.run("FirewallBlock", "FirewallBlock", "ip", "203.0.113.45").error
    assert "web01 (003): it said: 203.0.113.45 is never touched here" in error
