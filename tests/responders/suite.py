"""The one suite that every containment backend passes, the stub as well as the real products.

A backend's test file subclasses `Bench` (what stands on the other side, and how to look at it without the backend),
subclasses `BackendSuite` under a name that begins with `Test`, and gives it a fixture called `bench`:

    class TestMyProduct(BackendSuite):
        @pytest.fixture
        def bench(self): ...

A backend that talks HTTP adds `HttpFailures` to the bases and makes its bench an `HttpBench`; one whose product
finishes later what it was asked for adds `SlowActions` and makes it a `SlowBench`.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from email.utils import formatdate
from enum import Enum

import pytest

from propolis.clock import Clock, ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Status, Target, Terms
from propolis.containment.flow import NotOurs, Outcome, Plan, contain, release
from propolis.containment.mark import is_ours
from propolis.errors import PropolisError

MARK = "propolis case=128 by=analyst@soc.example"
OTHER_MARK = "propolis case=129 by=analyst@soc.example"
HOUR = 3600


class Bench(ABC):
    """One product as a test sees it. Attributes that do not apply stay as they are; their tests say so and skip."""

    clock: Clock
    target: Target
    """Something that may be contained, and is not contained yet."""
    other: Target
    """A second such thing."""
    missing: Target | None = None
    """Something the product does not know."""
    ambiguous: Target | None = None
    """A name under which the product knows several things."""
    protected: tuple[Target, ...] = ()
    """Things that `guard` must refuse, before or after the product was asked."""
    hostile: tuple[Target, ...] = ()
    """Targets an attacker would write: options, separators, wildcards, other notations. Each must be refused."""
    secrets: tuple[str, ...] = ()
    """What no sentence and no request may show."""
    short: int = 60
    """Seconds of a containment that a test can wait out."""

    @abstractmethod
    def backend(self) -> Backend:
        """A new backend on the same product, as a second Cortex job would make it."""

    @abstractmethod
    def writes(self) -> list[str]:
        """Every change the product was asked for so far, in order, from its own log."""

    @abstractmethod
    def in_force(self, target: Target) -> bool:
        """Whether the containment has its effect, asked of the product by another way than the backend's."""

    @abstractmethod
    def contain_by_other_hands(self, target: Target) -> None:
        """Contain at the product as an administrator would, without our mark."""

    def release_by_other_hands(self, target: Target) -> None:
        """Undo at the product as an administrator would."""
        pytest.skip("nobody else can undo this here")

    def guard(self, target: Target, status: Status | None) -> None:  # noqa: B027 - nothing is protected by default
        """The responder's own guardrails; raises for `protected`."""

    def canonical(self, target: Target) -> Target:
        """What the responder does with a target before anybody sees it; raises PropolisError for what is none."""
        return target

    def lose_answer(self) -> None:
        """The product carries out the next change, and its answer is lost on the way."""
        pytest.skip("an answer cannot be lost here")

    def take_down(self) -> None:
        """The product cannot be reached any more."""
        pytest.skip("this cannot be down")

    def shows(self, target: Target) -> tuple[str, ...]:
        """What the request of a dry run must name."""
        return (target.value,)

    def wait_for(self, condition: Callable[[], bool], within: float) -> None:
        """Let at most that many seconds pass at the product until the condition holds; fails where it then does not."""
        if isinstance(self.clock, ManualClock):
            self.clock.advance(within)
            assert condition()
            return
        end = time.monotonic() + within
        while not condition():
            assert time.monotonic() < end, f"did not happen within {within:g} s"
            time.sleep(0.05)


def plan(target: Target, seconds: int = HOUR, **more: object) -> Plan:
    """A plan with the suite's mark."""
    lease = str(more.pop("lease", ""))
    return Plan(target, Terms(seconds, str(more.pop("mark", MARK)), lease), **more)  # type: ignore[arg-type]


def run(bench: Bench, target: Target, seconds: int = HOUR, **more: object) -> Outcome:
    """Contain through the flow with a new backend, as one Cortex job does."""
    backend = bench.backend()
    if not (backend.expires and backend.marks):
        more.setdefault("without_end", True)
    try:
        return contain(backend, plan(bench.canonical(target), seconds, **more), bench.guard, bench.clock)
    finally:
        backend.close()


def undo(bench: Bench, target: Target, lease: str = "", patience: float = 0.0) -> Outcome:
    """Release through the flow with a new backend."""
    backend = bench.backend()
    try:
        if not backend.marks:
            lease = lease or "lease-1"
        return release(backend, bench.canonical(target), bench.clock, lease=lease, patience=patience)
    finally:
        backend.close()


def look(bench: Bench, target: Target) -> Status:
    """What a new backend sees."""
    backend = bench.backend()
    try:
        return backend.status(bench.canonical(target))
    finally:
        backend.close()


def refused(bench: Bench, act: Callable[[], object], kind: type[PropolisError] = PropolisError) -> str:
    """The sentence of a refusal. Fails where there is none, where it is not a sentence, or where it shows a secret."""
    with pytest.raises(kind) as caught:
        act()
    sentence = str(caught.value)
    assert is_sentence(sentence), sentence
    assert not [secret for secret in bench.secrets if secret in sentence], "a secret is in the sentence"
    return sentence


def is_sentence(text: str) -> bool:
    """One or a few readable sentences, no traceback, no object's address, no dump."""
    return (
        "\n" not in text
        and len(text) < 800
        and text.rstrip().endswith((".", "!", "?"))
        and not re.search(r"Traceback|<.* object at 0x|Errno|HTTPSConnectionPool|Exception\(", text)
    )


class BackendSuite:
    """Every promise of `propolis.containment.backend`, kept by every backend."""

    def test_contains_and_shows_it(self, bench: Bench) -> None:
        outcome = run(bench, bench.target)
        assert outcome.result == "contained"
        assert outcome.changed
        assert outcome.verified
        assert bench.in_force(bench.target)
        assert not bench.in_force(bench.other)

    def test_status_shows_our_mark_and_our_end(self, bench: Bench) -> None:
        backend = bench.backend()
        before = bench.clock.now()
        run(bench, bench.target)
        status = look(bench, bench.target)
        assert status.contained
        if backend.marks:
            assert status.ours
            assert is_ours(status.mark)
            assert "case=128" in status.mark
        if backend.expires:
            assert status.until is not None
            assert abs(status.until - (before + HOUR)) < 30

    def test_status_changes_nothing(self, bench: Bench) -> None:
        status = look(bench, bench.target)
        assert not status.contained
        assert not status.ours
        assert bench.writes() == []

    def test_containing_the_contained_is_success_and_changes_nothing(self, bench: Bench) -> None:
        run(bench, bench.target)
        writes = bench.writes()
        again = run(bench, bench.target, mark=OTHER_MARK)
        assert again.result == "already_contained"
        assert ("by us" in again.done) == bench.backend().marks
        assert not again.changed
        assert bench.writes() == writes
        assert bench.in_force(bench.target)

    def test_the_backend_itself_keeps_the_contained_contained_with_the_new_terms(self, bench: Bench) -> None:
        run(bench, bench.target)
        backend = bench.backend()
        target = bench.canonical(bench.target)
        backend.contain(target, backend.status(target), Terms(2 * HOUR, OTHER_MARK))
        status = backend.status(target)
        backend.close()
        assert status.contained
        assert bench.in_force(bench.target)
        if backend.expires:
            assert status.until is not None
            assert abs(status.until - (bench.clock.now() + 2 * HOUR)) < 30
        if backend.marks:
            assert "case=129" in status.mark

    def test_an_asked_for_extension_moves_the_end(self, bench: Bench) -> None:
        if not bench.backend().expires:
            pytest.skip("the product keeps no end that could be moved")
        first = run(bench, bench.target)
        marks = bench.backend().marks
        longer = run(bench, bench.target, 3 * HOUR, extend=True, renews=not marks, lease="" if marks else "lease-1")
        assert longer.result == "extended"
        assert first.until is not None
        assert longer.until is not None
        assert longer.until - first.until > HOUR
        assert look(bench, bench.target).ours == marks

    def test_without_a_mark_or_a_lease_no_end_is_moved(self, bench: Bench) -> None:
        if bench.backend().marks or not bench.backend().expires:
            pytest.skip("the product holds a mark, or keeps no end that could be moved")
        run(bench, bench.target)
        writes = bench.writes()
        assert run(bench, bench.target, 3 * HOUR, extend=True).result == "already_contained"
        assert bench.writes() == writes

    def test_a_shorter_wish_does_not_cut_a_containment_in_force(self, bench: Bench) -> None:
        if not bench.backend().expires:
            pytest.skip("the product keeps no end that could be moved")
        run(bench, bench.target)
        again = run(bench, bench.target, 60, extend=True)
        assert again.result == "already_contained"
        assert (look(bench, bench.target).until or 0) > bench.clock.now() + HOUR - 120

    def test_undo(self, bench: Bench) -> None:
        run(bench, bench.target)
        outcome = undo(bench, bench.target)
        assert outcome.result == "released"
        assert outcome.verified
        assert not bench.in_force(bench.target)
        assert not look(bench, bench.target).contained

    def test_a_second_undo_is_fine(self, bench: Bench) -> None:
        run(bench, bench.target)
        undo(bench, bench.target)
        writes = bench.writes()
        assert undo(bench, bench.target).result == "already_released"
        assert bench.writes() == writes

    def test_an_undo_of_what_never_was_contained_is_fine(self, bench: Bench) -> None:
        assert undo(bench, bench.target).result == "already_released"
        assert bench.writes() == []

    def test_release_succeeds_when_it_is_gone_meanwhile(self, bench: Bench) -> None:
        run(bench, bench.target)
        backend = bench.backend()
        target = bench.canonical(bench.target)
        seen = backend.status(target)
        bench.release_by_other_hands(bench.target)
        backend.release(target, seen)
        backend.close()
        assert not bench.in_force(bench.target)

    def test_an_undo_leaves_the_others_alone(self, bench: Bench) -> None:
        run(bench, bench.target)
        run(bench, bench.other, mark=OTHER_MARK)
        undo(bench, bench.target)
        assert not bench.in_force(bench.target)
        assert bench.in_force(bench.other)

    def test_it_can_be_contained_again_after_an_undo(self, bench: Bench) -> None:
        run(bench, bench.target)
        undo(bench, bench.target)
        assert run(bench, bench.target).result == "contained"
        assert bench.in_force(bench.target)

    def test_it_ends_by_itself(self, bench: Bench) -> None:
        if not bench.backend().expires:
            pytest.skip("the product does not end a containment by itself")
        run(bench, bench.target, bench.short)
        assert bench.in_force(bench.target)
        bench.wait_for(lambda: not bench.in_force(bench.target), bench.short + 5)
        assert not look(bench, bench.target).contained
        assert undo(bench, bench.target).result == "already_released"

    def test_what_nothing_would_end_or_prove_ours_needs_a_lease_or_the_operators_word(self, bench: Bench) -> None:
        backend = bench.backend()
        if backend.expires and backend.marks:
            pytest.skip("the product ends a containment by itself and carries our mark")
        sentence = refused(bench, lambda: run(bench, bench.target, without_end=False), BackendError)
        assert "allow_without_expiry" in sentence
        assert bench.writes() == []
        assert run(bench, bench.target, lease="lease-1", without_end=False).result == "contained"

    def test_the_unknown_is_refused(self, bench: Bench) -> None:
        if bench.missing is None:
            pytest.skip("nothing is unknown to this product")
        missing = bench.missing
        refused(bench, lambda: run(bench, missing), NotFound)
        refused(bench, lambda: undo(bench, missing), NotFound)
        assert bench.writes() == []

    def test_two_matches_are_refused_with_the_candidates(self, bench: Bench) -> None:
        if bench.ambiguous is None:
            pytest.skip("a name means one thing at this product")
        ambiguous = bench.ambiguous
        with pytest.raises(Ambiguous) as caught:
            run(bench, ambiguous)
        assert len(caught.value.candidates) >= 2
        assert all(candidate in str(caught.value) for candidate in caught.value.candidates)
        assert bench.writes() == []

    def test_the_protected_is_refused_without_a_write(self, bench: Bench) -> None:
        if not bench.protected:
            pytest.skip("the bench names nothing protected")
        for target in bench.protected:
            refused(bench, lambda target=target: run(bench, target))  # type: ignore[misc]
        assert bench.writes() == []

    def test_hostile_targets_are_refused_without_a_write(self, bench: Bench) -> None:
        if not bench.hostile:
            pytest.skip("the bench names nothing hostile")
        for target in bench.hostile:
            refused(bench, lambda target=target: run(bench, target))  # type: ignore[misc]
            undone = result_or_sentence(lambda target=target: undo(bench, target))  # type: ignore[misc]
            assert undone == "already_released" or is_sentence(undone), undone
        assert bench.writes() == []

    def test_a_dry_run_writes_nothing_and_shows_the_request(self, bench: Bench) -> None:
        outcome = run(bench, bench.target, observing=("dry_run is true.",))
        assert outcome.result == "would_contain"
        assert outcome.notes == ("dry_run is true.",)
        for text in bench.shows(bench.target):
            assert text in outcome.request
        assert not [secret for secret in bench.secrets if secret in outcome.request]
        assert bench.writes() == []
        assert not bench.in_force(bench.target)

    def test_somebody_elses_containment_is_left_to_them(self, bench: Bench) -> None:
        if not bench.backend().marks:
            pytest.skip("the product cannot hold a mark")
        bench.contain_by_other_hands(bench.target)
        writes = bench.writes()
        standing = run(bench, bench.target)
        assert standing.result == "already_contained"
        assert "somebody else" in standing.done
        refused(bench, lambda: undo(bench, bench.target), NotOurs)
        assert bench.writes() == writes
        assert bench.in_force(bench.target)

    def test_somebody_elses_containment_is_not_extended(self, bench: Bench) -> None:
        bench.contain_by_other_hands(bench.target)
        writes = bench.writes()
        assert run(bench, bench.target, 48 * HOUR, extend=True).result == "already_contained"
        assert bench.writes() == writes

    def test_a_lost_answer_is_looked_up_and_not_repeated(self, bench: Bench) -> None:
        bench.lose_answer()
        result = result_or_sentence(lambda: run(bench, bench.target))
        assert result in ("contained", "pending") or is_sentence(result), result
        assert bench.in_force(bench.target)
        writes = bench.writes()
        assert len(writes) == len(set(writes)), "something was asked for twice"
        assert run(bench, bench.target).result == "already_contained"
        assert bench.writes() == writes

    def test_down_is_one_clear_sentence(self, bench: Bench) -> None:
        bench.take_down()
        refused(bench, lambda: run(bench, bench.target), BackendError)
        refused(bench, lambda: undo(bench, bench.target), BackendError)

    def test_where_names_the_product_and_shows_no_secret(self, bench: Bench) -> None:
        backend = bench.backend()
        assert backend.where
        assert backend.name
        assert bench.canonical(bench.target).kind in backend.kinds
        assert not [secret for secret in bench.secrets if secret in backend.where]


def result_or_sentence(act: Callable[[], Outcome]) -> str:
    """The result of a step, or the sentence with which it was refused."""
    try:
        return act().result
    except PropolisError as error:
        return str(error)


class Failure(Enum):
    """How an HTTP product can fail. A fake must be able to do each of them."""

    SERVER_ERROR = "500 with a JSON body"
    UNAUTHORIZED = "401 whatever the token"
    FORBIDDEN = "403"
    RATE_LIMITED = "429 with Retry-After far ahead"
    REDIRECT = "302 to another host"
    HTML = "200 with a web page, as a login portal answers"
    NONSENSE = "200 with JSON of another shape"
    HALF_BODY = "the connection ends in the middle of the body"
    SILENCE = "the connection is taken and nothing is answered"


RATE_LIMITS: dict[str, Callable[[float], dict[str, str]]] = {
    "seconds": lambda now: {"Retry-After": "2"},
    "date": lambda now: {"Retry-After": formatdate(now + 2, usegmt=True)},
}
"""The two forms of RFC 9110 10.2.3."""


class HttpBench(Bench):
    """A bench whose product is an HTTP server that the test controls."""

    @abstractmethod
    def fail(self, failure: Failure, *, writes_only: bool = False) -> None:
        """From now on every request (or every change) meets this failure, and nothing is carried out."""

    @abstractmethod
    def mend(self) -> None:
        """Answer again as before."""

    @abstractmethod
    def redirected(self) -> list[str]:
        """The requests that reached the other host of `Failure.REDIRECT`; must stay empty."""

    rate_limits: tuple[Callable[[float], dict[str, str]], ...] = ()
    """The product's own ways to say "in two seconds" in a header, for a wall time in seconds."""

    def refuse_next_change(self, status: int, headers: dict[str, str]) -> None:
        """The next change is answered so and not carried out."""
        pytest.skip("a single change cannot be refused here")

    def expire_token(self) -> None:
        """The token in use is not valid any more; a new one is to be had."""
        pytest.skip("the product knows no tokens that expire")

    def token_requests(self) -> int:
        """How often a token was asked for."""
        return 0


class HttpFailures:
    """What a backend that talks HTTP does when the other side fails."""

    @pytest.mark.parametrize("failure", Failure, ids=lambda failure: failure.name.lower())
    def test_a_failing_read_is_one_clear_sentence_and_no_write(self, bench: HttpBench, failure: Failure) -> None:
        bench.fail(failure)
        refused(bench, lambda: run(bench, bench.target), BackendError)
        assert bench.writes() == []
        assert bench.redirected() == []

    @pytest.mark.parametrize("failure", Failure, ids=lambda failure: failure.name.lower())
    def test_a_failing_write_is_never_reported_as_done(self, bench: HttpBench, failure: Failure) -> None:
        bench.fail(failure, writes_only=True)
        refused(bench, lambda: run(bench, bench.target), PropolisError)
        bench.mend()
        assert not bench.in_force(bench.target)
        assert bench.redirected() == []

    @pytest.mark.parametrize("failure", Failure, ids=lambda failure: failure.name.lower())
    def test_a_failing_undo_is_never_reported_as_done(self, bench: HttpBench, failure: Failure) -> None:
        run(bench, bench.target)
        bench.fail(failure, writes_only=True)
        refused(bench, lambda: undo(bench, bench.target), PropolisError)
        bench.mend()
        assert bench.in_force(bench.target)
        assert undo(bench, bench.target).result == "released"

    @pytest.mark.parametrize("form", [*RATE_LIMITS, "the product's own"])
    def test_a_rate_limit_is_waited_out_in_every_form(self, bench: HttpBench, form: str) -> None:
        ways = (RATE_LIMITS[form],) if form in RATE_LIMITS else bench.rate_limits
        if not ways:
            pytest.skip("the product uses the standard's header")
        for headers in ways:
            bench.refuse_next_change(429, headers(bench.clock.now()))
        before = bench.clock.now()
        assert run(bench, bench.target).result == "contained"
        assert bench.in_force(bench.target)
        assert bench.clock.now() - before >= len(ways)

    def test_a_token_that_ended_is_renewed_once(self, bench: HttpBench) -> None:
        backend = bench.backend()
        target = bench.canonical(bench.target)
        backend.status(target)
        asked = bench.token_requests()
        bench.expire_token()
        assert backend.status(target).subject.name
        assert bench.token_requests() == asked + 1
        backend.close()

    def test_a_token_that_is_never_taken_is_not_asked_for_without_end(self, bench: HttpBench) -> None:
        bench.fail(Failure.UNAUTHORIZED)
        refused(bench, lambda: run(bench, bench.target), BackendError)
        assert bench.token_requests() <= 2


class SlowBench(Bench):
    """A bench whose product finishes later what it was asked for."""

    @abstractmethod
    def slow(self, seconds: float | None, *, fails: bool = False) -> None:
        """Actions asked for from now on take so long by the bench's clock (None: for ever), and then may fail."""

    @abstractmethod
    def finish(self) -> None:
        """Every action under way that was not cancelled is done now."""


class SlowActions:
    """What a backend does when its product takes its time."""

    def test_a_slow_containment_is_waited_for(self, bench: SlowBench) -> None:
        bench.slow(20)
        outcome = run(bench, bench.target, patience=60)
        assert outcome.result == "contained"
        assert bench.in_force(bench.target)

    def test_an_endless_containment_is_pending_taken_over_and_never_asked_for_twice(self, bench: SlowBench) -> None:
        bench.slow(None)
        first = run(bench, bench.target, patience=60)
        assert (first.result, bool(first.pending)) == ("pending", True)
        assert not bench.in_force(bench.target)
        writes = bench.writes()
        again = run(bench, bench.target, patience=60)
        assert (again.result, again.pending) == ("pending", first.pending)
        assert bench.writes() == writes
        bench.finish()
        assert run(bench, bench.target).result == "already_contained"
        assert bench.in_force(bench.target)
        assert bench.writes() == writes

    def test_a_containment_that_fails_is_not_claimed_and_can_be_asked_for_again(self, bench: SlowBench) -> None:
        bench.slow(10, fails=True)
        refused(bench, lambda: run(bench, bench.target, patience=60), PropolisError)
        assert not bench.in_force(bench.target)
        bench.slow(0)
        assert run(bench, bench.target, patience=60).result == "contained"

    def test_a_slow_undo_is_waited_for(self, bench: SlowBench) -> None:
        run(bench, bench.target, patience=60)
        bench.slow(20)
        assert undo(bench, bench.target, patience=60).result == "released"
        assert not bench.in_force(bench.target)

    def test_an_endless_undo_is_pending_taken_over_and_never_asked_for_twice(self, bench: SlowBench) -> None:
        run(bench, bench.target, patience=60)
        bench.slow(None)
        first = undo(bench, bench.target, patience=60)
        assert (first.result, bool(first.pending)) == ("pending", True)
        writes = bench.writes()
        again = undo(bench, bench.target, patience=60)
        assert (again.result, again.pending) == ("pending", first.pending)
        assert bench.writes() == writes
        bench.finish()
        assert undo(bench, bench.target).result == "already_released"
        assert not bench.in_force(bench.target)

    def test_an_undo_that_fails_is_not_claimed(self, bench: SlowBench) -> None:
        run(bench, bench.target, patience=60)
        bench.slow(10, fails=True)
        refused(bench, lambda: undo(bench, bench.target, patience=60), PropolisError)
        assert bench.in_force(bench.target)

    def test_nothing_is_contained_while_its_release_is_under_way(self, bench: SlowBench) -> None:
        run(bench, bench.target, patience=60)
        bench.slow(None)
        undo(bench, bench.target)
        writes = bench.writes()
        refused(bench, lambda: run(bench, bench.target), BackendError)
        assert bench.writes() == writes

    def test_an_undo_of_what_is_under_way_leaves_nothing_contained(self, bench: SlowBench) -> None:
        bench.slow(None)
        run(bench, bench.target)
        undone = result_or_sentence(lambda: undo(bench, bench.target))
        assert undone in ("released", "pending", "already_released") or is_sentence(undone), undone
        bench.slow(0)
        bench.finish()
        undo(bench, bench.target, patience=60)
        assert not bench.in_force(bench.target)
