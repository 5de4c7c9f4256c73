"""The entities of an embedded TheHive, in memory, changed in transactions that a failure undoes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from playbook_service.lab.hive.entity import Entity, Key

_FIRST_ID = 40_960_000  # graph vertices of a real TheHive have numbers of this size
_STEP = 4_104
_FEW = 1_000  # of so many it is as quick to look at all
_CLOCKS_DIFFER = 60_000  # milliseconds by which a moved clock may have put things out of order
Children = dict[tuple[str, str], dict[str, None]]


class Store:
    """Not safe without `transaction()`, which holds the lock; may be entered again by the same thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entities: dict[str, Entity] = {}
        self._kinds: dict[str, dict[str, None]] = {}
        self._touched: dict[str, dict[str, None]] = {}
        self._children: Children = {}
        self._keys: dict[tuple[str, Key], str] = {}
        self._journal: list[tuple[str, Entity | None]] | None = None
        self._last_id = _FIRST_ID
        self._counters: dict[str, int] = {}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the changes made inside, or none where it ends with an exception."""
        with self._lock:
            if self._journal is not None:
                yield
                return
            self._journal = []
            try:
                yield
            except BaseException:
                for identity, before in reversed(self._journal):
                    self._place(identity, before)
                self._touched.clear()  # their order is no longer that of their times
                raise
            finally:
                self._journal = None

    def next_id(self) -> str:
        """An id that was never given before."""
        self._last_id += _STEP
        return f"~{self._last_id}"

    def next_number(self, name: str) -> int:
        """The next of a named sequence, from 1."""
        self._counters[name] = self._counters.get(name, 0) + 1
        return self._counters[name]

    def put(self, entity: Entity) -> Entity:
        """Keep an entity as it is given."""
        if self._journal is None:
            raise RuntimeError("a change outside of a transaction")
        self._journal.append((entity.id, self._entities.get(entity.id)))
        self._place(entity.id, entity)
        return entity

    def change(self, entity: Entity, fields: Mapping[str, Any], *, by: str, at: int) -> Entity:
        """Set fields of an entity; None takes a field away."""
        present = self._entities[entity.id]
        merged = {name: value for name, value in {**present.fields, **fields}.items() if value is not None}
        return self.put(replace(present, fields=merged, updated_by=by, updated_at=at))

    def remove(self, identity: str) -> None:
        """Take an entity and all that hangs on it away."""
        for (parent, _), children in list(self._children.items()):
            if parent == identity:
                for child in list(children):
                    self.remove(child)
        if self._journal is None:
            raise RuntimeError("a change outside of a transaction")
        self._journal.append((identity, self._entities.get(identity)))
        self._place(identity, None)

    def find(self, identity: str | None) -> Entity | None:
        """The entity of that id, or None."""
        return self._entities.get(identity) if identity is not None else None

    def by_key(self, kind: str, key: Key) -> Entity | None:
        """The entity of that kind that has the key, or None."""
        return self.find(self._keys.get((kind, key)))

    def all(self, kind: str) -> list[Entity]:
        """Every entity of a kind, oldest first."""
        return [self._entities[identity] for identity in self._kinds.get(kind, ())]

    def since(self, kind: str, at: int) -> list[Entity]:
        """Those of a kind that were made or changed at that moment (epoch ms) or later, oldest first, and perhaps some
        that were not: a look for what is new does not go through what is old."""
        if len(self._kinds.get(kind, ())) < _FEW:
            return self.all(kind)
        if kind not in self._touched:
            self._touched[kind] = dict.fromkeys(entity.id for entity in sorted(self.all(kind), key=_stamp))
        found = []
        for identity in reversed(self._touched[kind]):
            entity = self._entities[identity]
            if _stamp(entity) < at - _CLOCKS_DIFFER:
                break
            found.append(entity)
        return sorted(found, key=lambda entity: (len(entity.id), entity.id))  # ids are given in rising order

    def children(self, parent: str, kind: str) -> list[Entity]:
        """The entities of a kind that hang on another, oldest first."""
        return [self._entities[identity] for identity in self._children.get((parent, kind), ())]

    def count(self, parent: str, kind: str) -> int:
        """How many there are of them."""
        return len(self._children.get((parent, kind), ()))

    def _place(self, identity: str, entity: Entity | None) -> None:
        before = self._entities.pop(identity, None) if entity is None else self._entities.get(identity)
        if before is not None and (entity is None or before.parent != entity.parent or before.key != entity.key):
            self._unlink(before)
        if entity is None:
            return
        self._entities[identity] = entity
        touched = self._touched.get(entity.kind)
        if touched is not None:
            touched.pop(identity, None)
            touched[identity] = None
        self._kinds.setdefault(entity.kind, {})[identity] = None
        if entity.parent is not None:
            self._children.setdefault((entity.parent, entity.kind), {})[identity] = None
        if entity.key is not None:
            self._keys[entity.kind, entity.key] = identity

    def _unlink(self, entity: Entity) -> None:
        if entity.id not in self._entities:
            self._kinds[entity.kind].pop(entity.id, None)
            self._touched.get(entity.kind, {}).pop(entity.id, None)
        if entity.parent is not None:
            self._children[entity.parent, entity.kind].pop(entity.id, None)
        if entity.key is not None and self._keys.get((entity.kind, entity.key)) == entity.id:
            del self._keys[entity.kind, entity.key]


def _stamp(entity: Entity) -> int:
    return max(entity.created_at, entity.updated_at or 0)
