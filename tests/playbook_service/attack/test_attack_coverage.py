"""What the playbooks make of techniques, and the layer that shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from navigator import faults

from playbook_service.attack.coverage import ANSWERS, Answer, Coverage, answer_of
from playbook_service.attack.layer import COLOURS, SCORES, About, layer
from playbook_service.attack.matrix import standing_of, successor_of, tactics_of
from playbook_service.attack.summary import closing, document
from playbook_service.playbook import load
from playbook_service.replay.evidence import Evidence
from playbook_service.replay.history import History
from playbook_service.replay.pipeline import Pipeline, Setup
from propolis.alert import Alert
from propolis.guardrails import Policy

PLAYBOOKS = Path(__file__).resolve().parent / "playbooks"
ABOUT = About("a test", "d" * 64, "enforce")


def alert(technique: str | list[str], *groups: str, tactics: tuple[str, ...] = (), **more: Any) -> Alert:
    """An alert whose rule names techniques, in groups that say which playbook is to answer."""
    ids = [technique] if isinstance(technique, str) else technique
    mitre = {"id": ids, "tactic": list(tactics)}
    rule = {"id": "100001", "level": 5, "description": "Something.", "groups": list(groups), "mitre": mitre, **more}
    return Alert(
        {
            "timestamp": "2026-11-17T08:00:00.000+0000", "rule": rule, "agent": {"id": "003", "name": "gw01"},
            "manager": {"name": "siem01"}, "id": "1794902400.1", "decoder": {"name": "sshd"},
            "data": {"srcip": "203.0.113.17"}, "location": "/var/log/auth.log",
        }
    )  # fmt: skip


def counted(*alerts: Alert, ceiling: str = "enforce") -> Coverage:
    """The alerts, taken through the engine."""
    books = load(PLAYBOOKS)
    policy = Policy.parse("firewall: {own: [192.0.2.0/24]}")
    pipeline = Pipeline(Setup(books, policy, Evidence(), History(), ceiling=ceiling))
    coverage = Coverage()
    for one in alerts:
        coverage.add(one, answer_of(pipeline.process(one), books))
    return coverage


def drawn(*alerts: Alert) -> dict[str, dict[str, Any]]:
    """The entries of their layer, by id."""
    made = layer(counted(*alerts), ABOUT)
    assert faults(made) == []
    return {entry["techniqueID"]: entry for entry in made["techniques"]}


# the answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "answer", "playbook"),
    [
        ("sshd", "nothing", None),
        ("looked-up", "enriched", "look-up"),
        ("filed", "enriched", "file-it"),
        ("held-back", "observed", "hold-back"),
        ("asked", "asks", "ask-first"),
        ("acted", "acts", "act-alone"),
    ],
)
def test_a_technique_is_answered_as_the_engine_decides_on_its_alert(group: str, answer: str, playbook: str | None):
    (technique,) = counted(alert("T1110", group)).ranked()
    assert technique.answer == answer
    assert list(technique.playbooks) == ([playbook] if playbook else [])
    entry = drawn(alert("T1110", group))["T1110"]
    assert (entry["score"], entry["color"]) == (SCORES[answer], COLOURS[answer])
    assert entry["comment"].startswith(f"{answer}: ")


def test_the_strongest_of_a_techniques_answers_counts_and_the_others_are_told():
    (technique,) = counted(alert("T1110", "acted"), alert("T1110"), alert("T1110")).ranked()
    assert technique.answer == "acts"
    assert dict(technique.answers) == {"acts": 1, "nothing": 2}
    comment = drawn(alert("T1110", "acted"), alert("T1110"), alert("T1110"))["T1110"]["comment"]
    assert "3 alerts: nothing 2, acts 1" in comment


def test_what_a_mode_holds_back_is_observed_and_the_wish_is_told():
    (technique,) = counted(alert("T1110", "held-back")).ranked()
    assert (technique.answer, technique.would) == ("observed", "acts")
    assert "With every playbook in mode enforce: acts." in drawn(alert("T1110", "held-back"))["T1110"]["comment"]


def test_the_services_mode_is_the_ceiling():
    assert counted(alert("T1110", "acted"), ceiling="approve").ranked()[0].answer == "asks"
    assert counted(alert("T1110", "acted"), ceiling="observe").ranked()[0].answer == "observed"


def test_a_target_that_is_protected_is_not_acted_upon():
    protected = alert("T1110", "acted")
    protected.document["data"]["srcip"] = "192.0.2.7"
    (technique,) = counted(protected).ranked()
    assert (technique.answer, technique.would) == ("observed", "observed")


def test_gaps_are_what_nothing_answers_the_most_often_seen_first():
    coverage = counted(alert("T1595.002"), alert("T1136"), alert("T1136"), alert("T1110", "acted"))
    assert [one.id for one in coverage.gaps()] == ["T1136", "T1595.002"]
    assert "No playbook answers: T1136 (2), T1595.002 (1)" in list(closing(coverage))


def test_many_gaps_are_named_up_to_a_line_and_counted():
    found = counted(*(alert(f"T{1000 + number}") for number in range(35)))
    (line,) = [one for one in closing(found) if one.startswith("No playbook answers")]
    assert line.count("(1)") == 30
    assert line.endswith(" and 5 more")


def test_alerts_without_a_technique_are_counted():
    coverage = counted(alert([]), alert("T1110"))
    assert (coverage.alerts, coverage.without) == (2, 1)
    assert document(coverage, ABOUT)["alerts_without_technique"] == 1


# tactics and sub-techniques -------------------------------------------------------------------------------------------


def test_a_tactic_is_told_where_the_alert_leaves_no_doubt():
    entries = drawn(alert(["T1110.001", "T1021.004"], tactics=("Credential Access", "Lateral Movement")))
    assert entries["T1110.001"]["tactic"] == "credential-access"
    assert entries["T1021.004"]["tactic"] == "lateral-movement"


def test_a_technique_that_serves_several_of_the_tactics_stands_under_all_of_them():
    named = ("Persistence", "Privilege Escalation", "Initial Access")
    assert tactics_of("T1078", named) == ("persistence", "privilege-escalation", "initial-access")
    assert "tactic" not in drawn(alert("T1078", tactics=named))["T1078"]


def test_a_tactic_that_this_release_has_no_more_is_left_to_the_navigator():
    assert tactics_of("T1140", ("Defense Evasion",)) == ("defense-evasion",)
    assert "tactic" not in drawn(alert("T1140", tactics=("Defense Evasion",)))["T1140"]


def test_a_sub_technique_opens_its_parent_which_has_no_score_of_its_own():
    entries = drawn(alert("T1110.001", "acted"))
    assert entries["T1110"] == {"techniqueID": "T1110", "showSubtechniques": True}
    assert entries["T1110.001"]["score"] == 100


def test_a_parent_that_was_seen_too_keeps_its_own_answer_and_is_opened():
    entries = drawn(alert("T1110.001", "acted"), alert("T1110", tactics=("Credential Access",)))
    assert (entries["T1110"]["score"], entries["T1110"]["showSubtechniques"]) == (0, True)
    assert "tactic" not in entries["T1110"], "its sub-technique is shown under every tactic, so it must be too"


# ids that are not of this release -------------------------------------------------------------------------------------


def test_a_revoked_id_is_kept_and_shown_where_it_stands_today():
    entries = drawn(alert("T1562.001", "asked"))
    assert entries["T1562.001"]["score"] == entries["T1685"]["score"] == 75
    assert "T1685 took its place" in entries["T1685"]["comment"]
    coverage = counted(alert("T1562.001"))
    assert document(coverage, ABOUT)["revoked"] == {"T1562.001": "T1685"}
    assert {"name": "revoked ids", "value": "T1562.001 > T1685"} in layer(coverage, ABOUT)["metadata"]


def test_a_revoked_id_beside_its_successor_is_one_story_with_the_better_answer():
    entries = drawn(alert("T1685"), alert("T1562.001", "acted"), alert("T1562", "held-back"))
    assert entries["T1685"]["score"] == 100
    assert "As T1562.001:" in entries["T1685"]["comment"]
    assert "As T1562:" in entries["T1685"]["comment"]


@pytest.mark.parametrize(
    ("old", "new"), [("T1054", "T1685"), ("T1150", "T1647"), ("T1073", "T1574.001"), ("T1110", "")]
)
def test_chains_of_revocations_are_followed_to_their_end(old: str, new: str):
    assert successor_of(old) == new


def test_an_id_of_no_table_is_kept_and_named_as_such():
    assert [standing_of(one) for one in ("T1110", "T1001", "T0831", "T9999")] == ["current"] * 2 + ["unknown"] * 2
    coverage = counted(alert("T9999", "asked"))
    assert document(coverage, ABOUT)["unknown"] == ["T9999"]
    assert drawn(alert("T9999", "asked"))["T9999"]["score"] == 75


def test_what_is_no_id_is_named_and_makes_no_entry():
    coverage = counted(alert(["TA0006", "T1110; DROP", "T1110"]))
    assert set(coverage.strange) == {"TA0006", "T1110; DROP"}
    assert [entry["techniqueID"] for entry in layer(coverage, ABOUT)["techniques"]] == ["T1110"]


@pytest.mark.shared
def test_every_technique_of_wazuhs_own_rules_stands_in_a_table(shared: Path):
    rules = (shared / "data" / "wazuh_rules_4.14.7.jsonl").read_text(encoding="utf-8").splitlines()
    named = {one for line in rules for one in json.loads(line).get("mitre") or ()}
    assert len(named) > 150
    assert [one for one in sorted(named) if standing_of(one) == "unknown"] == []
    assert {one for one in named if standing_of(one) == "revoked"} == {
        "T1070.001", "T1562", "T1562.001", "T1562.004", "T1562.007", "T1562.008", "T1574.002"
    }  # fmt: skip


# hostile alerts -------------------------------------------------------------------------------------------------------


def test_a_hostile_description_is_inert_and_short():
    hostile = "<img src=x onerror=alert(1)>\x1b[2J\u202egnp.exe\x00" + "A" * 1_000_000
    text = json.dumps(layer(counted(alert("T1110", description=hostile)), ABOUT))
    assert len(text) < 20_000
    for mark in ("\\u001b", "\\u202e", "\\u0000"):
        assert mark not in text


def test_no_flood_of_ids_or_rules_fills_the_memory():
    many = [f"T{number:04}" for number in range(1, 4_000)]
    coverage = Coverage()
    nothing = Answer("nothing", "nothing", ())
    coverage.add(alert(many), nothing)
    for number in range(1_000):
        coverage.add(alert(["T0001", f"nonsense {number}"], id=str(number)), nothing)
    assert len(coverage.techniques) == 2_000
    assert coverage.left_out == 1_999
    assert len(coverage.strange) == 100
    assert (coverage.techniques["T0001"].alerts, len(coverage.techniques["T0001"].rules)) == (1_001, 200)


def test_the_legend_and_the_gradient_say_what_the_scores_mean():
    made = layer(counted(alert("T1110")), ABOUT)
    assert [item["label"].partition(":")[0] for item in made["legendItems"]] == list(ANSWERS)
    assert made["gradient"]["colors"] == [item["color"] for item in made["legendItems"]]
    assert sorted(SCORES.values()) == [0, 25, 50, 75, 100]
    assert "Seen is not detectable" in made["description"]
