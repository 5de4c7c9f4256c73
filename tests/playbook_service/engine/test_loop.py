"""The loop loses no step, does none twice, and goes on by itself when the outside comes back."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from playbook_service.engine import timer
from playbook_service.engine.loop import Loop, Pace
from playbook_service.engine.step import STEPS, Done, Give, Later, Outcome, follow, wake
from playbook_service.store.contract import Item, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock
from propolis.errors import InputError
from propolis.http import HttpError

Handlers = dict[str, Callable[[Item], Outcome]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


def loop_over(store: MemoryStore, clock: ManualClock, handlers: Handlers, **pace: float) -> Loop:
    def buried(work: Transaction, item: Item, sentence: str) -> None:
        work.append("buried", {"key": item.key, "why": sentence})

    return Loop(store, clock, handlers, owner="node", buried=buried, pace=Pace(**pace), jitter=lambda: 1.0)


def put(store: MemoryStore, kind: str, key: str) -> None:
    with store.transaction() as work:
        follow(work, kind, key)


def logged(store: MemoryStore, log: str) -> list[dict]:
    with store.transaction() as work:
        return [entry.body for entry in work.read(log)]


def unavailable() -> HttpError:
    return HttpError("GET thehive.example.org/api/v1/status was refused.", kind="refused")


def test_what_a_step_learned_is_committed_with_its_end_and_its_followers(store: MemoryStore, clock: ManualClock):
    def first(item: Item) -> Outcome:
        def commit(work: Transaction) -> None:
            work.append("seen", {"step": item.key})
            follow(work, "second", "a")

        return Done(commit)

    loop = loop_over(store, clock, {"first": first, "second": lambda item: Done()})
    put(store, "first", "a")
    assert loop.run_due() == 2
    assert loop.run_due() == 0
    assert logged(store, "seen") == [{"step": "first:a"}]


def test_when_the_commit_fails_nothing_of_the_step_remains_and_it_is_run_again(store: MemoryStore, clock: ManualClock):
    tries: list[int] = []

    def flaky(item: Item) -> Outcome:
        def commit(work: Transaction) -> None:
            work.append("seen", {"try": len(tries)})
            if len(tries) == 1:
                raise RuntimeError("killed here")

        tries.append(item.attempts)
        return Done(commit)

    loop = loop_over(store, clock, {"flaky": flaky})
    put(store, "flaky", "a")
    loop.run_due()
    assert logged(store, "seen") == []
    clock.advance(2)
    assert loop.run_due() == 1
    assert logged(store, "seen") == [{"try": 2}]


def test_while_the_outside_is_down_the_step_waits_with_growing_pauses_and_never_gives_up(
    store: MemoryStore, clock: ManualClock
):
    down = True
    moments: list[float] = []

    def ask(item: Item) -> Outcome:
        moments.append(clock.now())
        if down:
            raise unavailable()
        return Done()

    loop = loop_over(store, clock, {"ask": ask}, tries=3)
    put(store, "ask", "a")
    for _ in range(3600):
        loop.run_due()
        clock.advance(1)
    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert pauses[:5] == [2, 4, 8, 16, 32]
    assert max(pauses) == 300
    down = False
    clock.advance(300)
    assert loop.run_due() == 1
    assert logged(store, "buried") == []


def test_a_step_that_cannot_succeed_is_set_aside_for_a_person(store: MemoryStore, clock: ManualClock):
    def never(item: Item) -> Outcome:
        raise Give("Case ~1 is gone.")

    loop = loop_over(store, clock, {"never": never})
    put(store, "never", "a")
    put(store, "unknown", "b")
    loop.run_due()
    told = {entry["key"]: entry["why"] for entry in logged(store, "buried")}
    assert told["never:a"] == "Case ~1 is gone."
    assert "newer version" in told["unknown:b"]


def test_a_step_that_keeps_failing_for_reasons_of_its_own_is_set_aside_after_its_tries(
    store: MemoryStore, clock: ManualClock
):
    def wrong(item: Item) -> Outcome:
        raise InputError("The alert has no rule.")

    loop = loop_over(store, clock, {"wrong": wrong}, tries=3)
    put(store, "wrong", "a")
    for _ in range(5):
        loop.run_due()
        clock.advance(400)
    (entry,) = logged(store, "buried")
    assert entry["why"] == "The alert has no rule. (given up after 3 tries)"


def test_waiting_is_no_failure_however_often_it_was_looked_at(store: MemoryStore, clock: ManualClock):
    looks: list[float] = []

    def poll(item: Item) -> Outcome:
        looks.append(clock.now())
        if len(looks) == 50:
            raise InputError("This once, the answer made no sense.")
        return Later(1.0, "not yet")

    loop = loop_over(store, clock, {"poll": poll}, tries=3)
    put(store, "poll", "a")
    for _ in range(60):
        loop.run_due()
        clock.advance(2)
    assert logged(store, "buried") == []
    assert len(looks) > 55, "one failure after many looks costs one short pause"


def test_a_timer_that_was_set_aside_runs_again_after_a_start(store: MemoryStore, clock: ManualClock):
    ran: list[float] = []

    def act() -> None:
        ran.append(clock.now())
        if len(ran) <= 2:
            raise OSError("The disk is full.")

    loop = loop_over(store, clock, {"tick": timer.every(5.0, act)}, tries=2)
    with store.transaction() as work:
        timer.begin(work, "tick")
    for _ in range(5):
        loop.run_due()
        clock.advance(400)
    assert len(ran) == 2
    with store.transaction() as work:
        timer.begin(work, "tick")
    loop.run_due()
    assert len(ran) == 3


def test_a_step_that_waits_is_woken_by_a_hook(store: MemoryStore, clock: ManualClock):
    runs: list[float] = []

    def poll(item: Item) -> Outcome:
        runs.append(clock.now())
        return Later(600, "the job is running") if len(runs) == 1 else Done()

    loop = loop_over(store, clock, {"poll": poll})
    put(store, "poll", "job")
    loop.run_due()
    with store.transaction() as work:
        assert wake(work, "poll", "job")
    loop.run_due()
    assert len(runs) == 2
    with store.transaction() as work:
        assert not wake(work, "poll", "job")
        assert work.backlog(STEPS).waiting == 0


def test_what_is_under_way_goes_before_what_is_new(store: MemoryStore, clock: ManualClock):
    order: list[str] = []

    def note(item: Item) -> Outcome:
        order.append(item.queue)
        return Done()

    with store.transaction() as work:
        work.put("inbox", "wazuh:1", {"from": "wazuh"})
        follow(work, "run", "1")
    loop_over(store, clock, {"run": note, "wazuh": note}).run_due()
    assert order == [STEPS, "inbox"]


def test_threads_work_until_they_are_stopped_and_finish_what_they_hold(store: MemoryStore, clock: ManualClock):
    begun, go_on = threading.Event(), threading.Event()

    def slow(item: Item) -> Outcome:
        begun.set()
        go_on.wait(10)
        return Done(lambda work: work.append("seen", {}) and None)

    loop = loop_over(store, clock, {"slow": slow}, idle=0.01)
    loop.start(2)
    put(store, "slow", "a")
    loop.wake()
    assert begun.wait(10)
    go_on.set()
    loop.stop()
    assert logged(store, "seen") == [{}]


class Jammed(MemoryStore):
    """A store that fails so many times in a way nobody foresaw."""

    failures = 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        if self.failures:
            self.failures -= 1
            raise ValueError("nobody foresaw this")
        with super().transaction() as work:
            yield work


def test_a_worker_outlives_a_failure_nobody_foresaw(clock: ManualClock):
    store = Jammed(clock)
    ran = threading.Semaphore(0)

    def note(item: Item) -> Outcome:
        ran.release()
        return Done()

    loop = loop_over(store, clock, {"note": note}, idle=0.01)
    put(store, "note", "a")
    store.failures = 2
    loop.start(1)
    while not ran.acquire(timeout=0.05):
        loop.wake()
    loop.stop()
    assert store.failures == 0
