"""What the audit chain tells, added up: a pure fold over its lines, one after the other.

Lines are only ever added to the chain, so sums over it can be continued for ever. `FOLD` is raised whenever this file
counts something in another way: then everything is counted anew, from the first line. Lines of older versions lack
facts that newer ones have; what is not told is not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from playbook_service.audit.chain import GENESIS, Anchor, Line, verify
from playbook_service.metrics import catalogue as what
from playbook_service.metrics.family import Family, Measured
from playbook_service.metrics.hours import Hours
from playbook_service.metrics.sums import Sums

FOLD = 2
_UNKNOWN = "unknown"
_KEY = re.compile(r"[a-z][a-z0-9_. ]{0,40}")
"""How the name of a rule begins, before a colon: the policy's key, or some words. What follows may name a network."""
_NOT_CONTAINED = {
    "would_contain": "dry_run", "already_contained": "already_contained", "called_off": "called_off",
}  # fmt: skip


class Tally:
    """The sums over the lines up to one of them, whose number and hash are kept."""

    def __init__(self) -> None:
        self.upto = Anchor(0, GENESIS)
        self.hours = Hours()
        self._sums = Sums(what.TALLIED)

    def count(self, lines: Sequence[Any]) -> None:
        """Go on with the lines that follow. Each is checked against the one before, and counted as it is."""
        faults = verify(lines, start=self.upto)
        if faults:
            self._sums.add(what.AUDIT_FAULTS, by=len(faults))
        for line in lines:
            if isinstance(line, dict):
                _add(self._sums, line)
                self.hours.count(line)
        self.upto = Anchor(self.upto.number + len(lines), _hash_of(lines[-1])) if lines else self.upto

    def cut_off(self, end: Anchor) -> None:
        """The chain ends before the line that was counted last: its end was cut off."""
        self._sums.add(what.AUDIT_FAULTS)
        self.upto = end

    def measured(self) -> list[Measured]:
        """The sums."""
        return self._sums.measured()

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "fold": FOLD, "number": self.upto.number, "hash": self.upto.hash, "sums": self._sums.to_dict(),
            "hours": self.hours.to_dict(),
        }  # fmt: skip

    @staticmethod
    def of(document: Mapping[str, Any]) -> Tally | None:
        """The tally that `to_dict` wrote; None where another version counted otherwise."""
        if document.get("fold") != FOLD:
            return None
        tally = Tally()
        tally.upto = Anchor(int(document["number"]), str(document["hash"]))
        tally._sums.take(document["sums"])
        tally.hours = Hours.of(document["hours"])
        return tally


def _hash_of(line: Any) -> str:
    return str(line.get("hash")) if isinstance(line, dict) else ""


def _add(sums: Sums, line: Line) -> None:
    act = _ACTIONS.get(str(line.get("action")))
    if act is not None:
        act(sums, line)


def _word(line: Line, name: str) -> str:
    return str(line.get(name) or _UNKNOWN)


def _plus(family: Family, *names: str, **fixed: str) -> Callable[[Sums, Line], None]:
    """Add one, by these facts of the line and this text."""

    def act(sums: Sums, line: Line) -> None:
        sums.add(family, *(_word(line, name) for name in names), *fixed.values())

    return act


def _seconds(sums: Sums, family: Family, line: Line, name: str, label: str) -> None:
    value = line.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf"):
        sums.observe(family, float(value), label)


def _decision(sums: Sums, line: Line) -> None:
    state = _word(line, "result")
    sums.add(what.DECISIONS, _word(line, "playbook"), state)
    if state in ("stopped", "held"):
        key = _KEY.fullmatch(_word(line, "rule").partition(":")[0])
        sums.add(what.REFUSALS, key.group() if key else _UNKNOWN)


def _verdict(sums: Sums, line: Line) -> None:
    sums.add(what.VERDICTS, _word(line, "result"))
    analyzers = line.get("analyzers")
    for name, outcome in analyzers.items() if isinstance(analyzers, dict) else ():
        sums.add(what.ANALYSES, str(name), str(outcome))


def _contained(sums: Sums, line: Line) -> None:
    sums.add(what.CONTAINMENTS, _word(line, "responder"), "contained")
    way = "alone" if line.get("automated") else "granted"
    _seconds(sums, what.CONTAINMENT_SECONDS, line, "since_alert", way)


def _not_contained(sums: Sums, line: Line) -> None:
    outcome = _NOT_CONTAINED.get(_word(line, "result"), "failed")
    sums.add(what.CONTAINMENTS, _word(line, "responder"), outcome)


def _released(sums: Sums, line: Line) -> None:
    how = "expiry" if line.get("operator") == "expiry" else "early"
    sums.add(what.RELEASES, _word(line, "responder"), how)


def _answered(outcome: str) -> Callable[[Sums, Line], None]:
    def act(sums: Sums, line: Line) -> None:
        sums.add(what.APPROVALS, outcome)
        _seconds(sums, what.APPROVAL_SECONDS, line, "waited", outcome)

    return act


def _set_aside(sums: Sums, line: Line) -> None:
    sums.add(what.SET_ASIDE, _word(line, "step").partition(":")[0])


_ACTIONS: Mapping[str, Callable[[Sums, Line], None]] = {
    "service started": _plus(what.STARTS),
    "suppressed": _plus(what.SUPPRESSED),
    "case opened": _plus(what.CASES, outcome="opened"),
    "alert joined": _plus(what.CASES, outcome="joined"),
    "case closed": _plus(what.CLOSED, "label"),
    "verdict": _verdict,
    "decision": _decision,
    "approval asked": _plus(what.APPROVALS, outcome="asked"),
    "approval granted": _answered("granted"),
    "approval denied": _answered("denied"),
    "approval expired": _answered("expired"),
    "approval withdrawn": _plus(what.APPROVALS, outcome="withdrawn"),
    "contained": _contained,
    "taken over": _plus(what.CONTAINMENTS, "responder", outcome="taken_over"),
    "not contained": _not_contained,
    "released": _released,
    "released by hand": _plus(what.RELEASES, "responder", how="by_hand"),
    "left to a person": _plus(what.RELEASES, "responder", how="left"),
    "release failed": _plus(what.RELEASE_FAILURES, "responder"),
    "renewed": _plus(what.RENEWALS, outcome="renewed"),
    "renewal failed": _plus(what.RENEWALS, outcome="failed"),
    "escalated": _plus(what.ESCALATIONS, "rule"),
    "set aside": _set_aside,
    "mode set": _plus(what.MODE_CHANGES),
}
