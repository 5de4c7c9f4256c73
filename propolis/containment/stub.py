"""A backend in memory: the reference for the contract, for tests of the flow and for authors of backends."""

from __future__ import annotations

from typing import NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import Ambiguous, Backend, Effect, NotFound, Status, Subject, Target, Terms
from propolis.containment.mark import is_ours


class _Action(NamedTuple):
    """Something that the stub does later."""

    id: str
    due: float | None
    """Wall time, seconds; None: never."""
    fails: bool
    held: tuple[float | None, str] | None
    """What is held once it is done: end and mark, or None for a release."""


class StubBackend(Backend):
    """Knows the subjects it was given (any address where it was given none) and forgets a containment at its end.

    Set `takes` for a product that does things later: seconds, or None for one that never gets round to it; with `fails`
    an action ends without effect.
    """

    name = "stub"
    kinds: tuple[str, ...] = ("ip", "account", "host", "domain", "url")
    expires = True
    marks = True

    def __init__(self, clock: Clock, subjects: tuple[Subject, ...] = (), *, expires: bool = True, marks: bool = True):
        self._clock = clock
        self._subjects = subjects
        self._contained: dict[str, tuple[float | None, str]] = {}
        self._actions: dict[str, _Action] = {}
        self.expires = expires
        self.marks = marks
        self.takes: float | None = 0.0
        self.fails = False
        self.writes: list[str] = []
        """Every change in order, `contain <id>` or `release <id>`."""

    @property
    def where(self) -> str:
        return "memory"

    def status(self, target: Target) -> Status:
        subject = self._find(target)
        self._pass(subject.id)
        action = self._actions.get(subject.id)
        until, mark = self._contained.get(subject.id, (None, ""))
        contained = subject.id in self._contained
        if action is not None and action.held is not None and not contained:
            mark = action.held[1]
        pending = action.id if action is not None else ""
        return Status(subject, contained, is_ours(mark), until, mark, "held in memory", pending)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        until = self._clock.now() + terms.seconds if self.expires else None
        self.writes.append(f"contain {status.subject.id}")
        pending = self._do(status.subject.id, (until, terms.mark if self.marks else ""))
        return Effect(f"noted {status.subject.name}", pending=pending)

    def release(self, target: Target, status: Status) -> Effect:
        self.writes.append(f"release {status.subject.id}")
        pending = self._do(status.subject.id, None)
        return Effect(f"forgot {status.subject.name}", pending=pending)

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        return f"note {status.subject.id} for {terms.seconds} s"

    def contain_by_other_hands(self, subject_id: str, mark: str = "") -> None:
        """What somebody else does at the product."""
        self._contained[subject_id] = (None, mark)

    def finish(self) -> None:
        """Everything under way is done now."""
        for subject_id, action in self._actions.items():
            self._actions[subject_id] = action._replace(due=self._clock.now())

    def _do(self, subject_id: str, held: tuple[float | None, str] | None) -> str:
        """Do it, now or later; gives the id of what is under way."""
        due = None if self.takes is None else self._clock.now() + self.takes
        self._actions[subject_id] = _Action(f"action-{len(self.writes)}", due, self.fails, held)
        self._pass(subject_id)
        left = self._actions.get(subject_id)
        return left.id if left else ""

    def _find(self, target: Target) -> Subject:
        if not self._subjects:
            return Subject(target.value, target.value, names=(target.value,))
        found = [subject for subject in self._subjects if target.value in (subject.id, subject.name, *subject.names)]
        if not found:
            raise NotFound(f"{target.value} is not known there.")
        if len(found) > 1:
            raise Ambiguous(target, [subject.id for subject in found])
        return found[0]

    def _pass(self, subject_id: str) -> None:
        """Let happen what time brings: actions end, and so do containments."""
        action = self._actions.get(subject_id)
        if action is not None and action.due is not None and action.due <= self._clock.now():
            del self._actions[subject_id]
            if not action.fails and action.held is not None:
                self._contained[subject_id] = action.held
            elif not action.fails:
                self._contained.pop(subject_id, None)
        until, _ = self._contained.get(subject_id, (None, ""))
        if until is not None and until <= self._clock.now():
            del self._contained[subject_id]
