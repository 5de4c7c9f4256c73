"""The audit chain in the store, and the files that are derived from it.

A line is written in the transaction of the intent it describes, behind the store's own lock on the head of the log: the
chain has one total order also with several nodes. Files are copies for people and tools; they can be made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from playbook_service.audit import index
from playbook_service.audit.chain import Anchor, Finding, Line, anchor_of, seal, verify
from playbook_service.engine.crashpoint import reached
from playbook_service.logs import trail
from playbook_service.store.contract import Conflict, Store, Transaction
from propolis.clock import Clock, utc_text
from propolis.errors import InputError

LOG = "audit"
_BATCH = 500


class Checked(NamedTuple):
    """What came of checking a chain: how many lines it has, its head, and what is wrong with it."""

    lines: int
    head: Anchor | None
    findings: list[Finding]


class Journal:
    """The chain of one service."""

    def __init__(self, store: Store, clock: Clock):
        self._store = store
        self._clock = clock

    def write(self, work: Transaction, action: str, **facts: Any) -> Line:
        """Add a line to the transaction of what it tells of. `facts` are JSON values; None is left out."""
        newest = work.last(LOG)
        previous = anchor_of(newest.body) if newest else None
        told = {**facts, "trace": trail.trace() or None}  # of the alert that led to this, where it is one
        entry = {"action": action, **{name: value for name, value in told.items() if value is not None}}
        line = seal(previous, utc_text(self._clock.now()), entry)
        index.note(work, [work.append(LOG, line)])
        reached("audit.entered")
        trail.wrote(line)
        return line

    def head(self) -> Anchor | None:
        """The newest line's anchor, to be kept elsewhere."""
        with self._store.reading() as work:
            newest = work.last(LOG)
        return anchor_of(newest.body) if newest else None

    def lines(self, after: int = 0) -> Iterator[Line]:
        """All lines above a number, read in batches, a look for each; what is added meanwhile comes too."""
        while True:
            with self._store.reading() as work:
                batch = work.read(LOG, after=after, limit=_BATCH)
            yield from (entry.body for entry in batch)
            if len(batch) < _BATCH:
                return
            after = batch[-1].number

    def verify(self, anchors: tuple[Anchor, ...] = ()) -> list[Finding]:
        """Check the chain in the store against itself and the anchors."""
        return self.check(anchors).findings

    def check(self, anchors: tuple[Anchor, ...] = ()) -> Checked:
        """As `verify`, with the number of lines and the head that were found; it writes nothing and holds nobody up."""
        seen = _Seen(self.lines())
        findings = verify(seen, anchors)
        return Checked(seen.count, seen.head, findings)

    def complete_index(self) -> int:
        """Enter the lines of an older version into the index, once, in transactions of a few hundred; returns how many
        were entered. Killed in the middle it goes on from there; several nodes at once share the work."""
        entered = 0
        while True:
            try:
                number, whole = self._enter_some()
            except Conflict:  # another node entered the same at this moment
                continue
            entered += number
            if whole:
                return entered

    def _enter_some(self) -> tuple[int, bool]:
        """How many were entered, and whether they were the last."""
        with self._store.transaction() as work:
            mark = work.get(*index.MARK)
            if mark is not None and mark.state:
                return 0, True
            after = int(mark.body["after"]) if mark else 0
            batch = work.read(LOG, after=after, limit=_BATCH)
            index.note(work, batch)
            whole = len(batch) < _BATCH
            told = {"after": after + len(batch)}
            work.save(*index.MARK, told, version=mark.version if mark else 0, state="done" if whole else "")
        return len(batch), whole


class _Seen:
    """Lines on their way, counted, with the anchor of the last one that has one."""

    def __init__(self, lines: Iterator[Line]):
        self._lines = lines
        self.count = 0
        self.head: Anchor | None = None

    def __iter__(self) -> Iterator[Line]:
        for line in self._lines:
            self.count += 1
            if {"n", "hash"} <= line.keys():
                self.head = anchor_of(line)
            yield line


class AuditFiles:
    """The chain as JSON lines in `audit-<first number>.jsonl`, a new file every so many lines."""

    def __init__(self, folder: Path, lines_each: int = 100_000):
        self._folder = folder
        self._lines_each = lines_each

    def catch_up(self, journal: Journal) -> int:
        """Append what the files lack, mending a last line that a crash cut short; returns how many lines were added."""
        self._folder.mkdir(parents=True, exist_ok=True)
        written = self._mended_end()
        added = 0
        for line in journal.lines(after=written):
            self._append(line)
            added += 1
        return added

    def paths(self) -> list[Path]:
        """The files in the order of their lines."""
        return sorted(self._folder.glob("audit-*.jsonl"))

    def _append(self, line: Mapping[str, Any]) -> None:
        first = (int(line["n"]) - 1) // self._lines_each * self._lines_each + 1
        path = self._folder / f"audit-{first:012d}.jsonl"
        with path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            handle.flush()
            reached("audit.written")
            os.fsync(handle.fileno())

    def _mended_end(self) -> int:
        """The number of the last whole line; a torn one after it is cut off."""
        for path in reversed(self.paths()):
            whole = path.read_bytes()
            kept = whole[: whole.rfind(b"\n") + 1]
            if kept != whole:
                os.truncate(path, len(kept))
            if kept:
                return int(json.loads(kept.splitlines()[-1])["n"])
        return 0


def read_lines(paths: list[Path]) -> Iterator[Any]:
    """The lines of audit files, what cannot be parsed as None. Raises InputError for a file that cannot be read."""
    for path in paths:
        try:
            with path.open(encoding="utf-8") as handle:
                for text in handle:
                    yield _parsed(text)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read: {error}.", source=str(path)) from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
