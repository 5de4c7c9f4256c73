"""A backend in memory: the reference for the contract, for tests of the flow and for authors of backends."""

from __future__ import annotations

from propolis.clock import Clock
from propolis.containment.backend import Ambiguous, Backend, Effect, NotFound, Status, Subject, Target, Terms
from propolis.containment.mark import is_ours


class StubBackend(Backend):
    """Knows the subjects it was given (any address where it was given none) and forgets a containment at its end."""

    name = "stub"
    kinds: tuple[str, ...] = ("ip", "account", "host", "domain", "url")
    expires = True
    marks = True

    def __init__(self, clock: Clock, subjects: tuple[Subject, ...] = (), *, expires: bool = True, marks: bool = True):
        self._clock = clock
        self._subjects = subjects
        self._contained: dict[str, tuple[float | None, str]] = {}
        self.expires = expires
        self.marks = marks
        self.writes: list[str] = []
        """Every change in order, `contain <id>` or `release <id>`."""

    @property
    def where(self) -> str:
        return "memory"

    def status(self, target: Target) -> Status:
        subject = self._find(target)
        self._expire(subject.id)
        until, mark = self._contained.get(subject.id, (None, ""))
        contained = subject.id in self._contained
        return Status(subject, contained, contained and is_ours(mark), until, mark, "held in memory")

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        until = self._clock.now() + terms.seconds if self.expires else None
        self._contained[status.subject.id] = (until, terms.mark if self.marks else "")
        self.writes.append(f"contain {status.subject.id}")
        return Effect(f"noted {status.subject.name}")

    def release(self, target: Target, status: Status) -> Effect:
        self._contained.pop(status.subject.id, None)
        self.writes.append(f"release {status.subject.id}")
        return Effect(f"forgot {status.subject.name}")

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        return f"note {status.subject.id} for {terms.seconds} s"

    def contain_by_other_hands(self, subject_id: str, mark: str = "") -> None:
        """What somebody else does at the product."""
        self._contained[subject_id] = (None, mark)

    def _find(self, target: Target) -> Subject:
        if not self._subjects:
            return Subject(target.value, target.value, names=(target.value,))
        found = [subject for subject in self._subjects if target.value in (subject.id, subject.name, *subject.names)]
        if not found:
            raise NotFound(f"{target.value} is not known there.")
        if len(found) > 1:
            raise Ambiguous(target, [subject.id for subject in found])
        return found[0]

    def _expire(self, subject_id: str) -> None:
        until, _ = self._contained.get(subject_id, (None, ""))
        if until is not None and until <= self._clock.now():
            del self._contained[subject_id]
