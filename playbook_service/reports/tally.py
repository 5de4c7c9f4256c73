"""The fold over a period's audit lines: what was decided, asked, contained and undone, how quickly, and what failed.

Pure: lines go in, in their order; what no line holds (when an alert came in) is asked of `Known`. Memory grows by a few
words for each case, not by what was decided in it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from playbook_service.feedback.suppression import FALSE, TRUE
from playbook_service.reports.closings import OTHERWISE, Closings
from playbook_service.reports.measure import Spans

Line = Mapping[str, Any]
ALONE, GRANTED, BY_HAND, UNKNOWN = "alone", "granted", "by hand", "unknown"
"""How a containment came to be: by a playbook, after an analyst's grant, by an analyst in TheHive's menu."""
EXPIRED, CLOSED, EARLY, AT_PRODUCT = "expired", "case closed", "released early", "by hand"
"""How one ended: at its time, with its case, on a person's word, or because somebody ended it without us."""
RIGHT, WRONG, UNJUDGED = "right", "wrong", "unknown"
FORGOTTEN = "(no longer on record)"
"""In place of a playbook whose decision is neither among the lines nor among the records any more."""
_RESULT = {TRUE: RIGHT, FALSE: WRONG}
_WISHES = ("act", "ask")
_COUNTED = ("act", "ask", "choose", "observe", "covered")
_PERSON = frozenset(
    (
        "approval granted", "approval denied", "approval answered", "tag read", "taken over", "end moved",
        "released by hand", "case closed",
    )
)  # fmt: skip
"""Actions whose `operator` is a person's login."""
_SAVING = {"suppressed": "suppressed", "verdict": "verdict", "case opened": "case", "contained": "containment"}
_NOT_NEEDED = ("would_contain", "already_contained", "called_off")
"""Ends of a containment that are none and no failure: dry run, somebody else's, called off before it began."""


class Known(Protocol):
    """What the store's records know beside the lines."""

    def came_in(self, alert: str) -> float | None:
        """When an alert came in; None where its record is forgotten."""

    def opened_by(self, case: str) -> str:
        """The key of the alert that a case began with."""

    def playbook(self, decision: str) -> str:
        """The leading playbook of a decision."""

    def alert(self, decision: str) -> str:
        """The key of the alert that led to a decision."""

    def granted_by(self, lease: str) -> str:
        """Who granted a lease: a login, or `playbook <name>`."""

    def asked_at(self, approval: str) -> float | None:
        """When a question was put."""


class Tally:
    """Everything that is counted, while the lines come by."""

    def __init__(self, known: Known, closings: Closings):
        self._known = known
        self._closings = closings
        self.actions: Counter[str] = Counter()
        self.closed_as: Counter[str] = Counter()
        self.first_decision, self.first_person, self.first_answer = Spans(), Spans(), Spans()
        self._undecided: dict[str, float] = {}
        self._unmet: dict[str, float] = {}
        self.cases = self.cases_unknown = 0
        self._begun: set[str] = set()
        self.decided: Counter[tuple[str, str]] = Counter()
        self._wished: dict[str, set[str]] = {}
        self._playbooks: dict[str, str] = {}
        self._granters: dict[str, str] = {}
        self.to_contain = {how: Spans() for how in (ALONE, GRANTED, BY_HAND, UNKNOWN)}
        self.to_contain_unknown = 0
        self.contained: Counter[tuple[str, str, str]] = Counter()
        self.judged: Counter[str] = Counter()
        self.contained_in: dict[str, set[str]] = {}
        self.ended: Counter[str] = Counter()
        self.permanent = self.renewed = 0
        self.not_contained: Counter[str] = Counter()
        self.failed_undos: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.waited = Spans()
        self._asked_at: dict[str, float] = {}
        self.stopped: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.books_refused = 0
        self._by_action: dict[str, Callable[[Line, float], None]] = {
            "case opened": self._opened, "alert joined": self._joined, "decision": self._decision,
            "containment wished": self._wish, "contained": self._contained, "taken over": self._contained,
            "not contained": self._not_contained, "released": self._released, "released by hand": self._gone,
            "release failed": self._undo_failed, "end moved": self._moved, "approval asked": self._asked,
            "approval granted": self._answered, "approval denied": self._answered, "approval expired": self._answered,
            "approval withdrawn": self._answered, "case closed": self._closed, "books": self._books,
        }  # fmt: skip

    def take(self, line: Line, at: float) -> None:
        """One more line, written at a wall time."""
        action = str(line.get("action"))
        self.actions[action] += 1
        if action in _PERSON and line.get("operator"):
            self._met(_case(line), at)
        count = self._by_action.get(action)
        if count is not None:
            count(line, at)

    # how quickly ----------------------------------------------------------------------------------------------------

    def _opened(self, line: Line, _: float) -> None:
        case, came_in = _case(line), self._known.came_in(str(line.get("alert")))
        if case in self._begun:  # of two alerts at once, the one that joined may be written before the one that opened
            return
        self._begun.add(case)
        self.cases += 1
        if came_in is None:
            self.cases_unknown += 1
        else:
            self._undecided[case] = self._unmet[case] = came_in

    def _joined(self, line: Line, at: float) -> None:
        """An alert that an analyst made a case of joins it as the first."""
        if self._known.opened_by(_case(line)) == str(line.get("alert")):
            self._opened(line, at)

    def _met(self, case: str, at: float) -> None:
        """A person said something in the case."""
        began = self._unmet.pop(case, None)
        if began is not None:
            self.first_person.add(at - began)
            if case in self._undecided:
                self.first_answer.add(at - began)

    @property
    def undecided(self) -> int:
        """Cases of the period in which nothing was decided by its end."""
        return len(self._undecided)

    @property
    def unmet(self) -> int:
        """Cases of the period in which no person said anything by its end."""
        return len(self._unmet)

    # decisions ------------------------------------------------------------------------------------------------------

    def _decision(self, line: Line, at: float) -> None:
        case, result, playbook = _case(line), str(line.get("result")), str(line.get("playbook"))
        began = self._undecided.pop(case, None) if result != "ignore" else None
        if began is not None:
            self.first_decision.add(at - began)
            if case in self._unmet:
                self.first_answer.add(at - began)
        wished = line.get("wanted") in _WISHES and result in _COUNTED
        self.decided[playbook, result if wished or result not in _COUNTED else "left"] += 1
        if wished and case:
            self._wished.setdefault(playbook, set()).add(case)
        if result in _WISHES:
            self._playbooks[str(line.get("decision"))] = playbook
        if result == "stopped":
            self.stopped[str(line.get("rule") or "").partition(":")[0]] += 1
        if result == "held":
            self.held[str(line.get("rule") or "").partition(":")[0]] += 1

    def quality(self, playbook: str) -> Counter[str]:
        """The cases in which a playbook wanted something contained, by how they stand closed."""
        words = (self._closings.word(case) for case in self._wished.get(playbook, ()))
        return Counter(_RESULT.get(word, UNJUDGED) for word in words)

    # containments ---------------------------------------------------------------------------------------------------

    def _wish(self, line: Line, _: float) -> None:
        self._granters[str(line.get("lease"))] = str(line.get("operator"))

    def _contained(self, line: Line, at: float) -> None:
        lease, case = str(line.get("lease")), _case(line)
        how = BY_HAND if line["action"] == "taken over" else self._how(lease, line)
        playbook = "" if how == BY_HAND else self._playbooks.pop(lease, "") or self._known.playbook(lease) or FORGOTTEN
        self.contained[str(line.get("responder")), playbook, how] += 1
        word = self._closings.word(case)
        self.judged[word] += 1
        if word and word != OTHERWISE:
            self.contained_in.setdefault(word, set()).add(case)
        took = self._took(line, lease, at)
        if took is None:
            self.to_contain_unknown += 1
        else:
            self.to_contain[how].add(took)

    def _took(self, line: Line, lease: str, at: float) -> float | None:
        """Seconds from the alert to the containment: by the line itself, or, for older lines, by records."""
        if isinstance(line.get("since_alert"), (int, float)):
            return float(line["since_alert"])
        alert = str(line.get("trace") or "") or self._known.alert(lease) or self._known.opened_by(_case(line))
        came_in = self._known.came_in(alert) if alert else None
        return None if came_in is None else at - came_in

    def _how(self, lease: str, line: Line) -> str:
        by = self._granters.pop(lease, "") or self._known.granted_by(lease)
        if not by and isinstance(line.get("automated"), bool):
            return ALONE if line["automated"] else GRANTED
        return UNKNOWN if not by else ALONE if by.startswith("playbook ") else GRANTED

    def _not_contained(self, line: Line, _: float) -> None:
        lease = str(line.get("lease"))
        self._playbooks.pop(lease, None)
        self._granters.pop(lease, None)
        self.not_contained[str(line.get("result") or "failed")] += 1

    def _released(self, line: Line, _: float) -> None:
        by = str(line.get("operator"))
        self.ended[EXPIRED if by == "expiry" else CLOSED if by.startswith("case closed as ") else EARLY] += 1

    def _gone(self, _: Line, __: float) -> None:
        self.ended[AT_PRODUCT] += 1

    def _undo_failed(self, line: Line, _: float) -> None:
        self.failed_undos.add(str(line.get("lease")))

    def _moved(self, line: Line, _: float) -> None:
        if line.get("permanent"):
            self.permanent += 1
        else:
            self.renewed += 1

    # questions ------------------------------------------------------------------------------------------------------

    def _asked(self, line: Line, at: float) -> None:
        self._asked_at[str(line.get("lease"))] = at

    def _answered(self, line: Line, at: float) -> None:
        key, word = str(line.get("lease")), str(line["action"]).removeprefix("approval ")
        began = self._asked_at.pop(key, None)
        if word != "granted":
            self._playbooks.pop(key, None)
        person = bool(line.get("operator"))
        self.asked["void" if word == "denied" and not person else word] += 1
        if person and isinstance(line.get("waited"), (int, float)):
            self.waited.add(float(line["waited"]))
        elif person:
            began = self._known.asked_at(key) if began is None else began
            if began is not None:
                self.waited.add(at - began)

    # the rest -------------------------------------------------------------------------------------------------------

    def _closed(self, line: Line, _: float) -> None:
        self.closed_as[str(line.get("result") or "closed")] += 1

    def _books(self, line: Line, _: float) -> None:
        self.books_refused += len(line.get("refused") or ())

    def counts(self) -> dict[str, int]:
        """How often each step of work was done, as `savings` names them."""
        found = {work: self.actions[action] for action, work in _SAVING.items()}
        answers = self.asked["granted"] + self.asked["denied"]
        return {**found, "release": self.actions["released"], "answer": answers}

    def failures(self) -> dict[str, int]:
        """What did not work."""
        failed = sum(number for result, number in self.not_contained.items() if result not in _NOT_NEEDED)
        return {
            "failed_or_doubtful": failed, "undo_failed": len(self.failed_undos),
            "left_to_a_person": self.actions["left to a person"], "renewal_failed": self.actions["renewal failed"],
            "set_aside": self.actions["set aside"], "refused_by_thehive": self.books_refused,
        }  # fmt: skip

    def not_done(self) -> dict[str, int]:
        """Containments that were started or granted and not made, without anything failing."""
        return {result: self.not_contained[result] for result in _NOT_NEEDED if self.not_contained[result]}


def _case(line: Line) -> str:
    """The case's id, the same object wherever it is kept."""
    return sys.intern(str(line.get("case") or ""))
