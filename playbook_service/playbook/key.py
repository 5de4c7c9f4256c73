"""What a map in a playbook may hold: keys as data (how to read each, needed or not, what it means)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from playbook_service.playbook.document import Node
from playbook_service.playbook.fault import PlaybookError, PlaybookErrors, unknown
from propolis.duration import parse_duration
from propolis.errors import PropolisError

Reader = Callable[[Node], Any]

MAX_TEXT = 4_000
MAX_NAMES = 100


class Key(NamedTuple):
    """One key. `read` gives the value or raises PlaybookError(s); `default` stands in where the key is absent."""

    read: Reader
    help: str
    required: bool = False
    default: Any = None


def read_map(node: Node, keys: Mapping[str, Key], what: str, faults: list[PlaybookError]) -> dict[str, Any]:
    """The values of a map by key, defaults filled in; every fault in it is added to `faults`."""
    if not isinstance(node.value, dict):
        faults.append(node.fault(f"{what} is a map of keys, not {node.kind}."))
        return {}
    for name, child in node.value.items():
        if name not in keys:
            faults.append(child.fault(unknown(f"key in {what}", name, keys)))
    for name, key in keys.items():
        if key.required and name not in node.value:
            faults.append(node.fault(f'the key "{name}" is missing ({key.help}).'))
    return {name: _read(node.value.get(name), key, faults) for name, key in keys.items()}


def _read(node: Node | None, key: Key, faults: list[PlaybookError]) -> Any:
    if node is None:
        return key.default
    try:
        return key.read(node)
    except PlaybookErrors as errors:
        faults.extend(errors.faults)
    except PlaybookError as fault:
        faults.append(fault)
    return key.default


def text(node: Node) -> str:
    """Text that is not empty."""
    if not isinstance(node.value, str):
        quotes = " (put it in quotes)" if isinstance(node.value, (bool, int, float)) else ""
        raise node.fault(f"this must be text, not {node.kind}{quotes}.")
    if not node.value.strip():
        raise node.fault("the text is empty.")
    if len(node.value) > MAX_TEXT:
        raise node.fault(f"the text is longer than {MAX_TEXT:,} characters.")
    return node.value.strip()


def flag(node: Node) -> bool:
    """true or false, and no other spelling."""
    if not isinstance(node.value, bool):
        raise node.fault(f"this must be true or false, not {node.kind}.")
    return node.value


def names(node: Node) -> tuple[str, ...]:
    """One text or a list of texts, each once."""
    entries = node.value if isinstance(node.value, list) else [node]
    if not entries:
        raise node.fault("the list is empty.")
    if len(entries) > MAX_NAMES:
        raise node.fault(f"more than {MAX_NAMES} entries.")
    found = tuple(text(entry) for entry in entries)
    for index, name in enumerate(found):
        if name in found[:index]:
            raise entries[index].fault(f'"{name}" stands here twice.')
    return found


def duration(node: Node) -> int:
    """Seconds, from text such as `10m`, `24h` or `7d`."""
    if not isinstance(node.value, str):
        raise node.fault(f"a duration is text such as 10m, 24h or 7d, not {node.kind}.")
    try:
        seconds = parse_duration(node.value)
    except PropolisError as error:
        raise node.fault(error.message) from None
    if seconds <= 0:
        raise node.fault("a duration must be longer than nothing.")
    return seconds


def one_of(words: Iterable[str], what: str) -> Reader:
    """One word of a closed list."""
    valid = tuple(words)

    def read(node: Node) -> str:
        word = str(node.plain())
        if word not in valid:
            raise node.fault(unknown(what, word, valid))
        return word

    return read


def some_of(words: Iterable[str], what: str) -> Reader:
    """One or several words of a closed list."""
    valid = tuple(words)

    def read(node: Node) -> tuple[str, ...]:
        found = names(node)
        for word in found:
            if word not in valid:
                raise node.fault(unknown(what, word, valid))
        return found

    return read
