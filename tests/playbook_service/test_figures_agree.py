"""Whoever asks what happened is told the same: by the report, Prometheus, the commands, the export and the audit chain.

Where two count differently on purpose, docs/reports.md says so in a sentence, and a test here holds the difference.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "console"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "feedback"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "metrics"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "export"))

from figures_story import Eventful, Told, tell

from playbook_service.commands import opened
from playbook_service.parts import open_store, policy_of
from playbook_service.settings import load
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import SystemClock

WISHED = ("act", "ask")
"""What a playbook wants where it wants a containment."""


def fortnight(folder: Path, patch: pytest.MonkeyPatch) -> Told:
    """Told by the tests: one of everything, and its own time."""
    (folder / "data").mkdir()
    config = folder / "propolis.yml"
    config.write_text(f"data_dir: {folder / 'data'}\n", encoding="utf-8")
    world = Eventful()
    store = SqliteStore(folder / "data" / "propolis.db", world.clock)
    world = Eventful(store, world.clock).everything()
    world.clock.advance(1.0)
    patch.setattr(opened, "SystemClock", lambda: world.clock)  # the commands live in the story's time
    try:
        return tell(store, world.clock, world.policy, "enforce", config)
    finally:
        store.close()


def demo(folder: Path, _: pytest.MonkeyPatch) -> Told:
    """What `propolis demo --keep` leaves: the whole service, with the lab."""
    kept = folder / "kept"
    words = [
        sys.executable,
        "-m",
        "playbook_service",
        "demo",
        "--format",
        "json",
        "--lease",
        "15s",
        "--keep",
        str(kept),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    settings = load(file=kept / "propolis.yml")
    store = open_store(settings, SystemClock())
    try:
        return tell(store, SystemClock(), policy_of(settings), settings["mode"], kept / "propolis.yml")
    finally:
        store.close()


@pytest.fixture(scope="module", params=[fortnight, demo], ids=["fortnight", "demo"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with pytest.MonkeyPatch.context() as patch:
        yield request.param(tmp_path_factory.mktemp("figures"), patch)


# what came in ---------------------------------------------------------------------------------------------------------


def test_alerts(told: Told):
    incoming, states = told.report["incoming"], states_of(told, "alerts", "alert")
    assert incoming["alerts"] == sum(states.values())
    assert incoming["cased"] == states["cased"]
    suppressed = len(told.lines("suppressed"))
    assert suppressed > 0
    assert incoming["suppressed"] == suppressed == states["suppressed"]
    assert told.metrics.value("propolis_suppressed_alerts_total") == suppressed
    assert sum(rule["suppressed"] for rule in told.noisiest) == suppressed


def test_cases(told: Told):
    opened_here = len(told.lines("case opened"))
    theirs = {line["case"] for line in told.lines("alert joined")} - {
        line["case"] for line in told.lines("case opened")
    }
    # By the docs: the report counts also the cases that an analyst made of an alert of ours.
    assert told.report["incoming"]["cases"] == opened_here + len(theirs)
    assert told.metrics.value("propolis_case_alerts_total", outcome="opened") == opened_here
    assert told.metrics.value("propolis_case_alerts_total", outcome="joined") == len(told.lines("alert joined")) > 0
    assert len(told.exported("cases")) == opened_here + len(theirs)


def test_verdicts_and_the_hours_that_rest_on_counts(told: Told):
    verdicts = told.counted("verdict", "result")
    assert told.metrics.grown("propolis_verdicts_total") == verdicts
    steps = {row["name"]: row for row in told.report["hours_saved"]["steps"]}
    assert {name: row["count"] for name, row in steps.items()} == {
        "suppressed": len(told.lines("suppressed")), "verdict": verdicts.total(),
        "case": len(told.lines("case opened")), "containment": len(told.lines("contained")),
        "release": len(told.lines("released")), "answer": len(persons_answers(told)),
    }  # fmt: skip
    hours = sum(row["count"] * row["minutes"] for row in steps.values()) / 60
    assert told.report["hours_saved"]["hours"] == pytest.approx(hours, abs=0.005)


# decisions ------------------------------------------------------------------------------------------------------------


def test_decisions(told: Told):
    decided = told.counted("decision", "playbook", "result")
    assert told.metrics.grown("propolis_decisions_total") == decided
    assert decided == Counter(
        (one["propolis"]["playbook"]["name"], one["propolis"]["decision"]["state"])
        for one in told.exported("decisions")
    )
    for row in told.report["playbooks"]:
        mine = Counter({state: times for (name, state), times in decided.items() if name == row["playbook"]})
        idle = sum(
            line["playbook"] == row["playbook"] and line["result"] == "observe" and line["wanted"] not in WISHED
            for line in told.lines("decision")
        )
        assert (row["acted"], row["covered"], row["stopped"], row["held"]) == (
            mine["act"], mine["covered"], mine["stopped"], mine["held"],
        )  # fmt: skip
        # By the docs: the report counts `choose` as asked, and what wanted no containment as left, not as observed.
        assert row["asked"] == mine["ask"] + mine["choose"]
        assert row["observed"] == mine["observe"] - idle
        assert row["left"] == mine["ignore"] + idle


def test_refusals(told: Told):
    refused = Counter(str(line.get("rule")).partition(":")[0] for line in told.lines("decision")
                      if line["result"] in ("stopped", "held"))  # fmt: skip
    assert refused.total() > 0
    assert {
        name: times for (name,), times in told.metrics.grown("propolis_guardrail_refusals_total").items()
    } == refused
    guardrails = told.report["guardrails"]
    assert Counter(guardrails["stopped"]) + Counter(guardrails["held"]) == refused


# containments ---------------------------------------------------------------------------------------------------------


def test_containments(told: Told):
    made = Counter(line["responder"] for line in told.lines("contained", "taken over"))
    reported: Counter[str] = Counter()
    for row in told.report["containments"]["by"]:
        reported[row["responder"]] += row["count"]
    assert reported == made
    assert told.report["containments"]["total"] == made.total()
    measured: Counter[str] = Counter()
    for (outcome, responder), times in told.metrics.grown("propolis_containments_total").items():
        if outcome in ("contained", "taken_over"):
            measured[responder] += int(times)
    assert measured == made
    by_hand = sum(row["count"] for row in told.report["containments"]["by"] if row["how"] == "by hand")
    assert by_hand == len(told.lines("taken over")) > 0


def test_containments_that_were_not_made(told: Told):
    ends = told.counted("not contained", "result")
    outcomes: Counter[str] = Counter()
    for (outcome, _), times in told.metrics.grown("propolis_containments_total").items():
        outcomes[outcome] += int(times)
    not_made = told.report["guardrails"]["not_made"]
    assert not_made.get("would_contain", 0) == outcomes["dry_run"] == ends["would_contain",]
    assert told.report["failures"]["failed_or_doubtful"] == outcomes["failed"] == ends["failed",]


def test_leases_now(told: Told):
    listed = Counter(one["state"] for one in told.leases)
    assert states_of(told, "leases", "lease") == listed
    in_force = listed["active"] + listed["doubtful"] + listed["releasing"]
    assert told.report["containments"]["in_force"] == in_force
    assert sum(one["propolis"]["lease"]["in_force"] for one in told.exported("leases")) == in_force
    measured: Counter[str] = Counter()
    for (_, state), times in told.metrics.grown("propolis_leases").items():
        measured[state] += int(times)
    # By the docs: Prometheus and `leases` also show what is only about to be contained (`wished`).
    assert measured == Counter({state: times for state, times in listed.items() if state not in ("ended", "refused")})


def test_ends(told: Told):
    ended = told.report["containments"]["ended"]
    how: Counter[str] = Counter()
    for (name, _), times in told.metrics.grown("propolis_releases_total").items():
        how[name] += int(times)
    by = [line["operator"] for line in told.lines("released")]
    assert ended["expired"] == how["expiry"] == by.count("expiry")
    # By the docs: `early` of Prometheus is what the report tells apart, a person's word and the closing of the case.
    assert ended.get("released_early", 0) + ended["case_closed"] == how["early"] == len(by) - by.count("expiry")
    assert ended["case_closed"] == sum(name.startswith("case closed as ") for name in by) > 0
    assert ended.get("by_hand", 0) == how["by_hand"] == len(told.lines("released by hand"))
    assert told.report["failures"]["left_to_a_person"] == how["left"] == len(told.lines("left to a person"))


def test_undos_that_failed(told: Told):
    tries = told.lines("release failed")
    assert sum(told.metrics.grown("propolis_release_failures_total").values()) == len(tries)
    # By the docs: the report counts the containments, Prometheus each try.
    assert told.report["failures"]["undo_failed"] == len({line["lease"] for line in tries})


def test_renewals(told: Told):
    moved = [bool(line["permanent"]) for line in told.lines("end moved")]
    contained = told.report["containments"]
    assert (contained["permanent"], contained["renewed"]) == (moved.count(True), moved.count(False))
    # By the docs: the report counts a person's word, Prometheus each extension at the product.
    assert told.metrics.value("propolis_renewals_total", outcome="renewed") == len(told.lines("renewed"))
    failed = len(told.lines("renewal failed"))
    assert told.metrics.value("propolis_renewals_total", outcome="failed") == failed
    assert told.report["failures"]["renewal_failed"] == failed


def test_time_to_contain(told: Told):
    for way, automated in (("alone", True), ("granted", False)):
        spans = sorted(line["since_alert"] for line in told.lines("contained") if line["automated"] is automated)
        assert told.metrics.value("propolis_alert_to_containment_seconds_count", way=way) == len(spans) > 0
        assert told.metrics.value("propolis_alert_to_containment_seconds_sum", way=way) == pytest.approx(sum(spans))
        reported = told.report["time_to_contain"][way]
        assert reported["count"] == len(spans)
        assert reported["median"] == round(spans[(len(spans) + 1) // 2 - 1], 1)
        assert reported["longest"] == round(spans[-1], 1)
    measured = [one["propolis"]["audit"].get("alert_to_containment_seconds") for one in told.exported("audit")]
    every = [line["since_alert"] for line in told.lines("contained")]
    assert [one for one in measured if one is not None] == every
    # By the docs: an analyst's own containment is measured by the report alone, from its case's first alert.
    by_hand = told.report["time_to_contain"]["by_hand"]["count"]
    assert told.report["time_to_contain"]["all"]["count"] == len(every) + by_hand
    assert by_hand == len(told.lines("taken over"))


# questions ------------------------------------------------------------------------------------------------------------


def test_questions(told: Told):
    asked = told.report["approvals"]
    measured = {name: int(times) for (name,), times in told.metrics.grown("propolis_approvals_total").items()}
    for word in ("asked", "granted", "expired", "withdrawn"):
        assert asked[word] == measured.get(word, 0) == len(told.lines(f"approval {word}"))
    outcomes = Counter(one["propolis"]["approval"]["outcome"] for one in told.exported("approvals"))
    assert (outcomes["granted"], outcomes["expired"]) == (asked["granted"], asked["expired"])
    # By the docs: `denied` of Prometheus and of the records holds what is void; of the records also what was withdrawn.
    assert measured.get("denied", 0) == asked["denied"] + asked["void"]
    assert (outcomes["denied"], outcomes["void"]) == (asked["denied"], asked["void"] + asked["withdrawn"])
    listed = Counter(one["state"] for one in told.approvals)
    assert listed == states_of(told, "approvals", "approval")
    assert listed["denied"] == asked["denied"] + asked["void"] + asked["withdrawn"]
    assert asked["waiting"] == listed["asked"] + listed["waiting"] == outcomes["waiting"]
    assert told.metrics.value("propolis_approvals_waiting") == asked["waiting"]


def test_how_long_answers_took(told: Told):
    waits = sorted(line["waited"] for line in persons_answers(told))
    reported = told.report["approvals"]["waited"]
    assert reported["count"] == len(waits) > 0
    assert reported["median"] == round(waits[(len(waits) + 1) // 2 - 1], 1)
    exported = [one["propolis"]["approval"].get("wait_seconds") for one in told.exported("approvals")]
    assert sorted(one for one in exported if one is not None) == pytest.approx(waits, abs=0.05)
    # By the docs: Prometheus measures also those that nobody answered.
    every = [line["waited"] for line in told.lines("approval granted", "approval denied", "approval expired")]
    counts = [told.metrics.value("propolis_approval_duration_seconds_count", outcome=word) or 0.0
              for word in ("granted", "denied", "expired")]  # fmt: skip
    assert sum(counts) == len(every)


# closings -------------------------------------------------------------------------------------------------------------


def test_closings(told: Told):
    closed = Counter(line["result"] for line in told.lines("case closed"))
    assert told.report["incoming"]["closed"] == closed
    labels = Counter(line.get("label") or "unknown" for line in told.lines("case closed"))
    measured = {name: times for (name,), times in told.metrics.grown("propolis_cases_closed_total").items()}
    # By the docs: Prometheus counts closings by label, the report by resolution.
    assert measured == labels
    # By the docs: a document is a case as it stands, not each of its closings.
    known = {one["propolis"]["case"]["id"]: one["propolis"]["case"] for one in told.exported("cases")}
    standing = {case: line for case, line in standing_closings(told).items() if case in known}
    assert {case: one["resolution"] for case, one in known.items() if one["status"] == "closed"} == {
        case: line["result"] for case, line in standing.items()
    }
    assert {case: one["judgement"] for case, one in known.items() if "judgement" in one} == {
        case: line["label"] for case, line in standing.items() if line.get("label")
    }


def test_what_would_have_been_right(told: Told):
    labels = {case: line.get("label") for case, line in standing_closings(told).items()}
    cases: dict[str, dict[str, Any]] = {}
    for line in told.lines("decision"):
        if line["result"] in ("observe", "ask") and line["wanted"] == "act" and line.get("capped_by"):
            cases.setdefault(line["playbook"], {})[line["case"]] = labels.get(line["case"])
    assert cases
    by_hand = {name: right_wrong(list(words.values())) for name, words in cases.items()}
    told_by = {row["playbook"]: row for row in told.observations if row["outcome"] == "act"}
    assert {name: (row["right"], row["wrong"], row["unknown"]) for name, row in told_by.items()} == by_hand


def test_right_and_wrong_of_a_playbook(told: Told):
    # By the docs: the report counts whatever the playbook wanted contained, also what was, and takes a person's
    # resolution where no playbook labels; `observations` counts what a mode held back, and labels alone.
    words = {case: person_word(line) for case, line in standing_closings(told).items()}
    for row in told.report["playbooks"]:
        wished = {
            line["case"] for line in told.lines("decision")
            if line["playbook"] == row["playbook"] and line["wanted"] in WISHED
            and line["result"] in ("act", "ask", "choose", "observe", "covered")
        }  # fmt: skip
        assert (row["right"], row["wrong"], row["unknown"]) == right_wrong([words.get(case) for case in wished])


def test_false_blocks(told: Told):
    words = {case: person_word(line) for case, line in standing_closings(told).items()}
    contained = [words.get(line["case"], "open") for line in told.lines("contained", "taken over")]
    blocks = told.report["false_blocks"]
    wrong, right = contained.count("FalsePositive"), contained.count("TruePositive")
    assert (blocks["containments"]["count"], blocks["containments"]["of"]) == (wrong, wrong + right)
    assert wrong > 0
    assert blocks["in_open_cases"] == contained.count("open")
    assert sum((wrong + right, blocks["in_open_cases"], blocks["in_cases_closed_otherwise"])) == len(contained)


def test_suppressions(told: Told):
    judged = standing_closings(told).values()
    counts = sum(line.get("counts") or 0 for line in judged if line.get("label") == "FalsePositive")
    assert sum(entry["standing"] for entry in told.suppressions) == counts > 0
    assert sum(rule["false"] for rule in told.noisiest) == sum(
        line.get("label") == "FalsePositive" and bool(line.get("counts")) for line in judged
    )


# the chain ------------------------------------------------------------------------------------------------------------


def test_every_audit_line_is_everywhere(told: Told):
    assert told.metrics.value("propolis_audit_lines_total") == len(told.chain)
    assert told.metrics.value("propolis_audit_uncounted_lines") == 0
    chain = told.report["audit_chain"]
    assert (chain["first"], chain["last"], chain["sound"]) == (1, len(told.chain), True)
    assert told.metrics.value("propolis_audit_faults_total") == 0
    assert [one["event"]["hash"] for one in told.exported("audit")] == [line["hash"] for line in told.chain]


# by hand --------------------------------------------------------------------------------------------------------------


def states_of(told: Told, index: str, word: str) -> Counter[str]:
    return Counter(one["propolis"][word]["state"] for one in told.exported(index))


def persons_answers(told: Told) -> list[dict[str, Any]]:
    return [line for line in told.lines("approval granted", "approval denied") if line.get("operator")]


def standing_closings(told: Told) -> dict[str, dict[str, Any]]:
    """The closing of each case that is closed still."""
    found: dict[str, dict[str, Any]] = {}
    for line in told.lines("case closed", "case reopened"):
        found.pop(line["case"], None)
        if line["action"] == "case closed":
            found[line["case"]] = line
    return found


def person_word(line: dict[str, Any]) -> str:
    """The label or, where there is none and a person closed it, the resolution."""
    return line.get("label") or (line["result"] if line.get("operator") else "")


def right_wrong(words: list[Any]) -> tuple[int, int, int]:
    right, wrong = words.count("TruePositive"), words.count("FalsePositive")
    return right, wrong, len(words) - right - wrong
