"""Cortex jobs and TheHive's taxonomies, as real analyzers leave them, read into reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_helpers import ADDRESS, NOW, job

from propolis.verdict import assess, load_sources
from propolis.verdict.moment import seconds
from propolis.verdict.reading import read_job, read_jobs, read_observable

SHIPPED = load_sources()
OBSERVABLE = ("ip", ADDRESS)


def level(definition: str, *taxonomies: tuple[str, str, str]) -> str | None:
    return read_job(job(definition, *taxonomies), SHIPPED).level


def test_abuseipdb_is_read_by_its_confidence_and_not_by_one_report_ever_made() -> None:
    records = ("malicious", "Records", "3")
    assert level("AbuseIPDB_2_0", ("suspicious", "Abuse Confidence Score", "12"), records) == "suspicious"
    assert level("AbuseIPDB_2_0", ("malicious", "Abuse Confidence Score", "100"), records) == "malicious"
    assert level("AbuseIPDB_1_0", ("malicious", "Records", "42 record(s)")) == "malicious"


def test_abuseipdb_whitelisted_clears() -> None:
    report = read_job(
        job("AbuseIPDB_2_0", ("info", "Is Whitelist", "True"), ("suspicious", "Abuse Confidence Score", "5")), SHIPPED
    )
    assert (report.level, report.clears) == ("safe", "is whitelist*")


def test_virustotal_is_read_by_its_engines_and_not_by_counts_of_resolutions() -> None:
    resolutions = ("malicious", "GetReport", "20 resolution(s)")
    assert level("VirusTotal_GetReport_3_1", ("info", "GetReport", "0/94"), resolutions) == "none"
    assert level("VirusTotal_GetReport_3_1", ("malicious", "GetReport", "12/94"), resolutions) == "malicious"
    assert level("VirusTotal_GetReport_3_1", ("malicious", "GetReport", "1/94")) == "suspicious"


def test_greynoise_benign_and_riot_clear_in_every_version() -> None:
    for taxonomies in (
        [("safe", "tags", "3"), ("safe", "actor", "Shodan.io")],
        [("safe", "classification", "benign"), ("safe", "Name", "Cloudflare"), ("safe", "Type", "Benign Service")],
    ):
        report = read_job(job("GreyNoise_3_1", *taxonomies), SHIPPED)
        assert report.level == "safe"
        assert report.clears


def test_greynoise_malicious_is_read_also_where_old_versions_lost_the_colour() -> None:
    assert level("GreyNoise_3_0", ("info", "tags", "4"), ("info", "classification", "malicious")) == "malicious"
    assert (
        level("GreyNoise_3_2", ("malicious", "tags", "4"), ("malicious", "classification", "malicious")) == "malicious"
    )
    assert level("GreyNoise_3_2", ("info", "IP observed scanning the internet in the last 90 days", "False")) is None


def test_crowdsec_is_read_by_its_reputation_and_its_green_not_found_is_no_word_for_innocence() -> None:
    behaviour = ("suspicious", "Behavior", "ssh:bruteforce")
    assert level("Crowdsec_Analyzer_1_1", ("malicious", "Reputation", "malicious"), behaviour) == "malicious"
    assert level("Crowdsec_Analyzer_1_1", ("info", "Reputation", "known"), behaviour) is None
    assert level("Crowdsec_Analyzer_1_0", ("info", "ASN", "x"), ("suspicious", "Attack", "ssh")) == "suspicious"
    assert level("Crowdsec_Analyzer_1_1", ("safe", "Threat", "Not found")) is None
    safe = read_job(job("Crowdsec_Analyzer_1_1", ("safe", "Reputation", "safe"), behaviour), SHIPPED)
    assert (safe.level, safe.clears) == ("safe", "known safe")


def test_a_riot_that_is_denied_does_not_clear() -> None:
    assert read_job(job("GreyNoise_3_2", ("info", "RIOT", "False")), SHIPPED).clears is None
    assert read_job(job("GreyNoise_3_2", ("info", "RIOT", "True")), SHIPPED).clears == "riot"


def test_a_hit_on_a_misp_warninglist_clears_although_it_is_shown_as_suspicious() -> None:
    report = read_job(job("MISPWarningLists_2_0", ("suspicious", "Warninglists", "Potential fp")), SHIPPED)
    assert (report.level, report.clears) == ("safe", "potential fp")
    assert level("MISPWarningLists_2_0", ("info", "Warninglists", "No hits")) is None


def test_pulses_and_events_that_are_shown_as_information_are_reason_to_look() -> None:
    assert level("OTXQuery_2_0", ("info", "Pulses", "7")) == "suspicious"
    assert level("OTXQuery_2_0", ("info", "Pulses", "0")) == "none"
    assert level("MISP_2_1", ("info", "Search", "2 event(s)")) == "suspicious"
    assert level("MISP_2_1", ("info", "Search", "0")) == "none"


def test_that_somebody_scanned_a_page_is_no_suspicion() -> None:
    assert level("Urlscan_io_Search_0_1_1", ("suspicious", "Search", "12 results")) is None
    assert level("Urlscan_io_Scan_0_1_0", ("malicious", "Scan", "Overall Score:100")) == "malicious"


def test_information_is_missing_unless_the_entry_says_that_it_means_none() -> None:
    shodan = read_job(job("Shodan_Host_1_0", ("info", "Location", "Netherlands")), SHIPPED)
    assert (shodan.level, shodan.reason, shodan.success) == (None, "gives information only", True)
    assert level("URLhaus_2_0", ("info", "Search", "0 result")) == "none"


def test_the_gravest_of_several_taxonomies_counts() -> None:
    assert (
        level("Maltiverse_Report_1_0", ("safe", "A", "1"), ("malicious", "B", "2"), ("suspicious", "C", "3"))
        == "malicious"
    )


def failed(message: str) -> dict[str, Any]:
    return job("Onyphe_1_0", status="Failure", report={"success": False, "errorMessage": message})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (failed("TLP is higher than allowed."), "refused by TLP or PAP"),
        (failed("PAP is higher than allowed."), "refused by TLP or PAP"),
        (failed("HTTPSConnectionPool: Read timed out."), "timed out"),
        (failed("Job has timed out"), "timed out"),
        (failed("429 Client Error: Too Many Requests for url"), "rate-limited"),
        (failed("You exceeded your API limit"), "rate-limited"),
        (failed(""), "failed"),
        (failed("401 Unauthorized for https://x.test/?apikey=s3cr3tvalue&q=1"), "failed: 401 Unauthorized for https://x.test/?apikey=REMOVED&q=1"),
        (job("Onyphe_1_0", status="Waiting", report="Waiting"), "not finished"),
        (job("Onyphe_1_0", status="InProgress", report="Running"), "not finished"),
        (job("Onyphe_1_0", status="Deleted", report="Deleted"), "deleted"),
        (job("Onyphe_1_0", report=None), "not finished"),
        (job("Onyphe_1_0"), "gives no taxonomies"),
        (job("Onyphe_1_0", report={"success": False}), "failed"),
        (job("Onyphe_1_0", report={"success": True, "summary": {"taxonomies": "broken"}}), "gives no taxonomies"),
    ],
)  # fmt: skip
def test_what_gave_no_answer_is_missing_with_its_reason(given: dict[str, Any], reason: str) -> None:
    report = read_job(given, SHIPPED)
    assert (report.level, report.reason) == (None, reason)


def spoken(full: Any = None, error: str | None = None, *taxonomies: tuple[str, str, str]) -> dict[str, Any]:
    found = job("AbuseIPDB_2_0", *(taxonomies or [("safe", "Abuse Confidence Score", "0")]))
    found["report"].update(full=full, errorMessage=error)
    return found


@pytest.mark.parametrize(
    "given",
    [
        spoken(error="API rate limit exceeded"),
        spoken(error="Daily quota reached"),
        spoken({"error": "Too many requests"}),
        spoken({"errors": [{"detail": "Daily rate limit of 1000 requests exceeded", "status": 429}]}),
        spoken({"status_code": 429}),
        spoken({"results": {"message": "monthly request limit reached"}}),
        spoken({}, None, ("safe", "Status", "rate limited")),
        spoken({}, None, ("info", "Error", "429")),
        spoken({}, None, ("safe", "Lookup", "HTTP 429")),
        spoken({}, None, ("safe", "Lookup", "API limit reached")),
    ],
)
def test_a_success_that_says_it_was_rate_limited_is_missing_and_not_safe(given: dict[str, Any]) -> None:
    report = read_job(given, SHIPPED)
    assert (report.level, report.reason, report.success) == (None, "rate-limited", False)


@pytest.mark.parametrize(
    "given",
    [
        spoken({"whois": "queries to this whois are rate limited; quota applies"}),
        spoken({"banner": "HTTP/1.1 429 Too Many Requests"}),
        spoken({"data": {"totalReports": 429, "port": 429}}),
        spoken({}, None, ("malicious", "Records", "429")),
    ],
)
def test_a_report_about_a_host_that_itself_limits_rates_is_an_answer(given: dict[str, Any]) -> None:
    assert read_job(given, SHIPPED).level is not None


def test_what_ages_is_when_the_source_itself_last_saw_it() -> None:
    seen = job("AbuseIPDB_2_0", ("malicious", "Abuse Confidence Score", "100"))
    seen["report"]["full"] = {"values": [{"data": {"lastReportedAt": "2025-12-31T10:02:00+00:00"}}]}
    report = read_job(seen, SHIPPED)
    assert report.time == seconds("2025-12-31T10:02:00Z")
    assert report.ended == NOW - 3600
    seen["report"]["full"] = {"values": [{"data": {"lastReportedAt": None}}]}
    assert read_job(seen, SHIPPED).time == NOW - 3600


def test_a_last_seen_in_the_future_is_when_the_job_ended() -> None:
    vt = job("VirusTotal_GetReport_3_1", ("malicious", "GetReport", "9/94"))
    vt["report"]["full"] = {"attributes": {"last_analysis_date": NOW + 10**6}}
    assert read_job(vt, SHIPPED).time == NOW - 3600


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1767261720000, NOW),
        (1767261720, NOW),
        ("1767261720", NOW),
        ("2026-01-01T10:02:00Z", NOW),
        ("2026-01-01 10:02:00 UTC", NOW),
        ("2026-01-01T12:02:00+02:00", NOW),
        (True, None),
        (float("nan"), None),
        (10**400, None),
        (-5, None),
        ("yesterday", None),
        (None, None),
        ({}, None),
    ],
)
def test_moments_are_read_in_every_form_or_not_at_all(value: Any, moment: float | None) -> None:
    assert seconds(value) == moment


def test_the_definition_is_found_under_its_other_names_and_loses_its_version() -> None:
    bare = job("AbuseIPDB_2_0", ("malicious", "Records", "1"))
    bare["workerDefinitionId"] = bare.pop("analyzerDefinitionId")
    assert read_job(bare, SHIPPED).source == "AbuseIPDB"
    assert read_job({"analyzerName": "Urlscan_io_Search_0_1_1"}, SHIPPED).source == "Urlscan_io_Search"


@pytest.mark.parametrize("rubbish", [None, 7, "x", [], {}, {"report": 5, "status": []}, {"report": {"summary": [{}]}}])
def test_rubbish_is_dropped_and_never_an_exception(rubbish: Any) -> None:
    reading = read_jobs([rubbish], OBSERVABLE, SHIPPED)
    assert reading.reports == []
    assert len(reading.dropped) == 1


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["report", "summary", "taxonomies", "level", "value", "full", "error", "status", "endDate"])
            | st.text(max_size=8),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=25,
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["report", "status", "endDate", "dataType", "data", "errorMessage"]), JSON), JSON
)
def test_no_job_whatever_it_holds_is_an_exception(rubbish: dict[str, Any], full: Any) -> None:
    odd = job("AbuseIPDB_2_0", ("malicious", "Records", "1"))
    odd["report"]["full"] = full
    for given_job in ({**odd, **rubbish}, {**rubbish, "analyzerDefinitionId": "GreyNoise_3_2"}, odd):
        report = read_job(given_job, SHIPPED)
        assert report.level in (None, "malicious", "suspicious", "safe", "none")
        assert (report.level is None) == (report.reason is not None)


def test_a_deep_report_does_not_exhaust_the_stack() -> None:
    deep: Any = "too many requests"
    for _ in range(900):
        deep = [deep]
    odd = job("AbuseIPDB_2_0", ("malicious", "Records", "1"))
    odd["report"]["full"] = {"error": deep}
    assert read_job(odd, SHIPPED).level == "malicious"


def test_a_job_without_a_date_is_missing() -> None:
    odd = job("AbuseIPDB_2_0", ("malicious", "Records", "1"), startDate=None, endDate=None)
    found = assess("ip", ADDRESS, [odd], now=NOW)
    assert found.lines[0].reason == "has no date"


def test_a_job_that_names_no_observable_is_dropped() -> None:
    reading = read_jobs([job("AbuseIPDB_2_0", ("safe", "Records", "0"), data=None)], OBSERVABLE, SHIPPED)
    assert [entry.why for entry in reading.dropped] == ["names no observable"]


@pytest.mark.parametrize(
    ("data_type", "left", "right"),
    [
        ("ip", "::FFFF:203.0.113.45", "203.0.113.45"),
        ("ip", "2001:DB8::1", "2001:db8:0:0:0:0:0:1"),
        ("domain", "Evil.Example.ORG.", "evil.example.org"),
        ("url", "HTTP://Example.org:80", "http://example.org/"),
        ("hash", "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e"),
        ("mail", "Some.One@Example.ORG", "some.one@example.org"),
    ],
)
def test_two_spellings_of_one_observable_are_the_same(data_type: str, left: str, right: str) -> None:
    found = read_jobs(
        [job("MISP_2_1", ("info", "Search", "1"), dataType=data_type, data=left)], (data_type, right), SHIPPED
    )
    assert len(found.reports) == 1


def test_a_path_of_a_url_keeps_its_case() -> None:
    odd = job("URLhaus_2_0", ("malicious", "Search", "1 result"), dataType="url", data="http://example.org/A")
    assert read_jobs([odd], ("url", "http://example.org/a"), SHIPPED).reports == []


def test_an_observable_of_thehive_brings_its_taxonomies(fixtures: Path) -> None:
    entity = json.loads((fixtures / "verdict" / "thehive_observable.json").read_text())
    found = {report.source: report for report in read_observable(entity, SHIPPED)}
    assert found["AbuseIPDB"].level == "malicious"
    assert found["Shodan_Host"].level is None
    assert found["AbuseIPDB"].ended == entity["startDate"] / 1000


def test_taxonomies_beyond_reason_are_cut() -> None:
    many = job("Maltiverse_Report_1_0", *[("info", "P", "v" * 10_000)] * 5_000)
    report = read_job(many, SHIPPED)
    assert len(report.taxonomies) == 200
    assert len(report.taxonomies[0].value) == 300
