"""What is said of an alert beside its observables."""

from __future__ import annotations

from typing import Any

from propolis.alert import Alert
from propolis.alert.severity import assess
from propolis.observables import extract_all, report


def _alert(**fields: Any) -> Alert:
    return Alert({"rule": {"id": "5710", "level": 5, "mitre": {"id": ["T1110"]}}, **fields})


def test_the_case_is_tagged_by_rule_and_technique() -> None:
    tags = [entry["tag"] for entry in report.operations(_alert()) if entry["type"] == "AddTagToCase"]
    assert tags == ["wazuh:rule=5710", "attack:T1110"]


def test_a_field_the_alert_does_not_have_is_not_written() -> None:
    named = [entry["name"] for entry in report.operations(_alert()) if entry["type"] == "AddCustomFields"]
    assert named == ["wazuh_rule_id", "wazuh_rule_level"]
    assert not [entry for entry in report.operations(Alert({"data": {}})) if entry.get("tag")]


def test_the_colour_of_a_level() -> None:
    colours = {level: report.verdict(assess(level)) for level in (3, 5, 8, 12, 15)}
    assert colours == {3: "info", 5: "info", 8: "suspicious", 12: "malicious", 15: "malicious"}


def test_compliance_is_reported_where_the_rule_has_it() -> None:
    alert = Alert({"rule": {"id": "1", "pci_dss": ["10.2.4"], "gdpr": [], "hipaa": "164.312.b", "cis": ["1.1"]}})
    assert report.full(alert, extract_all(alert))["compliance"] == {"pci_dss": ["10.2.4"], "hipaa": ["164.312.b"]}


def test_the_strongest_parts_come_first() -> None:
    alert = _alert(data={"command": "curl http://203.0.113.24/a", "dstip": "198.51.100.7", "srcip": "192.0.2.80"})
    kept = report.keep(extract_all(alert), internal=True, data_types=[])
    assert [seen.role for seen in kept.observables] == ["source", "destination", "command"]


def test_what_is_not_wanted_is_left_out_without_a_note() -> None:
    alert = _alert(data={"srcip": "10.1.1.1", "dstip": "198.51.100.7", "srcuser": "bob"})
    kept = report.keep(extract_all(alert), internal=False, data_types=["ip"])
    assert [seen.data for seen in kept.observables] == ["198.51.100.7"]
    assert kept.notes == []
