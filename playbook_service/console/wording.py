"""Playbooks in words: when one applies, what it decides, what it does. Texts only; the pages make elements of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playbook_service.playbook import Action, Condition, Playbook
from playbook_service.playbook.condition import SHOWN, Test
from playbook_service.playbook.event import EVENTS
from playbook_service.playbook.verb import SEVERITIES
from propolis.duration import duration_text

_VERBS = {
    "": ("is", "is not"),
    "in": ("is", "is not"),
    "contains": ("contains", "does not contain"),
    "startswith": ("begins with", "does not begin with"),
    "endswith": ("ends with", "does not end with"),
    "gte": ("is at least", "is not at least"),
    "lte": ("is at most", "is not at most"),
    "gt": ("is above", "is not above"),
    "lt": ("is below", "is not below"),
    "cidr": ("lies in", "does not lie in"),
    "re": ("matches", "does not match"),
}
_MOST = 120  # characters of a value


def occasion(book: Playbook) -> str:
    """The event that a playbook listens to."""
    return EVENTS[book.on].help


def alternatives(condition: Condition) -> list[list[str]]:
    """What must hold: one of these lists, and all of its lines; empty where nothing is asked."""
    return [[phrase(test) for test in tests] for tests in condition.alternatives]


def briefly(condition: Condition) -> str:
    """The same on one line."""
    lists = [" and ".join(lines) for lines in alternatives(condition)]
    return "; or ".join(lists) or "always"


def phrase(test: Test) -> str:
    """`alert.rule.level is at least 10`."""
    name, _, every = test.modifier.partition("|")
    if name == "all" and not every:
        name, every = "", "all"
    if name == "exists":
        there = bool(test.values[0]) is not test.negated
        return f"{test.field} is {'there' if there else 'not there'}"
    verb = _VERBS[name][test.negated]
    return f"{test.field} {verb} {_values(test, all_of=bool(every))}"


def _values(test: Test, *, all_of: bool) -> str:
    shown = [_value(value) for value in test.values[:SHOWN]]
    more = len(test.values) - len(shown)
    if more > 0:
        return f"{', '.join(shown)} {'and all' if all_of else 'or one'} of {more} more"
    last = " and " if all_of else " or "
    return last.join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _value(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)[:_MOST]


def outcomes(book: Playbook) -> list[tuple[str, str]]:
    """(outcome, when) in the order in which they are tried; the last holds where no other does."""
    if not book.decide:
        return [("act", "whenever it applies")]
    found = [(clause.outcome, briefly(clause.condition)) for clause in book.decide]
    return found if book.decide[-1].condition.always else [*found, ("observe", "otherwise")]


def action(step: Action) -> str:
    """What one step does."""
    settings = dict(step.settings)
    if step.contains:
        lasting = duration_text(settings["for"]) if settings.get("for") else "without an end, by a person's word"
        target = " or ".join(path.text for path in step.targets)
        return f"{step.responder} on {target}, {f'for {lasting}' if settings.get('for') else lasting}"
    return _BOOKS[step.verb](settings)


def _case(settings: dict[str, Any]) -> str:
    parts = []
    if settings.get("merge_within"):
        same = " and ".join(settings.get("merge_on") or ("source", "agent"))
        parts.append(f"join an open case on the same {same} not older than {duration_text(settings['merge_within'])}")
    if settings.get("template"):
        parts.append(f"open a case from the template {settings['template']}")
    return ", else ".join(parts)


_BOOKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "task": lambda settings: f"task: {settings['title']}",
    "tag": lambda settings: f"tag the {settings['to']}: {', '.join(settings['add'])}",
    "severity": lambda settings: f"raise the case's severity to {_severity(settings['raise'])}",
    "flag": lambda settings: "flag the case",
    "assign": lambda settings: f"assign the case to {settings['to']}",
    "case": _case,
    "label": lambda settings: (
        f"label what was acted upon as {settings['as']}" + (" and release it" if settings.get("release") else "")
    ),
    "notify": lambda settings: f"notify {', '.join(settings['to'])}",
}


def _severity(number: int) -> str:
    return next(word for word, value in SEVERITIES.items() if value == number)
