"""The samples, ready to be replayed, and alerts and jobs made for one purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playbook_service.commands.replay import SAMPLES
from playbook_service.playbook import SHIPPED, load
from playbook_service.replay.evidence import Evidence, read_evidence
from playbook_service.replay.fault import Faults
from playbook_service.replay.history import History, read_history
from playbook_service.replay.pipeline import Setup
from propolis.alert import Alert
from propolis.guardrails import Policy
from propolis.verdict import load_sources


@pytest.fixture(scope="session")
def samples() -> Path:
    return SAMPLES


@pytest.fixture(scope="session")
def lines() -> list[bytes]:
    return (SAMPLES / "alerts.jsonl").read_bytes().splitlines(keepends=True)


@pytest.fixture
def alerts(lines: list[bytes]) -> list[Alert]:
    return [Alert.parse(line) for line in lines]


@pytest.fixture(scope="session")
def evidence() -> Evidence:
    with (SAMPLES / "reports.jsonl").open("rb") as stream:
        return read_evidence(stream, load_sources(), Faults("reports.jsonl"))


@pytest.fixture(scope="session")
def history() -> History:
    with (SAMPLES / "labels.jsonl").open("rb") as stream:
        return read_history(stream, Faults("labels.jsonl"))


@pytest.fixture(scope="session")
def policy() -> Policy:
    return Policy.parse((SAMPLES / "policy.yml").read_text(encoding="utf-8"), source="policy.yml")


@pytest.fixture
def setup(evidence: Evidence, history: History, policy: Policy) -> Setup:
    """The bundled samples under the playbooks that ship."""
    return Setup(load(SHIPPED), policy, evidence, history)


def _alert(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "timestamp": "2026-11-17T08:00:00.000+0000",
        "rule": {"level": 5, "description": "sshd: authentication failed.", "id": "5760", "groups": ["sshd"]},
        "agent": {"id": "003", "name": "gw01", "ip": "192.0.2.2"},
        "manager": {"name": "siem01"},
        "id": "1794902400.1",
        "decoder": {"name": "sshd"},
        "data": {"srcip": "203.0.113.17"},
        "location": "/var/log/auth.log",
    }
    rule = {**document["rule"], **changes.pop("rule", {})}
    return {**document, "rule": rule, **changes}


@pytest.fixture
def alert() -> Callable[..., Alert]:
    """An SSH failure from 203.0.113.17 with whatever is to be different: `alert(rule={"level": 12})`."""
    return lambda **changes: Alert(_alert(**changes))


@pytest.fixture
def raw() -> Callable[..., bytes]:
    """The same as one line of alerts.json."""
    return lambda **changes: json.dumps(_alert(**changes)).encode() + b"\n"
