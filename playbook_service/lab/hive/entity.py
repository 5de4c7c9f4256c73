"""One thing that TheHive keeps: an alert, a case, an observable, a task, a user, a job, ..."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Entity:
    """`fields` hold what is the kind's own, under the names of the v1 API; times are epoch ms.

    `organisation` is the name of the one it belongs to (empty: to the platform). `parent` is the entity it hangs on.
    `key` is what no other entity of the kind may have, None where there is no such thing.
    """

    id: str
    kind: str
    organisation: str
    parent: str | None
    created_by: str
    created_at: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    updated_by: str | None = None
    updated_at: int | None = None
    key: Key | None = None

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or the default where it is not set."""
        value = self.fields.get(name)
        return default if value is None else value
