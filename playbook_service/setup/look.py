"""What a look at a server finds: what is right, what can be changed, what a person has to do, what forbids it all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from propolis.errors import PropolisError

MAKE, CHANGE = "make", "change"


class Change(NamedTuple):
    """One thing that can be made or changed by a call."""

    verb: str
    """`make` or `change`."""
    what: str
    """`custom field wazuh_user`: the thing, named."""
    does: str
    """How it is made, or what differs; never a secret."""
    apply: Callable[[], object]
    """Does it. Raises HttpError."""

    def __str__(self) -> str:
        return f"{self.what}{self.does}"


class Step(NamedTuple):
    """Something for a person to do."""

    title: str
    lines: tuple[str, ...]
    known: bool = True
    """Whether it is known not to be done; False where no API tells."""


@dataclass
class Look:
    """What was found at one server. `faults` are sentences: with one of them nothing may be changed."""

    server: str = ""
    right: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    last: bool = False
    """Nothing is built upon it: it is done after everything else, so that its failing stops nothing."""

    def add(self, other: Look) -> None:
        """Take over what another look found."""
        self.right += other.right
        self.changes += other.changes
        self.steps += other.steps
        self.faults += other.faults


class SetupErrors(PropolisError):
    """Everything that forbids the set-up, a line each. Nothing was changed."""

    def __init__(self, faults: list[str]):
        super().__init__("\n".join([*faults, "Nothing was changed."]))
        self.faults = tuple(faults)
