"""The project's own workers, run by the lab's Cortex as processes, started from the lab's TheHive."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab import Lab

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "playbook_service" / "samples"


@pytest.fixture
def lab(make_lab: Callable[..., Lab], reports: Path) -> Lab:
    made = make_lab(5, analyzers=[ROOT / "analyzers"], responders=[ROOT / "responders"], reports=[reports])
    made.enable_all()
    return made


@pytest.fixture
def service(lab: Lab, rest: Any) -> Any:
    rest(lab, "admin").post("api/v1/observable/type", {"name": "wazuh-alert"})
    return rest(lab, "service")


def place(service: Any, kind: str, data: str) -> str:
    """An observable in a new case."""
    case = service.post("api/v1/case", {"title": "t", "description": "d"})["_id"]
    return service.post(f"api/v1/case/{case}/observable", {"dataType": kind, "data": data})[0]["_id"]


def analyse(lab: Lab, service: Any, worker: str, target: str, **parameters: Any) -> dict[str, Any]:
    body = {"analyzerId": worker, "cortexId": "Cortex-01", "artifactId": target, "parameters": parameters}
    job = service.post("api/connector/cortex/job", body)
    lab.settle(60)
    return service.get(f"api/connector/cortex/job/{job['id']}")


def sample(rule: str) -> str:
    lines = (SAMPLES / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if json.loads(line)["rule"]["id"] == rule)


def test_every_definition_is_one_that_cortex_takes(lab: Lab):
    """cortex.md 1: no stray JSON beside a definition; every enabled worker has its definition's name."""
    assert lab.cortex.invalid_definitions == []
    names = {worker.name for worker in lab.cortex.workers.values()}
    assert {"WazuhAlert_1_0", "ConsensusScore_1_0", "FirewallBlock_1_0", "FirewallUnblock_1_0"} <= names


def test_wazuh_alert_reads_an_alert_and_its_observables_join_the_case(lab: Lab, service: Any):
    """The artifacts that WazuhAlert tags `autoImport:true` become observables (TheHive 5.1+)."""
    target = place(service, "wazuh-alert", sample("5712"))
    job = analyse(lab, service, "WazuhAlert_1_0", target)
    assert job["status"] == "Success", job["report"]
    assert "203.0.113.17" in {one.get("data") for one in job["report"]["artifacts"]}
    of_case = [{"_name": "getObservable", "idOrName": target}, {"_name": "case"}, {"_name": "observables"}]
    assert "203.0.113.17" in {one["data"] for one in service.query(*of_case)}
    assert service.get(f"api/v1/observable/{target}")["reports"]["WazuhAlert_1_0"]["taxonomies"]


def test_consensus_score_weighs_the_reports_it_is_handed(lab: Lab, service: Any, rest: Any):
    """ConsensusScore through TheHive, with the recorded jobs as `parameters.reports`."""
    target = place(service, "ip", "203.0.113.45")
    jobs = [analyse(lab, service, name, target)["cortexJobId"] for name in ("AbuseIPDB_2_0", "OTXQuery_2_0")]
    cortex = rest(lab, "cortex_service")
    handed = [cortex.get(f"api/job/{job}/report") for job in jobs]
    job = analyse(lab, service, "ConsensusScore_1_0", target, reports=handed)
    assert job["status"] == "Success", job["report"]
    full = job["report"]["full"]
    assert (full["malicious"], full["suspicious"]) == (1, 1)
    assert full["verdict"] in ("malicious", "suspicious")


def test_firewall_block_says_what_it_would_do(lab: Lab, service: Any):
    """FirewallBlock from the observable's menu, dry: it succeeds and names the address, and changes nothing."""
    target = place(service, "ip", "203.0.113.45")
    body = {"responderId": "FirewallBlock_1_0", "objectType": "case_artifact", "objectId": target}
    service.post("api/connector/cortex/action", body, status=200)
    lab.settle(60)
    action = service.get(f"api/connector/cortex/action/case_artifact/{target}")[0]
    assert "203.0.113.45" in action["report"]
    assert action["status"] in ("Success", "Failure")


def test_workers_run_by_thehive_alone(lab: Lab, service: Any):
    """RunAnalyzer -> WazuhAlert, RunResponder -> FirewallBlock: no service, no parameters but who and where."""
    only = {
        "_and": [
            {"_is": {"_field": "action", "_value": "create"}},
            {"_is": {"_field": "object.dataType", "_value": "wazuh-alert"}},
        ]
    }
    rule = {"name": "FilteredEvent", "filter": only}
    lab.add_notification({"trigger": rule, "notifier": {"name": "RunAnalyzer", "analyzers": ["WazuhAlert_1_0"]}})
    addresses = {
        "_and": [
            {"_is": {"_field": "action", "_value": "create"}},
            {"_is": {"_field": "object.data", "_value": "203.0.113.17"}},
        ]
    }
    rule = {"name": "FilteredEvent", "filter": addresses}
    lab.add_notification({"trigger": rule, "notifier": {"name": "RunResponder", "responders": ["FirewallBlock_1_0"]}})
    target = place(service, "wazuh-alert", sample("5712"))
    lab.settle(60)
    assert service.get(f"api/v1/observable/{target}")["reports"]["WazuhAlert_1_0"]["taxonomies"]
    found = service.query(
        {"_name": "listObservable"}, {"_name": "filter", "_eq": {"_field": "data", "_value": "203.0.113.17"}}
    )
    actions = service.get(f"api/connector/cortex/action/case_artifact/{found[0]['_id']}")
    assert [one["responderName"] for one in actions] == ["FirewallBlock_1_0"]
    assert actions[0]["status"] in ("Success", "Failure")
