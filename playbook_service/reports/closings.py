"""What analysts made of the cases: how each stands closed, and what the sources had said of what it was about.

The log of judgements is read twice: first which line of each case stands, then those alone. So a case costs a few
words of memory, however much its closing taught.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from playbook_service.feedback.label import CLOSED, REOPENED
from playbook_service.feedback.suppression import FALSE, TRUE
from playbook_service.store.contract import Entry
from propolis.verdict.sources import fold

MALICIOUS = "malicious"
OTHERWISE = "otherwise"
"""Closed as something that says neither, or by nobody who is known."""


class Said(NamedTuple):
    """How often one source called malicious what it was asked about, by how an analyst's closing labelled that."""

    source: str
    malicious: int
    """Of those labelled malicious, how many it called so."""
    of_malicious: int
    harmless: int
    """Of those labelled harmless, how many it called malicious all the same."""
    of_harmless: int


class Closings:
    """First `take` every line of the log `feedback`, then `weigh` every line again."""

    def __init__(self) -> None:
        self._standing: dict[str, tuple[int, str]] = {}
        self._sources: dict[str, list[Any]] = {}

    def take(self, entries: Iterable[Entry]) -> None:
        """Which closing of each case stands."""
        for entry in entries:
            event, case = entry.body["event"], entry.body.get("case_id")
            if event == CLOSED:
                self._standing[sys.intern(str(case))] = (entry.number, _word(entry.body))
            elif event == REOPENED:
                self._standing.pop(str(case), None)

    def weigh(self, entries: Iterable[Entry], start: float, end: float) -> None:
        """What the sources had said in the cases that were judged in a period and stand so."""
        for entry in entries:
            body = entry.body
            if body["event"] != CLOSED or not start <= float(body["at"]) < end:
                continue
            number, word = self._standing.get(str(body["case_id"]), (0, OTHERWISE))
            if number == entry.number and word != OTHERWISE and body["judgement"]:
                for label in body["labels"]:
                    self._count(label["words"], bool(label["malicious"]))

    def _count(self, words: dict[str, str], malicious: bool) -> None:
        place = 1 if malicious else 3
        for source, word in words.items():
            row = self._sources.setdefault(fold(source), [source, 0, 0, 0, 0])
            row[place] += word == MALICIOUS
            row[place + 1] += 1

    def word(self, case: str) -> str:
        """`TruePositive`, `FalsePositive`, OTHERWISE, or empty for a case that is open."""
        return self._standing.get(case, (0, ""))[1]

    def sources(self) -> tuple[Said, ...]:
        """Those that spoke, the most often heard first."""
        found = [Said(*row) for row in self._sources.values()]
        return tuple(sorted(found, key=lambda said: (-said.of_malicious - said.of_harmless, said.source)))


def _word(body: Mapping[str, Any]) -> str:
    """What the playbooks made of a closing; where none labels such cases, the resolution, if a person gave it."""
    word = str(body["judgement"] or (body["resolution"] if body["by"] else ""))
    return word if word in (TRUE, FALSE) else OTHERWISE
