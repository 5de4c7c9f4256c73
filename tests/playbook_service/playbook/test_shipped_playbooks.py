"""The playbooks that ship: whose story each tells, and that none of them acts before an operator says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playbook_service.playbook import SHIPPED, Decision, Playbooks, analyzers_for, decide, load, matching

ALERTS = Path(__file__).resolve().parents[2] / "fixtures" / "playbooks" / "alerts"
ALL = load(SHIPPED)
ISSUE = [
    "malicious-ip", "malicious-domain", "malicious-hash", "brute-force", "web-attack", "compromised-account",
    "malware-on-host", "false-positive-feedback", "escalation", "malicious-ip-count",
]  # fmt: skip


def alert(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ALERTS / f"{name}.json").read_text())
    return document


def verdict(recommendation: str = "observe", **more: Any) -> dict[str, Any]:
    says = {"act": "malicious", "ask": "suspicious", "observe": "unknown"}[recommendation]
    return {"verdict": says, "recommendation": recommendation, "score": 0.5, "families": 0, "malicious": 0, **more}


def address(data: str, role: str = "source", *tags: str) -> dict[str, Any]:
    return {"dataType": "ip", "data": data, "role": role, "tags": list(tags)}


def responses(event: str, **context: Any) -> dict[str, Decision]:
    """Decisions by (playbook -> respond decision) under enforce, so that nothing but the clauses holds back."""
    enforcing = _as_if_enforcing(ALL)
    return {
        f"{d.responder} {d.target.data if d.target else '?'}": d
        for d in decide(enforcing, event, context, ceiling_mode="enforce")
        if d.responder
    }


def _as_if_enforcing(playbooks: Playbooks) -> Playbooks:
    return Playbooks(tuple(replace(book, mode="enforce") for book in playbooks))


def test_all_that_the_handbook_promises_are_there_and_all_of_them_observe() -> None:
    assert set(ISSUE) <= {book.name for book in ALL}
    assert {book.mode for book in ALL} == {"observe"}
    assert [book.name for book in ALL if not book.enabled] == ["malicious-ip-count"]
    assert all(book.description for book in ALL)


@pytest.mark.parametrize("ceiling", ["observe", "approve", "enforce"])
def test_a_fresh_installation_contains_nothing(ceiling: str) -> None:
    for file in ALERTS.glob("*.json"):
        context = {
            "alert": alert(file.stem),
            "observable": address("203.0.113.7"),
            "verdict": verdict("act", families=5),
        }
        for event in ("alert", "verdict"):
            kinds = {d.kind for d in decide(ALL, event, context, ceiling_mode=ceiling) if d.responder}
            assert kinds <= {"observe", "ignore"}


def test_a_malicious_source_is_blocked_alone_and_a_doubtful_one_after_asking() -> None:
    found = {
        says: responses(
            "verdict", alert=alert("login_success"), observable=address("203.0.113.7"), verdict=verdict(says)
        )
        for says in ("act", "ask", "observe")
    }

    assert {says: each["FirewallBlock 203.0.113.7"].kind for says, each in found.items()} == {
        "act": "act",
        "ask": "ask",
        "observe": "observe",
    }
    assert found["act"]["FirewallBlock 203.0.113.7"].seconds == 86_400


@pytest.mark.parametrize("observable", [address("192.0.2.1", "source", "internal"), address("203.0.113.7", "result")])
def test_internal_addresses_and_mere_mentions_are_left_alone(observable: dict[str, Any]) -> None:
    assert responses("verdict", alert=alert("ssh_brute_force"), observable=observable, verdict=verdict("act")) == {}


def test_a_brute_force_asks_even_where_nobody_knows_the_source() -> None:
    found = responses(
        "verdict", alert=alert("ssh_brute_force"), observable=address("203.0.113.7"), verdict=verdict("observe")
    )["FirewallBlock 203.0.113.7"]

    assert (found.kind, found.playbook) == ("ask", "brute-force")
    assert "malicious-ip" in [origin.name for origin in found.origins]


def test_a_single_failure_asks_nobody() -> None:
    found = responses(
        "verdict", alert=alert("ssh_single_failure"), observable=address("203.0.113.7"), verdict=verdict("observe")
    )

    assert found["FirewallBlock 203.0.113.7"].kind == "observe"


def test_a_source_that_is_cleared_is_not_asked_about() -> None:
    cleared = {**verdict("observe"), "verdict": "safe"}
    found = responses("verdict", alert=alert("ssh_brute_force"), observable=address("203.0.113.7"), verdict=cleared)

    assert found["FirewallBlock 203.0.113.7"].kind == "observe"


@pytest.mark.parametrize(
    ("name", "malicious", "kind"),
    [("web_sql_injection", 1, "observe"), ("web_scan_repeated", 0, "observe"), ("web_scan_repeated", 1, "ask")],
)
def test_a_web_attack_asks_where_it_is_repeated_and_somebody_knows_the_source(
    name: str, malicious: int, kind: str
) -> None:
    found = responses(
        "verdict",
        alert=alert(name),
        observable=address("198.51.100.23"),
        verdict=verdict("observe", malicious=malicious),
    )["FirewallBlock 198.51.100.23"]

    assert found.kind == kind
    assert "web-attack" in [origin.name for origin in found.origins]


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("ssh_success_after_failures", "deploy"),
        ("windows_logon_from_listed_address", "j.doe"),
        ("guardduty_credentials_abroad", "ci-deploy"),
    ],
)
def test_a_compromised_account_is_asked_about_with_the_tasks_that_follow(name: str, account: str) -> None:
    decisions = decide(_as_if_enforcing(ALL), "alert", {"alert": alert(name)}, ceiling_mode="enforce")
    mine = [d for d in decisions if "compromised-account" in [origin.name for origin in d.origins]]
    response = next(d for d in mine if d.responder)
    titles = " ".join(str(dict(d.settings)["title"]) for d in mine if d.verb == "task")

    assert (response.action, response.kind) == ("respond AccountDisable", "ask")
    assert response.target is not None
    assert response.target.data == account
    for words in (
        "sessions",
        "last 72 hours",
        "lateral movement",
        "scheduled tasks",
        "SSH keys",
        "re-enable",
        "out of band",
    ):
        assert words in titles
    assert all(dict(d.settings)["flag"] for d in mine if d.verb == "task")


def test_an_ordinary_login_is_no_compromise() -> None:
    assert decide(ALL, "alert", {"alert": alert("login_success")}, ceiling_mode="enforce") == []


@pytest.mark.parametrize(("name", "host"), [("defender_malware", "012"), ("virustotal_hit", "003")])
def test_malware_on_a_host_asks_to_isolate_that_host(name: str, host: str) -> None:
    found = responses("alert", alert=alert(name))[f"IsolateHost {host}"]

    assert found.kind == "ask"
    assert found.target is not None
    assert found.target.label in ("ws-044", "web-01")


def test_malware_at_level_fifteen_isolates_alone_once_enforced() -> None:
    severe = alert("defender_malware")
    severe["rule"]["level"] = 15

    assert responses("alert", alert=severe)["IsolateHost 012"].kind == "act"


@pytest.mark.parametrize("name", ["defender_malware_seen_by_the_manager", "guardduty_credentials_abroad"])
def test_the_manager_is_never_isolated(name: str) -> None:
    assert not [key for key in responses("alert", alert=alert(name)) if key.startswith("IsolateHost")]


def test_a_malicious_file_isolates_the_agent_it_was_found_on_but_no_relay() -> None:
    file = {"dataType": "hash", "data": "0e3c0779d8eaad3b00363d7890ddc8272b510d49", "role": "file", "tags": []}

    def found(name: str) -> dict[str, Decision]:
        return responses("verdict", alert=alert(name), observable=file, verdict=verdict("act"))

    assert found("virustotal_hit")["IsolateHost 003"].kind == "act"
    assert found("guardduty_credentials_abroad") == {}
    assert found("suricata_severity_one") == {}


def test_a_malicious_domain_gives_tasks_since_no_responder_takes_names() -> None:
    domain = {"dataType": "domain", "data": "bad.example.net", "role": "destination", "tags": []}
    decisions = decide(ALL, "verdict", {"observable": domain, "verdict": verdict("ask")}, ceiling_mode="observe")

    assert [d.verb for d in decisions if d.playbook == "malicious-domain"] == ["tag", "task", "task"]


@pytest.mark.parametrize(("malicious", "kind"), [(2, "observe"), (3, "ask"), (4, "ask"), (5, "act"), (9, "act")])
def test_the_count_rule_asks_at_three_and_acts_at_five_for_a_day_in_both_directions(malicious: int, kind: str) -> None:
    count = ALL.named("malicious-ip-count")
    assert count is not None
    playbooks = Playbooks((replace(count, enabled=True, mode="enforce"),))
    context = {"observable": address("203.0.113.7"), "verdict": verdict("observe", malicious=malicious)}

    (decision,) = decide(playbooks, "verdict", context, ceiling_mode="enforce")

    assert (decision.kind, decision.seconds, dict(decision.settings)) == (kind, 86_400, {"direction": "both"})


@pytest.mark.parametrize(
    ("case", "label", "release"),
    [
        ({"status": "FalsePositive"}, "FalsePositive", True),
        ({"status": "Resolved", "resolutionStatus": "FalsePositive"}, "FalsePositive", True),
        ({"status": "TruePositive"}, "TruePositive", False),
        ({"status": "Resolved", "resolutionStatus": "TruePositive"}, "TruePositive", False),
    ],
)
def test_closing_a_case_teaches_in_both_dialects(case: dict[str, Any], label: str, release: bool) -> None:
    (decision,) = decide(ALL, "case_closed", {"case": case}, ceiling_mode="observe")

    assert (decision.verb, decision.kind) == ("label", "act")
    assert dict(decision.settings) == {"as": label, "release": release}


@pytest.mark.parametrize("status", ["Indeterminate", "Duplicated", "Other"])
def test_other_closures_teach_nothing(status: str) -> None:
    assert decide(ALL, "case_closed", {"case": {"status": status}}, ceiling_mode="observe") == []


@pytest.mark.parametrize(("case", "verbs"), [
    ({"severity": 4, "tags": []}, ["severity", "flag", "task"]),
    ({"severity": 1, "tags": ["Critical"]}, ["severity", "flag", "task"]),
    ({"severity": 3, "tags": ["critical-path"]}, []),
])  # fmt: skip
def test_escalation_at_severity_four_or_the_tag_critical(case: dict[str, Any], verbs: list[str]) -> None:
    assert [d.verb for d in decide(ALL, "case", {"case": case}, ceiling_mode="observe")] == verbs


def test_a_malicious_observable_escalates() -> None:
    context = {"observable": address("203.0.113.7", "related"), "verdict": verdict("act")}

    assert [d.verb for d in decide(ALL, "verdict", context, ceiling_mode="observe")] == ["severity", "flag"]


@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("ssh_brute_force", True),
        ("suricata_severity_one", True),
        ("guardduty_credentials_abroad", True),
        ("login_success", False),
        ("ssh_single_failure", False),
        ("vulnerability_found", False),
    ],
)
def test_a_case_is_opened_for_what_is_likely_an_attack(name: str, opens: bool) -> None:
    verbs = [d.verb for d in decide(ALL, "alert", {"alert": alert(name)}, ceiling_mode="observe")]

    assert ("case" in verbs) is opens


@pytest.mark.parametrize(
    ("observable", "asked"),
    [
        ({"dataType": "ip", "data": "203.0.113.7", "tags": []}, "AbuseIPDB"),
        ({"dataType": "fqdn", "data": "a.example.net", "tags": []}, "URLhaus"),
        ({"dataType": "url", "data": "http://a.example.net/", "tags": []}, "PhishTank_CheckURL"),
        ({"dataType": "hash", "data": "d" * 64, "tags": []}, "MalwareBazaar"),
        ({"dataType": "mail", "data": "a@example.net", "role": "sender", "tags": []}, "EmailRep"),
    ],
)
def test_each_type_of_observable_is_asked_about(observable: dict[str, Any], asked: str) -> None:
    assert asked in analyzers_for(ALL, {"observable": observable}).analyzers


@pytest.mark.parametrize("observable", [
    {"dataType": "ip", "data": "192.0.2.1", "tags": ["internal"]},
    {"dataType": "mail", "data": "a@example.net", "role": "recipient", "tags": []},
    {"dataType": "other", "data": "deploy", "tags": []},
])  # fmt: skip
def test_what_is_ours_is_told_to_nobody(observable: dict[str, Any]) -> None:
    assert analyzers_for(ALL, {"observable": observable}).analyzers == ()


def _seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(50):
            work()
        best = min(best, (time.perf_counter() - began) / 50)
    return best


def test_looking_through_all_playbooks_costs_no_more_than_a_few_times_reading_the_alert() -> None:
    texts = [file.read_text() for file in sorted(ALERTS.glob("*.json"))]
    contexts = [{"alert": json.loads(text)} for text in texts]

    reading = _seconds(lambda: [json.loads(text) for text in texts])
    evaluating = _seconds(lambda: [matching(ALL, "respond", "alert", context) for context in contexts])

    assert evaluating < 5 * reading
