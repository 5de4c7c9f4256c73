"""Which text of a playbook decided from when on: kept whenever the set that is in use is another than before.

Record `playbook-version`, key `<name>:<moment, counted down>`, so that the newest comes first: ref = the playbook's
name; body `name`, `digest` (empty: from then on it was not there any more), `source` (the file), `text` (the file's, as
it was read), `at`. Record `control`, key `playbooks`: body `digest` (of the set) and `books` (name -> digest).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from playbook_service.audit.journal import Journal
from playbook_service.playbook.document import MAX_BYTES, parse
from playbook_service.playbook.fault import PlaybookError
from playbook_service.playbook.model import Playbook, Playbooks
from playbook_service.playbook.reader import read_playbook
from playbook_service.store.contract import Filter, Record, Store, Transaction
from propolis.clock import Clock

KIND = "playbook-version"
_SET = ("control", "playbooks")
MOST = 100
"""Versions of one playbook that are kept."""
_LAST = 10**13  # milliseconds; the year 2286


class Version(NamedTuple):
    """One text of a playbook, in use since `at` (seconds since the epoch). `text` is that of its whole file; empty
    where the file had changed again before it could be kept."""

    key: str
    name: str
    digest: str
    source: str
    text: str
    at: float


class Versions:
    """Keeps them for one node; asked often, it looks at the store only where the set is another than the last time."""

    def __init__(self, store: Store, journal: Journal, clock: Clock):
        self._store = store
        self._journal = journal
        self._clock = clock
        self._noted = ""

    def note(self, playbooks: Playbooks) -> int:
        """Keep what is new in the set in use; returns how many versions. Raises StoreError, Conflict."""
        if playbooks.digest == self._noted:
            return 0
        with self._store.transaction() as work:
            number = self._note(work, playbooks)
        self._noted = playbooks.digest
        return number

    def _note(self, work: Transaction, playbooks: Playbooks) -> int:
        record = work.get(*_SET)
        known: Mapping[str, str] = record.body["books"] if record else {}
        books = {book.name: book for book in playbooks}
        new = [book for book in playbooks if known.get(book.name) != book.digest]
        gone = sorted(known.keys() - books.keys())
        if not new and not gone:
            return 0
        at = self._clock.now()
        for name, body in [*_bodies(new), *((name, _blank(name)) for name in gone)]:
            _save(work, name, {**body, "at": at})
        digests = {name: book.digest for name, book in books.items()}
        work.save(*_SET, {"digest": playbooks.digest, "books": digests}, version=record.version if record else 0)
        self._journal.write(
            work, "playbooks read", playbooks=playbooks.digest, changed={book.name: book.digest for book in new},
            removed=gone or None,
        )  # fmt: skip
        return len(new) + len(gone)


def _bodies(books: Iterable[Playbook]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (book.name, {"name": book.name, "digest": book.digest, "source": book.source, "text": text_of(book)})
        for book in books
    ]


def _blank(name: str) -> dict[str, Any]:
    return {"name": name, "digest": "", "source": "", "text": ""}


def _save(work: Transaction, name: str, body: dict[str, Any]) -> None:
    work.save(KIND, f"{name}:{_LAST - int(body['at'] * 1000):013d}", body, ref=name)
    for old in work.find(KIND, Filter(ref=name, limit=2 * MOST))[MOST:]:
        work.delete(KIND, old.key)


def text_of(book: Playbook) -> str:
    """The text of the file that holds a playbook, if what is there now is still what was read; else empty."""
    data = on_disk(book)
    faults: list[PlaybookError] = []
    nodes, _ = parse(data, book.source)
    digests = [found.digest for node in nodes if (found := read_playbook(node, faults)) and found.name == book.name]
    return data.decode("utf-8-sig", "replace") if digests == [book.digest] else ""


def on_disk(book: Playbook) -> bytes:
    """What the playbook's file holds now, sound or not; nothing where it cannot be read."""
    try:
        with Path(book.source).open("rb") as stream:
            return stream.read(MAX_BYTES)
    except OSError:
        return b""


def versions(work: Transaction, name: str, most: int = MOST) -> list[Version]:
    """The versions of a playbook, newest first."""
    return [_version(record) for record in work.find(KIND, Filter(ref=name, limit=most))]


def _version(record: Record) -> Version:
    body = record.body
    return Version(record.key, body["name"], body["digest"], body["source"], body["text"], float(body["at"]))
