"""What of an alert decides which case it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from playbook_service.feedback.suppression import ACTIONABLE
from propolis.alert import Alert
from propolis.observables.model import Observable

DAY = 86_400
USUAL = ("source", "agent")
"""What must be the same, within a day, where no playbook says otherwise."""


class Facts(NamedTuple):
    """Where an alert comes from, the agent that reported it, and what could be acted upon in it."""

    source: str
    agent: str
    observables: tuple[tuple[str, str], ...]


def facts_of(alert: Alert, observables: Sequence[Observable]) -> Facts:
    """The alert's source (the first address from outside, else the first other one), its agent, its observables."""
    sources = [entry for entry in observables if entry.role in ("source", "sender")]
    outside = [entry for entry in sources if entry.data_type in ("ip", "mail") and "internal" not in entry.tags]
    source = next(iter(outside or sources), None)
    keys = tuple((entry.data_type, entry.data) for entry in observables if entry.data_type in ACTIONABLE)
    return Facts(source.data if source else "", alert.agent_id or alert.manager, keys)
