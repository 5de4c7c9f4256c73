"""Read a source file strictly: every fault is found at once, each with its line, and none is guessed away."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from propolis.errors import ConfigurationError
from propolis.verdict.reliability import GRADES
from propolis.verdict.report import LEVELS
from propolis.verdict.sources import HalfLife, Layer, Rule, fold

_LARGEST = 256 * 1024  # characters
_MOST = 2000  # entries
_DEEPEST = 10  # an entry's rules lie four deep
_UNITS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([hdw])")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class SourceFileError(ConfigurationError):
    """Everything that is wrong with a source file; `problems` has one error each."""

    def __init__(self, problems: list[ConfigurationError], source: str):
        self.problems = tuple(problems)
        shown = "\n".join(str(problem) for problem in problems[:20])
        more = f"\n... and {len(problems) - 20} more." if len(problems) > 20 else ""
        super().__init__(shown + more if len(problems) > 1 else problems[0].message)
        if len(problems) == 1:
            self.source, self.line, self.path = source, problems[0].line, problems[0].path


class _FaultError(Exception):
    """One fault, where it was found."""

    def __init__(self, node: yaml.Node, message: str):
        super().__init__(message)
        self.line = node.start_mark.line + 1


def read_layer(text: str, source: str) -> Layer:
    """The entries of a source file. Raises SourceFileError."""
    root = _compose(text, source)
    problems: list[ConfigurationError] = []
    exact: dict[str, dict[str, Any]] = {}
    patterns: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    for name, key, value in _pairs(root, source, problems):
        folded = fold(name)
        if folded in seen:
            problems.append(_problem(key, "stands here a second time: keep one of them.", source, name))
            continue
        seen.add(folded)
        entry = _entry(value, source, name, problems)
        if any(sign in folded for sign in "*?["):
            patterns.append((folded, entry))
        else:
            exact[folded] = entry
    if problems:
        raise SourceFileError(problems, source)
    return Layer(exact, patterns)


def _compose(text: str, source: str) -> yaml.Node | None:
    if len(text) > _LARGEST:
        raise _unusable("is larger than 256 KiB: no source file is.", source)
    try:
        _check_depth(text, source)
        return yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.rstrip().count("\n")) + 1 if mark else None
        raise _unusable(f"is not valid YAML: {error.problem or 'it cannot be read'}.", source, line) from None
    except (yaml.YAMLError, ValueError):
        raise _unusable("is not valid YAML: it cannot be read.", source) from None


def _check_depth(text: str, source: str) -> None:
    """Refuse deep nesting before anything recurses into it: the C composer would overflow its stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            mark = event.start_mark
            raise _unusable("is nested too deeply for a source file.", source, mark.line + 1 if mark else None)


def _unusable(message: str, source: str, line: int | None = None) -> SourceFileError:
    return SourceFileError([ConfigurationError(message, source=source, line=line)], source)


def _problem(node: yaml.Node, message: str, source: str, path: str) -> ConfigurationError:
    return ConfigurationError(message, source=source, line=node.start_mark.line + 1, path=path)


def _pairs(
    root: yaml.Node | None, source: str, problems: list[ConfigurationError]
) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Name, key node and value node of each entry."""
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        message = "must map analyzer names to entries, like  AbuseIPDB: {family: abuseipdb, grade: B}."
        problems.append(ConfigurationError(message, source=source, line=root.start_mark.line + 1))
        return
    if len(root.value) > _MOST:
        problems.append(ConfigurationError(f"has more than {_MOST} entries.", source=source))
        return
    for key, value in root.value:
        if isinstance(key, yaml.ScalarNode) and key.value.strip():
            yield key.value.strip(), key, value
        else:
            problems.append(_problem(key, "an entry's name must be a text.", source, ""))


def _entry(node: yaml.Node, source: str, name: str, problems: list[ConfigurationError]) -> dict[str, Any]:
    try:
        return _mapping(node, _KEYS, name, source, problems)
    except _FaultError as fault:
        problems.append(ConfigurationError(str(fault), source=source, line=fault.line, path=name))
        return {}


def _mapping(
    node: yaml.Node, keys: dict[str, _Reader], path: str, source: str, problems: list[ConfigurationError]
) -> dict[str, Any]:
    """The keys of a mapping, each read by its own reader; the faults of all of them are collected."""
    if not isinstance(node, yaml.MappingNode):
        raise _FaultError(node, f"must be a mapping with keys from {', '.join(keys)}.")
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        place = f"{path}.{name}"
        if name not in keys:
            problems.append(_problem(key, f"is not a key here: use one of {', '.join(keys)}.", source, place))
        elif _NAMES.get(name, name) in found:
            problems.append(_problem(key, "stands here a second time.", source, place))
        else:
            try:
                found[_NAMES.get(name, name)] = keys[name](value)
            except _FaultError as fault:
                problems.append(ConfigurationError(str(fault), source=source, line=fault.line, path=place))
    return found


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip() or node.tag == "tag:yaml.org,2002:null":
        raise _FaultError(node, "must be a text.")
    return str(node.value).strip()


def _choice(*choices: str) -> _Reader:
    def read(node: yaml.Node) -> str:
        text = _text(node)
        if text not in choices:
            raise _FaultError(node, f"must be one of {', '.join(choices)}, but is {text!r}.")
        return text

    return read


def _texts(node: yaml.Node) -> tuple[str, ...]:
    """A list of texts; a single text counts as a list of one."""
    if isinstance(node, yaml.SequenceNode):
        return tuple(_text(entry) for entry in node.value[:50])
    return (_text(node),)


def _folded(node: yaml.Node) -> tuple[str, ...]:
    return tuple(text.lower() for text in _texts(node))


def _fold_text(node: yaml.Node) -> str:
    return _text(node).lower()


def _flag(node: yaml.Node) -> bool:
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:bool":
        return str(node.value).lower() in ("true", "yes", "on")
    raise _FaultError(node, "must be true or false.")


def _number(node: yaml.Node) -> float:
    try:
        number = float(_text(node))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _FaultError(node, "must be a number.")
    return number


def _half_life(node: yaml.Node) -> HalfLife:
    text = _text(node).lower()
    if text == "none":
        return HalfLife(None)
    match = _DURATION.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise _FaultError(node, f"must be a time like 12h, 7d or 4w, or none, but is {text!r}.")
    return HalfLife(float(match[1]) * _UNITS[match[2]])


def _rules(node: yaml.Node) -> tuple[Rule, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise _FaultError(node, "must be a list of rules, each like {predicate: Pulses, least: 1, level: suspicious}.")
    rules = []
    for entry in node.value[:50]:
        faults: list[ConfigurationError] = []
        keys = _mapping(entry, _RULE_KEYS, "rule", "", faults)
        if faults:
            raise _FaultError(entry, f"{faults[0].path}: {faults[0].message}")
        if "level" not in keys:
            raise _FaultError(entry, "a rule needs a level.")
        rules.append(Rule(**keys))
    return tuple(rules)


_Reader = Callable[[yaml.Node], Any]
_NAMES = {"levels": "rules"}  # where the word for people is not the one in the code
_RULE_KEYS: dict[str, _Reader] = {
    "predicate": _fold_text,
    "value": _fold_text,
    "least": _number,
    "said": _choice("info", *LEVELS[:3]),
    "level": _choice(*LEVELS, "missing"),
    "clears": _fold_text,
}
_KEYS: dict[str, _Reader] = {
    "family": _text,
    "grade": _choice(*GRADES),
    "half_life": _half_life,
    "clears": _folded,
    "info": _choice("missing", "none"),
    "context": _flag,
    "verdict": _folded,
    "levels": _rules,
    "last_seen": _texts,
}
