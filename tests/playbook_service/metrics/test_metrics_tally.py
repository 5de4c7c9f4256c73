"""The tally of the audit chain: what a day's lines come to, and that nothing is counted twice or forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scraped import Scraped, scraped

from playbook_service.audit.journal import LOG, Journal
from playbook_service.metrics import counting
from playbook_service.metrics.counting import KEY, KIND, Counting
from playbook_service.metrics.tally import FOLD, Tally
from playbook_service.store.contract import Store
from playbook_service.store.memory import MemoryStore
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = MemoryStore(ManualClock()) if request.param == "memory" else SqliteStore(tmp_path / "db", ManualClock())
    yield opened
    opened.close()


@pytest.fixture
def a_day(fixtures: Path) -> list[dict[str, Any]]:
    lines = (fixtures / "metrics" / "a_day.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def write(store: Store, facts: list[dict[str, Any]]) -> None:
    journal = Journal(store, ManualClock())
    for fact in facts:
        with store.transaction() as work:
            journal.write(work, **fact)


def looked(counting: Counting) -> Scraped:
    return scraped(counting.look().families)


def test_a_days_lines_come_to_these_numbers(store: Store, a_day: list[dict[str, Any]]):
    write(store, a_day)
    told = looked(Counting(store))
    assert told.grown("propolis_decisions_total") == {
        ("malicious-ip", "act"): 1, ("malicious-ip", "stopped"): 1, ("malicious-ip", "held"): 1,
        ("compromised-account", "ask"): 1,
    }  # fmt: skip
    assert told.grown("propolis_guardrail_refusals_total") == {("firewall.own",): 1, ("policy limits",): 1}
    assert told.grown("propolis_analyses_total") == {
        ("AbuseIPDB_2_0", "success"): 1, ("OTXQuery_2_0", "failure"): 1, ("VirusTotal_GetReport", "late"): 1,
    }  # fmt: skip
    assert told.grown("propolis_containments_total") == {
        ("contained", "FirewallBlock"): 1, ("contained", "AccountDisable"): 1, ("dry_run", "IsolateHost"): 1,
        ("failed", "IsolateHost"): 1, ("taken_over", "FirewallBlock"): 1,
    }  # fmt: skip
    assert told.grown("propolis_releases_total") == {
        ("expiry", "FirewallBlock"): 1, ("early", "AccountDisable"): 1, ("by_hand", "FirewallBlock"): 1,
        ("left", "IsolateHost"): 1,
    }  # fmt: skip
    assert told.grown("propolis_approvals_total") == {
        ("asked",): 3, ("granted",): 1, ("expired",): 1, ("withdrawn",): 1
    }  # fmt: skip
    assert told.grown("propolis_cases_closed_total") == {("TruePositive",): 1, ("unknown",): 1}
    assert told.grown("propolis_case_alerts_total") == {("opened",): 1, ("joined",): 1}
    assert told.grown("propolis_steps_set_aside_total") == {("contain",): 1}
    singles = ("service_starts", "suppressed_alerts", "mode_changes")
    assert [told.value(f"propolis_{name}_total") for name in singles] == [1, 1, 1]
    assert told.grown("propolis_renewals_total") == {("renewed",): 1, ("failed",): 1}
    assert told.value("propolis_release_failures_total", responder="FirewallBlock") == 1
    assert told.value("propolis_escalations_total", rule="critical") == 1
    assert told.value("propolis_verdicts_total", verdict="malicious") == 1


def test_times_are_told_by_way_and_by_answer(store: Store, a_day: list[dict[str, Any]]):
    write(store, a_day)
    told = looked(Counting(store))
    contained, answered = "propolis_alert_to_containment_seconds", "propolis_approval_duration_seconds"
    assert told.value(f"{contained}_sum", way="alone") == 12.5
    assert told.value(f"{contained}_bucket", way="alone", le="10") == 0
    assert told.value(f"{contained}_bucket", way="alone", le="15") == 1
    assert told.value(f"{contained}_sum", way="granted") == 460.25
    assert told.value(f"{answered}_sum", outcome="granted") == 400
    assert told.value(f"{answered}_count", outcome="expired") == 1
    assert told.value(f"{answered}_count", outcome="denied") == 0


def test_no_target_no_case_and_nobody_is_ever_a_label(store: Store, a_day: list[dict[str, Any]]):
    write(store, a_day)
    counted = Counting(store).look()
    labels = {text for one in counted.families for sample in one.samples for _, text in sample.labels}
    secret = {str(fact[name]) for fact in a_day for name in ("target", "case", "operator", "alert") if name in fact}
    assert not labels & (secret - {"expiry"})
    assert not any("192.0.2" in text for text in labels)


@pytest.mark.parametrize("rule", ["203.0.113.7", "bob@example.org", "x" * 90, 'a"} 1\n'])
def test_a_rule_that_is_no_policy_key_is_not_told(store: Store, rule: str):
    write(store, [{"action": "decision", "result": "stopped", "rule": rule, "playbook": "p"}])
    assert looked(Counting(store)).grown("propolis_guardrail_refusals_total") == {("unknown",): 1}


def test_a_line_with_nonsense_in_it_is_counted_as_far_as_it_goes(store: Store):
    write(store, [
        {"action": "contained", "since_alert": "soon"}, {"action": "contained", "since_alert": -5.0},
        {"action": "contained", "since_alert": True}, {"action": "verdict", "analyzers": ["x"]}, {"action": "decision"},
    ])  # fmt: skip
    told = looked(Counting(store))
    assert told.value("propolis_containments_total", responder="unknown", outcome="contained") == 3
    assert told.value("propolis_alert_to_containment_seconds_count", way="alone") == 0
    assert told.grown("propolis_decisions_total") == {("unknown", "unknown"): 1}


# going on -----------------------------------------------------------------------------------------------------------


def test_every_look_counts_only_what_is_new(store: Store, a_day: list[dict[str, Any]]):
    counting = Counting(store)
    for fact in a_day:
        write(store, [fact])
        counting.look()
    assert counting.look() == Counting(store).look()


def test_a_restart_and_another_node_come_to_the_same(
    store: Store, a_day: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(counting, "KEPT_EVERY", 10)
    one, other = Counting(store), Counting(store)
    for place in range(0, len(a_day), 3):
        write(store, a_day[place : place + 3])
        (one if place % 2 else other).look()
    with store.reading() as work:
        kept = work.get(KIND, KEY)
    assert kept is not None
    assert kept.body["number"] >= 20
    after_a_restart = Counting(store).look()
    assert after_a_restart == one.look() == other.look()
    assert after_a_restart.families == Counting(_copy_of_chain(store)).look().families


def _copy_of_chain(store: Store) -> Store:
    """The same chain without a tally: everything is counted from the first line."""
    fresh = MemoryStore(ManualClock())
    with store.reading() as before, fresh.transaction() as work:
        for entry in before.read(LOG):
            work.append(LOG, entry.body)
    return fresh


def test_a_kept_tally_spares_the_lines_that_it_counted(store: Store, a_day: list[dict[str, Any]]):
    write(store, a_day)
    tally = Tally()
    with store.reading() as work:
        lines = [entry.body for entry in work.read(LOG)]
    tally.count(lines)
    document = tally.to_dict()
    document["sums"]["propolis_suppressed_alerts_total"] = [[[], [41.0]]]  # as if there had been more before
    with store.transaction() as work:
        work.save(KIND, KEY, document)
    write(store, [{"action": "suppressed"}])
    assert looked(Counting(store)).value("propolis_suppressed_alerts_total") == 42


def test_a_tally_of_another_version_is_counted_anew(store: Store, a_day: list[dict[str, Any]]):
    write(store, a_day)
    with store.transaction() as work:
        work.save(KIND, KEY, {"fold": FOLD + 1, "number": 3, "hash": "", "sums": {}})
    assert looked(Counting(store)).value("propolis_suppressed_alerts_total") == 1


def test_a_chain_too_long_for_one_scrape_tells_no_half_numbers(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counting, "_PAGE", 5)
    monkeypatch.setattr(counting, "_PAGES_EACH", 2)
    write(store, [{"action": "suppressed"}] * 23)
    counted = Counting(store)
    assert [counted.look().behind for _ in range(3)] == [13, 3, 0]
    assert looked(counted).value("propolis_suppressed_alerts_total") == 23


def test_it_can_be_counted_beforehand_and_stopped_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counting, "_PAGE", 5)
    write(store, [{"action": "suppressed"}] * 23)
    counted = Counting(store)
    rounds = iter([False, False, True])
    counted.catch_up(lambda: next(rounds))
    assert counted._upto() == 10
    counted.catch_up(lambda: False)
    assert counted._upto() == 23


# tampering ----------------------------------------------------------------------------------------------------------


def faults(counting: Counting) -> float | None:
    return looked(counting).value("propolis_audit_faults_total")


def test_a_sound_chain_has_no_faults(store: Store, a_day: list[dict[str, Any]]):
    write(store, a_day)
    assert faults(Counting(store)) == 0


def tampered(lines: list[dict[str, Any]], how: str) -> list[Any]:
    match how:
        case "altered":
            lines[5]["target"] = "somebody else"
        case "dropped":
            del lines[5]
        case "moved":
            lines[5], lines[6] = lines[6], lines[5]
        case "nonsense":
            lines[5] = "what is this"  # type: ignore[call-overload]
    return lines


@pytest.mark.parametrize("how", ["altered", "dropped", "moved", "nonsense"])
def test_a_line_that_was_tampered_with_is_met(how: str, a_day: list[dict[str, Any]]):
    store = MemoryStore(ManualClock())
    write(store, a_day)
    with store.reading() as work:
        lines = tampered([entry.body for entry in work.read(LOG)], how)
    tally = Tally()
    tally.count(lines[:4])
    tally.count(lines[4:])
    assert scraped(tally.measured()).value("propolis_audit_faults_total") >= 1


def test_a_chain_that_was_cut_off_behind_the_tally_is_met(a_day: list[dict[str, Any]]):
    store, shorter = MemoryStore(ManualClock()), MemoryStore(ManualClock())
    write(store, a_day)
    write(shorter, a_day[:10])
    counted = Counting(store)
    counted.look()
    with shorter.transaction() as work:
        work.save(KIND, KEY, counted._tally.to_dict())
    after = Counting(shorter)
    assert faults(after) == 1
    write(shorter, [{"action": "suppressed"}])
    assert faults(after) == 1, "one cut is one fault; the line after it fits the chain as it is now"
    assert looked(after).value("propolis_suppressed_alerts_total") == 2
