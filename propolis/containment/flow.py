"""The order of the steps of a containment and of its undo, the same for every backend and every responder.

Contain: guardrails on what was asked, look, guardrails on what was found, then - unless it is only to be said what
would be done - guardrails once more, act, look again. Success is what the second look saw.

Undo: look, refuse what does not carry our mark, act, look again. Neither mode, nor kill switch, nor never-lists stop an
undo: it only takes back what we did.

A product that takes its time is looked at again and again for as long as the operator's patience lasts; then the
outcome is `pending` with the product's id of the action. Whoever comes next takes that over and does not ask twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from propolis.clock import Clock, utc_text
from propolis.containment.backend import Backend, BackendError, Effect, Status, Target, Terms
from propolis.duration import duration_text
from propolis.errors import PropolisError

Guard = Callable[[Target, "Status | None"], None]
"""Raises `Refused` for what must never be contained: called with None before the product is asked, then with what it
said."""

_SAME_END = 60  # seconds: two ends closer than this are one
_STRANGERS = {
    True: "by somebody else: it is not ours to end, and no lease was made",
    False: "by somebody else as far as it can show: it is ours to end only by a lease that the service has of it",
}
_FIRST_LOOK, _LONGEST_LOOK = 2.0, 15.0  # seconds between two looks at an action under way


class Plan(NamedTuple):
    """What is wanted, and how far it may go."""

    target: Target
    terms: Terms
    observing: tuple[str, ...] = ()
    """Why nothing may be done (dry run, no policy, kill switch); empty when the responder may act."""
    extend: bool = False
    """A longer time was asked for on purpose: move the end of a containment of ours that is in force."""
    without_end: bool = False
    """The operator allows what neither the product nor the service will end or can prove ours."""
    renews: bool = False
    """The service extends a lease of its own: that proves ownership where the product cannot hold a mark."""
    patience: float = 0.0
    """Seconds to wait for the product to finish what it took."""


class Outcome(NamedTuple):
    """What happened."""

    result: str
    """`contained`, `already_contained`, `extended`, `would_contain`, `pending`; `released`, `already_released`."""
    status: Status
    done: str
    verified: str = ""
    until: float | None = None
    ended: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    request: str = ""
    pending: str = ""

    @property
    def changed(self) -> bool:
        """Something was written at the product."""
        return self.result in ("contained", "extended", "released", "pending")


class NotVerified(PropolisError):
    """The product took the request and then does not show its effect."""


class NotOurs(PropolisError):
    """An undo was asked for something that does not carry our mark."""


def contain(backend: Backend, plan: Plan, guard: Guard, clock: Clock) -> Outcome:
    """Contain the plan's target. Raises PropolisError with one sentence for every refusal and failure."""
    target, terms = plan.target, plan.terms
    guard(target, None)
    before = backend.status(target)
    guard(target, before)
    if before.pending and not plan.observing:
        before = _taken_over(backend, plan, before, clock)
    standing = _standing(backend, plan, before, clock)
    if standing is not None:
        return standing
    no_way_back = _no_way_back(backend, plan)
    if plan.observing:
        return _would(backend, plan, before, no_way_back)
    if no_way_back:
        raise BackendError(no_way_back)
    guard(target, before)
    effect = backend.contain(target, before, terms)
    return _contained(backend, plan, before, effect, clock)


def release(backend: Backend, target: Target, clock: Clock, *, lease: str = "", patience: float = 0.0) -> Outcome:
    """Undo our containment of the target. `lease` proves ownership only where the product cannot hold a mark.

    `patience` is how many seconds to wait for the product to finish what it took.
    """
    before = backend.status(target)
    if not before.contained and not before.remains and not before.pending:
        return Outcome("already_released", before, f"{before.subject.name} is not contained; nothing was done.")
    if not (before.ours or (lease and not backend.marks)):
        raise NotOurs(_not_ours(backend, before))
    if before.contained and before.pending:
        effect = Effect(f"A release was under way there ({before.pending}) and was taken over", pending=before.pending)
    else:
        effect = backend.release(target, before)
    after = _awaited(backend, target, lambda seen: not seen.contained, patience if effect.pending else 0.0, clock)
    if effect.pending and after.pending:
        return Outcome("pending", after, effect.done, pending=after.pending, remaining=effect.remaining)
    if after.contained:
        raise NotVerified(f"{effect.done}, but {backend.where} still shows it contained ({after.detail}). Look there.")
    return Outcome(
        "released", after, effect.done, _seen(backend, after, clock), ended=effect.ended, remaining=effect.remaining
    )


def _taken_over(backend: Backend, plan: Plan, before: Status, clock: Clock) -> Status:
    """What became of an action that was under way: a release is never raced, a containment is waited for."""
    if before.contained:
        raise BackendError(
            f"{before.subject.name} is being released at {backend.where} ({before.pending}): start this again when "
            "that is done."
        )
    return _awaited(backend, plan.target, lambda seen: seen.contained, plan.patience, clock)


def _awaited(
    backend: Backend, target: Target, reached: Callable[[Status], bool], patience: float, clock: Clock
) -> Status:
    """The status once it is reached, once nothing is under way any more, or once patience ends."""
    deadline, pause = clock.monotonic() + patience, _FIRST_LOOK
    seen = backend.status(target)
    while seen.pending and not reached(seen) and clock.monotonic() + pause <= deadline:
        clock.sleep(pause)
        pause = min(_LONGEST_LOOK, pause * 1.5)
        seen = backend.status(target)
    return seen


def _standing(backend: Backend, plan: Plan, before: Status, clock: Clock) -> Outcome | None:
    """The outcome where the target is contained already and nothing is to be moved."""
    if before.pending and not before.contained:
        done = f"A containment is under way there ({before.pending}); it was taken over, not repeated."
        return Outcome("pending", before, done, until=before.until, pending=before.pending)
    if not before.contained:
        return None
    wanted = clock.now() + plan.terms.seconds
    ours = before.ours or (plan.renews and not backend.marks)
    if ours and plan.extend and before.until is not None and wanted > before.until + _SAME_END:
        return None
    who = "by us" if before.ours else _STRANGERS[backend.marks]
    done = f"{before.subject.name} is contained already, {who}; nothing was changed."
    return Outcome("already_contained", before, done, before.detail, before.until)


def _no_way_back(backend: Backend, plan: Plan) -> str:
    """Why this must not be done: nothing would end it, or prove it ours. Empty where there is a way back."""
    if plan.terms.lease or plan.without_end or (backend.expires and backend.marks):
        return ""
    lack = "end a containment by itself" if not backend.expires else "hold a mark that proves it ours"
    return (
        f"{backend.name} cannot {lack}: start this from the service, which keeps a lease, or set the item "
        "allow_without_expiry to true if a person will undo it."
    )


def _would(backend: Backend, plan: Plan, before: Status, no_way_back: str) -> Outcome:
    span = duration_text(plan.terms.seconds)
    done = f"Would contain {before.subject.name} for {span}; nothing was done."
    request = backend.request(plan.target, before, plan.terms)
    notes = (*plan.observing, no_way_back) if no_way_back else plan.observing
    return Outcome("would_contain", before, done, notes=notes, request=request)


def _contained(backend: Backend, plan: Plan, before: Status, effect: Effect, clock: Clock) -> Outcome:
    after = _awaited(backend, plan.target, lambda seen: seen.contained, plan.patience if effect.pending else 0.0, clock)
    until = after.until if after.until is not None else clock.now() + plan.terms.seconds
    if effect.pending and after.pending and not after.contained:
        return Outcome("pending", after, effect.done, until=until, pending=after.pending, remaining=effect.remaining)
    if not after.contained or (backend.marks and not after.ours):
        seen = after.detail or "no containment of ours"
        raise NotVerified(f"{effect.done}, but {backend.where} then shows: {seen}. Nothing is claimed; look there.")
    notes = () if after.until is not None else (_no_end(plan),)
    return Outcome(
        "extended" if before.contained else "contained",
        after,
        effect.done,
        _seen(backend, after, clock),
        until if (after.until is not None or plan.terms.lease) else None,
        effect.ended,
        effect.remaining,
        notes,
    )


def _no_end(plan: Plan) -> str:
    if plan.terms.lease:
        return f"The product will not end this; the service will, by lease {plan.terms.lease}."
    return "Nothing will end this by itself: a person must run the undo."


def _seen(backend: Backend, status: Status, clock: Clock) -> str:
    return f"read back from {backend.where} at {utc_text(clock.now())}: {status.detail or 'as asked'}"


def _not_ours(backend: Backend, status: Status) -> str:
    found = f"it carries {status.mark!r}" if status.mark else "it carries no mark of ours"
    return (
        f"{status.subject.name} is contained at {backend.where}, but {found}: an undo touches only what we did. "
        "Undo it where it was done."
    )
