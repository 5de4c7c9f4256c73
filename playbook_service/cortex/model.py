"""Cortex' workers and jobs as the service uses them. Moments are milliseconds since the epoch, as Cortex' are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

FINISHED = ("Success", "Failure", "Deleted")
"""Statuses of a job that does not go on. `InProgress` may last for ever: a Cortex that was killed never resumes it."""


class CortexWorker(NamedTuple):
    """An analyzer or a responder that is enabled in the key's organisation."""

    id: str
    """What a run is asked of: an md5, not the name."""
    name: str
    """As it was enabled; an administrator may have chosen it."""
    definition: str
    """`AbuseIPDB_2_0`: stable, what logic goes by."""
    version: str
    data_types: tuple[str, ...]
    max_tlp: int | None
    max_pap: int | None


class CortexJob(NamedTuple):
    """A run of a worker."""

    id: str
    worker_id: str
    worker_name: str
    definition: str
    type: str
    """`analyzer` or `responder`."""
    organisation: str
    status: str
    """`Waiting`, `InProgress`, `Success`, `Failure` or `Deleted`."""
    data_type: str
    data: str
    """Empty for a file, and for what Cortex does not tell. It cannot be searched for."""
    tlp: int
    pap: int
    message: str
    parameters: Mapping[str, Any]
    from_cache: bool
    """Whether this answer is an earlier job's, given again within the worker's cache time."""
    created_at: int
    started_at: int
    """0 while it waits."""
    ended_at: int
    """0 until it has ended."""
    error: str
    report: Mapping[str, Any] | None
    """`{"success", "summary", "full", "artifacts", "operations", "errorMessage"}`; None until it has ended, and where a
    call does not give reports."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self.status in FINISHED
