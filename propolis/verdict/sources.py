"""The sources a verdict knows: who copies whom, how good each is, and how its reports are to be read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

SHIPPED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sources.yml")
OWN_WORKERS = frozenset(
    {
        "wazuhalert",
        "consensusscore",
        "firewallblock",
        "firewallunblock",
        "accountdisable",
        "accountenable",
        "isolatehost",
        "releasehost",
    }
)


class HalfLife(NamedTuple):
    """A half-life of its own; `seconds` None means that its words never age."""

    seconds: float | None


class Rule(NamedTuple):
    """How to take a taxonomy that the analyzer's own level does not tell right. All given conditions must hold."""

    level: str
    predicate: str = "*"  # a glob, without regard to case
    value: str | None = None  # a glob on the value
    least: float | None = None  # the value is a number of at least this
    said: str | None = None  # only where the analyzer itself gave this level
    clears: str | None = None


class Source(NamedTuple):
    """One entry of the source file."""

    family: str = ""
    grade: str = "C"
    half_life: HalfLife | None = None  # None: the one of the data type
    info: str = "missing"  # what a report with nothing but information means: missing, or none (looked, found nothing)
    context: bool = False  # describes rather than judges: its silence is not held against coverage
    clears: tuple[str, ...] = ()  # values or predicates by which it clears the observable
    verdict: tuple[str, ...] = ()  # predicates that carry the verdict, best first; none of them there: all do
    rules: tuple[Rule, ...] = ()
    last_seen: tuple[str, ...] = ()  # paths in `full` to when the source itself last saw it, best first


class Layer(NamedTuple):
    """The entries of one document as they were written: only the keys given, by folded name or pattern."""

    exact: Mapping[str, Mapping[str, Any]]
    patterns: Sequence[tuple[str, Mapping[str, Any]]]

    def find(self, name: str) -> tuple[str, Mapping[str, Any]] | None:
        """The entry for a folded name: the exact one, else the first pattern that matches."""
        if name in self.exact:
            return name, self.exact[name]
        return next(((glob, entry) for glob, entry in self.patterns if fnmatchcase(name, glob)), None)


class Sources:
    """The shipped entries with the operator's laid over them, key by key."""

    def __init__(self, *layers: Layer, overridden: bool = False):
        self._layers = layers  # the operator's first
        self._found: dict[str, Source | None] = {}
        self.overridden = overridden

    @property
    def origin(self) -> str:
        """Which file spoke."""
        return "shipped file, overridden by the item sources" if self.overridden else "shipped file"

    def find(self, name: str) -> Source | None:
        """The entry for a definition name without its version; None = unrated."""
        if name not in self._found:
            if len(self._found) > 4096:  # names come from reports: whatever they say, memory stays bounded
                self._found.clear()
            self._found[name] = self._look_up(fold(name))
        return self._found[name]

    def rated(self) -> list[tuple[str, Source]]:
        """Every entry, by the name or pattern it is written under."""
        names = {name for layer in self._layers for name in (*layer.exact, *(glob for glob, _ in layer.patterns))}
        found = ((name, self._look_up(name)) for name in sorted(names))
        return [(name, source) for name, source in found if source is not None]

    def _look_up(self, folded: str) -> Source | None:
        matches = [match for match in (layer.find(folded) for layer in self._layers) if match is not None]
        if not matches:
            return None
        keys: dict[str, Any] = {}
        for _, entry in reversed(matches):
            keys.update(entry)
        keys.setdefault("family", matches[0][0].strip("*_") or folded)
        return Source(**keys)


def fold(name: str) -> str:
    """A definition name as it is compared: Cortex turns each dot into `_`, and names changed case over the years."""
    return name.replace(".", "_").lower()


def without_version(definition: str) -> str:
    """`AbuseIPDB_2_0` -> `AbuseIPDB`: a definition's id is its name, `_`, and the version with `_` for dots."""
    name = definition
    while True:
        stem, mark, tail = name.rpartition("_")
        if not mark or not stem or not tail.isdigit():
            return name
        name = stem


def load_sources(override: str | None = None) -> Sources:
    """The shipped source file, with the operator's YAML over it.

    Raises ConfigurationError that lists every fault of the override with its line.
    """
    if override is None or not override.strip():
        return shipped()
    from propolis.verdict.sourcefile import read_layer

    return Sources(read_layer(override, "configuration item sources"), _shipped_layer(), overridden=True)


@lru_cache(maxsize=1)
def shipped() -> Sources:
    """The sources that ship."""
    return Sources(_shipped_layer())


@lru_cache(maxsize=1)
def _shipped_layer() -> Layer:
    from propolis.verdict.sourcefile import read_layer

    with open(SHIPPED, encoding="utf-8") as handle:
        return read_layer(handle.read(), "propolis/sources.yml")
