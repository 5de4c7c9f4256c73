"""What every step has at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from playbook_service.audit.journal import Journal
from playbook_service.engine.switch import Fixed, Switch
from playbook_service.hive.contract import Hive
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Store
from propolis.clock import Clock
from propolis.guardrails import Policy


class Tools(NamedTuple):
    """The service's surroundings. What can change while it runs is asked for each time it is needed."""

    store: Store
    clock: Clock
    hive: Hive
    journal: Journal
    playbooks: Callable[[], Playbooks]
    policy: Callable[[], Policy]
    """Raises PolicyError while the policy's file is not valid: then everything is refused."""
    mode: Callable[[], str]
    """`observe`, `approve` or `enforce`: the ceiling of everything automatic."""
    account: str
    """The service's own login in TheHive: what it does is never somebody's answer."""
    switch: Switch = Fixed()
    """How far a person lowered the mode while the service runs."""

    @property
    def now_ms(self) -> int:
        """The wall time as TheHive writes it."""
        return int(self.clock.now() * 1000)
