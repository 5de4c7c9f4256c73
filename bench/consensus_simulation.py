"""A seeded world of sources that copy each other, to compare ways of combining their words.

Eighteen sources: three families of four, whose members repeat their leader's word 85 times in 100, and six that are
independent. Sensitivity .3 to .8, false positives .005 to .15, 15 in 100 answers missing. The words are malicious or
nothing found. The world favours no method on decay or on `suspicious`, which it does not hold.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from propolis.verdict.ledger import Line, with_families
from propolis.verdict.profile import EVIDENCE
from propolis.verdict.recommendation import ACT, ACT_AT, Basis, tally
from propolis.verdict.reliability import CAP, DISCOUNT, PSEUDO_COUNT
from propolis.verdict.report import MALICIOUS, NONE
from propolis.verdict.score import PRIOR_LOG_ODDS, probability

FAMILIES = 3
MEMBERS = 4
INDEPENDENT = 6
SOURCES = FAMILIES * MEMBERS + INDEPENDENT
COPIES = 0.85
MISSING = 0.15
LABELS = 200  # closed decisions that the learning methods have seen

Words = tuple[bool | None, ...]  # what each source says of one observable; None = missing


class World(NamedTuple):
    """How good each source is, and whom it copies."""

    sensitivity: tuple[float, ...]
    false_positives: tuple[float, ...]
    leader: tuple[int, ...]
    base_rate: float


class Decision(NamedTuple):
    """What a method makes of one observable."""

    score: float
    act: bool


class Sample(NamedTuple):
    """One observable: the truth, and what was said of it."""

    malicious: bool
    words: Words


class Knowledge(NamedTuple):
    """What a method may know: the base rate, labelled samples, and the families as they are declared."""

    base_rate: float
    labelled: Sequence[Sample]
    families: tuple[str, ...]


Method = Callable[[Knowledge], Callable[[Words], Decision]]


def make_world(draw: random.Random, base_rate: float) -> World:
    """A world; the first of each four is the family's leader, the independents lead themselves."""
    leader = [index - index % MEMBERS if index < FAMILIES * MEMBERS else index for index in range(SOURCES)]
    return World(
        tuple(draw.uniform(0.3, 0.8) for _ in range(SOURCES)),
        tuple(draw.uniform(0.005, 0.15) for _ in range(SOURCES)),
        tuple(leader),
        base_rate,
    )


def samples(draw: random.Random, world: World, count: int) -> Iterator[Sample]:
    """So many observables."""
    for _ in range(count):
        malicious = draw.random() < world.base_rate
        rates = world.sensitivity if malicious else world.false_positives
        own = [draw.random() < rate for rate in rates]
        said = [own[lead] if draw.random() < COPIES else own[index] for index, lead in enumerate(world.leader)]
        yield Sample(malicious, tuple(None if draw.random() < MISSING else word for word in said))


def declared(world: World) -> tuple[str, ...]:
    """The families as they are."""
    return tuple(f"family{lead}" for lead in world.leader)


def wrong(world: World) -> tuple[str, ...]:
    """As many families of the same size, with other members: each holds one of each true family and an independent."""
    return tuple(f"wrong{index % MEMBERS}" if index < 16 else f"wrong{index}" for index in range(len(world.leader)))


# --- the methods -----------------------------------------------------------------------------------------------------


def plain_count(_: Knowledge) -> Callable[[Words], Decision]:
    """Three ask, five block, as probabilities."""

    def decide(words: Words) -> Decision:
        count = sum(word is True for word in words)
        return Decision(probability(-4.5 + count * math.log(4.5)), count >= 5)

    return decide


def highest_reliability(known: Knowledge) -> Callable[[Words], Decision]:
    """XSOAR's rule: the word of the most reliable source that answered wins; of two alike the graver."""
    good = _reliabilities(known)

    def decide(words: Words) -> Decision:
        answers = [(good[index], word) for index, word in enumerate(words) if word is not None]
        if not answers:
            return Decision(known.base_rate, False)
        trust, word = max(answers)
        return Decision(trust if word else 1.0 - trust, word)

    return decide


def mean_reliability(known: Knowledge) -> Callable[[Words], Decision]:
    """IntelOwl's rule: the label whose sources are the more reliable on average wins."""
    good = _reliabilities(known)

    def decide(words: Words) -> Decision:
        means = []
        for label in (True, False):
            trusts = [good[index] for index, word in enumerate(words) if word is label]
            means.append(sum(trusts) / len(trusts) if trusts else 0.0)
        total = sum(means)
        return Decision(means[0] / total if total else known.base_rate, means[0] > means[1])

    return decide


def _reliabilities(known: Knowledge) -> list[float]:
    """How often each source was right among the labelled, with one right and one wrong before the first."""
    found = []
    for index in range(SOURCES):
        words = [(sample.words[index], sample.malicious) for sample in known.labelled]
        right = sum(word == truth for word, truth in words if word is not None)
        found.append((1 + right) / (2 + sum(word is not None for word, _ in words)))
    return found


class Evidence(NamedTuple):
    """The verdict's own family discount, tally and clauses, with parts switched off. Without families there are no
    clauses either: that is naive Bayes."""

    families: str = "true"  # true, wrong, or none: each source its own
    learned: bool = False
    discount: float = DISCOUNT  # z: standard errors taken off a word for guilt
    prior: float | None = None  # log-odds; None: the base rate is known

    def __call__(self, known: Knowledge) -> Callable[[Words], Decision]:
        """The method for one world."""
        weights = _weights(known.labelled if self.learned else (), self.discount)
        names = known.families if self.families != "none" else tuple(str(index) for index in range(SOURCES))
        prior = math.log(known.base_rate / (1 - known.base_rate)) if self.prior is None else self.prior
        basis = Basis(EVIDENCE, prior, None)

        def decide(words: Words) -> Decision:
            lines = [_line(index, word, weights[index], names[index]) for index, word in enumerate(words)]
            found = tally(with_families(lines, EVIDENCE.rho), basis)
            act = found.score >= ACT_AT if self.families == "none" else found.recommendation == ACT
            return Decision(found.score, act)

        return decide


def _line(index: int, word: bool | None, weights: tuple[float, float], family: str) -> Line:
    """A ledger line for a word that is malicious (True), nothing found (False) or missing (None)."""
    level = None if word is None else MALICIOUS if word else NONE
    weight = 0.0 if word is None else weights[0] if word else weights[1]
    capacity = max(map(abs, weights))
    return Line(
        str(index), "", family, "C", 0.0, level, 0.0, weight, weight, weight, weight, None, None, capacity
    )  # fmt: skip


def _weights(labelled: Sequence[Sample], discount: float) -> list[tuple[float, float]]:
    """What malicious and nothing-found weigh for each source: Beta(4.5, 5.5) and Beta(1, 9), moved by the labels."""
    found = []
    for index in range(SOURCES):
        hits = {True: 4.5, False: 1.0}
        totals = {True: PSEUDO_COUNT, False: PSEUDO_COUNT}
        for sample in labelled:
            if sample.words[index] is not None:
                hits[sample.malicious] += bool(sample.words[index])
                totals[sample.malicious] += 1
        shares = {truth: hits[truth] / totals[truth] for truth in hits}
        error = math.sqrt(sum(1 / hits[truth] - 1 / totals[truth] for truth in hits))
        positive = math.log(shares[True] / shares[False]) - discount * error
        negative = math.log((1 - shares[True]) / (1 - shares[False]))
        found.append((min(CAP, max(0.0, positive)), max(-CAP, min(0.0, negative))))
    return found


METHODS: dict[str, Method] = {
    "plain count (3 ask, 5 block)": plain_count,
    "XSOAR: most reliable source wins": highest_reliability,
    "IntelOwl: highest mean reliability wins": mean_reliability,
    "naive Bayes, default weights": Evidence("none", discount=0.0),
    "naive Bayes, 200 labels": Evidence("none", learned=True, discount=0.0),
    "families, default weights, z 0 (day 0)": Evidence(discount=0.0),
    "families, default weights, z .4 (day 0)": Evidence(),
    "families, 200 labels": Evidence(learned=True),
    "families, 200 labels, shipped prior": Evidence(learned=True, prior=PRIOR_LOG_ODDS),
    "families, 200 labels, prior -4.5": Evidence(learned=True, prior=-4.5),
    "wrong families, 200 labels": Evidence("wrong", learned=True),
}


# --- what is measured ------------------------------------------------------------------------------------------------


class Measure(NamedTuple):
    """How well a method did."""

    brier: float
    ece: float  # expected calibration error, ten bins of equal width
    precision: float  # of what was blocked, how much was malicious
    wilson: float  # its lower bound at 95 %
    recall: float
    false_blocks: float  # per 1,000 observables


def run(base_rate: float, worlds: int, count: int, seed: int = 20_260_101) -> dict[str, Measure]:
    """All methods on the same observables of the same worlds."""
    outcomes: dict[str, list[tuple[bool, Decision]]] = {name: [] for name in METHODS}
    for number in range(worlds):
        draw = random.Random(f"{seed}-{base_rate}-{number}")
        world = make_world(draw, base_rate)
        labelled = list(samples(draw, world, LABELS))
        known = Knowledge(base_rate, labelled, declared(world))
        confused = known._replace(families=wrong(world))
        deciders = {
            name: method(confused if isinstance(method, Evidence) and method.families == "wrong" else known)
            for name, method in METHODS.items()
        }
        for sample in samples(draw, world, count):
            for name, decide in deciders.items():
                outcomes[name].append((sample.malicious, decide(sample.words)))
    return {name: measure(found) for name, found in outcomes.items()}


def measure(outcomes: Sequence[tuple[bool, Decision]]) -> Measure:
    """The numbers of one method."""
    total = len(outcomes)
    blocked = [truth for truth, decision in outcomes if decision.act]
    right = sum(blocked)
    malicious = sum(truth for truth, _ in outcomes)
    return Measure(
        sum((decision.score - truth) ** 2 for truth, decision in outcomes) / total,
        expected_calibration_error([(truth, decision.score) for truth, decision in outcomes]),
        right / len(blocked) if blocked else 1.0,
        wilson_bound(right, len(blocked)),
        right / malicious if malicious else 0.0,
        1000.0 * (len(blocked) - right) / total,
    )


def expected_calibration_error(scored: Sequence[tuple[bool, float]], bins: int = 10) -> float:
    """The mean distance between score and frequency, over bins of equal width."""
    held: list[list[tuple[bool, float]]] = [[] for _ in range(bins)]
    for truth, score in scored:
        held[min(bins - 1, int(score * bins))].append((truth, score))
    gaps = (abs(sum(truth for truth, _ in one) - sum(score for _, score in one)) for one in held if one)
    return sum(gaps) / len(scored)


def wilson_bound(right: int, count: int, z: float = 1.96) -> float:
    """The lower end of the 95 % interval of a share; nought for nothing."""
    if not count:
        return 0.0
    share, spread = right / count, z * z / count
    centre = share + spread / 2
    return (centre - z * math.sqrt(share * (1 - share) / count + spread / count / 4)) / (1 + spread)
