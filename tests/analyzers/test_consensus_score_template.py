"""ConsensusScore's report template reads what the report holds, and renders whatever is in it as text."""

from __future__ import annotations

import re
from pathlib import Path

from propolis.verdict import Report, assess
from propolis.verdict.presentation import full_of

BUILT_IN = {"length", "errorMessage", "taxonomies"}


def full() -> dict[str, object]:
    now = 1_767_261_720.0
    reports = [
        Report("AbuseIPDB", "AbuseIPDB_2_0", "malicious", None, now, now, "ip", "203.0.113.45"),
        Report("Shodan_Host", "Shodan_Host_1_0", None, "gives information only", now, now, "ip", "203.0.113.45"),
        Report("Stranger", "Stranger_1_0", "safe", None, now, now, "ip", "203.0.113.45"),
        Report("OTXQuery", "OTXQuery_2_0", "safe", None, now, now, "ip", "192.0.2.1"),
    ]
    return full_of(assess("ip", "203.0.113.45", reports, now=now), "handed over")


def template(root: Path) -> str:
    return (root / "thehive-templates" / "ConsensusScore_1_0" / "long.html").read_text()


def test_every_field_the_template_reads_is_in_the_report(root: Path) -> None:
    found = full()
    html = template(root)
    fields = set(re.findall(r"content\.(\w+)", html)) - BUILT_IN
    assert fields <= set(found)
    assert {"ledger", "explanation", "score", "recommendation", "veto", "unrated", "dropped", "note"} <= fields
    ledger, unrated, dropped = found["ledger"], found["unrated"], found["dropped"]
    assert set(re.findall(r"\bline\.(\w+)", html)) <= set(ledger[0])  # type: ignore[index]
    assert set(re.findall(r"\bentry\.(\w+)", html)) <= set(unrated[0]) | set(dropped[0])  # type: ignore[index]
    assert set(re.findall(r"content\.thresholds\.(\w+)", html)) <= set(found["thresholds"])  # type: ignore[call-overload]


def test_nothing_of_a_report_is_rendered_as_html(root: Path) -> None:
    html = template(root)
    for way_in in ("ng-bind-html", "trustAsHtml", "<script", "javascript:", "ng-href", "ng-src", "href=", "src="):
        assert way_in not in html


def test_the_template_uses_only_what_thehive_has(root: Path) -> None:
    html = template(root)
    filters = set(re.findall(r"[^|]\|\s*(\w+)", " ".join(re.findall(r"\{\{(.*?)\}\}", html)))) - {"artifact", "content"}
    assert filters <= {"fang", "ellipsis", "json", "date", "number", "uppercase"}
    assert html.count("<div") == html.count("</div>")


def test_the_folder_is_named_as_the_definition_id(root: Path) -> None:
    assert (root / "thehive-templates" / "ConsensusScore_1_0" / "short.html").is_file()
