"""The sums of each hour: what a day's lines come to hour by hour, bounded, and kept with the tally."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from playbook_service.audit.journal import LOG, Journal
from playbook_service.metrics import counting
from playbook_service.metrics.counting import KEY, KIND, Counting, lately
from playbook_service.metrics.hours import KEPT, Hours
from playbook_service.metrics.tally import Tally
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock, utc_text

START = 1_795_000_000.0  # 2026-11-18T11:06:40Z
HOUR = 3600.0


@pytest.fixture
def a_day(fixtures: Path) -> list[dict[str, Any]]:
    lines = (fixtures / "metrics" / "a_day.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def line(action: str, hours_ago: float = 0.0, **facts: Any) -> dict[str, Any]:
    return {"at": utc_text(START - hours_ago * HOUR), "action": action, **facts}


def counted(*lines: dict[str, Any]) -> Hours:
    hours = Hours()
    for one in lines:
        hours.count(one)
    return hours


def test_a_days_lines_come_to_these_numbers(a_day: list[dict[str, Any]]):
    (now,) = counted(*({**fact, "at": utc_text(START)} for fact in a_day)).last(START, 1)
    assert dict(now) == {
        "suppressed": 1, "cases": 1, "decision act": 1, "decision stopped": 1, "decision held": 1, "decision ask": 1,
        "refused": 2, "contained": 3, "released": 3, "asked": 3, "granted": 1, "expired": 1, "withdrawn": 1,
        "failed": 5,
    }  # fmt: skip


def test_a_line_counts_in_the_hour_that_it_was_written_in():
    hours = counted(line("contained"), line("contained", 1), line("contained", 1.05), line("contained", 23), line("x"))
    assert [hour.get("contained", 0) for hour in hours.last(START)] == [1, *[0] * 21, 2, 1]


def test_two_days_are_kept_and_no_more_whatever_comes():
    hours = counted(*(line("contained", ago) for ago in range(200, -1, -1)))
    assert len(hours.to_dict()) == KEPT
    assert [hour["contained"] for hour in hours.last(START, KEPT)] == [1] * KEPT


@pytest.mark.parametrize("at", [None, "", "soon", "2026-13-01T00:00:00Z", 7, "2026-11-18T"])
def test_a_line_whose_time_cannot_be_read_is_not_counted(at: object):
    assert counted({"at": at, "action": "contained"}).to_dict() == {}


@pytest.mark.parametrize("state", [None, "a word of tomorrow", ["act"], {}])
def test_a_decision_in_a_state_that_nobody_knows_is_not_counted(state: object):
    assert counted(line("decision", result=state)).to_dict() == {}


@pytest.mark.parametrize("result", ["would_contain", "already_contained", "called_off"])
def test_what_was_rightly_not_contained_is_no_failure(result: str):
    assert counted(line("not contained", result=result)).to_dict() == {}
    assert counted(line("not contained", result="failed")).last(START, 1) == [{"failed": 1}]


def test_they_are_kept_with_the_tally_and_go_on():
    before = Tally()
    before.hours = counted(line("contained"), line("released", 5))
    after = Tally.of(json.loads(json.dumps(before.to_dict())))
    assert after is not None
    after.hours.count(line("contained"))
    assert after.hours.last(START)[-1] == {"contained": 2}
    assert after.hours.last(START)[-6] == {"released": 1}


# read without a scan ------------------------------------------------------------------------------------------------


def shop() -> tuple[MemoryStore, Journal]:
    clock = ManualClock(START)
    store = MemoryStore(clock)
    return store, Journal(store, clock)


def write(store: MemoryStore, journal: Journal, number: int) -> None:
    with store.transaction() as work:
        for _ in range(number):
            journal.write(work, "contained")


def test_what_came_since_they_were_kept_is_added_up_to_a_bound():
    store, journal = shop()
    write(store, journal, 30)
    with store.reading() as work:
        found = lately(work, 10)
    assert (found.upto, found.newest, found.uncounted) == (10, 30, 30)
    counting = Counting(store)
    counting.catch_up(lambda: False)
    counting.keep()
    write(store, journal, 4)
    with store.reading() as work:
        found = lately(work, 10)
    assert (found.upto, found.newest, found.uncounted) == (34, 34, 4)
    assert found.hours.last(START, 1) == [{"contained": 34}]


def test_a_tally_is_kept_once_for_what_it_counted():
    store, journal = shop()
    write(store, journal, 3)
    one = Counting(store)
    one.catch_up(lambda: False)
    for _ in range(2):
        one.keep()
    with store.reading() as work:
        record = work.get(KIND, KEY)
    assert record is not None
    assert (record.version, record.body["number"]) == (1, 3)


def test_a_line_that_is_no_object_is_passed_over():
    store, _ = shop()
    with store.transaction() as work:
        work.append(LOG, {"n": 1})
    with store.reading() as work:
        assert lately(work, 10).hours.to_dict() == {}


def test_a_tally_without_hours_is_of_another_fold():
    assert counting.KEY != "audit:1"
