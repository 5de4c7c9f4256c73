"""Cases: which alerts belong together, as the playbooks' `case` steps say.

A step `case` opens a case, or joins the open one on the same source, agent or observable (`merge_on`) that is not older
than `merge_within`. A decision that contains or asks needs a case even where no playbook opened one; it gets the usual
one, on source and agent within 24 hours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from playbook_service.judgement.belonging import DAY, USUAL, Facts, facts_of
from playbook_service.judgement.guard import ACT, ASK, OUTCOMES, STOPPED, Judged
from playbook_service.playbook import Decision
from propolis.alert import Alert
from propolis.alert.severity import assess
from propolis.observables.model import Observable

MOST_OPEN = 20_000
_MOST_EVENTS, _MOST_OBSERVABLES, _MOST_DECISIONS, _MOST_STEPS = 40, 200, 60, 40


class Event(NamedTuple):
    """One alert of a case, as its story tells it."""

    time: float | None
    rule_id: str
    level: int
    description: str
    agent: str
    suppressed: bool = False


@dataclass
class Case:
    """One case. Lists hold the first entries only; the counts are complete."""

    number: int
    opened: float
    last: float
    source: str
    agent: str
    agent_key: str
    title: str
    level: int
    severity: int
    flagged: bool = False
    alerts: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    observables: dict[tuple[str, str], Observable] = field(default_factory=dict)
    decisions: dict[tuple[str, str], Judged] = field(default_factory=dict)
    steps: dict[str, None] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The gravest outcome of its decisions."""
        found = {judged.outcome for judged in self.decisions.values()}
        return next((outcome for outcome in OUTCOMES if outcome in found), "observe")

    def fields(self) -> dict[str, Any]:
        """The case as playbook conditions see it."""
        return {
            "number": self.number,
            "title": self.title,
            "severity": self.severity,
            "tags": list(self.tags),
            "status": "New",
            "flag": self.flagged,
            "observables": [{"dataType": kind, "data": data} for kind, data in self.observables],
        }


class CaseBook:
    """The open cases, and how many there were."""

    def __init__(self) -> None:
        self.count = 0
        self._open: OrderedDict[int, Case] = OrderedDict()
        self._by: dict[tuple[str, Any], list[int]] = {}

    def place(
        self, alert: Alert, observables: Sequence[Observable], judged: Sequence[Judged], moment: float
    ) -> tuple[Case, bool] | None:
        """The case the alert belongs to, and whether it was opened for it; None where it needs none."""
        wishes = [judgement.decision for judgement in judged if judgement.decision.verb == "case"]
        if not wishes and not any(_needs_case(judgement) for judgement in judged):
            return None
        facts = facts_of(alert, observables)
        self._forget(moment)
        found = self._find(wishes, facts, moment)
        case = found or self._start(alert, facts, moment)
        self._enter(case, alert, observables, facts, moment)
        return case, found is None

    def _find(self, wishes: Iterable[Decision], facts: Facts, moment: float) -> Case | None:
        terms = [dict(wish.settings) for wish in wishes] or [{"merge_within": DAY, "merge_on": USUAL}]
        for term in terms:
            within = term.get("merge_within")
            case = self._join(tuple(term.get("merge_on") or USUAL), facts, moment, within) if within else None
            if case is not None:
                return case
        return None

    def _join(self, merge_on: tuple[str, ...], facts: Facts, moment: float, within: float) -> Case | None:
        """The newest open case that is the same in everything that `merge_on` names.

        Alerts of several files may come out of order, so a case that was opened later than the alert counts too.
        """
        for number in reversed(self._candidates(merge_on, facts)):
            case = self._open.get(number)
            if case is not None and abs(moment - case.opened) <= within and _same(case, merge_on, facts):
                return case
        return None

    def _candidates(self, merge_on: tuple[str, ...], facts: Facts) -> list[int]:
        if "observable" in merge_on:
            return sorted({number for key in facts.observables for number in self._by.get(("observable", key), ())})
        if "source" in merge_on and facts.source:
            return self._by.get(("source", facts.source), [])
        return self._by.get(("agent", facts.agent), [])

    def _start(self, alert: Alert, facts: Facts, moment: float) -> Case:
        self.count += 1
        case = Case(
            self.count, moment, moment, facts.source, alert.agent_name or facts.agent, facts.agent, alert.description,
            alert.level, assess(alert.level).thehive,
        )  # fmt: skip
        self._open[case.number] = case
        self._index("source", facts.source, case)
        self._index("agent", facts.agent, case)
        return case

    def _enter(self, case: Case, alert: Alert, observables: Sequence[Observable], facts: Facts, moment: float) -> None:
        case.alerts += 1
        case.last = max(case.last, moment)
        case.severity = max(case.severity, assess(alert.level).thehive)
        if alert.level > case.level:
            case.level, case.title = alert.level, alert.description
        if alert.rule_id in case.rules or len(case.rules) < _MOST_EVENTS:
            case.rules[alert.rule_id] = case.rules.get(alert.rule_id, 0) + 1
        if len(case.events) < _MOST_EVENTS:
            agent = alert.agent_name
            case.events.append(Event(alert.timestamp, alert.rule_id, alert.level, alert.description, agent))
        for observable in observables:
            key = (observable.data_type, observable.data)
            if key not in case.observables and len(case.observables) < _MOST_OBSERVABLES:
                case.observables[key] = observable
                if key in facts.observables:
                    self._index("observable", key, case)

    def _index(self, what: str, value: Any, case: Case) -> None:
        numbers = self._by.setdefault((what, value), [])
        numbers.append(case.number)
        if len(numbers) > 20:
            del numbers[0]

    def _forget(self, moment: float) -> None:
        """Cases too old to be joined, and the oldest where there are too many."""
        while self._open:
            case = next(iter(self._open.values()))
            if len(self._open) <= MOST_OPEN and case.opened >= moment - 7 * DAY:
                return
            del self._open[case.number]
            seen = [("observable", key) for key in case.observables]
            for key in (("source", case.source), ("agent", case.agent_key), *seen):
                self._drop(key, case.number)

    def _drop(self, key: tuple[str, Any], number: int) -> None:
        numbers = self._by.get(key)
        if numbers and number in numbers:
            numbers.remove(number)
            if not numbers:
                del self._by[key]


def _needs_case(judged: Judged) -> bool:
    return bool(judged.decision.responder) and judged.outcome in (ACT, ASK, STOPPED)


def _same(case: Case, merge_on: tuple[str, ...], facts: Facts) -> bool:
    if "source" in merge_on and case.source != facts.source:
        return False
    return not ("agent" in merge_on and case.agent_key != facts.agent)


def enter_decisions(case: Case, judged: Iterable[Judged]) -> None:
    """Note in the case what was decided, and do its books: tags, severity, flag, tasks."""
    for entry in judged:
        decision = entry.decision
        if decision.responder:
            key = (decision.action, entry.target)
            known = case.decisions.get(key)
            graver = known is not None and OUTCOMES.index(entry.outcome) < OUTCOMES.index(known.outcome)
            if graver or (known is None and len(case.decisions) < _MOST_DECISIONS):
                case.decisions[key] = entry
        else:
            _keep_books(case, decision)


def _keep_books(case: Case, decision: Decision) -> None:
    settings = dict(decision.settings)
    if decision.verb == "severity":
        case.severity = max(case.severity, int(settings["raise"]))
    elif decision.verb == "flag":
        case.flagged = True
    elif decision.verb == "tag" and settings.get("to") == "case":
        case.tags.update(dict.fromkeys(settings["add"]))
    step = step_text(decision)
    if step and len(case.steps) < _MOST_STEPS:
        case.steps.setdefault(step)


def step_text(decision: Decision) -> str:
    """A bookkeeping step as one line; empty for those that only show in the case itself."""
    settings = dict(decision.settings)
    if decision.verb == "task":
        return str(settings["title"])
    if decision.verb == "notify":
        return f"Notify {', '.join(settings['to'])}"
    if decision.verb == "assign":
        return f"Assign to {settings['to']}"
    return ""
