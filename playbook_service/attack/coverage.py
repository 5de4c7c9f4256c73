"""What the playbooks make of each technique that alerts name: counted alert by alert, with what the engine decided.

Five answers, the best of a technique's alerts counts, and how many alerts had which is kept beside it:

- `nothing`: no playbook did anything (or the alert was suppressed as a false positive);
- `enriched`: analyzers were asked, or it was filed (case, task, tag), and no playbook had a containment in mind;
- `observed`: a playbook with a containment looked at it, and a mode, its conditions or a guardrail kept it from more;
- `asks`: an analyst is asked whether to contain;
- `acts`: it is contained without asking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from playbook_service.attack.matrix import REVOKED, UNKNOWN, is_technique, standing_of, tactics_of
from playbook_service.judgement.fields import observable_fields
from playbook_service.judgement.guard import ACT, ASK
from playbook_service.playbook import Playbooks, analyzers_for
from playbook_service.replay.pipeline import Outcome
from propolis.alert import Alert

NOTHING, ENRICHED, OBSERVED, ASKS, ACTS = "nothing", "enriched", "observed", "asks", "acts"
ANSWERS = (NOTHING, ENRICHED, OBSERVED, ASKS, ACTS)
"""From no answer to the strongest."""
_MOST_TECHNIQUES, _MOST_RULES, _MOST_STRANGE = 2_000, 200, 100


class Answer(NamedTuple):
    """What became of one alert. `would` is the answer if every playbook could do what it wants."""

    word: str
    would: str
    playbooks: tuple[str, ...]
    """Those that contributed to it."""


class Rule(NamedTuple):
    """A rule that named a technique: its description in the first alert seen, and how many alerts it gave."""

    description: str
    alerts: int


@dataclass
class Technique:
    """One technique, as the alerts named it."""

    id: str
    alerts: int = 0
    suppressed: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    would: str = NOTHING
    rules: dict[str, Rule] = field(default_factory=dict)
    playbooks: Counter[str] = field(default_factory=Counter)
    tactics: set[str] = field(default_factory=set)

    @property
    def answer(self) -> str:
        """The strongest of its alerts' answers."""
        return max(self.answers, key=ANSWERS.index, default=NOTHING)

    @property
    def standing(self) -> str:
        """`current`, `revoked` or `unknown`."""
        return standing_of(self.id)

    def add(self, alert: Alert, answer: Answer, *, suppressed: bool) -> None:
        """Count one alert."""
        self.alerts += 1
        self.suppressed += suppressed
        self.answers[answer.word] += 1
        self.would = strongest(self.would, answer.would)
        self.playbooks.update(answer.playbooks)
        self.tactics.update(tactics_of(self.id, alert.mitre_tactics))
        known = self.rules.get(alert.rule_id)
        if known is not None or len(self.rules) < _MOST_RULES:
            first = known or Rule(alert.description, 0)
            self.rules[alert.rule_id] = first._replace(alerts=first.alerts + 1)


def strongest(*words: str) -> str:
    """Of several answers, the one that goes furthest."""
    return max(words, key=ANSWERS.index)


def answer_of(outcome: Outcome, playbooks: Playbooks) -> Answer:
    """What the playbooks make of an alert, under the modes as they are."""
    containing = [judged for judged in outcome.judged if judged.decision.responder]
    looked = bool(outcome.seen or outcome.judged)
    books = [origin.name for judged in outcome.judged for origin in judged.decision.origins]
    for seen in outcome.seen:
        context = {"alert": outcome.alert.fields, "observable": observable_fields(seen.observable)}
        books += [origin.name for origin in analyzers_for(playbooks, context).playbooks]
    return Answer(
        word_of((judged.today for judged in containing), looked),
        word_of((judged.outcome for judged in containing), looked),
        tuple(dict.fromkeys(books)),
    )


def word_of(decided: Iterable[str], looked: bool) -> str:
    """The answer that decisions on containments come to."""
    words = set(decided)
    if words & {ACT, ASK}:
        return ACTS if ACT in words else ASKS
    if words:
        return OBSERVED
    return ENRICHED if looked else NOTHING


class Coverage:
    """Counts as alerts come. What is kept is bounded; the totals are complete."""

    def __init__(self) -> None:
        self.alerts = 0
        self.without = 0
        """Alerts that name no technique."""
        self.techniques: dict[str, Technique] = {}
        self.strange: Counter[str] = Counter()
        """What stands in rule.mitre.id and is no technique's id."""
        self.left_out = 0
        """Mentions of techniques beyond those that are kept."""

    def add(self, alert: Alert, answer: Answer, *, suppressed: bool = False) -> None:
        """One alert and its answer."""
        self.alerts += 1
        named = dict.fromkeys(alert.mitre_ids)
        found = [text for text in named if is_technique(text)]
        self.without += not found
        for text in named:
            if text not in found and (text in self.strange or len(self.strange) < _MOST_STRANGE):
                self.strange[text] += 1
        for one in found:
            if one not in self.techniques and len(self.techniques) >= _MOST_TECHNIQUES:
                self.left_out += 1
                continue
            self.techniques.setdefault(one, Technique(one)).add(alert, answer, suppressed=suppressed)

    def ranked(self) -> list[Technique]:
        """All techniques, the most often seen first."""
        return sorted(self.techniques.values(), key=lambda one: (-one.alerts, one.id))

    def gaps(self) -> list[Technique]:
        """Those that nothing answers, the most often seen first."""
        return [one for one in self.ranked() if one.answer == NOTHING]

    def count(self, answer: str) -> int:
        """How many techniques have that answer."""
        return sum(one.answer == answer for one in self.techniques.values())

    def revoked(self) -> list[Technique]:
        """Those that the release has no more."""
        return [one for one in self.ranked() if one.standing == REVOKED]

    def unknown(self) -> list[Technique]:
        """Those that no table here holds."""
        return [one for one in self.ranked() if one.standing == UNKNOWN]
