"""Switches for everything that goes wrong around a service: servers, webhooks and jobs.

All are off at first. They may be set at any time, from any thread; `Faults.clear()` puts everything right again and
lets go of whatever hangs.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from propolis.errors import InputError


@dataclass
class ServerFaults:
    """What a server does to requests whose `METHOD /path` matches `only` (a regular expression; empty: all).

    `fail` / `hang` / `lose` / `garbage` count down with each request that they hit; -1 hits every one. `fail` answers
    `status` without acting, `hang` does not answer until released, `lose` acts and then cuts the connection without an
    answer (the caller cannot know), `garbage` acts and answers what is not JSON, `slow` waits first (seconds).
    """

    fail: int = 0
    status: int = 500
    hang: int = 0
    lose: int = 0
    garbage: int = 0
    slow: float = 0.0
    only: str = ""

    def hits(self, method: str, path: str) -> bool:
        """Whether this request is one that the faults are for."""
        return not self.only or re.search(self.only, f"{method} {path}") is not None

    def take(self, name: str) -> bool:
        """Use one of the named fault up, if there is one left."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0


@dataclass
class HookFaults:
    """What happens to webhook messages on their way.

    `drop` and `duplicate` are shares of the messages (0 to 1); a duplicated one arrives `copies` times (TheHive's own
    client sends up to six). `drop_next` loses so many of the coming messages. `delay` holds every message back so many
    seconds, `reorder` each by a random time up to that many. Chance comes from `seed`, so a run can be repeated.
    """

    drop: float = 0.0
    drop_next: int = 0
    duplicate: float = 0.0
    copies: int = 6
    delay: float = 0.0
    reorder: float = 0.0
    seed: int = 1
    _random: random.Random | None = field(default=None, repr=False)

    def plan(self) -> list[float]:
        """The delays in seconds after which the copies of the next message are sent; empty when it is lost."""
        chance = self._chance()
        if self.drop_next > 0:
            self.drop_next -= 1
            return []
        if chance.random() < self.drop:
            return []
        copies = self.copies if chance.random() < self.duplicate else 1
        return [self.delay + chance.uniform(0.0, self.reorder) for _ in range(copies)]

    def _chance(self) -> random.Random:
        if self._random is None:
            self._random = random.Random(self.seed)  # noqa: S311 - a repeatable fault, not a secret
        return self._random


@dataclass
class JobFaults:
    """What happens to Cortex jobs, by the worker's definition id or name (`"*"`: every worker).

    `lose`: the job stays InProgress for ever, as after a killed Cortex. `hang`: likewise, until released, then it runs.
    `fail`: it ends as Failure with that message. `nonsense`: its output is not a report.
    """

    lose: set[str] = field(default_factory=set)
    hang: set[str] = field(default_factory=set)
    nonsense: set[str] = field(default_factory=set)
    fail: dict[str, str] = field(default_factory=dict)

    def of(self, *names: str) -> str | None:
        """The fault that hits a worker of these names: `lose`, `hang`, `nonsense`, `fail`, or None."""
        wanted = {*names, "*"}
        for fault in ("lose", "hang", "nonsense"):
            if wanted & getattr(self, fault):
                return fault
        return "fail" if wanted & self.fail.keys() else None

    def message(self, *names: str) -> str:
        """What a job made to fail says."""
        return next(self.fail[name] for name in (*names, "*") if name in self.fail)


class Faults:
    """All switches of one lab."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self.thehive = ServerFaults()
        self.cortex = ServerFaults()
        self.hooks = HookFaults()
        self.jobs = JobFaults()

    def clear(self) -> None:
        """Put everything right and release what hangs."""
        with self._lock:
            self._reset()
            self.released.set()
            self.released = threading.Event()

    def apply(self, document: Mapping[str, Any]) -> None:
        """Set switches from `{"hooks": {"drop": 0.2}, ...}`. Raises InputError for a name that does not exist."""
        with self._lock:
            for group, switches in document.items():
                target = self._group(group)
                for name, value in dict(switches).items():
                    _set(target, group, name, value)

    def _group(self, name: str) -> object:
        groups = {"thehive": self.thehive, "cortex": self.cortex, "hooks": self.hooks, "jobs": self.jobs}
        if name not in groups:
            raise InputError(f"There are no {name} faults; the groups are {', '.join(groups)}.", path=name)
        return groups[name]


def _set(target: object, group: str, name: str, value: Any) -> None:
    if name.startswith("_") or not hasattr(target, name):
        raise InputError(f"The {group} faults have no switch {name}.", path=f"{group}.{name}")
    present = getattr(target, name)
    if isinstance(present, set):
        value = set(value)
    setattr(target, name, value)
