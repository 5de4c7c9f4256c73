"""Do sources copy each other without our knowing? A weekly look at which of them are positive together.

For each pair the correlation (phi) of saying malicious or suspicious, over the observables that both answered. Sources
of one family are expected to agree; a pair across families that does is put before a person, who may move one of them
in the item `sources`. Nothing is moved by itself.

Record `drift`, key `latest`: body `at`, `observables` (how many were looked at), `suggestions`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import NamedTuple

from playbook_service.engine.tools import Tools
from playbook_service.feedback.matter import VERDICT, said_of
from playbook_service.feedback.register import paged
from playbook_service.feedback.suppression import Key
from playbook_service.store.contract import Filter, Record, Store, Transaction
from propolis.verdict.canonical import canonical
from propolis.verdict.report import POSITIVE
from propolis.verdict.sources import Sources, fold, shipped

KIND, LATEST = "drift", "latest"
SUGGEST_FROM = 0.6
JOINT_HITS = 25
"""Observables that both call malicious or suspicious; with fewer a correlation is chance."""
WEEK = 7 * 86_400.0
_MOST_OBSERVABLES = 50_000
_PAGE = 1000

Words = Mapping[str, str]
"""Source -> what it said of one observable."""


class Pair(NamedTuple):
    """Two sources that answered on the same observables. `both` were positive on so many of `seen`."""

    left: str
    right: str
    families: tuple[str, str]
    seen: int
    both: int
    phi: float

    @property
    def inside(self) -> bool:
        """Are they one family?"""
        return self.families[0] == self.families[1]

    @property
    def suggestion(self) -> str:
        """What a person may want to do about it, or the empty text."""
        if self.inside or self.phi < SUGGEST_FROM or self.both < JOINT_HITS:
            return ""
        return (
            f"{self.left} and {self.right} agree as copies do: consider one family for both, for example "
            f"`{self.right}: {{family: {self.families[0]}}}` in the item sources"
        )


def pairs(observables: Iterable[Words], sources: Sources) -> list[Pair]:
    """Every pair of rated sources with at least 25 joint hits, the most alike first."""
    counts: dict[tuple[str, str], list[int]] = {}
    names: dict[str, str] = {}
    for words in observables:
        said = {fold(name): level in POSITIVE for name, level in words.items()}
        names.update((fold(name), name) for name in words)
        for left, right in combinations(sorted(said), 2):
            cells = counts.setdefault((left, right), [0, 0, 0, 0])
            cells[2 * said[left] + said[right]] += 1
    found = []
    for (left, right), cells in counts.items():
        first, second = sources.find(left), sources.find(right)
        if first is not None and second is not None and cells[3] >= JOINT_HITS:
            families = (first.family, second.family)
            found.append(Pair(names[left], names[right], families, sum(cells), cells[3], phi(*cells)))
    return sorted(found, key=lambda pair: (-pair.phi, pair))


def phi(neither: int, right: int, left: int, both: int) -> float:
    """The correlation of two yes-or-no answers, -1 to 1; 0 where one of them always answers the same."""
    spread = (both + left) * (neither + right) * (both + right) * (neither + left)
    return (both * neither - left * right) / math.sqrt(spread) if spread else 0.0


def spoken(work: Transaction) -> list[Words]:
    """What the sources said of each observable in the newest verdict on it, as far as verdicts are kept."""
    newest: dict[Key, tuple[float, Words]] = {}
    for record in paged(work, VERDICT):
        _enter(newest, record)
    return [words for _, words in newest.values()]


def _enter(newest: dict[Key, tuple[float, Words]], record: Record) -> None:
    told, at = record.body["observable"], float(record.body["at"])
    key = (told["dataType"], canonical(told["dataType"], told["data"]))
    if (key in newest or len(newest) < _MOST_OBSERVABLES) and at >= newest.get(key, (0.0, {}))[0]:
        newest[key] = (at, said_of(record.body["full"]).words)


def looked_at(store: Store) -> list[Words]:
    """As `spoken`, read in short looks that hold nobody up."""
    newest: dict[Key, tuple[float, Words]] = {}
    after: str | None = None
    while True:
        with store.reading() as work:
            page = work.find(VERDICT, Filter(after_key=after, limit=_PAGE))
        for record in page:
            _enter(newest, record)
        if len(page) < _PAGE:
            return [words for _, words in newest.values()]
        after = page[-1].key


class Watch:
    """The weekly look."""

    def __init__(self, tools: Tools, sources: Sources | None = None):
        self._tools = tools
        self._sources = sources or shipped()

    def look(self) -> None:
        """Look, and note what was not suggested the last time. Raises Conflict where another node looks too."""
        observables = looked_at(self._tools.store)
        with self._tools.store.transaction() as work:
            earlier = work.get(KIND, LATEST)
        known = set(earlier.body["suggestions"]) if earlier else set()
        suggestions = [pair for pair in pairs(observables, self._sources) if pair.suggestion]
        body = {
            "at": self._tools.clock.now(),
            "observables": len(observables),
            "suggestions": [pair.suggestion for pair in suggestions],
        }
        with self._tools.store.transaction() as work:
            work.save(KIND, LATEST, body, version=earlier.version if earlier else 0, state="seen")
            for pair in suggestions:
                if pair.suggestion not in known:
                    self._tell(work, pair)

    def _tell(self, work: Transaction, pair: Pair) -> None:
        self._tools.journal.write(
            work, "drift suspected", target=f"{pair.left} {pair.right}", result=round(pair.phi, 3), why=pair.suggestion
        )
