"""An alert document, whole, wrapped, of the next generation, and broken in every way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from propolis.alert import Alert
from propolis.alert.model import MAX_BYTES
from propolis.alert.moment import epoch
from propolis.alert.severity import assess
from propolis.errors import InputError

RULE = {
    "level": 10,
    "description": "sshd: brute force",
    "id": "5712",
    "groups": ["syslog", "sshd"],
    "mitre": {"id": ["T1110"], "tactic": ["Credential Access", "x"], "technique": ["Brute Force"]},
    "firedtimes": 2,
    "pci_dss": ["10.2.4"],
}
ALERT: dict[str, Any] = {
    "timestamp": "2026-11-21T23:33:57.191+0000",
    "rule": RULE,
    "agent": {"id": "001", "name": "web01", "ip": "192.0.2.80"},
    "manager": {"name": "manager"},
    "cluster": {"name": "c", "node": "node02"},
    "id": "1795304791.488256",
    "full_log": "a line",
    "decoder": {"name": "sshd"},
    "data": {"srcip": "203.0.113.24"},
    "location": "/var/log/auth.log",
}


def _finding(fixtures: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((fixtures / "wazuh_alert" / "finding_5x.json").read_text())["alert"]
    return document


def test_the_properties_of_an_alert() -> None:
    alert = Alert.parse(json.dumps(ALERT))
    assert alert.document == alert.fields == ALERT
    assert (alert.schema, alert.id, alert.node, alert.key) == (
        "4.x",
        "1795304791.488256",
        "node02",
        ("node02", "1795304791.488256"),
    )
    assert (alert.rule_id, alert.level, alert.description) == ("5712", 10, "sshd: brute force")
    assert (alert.groups, alert.mitre_ids, alert.mitre_techniques) == (("syslog", "sshd"), ("T1110",), ("Brute Force",))
    assert alert.mitre_tactics == ("Credential Access", "x")
    assert (alert.agent_id, alert.agent_name, alert.agent_ip) == ("001", "web01", "192.0.2.80")
    assert (alert.manager, alert.decoder, alert.location) == ("manager", "sshd", "/var/log/auth.log")
    assert (alert.timestamp, alert.full_log) == (1795304037.191, "a line")
    assert (alert.rule_number("firedtimes"), alert.rule_number("frequency")) == (2, None)
    assert alert.rule_texts("pci_dss") == ("10.2.4",)


def test_the_manager_stands_in_for_the_node_without_a_cluster() -> None:
    assert Alert({**ALERT, "cluster": None}).key == ("manager", "1795304791.488256")


def test_a_rule_id_is_a_text_also_where_the_document_holds_a_number() -> None:
    assert Alert({"rule": {"id": 5710, "level": "7"}}).rule_id == "5710"
    assert Alert({"rule": {"id": 5710, "level": "7"}}).level == 7


@pytest.mark.parametrize("level", [None, "high", [], {}, True, float("nan"), "1e999", -3])
def test_a_level_that_is_none_counts_as_zero(level: Any) -> None:
    assert Alert({"rule": {"level": level}}).level == 0


def test_a_level_beyond_the_scale_is_its_end() -> None:
    assert Alert({"rule": {"level": 10**30}}).level == 16


def test_a_document_of_an_indexer_is_unwrapped() -> None:
    alert = Alert({"_index": "wazuh-alerts-4.x", "_id": "abc", "_source": {**ALERT, "id": None}})
    assert (alert.rule_id, alert.agent_name, alert.id) == ("5712", "web01", "abc")
    assert alert.fields["location"] == "/var/log/auth.log"


def test_a_finding_of_wazuh_5_has_a_view_in_the_names_of_4(fixtures: Path) -> None:
    alert = Alert(_finding(fixtures))
    assert (alert.schema, alert.rule_id, alert.level, alert.description) == ("5.x", "r-1", 12, "t")
    assert alert.groups == ("x", "Security", "d", "malware", "network")
    assert (alert.agent_id, alert.agent_name, alert.agent_ip) == ("002", "web01", "10.20.0.11")
    assert (alert.node, alert.decoder, alert.mitre_ids) == ("n1", "d", ("T1105",))
    assert alert.fields["data"]["srcip"] == "192.0.2.80"
    assert alert.fields["destination"]["ip"] == "203.0.113.24"
    assert alert.timestamp == 1783342045.0


def test_a_finding_may_hold_a_rule_of_ecs_beside_its_own(fixtures: Path) -> None:
    assert Alert({**_finding(fixtures), "rule": {"category": "ECS"}}).rule_id == "r-1"


@pytest.mark.parametrize("word", ["informational", "low", "medium", "high", "critical"])
def test_the_words_of_wazuh_5_keep_their_rank(word: str) -> None:
    names = {"informational": "Informational", "low": "Low", "medium": "Medium", "high": "High", "critical": "Critical"}
    assert assess(Alert({"wazuh": {"rule": {"level": word.upper()}}}).level).name == names[word]


@pytest.mark.parametrize("junk", [None, True, 5, 1.5, "text", [], [[]], {}, {"id": {}}, [{"id": 1}]])
@pytest.mark.parametrize("name", [*ALERT, "_source", "wazuh", "@timestamp"])
def test_the_wrong_type_in_any_place_is_an_empty_property(name: str, junk: Any) -> None:
    alert = Alert({**ALERT, name: junk})
    texts = [alert.id, alert.node, alert.rule_id, alert.description, alert.agent_id, alert.agent_name, alert.agent_ip]
    texts += [alert.manager, alert.decoder, alert.location, alert.full_log]
    assert all(isinstance(text, str) for text in texts)
    assert all(isinstance(entry, tuple) for entry in (alert.groups, alert.mitre_ids, alert.mitre_tactics))
    assert 0 <= alert.level <= 16
    assert alert.timestamp is None or alert.timestamp > 0
    assert isinstance(alert.fields, dict)


def test_a_byte_order_mark_and_blanks_are_passed_over() -> None:
    assert Alert.parse("\ufeff \n" + json.dumps(ALERT)).rule_id == "5712"
    assert Alert.parse(b"\xef\xbb\xbf" + json.dumps(ALERT).encode()).rule_id == "5712"


def test_nan_becomes_a_text_that_json_can_hold() -> None:
    assert Alert.parse('{"rule": {"level": NaN, "id": Infinity}}').rule_id == "Infinity"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The alert is empty."),
        ("{", "The alert is not valid JSON"),
        (json.dumps(ALERT)[:-20], "The alert is not valid JSON"),
        ("[]", "The alert must be a JSON object."),
        ("null", "The alert must be a JSON object."),
        ('{"a": 1}', "is not a Wazuh alert"),
        ("[" * 100_000, "nested too deeply"),
        ('{"rule": "' + "x" * MAX_BYTES + '"}', "larger than 1024 KiB"),
        (b"\xff\xfe\x00", "The alert is not valid JSON"),
    ],
    ids=["empty", "brace", "truncated", "list", "null", "other", "deep", "large", "binary"],
)
def test_what_is_no_alert_is_refused_in_one_sentence(text: str | bytes, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        Alert.parse(text)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-11-21T23:33:57.191+0000", 1795304037.191),
        ("2026-11-22T00:33:57.191+01:00", 1795304037.191),
        ("2026-11-21 18:03:57.191-0530", 1795304037.191),
        ("2024-02-29T12:00:00", 1709208000.0),
        ("2000-03-01T00:00:00Z", 951868800.0),
        ("1999-12-31T23:59:59Z", 946684799.0),
    ],
)
def test_a_timestamp_in_seconds(text: str, seconds: float) -> None:
    assert epoch(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01", "1795304037"]
)
def test_what_is_no_timestamp_has_no_seconds(text: str) -> None:
    assert epoch(text) is None


@pytest.mark.parametrize(
    ("level", "name", "thehive"),
    [
        (16, "Critical", 4),
        (15, "Critical", 4),
        (14, "High", 3),
        (12, "High", 3),
        (11, "Medium", 2),
        (8, "Medium", 2),
        (7, "Low", 1),
        (5, "Low", 1),
        (4, "Informational", 1),
        (0, "Informational", 1),
    ],
)
def test_the_severity_of_a_level(level: int, name: str, thehive: int) -> None:
    assert assess(level) == (name, thehive)
