"""The stories of the samples, end to end, and what the pipeline promises whatever the playbooks say."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from playbook_service.judgement.guard import ACT, ASK, STOPPED
from playbook_service.playbook import SHIPPED, decide, load
from playbook_service.playbook.field import Context
from playbook_service.replay import enrichment, recall
from playbook_service.replay.pipeline import Pipeline, Setup
from playbook_service.replay.summary import SUPPRESSED, Summary, disposition_of
from propolis.alert import Alert
from propolis.guardrails import Policy
from propolis.verdict import Options


@pytest.fixture
def outcomes(setup, alerts):
    pipeline = Pipeline(setup)
    return [pipeline.process(alert) for alert in alerts]


@pytest.fixture
def decided(outcomes):
    """(responder, raw target) -> gravest outcome over the whole day."""
    summary = Summary()
    for outcome in outcomes:
        summary.add(outcome)
    return {
        (row.judged.decision.responder, row.judged.decision.target.data): row.judged
        for row in summary.rows(ACT, ASK, STOPPED)
        if row.judged.decision.target is not None
    }


def outcome_of(decided, responder, target):
    return decided[responder, target].outcome if (responder, target) in decided else "left alone"


def test_the_attacker_and_the_one_whom_the_muted_rule_missed_are_both_blocked(decided):
    assert outcome_of(decided, "FirewallBlock", "203.0.113.17") == ACT
    assert outcome_of(decided, "FirewallBlock", "203.0.113.18") == ACT


def test_an_attacker_whom_few_know_is_not_blocked_alone(decided):
    assert outcome_of(decided, "FirewallBlock", "2001:db8:bad:c0de::5") == "left alone"
    assert outcome_of(decided, "FirewallBlock", "198.51.100.77") != ACT


def test_what_many_call_malicious_and_one_clears_is_never_blocked_alone(decided):
    assert outcome_of(decided, "FirewallBlock", "198.51.100.10") in (ASK, "left alone")


def test_shared_infrastructure_is_stopped_by_the_guardrail(decided):
    judged = decided["FirewallBlock", "198.51.100.80"]
    assert judged.outcome == STOPPED
    assert judged.rule.startswith("firewall.infrastructure")


def test_an_account_somebody_stole_is_asked_about_and_a_service_account_is_stopped(decided):
    assert outcome_of(decided, "AccountDisable", "backup") == ASK
    assert outcome_of(decided, "AccountDisable", "svc-backup") == STOPPED


def test_hosts_with_malware_are_asked_about_because_the_policy_wants_a_grant(decided):
    assert outcome_of(decided, "IsolateHost", "005") == ASK
    assert outcome_of(decided, "IsolateHost", "006") == ASK


def test_no_domain_controller_manager_or_own_address_is_a_target(decided, setup):
    assert outcome_of(decided, "IsolateHost", "000") == "left alone"
    assert outcome_of(decided, "IsolateHost", "004") in ("left alone", STOPPED)
    addresses = [target for responder, target in decided if responder == "FirewallBlock"]
    assert not [address for address in addresses if address.startswith("192.0.2.")]


def test_a_home_connection_that_nobody_reported_is_left_alone(decided):
    assert outcome_of(decided, "FirewallBlock", "203.0.113.201") == "left alone"


def test_the_scanner_is_suppressed_where_analysts_said_so_and_nowhere_else(outcomes):
    scanner = [entry for entry in outcomes if entry.alert.fields.get("data", {}).get("srcip") == "198.51.100.200"]
    by_rule: dict[str, set[str]] = {}
    for entry in scanner:
        by_rule.setdefault(entry.alert.rule_id, set()).add(disposition_of(entry))
    assert by_rule["31151"] == {SUPPRESSED}
    assert SUPPRESSED not in by_rule["31103"] | by_rule["31168"]


def test_a_suppressed_alert_has_no_decision_no_verdict_and_no_case(outcomes):
    hidden = [entry for entry in outcomes if entry.suppressed]
    assert len(hidden) == 3
    assert all(not entry.judged and not entry.seen and entry.case is None and entry.observables for entry in hidden)


def test_feedback_of_the_active_response_joins_the_case_of_the_original(outcomes):
    cases = {entry.alert.rule_id: entry.case for entry in outcomes if entry.alert.rule_id in ("5712", "651")}
    assert cases["651"] is cases["5712"]


def test_our_own_addresses_and_names_are_marked_internal(outcomes):
    tags = {entry.data: entry.tags for outcome in outcomes for entry in outcome.observables}
    assert "internal" in tags["192.0.2.71"]
    assert "external" not in tags["192.0.2.71"]
    assert "external" in tags["203.0.113.17"]


def test_nothing_internal_is_asked_about_outside(outcomes):
    asked = [seen.observable for outcome in outcomes for seen in outcome.seen]
    assert not [entry for entry in asked if entry.data_type == "ip" and "internal" in entry.tags]


def test_without_a_policy_nothing_counts_as_ours_and_the_built_in_rules_still_hold(setup, alert):
    pipeline = Pipeline(setup._replace(policy=Policy.parse(None)))
    inside = pipeline.process(
        alert(data={"srcip": "10.1.2.3"}, rule={"groups": ["authentication_failures"], "level": 12})
    )
    assert not [
        entry for entry in inside.judged if entry.outcome in (ACT, ASK) and entry.decision.responder == "FirewallBlock"
    ]


def test_modes_hold_back_what_happens_today_and_not_what_would(outcomes, setup):
    contained = [entry for outcome in outcomes for entry in outcome.judged if entry.outcome in (ACT, ASK)]
    contained = [entry for entry in contained if entry.decision.responder]
    modes = {book.name: book.mode for book in setup.playbooks}
    assert contained
    assert {entry.today for entry in contained if modes[entry.decision.playbook] == "observe"} == {"observe"}


@pytest.mark.parametrize(("ceiling", "today"), [("enforce", "act"), ("approve", "ask"), ("observe", "observe")])
def test_the_service_s_mode_is_a_ceiling(setup, fixtures, alert, ceiling, today):
    playbooks = load(fixtures / "replay" / "playbooks-after")
    judged = Pipeline(setup._replace(playbooks=playbooks, ceiling=ceiling)).process(alert()).judged
    assert [(entry.outcome, entry.today) for entry in judged] == [("act", today)]


def test_verdicts_only_know_the_analyzers_that_the_playbooks_ask(setup, fixtures, alert):
    playbooks = load(fixtures / "replay" / "playbooks-before")
    (seen,) = Pipeline(setup._replace(playbooks=playbooks)).process(alert()).seen
    assert {line.source for line in seen.verdict.lines} == {
        "AbuseIPDB", "Crowdsec_Analyzer", "GreyNoise", "VirusTotal_GetReport"
    }  # fmt: skip


def test_the_profile_is_handed_on(setup, alert):
    (seen,) = Pipeline(setup._replace(options=Options(profile="count"))).process(alert()).seen
    assert seen.fields["profile"] == "count"


def test_an_alert_without_a_time_counts_as_just_after_the_one_before(setup, alert):
    pipeline = Pipeline(setup)
    pipeline.process(alert())
    assert pipeline.process(alert(timestamp="soon")).moment == alert().timestamp


def told(outcome):
    return (
        outcome.alert.id,
        outcome.suppressed,
        outcome.case.number if outcome.case else 0,
        [(entry.outcome, entry.today, entry.rule, entry.decision.to_dict()) for entry in outcome.judged],
        [(seen.observable, seen.fields) for seen in outcome.seen],
    )


@pytest.mark.parametrize("place", ["shipped", "playbooks-before"])
def test_remembering_changes_nothing(setup, lines, monkeypatch, fixtures, place):
    """The memories make it fast; without them every decision is the same, to the last reason and digest."""
    playbooks = load(SHIPPED if place == "shipped" else fixtures / "replay" / place)
    setup = setup._replace(playbooks=playbooks)

    def day(pipeline):
        return [told(pipeline.process(Alert.parse(line))) for _ in range(2) for line in lines]

    with_memory = day(Pipeline(setup))
    monkeypatch.setattr(recall.Memo, "get", lambda self, key: None)
    monkeypatch.setattr(enrichment.Memo, "get", lambda self, key: None)
    assert day(Pipeline(setup)) == with_memory


def test_decisions_are_those_of_the_engine_itself(setup, alerts):
    """The pipeline adds nothing to and takes nothing from what `decide` says of an alert."""
    pipeline = Pipeline(setup)
    for entry in alerts:
        context: Context = {"alert": entry.fields}
        direct = {d.digest() for d in decide(setup.playbooks, "alert", context, ceiling_mode="enforce") if d.responder}
        outcome = pipeline.process(entry)
        if not outcome.suppressed:
            mine = {j.decision.digest() for j in outcome.judged if j.decision.event == "alert" and j.decision.responder}
            others = {j.decision.action for j in outcome.judged if j.decision.event != "alert"}
            assert mine <= direct
            assert len(direct - mine) == 0 or others


def test_memory_stays_flat_over_many_different_alerts(setup: Setup, raw):
    pipeline = Pipeline(setup)

    def feed(start: int, count: int) -> None:
        summary = Summary()
        for number in range(start, start + count):
            address = f"203.{number % 200}.{number // 200 % 250}.{number % 250}"
            summary.add(pipeline.process(Alert.parse(raw(id=f"{number}.1", data={"srcip": address}))))

    feed(0, 300)
    tracemalloc.start()
    try:
        feed(300, 1500)
        early = tracemalloc.get_traced_memory()[0]
        feed(300, 1500)
        assert tracemalloc.get_traced_memory()[0] < early + 400_000
    finally:
        tracemalloc.stop()


def test_the_bundled_playbooks_are_all_observing(root: Path):
    assert {book.mode for book in load(SHIPPED)} == {"observe"}
