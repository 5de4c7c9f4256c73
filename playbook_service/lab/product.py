"""The lab's products: a firewall, a directory and an EDR, each nothing but a JSON file with a lock.

The lab's responders (`workers/`) contain things at them through `LabBackend`, in processes of their own; whoever wants
to know whether something gets past them asks `Product`. A file holds what the product knows (`subjects`; none: any
address), what is contained (`contained`: id -> mark, since, until) and every change in order (`log`).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from propolis.clock import Clock, SystemClock, utc_text
from propolis.containment.backend import (
    Ambiguous,
    Backend,
    BackendError,
    Effect,
    NotFound,
    Status,
    Subject,
    Target,
    Terms,
)
from propolis.containment.mark import is_ours
from propolis.containment.responder import BackendFactory, ContainmentResponder, Workbench
from propolis.duration import duration_text
from propolis.errors import ConfigurationError
from propolis.worker.base import Answer

State = dict[str, Any]


class FileClock(SystemClock):
    """A test clock that several processes share: its wall time is the number in a file."""

    def __init__(self, path: Path):
        self._path = path

    def now(self) -> float:
        try:
            return float(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"holds no wall time: {error}.", source=str(self._path)) from None


class Kind(NamedTuple):
    """What sort of product it is. `expires`: it ends a containment by itself, as firewalls can and directories not."""

    title: str
    target: str
    expires: bool


FIREWALL = Kind("lab firewall", "ip", expires=True)
DIRECTORY = Kind("lab directory", "account", expires=False)
ENDPOINTS = Kind("lab EDR", "host", expires=False)


class Product:
    """One product's file. Threads and processes may share it."""

    def __init__(self, path: Path, kind: Kind, clock: Clock | None = None):
        self.path = path
        self.kind = kind
        self.clock = clock or SystemClock()

    def create(self, subjects: tuple[Subject, ...] = ()) -> Product:
        """A new product that knows these subjects; what the file held is gone."""
        with self._locked():
            self._write({"subjects": [subject._asdict() for subject in subjects], "contained": {}, "log": []})
        return self

    def subjects(self) -> list[Subject]:
        """What it knows."""
        return [_subject(row) for row in self._state()["subjects"]]

    def contained(self) -> dict[str, State]:
        """What is contained now, by id: `mark`, `since`, `until` (None: until somebody ends it)."""
        now = self.clock.now()
        held: dict[str, State] = self._state()["contained"]
        return {id_: entry for id_, entry in held.items() if entry["until"] is None or now < entry["until"]}

    def passes(self, id_: str) -> bool:
        """The traffic probe: does this address (account, host) get past the product at this moment?"""
        return id_ not in self.contained()

    def log(self) -> list[State]:
        """Every change so far, in order: `at`, `verb` (`contain`, `release`), `id`, `mark`."""
        return list(self._state()["log"])

    def contain(self, id_: str, mark: str, seconds: float | None) -> None:
        """Contain something, for so many seconds where the product ends things."""
        now = self.clock.now()
        until = now + seconds if self.kind.expires and seconds is not None else None
        entry = {"mark": mark, "since": now, "until": until}
        self._change("contain", id_, mark, lambda held: held.update({id_: entry}))

    def release(self, id_: str) -> None:
        """Let something go; harmless where it is free."""
        self._change("release", id_, "", lambda held: held.pop(id_, None))

    def _change(self, verb: str, id_: str, mark: str, change: Callable[[State], object]) -> None:
        with self._locked():
            state = self._state()
            change(state["contained"])
            state["log"].append({"at": utc_text(self.clock.now()), "verb": verb, "id": id_, "mark": mark})
            self._write(state)

    def _state(self) -> State:
        try:
            state: State = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it holds no JSON"
            raise BackendError(f"The {self.kind.title}'s file {self.path.name} cannot be read: {why}.") from None
        return state

    def _write(self, state: State) -> None:
        """Whole or not at all: readers hold no lock."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(state, indent=1), encoding="utf-8")
        os.replace(fresh, self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with self.path.with_suffix(".lock").open("w") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise BackendError(f"The {self.kind.title} cannot be written: {error.strerror}.") from None


class LabBackend(Backend):
    """A product of the lab behind the contract that all backends keep."""

    name = "lab"
    marks = True

    def __init__(self, product: Product):
        self._product = product
        self.kinds: tuple[str, ...] = (product.kind.target,)
        self.expires = product.kind.expires

    @property
    def where(self) -> str:
        return f"the {self._product.kind.title}"

    def status(self, target: Target) -> Status:
        subject = self._find(target)
        entry = self._product.contained().get(subject.id)
        if entry is None:
            return Status(subject, contained=False, detail=f"{subject.name} is not on its list")
        until, mark = entry["until"], str(entry["mark"])
        left = f"{duration_text(until - self._product.clock.now())} left" if until is not None else "without an end"
        return Status(subject, True, is_ours(mark), until, mark, f"{subject.name} is on its list, {left}")

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        self._product.contain(status.subject.id, terms.mark, terms.seconds)
        return Effect(f"put {status.subject.name} on its list")

    def release(self, target: Target, status: Status) -> Effect:
        self._product.release(status.subject.id)
        return Effect(f"took {status.subject.name} off its list")

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        return f"put {status.subject.id} on the list for {terms.seconds} s, marked {terms.mark!r}"

    def _find(self, target: Target) -> Subject:
        """By id or name, whole, whatever the case."""
        known = self._product.subjects()
        if not known and self._product.kind is FIREWALL:
            return Subject(target.value, target.value, names=(target.value,))
        wanted = target.value.casefold()
        found = [one for one in known if wanted in {name.casefold() for name in (one.id, one.name, *one.names)}]
        if not found:
            raise NotFound(f"{target.value} is not known at {self.where}.")
        if len(found) > 1:
            raise Ambiguous(target, [subject.id for subject in found])
        return found[0]


def lab_backends(kind: Kind) -> Mapping[str, BackendFactory]:
    """The registry of a responder: one backend, on the file that the item `state_file` names."""

    def make(workbench: Workbench) -> Backend:
        return LabBackend(Product(Path(workbench.items.text("state_file")), kind, workbench.clock))

    return {LabBackend.name: make}


class LabResponder(ContainmentResponder):
    """A responder at one of the lab's products; the item `clock_file` gives it a test clock."""

    def answer(self) -> Answer:
        """As every containment responder does, by the clock of the lab."""
        place = self.items.optional_text("clock_file")
        if place:
            self.clock = FileClock(Path(place))
        return super().answer()


def _subject(row: Mapping[str, Any]) -> Subject:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return Subject(**fields)
