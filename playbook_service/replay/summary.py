"""What a whole run amounts to. Counts are complete; lists are bounded and hold the gravest, or the first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from playbook_service.judgement.guard import ACT, ASK, OUTCOMES, STOPPED, Judged, rank
from playbook_service.replay.casebook import Case
from playbook_service.replay.difference import Change
from playbook_service.replay.enrichment import Seen
from playbook_service.replay.history import origin
from playbook_service.replay.pipeline import Outcome
from playbook_service.replay.timeline import Timeline

SUPPRESSED, ALONE = "suppressed", "left alone"
DISPOSITIONS = (ACT, ASK, STOPPED, SUPPRESSED, ALONE)
"""What becomes of an alert, the gravest of its decisions first."""

MOST_TARGETS, MOST_CASES, MOST_OBSERVABLES, MOST_NAMES, MOST_CHANGES = 20_000, 2_000, 2_000, 5_000, 2_000
MOST_LISTED = 1_000  # alerts of which a line is kept


@dataclass
class Row:
    """One (responder, target): all decisions on it are one containment, renewed."""

    judged: Judged
    first: float
    count: int = 0
    case: int = 0
    playbooks: dict[str, None] = field(default_factory=dict)


class AlertRow(NamedTuple):
    """One alert on one line: what it was, what was found, and what becomes of it."""

    line: int
    time: float | None
    level: int
    rule_id: str
    description: str
    agent: str
    disposition: str
    case: int
    observables: int
    gravest: Seen | None
    decisions: tuple[Judged, ...]


class ChangeRow(NamedTuple):
    """A difference, how many alerts show it, and the first of them."""

    change: Change
    times: int
    alert: str


@dataclass
class Summary:
    """The counts and lists of a run."""

    alerts: int = 0
    outside: int = 0
    first: float | None = None
    last: float | None = None
    dispositions: Counter[str] = field(default_factory=Counter)
    levels: Counter[int] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    agents: Counter[str] = field(default_factory=Counter)
    observables: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    playbooks: dict[str, Counter[str]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    suppressions: Counter[str] = field(default_factory=Counter)
    targets: dict[tuple[str, str], Row] = field(default_factory=dict)
    more_targets: int = 0
    cases: dict[int, Case] = field(default_factory=dict)
    case_count: int = 0
    seen: dict[tuple[str, str], Seen] = field(default_factory=dict)
    changes: dict[tuple[str, str, str, str], ChangeRow] = field(default_factory=dict)
    changed_alerts: int = 0
    timeline: Timeline = field(default_factory=Timeline)
    listed: list[AlertRow] = field(default_factory=list)

    def add(self, outcome: Outcome, line: int = 0) -> str:
        """Take in what became of one alert, of that line of the input; gives its disposition."""
        self._count(outcome)
        disposition = disposition_of(outcome)
        self.dispositions[disposition] += 1
        self.timeline.add(outcome.moment, disposition)
        if len(self.listed) < MOST_LISTED:
            self.listed.append(_listed(outcome, disposition, line))
        for judged in outcome.judged:
            if judged.decision.responder:
                self._decision(judged, outcome)
        for seen in outcome.seen:
            self._verdict(seen)
        if outcome.case is not None:
            self._case(outcome.case, opened=outcome.opened)
        if outcome.changes:
            self.changed_alerts += 1
            for change in outcome.changes:
                self._change(change, outcome.alert.id)
        return disposition

    def _count(self, outcome: Outcome) -> None:
        alert = outcome.alert
        self.alerts += 1
        self.observables += len(outcome.observables)
        self.levels[alert.level] += 1
        _name(self.sources, origin(alert))
        _name(self.agents, alert.agent_name or alert.manager)
        if outcome.suppressed:
            _name(self.suppressions, outcome.suppressed)
        moment = outcome.moment
        self.first = moment if self.first is None else min(self.first, moment)
        self.last = moment if self.last is None else max(self.last, moment)

    def _decision(self, judged: Judged, outcome: Outcome) -> None:
        decision = judged.decision
        self.decisions[judged.outcome] += 1
        for playbook in decision.origins:
            self.playbooks.setdefault(playbook.name, Counter())[judged.outcome] += 1
        if judged.outcome == STOPPED:
            _name(self.rules, judged.rule)
        if judged.outcome in (ACT, ASK, STOPPED):
            self._target(judged, outcome)

    def _target(self, judged: Judged, outcome: Outcome) -> None:
        key = (judged.decision.responder, judged.target)
        row = self.targets.get(key)
        if row is None:
            if len(self.targets) >= MOST_TARGETS:
                self.more_targets += 1
                return
            row = self.targets[key] = Row(judged, outcome.moment, case=outcome.case.number if outcome.case else 0)
        row.count += 1
        row.playbooks.update(dict.fromkeys(playbook.name for playbook in judged.decision.origins))
        if rank(judged) < rank(row.judged):
            row.judged = judged

    def _verdict(self, seen: Seen) -> None:
        self.verdicts[seen.fields["verdict"]] += 1
        key = (seen.observable.data_type, seen.observable.data)
        known = self.seen.get(key)
        if known is not None:
            if seen.verdict.score > known.verdict.score:
                self.seen[key] = seen
        elif seen.verdict.count(None) < len(seen.verdict.lines):
            self.seen[key] = seen
            if len(self.seen) > MOST_OBSERVABLES:
                self.seen = {entry: self.seen[entry] for entry in self._best()}

    def _best(self) -> list[tuple[str, str]]:
        """Half of the observables, those with the highest score."""
        ranked = sorted(self.seen, key=lambda key: self.seen[key].verdict.score, reverse=True)
        return ranked[: MOST_OBSERVABLES // 2]

    def _case(self, case: Case, *, opened: bool) -> None:
        if opened:
            self.case_count += 1
        self.cases.setdefault(case.number, case)
        if len(self.cases) > MOST_CASES:
            kept = sorted(self.cases.values(), key=case_rank)[: MOST_CASES // 2]
            self.cases = {entry.number: entry for entry in sorted(kept, key=lambda entry: entry.number)}

    def _change(self, change: Change, alert: str) -> None:
        key = (change.action, change.target, change.before, change.after)
        known = self.changes.get(key)
        if known is not None:
            self.changes[key] = known._replace(times=known.times + 1)
        elif len(self.changes) < MOST_CHANGES:
            self.changes[key] = ChangeRow(change, 1, alert)

    def rows(self, *outcomes: str) -> list[Row]:
        """The targets with one of these outcomes, the gravest first, then in order of time."""
        found = [row for row in self.targets.values() if row.judged.outcome in outcomes]
        return sorted(found, key=lambda row: (rank(row.judged), row.first))

    def top(self, most: int) -> list[Seen]:
        """The observables that weigh most: the highest score first."""
        ranked = sorted(self.seen.values(), key=lambda seen: (-seen.verdict.score, seen.observable))
        return ranked[:most]

    def ranked_cases(self) -> list[Case]:
        """The cases kept, the gravest first."""
        return sorted(self.cases.values(), key=case_rank)


def _listed(outcome: Outcome, disposition: str, line: int) -> AlertRow:
    alert = outcome.alert
    spoken = [seen for seen in outcome.seen if seen.verdict.count(None) < len(seen.verdict.lines)]
    return AlertRow(
        line,
        alert.timestamp,
        alert.level,
        alert.rule_id,
        alert.description,
        alert.agent_name or alert.manager,
        disposition,
        outcome.case.number if outcome.case else 0,
        len(outcome.observables),
        max(spoken, key=lambda seen: seen.verdict.score, default=None),
        tuple(
            judged for judged in outcome.judged if judged.decision.responder and judged.outcome in (ACT, ASK, STOPPED)
        ),
    )


def case_rank(case: Case) -> tuple[int, int, int, int]:
    """For sorting: by outcome, then severity, then size, then age."""
    return (OUTCOMES.index(case.outcome), -case.severity, -case.alerts, case.number)


def disposition_of(outcome: Outcome) -> str:
    """What becomes of an alert."""
    if outcome.suppressed:
        return SUPPRESSED
    best = min((rank(entry) for entry in outcome.judged if entry.decision.responder), default=len(OUTCOMES))
    return OUTCOMES[best] if best < OUTCOMES.index("observe") else ALONE


def _name(counter: Counter[str], name: str) -> None:
    if name in counter or len(counter) < MOST_NAMES:
        counter[name] += 1
    else:
        counter["(others)"] += 1
