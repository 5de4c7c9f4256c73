"""The store as bulk NDJSON: an action line and a document, kind after kind, page after page.

The `_id` of a document is told from the record's key, so that importing again overwrites and never doubles. That needs
plain indices: a data stream takes only `create`. Form of the lines: the Bulk API of Elasticsearch and of OpenSearch.

What an export missed nobody may miss: the newest audit line is read first, and whatever changes from then on belongs to
the next export, which `--after` that line's number begins a little before its moment.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TextIO

from playbook_service.audit.journal import LOG
from playbook_service.engine import approval, arrival, lease, placement, ruling
from playbook_service.export import documents
from playbook_service.export.fields import Document
from playbook_service.feedback import closure
from playbook_service.store.contract import Entry, Filter, Record, Store
from propolis.errors import ConfigurationError

INDICES = ("alerts", "decisions", "leases", "approvals", "cases", "audit")
_PAGE = 500
_OVERLAP = 60.0
"""Seconds by which an export goes back behind the line it follows: clocks of nodes differ a little."""
_INDEX = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_ID = re.compile(r"[A-Za-z0-9~][A-Za-z0-9._:~-]{0,199}")
Read = Callable[[Record, documents.Look], Document]


class Span(NamedTuple):
    """What is exported: records changed since a moment (seconds), audit lines above a number up to another."""

    since: float | None
    after: int
    upto: int


class Row(NamedTuple):
    """One document on its way. `into` is one of `INDICES`."""

    into: str
    id: str
    document: Document


_KINDS: tuple[tuple[str, str, Read], ...] = (
    ("alerts", arrival.KIND, lambda record, _look: documents.alert_document(record)),
    ("decisions", ruling.KIND, lambda record, _look: documents.decision_document(record)),
    ("leases", lease.KIND, documents.lease_document),
    ("approvals", approval.KIND, lambda record, _look: documents.approval_document(record)),
    ("cases", placement.CASE, documents.case_document),
)


def prefix(name: str) -> str:
    """The beginning of the indices' names. Raises ConfigurationError for one that Elasticsearch would refuse."""
    if not _INDEX.fullmatch(name):
        message = f"{name!r} is no name of an index: lower case letters, digits, dot, dash and underscore."
        raise ConfigurationError(message, source="--index")
    return name


def span(store: Store, *, since: float | None, after: int) -> Span:
    """What to export. Raises ConfigurationError for an `after` beyond the end of the chain."""
    with store.reading() as look:
        newest = look.last(LOG)
        line = next(iter(look.read(LOG, after=after - 1, limit=1)), None) if after > 0 else None
    upto = newest.number if newest else 0
    if after > upto:
        raise ConfigurationError(f"the audit chain ends at {upto}: there is nothing after {after}.", source="--after")
    moments = [moment for moment in (since, _moment(line)) if moment is not None]
    return Span(max(moments) if moments else None, after, upto)


def _moment(line: Entry | None) -> float | None:
    return line.at - _OVERLAP if line else None


def rows(store: Store, wanted: Span) -> Iterator[Row]:
    """Every document, a page of the store at a time: memory does not grow with what there is."""
    for index, kind, read in _KINDS:
        for page in _pages(store, kind):
            changed = [record for record in page if wanted.since is None or _changed(store, record) >= wanted.since]
            yield from _read(store, index, changed, read)
    yield from _audit(store, wanted)


def _pages(store: Store, kind: str) -> Iterator[list[Record]]:
    after: str | None = None
    while True:
        with store.reading() as look:
            page = look.find(kind, Filter(after_key=after, limit=_PAGE))
        yield page
        if len(page) < _PAGE:
            return
        after = page[-1].key


def _changed(store: Store, record: Record) -> float:
    """When it last changed; a case also when it was closed or opened again, which another record says."""
    if record.kind != placement.CASE:
        return record.updated_at
    with store.reading() as look:
        closed = look.get(closure.KIND, record.key)
    return max(record.updated_at, closed.updated_at) if closed else record.updated_at


def _read(store: Store, index: str, page: list[Record], read: Read) -> list[Row]:
    with store.reading() as look:
        return [Row(index, id_of(record.key), read(record, look.get)) for record in page]


def _audit(store: Store, wanted: Span) -> Iterator[Row]:
    after = wanted.after
    while after < wanted.upto:
        with store.reading() as look:
            batch = look.read(LOG, after=after, limit=min(_PAGE, wanted.upto - after))
            found = [_line(entry, look.get) for entry in batch if _is_new(entry, wanted.since)]
        yield from found
        if not batch:
            return
        after = batch[-1].number


def _line(entry: Entry, look: documents.Look) -> Row:
    return Row("audit", str(entry.number), documents.audit_document(entry, look))


def _is_new(entry: Entry, since: float | None) -> bool:
    return since is None or entry.at >= since


def id_of(key: str) -> str:
    """A document's `_id`: the key itself, or its hash where it is long or holds what an id should not."""
    return key if _ID.fullmatch(key) else f"h{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def lines(row: Row, beginning: str) -> str:
    """The two lines of a document, to be written at once."""
    action = {"index": {"_index": f"{beginning}-{row.into}", "_id": row.id}}
    return f"{_json(action)}\n{_json(row.document)}\n"


def write(store: Store, wanted: Span, beginning: str, target: TextIO, tick: Callable[[int], None]) -> dict[str, int]:
    """Write everything; how many documents each index got."""
    counts = dict.fromkeys(INDICES, 0)
    for number, row in enumerate(rows(store, wanted), 1):
        target.write(lines(row, beginning))
        counts[row.into] += 1
        tick(number)
    return counts


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
