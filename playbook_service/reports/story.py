"""Audit lines of one case as the lines of its timeline: what happened, in words that a reader of the report knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from playbook_service.reports.incident_model import Moment
from playbook_service.reports.words import moment, what

Line = Mapping[str, Any]
_LONG = 600
CONTAINED, TAKEN_OVER, DECISION, ANSWER = "contained", "taken over", "decision", "answer"
"""Words of the timeline that reports look for."""


def told(line: Line, at: float, number: int) -> Moment | None:
    """A line as a moment of the timeline; None for one that is only bookkeeping."""
    tell = _TELLERS.get(str(line.get("action")))
    if tell is None:
        return None
    kind, name, text = tell(line)
    return Moment(at, kind, name, text, number)


Told = tuple[str, str, str]


def _text(line: Line, name: str) -> str:
    value = line.get(name)
    return "" if value is None else str(value)[:_LONG]


def _doing(line: Line) -> str:
    return f"{what(_text(line, 'responder'))} {_text(line, 'target')}".strip()


def _because(line: Line, name: str = "why") -> str:
    why = _text(line, name)
    return f": {why}" if why else ""


def _by(line: Line) -> str:
    return f" by {_text(line, 'operator')}" if line.get("operator") else ""


def _verdict(line: Line) -> Told:
    numbers = line.get("numbers")
    found = numbers if isinstance(numbers, Mapping) else {}
    facts = ", ".join(f"{name} {found[name]}" for name in ("score", "families", "coverage") if name in found)
    return "plain", "verdict", f"{_text(line, 'target')}: {_text(line, 'result')} ({facts})"


_KINDS = {"act": "act", "ask": "ask", "choose": "ask", "stopped": "stopped", "held": "stopped"}


def _decision(line: Line) -> Told:
    result, reasons = _text(line, "result"), line.get("reasons")
    first = str(reasons[0])[:_LONG] if isinstance(reasons, list) and reasons else ""
    why = "; ".join(text for text in (first, _text(line, "why"), _text(line, "capped_by")) if text)
    return _KINDS.get(result, "observe"), DECISION, f"{result}: {_doing(line)}{f' ({why})' if why else ''}"


def _asked(line: Line) -> Told:
    until = line.get("until")
    end = f", until {moment(float(until))}" if isinstance(until, (int, float)) else ""
    return "ask", "question", f"an analyst is asked whether to {_doing(line)}{end}"


def _answered(word: str, kind: str) -> Callable[[Line], Told]:
    def tell(line: Line) -> Told:
        return kind, ANSWER, f"{word}{_by(line)}{_because(line)} ({_text(line, 'target') or _text(line, 'lease')})"

    return tell


def _given(line: Line) -> Told:
    return "ask", ANSWER, f"{_text(line, 'operator')} says {_text(line, 'result')} at the command line or in the API"


def _contained(line: Line) -> Told:
    until = line.get("until")
    end = f" until {moment(float(until))}" if isinstance(until, (int, float)) else ""
    name = TAKEN_OVER if line.get("action") == TAKEN_OVER else CONTAINED
    hand = f", started by {_text(line, 'operator')}" if name == TAKEN_OVER else ""
    return "act", name, f"{_doing(line)}: {_text(line, 'result')}{end}{hand}{_because(line, 'note')}"


def _released(line: Line) -> Told:
    by = _text(line, "operator")
    return "safe", "released", f"{_doing(line)} undone, {'at its time' if by == 'expiry' else by}"


def _simple(kind: str, name: str, text: str, because: str = "why") -> Callable[[Line], Told]:
    """A line in fixed words, between bars: those that name a fact are replaced by it, and only once."""
    pieces = text.split("|")

    def tell(line: Line) -> Told:
        facts = {field: _text(line, field) for field in ("target", "result", "tag", "tries", "alert", "operator")}
        facts |= {"doing": _doing(line), "by": _by(line)}
        return kind, name, "".join(facts.get(piece, piece) for piece in pieces) + _because(line, because)

    return tell


_TELLERS: dict[str, Callable[[Line], Told]] = {
    "case opened": _simple("plain", "case", "opened for the alert |alert", "note"),
    "alert joined": _simple("plain", "case", "joined by the alert |alert", "note"),
    "escalated": _simple("ask", "case", "escalated"),
    "verdict": _verdict,
    "not decided": _simple("observe", DECISION, "nothing was decided on |target"),
    "decision": _decision,
    "approval asked": _asked,
    "approval withdrawn": _answered("withdrawn", "observe"),
    "approval granted": _answered("granted", "act"),
    "approval denied": _answered("denied", "safe"),
    "approval expired": _answered("expired", "observe"),
    "approval answered": _given,
    "contained": _contained,
    "taken over": _contained,
    "confirmed": _simple("act", "verified", "|doing| is in force at the product"),
    "not contained": _simple("stopped", "not contained", "|doing|: |result"),
    "end moved": _simple("ask", "end moved", "|doing|by"),
    "renewed": _simple("act", "renewed", "|doing"),
    "renewal failed": _simple("stopped", "renewal failed", "|doing"),
    "release wished": _simple("safe", "release wished", "|operator"),
    "released": _released,
    "released by hand": _simple("safe", "released", "|doing| undone|by"),
    "release failed": _simple("stopped", "undo failed", "try |tries"),
    "left to a person": _simple("stopped", "undo failed", "|target| is left to a person"),
    "tag read": _simple("ask", "tag", "|tag|by"),
    "review asked": _simple("ask", "review", "an analyst is asked to review |target"),
    "case closed": _simple("plain", "closed", "seen in TheHive: closed as |result|by"),
    "case reopened": _simple("plain", "reopened", "the case was opened again"),
}
