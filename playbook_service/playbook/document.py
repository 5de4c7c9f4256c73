"""Strict YAML: text -> `Node` trees that know their line and path.

A subset of YAML 1.2 on purpose. Values are text, whole numbers, decimals, true/false or nothing; `on`, `yes` and `012`
stay text (YAML 1.1, PyYAML's habit, would make them True, True and 10). Refused: anchors and aliases (a few lines can
stand for gigabytes), tags, duplicate keys, keys that are not text, more than 1 MB, deep or huge trees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from playbook_service.playbook.fault import PlaybookError, shorten

MAX_BYTES = 1_000_000
MAX_DEPTH = 16
MAX_NODES = 20_000

INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
DECIMAL = re.compile(r"[-+]?[0-9]{1,17}\.[0-9]{1,17}\Z")
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True)
class Node:
    """One value of a document. `line` is one-based; for a value under a key it is the line of the key."""

    value: str | int | float | bool | list[Node] | dict[str, Node] | None
    line: int
    path: str
    source: str

    def fault(self, message: str) -> PlaybookError:
        """A fault at this place."""
        return PlaybookError(message, source=self.source, line=self.line, path=self.path or None)

    def plain(self) -> Plain:
        """The value without places, as JSON would hold it."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    @property
    def kind(self) -> str:
        """What the value is, in an author's words."""
        if self.value in ([], {}):
            return "an empty list" if isinstance(self.value, list) else "an empty map"
        return KINDS.get(type(self.value), "a value")


KINDS: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a decimal number",
    bool: "true/false",
    type(None): "nothing",
    list: "a list",
    dict: "a map",
}


def parse(data: bytes, source: str) -> tuple[list[Node], list[PlaybookError]]:
    """All documents of one file and the faults found on the way; never raises for what the file holds."""
    faults: list[PlaybookError] = []
    try:
        loader = StrictLoader(_decode(data, source), source, faults)
        return list(loader.documents()), faults
    except PlaybookError as fault:
        return [], [*faults, fault]
    except yaml.YAMLError as error:
        return [], [*faults, _syntax_fault(error, source)]


def _decode(data: bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        raise PlaybookError(
            f"the file is larger than {MAX_BYTES:,} bytes; a playbook is a page of text.", source=source
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PlaybookError("the file is UTF-16; save it as UTF-8.", source=source, line=1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PlaybookError("the file is not UTF-8; save it as UTF-8.", source=source, line=line) from None
    unprintable = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        code = ord(unprintable.group())
        raise PlaybookError(f"the file holds a control character (U+{code:04X}); remove it.", source=source, line=line)
    return text


def _syntax_fault(error: yaml.YAMLError, source: str) -> PlaybookError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    if "'\\t'" in problem:
        problem = "a tab is used where YAML takes blanks only"
    message = f"this is not YAML: {shorten(problem, 160)}."
    return PlaybookError(message, source=source, line=mark.line + 1 if mark else None)


class StrictLoader(yaml.SafeLoader):
    """Composes `Node`s from PyYAML's events, refusing what the module's text names."""

    def __init__(self, text: str, source: str, faults: list[PlaybookError]):
        super().__init__(text)
        self._source = source
        self._faults = faults
        self._left = MAX_NODES

    def documents(self) -> Iterator[Node]:
        """One node per `---` document; empty documents are left out."""
        self._next()
        while not self.check_event(yaml.StreamEndEvent):
            self._next()
            node = self._compose("", 0, None)
            if node.value is not None:
                yield node
            self._next()

    def _next(self) -> Any:
        return self.get_event()  # type: ignore[no-untyped-call]

    def _compose(self, path: str, depth: int, line: int | None) -> Node:
        event = self._next()
        line = line or event.start_mark.line + 1
        self._check(event, path, depth, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._sequence(path, depth), line, path, self._source)
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self._mapping(path, depth), line, path, self._source)
        return Node(_scalar(event), line, path, self._source)

    def _check(self, event: Any, path: str, depth: int, line: int) -> None:
        self._left -= 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._fault("anchors and aliases (& and *) are not taken; write the value out.", line, path)
        if getattr(event, "tag", None) is not None:
            raise self._fault(f'tags are not taken ("{shorten(str(getattr(event, "tag", "")))}").', line, path)
        if depth > MAX_DEPTH:
            raise self._fault(f"nested deeper than {MAX_DEPTH} levels.", line, "")
        if self._left < 0:
            raise self._fault(f"more than {MAX_NODES:,} values in one file.", line, "")

    def _sequence(self, path: str, depth: int) -> list[Node]:
        nodes: list[Node] = []
        while not self.check_event(yaml.SequenceEndEvent):
            nodes.append(self._compose(f"{path}[{len(nodes)}]", depth + 1, None))
        self._next()
        return nodes

    def _mapping(self, path: str, depth: int) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        while not self.check_event(yaml.MappingEndEvent):
            key, line = self._key(path)
            node = self._compose(f"{path}.{shorten(key)}" if path else shorten(key), depth + 1, line)
            if key in nodes:
                first = nodes[key].line
                self._faults.append(node.fault(f"the key stands here twice (first in line {first})."))
            nodes.setdefault(key, node)
        self._next()
        return nodes

    def _key(self, path: str) -> tuple[str, int]:
        event = self._next()
        line = event.start_mark.line + 1
        self._check(event, path, 0, line)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._fault("a key must be text, not a list or a map.", line, path)
        return event.value, line

    def _fault(self, message: str, line: int, path: str) -> PlaybookError:
        return PlaybookError(message, source=self._source, line=line, path=path or None)


def _scalar(event: Any) -> str | int | float | bool | None:
    text = str(event.value)
    if event.style is not None:
        return text
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if INTEGER.match(text):
        return int(text)
    return float(text) if DECIMAL.match(text) else text
