"""Which audit lines name a decision, a lease or a case: found without reading the chain.

Record `audit-of`, key `<what is named>:<the line's number, counted down>`, ref = what is named: so the newest come
first. It is written with the line, and never forgotten, as the chain is not. It proves nothing: what it leads to is
read from the chain, and verified there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from playbook_service.store.contract import Entry, Filter, Fresh, Transaction

KIND = "audit-of"
NAMES = ("decision", "lease", "case")
"""The facts of a line by which it is found. A lease, the question about it and its decision have one id."""
MARK = ("control", KIND)
"""The record that says up to which line an older version's lines were entered: body `after`; state `done`: all."""
_LAST = 10**12
_MOST = 200  # characters: what is longer, or not ASCII, is no id


def is_whole(work: Transaction) -> bool:
    """Can every line be found by what it names? Lines of an older version are entered when the service starts."""
    mark = work.get(*MARK)
    return mark is not None and bool(mark.state)


def note(work: Transaction, entries: Iterable[Entry]) -> None:
    """Enter lines of the chain; one that was just written in the same transaction. Twice is once."""
    work.enter(KIND, [mention for entry in entries for mention in _mentions(entry.number, entry.body)])


def _mentions(number: int, line: Mapping[str, Any]) -> list[Fresh]:
    named = dict.fromkeys(str(line[name]) for name in NAMES if line.get(name))
    return [Fresh(f"{value}:{_LAST - number:012d}", {}, ref=value) for value in named if _is_id(value)]


def _is_id(value: str) -> bool:
    return len(value) <= _MOST and value.isascii()


def numbers(work: Transaction, of: str, *, below: int = 0, limit: int = 50) -> list[int]:
    """The numbers of the lines that name it, newest first; only those `below` a number, where one is given."""
    after = f"{of}:{_LAST - below:012d}" if below else None
    found = work.find(KIND, Filter(ref=of, after_key=after, limit=limit))
    return [_LAST - int(record.key.rpartition(":")[2]) for record in found]
