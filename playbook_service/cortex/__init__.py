"""Cortex as the service sees it: `Cortex(url, key)` and what it answers."""

from __future__ import annotations

from playbook_service.cortex.client import Cortex
from playbook_service.cortex.model import CortexJob, CortexWorker

__all__ = ["Cortex", "CortexJob", "CortexWorker"]
