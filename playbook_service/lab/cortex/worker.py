"""A worker as enabled by an organisation: a definition with a configuration, a rate, a cache time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from playbook_service.lab.cortex.definition import WorkerDefinition

RATE_UNITS = {"Second": 1, "Minute": 60, "Hour": 3_600, "Day": 86_400, "Month": 2_592_000}
DEFAULT_CACHE = 10  # minutes, `cache.job` of Cortex's own configuration
DEFAULT_TIMEOUT = 30  # minutes


@dataclass(frozen=True)
class Worker:
    """`cache` and `timeout` in minutes, None where the server's default holds; `configuration` as it was saved."""

    id: str
    definition: WorkerDefinition
    name: str
    organization: str
    configuration: dict[str, Any]
    created_by: str
    created_at: int
    rate: int | None = None
    rate_unit: str | None = None
    cache: int | None = None
    timeout: int | None = None

    def view(self, *, full: bool) -> dict[str, Any]:
        """As the API shows it; the configuration only to an administrator of the organisation (`full`)."""
        kind = self.definition
        shown = {
            "id": self.id, "_id": self.id, "_type": "worker", "name": self.name, "version": kind.version,
            "workerDefinitionId": kind.id, f"{kind.type}DefinitionId": kind.id, "description": kind.description,
            "author": kind.author, "url": kind.url, "license": kind.license, "dataTypeList": list(kind.data_types),
            "organization": self.organization, "type": kind.type, "createdBy": self.created_by,
            "createdAt": self.created_at, "rate": self.rate, "rateUnit": self.rate_unit, "jobCache": self.cache,
            "jobTimeout": self.timeout, "baseConfig": kind.base_config, "maxTlp": self._limit("tlp"),
            "maxPap": self._limit("pap"), "configuration": self.configuration if full else None,
        }  # fmt: skip
        return {name: value for name, value in shown.items() if value is not None}

    def _limit(self, gate: str) -> Any:
        return self.configuration.get(f"max_{gate}") if self.configuration.get(f"check_{gate}") else None


def worker_id(organization: str, definition: str, name: str) -> str:
    """The id of an enabled worker: 32 hexadecimal digits, the same for the same worker."""
    return hashlib.md5(f"{organization}|{definition}|{name}".encode(), usedforsecurity=False).hexdigest()
