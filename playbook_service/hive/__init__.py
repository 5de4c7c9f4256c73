"""TheHive as the service sees it: one contract (`contract`), and an adapter for each major version."""

from __future__ import annotations

from playbook_service.hive.discovery import connect

__all__ = ["connect"]
