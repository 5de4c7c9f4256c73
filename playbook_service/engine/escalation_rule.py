"""The rules of escalation: the ones that ship, and the form of a file that takes their place.

    - name: critical
      why: the case is critical
      when: {severity: 4}
      then: {flag: true, task: "Tell the incident lead", notify: true}

`when` holds any of `severity` (1 to 4, or more), `tag`, `verdict` and `unanswered` (a span); one that holds is enough.
`then` holds any of `severity` (that the case gets at least), `flag`, `assign` (a login), `task` (a title), `notify`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from propolis import yamltree
from propolis.duration import parse_duration
from propolis.errors import ConfigurationError, InputError
from propolis.yamltree import Node


class Rule(NamedTuple):
    """When (any of the first four that is set), and what is done about it."""

    name: str
    why: str
    """For people: `the case is critical`."""
    severity: int = 0
    """At least this severity, 1 to 4."""
    tag: str = ""
    verdict: str = ""
    """An observable of the case has this verdict."""
    unanswered: float = 0.0
    """A question to an analyst has stood for so many seconds."""
    raise_to: int = 0
    """Severity that the case gets at least."""
    flag: bool = False
    assign: str = ""
    """Login that gets the case where nobody but the service has it."""
    task: str = ""
    """Title of a flagged task."""
    notify: bool = False


_LEAD = "Escalate: tell the incident lead"  # the title that the playbook uses: whoever comes second finds it there

RULES: tuple[Rule, ...] = (
    Rule("critical", "the case is critical", severity=4, flag=True, task=_LEAD, notify=True),
    Rule("tagged", "the case is tagged critical", tag="critical", raise_to=4, flag=True, task=_LEAD, notify=True),
    Rule("malicious", "an observable is malicious", verdict="malicious", raise_to=3, flag=True),
    Rule(
        "unanswered", "a question to an analyst stands unanswered", unanswered=1800.0, flag=True,
        task="Answer the open approval", notify=True,
    ),
)  # fmt: skip
"""The rules that hold where nothing else is said."""

_Reader = Callable[[Any], Any]
_VERDICTS = ("malicious", "suspicious", "safe", "unknown")


def read_rules(text: str, source: str) -> tuple[Rule, ...]:
    """The rules of a file. Raises ConfigurationError with file, line and path for the first thing that is wrong."""
    root, faults = yamltree.read(text)
    if faults:
        raise ConfigurationError(f"{faults[0].message}.", source=source, line=faults[0].line)
    if root is None:
        return ()
    try:
        rules = [_rule(node, f"[{number}]") for number, node in enumerate(_listed(root, ""))]
        _once([(rule.name, node) for rule, node in zip(rules, root.value, strict=True)])
    except _Wrong as wrong:
        raise ConfigurationError(wrong.why, source=source, line=wrong.line, path=wrong.path or None) from None
    return tuple(rules)


class _Wrong(Exception):
    def __init__(self, node: Node, path: str, why: str):
        super().__init__(why)
        self.line, self.path, self.why = node.line, path, why


def _rule(node: Node, path: str) -> Rule:
    found = _map(node, path, _RULE)
    for name in ("name", "when", "then"):
        if name not in found:
            raise _Wrong(node, path, f"{name} is missing.")
    when = _map(node.value["when"], f"{path}.when", _WHEN)
    then = _map(node.value["then"], f"{path}.then", _THEN)
    if not when or not then:
        raise _Wrong(node, path, "when and then must each say something.")
    if "severity" in then:
        then["raise_to"] = then.pop("severity")
    return Rule(found["name"], found.get("why") or f"the rule {found['name']} holds", **when, **then)


def _map(node: Node, path: str, readers: Mapping[str, _Reader]) -> dict[str, Any]:
    if not isinstance(node.value, dict):
        raise _Wrong(node, path, f"must be a map of {', '.join(readers)}.")
    found = {}
    for name, entry in node.value.items():
        if name not in readers:
            raise _Wrong(entry, f"{path}.{name}", f"is not known here; {', '.join(readers)} are.")
        try:
            found[str(name)] = readers[name](yamltree.plain(entry))
        except (ValueError, InputError) as error:
            raise _Wrong(entry, f"{path}.{name}", f"{str(error).rstrip('.')}.") from None
    return found


def _listed(node: Node, path: str) -> list[Node]:
    if not isinstance(node.value, list):
        raise _Wrong(node, path, "must be a list of rules.")
    return node.value


def _once(names: list[tuple[str, Node]]) -> None:
    seen: set[str] = set()
    for name, node in names:
        if name in seen:
            raise _Wrong(node, name, "stands twice: a case is escalated once for each name.")
        seen.add(name)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text")
    return value.strip()


def _name(value: Any) -> str:
    text = _text(value)
    if not text.replace("-", "").replace("_", "").isalnum():
        raise ValueError("must be letters, digits and dashes")
    return text


def _severity(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 4:
        raise ValueError("must be a severity of TheHive, 1 (low) to 4 (critical)")
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _verdict(value: Any) -> str:
    if value not in _VERDICTS:
        raise ValueError(f"must be one of {', '.join(_VERDICTS)}")
    return str(value)


def _span(value: Any) -> float:
    return float(parse_duration(_text(value)))


_RULE: Mapping[str, _Reader] = {"name": _name, "why": _text, "when": lambda value: value, "then": lambda value: value}
_WHEN: Mapping[str, _Reader] = {
    "severity": _severity, "tag": _text, "verdict": _verdict, "unanswered": _span,
}  # fmt: skip
_THEN: Mapping[str, _Reader] = {
    "severity": _severity, "flag": _flag, "assign": _text, "task": _text, "notify": _flag,
}  # fmt: skip
