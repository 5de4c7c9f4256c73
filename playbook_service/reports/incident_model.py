"""The story of one case, as plain data. Moments are seconds since the epoch; texts are as they came, not harmless."""

from __future__ import annotations

from typing import Any, NamedTuple

from propolis.clock import utc_text

SCHEMA = "propolis-incident/1"
_MOMENTS = {"at", "came_in", "occurred", "asked_at", "expires", "until", "ended_at"}
_HELD_BACK = ("stopped", "held", "observe", "choose")


class Arrived(NamedTuple):
    """An alert of the case. `came_in` is when the service had it, `occurred` when Wazuh wrote it (None: it does not
    say)."""

    key: str
    came_in: float
    occurred: float | None
    title: str
    rule: str
    level: int
    agent: str
    observables: int


class Word(NamedTuple):
    """What one source said of an observable; `weight` is its share in log-odds, `reason` why it is missing."""

    source: str
    level: str
    weight: float
    reason: str


class Evidence(NamedTuple):
    """One verdict, with its ledger."""

    key: str
    at: float
    data_type: str
    data: str
    verdict: str
    recommendation: str
    score: float
    families: int
    coverage: float
    conflict: float
    how: str
    words: tuple[Word, ...]
    vetoes: tuple[str, ...]


class Decided(NamedTuple):
    """One decision to contain something, whatever became of it. `why` is why it is not what the playbook wished."""

    key: str
    at: float
    state: str
    wanted: str
    responder: str
    target: str
    playbook: str
    reasons: tuple[str, ...]
    why: str
    rule: str
    verdict: str


class Asked(NamedTuple):
    """One question to an analyst."""

    key: str
    state: str
    responder: str
    target: str
    asked_at: float | None
    expires: float
    answered_by: tuple[str, ...]
    why: str


class Measure(NamedTuple):
    """One containment, from the wish to its end. `until` None: it was never in force, or it is permanent."""

    lease: str
    state: str
    responder: str
    target: str
    where: str
    by: str
    by_hand: bool
    """Somebody started it in TheHive's menu."""
    why: str
    until: float | None
    permanent: bool
    message: str
    verified: str
    ended_by: str
    ended_at: float | None
    undone: str
    """What the undo said; empty while it has not run."""
    undo_verified: str
    failed_undos: int
    doubtful: bool

    @property
    def over(self) -> bool:
        """Is it known to be undone? One whose undo was left to a person is not."""
        return self.state == "ended" and (self.ended_at is not None or bool(self.undone))


class NotDone(NamedTuple):
    """What was wanted and not done: in which state it ended, and why."""

    state: str
    responder: str
    target: str
    why: str


class Closed(NamedTuple):
    """How the case was closed, and what that taught; `why` says why it taught nothing."""

    at: float
    resolution: str
    judgement: str
    by: str
    why: str
    reopened: bool


class Moment(NamedTuple):
    """One line of the timeline. `line` is its number in the audit chain; 0 where it is from a record."""

    at: float
    kind: str
    """The colour it is shown in: `act`, `ask`, `stopped`, `observe`, `safe`, `plain`."""
    what: str
    text: str
    line: int = 0


class Incident(NamedTuple):
    """All that the store knows of one case. `number` is 0 and `title` empty where it does not know them."""

    case_id: str
    number: int
    title: str
    made_at: float
    alerts: tuple[Arrived, ...]
    evidence: tuple[Evidence, ...]
    decisions: tuple[Decided, ...]
    questions: tuple[Asked, ...]
    measures: tuple[Measure, ...]
    closed: Closed | None
    moments: tuple[Moment, ...]
    gaps: tuple[str, ...]
    """What is missing here, in sentences."""

    @property
    def name(self) -> str:
        """`Case 128`, or `Case ~41259592`."""
        return f"Case {self.number or self.case_id}"

    @property
    def began(self) -> float | None:
        """When its first alert came in."""
        return min((one.came_in for one in self.alerts), default=None)

    @property
    def not_done(self) -> tuple[NotDone, ...]:
        """What playbooks or people wanted and what did not come to pass, in the order of the records."""
        found = [NotDone(one.state, one.responder, one.target, one.why or one.rule) for one in self.decisions
                 if one.state in _HELD_BACK and one.wanted in ("act", "ask")]  # fmt: skip
        found += [NotDone(one.state, one.responder, one.target, one.why) for one in self.questions
                  if one.state in ("denied", "expired")]  # fmt: skip
        found += [NotDone("not contained", one.responder, one.target, one.message) for one in self.measures
                  if one.state == "refused"]  # fmt: skip
        return tuple(found)

    @property
    def contained(self) -> tuple[Measure, ...]:
        """What was in force, or may have been: everything that was to be undone."""
        return tuple(one for one in self.measures if one.state not in ("refused", "wished"))

    def first(self, what: str) -> float | None:
        """When something of a kind happened for the first time; None where it did not."""
        return min((one.at for one in self.moments if one.what == what), default=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, schema `propolis-incident/1` (docs/reports.md)."""
        plain = {name: [_plain(one) for one in getattr(self, name)]
                 for name in ("alerts", "evidence", "decisions", "questions", "measures", "moments")}  # fmt: skip
        return {
            "schema": SCHEMA, "case": self.case_id, "number": self.number or None, "title": self.title,
            "made_at": utc_text(self.made_at), **plain, "closed": _plain(self.closed) if self.closed else None,
            "gaps": list(self.gaps),
        }  # fmt: skip


def _plain(entry: NamedTuple) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in entry._asdict().items()
    }
    if isinstance(entry, Evidence):
        found["words"] = [word._asdict() for word in entry.words]
    for name in _MOMENTS & found.keys():
        found[name] = None if found[name] is None else utc_text(found[name])
    return found
