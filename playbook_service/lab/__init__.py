"""The lab: an embedded TheHive and Cortex for the demo, for training and for end-to-end tests."""

from __future__ import annotations

from playbook_service.lab.lab import Lab

__all__ = ["Lab"]
