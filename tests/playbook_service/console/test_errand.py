"""Errands: one of a name at a time on all nodes, a result that is kept, and an end for whatever happened."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from playbook_service.console.errand import DONE, FAILED, LONGEST, NEVER, RUNNING, Errand, Errands, standing
from playbook_service.store.contract import Store
from playbook_service.store.memory import MemoryStore
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock
from propolis.errors import PropolisError


class Long:
    """Work that goes on until it is let go; the test waits for its begin, never for a while."""

    def __init__(self, result: Any = None) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.result = result

    def __call__(self) -> Any:
        self.begun.set()
        assert self.go.wait(30)
        return self.result


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def errands(store: MemoryStore, clock: ManualClock) -> Errands:
    return Errands(store, clock)


def stands(store: Store, clock: ManualClock, name: str = "score") -> Errand:
    with store.reading() as work:
        return standing(work, name, clock.now())


def done(errands: Errands, act: Any, by: str = "anna") -> None:
    assert errands.start("score", act, by)
    errands.join()


def test_one_that_was_never_started_is_nothing(store: MemoryStore, clock: ManualClock) -> None:
    assert stands(store, clock) == NEVER


def test_its_result_is_kept_with_who_asked_for_it_and_when_it_was_done(
    store: MemoryStore, clock: ManualClock, errands: Errands
) -> None:
    work = Long({"right": 73})
    errands.start("score", work, "anna")
    work.begun.wait(30)
    assert stands(store, clock) == Errand(RUNNING, 1000.0, 0.0, "anna", None, "")
    clock.advance(5)
    work.go.set()
    errands.join()
    assert stands(store, clock) == Errand(DONE, 1000.0, 1005.0, "anna", {"right": 73}, "")


def test_while_it_runs_it_is_not_started_again_on_any_node(
    store: MemoryStore, clock: ManualClock, errands: Errands
) -> None:
    work, other = Long(1), Errands(store, clock)
    assert errands.start("score", work, "anna")
    work.begun.wait(30)
    assert not errands.start("score", Long(2), "ben")
    assert not other.start("score", Long(3), "ben")
    work.go.set()
    errands.join()
    assert stands(store, clock).result == 1


def test_others_run_beside_it(store: MemoryStore, clock: ManualClock, errands: Errands) -> None:
    one, two = Long(1), Long(2)
    assert errands.start("score", one, "anna")
    assert errands.start("learn", two, "anna")
    assert one.begun.wait(30)
    assert two.begun.wait(30)
    two.go.set()
    one.go.set()
    errands.join()
    assert (stands(store, clock, "score").result, stands(store, clock, "learn").result) == (1, 2)


def test_of_two_that_begin_at_once_one_runs(store: MemoryStore, clock: ManualClock) -> None:
    ready = threading.Barrier(4)
    began: list[bool] = []
    nodes = [Errands(store, clock) for _ in range(4)]
    work = Long("once")

    def begin(node: Errands) -> None:
        ready.wait(30)
        began.append(node.start("score", work, "anna"))

    threads = [threading.Thread(target=begin, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work.go.set()
    for node in nodes:
        node.join()
    assert sorted(began) == [False, False, False, True]
    assert stands(store, clock).result == "once"


def test_one_that_fails_says_why_and_keeps_the_last_result(
    store: MemoryStore, clock: ManualClock, errands: Errands
) -> None:
    done(errands, lambda: "good")

    def fails() -> None:
        raise PropolisError("The chain is broken at line 3.")

    done(errands, fails)
    found = stands(store, clock)
    assert (found.state, found.result, found.error) == (FAILED, "good", "The chain is broken at line 3")


def test_a_defect_is_told_by_its_kind_alone_and_in_full_in_the_log(
    store: MemoryStore, clock: ManualClock, errands: Errands, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks() -> None:
        raise KeyError("a-secret")

    with caplog.at_level(logging.ERROR):
        done(errands, breaks)
    found = stands(store, clock)
    assert (found.state, found.error) == (FAILED, "KeyError; the service's log says why")
    assert "a-secret" in caplog.text


def test_a_result_that_json_cannot_say_is_a_failure_and_not_for_ever_under_way(
    clock: ManualClock, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "propolis.db", clock)
    errands = Errands(store, clock)
    done(errands, lambda: "good")
    done(errands, lambda: {"when": object()})
    found = stands(store, clock)
    store.close()
    assert (found.state, found.result) == (FAILED, "good")
    assert found.error == "what it found cannot be kept; the service's log says why"


def test_one_that_was_cut_off_is_told_after_its_time_and_may_be_started_again(
    store: MemoryStore, clock: ManualClock, errands: Errands
) -> None:
    done(errands, lambda: "good")
    lost = Long("too late")
    errands.start("score", lost, "anna")
    lost.begun.wait(30)
    clock.advance(LONGEST)
    assert stands(store, clock).state == RUNNING
    clock.advance(1)
    found = stands(store, clock)
    assert (found.state, found.result, found.error) == (FAILED, "good", "it was cut off before its end")
    anew = Errands(store, clock)
    done(anew, lambda: "anew")
    lost.go.set()
    errands.join()
    assert stands(store, clock).result == "anew", "what comes too late does not replace what is newer"
