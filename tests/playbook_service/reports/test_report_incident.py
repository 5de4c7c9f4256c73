"""The story of one case, from the store alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from month_store import Telling

from playbook_service.reports import incident as reading
from playbook_service.reports.incident import find_case, incident
from playbook_service.reports.incident_markdown import incident_markdown
from playbook_service.reports.incident_model import Incident
from playbook_service.reports.incident_page import incident_html
from propolis.errors import InputError


def told(telling: Telling, case: str = "128") -> Incident:
    with telling.store.reading() as work:
        return incident(work, find_case(work, case), telling.clock.now())


@pytest.fixture
def story(telling: Telling) -> Incident:
    return told(telling.tell("incident.yml"))


def test_a_case_is_found_by_its_number_and_by_its_id(telling: Telling):
    telling.tell("incident.yml")
    with telling.store.reading() as work:
        assert [find_case(work, text) for text in ("128", "#128", "~41")] == ["~41"] * 3
        with pytest.raises(InputError, match="There is no case '404' in this store"):
            find_case(work, "404")


def test_a_number_that_two_cases_have_is_asked_about(telling: Telling):
    telling.tell("incident.yml")
    telling.entry({"at": "2026-11-03T00:00:00Z", "alert": "siem01:9", "case": "~99", "number": 128, "rule": "1",
                   "agent": "x", "ip": "203.0.113.9"})  # fmt: skip
    with telling.store.reading() as work, pytest.raises(InputError, match="~41 or ~99"):
        find_case(work, "128")


def test_the_timeline_tells_what_happened_in_order_and_where_it_stands_in_the_audit(story: Incident):
    assert [(one.what, one.line) for one in story.moments] == [
        ("alert", 0), ("case", 1), ("verdict", 3), ("decision", 4), ("contained", 5), ("question", 7), ("answer", 8),
        ("release wished", 9), ("released", 10), ("closed", 11),
    ]  # fmt: skip
    assert story.moments[4].text == "block 203.0.113.1: contained until 2026-11-03 08:00:20"
    assert story.moments[6].text == "denied by anna: it was cancelled (alice)"


def test_what_other_cases_did_in_the_same_minute_is_not_told(story: Incident):
    assert "203.0.113.77" not in incident_html(story)
    assert {2, 6}.isdisjoint(one.line for one in story.moments)


def test_containments_with_their_verification_and_undo(story: Incident):
    (measure,) = story.contained
    assert (measure.target, measure.by, measure.over) == ("203.0.113.1", "playbook malicious-ip", True)
    assert (measure.verified, measure.undone) == ("read back from fw1: on its list", "Released 203.0.113.1 at fw1")


def test_what_was_not_done_and_why(story: Incident):
    assert [(one.state, one.target, one.why) for one in story.not_done] == [
        ("stopped", "198.51.100.53", "it is infrastructure of ours"),
        ("observe", "web01", "mode observe of the playbook webshell"),
        ("denied", "alice", "it was cancelled"),
    ]


def test_the_ledger_of_each_verdict(story: Incident):
    (evidence,) = story.evidence
    assert [(word.source, word.level, word.weight) for word in evidence.words][:2] == [
        ("VirusTotal", "malicious", 1.62),
        ("AbuseIPDB", "malicious", 1.35),
    ]


def test_the_page_says_it_in_a_few_sentences(story: Incident, read_page: Callable[[str], str]):
    text = read_page(incident_html(story))
    assert "1 alert came in, the first at 2026-11-02 08:00:00 UTC; the first decision followed after 10 s." in text
    assert "1 containment, the first 20 s after the alert; all undone when this was made." in text
    assert "Closed as TruePositive by anna at 2026-11-02 10:00:00 UTC." in text
    assert "No answer: Shodan (no answer by the deadline)." in text


def test_markdown_has_every_section_and_even_tables(story: Incident):
    lines = incident_markdown(story).splitlines()
    assert lines[0] == "# Incident report, Case 128: Wazuh 5712: sshd: brute force trying to get access on web01"
    for title in ("Timeline", "Evidence", "Containments", "Questions", "What was not done, and why"):
        assert f"## {title}" in lines
    assert "| denied | AccountDisable | `alice` | it was cancelled |" in lines


def test_the_json_is_what_it_was(story: Incident, golden: Callable[[str], object]):
    assert story.to_dict() == golden("incident.json")


def test_an_undo_left_to_a_person_is_not_called_undone(telling: Telling, read_page: Callable[[str], str]):
    telling.tell("incident.yml")
    telling.entry({"at": "2026-11-02T11:00:00Z", "lease": "P9", "case": "~41", "state": "ended", "target": "bob"})
    text = read_page(incident_html(told(telling)))
    assert "2 containments" in text
    assert "1 of them undone, 1 not when this was made" in text
    assert "left to a person: whether it was undone is not known" in text


def test_what_is_no_longer_kept_is_said(telling: Telling, read_page: Callable[[str], str]):
    telling.tell("incident.yml")
    with telling.store.transaction() as work:
        for kind, key in (("alert", "siem01:1"), ("verdict", "V1"), ("lease", "P1"), ("approval", "P4")):
            assert work.delete(kind, key)
        for key in ("P1", "P2", "P3"):
            assert work.delete("decision", key)
    story = told(telling)
    assert (story.number, story.title, story.alerts) == (128, "", ())
    text = read_page(incident_html(story))
    assert "The records of 1 of its 1 alerts are no longer kept." in text
    assert "block 203.0.113.1: contained" in text  # the audit chain forgets nothing


def test_where_the_lines_are_indexed_they_are_found_by_their_names(telling: Telling, story: Incident):
    telling.journal.complete_index()
    assert told(telling).moments == story.moments


def test_a_long_search_ends_and_says_so(telling: Telling, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "MOST_LINES", 5)
    story = told(telling.tell("incident.yml"))
    assert story.gaps == ("Only 5 audit lines were searched for it; there are 6 more.",)
    assert [one.line for one in story.moments] == [0, 1, 3, 4, 5]


def test_a_case_of_which_nothing_is_known_has_no_report(telling: Telling):
    with telling.store.reading() as work, pytest.raises(InputError, match="Nothing is known of a case '~7'"):
        incident(work, "~7", 0.0)
