"""The stub keeps every promise of the contract: it is the reference for the backends that talk to a product."""

from __future__ import annotations

import pytest
from suite import BackendSuite, SlowActions, SlowBench

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.stub import StubBackend
from propolis.errors import InputError

KNOWN = (
    Subject("id-1", "web-01", names=("web",)),
    Subject("id-2", "web-02", names=("web",)),
    Subject("id-9", "dc-01", groups=("Domain Controllers",)),
)


class _Flaky(StubBackend):
    """A stub whose line can be cut."""

    mode = ""

    def status(self, target: Target) -> Status:
        if self.mode == "down":
            raise BackendError("The stub cannot be reached: plug it in.")
        return super().status(target)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        effect = super().contain(target, status, terms)
        if self.mode == "lost":
            self.mode = ""
            return Effect("sent the request, whose answer was lost")
        return effect


class StubBench(SlowBench):
    target = Target("host", "web-01", "test")
    other = Target("host", "web-02", "test")
    missing = Target("host", "web-03", "test")
    ambiguous = Target("host", "web", "test")
    protected = (Target("host", "dc-01", "test"),)
    hostile = (Target("host", "-oProxyCommand=id", "test"),)

    def __init__(self, *, expires: bool = True, marks: bool = True):
        self.clock = ManualClock()
        self._backend = _Flaky(self.clock, KNOWN, expires=expires, marks=marks)

    def backend(self) -> Backend:
        return self._backend

    def writes(self) -> list[str]:
        return list(self._backend.writes)

    def in_force(self, target: Target) -> bool:
        return self._backend.status(target).contained

    def contain_by_other_hands(self, target: Target) -> None:
        self._backend.contain_by_other_hands(self._backend.status(target).subject.id)

    def release_by_other_hands(self, target: Target) -> None:
        StubBackend.release(self._backend, target, self._backend.status(target))

    def guard(self, target: Target, status: Status | None) -> None:
        if status is not None and "Domain Controllers" in status.subject.groups:
            raise InputError(f"{target.value} is a domain controller and is never contained.")

    def shows(self, target: Target) -> tuple[str, ...]:
        return (self._backend.status(target).subject.id,)

    def lose_answer(self) -> None:
        self._backend.mode = "lost"

    def take_down(self) -> None:
        self._backend.mode = "down"

    def slow(self, seconds: float | None, *, fails: bool = False) -> None:
        self._backend.takes, self._backend.fails = seconds, fails

    def finish(self) -> None:
        self._backend.finish()


class TestStub(BackendSuite, SlowActions):
    @pytest.fixture
    def bench(self) -> StubBench:
        return StubBench()


class TestStubThatNeverEndsAnything(BackendSuite):
    @pytest.fixture
    def bench(self) -> StubBench:
        return StubBench(expires=False)


class TestStubWithoutMarks(BackendSuite, SlowActions):
    @pytest.fixture
    def bench(self) -> StubBench:
        return StubBench(expires=False, marks=False)


class TestStubThatEndsThingsButHoldsNoMark(BackendSuite, SlowActions):
    @pytest.fixture
    def bench(self) -> StubBench:
        return StubBench(marks=False)
