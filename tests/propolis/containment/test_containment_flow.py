"""The order of the steps: look, guard, act, look again; and what is claimed at the end of it."""

from __future__ import annotations

from typing import Any

import pytest

from propolis.clock import ManualClock
from propolis.containment.backend import BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.flow import NotOurs, NotVerified, Outcome, Plan, contain, release
from propolis.containment.mark import mark
from propolis.containment.stub import StubBackend
from propolis.errors import InputError

WEB = Target("host", "web-01", "test")
KNOWN = (Subject("id-1", "web-01"),)
OURS = mark(case="128")
HOUR = 3600


class Recorder(StubBackend):
    """A stub that notes every call, and can be told to lie."""

    def __init__(self, clock: ManualClock, **more: bool):
        super().__init__(clock, KNOWN, **more)
        self.calls: list[str] = []
        self.deaf = False
        self.pending = ""

    def status(self, target: Target) -> Status:
        self.calls.append("status")
        return super().status(target)._replace(pending=self.pending)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        self.calls.append("contain")
        return Effect("sent it", pending=self.pending) if self.deaf else super().contain(target, status, terms)

    def release(self, target: Target, status: Status) -> Effect:
        self.calls.append("release")
        return Effect("sent it", pending=self.pending) if self.deaf else super().release(target, status)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def backend(clock: ManualClock) -> Recorder:
    return Recorder(clock)


def plan(seconds: int = HOUR, lease: str = "", **more: Any) -> Plan:
    return Plan(WEB, Terms(seconds, OURS, lease), **more)


def allow(target: Target, status: Status | None) -> None:
    """Nothing is protected."""


def go(backend: Recorder, clock: ManualClock, **more: Any) -> Outcome:
    return contain(backend, plan(**more), allow, clock)


def test_guardrails_speak_before_the_look_after_it_and_last(backend: Recorder, clock: ManualClock) -> None:
    def guard(target: Target, status: Status | None) -> None:
        backend.calls.append(f"guard {'asked' if status is None else 'found'}")

    contain(backend, plan(), guard, clock)
    assert backend.calls == ["guard asked", "status", "guard found", "guard found", "contain", "status"]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_refusal_at_any_of_them_stops_the_act(backend: Recorder, clock: ManualClock, at: int) -> None:
    asked = []

    def guard(target: Target, status: Status | None) -> None:
        asked.append(status)
        if len(asked) == at:
            raise InputError("No.")

    with pytest.raises(InputError):
        contain(backend, plan(), guard, clock)
    assert "contain" not in backend.calls
    assert ("status" in backend.calls) == (at > 1)


def test_observing_looks_and_guards_and_shows_but_does_not_act(backend: Recorder, clock: ManualClock) -> None:
    outcome = go(backend, clock, observing=("dry_run is true.",))
    assert backend.calls == ["status"]
    assert (outcome.result, outcome.changed, outcome.until) == ("would_contain", False, None)
    assert outcome.request == "note id-1 for 3600 s"
    assert "1h" in outcome.done


def test_observing_what_is_contained_says_that_it_is(backend: Recorder, clock: ManualClock) -> None:
    go(backend, clock)
    assert go(backend, clock, observing=("dry_run",)).result == "already_contained"


def test_success_is_what_the_second_look_saw(backend: Recorder, clock: ManualClock) -> None:
    outcome = go(backend, clock)
    assert outcome.until == clock.now() + HOUR
    assert "read back from memory" in outcome.verified
    backend.release(WEB, outcome.status)
    backend.deaf = True
    with pytest.raises(NotVerified, match="Nothing is claimed"):
        go(backend, clock)


def test_an_undo_that_shows_no_effect_is_not_claimed(backend: Recorder, clock: ManualClock) -> None:
    go(backend, clock)
    backend.deaf = True
    with pytest.raises(NotVerified, match="still shows it contained"):
        release(backend, WEB, clock)


def test_an_action_that_is_not_finished_is_pending_and_not_repeated(backend: Recorder, clock: ManualClock) -> None:
    backend.deaf = True
    original = backend.contain

    def act(target: Target, status: Status, terms: Terms) -> Effect:
        backend.pending = "action-7"
        return original(target, status, terms)._replace(pending="action-7")

    backend.contain = act  # type: ignore[method-assign]
    assert (go(backend, clock).result, go(backend, clock).result) == ("pending", "pending")
    assert backend.calls.count("contain") == 1


def test_an_undo_that_is_not_finished_is_pending(backend: Recorder, clock: ManualClock) -> None:
    go(backend, clock)
    backend.deaf, backend.pending = True, "action-8"
    outcome = release(backend, WEB, clock)
    assert (outcome.result, outcome.pending) == ("pending", "action-8")


def test_an_extension_must_be_asked_for_and_be_longer(backend: Recorder, clock: ManualClock) -> None:
    go(backend, clock)
    assert go(backend, clock, seconds=5 * HOUR).result == "already_contained"
    assert go(backend, clock, seconds=HOUR + 30, extend=True).result == "already_contained"
    extended = go(backend, clock, seconds=5 * HOUR, extend=True)
    assert (extended.result, extended.until) == ("extended", clock.now() + 5 * HOUR)


def test_what_stands_without_an_end_is_not_given_one(clock: ManualClock) -> None:
    backend = Recorder(clock, expires=False)
    go(backend, clock, without_end=True)
    assert go(backend, clock, extend=True, without_end=True).result == "already_contained"


@pytest.mark.parametrize(("expires", "marks"), [(False, True), (True, False), (False, False)])
def test_no_end_or_no_mark_needs_a_lease_or_the_operators_word(clock: ManualClock, expires: bool, marks: bool) -> None:
    backend = Recorder(clock, expires=expires, marks=marks)
    with pytest.raises(BackendError, match="allow_without_expiry"):
        go(backend, clock)
    assert "contain" not in backend.calls
    assert go(backend, clock, lease="L-1").result == "contained"


def test_who_will_end_it_is_said(clock: ManualClock) -> None:
    by_service = go(Recorder(clock, expires=False), clock, lease="L-1")
    assert by_service.until == clock.now() + HOUR
    assert "lease L-1" in by_service.notes[0]
    by_hand = go(Recorder(clock, expires=False), clock, without_end=True)
    assert by_hand.until is None
    assert "a person must run the undo" in by_hand.notes[0]


def test_an_undo_needs_our_mark(backend: Recorder, clock: ManualClock) -> None:
    backend.contain_by_other_hands("id-1", "ticket 17")
    with pytest.raises(NotOurs, match="ticket 17"):
        release(backend, WEB, clock)
    with pytest.raises(NotOurs):
        release(backend, WEB, clock, lease="L-1")
    assert "release" not in backend.calls


def test_a_lease_proves_ownership_only_where_no_mark_can_be_held(clock: ManualClock) -> None:
    backend = Recorder(clock, marks=False)
    go(backend, clock, lease="L-1")
    with pytest.raises(NotOurs):
        release(backend, WEB, clock)
    assert release(backend, WEB, clock, lease="L-1").result == "released"


def test_an_undo_asks_no_guard_and_acts_once(backend: Recorder, clock: ManualClock) -> None:
    go(backend, clock)
    backend.calls.clear()
    assert release(backend, WEB, clock).result == "released"
    assert backend.calls == ["status", "release", "status"]
    assert release(backend, WEB, clock).result == "already_released"


def test_time_alone_ends_it(backend: Recorder, clock: ManualClock) -> None:
    go(backend, clock)
    clock.advance(HOUR)
    assert release(backend, WEB, clock).result == "already_released"
    assert go(backend, clock).result == "contained"
