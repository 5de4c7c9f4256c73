"""The store's file: copied while others write it, and looked at."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from playbook_service.audit.chain import Anchor, Finding, verify
from playbook_service.store.contract import StoreError
from playbook_service.store.schema import MIGRATIONS

_PAGES = 4096
_BUSY_SECONDS = 30.0
_COUNTS = {
    "work": "select queue || ' ' || state, count(*) from work group by queue, state",
    "record": "select trim(kind || ' ' || state), count(*) from record group by kind, state",
    "log": "select log, count(*) from log group by log",
}


def copy(source: Path, target: Path, progress: Callable[[float], None]) -> None:
    """One moment of the store, as a file by itself. Writers are not held up: the copy reads one snapshot of the WAL.

    `progress` hears the part that is done. Raises StoreError.
    """
    try:
        with closing(_connect(source, "rw")) as origin, closing(sqlite3.connect(target)) as copied:
            # A snapshot that is held: without it the copy would begin anew with every commit of the service.
            origin.execute("begin")
            origin.execute("select count(*) from sqlite_master").fetchone()
            origin.backup(copied, pages=_PAGES, progress=lambda _, left, all_: progress(1 - left / max(all_, 1)))
            origin.execute("rollback")
            copied.execute("pragma journal_mode = delete")  # one file, without a log beside it
    except sqlite3.Error as error:
        raise StoreError(f"The store {source} cannot be copied: {error}.") from None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )


class Copy:
    """A copied store, for reading; use as a context manager. Every method raises StoreError for one that is damaged."""

    def __init__(self, path: Path):
        self._path = path
        self._connection = _connect(path, "ro")

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def schema(self) -> int:
        """The version of its tables."""
        return int(self._rows("pragma user_version")[0][0])

    def counts(self) -> dict[str, dict[str, int]]:
        """How much of everything there is."""
        return {table: {str(name): int(count) for name, count in self._rows(sql)} for table, sql in _COUNTS.items()}

    def damage(self) -> str:
        """What SQLite itself finds wrong with the file; empty where nothing is."""
        said = [str(row[0]) for row in self._rows("pragma integrity_check(5)")]
        return "" if said == ["ok"] else "; ".join(said)

    def lines(self) -> Iterator[Any]:
        """The audit chain."""
        return self._bodies("audit")

    def head(self) -> str:
        """`<number>:<hash>` of the chain's last line; empty where there is none."""
        rows = self._rows("select body from log where log = 'audit' order by number desc limit 1")
        line = _parsed(rows[0][0]) if rows else None
        return f"{line.get('n')}:{line.get('hash')}" if isinstance(line, dict) else ""

    def audit_findings(self) -> list[Finding]:
        """What is wrong with the chain, also against the heads that were written elsewhere."""
        noted = (body for body in self._bodies("anchor") if isinstance(body, dict))
        return verify(self.lines(), [Anchor(int(body["number"]), str(body["hash"])) for body in noted])

    def _bodies(self, log: str) -> Iterator[Any]:
        try:
            rows = self._connection.execute("select body from log where log = ? order by number", (log,))
            yield from (_parsed(body) for (body,) in rows)
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    def _damaged(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"{self._path.name} cannot be read: {error}.")


def too_new(schema: int) -> str:
    """Why a store of that schema cannot be used by this version; empty where it can."""
    known = len(MIGRATIONS)
    if schema <= known:
        return ""
    return f"It was written by a newer version (schema {schema}, this one knows {known}): upgrade Propolis first."


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
