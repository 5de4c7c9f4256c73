"""What a table of a log source is made of, and how its rows are laid over a document.

A row names a path from the top of the alert (`data.win.eventdata.ipAddress`), a kind (what the field holds) and the
role the value plays. Lists are transparent: `data.answers` reads every element of a list, so a table is indifferent to
Wazuh giving a scalar, a list or a list of objects at the same path in different alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from propolis.observables.kinds import Kind
from propolis.observables.model import Found

DEEPEST = 32  # levels of lists within lists (or objects) that are followed
Composed = Iterable[tuple[Found, str]]


class Row(NamedTuple):
    """One line of a table."""

    path: str
    kind: Kind
    role: str


class Source(NamedTuple):
    """A log source: its rows, what is composed of several fields, and whether well-known names count elsewhere too.

    `loose` tells that fields outside the rows are read by their well-known names (`src_ip`, `user_name`, ...): right
    for flat decoders and unknown sources, wrong for a source whose schema the rows know.
    """

    name: str
    rows: tuple[Row, ...]
    compose: Callable[[dict[str, Any]], Composed] | None = None
    loose: bool = False


def rows(prefix: str, *lines: tuple[Any, ...]) -> tuple[Row, ...]:
    """Rows below a common path: `rows("data", (kinds.ip, "source", "srcip", "src_ip"), ...)`."""
    start = prefix + "." if prefix else ""
    return tuple(Row(start + name, kind, role) for kind, role, *names in lines for name in names)


class Branch:
    """The rows of a source as a tree of field names, so that an alert is walked once, whatever the number of rows."""

    __slots__ = ("children", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.children: dict[str, Branch] = {}


def tree(table: Iterable[Row]) -> Branch:
    """Arrange rows by path."""
    root = Branch()
    for row in table:
        node = root
        for name in row.path.split("."):
            node = node.children.setdefault(name, Branch())
        node.rows.append(row)
    return root


def walk(node: Any, branch: Branch, read: Callable[[Row, str], None], depth: int = 0) -> None:
    """Hand every text that a row points at to `read`; numbers count as their text, the rest is passed over."""
    kind = type(node)
    if kind is dict:
        for name, child in branch.children.items():
            if name in node:
                walk(node[name], child, read, depth)
    elif kind is str:
        for row in branch.rows:
            read(row, node)
    elif kind is list:
        if depth < DEEPEST:
            for entry in node:
                walk(entry, branch, read, depth + 1)
    elif kind is int or kind is float:
        for row in branch.rows:
            read(row, str(node))


def text(document: Any, *names: str) -> str:
    """The text at a path, or the empty string."""
    for name in names:
        if not isinstance(document, dict):
            return ""
        document = document.get(name)
    return document if isinstance(document, str) else ""


def part(document: Any, *names: str) -> dict[str, Any]:
    """The object at a path, or an empty one."""
    for name in names:
        if not isinstance(document, dict):
            return {}
        document = document.get(name)
    return document if isinstance(document, dict) else {}
