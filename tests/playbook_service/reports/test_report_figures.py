"""The figures of a month, counted by hand from `month.yml`."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable

import pytest
from month_store import DECEMBER, NOVEMBER, Telling, moment

from playbook_service.reports.document import document
from playbook_service.reports.figures import Figures
from playbook_service.reports.gather import Scope, gather
from playbook_service.reports.measure import Share, Spans, Spread, together
from playbook_service.reports.page import page
from playbook_service.reports.savings import savings

DAY = 86_400.0


@pytest.fixture
def november(telling: Telling) -> Figures:
    return gather(telling.tell("month.yml").store, Scope(NOVEMBER, DECEMBER), DECEMBER + 3600)


def test_what_came_in(november: Figures):
    incoming = november.incoming
    assert (incoming.alerts, incoming.cased, incoming.loose, incoming.suppressed, incoming.cases) == (10, 7, 1, 2, 7)
    assert incoming.closed == {"TruePositive": 1, "FalsePositive": 1, "Indeterminate": 1, "Duplicated": 1}
    assert incoming.kept_from is None


def test_how_quickly_cases_are_answered(november: Figures):
    speed = november.speed
    assert speed.decision == Spread(6, 4.0, 10.0, 10.0)  # 10, 5, 4, 3, 6 and 2 seconds; an analyst's own case has none
    assert speed.person == Spread(5, 7200.0, 36_000.0, 36_000.0)  # 2 h, 10 min 5 s, 10 h, 2 h, 1 h
    assert speed.answer == Spread(7, 5.0, 3600.0, 3600.0)  # the decisions, and the hour of the analyst's own
    assert (speed.undecided, speed.unmet, speed.cases_unknown) == (1, 2, 0)


def test_the_time_to_contain_alone_after_a_grant_and_by_hand(november: Figures):
    contained = november.speed.contained
    assert contained["alone"] == Spread(3, 20.0, 30.0, 30.0)  # 20, 30 and 10 seconds
    assert contained["granted"] == Spread(2, 615.0, DAY + 20, DAY + 20)  # one was asked in October
    assert contained["by hand"] == Spread(1, 3600.0, 3600.0, 3600.0)
    assert november.speed.all_contained == Spread(6, 30.0, DAY + 20, DAY + 20)


def test_what_was_contained_and_how_it_ended(november: Figures):
    rows = [(row.responder, row.kind, row.playbook, row.how, row.times) for row in november.contained]
    assert rows == [
        ("AccountDisable", "account", "takeover", "granted", 2),
        ("FirewallBlock", "address", "malicious-ip", "alone", 3),
        ("IsolateHost", "host", "", "by hand", 1),
    ]
    assert november.ended == {"expired": 1, "case closed": 1, "released early": 1}
    assert (november.permanent, november.renewed, november.in_force) == (1, 0, 0)


def test_questions_and_how_long_they_waited(november: Figures):
    asked = november.questions
    assert (asked.asked, asked.granted, asked.denied, asked.expired, asked.withdrawn, asked.void) == (2, 2, 0, 1, 0, 0)
    assert asked.waited == Spread(2, 600.0, DAY, DAY)


def test_false_blocks_count_only_what_analysts_judged_and_name_the_rest(november: Figures):
    blocks = november.blocks
    assert blocks.containments == Share(1, 2)
    assert blocks.cases == Share(1, 2)
    assert (blocks.otherwise, blocks.open) == (1, 3)


def test_playbooks_by_decisions_and_by_how_their_cases_were_closed(november: Figures):
    found = {book.playbook: book for book in november.books}
    ip, takeover, webshell = (found[name] for name in ("malicious-ip", "takeover", "webshell"))
    assert (ip.acted, ip.stopped, ip.right, ip.wrong, ip.unknown) == (3, 1, 1, 0, 2)
    assert (takeover.asked, takeover.right, takeover.wrong, takeover.unknown) == (2, 0, 1, 1)
    assert (webshell.observed, webshell.share) == (1, Share(0, 0))


def test_sources_by_what_they_had_said_of_what_was_labelled(november: Figures):
    rows = [tuple(row) for row in november.sources]
    assert rows == [("AbuseIPDB", 1, 1, 1, 1), ("VirusTotal", 1, 1, 0, 1), ("OTX", 0, 1, 0, 0)]


def test_refusals_and_failures(november: Figures):
    assert november.stopped == {"firewall.infrastructure": 1}
    assert november.not_done == {"would_contain": 1}
    failed = {name: times for name, times in november.failures.items() if times}
    assert failed == {"failed_or_doubtful": 1, "undo_failed": 1}


def test_hours_are_counts_times_minutes_that_somebody_may_set(telling: Telling, november: Figures):
    assert {row.name: row.times for row in november.savings} == {
        "suppressed": 2, "verdict": 1, "case": 7, "containment": 5, "release": 3, "answer": 2,
    }  # fmt: skip
    assert november.hours == pytest.approx((2 * 5 + 6 + 7 * 5 + 5 * 10 + 3 * 5 - 2 * 3) / 60)
    other = gather(telling.store, Scope(NOVEMBER, DECEMBER, {"case": 20.0, "answer": 0.0}), DECEMBER)
    assert other.hours == pytest.approx((2 * 5 + 6 + 7 * 20 + 5 * 10 + 3 * 5) / 60)


def test_the_chain_is_checked_where_it_was_read(november: Figures):
    chain = november.chain
    assert (chain.first, chain.last, chain.findings) == (3, 48, ())  # October's first two are not


def test_an_altered_line_is_found(telling: Telling):
    telling.tell("month.yml")
    with telling.store.transaction() as work:
        line = work.read("audit", after=9, limit=1)[0].body
    _rewrite(telling, 10, {**line, "target": "203.0.113.250"})
    chain = gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER).chain
    assert chain.findings == ("line 10 was altered: its hash does not fit its content",)


def _rewrite(telling: Telling, number: int, line: object) -> None:
    telling.store.close()
    with sqlite3.connect(telling.place) as database:
        database.execute("update log set body = ? where log = 'audit' and number = ?", (json.dumps(line), number))


def test_a_false_positive_that_no_playbook_labels_is_a_persons_word_all_the_same(telling: Telling):
    telling.tell("month.yml")
    closing = {"case": "~104", "number": 104, "resolution": "FalsePositive", "judgement": ""}
    telling.entry({"at": "2026-12-02T00:00:00Z", "closing": {**closing, "by": "anna"}})
    assert gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER).blocks.containments == Share(2, 3)
    telling.entry({"at": "2026-12-03T00:00:00Z", "closing": {**closing, "by": ""}})  # the service itself closed it
    found = gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER).blocks
    assert (found.containments, found.otherwise) == (Share(1, 2), 2)


def test_alerts_whose_records_are_forgotten_are_named_and_not_guessed(telling: Telling):
    telling.tell("month.yml")
    with telling.store.transaction() as work:
        for number in (1, 2, 4, 6):
            work.delete("alert", f"siem01:{number}")
    found = gather(telling.store, Scope(NOVEMBER, DECEMBER, {}, 7 * DAY), DECEMBER)
    assert (found.speed.cases_unknown, found.speed.contained_unknown) == (4, 4)
    assert found.speed.contained["alone"] == Spread(0, None, None, None)
    assert found.incoming.kept_from == DECEMBER - 7 * DAY
    assert sum(row.times for row in found.contained) == 6  # the audit chain forgets nothing


def test_what_a_line_says_itself_needs_no_record(telling: Telling):
    about = {"case": "~1", "lease": "P1", "responder": "FirewallBlock", "target": "203.0.113.1"}
    for line in (
        {"action": "approval granted", **about, "operator": "ben", "waited": 42.0},
        {"action": "contained", **about, "since_alert": 55.0, "automated": False},
    ):
        telling.entry({"at": "2026-11-20T10:00:00Z", "line": line})
    found = gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER)
    assert found.speed.contained["granted"] == Spread(1, 55.0, 55.0, 55.0)
    assert found.questions.waited == Spread(1, 42.0, 42.0, 42.0)
    assert [(row.playbook, row.how) for row in found.contained] == [("(no longer on record)", "granted")]


def test_a_case_is_one_case_also_where_an_alert_joined_before_its_opening_was_written(telling: Telling):
    about = {"rule": "5712", "agent": "gw01", "ip": "203.0.113.1", "number": 1}
    telling.entry({"at": "2026-11-20T10:00:00Z", "alert": "siem01:1", "case": "~1", **about})
    for action, alert in (("alert joined", "siem01:1"), ("case opened", "siem01:2")):
        line = {"action": action, "case": "~1", "number": 1, "alert": alert}
        telling.entry({"at": "2026-11-20T10:00:01Z", "line": line})
    found = gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER)
    assert found.incoming.cases == 1


def test_a_period_holds_its_first_instant_and_not_its_last(telling: Telling):
    telling.tell("month.yml")
    start, end = moment("2026-11-26T10:00:00Z"), moment("2026-11-26T11:00:00Z")
    found = gather(telling.store, Scope(start, end), DECEMBER)
    assert (found.incoming.alerts, found.incoming.suppressed, found.incoming.cases) == (1, 1, 0)


def test_lines_that_a_clock_set_back_left_out_of_order_are_counted(telling: Telling):
    for at in ("2026-11-02T10:00:00Z", "2026-11-02T10:20:00Z", "2026-11-02T09:59:00Z", "2026-11-02T12:30:00Z"):
        telling.entry({"at": at, "line": {"action": "suppressed", "alert": at}})
    start, end = moment("2026-11-02T09:58:00Z"), moment("2026-11-02T10:10:00Z")
    assert gather(telling.store, Scope(start, end), DECEMBER).incoming.suppressed == 2


def test_the_json_is_what_it_was(november: Figures, golden: Callable[[str], object]):
    assert document(november) == golden("month.json")


def test_an_empty_store_has_figures_of_nothing(telling: Telling):
    found = gather(telling.store, Scope(NOVEMBER, DECEMBER), DECEMBER)
    assert found.empty
    assert found.blocks.containments.value is None
    assert document(found)["audit_chain"]["sound"] is None


def test_wilsons_interval_by_hand():
    share = Share(2, 24)
    z = 1.959963984540054
    middle = (2 / 24 + z * z / 48) / (1 + z * z / 24)
    spread = z * math.sqrt(2 / 24 * 22 / 24 / 24 + z * z / (4 * 24 * 24)) / (1 + z * z / 24)
    assert (share.low, share.high) == (pytest.approx(middle - spread), pytest.approx(middle + spread))


def test_spans_are_ranked_and_never_negative():
    spans = Spans()
    for seconds in (5, -3, 1, 9, 7, 2, 8, 3, 6, 4):
        spans.add(seconds)
    assert spans.spread() == Spread(10, 4, 8, 9)
    assert together(()) == Spread(0, None, None, None)


# how figures are told -------------------------------------------------------------------------------------------------


def test_a_median_says_what_it_rests_on_and_few_values_have_no_ninety_percent(
    november: Figures, read_page: Callable[[str], str]
):
    shown = read_page(page(november))
    assert "From alert to contained: 20 s alone (median of 3), 10 min 15 s after a grant (median of 2)." in shown
    assert "contained by an analyst, in TheHive11 h\u20131 h" in shown  # one value: no 90 %
    assert "10 min (median of 2), the longest 1 d" in shown


def test_ten_values_have_a_ninety_percent(november: Figures, read_page: Callable[[str], str]):
    answer = Spread(10, 5.0, 40.0, 60.0)
    shown = read_page(page(november._replace(speed=november.speed._replace(answer=answer))))
    assert "(MTTA)105 s40 s1 min" in shown


def test_a_share_of_few_has_its_interval_and_one_of_none_is_no_share(
    november: Figures, read_page: Callable[[str], str]
):
    shown = read_page(page(november))
    assert "AbuseIPDB1 of 1 (100.0 %; 95 %: 20.7 to 100.0 %)" in shown
    assert "OTX0 of 1 (0.0 %; 95 %: 0.0 to 79.3 %)\u2013 (it spoke of none)" in shown
    assert "webshell001not known: none was judged" in shown


def test_minutes_that_cost_cost_nothing_where_nobody_answered():
    nothing = savings({}, {})
    assert [str(row.hours) for row in nothing] == ["0.0"] * len(nothing)
