"""Documents as TheHive gives them, from the contract's examples, and drafts that fit them."""

from __future__ import annotations

from typing import Any

from playbook_service.hive.model import AlertDraft, ObservableDraft, Worker

ALERT_KEY = "wazuh%3Bwazuh-manager-01%3B1767261599.482913"
DRAFT = AlertDraft(
    type="wazuh",
    source="wazuh-manager-01",
    reference="1767261599.482913",
    title="Wazuh 5763: SSH brute force on web-01",
    description="Repeated authentication failures from 203.0.113.45.",
    severity=3,
    date=1767261600000,
    tags=("wazuh", "rule-5763"),
    custom_fields={"wazuh-rule-id": "5763", "wazuh-rule-level": 10},
    observables=(
        ObservableDraft("ip", "203.0.113.45", tags=("src-ip",)),
        ObservableDraft("ip", "203.0.113.45", tags=("again",), ioc=True),
    ),
    techniques=(("T1110", "credential-access"),),
)
WORKER = Worker("3c9ab8e0", "AbuseIPDB_2_0", "AbuseIPDB_2_0", ("ip",), ("Cortex-01",))
ALERTS = {4: "POST /api/alert", 5: "POST /api/v1/alert"}
PROMOTIONS = {4: "POST /api/alert/~40972376/createCase", 5: "POST /api/v1/alert/~40972376/case"}
MERGES = {4: "POST /api/alert/~40972376/merge/~81924208", 5: "POST /api/v1/alert/~40972376/merge/~81924208"}
TASKS = {4: "POST /api/case/~81924208/task", 5: "POST /api/v1/case/~81924208/task"}


def alert(**changes: Any) -> dict[str, Any]:
    """An alert as version 1 of the API reads it."""
    base = {
        "_id": "~40972376", "_type": "Alert", "_createdBy": "wazuh@soc.example", "_createdAt": 1767261601000,
        "type": "wazuh", "source": "wazuh-manager-01", "sourceRef": "1767261599.482913",
        "title": "Wazuh 5763: SSH brute force on web-01", "tags": ["wazuh"], "status": "New", "stage": "New",
    }  # fmt: skip
    return base | changes


def case(**changes: Any) -> dict[str, Any]:
    """A case as version 1 of the API of TheHive 5 reads it."""
    base = {
        "_id": "~81924208", "_type": "Case", "_createdAt": 1767261660000, "number": 128, "severity": 3,
        "title": "SSH brute force", "tags": ["wazuh"], "flag": False, "status": "New", "stage": "New",
        "assignee": "analyst@soc.example", "customFields": [],
    }  # fmt: skip
    return base | changes


def case_4(**changes: Any) -> dict[str, Any]:
    """The same of TheHive 4, which has no stage."""
    base = {name: value for name, value in case(status="Open").items() if name != "stage"}
    return base | changes


def observable(**changes: Any) -> dict[str, Any]:
    """An observable as version 1 of the API reads it."""
    base = {
        "_id": "~41103504", "_type": "Observable", "_createdAt": 1767261690000, "dataType": "ip",
        "data": "203.0.113.45", "tlp": 2, "tags": ["src-ip"], "ioc": False, "sighted": True, "reports": {},
    }  # fmt: skip
    return base | changes


def task(**changes: Any) -> dict[str, Any]:
    """A task as version 1 of the API reads it."""
    base = {
        "_id": "~41021544", "_type": "Task", "_createdAt": 1767261700000, "title": "Triage", "group": "Identification",
        "description": "marker-1", "status": "Waiting", "flag": False, "order": 0, "extraData": {},
    }  # fmt: skip
    return base | changes
