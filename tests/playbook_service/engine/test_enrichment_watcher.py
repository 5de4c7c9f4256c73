"""Cortex says when a job ends, and the step that waits for it looks at once; without it, polling finds out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from playbook_service.engine.watcher import Watcher
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock
from propolis.http import HttpError

SOON = 10.0


class Job(NamedTuple):
    finished: bool


class Room:
    """A store with a step that is due much later, and a watcher whose Cortex is a function."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.woken = threading.Event()
        self.asked: list[str] = []
        self.answers: Callable[[str], Job | None] = lambda job: Job(True)
        self.watcher = Watcher(self.wait, self.store, self.woken.set, threads=1)
        with self.store.transaction() as work:
            for key in ("run:a", "run:b"):
                work.put("step", key, {}, due=self.clock.now() + 3600)

    def wait(self, job: str, seconds: float) -> Job | None:
        self.asked.append(job)
        return self.answers(job)

    def due(self) -> list[str]:
        with self.store.transaction() as work:
            return sorted(item.key for item in work.claim("step", "me", seconds=60, limit=9))


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.watcher.stop()


def test_the_step_is_due_when_its_job_ends(room: Room) -> None:
    room.watcher.watch("j1", "step", "run:a")
    room.watcher.start()
    assert room.woken.wait(SOON)
    assert room.due() == ["run:a"]


def test_a_job_is_waited_for_once_however_often_it_is_asked_for(room: Room) -> None:
    for _ in range(5):
        room.watcher.watch("j1", "step", "run:a")
    room.watcher.start()
    assert room.woken.wait(SOON)
    assert room.asked == ["j1"]


def test_a_slow_job_does_not_keep_the_others_waiting(room: Room) -> None:
    slow = iter([Job(False), Job(False), Job(True)])
    room.answers = lambda job: next(slow) if job == "slow" else Job(True)
    room.watcher.watch("slow", "step", "run:a")
    room.watcher.watch("fast", "step", "run:b")
    room.watcher.start()
    assert room.woken.wait(SOON)
    assert room.asked[:2] == ["slow", "fast"]


@pytest.mark.parametrize("answer", [None, HttpError("Cortex is away.", kind="refused")], ids=["unknown", "away"])
def test_where_cortex_cannot_say_the_step_looks_for_itself(room: Room, answer: HttpError | None) -> None:
    def say(job: str) -> Job | None:
        if answer is not None:
            raise answer
        return None

    room.answers = say
    room.watcher.watch("j1", "step", "run:a")
    room.watcher.start()
    assert room.woken.wait(SOON)
    assert room.due() == ["run:a"]


def test_a_job_that_never_ends_is_left_to_polling(room: Room) -> None:
    given_up = threading.Event()

    def never(job: str) -> Job:
        if job == "last":
            given_up.set()
        return Job(job == "last")

    room.answers = never
    room.watcher.watch("j1", "step", "run:a")
    room.watcher.start()
    while room.asked.count("j1") < 40:
        assert not room.woken.wait(0.01)
    room.watcher.watch("last", "step", "run:b")
    assert given_up.wait(SOON)
    assert room.asked.count("j1") == 40


def test_after_the_stop_nothing_is_watched(room: Room) -> None:
    room.watcher.stop()
    room.watcher.watch("j1", "step", "run:a")
    room.watcher.start()
    assert (room.asked, room.due()) == ([], [])
