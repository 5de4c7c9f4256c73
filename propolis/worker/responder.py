"""The base of our responders."""

from __future__ import annotations

from typing import Any

from cortexutils.responder import Responder

from propolis.errors import InputError
from propolis.worker.base import SafeWorker


class ResponderWorker(SafeWorker, Responder):  # type: ignore[misc]
    """A responder: its `data` is the TheHive object it was started on, its `dataType` is `thehive:<kind>`."""

    @property
    def entity(self) -> dict[str, Any]:
        """The case, alert, observable, task or log. Raises InputError where it is not an object."""
        data = self._input.get("data")
        if not isinstance(data, dict):
            raise InputError("The job's data must be the TheHive object the responder was started on.")
        return data
