"""What is said of an alert: its facts as a report, as taxonomies, and as operations on the case."""

from __future__ import annotations

from typing import Any

from propolis.alert import Alert
from propolis.alert.severity import Severity, assess
from propolis.observables.model import STRENGTH, Extraction, Observable

COMPLIANCE = ("pci_dss", "gdpr", "hipaa", "nist_800_53", "tsc", "gpg13")
LONGEST = 4096  # characters of an observable's data that TheHive stores (a text field of its index)


def full(alert: Alert, extraction: Extraction) -> dict[str, Any]:
    """The report. Every part is there, empty where the alert says nothing of it."""
    severity = assess(alert.level)
    return {
        "schema": alert.schema,
        "alert": {"id": alert.id, "node": alert.node, "timestamp": alert.timestamp, "location": alert.location},
        "rule": _rule(alert),
        "severity": {"name": severity.name, "thehive": severity.thehive, "level": alert.level},
        "agent": {"id": alert.agent_id, "name": alert.agent_name, "ip": alert.agent_ip},
        "manager": alert.manager,
        "decoder": alert.decoder,
        "mitre": {
            "ids": list(alert.mitre_ids),
            "tactics": list(alert.mitre_tactics),
            "techniques": list(alert.mitre_techniques),
        },
        "compliance": _compliance(alert),
        "observables": [observable._asdict() for observable in extraction.observables],
        "counts": _counts(extraction.observables),
        "notes": extraction.notes,
    }


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.rule_id,
        "level": alert.level,
        "description": alert.description,
        "groups": list(alert.groups),
        "fired_times": alert.rule_number("firedtimes"),
        "frequency": alert.rule_number("frequency"),
    }


def _compliance(alert: Alert) -> dict[str, list[str]]:
    named = ((name, alert.rule_texts(name)) for name in COMPLIANCE)
    return {name: list(values) for name, values in named if values}


def _counts(observables: list[Observable]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for observable in observables:
        counts[observable.data_type] = counts.get(observable.data_type, 0) + 1
    return counts


def keep(extraction: Extraction, *, internal: bool, data_types: list[str]) -> Extraction:
    """The observables that are wanted and can be stored, the strongest parts first; what is too long is said."""
    kept, notes = [], list(extraction.notes)
    for observable in extraction.observables:
        if (data_types and observable.data_type not in data_types) or (not internal and "internal" in observable.tags):
            continue
        if len(observable.data) > LONGEST:
            notes.append(f"The {observable.data_type} at {observable.path} is longer than {LONGEST} and was left out.")
        else:
            kept.append(observable)
    return Extraction(sorted(kept, key=lambda seen: STRENGTH[seen.role]), notes)


def artifacts(observables: list[Observable], auto_import: bool) -> list[dict[str, Any]]:
    """The observables in the form in which Cortex hands them to TheHive."""
    extra = ["autoImport:true"] if auto_import else []
    return [
        {"dataType": seen.data_type, "data": seen.data, "message": seen.message, "tags": ["wazuh", *seen.tags, *extra]}
        for seen in observables
    ]


def verdict(severity: Severity) -> str:
    """The colour of a taxonomy: the level is the rule author's opinion, so that only the two highest bands are red."""
    return {4: "malicious", 3: "malicious", 2: "suspicious"}.get(severity.thehive, "info")


def operations(alert: Alert) -> list[dict[str, Any]]:
    """Tags and custom fields for the parent case; a custom field that TheHive does not know fails by itself."""
    tags = [f"wazuh:rule={alert.rule_id}", *(f"attack:{technique}" for technique in alert.mitre_ids)]
    fields = (
        ("wazuh_rule_id", "string", alert.rule_id),
        ("wazuh_rule_level", "integer", alert.level),
        ("wazuh_agent_id", "string", alert.agent_id),
        ("wazuh_agent_name", "string", alert.agent_name),
        ("wazuh_alert_id", "string", alert.id),
    )
    return [{"type": "AddTagToCase", "tag": tag} for tag in tags if not tag.endswith("=")] + [
        {"type": "AddCustomFields", "name": name, "tpe": kind, "value": value}
        for name, kind, value in fields
        if value != ""
    ]
