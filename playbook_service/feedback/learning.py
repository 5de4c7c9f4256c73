"""What labels teach the verdict: how reliable each source is, how much of what is looked at is malicious, and what the
score is worth as a probability. Pure: folded from the judgements, the same whenever it is folded again.

The numbers: a label counts .995 for each day that passes; of each source at most 200 labels a side are held against its
grade, which stays what it was and comes back when the source is reset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from playbook_service.audit.journal import Journal
from playbook_service.feedback.label import LOG, RESET, Judgements, Taught, lines
from playbook_service.store.contract import Store, Transaction
from propolis.clock import Clock
from propolis.errors import InputError
from propolis.verdict import Options
from propolis.verdict.calibration import Labelled, calibrate
from propolis.verdict.reliability import Counts
from propolis.verdict.score import Calibration, prior_of
from propolis.verdict.sources import fold

DAILY = 0.995
"""What a label keeps from one day to the next: half of it is left after 138 days."""
MOST_MASS = 200.0
"""Of each side (malicious, harmless) of a source: more labels than this never outweigh what is new."""
MOST_DECISIONS = 2_000
"""The newest labelled verdicts that a calibration is fitted on: two parameters need no more."""
_DAY = 86_400.0
_GROWS_OLD = 3600.0


class Learned(NamedTuple):
    """What was learned of one source; `labels` is how many labels went into it."""

    source: str
    counts: Counts
    labels: int

    @property
    def mass(self) -> tuple[float, float]:
        """How much of it stands on the side of the malicious, and on that of the harmless."""
        return sum(self.counts.malicious.values()), sum(self.counts.benign.values())


class Lesson(NamedTuple):
    """All of it. `true` and `false` are the cases closed so; `decisions` the labels a calibration can be fitted on."""

    sources: Mapping[str, Learned]
    """By folded name."""
    true: int
    false: int
    decisions: int
    prior: float | None
    calibration: Calibration | None

    def options(self, base: Options) -> Options:
        """What the verdict is to be made with."""
        return base._replace(learned=ByName(self.sources), prior=self.prior, calibration=self.calibration)


class ByName(Mapping[str, Counts]):
    """Counts by a source's name, however it is written: names changed case over the years."""

    def __init__(self, sources: Mapping[str, Learned]):
        self._sources = sources

    def __getitem__(self, name: str) -> Counts:
        return self._sources[fold(name)].counts

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class _Side:
    """What one source said of the malicious, or of the harmless. Amounts are what labels still count at the end, so
    that entering one costs the same however many there are."""

    def __init__(self) -> None:
        self.amounts: dict[str, float] = {}
        self.mass = 0.0

    def add(self, word: str, weight: float, kept: float) -> None:
        """`kept` is what a label of that moment still counts at the end; so is what the bound was at that moment."""
        self.amounts[word] = self.amounts.get(word, 0.0) + weight * kept
        self.mass += weight * kept
        most = MOST_MASS * kept
        if self.mass > most:
            self.amounts = {level: amount * most / self.mass for level, amount in self.amounts.items()}
            self.mass = most


class _Ledger:
    """One source while it is folded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.malicious, self.benign = _Side(), _Side()
        self.labels = 0

    def learned(self) -> Learned:
        return Learned(self.name, Counts(self.malicious.amounts, self.benign.amounts), self.labels)


def learn(judgements: Judgements, now: float) -> Lesson:
    """Everything that the judgements teach at this moment."""
    labels = judgements.labels()
    true, false = judgements.judged()
    decisions = [
        Labelled(label.log_odds, label.malicious, label.weight) for label, _, _ in labels if label.log_odds is not None
    ]
    prior = prior_of(true, false) if true + false else None
    return Lesson(
        _sources(judgements, labels, now), true, false, len(decisions), prior, calibrate(decisions[-MOST_DECISIONS:])
    )


def _sources(judgements: Judgements, labels: list[Taught], now: float) -> dict[str, Learned]:
    ledgers: dict[str, _Ledger] = {}
    keys: dict[str, str] = {}
    for label, closing, number in labels:
        kept = _kept(closing.at, now)
        for source, word in label.words.items():
            key = keys.get(source) or keys.setdefault(source, fold(source))
            if judgements.resets.get(key, 0) < number:
                ledger = ledgers.get(key) or ledgers.setdefault(key, _Ledger(source))
                (ledger.malicious if label.malicious else ledger.benign).add(word, label.weight, kept)
                ledger.labels += 1
    return {key: ledger.learned() for key, ledger in ledgers.items()}


def _kept(at: float, now: float) -> float:
    """What a label of that moment still counts; the future counts as now."""
    return float(DAILY ** (max(0.0, now - at) / _DAY))


class Reason(NamedTuple):
    """One label behind what was learned of a source. `left` is what of its weight the days have left."""

    case: int
    closed_as: str
    by: str
    at: float
    data_type: str
    data: str
    malicious: bool
    word: str
    left: float


def reasons(judgements: Judgements, source: str, now: float) -> list[Reason]:
    """Why a source is weighed as it is: every label that counts, the newest first."""
    key = fold(source)
    found = []
    for label, closing, number in judgements.labels():
        word = next((word for name, word in label.words.items() if fold(name) == key), None)
        if word is not None and judgements.resets.get(key, 0) < number:
            left = label.weight * _kept(closing.at, now)
            facts = (closing.number, closing.resolution, closing.by, closing.at, label.data_type, label.data)
            found.append(Reason(*facts, label.malicious, word, left))
    return found[::-1]


def reset(work: Transaction, journal: Journal, source: str, by: str, now: float) -> None:
    """Forget what was learned of a source until now; its grade speaks again. Raises InputError where nothing was."""
    judgements = Judgements(lines(work))
    learned = learn(judgements, now).sources.get(fold(source))
    if learned is None:
        raise InputError(
            f"nothing was learned of a source {source!r}; `propolis sources learned` lists those there are."
        )
    work.append(LOG, {"event": RESET, "source": learned.source, "by": by, "at": now})
    journal.write(
        work, "source reset", target=learned.source, operator=by, result=f"{learned.labels} labels no longer count"
    )


class Learner:
    """The lesson as the store has it by now: reads only what was added since it was asked last."""

    def __init__(self, store: Store, clock: Clock, base: Options = Options()):  # noqa: B008 - it is immutable
        self._store = store
        self._clock = clock
        self._base = base
        self._judgements = Judgements()
        self._made: tuple[int, float, Lesson] | None = None

    def options(self) -> Options:
        """What verdicts are to be made with at this moment."""
        return self.lesson().options(self._base)

    def lesson(self) -> Lesson:
        """What was learned; at most an hour old where nothing was added."""
        now = self._clock.now()
        with self._store.transaction() as work:
            for entry in lines(work, self._judgements.seen):
                self._judgements.take(entry)
        made = self._made
        if made is None or made[0] != self._judgements.seen or not 0 <= now - made[1] < _GROWS_OLD:
            made = self._made = (self._judgements.seen, now, learn(self._judgements, now))
        return made[2]


def plain(lesson: Lesson) -> dict[str, Any]:
    """JSON values."""
    fitted = lesson.calibration
    return {
        "closed": {"TruePositive": lesson.true, "FalsePositive": lesson.false},
        "prior": lesson.prior,
        "decisions": lesson.decisions,
        "calibration": fitted._asdict() if fitted else None,
        "sources": [_plain_source(entry) for _, entry in sorted(lesson.sources.items())],
    }


def _plain_source(entry: Learned) -> dict[str, Any]:
    counts = {"malicious": dict(entry.counts.malicious), "benign": dict(entry.counts.benign)}
    return {"source": entry.source, "labels": entry.labels, **counts}
