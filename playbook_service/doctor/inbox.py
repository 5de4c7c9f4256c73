"""What has arrived at the service's hooks, read from its store without disturbing it.

An event stays in the inbox after it was handled, for as long as `retention` says, and nothing but a hook puts one
there: not the reconciliation, which finds what webhooks lost.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from playbook_service.settings import Settings

_HOOKS = ("wazuh", "siem", "thehive")
_NEWEST = "select put_at from work where queue = 'inbox' and key >= ? and key < ? order by id desc limit 1"
_MARK = "select coalesce(max(id), 0) from work"
_AFTER = "select body from work where id > ? and queue = 'inbox' and key >= 'thehive:' and key < 'thehive;'"


class Unseen(Exception):
    """The store cannot be read from here; the text says why."""


class Arrivals(NamedTuple):
    """When something last came by each hook, wall time in seconds; None: nothing that is still kept."""

    wazuh: float | None
    siem: float | None
    thehive: float | None


def database(settings: Settings) -> Path:
    """The store's file. Raises Unseen where there is none."""
    if settings.get("store", "") not in ("", "sqlite"):
        raise Unseen("the store is PostgreSQL, whose inbox doctor does not read yet")
    path = Path(settings["data_dir"]) / "propolis.db"
    if not path.is_file():
        raise Unseen(f"there is no store at {path}: run doctor where the service runs, or start the service once")
    return path


def arrivals(path: Path) -> Arrivals:
    """What came last. Raises Unseen."""
    newest = [_rows(path, _NEWEST, f"{hook}:", f"{hook};") for hook in _HOOKS]
    return Arrivals(*(float(rows[0][0]) if rows else None for rows in newest))


def mark(path: Path) -> int:
    """How far the store's work has come, for `has_news`: it tells before from after without a clock. Raises Unseen."""
    return int(_rows(path, _MARK)[0][0])


def has_news(path: Path, entity_id: str, after: int) -> bool:
    """Whether TheHive's news of an entity came in after a mark. Raises Unseen."""
    return any(_entity(body) == entity_id for (body,) in _rows(path, _AFTER, after))


def _rows(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    try:
        with closing(_open(path)) as connection:
            return connection.execute(sql, values).fetchall()
    except sqlite3.Error as error:
        raise Unseen(f"the store {path} cannot be read: {error}") from None


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10.0)


def _entity(body: str) -> str:
    hook = json.loads(body).get("hook")
    return str(hook.get("entity_id")) if isinstance(hook, dict) else ""
