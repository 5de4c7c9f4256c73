"""Read a YAML document strictly, with the line of everything in it, and without what makes YAML dangerous.

Aliases, anchors and tags are refused, so nothing can multiply or construct; depth and size are bounded; a key may stand
once. The parser's events are read one by one, so nothing is built before it was looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

MOST_TEXT = 262_144
_DEEPEST = 12
_MOST_NODES = 50_000


class Fault(NamedTuple):
    """One thing that is wrong: where (one-based line, path in dotted form) and what."""

    line: int | None
    path: str
    message: str


class Node(NamedTuple):
    """A value and its line: a scalar, a list of nodes, or a dict of nodes by key."""

    value: Any
    line: int


def plain(node: Node) -> Any:
    """The value without its lines, as JSON would hold it."""
    if isinstance(node.value, dict):
        return {name: plain(entry) for name, entry in node.value.items()}
    if isinstance(node.value, list):
        return [plain(entry) for entry in node.value]
    return node.value


class UnfitError(Exception):
    """The document cannot be read at all."""

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.fault = Fault(line, "", message)


def read(text: str) -> tuple[Node | None, list[Fault]]:
    """The document's root (None for an empty one) and what is wrong with its form."""
    if len(text) > MOST_TEXT:
        return None, [Fault(None, "", f"it is longer than {MOST_TEXT // 1024} KiB")]
    reader = _Reader(text)
    try:
        return reader.document(), reader.faults
    except UnfitError as error:
        return None, [*reader.faults, error.fault]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return None, [Fault(mark.line + 1 if mark else None, "", f"it is not YAML: {error.problem}")]
    except (yaml.YAMLError, ValueError, RecursionError):
        return None, [Fault(None, "", "it is not YAML: it holds characters that no text has")]


class _Reader:
    def __init__(self, text: str):
        self.faults: list[Fault] = []
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._resolver: Any = yaml.SafeLoader("")
        self._nodes = 0

    def document(self) -> Node | None:
        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise UnfitError("it holds more than one document", _line(event))
                root = self._node(next(self._events), "", 0)
        return root

    def _node(self, event: Any, path: str, depth: int) -> Node:
        self._check(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._sequence(path, depth), _line(event))
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self._mapping(path, depth), _line(event))
        return Node(self._scalar(event), _line(event))

    def _check(self, event: Any, depth: int) -> None:
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise UnfitError("anchors (&) and aliases (*) are not allowed; write the value out", _line(event))
        if event.tag is not None:
            raise UnfitError("tags (!) are not allowed", _line(event))
        if depth > _DEEPEST or self._nodes > _MOST_NODES:
            raise UnfitError("it is nested too deeply or holds too much", _line(event))

    def _sequence(self, path: str, depth: int) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, f"{path}[{len(items)}]", depth + 1))
        return items

    def _mapping(self, path: str, depth: int) -> dict[str, Node]:
        items: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, path, depth + 1)
            name = key.value if isinstance(key.value, str) else "?"
            place = f"{path}.{name}" if path else name
            value = self._node(next(self._events), place, depth + 1)
            if not isinstance(key.value, str):
                self.faults.append(Fault(key.line, path, "a key must be text"))
            elif name in items:
                self.faults.append(Fault(key.line, place, "this key stands here twice"))
            else:
                items[name] = value
        return items

    def _scalar(self, event: Any) -> Any:
        tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        node = yaml.ScalarNode(tag, event.value)
        try:
            return self._resolver.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            raise UnfitError("a value cannot be read; quote it if it is text", _line(event)) from error


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
