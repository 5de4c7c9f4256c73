"""The bundled samples have the form of the real engine, tell enough stories, and are nobody else's data."""

from __future__ import annotations

import ipaddress
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import playbook_service

SAMPLES = Path(playbook_service.__file__).parent / "samples"
LOCAL_RULES = {"100622", "108001"}
COMPLIANCE = ("pci_dss", "gdpr", "gpg13", "hipaa", "nist_800_53", "tsc")
DOCUMENTATION = [
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
TOP_LEVEL = [
    "timestamp",
    "rule",
    "agent",
    "manager",
    "id",
    "previous_output",
    "previous_log",
    "full_log",
    "syscheck",
    "predecoder",
    "decoder",
    "data",
    "location",
]


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines()]


ALERTS = lines("alerts.jsonl")


def source(alert: dict[str, Any]) -> str:
    decoder = alert["decoder"]["name"]
    if decoder == "windows_eventchannel":
        return f"windows:{alert['data']['win']['system']['channel']}"
    return alert["location"] if decoder.startswith("json") else decoder


def texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in texts(value)]
    if isinstance(node, list):
        return [text for value in node for text in texts(value)]
    return [node] if isinstance(node, str) else []


def test_there_are_enough_alerts_from_enough_sources() -> None:
    assert len(ALERTS) >= 70
    assert len({source(alert) for alert in ALERTS}) >= 30


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert['rule']['id']}-{alert['id']}")
def test_an_alert_has_the_form_of_the_engine(alert: dict[str, Any]) -> None:
    assert list(alert) == [key for key in TOP_LEVEL if key in alert]
    assert {"timestamp", "rule", "agent", "manager", "id", "decoder", "location"} <= set(alert)
    moment = datetime.strptime(alert["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", alert["timestamp"])
    assert re.fullmatch(rf"{int(moment.timestamp())}\.\d+", alert["id"])
    rule = alert["rule"]
    assert isinstance(rule["level"], int)
    assert isinstance(rule["id"], str)
    assert rule["mail"] is (rule["level"] >= 12)
    assert rule["firedtimes"] >= 1
    assert re.fullmatch(r"\d{3}", alert["agent"]["id"])
    assert ("ip" in alert["agent"]) == (alert["agent"]["id"] != "000")


def numbers(node: Any, path: str = "") -> list[str]:
    """Paths of numbers and truth values that the JSON decoder would have written as text: those outside of lists."""
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in numbers(value, f"{path}.{key}")]
    return [path] if isinstance(node, (int, float)) or node is None else []


def test_below_data_numbers_are_texts_except_inside_lists() -> None:
    assert [f"{alert['id']}{path}" for alert in ALERTS for path in numbers(alert.get("data", {}))] == []


def test_backslashes_of_windows_events_are_doubled_and_those_of_fim_are_not() -> None:
    events = [alert["data"]["win"] for alert in ALERTS if alert["decoder"]["name"] == "windows_eventchannel"]
    values = [text for win in events for key in win if key != "system" for text in texts(win[key])]
    assert any("\\\\" in text for text in values)
    assert [text for text in values if re.search(r"(?<!\\)\\(?![\\\"])", text)] == []
    paths = [alert["syscheck"]["path"] for alert in ALERTS if "syscheck" in alert]
    assert [path for path in paths if "\\\\" in path] == []


def test_ids_are_unique_and_grow_with_time() -> None:
    ids = [alert["id"] for alert in ALERTS]
    assert len(set(ids)) == len(ids)
    positions = [int(text.partition(".")[2]) for text in ids]
    assert positions == sorted(positions)
    assert [alert["timestamp"] for alert in ALERTS] == sorted(alert["timestamp"] for alert in ALERTS)


def test_an_agent_has_one_name_and_one_address() -> None:
    agents = {json.dumps(alert["agent"], sort_keys=True) for alert in ALERTS}
    assert len({json.loads(agent)["id"] for agent in agents}) == len(agents)


def test_only_addresses_and_names_reserved_for_documentation_are_used() -> None:
    for name in ("alerts.jsonl", "reports.jsonl", "labels.jsonl", "policy.yml"):
        text = (SAMPLES / name).read_text(encoding="utf-8")
        for found in set(re.findall(r"(?<![\d./])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])", text)):
            if all(int(part) < 256 for part in found.split(".")):
                address = ipaddress.ip_address(found)
                ours = any(address in network for network in DOCUMENTATION)
                assert ours or address.is_loopback or address.is_unspecified, found
        for mail in set(re.findall(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", text)):
            assert re.search(r"@((?:[\w-]+\.)*example\.(?:com|net|org)|192\.0\.2\.\d+)$", mail), mail


def test_the_active_response_alert_nests_its_original() -> None:
    feedback = next(alert for alert in ALERTS if alert["rule"]["id"] == "651")
    original = next(alert for alert in ALERTS if alert["rule"]["id"] == "5712")
    assert feedback["data"]["parameters"]["alert"]["id"] == original["id"]
    assert original["id"] in feedback["full_log"]


def test_virustotal_alerts_point_to_the_fim_alert_that_caused_them() -> None:
    ids = {alert["id"] for alert in ALERTS if alert["rule"]["id"] == "554"}
    asked = [alert["data"]["virustotal"]["source"] for alert in ALERTS if alert["rule"]["id"] == "87105"]
    assert sum(source["alert_id"] in ids for source in asked) == 2


def test_reports_are_cortex_jobs() -> None:
    jobs = lines("reports.jsonl")
    assert len({job["id"] for job in jobs}) == len(jobs)
    for job in jobs:
        assert {"analyzerDefinitionId", "status", "startDate", "endDate", "dataType", "data", "report"} <= set(job)
        assert job["startDate"] < job["endDate"]
        assert job["report"]["success"] is (job["status"] == "Success")
        for taxonomy in job["report"].get("summary", {}).get("taxonomies", []):
            assert set(taxonomy) == {"level", "namespace", "predicate", "value"}
            assert taxonomy["level"] in ("info", "safe", "suspicious", "malicious")


def test_reports_tell_of_failures_limits_refusals_and_disagreement() -> None:
    jobs = lines("reports.jsonl")
    errors = " ".join(job.get("errorMessage", "") for job in jobs)
    assert "rate limit" in errors
    assert "TLP is higher than allowed" in errors
    assert "PAP is higher than allowed" in errors
    assert "timed out" in errors
    researcher = {
        taxonomy["level"]
        for job in jobs
        if job["data"] == "198.51.100.10"
        for taxonomy in job["report"]["summary"]["taxonomies"]
    }
    assert {"malicious", "safe"} <= researcher


def test_labels_suppress_one_noisy_scanner_and_nothing_else() -> None:
    counts: dict[tuple[str, str, str], int] = {}
    for label in lines("labels.jsonl"):
        if label["resolution"] == "FalsePositive" and label["time"] > "2026-10-18":
            key = (label["source"], label["rule_id"], label["data"])
            counts[key] = counts.get(key, 0) + 1
    assert [key for key, count in counts.items() if count >= 3] == [("web-accesslog", "31151", "198.51.100.200")]


@pytest.mark.shared
def test_rules_are_those_of_the_shared_rule_set(shared: Path) -> None:
    rules = {}
    for line in (shared / "data" / "wazuh_rules_4.14.7.jsonl").read_text(encoding="utf-8").splitlines():
        rule = json.loads(line)
        rules[rule["id"]] = rule
    for alert in ALERTS:
        rule = alert["rule"]
        if rule["id"] in LOCAL_RULES:
            continue
        known = rules[rule["id"]]
        assert rule["level"] == known["level"], rule["id"]
        assert [group.strip() for group in rule["groups"]] == known["groups"], rule["id"]
        assert rule.get("mitre", {}).get("id", []) == known["mitre"], rule["id"]
        assert rule.get("frequency") == known.get("frequency"), rule["id"]
        stem = known["description"].partition("$(")[0]
        assert rule["description"].startswith(stem), rule["id"]
        written = [f"{name}_{value}" for name in COMPLIANCE for value in rule.get(name, [])]
        assert sorted(written) == sorted(known["compliance"]), rule["id"]
        assert not ("full_log" in alert and "no_full_log" in known.get("options", [])), rule["id"]
