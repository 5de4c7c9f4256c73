"""Paging, and the reading of changes from a watermark while entities go on changing."""

from __future__ import annotations

from typing import Any

import pytest
from hive_samples import alert, case, observable, task
from hive_server import Asked, Reply, Script, error

from playbook_service.hive import query
from playbook_service.hive.contract import Hive
from propolis.errors import InputError


class Shelf:
    """Entities that answer queries as TheHive does: filters by moment, one sort, a page."""

    def __init__(self, documents: list[dict[str, Any]]):
        self.documents = documents
        self.before = lambda: None

    def __call__(self, asked: Asked) -> Reply:
        self.before()
        steps = {step["_name"]: step for step in asked.json["query"]}
        found = self.documents
        for condition in steps.get("filter", {}).get("_and", []):
            ((operator, held),) = condition.items()
            field, value = held["_field"], held["_value"]
            fits = {"_gte": lambda one, v=value: one >= v, "_lte": lambda one, v=value: one <= v}[operator]
            found = [one for one in found if field in one and fits(one[field])]
        ((field, direction),) = steps["sort"]["_fields"][0].items()
        found = sorted(found, key=lambda one: (one.get(field, 0), one["_id"]), reverse=direction == "desc")
        return Reply(200, found[steps["page"]["from"] : steps["page"]["to"]])


def test_every_page_of_a_cases_observables_is_read(server: Script, hive: Hive) -> None:
    server.on("getCase observables", Shelf([observable(_id=f"~{n}", _createdAt=n) for n in range(250)]))
    assert len(hive.observables("~1")) == 250
    spans = [
        (one.json["query"][-1]["from"], one.json["query"][-1]["to"]) for one in server.calls("getCase observables")
    ]
    assert spans == [(0, 100), (100, 200), (200, 300)]


def test_pages_that_overlap_are_read_again_since_one_may_have_been_skipped(server: Script, hive: Hive) -> None:
    first = [task(_id=f"~{n}") for n in range(100)]
    shifted = [task(_id="~skipped"), *first[:-1]]
    overlap = Reply(200, [first[-1]])
    server.on("getCase tasks", Reply(200, first), overlap, Reply(200, shifted), overlap)
    assert {one.id for one in hive.tasks("~1")} == {"~skipped", *(one["_id"] for one in first)}
    assert len(server.calls("getCase tasks")) == 4


def test_more_than_can_be_worked_with_is_said_and_not_cut_in_silence() -> None:
    def ask(steps: query.Steps) -> list[query.Document]:
        return [{"_id": f"~{steps[-1]['from'] + n}"} for n in range(100)]

    with pytest.raises(InputError, match="more than 300 tasks in a case, which is more than the service works with"):
        query.everything(ask, [query.listing("Task")], "tasks in a case", most=300)


def test_the_observables_of_an_alert(server: Script, hive: Hive) -> None:
    server.on("getAlert observables", Reply(200, [observable()]))
    assert [one.data for one in hive.alert_observables("~40972376")] == ["203.0.113.45"]


def test_changes_come_oldest_first_made_and_changed_in_one_stream(server: Script, hive: Hive) -> None:
    documents = [
        case(_id="~old", _createdAt=10),
        case(_id="~made", _createdAt=150),
        case(_id="~changed", _createdAt=20, _updatedAt=120),
        case(_id="~both", _createdAt=110, _updatedAt=160),
    ]
    server.on("listCase", Shelf(documents))
    assert [one.id for one in hive.changed_cases(100)] == ["~changed", "~made", "~both"]


def test_a_change_at_the_very_watermark_is_given_again(server: Script, hive: Hive) -> None:
    server.on("listAlert", Shelf([alert(_id="~1", _createdAt=100), alert(_id="~2", _createdAt=100)]))
    assert [one.id for one in hive.changed_alerts(100)] == ["~1", "~2"]


def test_equal_moments_beyond_a_page_are_not_skipped(server: Script, hive: Hive) -> None:
    documents = [alert(_id=f"~{n:04}", _createdAt=1, _updatedAt=100 + (n >= 50) + (n >= 380)) for n in range(400)]
    server.on("listAlert", Shelf(documents))
    found = [one.id for one in hive.changed_alerts(100)]
    assert found == [f"~{n:04}" for n in range(400)]


def test_entities_that_change_while_they_are_read_push_nobody_off_the_page(server: Script, hive: Hive) -> None:
    documents = [task(_id=f"~{n:04}", _createdAt=1, _updatedAt=100 + n) for n in range(300)]
    shelf = Shelf(documents)
    server.on("listTask", shelf)
    found = []
    for one in hive.changed_tasks(100):
        found.append(one.id)
        changed = next(document for document in documents if document["_id"] == one.id)
        changed["_updatedAt"] = 10_000 + len(found)  # what the service does with it changes it
    assert found == [f"~{n:04}" for n in range(300)]


def test_a_change_behind_the_first_look_is_left_for_the_next_time(server: Script, hive: Hive) -> None:
    """One stream must not give a moment that the other has passed: the watermark would leave its changes behind."""
    documents = [case(_id="~changed", _createdAt=1, _updatedAt=110), case(_id="~made", _createdAt=120)]
    shelf = Shelf(documents)
    server.on("listCase", shelf)
    found = []
    for one in hive.changed_cases(100):
        found.append(one.id)
        documents.append(case(_id=f"~late-{len(documents)}", _createdAt=200))
    assert found == ["~changed", "~made"]
    assert "~late-2" in [one.id for one in hive.changed_cases(120)]


def test_nothing_new_costs_two_small_questions(server: Script, hive: Hive) -> None:
    server.on("listObservable", Shelf([observable(_createdAt=50)]))
    assert list(hive.changed_observables(100)) == []
    assert [one.json["query"][-1]["to"] for one in server.calls("listObservable")] == [1, 1]


def test_tasks_from_the_change_stream_know_their_case(server: Script, hive: Hive) -> None:
    server.on("listTask", Shelf([task(_createdAt=100, extraData={"caseId": "~81924208"})]))
    assert [one.case_id for one in hive.changed_tasks(100)] == ["~81924208"]
    assert server.seen[-1].json["query"][-1]["extraData"] == ["caseId"]


def test_a_search_is_repeated_when_thehive_stumbles(server: Script) -> None:
    from playbook_service.hive import connect
    from propolis.clock import ManualClock

    server.on("GET /api/v1/status/public", Reply(200, {"version": "5.7.5"}))
    hive = connect(server.url, "k", clock=ManualClock(), retries=2)
    server.on("getCase tasks", error(503, "Busy", "later"), Reply(200, [task()]))
    assert len(hive.tasks("~1")) == 1


def test_tildes_stand_in_paths_as_they_are(server: Script, hive: Hive) -> None:
    server.on("GET /api/v1/observable/~41103504", Reply(200, observable()))
    assert hive.observable("~41103504") is not None
