"""Labels, and the log that holds every judgement: the closings of cases, what was cleared, which source was reset.

Log `feedback`, one line an event: `closed` (all that one closing teaches, replacing what an earlier one of the case
taught), `reopened`, `cleared` (a suppression), `reset` (a source).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from playbook_service.feedback.suppression import FALSE, TRUE
from playbook_service.store.contract import Entry, Transaction
from propolis.verdict.sources import fold

LOG = "feedback"
CLOSED, REOPENED, CLEARED, RESET = "closed", "reopened", "cleared", "reset"
DENIED_WEIGHT = 0.5
"""What a denied approval counts as a word for harmless: a person said no, and not necessarily why."""
_BATCH = 500


class Label(NamedTuple):
    """An analyst's judgement on one observable, with what the sources had said of it by then."""

    data_type: str
    data: str
    malicious: bool
    weight: float
    why: tuple[str, ...]
    """What made it a matter of the case: `contained`, `asked`, `would have been contained`, `ioc`, ..."""
    words: Mapping[str, str] = {}
    """Source -> malicious, suspicious, safe or none; what a source did not answer is not here."""
    log_odds: float | None = None
    """The verdict's, before calibration; None where there was no verdict."""


class Count(NamedTuple):
    """An observable of an alert of the case, for which the closing counts under its source and rule."""

    source: str
    rule_id: str
    data_type: str
    data: str


class Held(NamedTuple):
    """A containment that a mode held back, by which observe mode is scored."""

    decision: str
    """Key of the decision's record."""
    playbook: str
    version: str
    """The playbook's digest."""
    outcome: str
    """What would have been done: `act` or `ask`."""
    action: str
    target: str


class Closing(NamedTuple):
    """How a case was closed, by whom, and what that teaches. `at` in seconds; `judgement` is TruePositive,
    FalsePositive or empty; it is empty wherever no analyst is known to have closed it."""

    case_id: str
    number: int
    resolution: str
    judgement: str
    at: float
    by: str
    labels: tuple[Label, ...] = ()
    counts: tuple[Count, ...] = ()
    held: tuple[Held, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON values, as the log and the records hold them."""
        lists = {name: [entry._asdict() for entry in getattr(self, name)] for name in ("labels", "counts", "held")}
        for label in lists["labels"]:
            label.update(why=list(label["why"]), words=dict(label["words"]))
        return {**self._asdict(), **lists}


def closing_of(body: Mapping[str, Any]) -> Closing:
    """The closing that was written as `to_dict` gives it."""
    labels = (Label(**{**entry, "why": tuple(entry["why"])}) for entry in body["labels"])
    counts = (Count(**entry) for entry in body["counts"])
    held = (Held(**entry) for entry in body["held"])
    plain = {name: body[name] for name in ("case_id", "number", "resolution", "judgement", "at", "by")}
    return Closing(**plain, labels=tuple(labels), counts=tuple(counts), held=tuple(held))


class Taught(NamedTuple):
    """A label with its place: of which closing it is, and where that stands in the log."""

    label: Label
    closing: Closing
    number: int


class Judgements:
    """What the log says by now. Feed it the log's lines in their order."""

    def __init__(self, entries: Iterable[Entry] = ()):
        self.closings: dict[str, tuple[int, Closing]] = {}
        """Case id -> number of the line, and the closing that stands."""
        self.resets: dict[str, int] = {}
        """Folded source -> number of the line that reset it: what came before teaches nothing of it any more."""
        self.seen = 0
        """Number of the last line."""
        for entry in entries:
            self.take(entry)

    def take(self, entry: Entry) -> None:
        """One more line; of kinds that are not known here nothing is kept."""
        self.seen = entry.number
        event = entry.body["event"]
        if event == CLOSED:
            self.closings[entry.body["case_id"]] = (entry.number, closing_of(entry.body))
        elif event == REOPENED:
            self.closings.pop(entry.body["case_id"], None)
        elif event == RESET:
            self.resets[fold(entry.body["source"])] = entry.number

    def labels(self) -> list[Taught]:
        """Every label that stands, oldest closing first."""
        found = [
            Taught(label, closing, number) for number, closing in self.closings.values() for label in closing.labels
        ]
        return sorted(found, key=lambda taught: (taught.closing.at, taught.number))

    def judged(self) -> tuple[int, int]:
        """How many cases with labels stand closed as true and as false positive."""
        words = [closing.judgement for _, closing in self.closings.values() if closing.labels]
        return words.count(TRUE), words.count(FALSE)


def lines(work: Transaction, after: int = 0) -> Iterator[Entry]:
    """The log's lines above a number."""
    while True:
        batch = work.read(LOG, after=after, limit=_BATCH)
        yield from batch
        if len(batch) < _BATCH:
            return
        after = batch[-1].number
