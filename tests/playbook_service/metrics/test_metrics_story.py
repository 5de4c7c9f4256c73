"""A real service with the lab: what Prometheus sees before a story and after it, and after a restart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from scraped import Need, Scraped, promtool

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenario_soc import Soc

from playbook_service.metrics.catalogue import ALL, INSTALLATION

TOKEN = "m3trics"
DAY = 86_400.0
NOT_IN_THIS_STORY = {"propolis_steps_set_aside_total", "propolis_cases_closed_total"}
"""Without a label that is known beforehand, and nothing of the kind happened."""


def scrape(soc: Soc) -> tuple[Scraped, str]:
    connection = HTTPConnection("127.0.0.1", soc.service.port, timeout=30)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, body
    return Scraped(body), body.decode()


@pytest.fixture
def soc(tmp_path: Path) -> Iterator[Soc]:
    with Soc(tmp_path, 5, metrics_token=TOKEN) as opened:
        yield opened


def installation(told: Scraped) -> dict[str, object]:
    """What must be the same on every node and after a restart, but for the start itself."""
    names = {family.name for family in ALL if family.scope == INSTALLATION} - {"propolis_service_starts_total"}
    counters = {name for name in names if name.endswith("_total")}
    return {name: told.grown(name) for name in counters - {"propolis_audit_lines_total"}}


def test_a_story_is_told_in_numbers(soc: Soc, need: Need):
    before, _ = scrape(soc)
    assert before.value("propolis_engine_running") == 1
    assert before.grown("propolis_decisions_total") == {}

    address, user = soc.alert("block"), soc.alert("account")
    soc.until(lambda: soc.lease(address), "the address is blocked")
    question = soc.question(user)
    waiting, _ = scrape(soc)
    assert waiting.value("propolis_approvals_waiting") == 1
    soc.set_task(question.body["tasks"][0], "Completed")
    soc.until(lambda: soc.lease(user), "the account is disabled")
    soc.move(DAY + 60)
    soc.until(lambda: soc.lease(address, "ended") and soc.lease(user, "ended"), "both are undone")

    told, text = scrape(soc)
    assert promtool(need, "check", "metrics", text=text) == ""
    assert told.value("propolis_intake_events_total", origin="wazuh", outcome="accepted") == 2
    assert told.grown("propolis_decisions_total") == {("block", "act"): 1, ("disable", "ask"): 1}
    assert told.value("propolis_containments_total", responder="FirewallBlock", outcome="contained") == 1
    assert told.value("propolis_releases_total", responder="AccountDisable", how="expiry") == 1
    assert told.grown("propolis_approvals_total") == {("asked",): 1, ("granted",): 1}
    assert told.value("propolis_analyses_total", analyzer="AbuseIPDB_2_0", outcome="success") >= 1
    assert told.value("propolis_dependency_requests_total", dependency="thehive", outcome="ok") > 50
    assert told.grown("propolis_leases") == {}
    for way, line in (("alone", soc.audited("contained", address)), ("granted", soc.audited("contained", user))):
        seconds = line[0]["since_alert"]
        assert told.value("propolis_alert_to_containment_seconds_sum", way=way) == pytest.approx(seconds)
        assert told.value("propolis_alert_to_containment_seconds_count", way=way) == 1
    (granted,) = soc.audited("approval granted", user)
    assert told.value("propolis_approval_duration_seconds_sum", outcome="granted") == granted["waited"] > 0

    shown = {family.name.removesuffix("_total") for family in ALL if family.name not in NOT_IN_THIS_STORY}
    assert shown <= set(told.families), "a metric of the catalogue that a running service does not show"
    assert {address, user, "approver@soc.example"} & set(text.split('"')) == set()

    soc.service.stop()
    soc.start()
    after, _ = scrape(soc)
    assert installation(after) == installation(told)
    assert after.value("propolis_service_starts_total") == 2
    assert after.value("propolis_intake_events_total", origin="wazuh", outcome="accepted") == 0
