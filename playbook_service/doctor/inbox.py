"""What has arrived at the service's hooks, looked up in its store without disturbing it.

An event stays in the inbox after it was handled, for as long as `retention` says, and nothing but a hook puts one
there: not the reconciliation, which finds what webhooks lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from playbook_service.parts import open_store
from playbook_service.settings import Settings
from playbook_service.store.contract import Item, Store
from playbook_service.store.moved import DATABASE
from propolis.clock import Clock

_QUEUE = "inbox"
NEWEST = 2_000
"""Events that are looked through, the newest first."""
_NEWS = 500
"""Events among which the news of a change a moment ago must be."""


class Unseen(Exception):
    """There is no store to look into; the text says why."""


class Arrivals(NamedTuple):
    """When something last came by each hook, wall time in seconds; None: not among those that were looked through."""

    wazuh: float | None
    siem: float | None
    thehive: float | None
    looked_at: int
    """How many were looked through: fewer than `NEWEST` are all that are kept."""


def opened(settings: Settings, clock: Clock) -> Store:
    """The service's store. Looking does not make one: raises Unseen where there is none, StoreError where it cannot be
    used."""
    path = Path(settings["data_dir"]) / DATABASE
    if settings.get("store", "") in ("", "sqlite") and not path.is_file():
        raise Unseen(f"there is no store at {path}: run doctor where the service runs, or start the service once")
    return open_store(settings, clock)


def arrivals(store: Store) -> Arrivals:
    """What came last. Raises StoreError."""
    newest: dict[str, float] = {}
    events = _recent(store, NEWEST)
    for event in events:
        newest.setdefault(event.key.partition(":")[0], event.put_at)
    return Arrivals(newest.get("wazuh"), newest.get("siem"), newest.get("thehive"), len(events))


def mark(store: Store) -> int:
    """How far the inbox has come, for `has_news`: it tells before from after without a clock. Raises StoreError."""
    return max((event.id for event in _recent(store, 1)), default=0)


def has_news(store: Store, entity_id: str, after: int) -> bool:
    """Whether TheHive's news of an entity came in after a mark. Raises StoreError."""
    return any(event.id > after and _entity(event) == entity_id for event in _recent(store, _NEWS))


def _recent(store: Store, limit: int) -> list[Item]:
    with store.reading() as look:
        return look.recent(_QUEUE, limit)


def _entity(event: Item) -> str:
    hook = event.body.get("hook")
    return str(hook.get("entity_id")) if event.key.startswith("thehive:") and isinstance(hook, dict) else ""
