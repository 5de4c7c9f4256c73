"""Playbooks as values: what was read, frozen, identified by the hash of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playbook_service.playbook.condition import Condition
from playbook_service.playbook.document import Plain
from playbook_service.playbook.target import TargetPath
from playbook_service.playbook.verb import VERBS

MODES = ("observe", "approve", "enforce")
"""From the most careful to the least; the service's own mode is the ceiling of every playbook's."""
OUTCOMES = ("ignore", "observe", "act", "ask")
"""What a decision may be, in the order in which one overrules another when playbooks meet on one target."""


@dataclass(frozen=True)
class Clause:
    """One line of `decide`: the outcome where the condition holds."""

    outcome: str
    condition: Condition
    line: int
    path: str


@dataclass(frozen=True)
class Action:
    """One step. `settings` are its values as sorted pairs (hashable), without `targets`, which are compiled."""

    verb: str
    settings: tuple[tuple[str, Any], ...]
    targets: tuple[TargetPath, ...]
    line: int
    path: str

    def get(self, key: str) -> Any:
        """The value of a key of the verb; KeyError for a key it does not have."""
        return dict(self.settings)[key]

    @property
    def contains(self) -> bool:
        """Does the step contain something (and so need a mode that lets it)?"""
        return VERBS[self.verb].contains

    @property
    def responder(self) -> str:
        """The responder of a `respond`, else the empty text."""
        return str(self.get("with")) if self.contains else ""


@dataclass(frozen=True)
class Playbook:
    """One playbook. enrich has `analyzers` and `deadline` (seconds), respond has `mode`, `decide` and `actions`."""

    name: str
    kind: str
    description: str
    on: str
    when: Condition
    enabled: bool
    source: str
    line: int
    digest: str
    mode: str = "observe"
    decide: tuple[Clause, ...] = ()
    actions: tuple[Action, ...] = ()
    analyzers: tuple[str, ...] = ()
    deadline: int = 0
    document: Plain = field(default=None, compare=False, repr=False)

    @property
    def version(self) -> str:
        """The short form of the digest, for people and log lines."""
        return self.digest[:12]


class Playbooks:
    """A set of playbooks in the order of their files, with an index by event. Immutable after it is made."""

    def __init__(self, playbooks: tuple[Playbook, ...]):
        self.all = playbooks
        self.digest = content_digest(sorted([playbook.name, playbook.digest] for playbook in playbooks))
        self._index: dict[tuple[str, str], tuple[Playbook, ...]] = {}
        for playbook in playbooks:
            if playbook.enabled:
                place = (playbook.kind, playbook.on)
                self._index[place] = (*self._index.get(place, ()), playbook)

    def __iter__(self) -> Iterator[Playbook]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def select(self, kind: str, on: str) -> tuple[Playbook, ...]:
        """The enabled playbooks of one kind on one event."""
        return self._index.get((kind, on), ())

    def named(self, name: str) -> Playbook | None:
        """The playbook of that name, enabled or not."""
        return next((playbook for playbook in self.all if playbook.name == name), None)


def content_digest(value: object) -> str:
    """SHA-256, in hex, over the canonical JSON of a plain value: keys sorted, no blanks, so layout does not count."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """One spelling for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
