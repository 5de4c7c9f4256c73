from __future__ import annotations

import pytest

from playbook_service.judgement.guard import Judged
from playbook_service.playbook import load
from playbook_service.replay import casebook
from playbook_service.replay.casebook import CaseBook
from playbook_service.replay.pipeline import Pipeline
from propolis.observables import extract

HOUR = 3_600.0
NOW = 1_794_902_400.0

OPENING = """
kind: respond
name: open
description: Open a case for everything.
on: alert
when: {{alert.rule.level|gte: 1}}
actions:
  - do: case
    template: Wazuh alert
    merge_within: 2h
    merge_on: {merge_on}
"""


@pytest.fixture
def books(setup, tmp_path):
    def make(merge_on):
        (tmp_path / "open.yml").write_text(OPENING.format(merge_on=merge_on), encoding="utf-8")
        return Pipeline(setup._replace(playbooks=load(tmp_path)))

    return make


def at(alert, minutes, srcip="203.0.113.17", agent="003", **more):
    stamp = f"2026-11-17T{8 + minutes // 60:02d}:{minutes % 60:02d}:00.000+0000"
    return alert(timestamp=stamp, data={"srcip": srcip, **more}, agent={"id": agent, "name": f"host{agent}"})


def numbers(pipeline, *alerts):
    return [pipeline.process(entry).case.number for entry in alerts]


def test_alerts_on_the_same_source_and_agent_share_a_case(books, alert):
    found = numbers(
        books("[source, agent]"),
        at(alert, 0), at(alert, 30), at(alert, 31, srcip="203.0.113.18"), at(alert, 32, agent="004"), at(alert, 40),
    )  # fmt: skip
    assert found == [1, 1, 2, 3, 1]


def test_merging_on_the_agent_alone_takes_every_source(books, alert):
    found = numbers(books("[agent]"), at(alert, 0), at(alert, 1, srcip="203.0.113.18"), at(alert, 2, agent="004"))
    assert found == [1, 1, 2]


def test_merging_on_observables_takes_what_shares_one(books, alert):
    found = numbers(
        books("[observable]"),
        at(alert, 0), at(alert, 1, srcip="203.0.113.18", dstip="203.0.113.17", agent="004"),
        at(alert, 2, srcip="203.0.113.5"),
    )  # fmt: skip
    assert found == [1, 1, 2]


def test_a_case_that_is_too_old_is_not_joined(books, alert):
    assert numbers(books("[source, agent]"), at(alert, 0), at(alert, 119), at(alert, 121)) == [1, 1, 2]


def test_alerts_out_of_order_do_not_join_a_case_of_another_day(books, alert):
    pipeline = books("[source, agent]")
    assert numbers(pipeline, at(alert, 300), at(alert, 0), at(alert, 301), at(alert, 10)) == [1, 2, 1, 2]


def test_a_case_grows_with_its_alerts(books, alert):
    pipeline = books("[source, agent]")
    pipeline.process(at(alert, 0))
    worse = at(alert, 5)
    worse.document["rule"].update(level=13, id="40112", description="Multiple failures, then a success.")
    case = pipeline.process(worse).case
    assert (case.alerts, case.severity, case.title) == (2, 3, "Multiple failures, then a success.")
    assert case.rules == {"5760": 1, "40112": 1}
    assert case.last - case.opened == 300.0


def test_an_alert_that_nobody_wants_a_case_for_gets_none(alert):
    made = alert()
    assert CaseBook().place(made, extract(made), [], NOW) is None


def test_a_question_opens_a_case_even_where_no_playbook_does(setup, fixtures, alert):
    playbooks = load(fixtures / "replay" / "playbooks-before")
    assert Pipeline(setup._replace(playbooks=playbooks)).process(alert()).case.number == 1


def test_old_cases_are_forgotten_whole(alert, monkeypatch):
    monkeypatch.setattr(casebook, "MOST_OPEN", 10)
    book = CaseBook()
    wish = Judged(_Wish(), "act", "act")
    for number in range(50):
        made = alert(data={"srcip": f"203.0.113.{number}"})
        book.place(made, extract(made), [wish], NOW + number)
    assert book.count == 50
    assert len(book._open) <= 11
    assert len(book._by) <= 11 * 3


class _Wish:
    """A `case` step that only opens."""

    verb, responder, settings = "case", "", (("template", "x"), ("merge_within", None), ("merge_on", None))
