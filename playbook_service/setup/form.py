"""Read the nodes of the set-up file, every fault kept with its line and its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from playbook_service.setup.value import Given, Sources, is_reference
from propolis.worker.secrets import sounds_secret
from propolis.yamltree import Fault, Node, plain


class Form:
    """Reads values and collects what is wrong with them; a faulty value is read as empty."""

    def __init__(self, sources: Sources):
        self.faults: list[Fault] = []
        self.sources = sources

    def fault(self, node: Node | None, path: str, message: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(None if node is None else node.line, path, message))

    def table(self, node: Node | None, path: str, known: Iterable[str], needed: Iterable[str] = ()) -> dict[str, Node]:
        """A map with these keys and no others; an empty one where it is not."""
        names = tuple(known)
        if node is None or not isinstance(node.value, dict):
            self.fault(node, path, f"must be a map with {', '.join(names)}")
            return {}
        for name, entry in node.value.items():
            if name not in names:
                self.fault(entry, _join(path, name), f"is unknown here; known are {', '.join(names)}")
        for name in needed:
            if name not in node.value:
                self.fault(node, _join(path, name), "is missing")
        return {name: entry for name, entry in node.value.items() if name in names}

    def rows(self, node: Node | None, path: str) -> list[tuple[Node, str]]:
        """The entries of a list, each with its path; none where it is not given."""
        if node is None or node.value is None:
            return []
        if not isinstance(node.value, list):
            self.fault(node, path, "must be a list")
            return []
        return [(entry, f"{path}[{number}]") for number, entry in enumerate(node.value)]

    def given(self, node: Node, path: str, *, secret: bool = False) -> Given:
        """Any value, with references looked up. `secret`: it must be a reference."""
        if isinstance(node.value, dict):
            return self._reference(node, path)
        if secret and isinstance(node.value, str) and node.value:
            self.fault(node, path, "is a secret: give it as {file: PATH} or {env: NAME}")
            return Given("")
        if isinstance(node.value, list):
            entries = [self.given(entry, f"{path}[{n}]", secret=secret) for n, entry in enumerate(node.value)]
            origins = [entry.origin for entry in entries if entry.origin]
            return Given([entry.value for entry in entries], origins[0] if origins else "")
        if node.value is not None and not isinstance(node.value, (str, int, float, bool)):
            self.fault(node, path, "must be a text, a number, true or false; quote it")
            return Given("")
        return Given(node.value)

    def _reference(self, node: Node, path: str) -> Given:
        found = plain(node)
        if not is_reference(found):
            self.fault(node, path, "must be a value, {file: PATH} or {env: NAME}")
            return Given("")
        ((kind, name),) = found.items()
        if not isinstance(name, str) or not name:
            self.fault(node, path, f"{kind} needs a name")
            return Given("")
        try:
            return self.sources.resolve(kind, name)
        except ValueError as error:
            self.fault(node, path, str(error))
            return Given("")

    def text(self, table: dict[str, Node], name: str, path: str, default: str = "") -> str:
        """A text of a map, also by reference."""
        return str(self.text_from(table, name, path, default).value)

    def text_from(self, table: dict[str, Node], name: str, path: str, default: str = "") -> Given:
        """A text of a map and where it is from; a name that sounds secret must be a reference."""
        node = table.get(name)
        if node is None or node.value is None:
            return Given(default)
        place = _join(path, name)
        found = self.given(node, place, secret=sounds_secret(name))
        if not isinstance(found.value, str):
            self.fault(node, place, "must be a text; quote it")
            return Given(default)
        return found

    def texts(self, table: dict[str, Node], name: str, path: str) -> tuple[str, ...]:
        """A list of texts of a map."""
        found = []
        for node, place in self.rows(table.get(name), _join(path, name)):
            if isinstance(node.value, str) and node.value:
                found.append(node.value)
            else:
                self.fault(node, place, "must be a text")
        return tuple(found)

    def number(self, table: dict[str, Node], name: str, path: str, low: int, high: int) -> int | None:
        """A whole number of a map between two bounds, None where it is not given."""
        node = table.get(name)
        if node is None or node.value is None:
            return None
        value: Any = node.value
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fault(node, _join(path, name), f"must be a whole number from {low} to {high}")
            return None
        return value

    def choice(self, table: dict[str, Node], name: str, path: str, words: Iterable[str], default: str = "") -> str:
        """One of some words."""
        found = self.text(table, name, path, default)
        if found not in (*words, default):
            self.fault(table[name], _join(path, name), f"must be one of {', '.join(words)}")
        return found


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
