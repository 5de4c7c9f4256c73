"""Whatever an attacker writes into names, targets and logs is text in a report, and a bounded one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from month_store import DECEMBER, NOVEMBER, Telling

from playbook_service.reports.document import document
from playbook_service.reports.gather import Scope, gather
from playbook_service.reports.incident import incident
from playbook_service.reports.incident_markdown import incident_markdown
from playbook_service.reports.incident_page import incident_html
from playbook_service.reports.page import page

EVIL = {
    "markup": '</style></td><script>alert(1)</script><img src=x onerror="alert(2)">',
    "attribute": "\" onmouseover='alert(3)' x=\"",
    "reversed": "web\u202e10\u2066bew\u200b\x07\x1b[2J",
    "markdown": "|x|\n\n# Owned\n\n[a](https://evil.example) ![](https://evil.example/x) `a` <b>b</b> www.evil.example",
    "surrogate": "half \ud800 a pair",
    "long": "A" * 1_000_000,
}
UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
AT = "2026-11-20T10:00:00Z"


@pytest.fixture(scope="module", params=sorted(EVIL))
def evil(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Telling:
    """A case in which everything that comes from outside is hostile. Only read."""
    telling = Telling(tmp_path_factory.mktemp("evil"))
    text = EVIL[request.param]
    case = {"case": "~41", "at": AT}
    about = {"target": text, "responder": "FirewallBlock"}
    line = {"case": "~41", "target": text, "responder": "FirewallBlock", "operator": text, "why": text}
    for entry in (
        {**case, "alert": "siem01:1", "number": 128, "rule": "1", "agent": text, "ip": text, "description": text},
        {**case, "line": {"action": "case opened", "case": "~41", "number": 128, "alert": "siem01:1"}},
        {**case, "verdict": "V1", "ip": text, "ledger": [[text, "malicious", 1.0, text], [text, "missing", 0.0, text],
                                                         [text, text, 0.5, text]], "veto": [text]},
        {**case, "decision": "P1", "alert_key": "siem01:1", "playbook": text, "reasons": [text], "why": text,
         "state": "stopped", "wanted": "act", **about},
        {**case, "line": {"action": "decision", "decision": "P1", "result": "stopped", "wanted": "act",
                          "playbook": text, "rule": text, "reasons": [text], **line}},
        {**case, "line": {"action": "decision", "decision": "P2", "result": "act", "wanted": "act", "playbook": text,
                          "reasons": [text], **line}},
        {**case, "line": {"action": "contained", "lease": "P2", "result": text, **line, "responder": text}},
        {**case, "line": {"action": "not contained", "lease": "P3", **line, "result": text}},
        {**case, "line": {"action": "case closed", "number": 128, **line, "result": text}},
        {**case, "approval": "P4", "state": "denied", "answers": [text], "why": text, **about},
        {**case, "lease": "P2", "state": "ended", "by": text, "where": text, "message": text, "verified": text,
         "ended_by": text, "undone": text, **about},
        {**case, "closing": {"case": "~41", "number": 128, "resolution": text, "judgement": "FalsePositive",
                             "by": text, "why": text,
                             "labels": [{"data": text, "malicious": False, "words": {text: "malicious"}}]}},
    ):  # fmt: skip
        telling.entry(entry)
    return telling


def test_the_page_of_a_period_holds_it_as_text(evil: Telling, read_page: Callable[[str], str]):
    shown = page(gather(evil.store, Scope(NOVEMBER, DECEMBER), DECEMBER))
    read_page(shown)
    assert not UNSEEN.search(shown.replace("\n", ""))
    assert len(shown) < 100_000


def test_the_page_of_a_case_holds_it_as_text(evil: Telling, read_page: Callable[[str], str]):
    with evil.store.reading() as work:
        shown = incident_html(incident(work, "~41", DECEMBER))
    read_page(shown)
    assert not UNSEEN.search(shown.replace("\n", ""))
    assert len(shown) < 150_000


def test_markdown_gives_it_no_meaning(evil: Telling):
    with evil.store.reading() as work:
        text = incident_markdown(incident(work, "~41", DECEMBER))
    assert not UNSEEN.search(text.replace("\n", ""))
    assert len(text) < 60_000
    outside_code = re.sub(r"`[^`\n]*`", "", text)
    assert not re.search(r"(?<!\\)[<\[]", outside_code)
    assert "://" not in outside_code
    assert "# Owned" not in [line.strip() for line in text.splitlines()]
    for table in re.findall(r"(?:^\|.*\n)+", outside_code, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_the_json_is_json(evil: Telling):
    assert document(gather(evil.store, Scope(NOVEMBER, DECEMBER), DECEMBER))["containments"]["total"] == 1


def test_nothing_can_be_loaded_or_run(telling: Telling):
    shown = page(gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER))
    assert "default-src &#x27;none&#x27;; style-src &#x27;sha256-" in shown
    assert "src=" not in shown.replace("default-src", "").replace("style-src", "")


def test_an_empty_store_gives_a_page_that_says_so(telling: Telling, read_page: Callable[[str], str]):
    text = read_page(page(gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER)))
    assert "There is nothing to count: no alert, no case, no decision in this period." in text
    assert "%" not in text


def test_nothing_is_shown_as_zero_percent_where_nothing_was_judged(telling: Telling, read_page: Callable[[str], str]):
    telling.entry({"at": AT, "line": {"action": "contained", "case": "~1", "lease": "P1", "responder": "IsolateHost"}})
    text = read_page(page(gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER)))
    assert "not known: none was judged" in text
    assert "0.0" not in text.replace("sha256", "")
    assert "Whether any containment was wrong is not known" in text
