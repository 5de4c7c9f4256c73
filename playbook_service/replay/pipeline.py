"""One alert through everything: observables, suppression, enrichment, verdicts, decisions, guardrails, case.

Nothing here reads a clock, a file or the network. `Rules.decide` is what the service shares with replay; what a
`Pipeline` remembers between alerts is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from playbook_service.judgement.fields import observable_fields
from playbook_service.judgement.guard import Guard, Judged, rank
from playbook_service.judgement.own import Own
from playbook_service.playbook import Enrichment, Playbooks, decide
from playbook_service.replay.casebook import Case, CaseBook, enter_decisions
from playbook_service.replay.difference import Change, changes
from playbook_service.replay.enrichment import Seen, Selection, Verdicts
from playbook_service.replay.evidence import Evidence
from playbook_service.replay.history import History, suppressed
from playbook_service.replay.recall import Key, Recall
from propolis.alert import Alert
from propolis.guardrails import Policy
from propolis.observables import extract
from propolis.observables.model import Observable
from propolis.verdict import Options


class Setup(NamedTuple):
    """What a run is made with. `against` is the other set of playbooks, to compare with."""

    playbooks: Playbooks
    policy: Policy
    evidence: Evidence
    history: History
    options: Options = Options()
    ceiling: str = "enforce"
    against: Playbooks | None = None


@dataclass
class Outcome:
    """What became of one alert."""

    alert: Alert
    moment: float
    observables: list[Observable]
    suppressed: str = ""
    seen: list[Seen] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    case: Case | None = None
    opened: bool = False
    changes: list[Change] = field(default_factory=list)


class Spoken(Protocol):
    """A verdict on an observable, as playbook conditions see it."""

    @property
    def observable(self) -> Observable:
        """What it is about."""

    @property
    def fields(self) -> dict[str, Any]:
        """What conditions find under `verdict`."""


S = TypeVar("S", bound=Spoken)
S_co = TypeVar("S_co", bound=Spoken, covariant=True)


class Oracle(Protocol[S_co]):
    """Where verdicts come from: made of recorded reports (`Verdicts`), or as they were recorded themselves."""

    def on(self, observable: Observable, asked: Enrichment, moment: float) -> S_co | None:
        """The verdict from what these analyzers said after that moment; None where none is known."""


class Rules(Generic[S]):
    """A set of playbooks, ready to be asked."""

    def __init__(self, playbooks: Playbooks, verdicts: Oracle[S], guard: Guard, ceiling: str):
        self.playbooks = playbooks
        self._selection = Selection(playbooks)
        self._verdicts = verdicts
        self._guard = guard
        self._ceiling = ceiling
        self._on_alert = Recall(playbooks, "alert")
        self._on_verdict = Recall(playbooks, "verdict")

    def decide(self, alert: Alert, observables: Iterable[Observable], moment: float) -> tuple[list[S], list[Judged]]:
        """The verdicts on the observables that some playbook has asked about, and every decision on the alert."""
        fields, address = alert.fields, alert.agent_ip
        context = {"alert": fields}
        key = self._on_alert.alert_key(fields)
        judged = self._on_alert.get(key, (address,), context, lambda: self._judge("alert", context, alert))
        seen = [found for entry in observables if (found := self._look(entry, context, moment)) is not None]
        if seen:
            key = self._on_verdict.alert_key(fields)
            for found in seen:
                judged += self._on(found, key, address, alert)
        return seen, _once(judged)

    def on_case(self, case: Case, alert: Alert) -> list[Judged]:
        """The decisions on a case that was opened or has changed."""
        return self._judge("case", {"case": case.fields(), "alert": alert.fields}, alert)

    def _look(self, observable: Observable, context: Mapping[str, Any], moment: float) -> S | None:
        """The verdict on an observable; None where no playbook asks about it, or none is known."""
        asked = self._selection.of(observable, context)
        return self._verdicts.on(observable, asked, moment) if asked.analyzers else None

    def _on(self, seen: S, alert_key: Key | None, address: str, alert: Alert) -> list[Judged]:
        entry = seen.observable
        more = (address, entry.data_type, entry.data, entry.role, entry.tags, *seen.fields.values())
        context = {"alert": alert.fields, "observable": observable_fields(entry), "verdict": seen.fields}
        return self._on_verdict.get(alert_key, more, context, lambda: self._judge("verdict", context, alert))

    def _judge(self, event: str, context: Mapping[str, Any], alert: Alert) -> list[Judged]:
        decisions = decide(self.playbooks, event, context, ceiling_mode=self._ceiling)
        return [self._guard.judge(decision, alert) for decision in decisions]


def _once(judged: list[Judged]) -> list[Judged]:
    """One decision for each (responder, target) of the alert: several observables may lead to the same host."""
    if sum(1 for entry in judged if entry.decision.responder) < 2:
        return judged
    best: dict[tuple[str, str], Judged] = {}
    for entry in judged:
        key = (entry.decision.action, entry.target)
        known = best.get(key)
        if entry.decision.responder and (known is None or rank(entry) < rank(known)):
            best[key] = entry
    kept = {id(entry) for entry in best.values()}
    return [entry for entry in judged if not entry.decision.responder or id(entry) in kept]


@dataclass(frozen=True)
class Step(Generic[S]):
    """What a set of playbooks makes of one alert; `case` is where it is put, None where it needs none."""

    seen: list[S]
    judged: list[Judged]
    case: Case | None
    opened: bool


class Course(Generic[S]):
    """A set of playbooks over alert after alert, with the cases that it makes of them."""

    def __init__(self, rules: Rules[S]):
        self._rules = rules
        self.cases = CaseBook()

    def take(self, alert: Alert, observables: Sequence[Observable], moment: float) -> Step[S]:
        """Every decision on the alert, and on its case where that was opened or has changed."""
        seen, judged = self._rules.decide(alert, observables, moment)
        placed = self.cases.place(alert, observables, judged, moment)
        if placed is None:
            return Step(seen, judged, None, False)
        case, opened = placed
        return Step(seen, judged + self._on_case(case, opened, judged, alert), case, opened)

    def _on_case(self, case: Case, opened: bool, judged: list[Judged], alert: Alert) -> list[Judged]:
        """Enter the decisions; where that changes the case's standing, ask the playbooks on cases once more."""
        before = () if opened else _standing(case)
        enter_decisions(case, judged)
        if _standing(case) == before:
            return []
        more = self._rules.on_case(case, alert)
        enter_decisions(case, more)
        return more


class Pipeline:
    """Takes alerts one by one, in order of time, and says what becomes of each."""

    def __init__(self, setup: Setup):
        guard = Guard(setup.policy)
        verdicts = Verdicts(setup.evidence, setup.options)
        self._history = setup.history
        self._own = Own(setup.policy)
        self._course = Course(Rules(setup.playbooks, verdicts, guard, setup.ceiling))
        self._other = Course(Rules(setup.against, verdicts, guard, setup.ceiling)) if setup.against else None
        self.cases = self._course.cases
        self._latest = 0.0

    def process(self, alert: Alert) -> Outcome:
        """What becomes of the alert."""
        moment = alert.timestamp or self._latest
        self._latest = max(self._latest, moment)
        observables = self._own.mark(extract(alert))
        outcome = Outcome(alert, moment, observables)
        outcome.suppressed = suppressed(alert, observables, self._history, moment)
        if not outcome.suppressed:
            self._decide(outcome)
        return outcome

    def _decide(self, outcome: Outcome) -> None:
        alert, observables, moment = outcome.alert, outcome.observables, outcome.moment
        step = self._course.take(alert, observables, moment)
        outcome.seen, outcome.judged, outcome.case, outcome.opened = step.seen, step.judged, step.case, step.opened
        if self._other is not None:
            outcome.changes = changes(self._other.take(alert, observables, moment).judged, step.judged)


def _standing(case: Case) -> tuple[object, ...]:
    return (case.severity, case.flagged, tuple(case.tags))
