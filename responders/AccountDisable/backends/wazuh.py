"""A local Linux account, locked by the Wazuh 4.x agent of its host.

The host is the agent that raised the alert (the case's custom fields), or the one in `user@host`. Whether the account
is an administrator is read from the manager's inventory of local users (Wazuh 4.14 and later); the program
`propolis-contain` on the agent itself refuses root, system accounts and its own never_users.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import Ambiguous, Backend, Status, Subject, Target, Terms
from propolis.containment.responder import Workbench
from propolis.containment.wazuh import fleet, settings
from propolis.containment.wazuh.answers import Agent, Document
from propolis.containment.wazuh.backend import WazuhBackend
from propolis.containment.wazuh.manager import Manager
from propolis.containment.wazuh.sight import Words
from propolis.errors import InputError

from .account import parse_account
from .guard import UNSEEN

_LOCAL = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_FIRST_USER = 1000  # uid; below it are the system's accounts (login.defs of every common distribution)
_INVENTORY = (4, 14)  # the manager's version that first keeps local users
_ADMINISTRATORS = {"root", "sudo", "wheel", "admin", "adm"}


class _Known(NamedTuple):
    """What the inventory says of an account."""

    uid: int
    groups: tuple[str, ...]


class WazuhAccount(WazuhBackend):
    """Locks the password and expires the account on one host."""

    name = "wazuh"
    kinds = ("account",)
    expires = False
    words = Words("lock", "unlock")
    remaining = (
        "Processes and open sessions of the account go on, unless end_sessions is set in the agent's propolis.conf.",
        "The same name on other hosts, and at a directory, is not touched.",
    )

    def __init__(self, manager: Manager, clock: Clock, wait: float, *, inventory: bool):
        super().__init__(manager, clock, wait)
        self._inventory = inventory

    def agents(self, target: Target) -> list[Agent]:
        account = parse_account(target.value)
        host = account.realm or account.domain
        agent = fleet.find(self._manager, target, host) if host else fleet.victim(self._manager, target)
        if agent.platform in ("windows", "darwin"):
            raise InputError(f"Agent {agent.label} is no Linux host; this backend locks local Linux accounts only.")
        return [agent]

    def key(self, target: Target) -> str:
        user = parse_account(target.value).user
        if not _LOCAL.fullmatch(user):
            raise InputError(f"{user[:40]!r} is no name of a local Linux account.")
        return user

    def contain_words(self, target: Target, terms: Terms) -> list[str]:
        return [self.key(target), terms.mark]

    def status(self, target: Target) -> Status:
        seen = super().status(target)
        if UNSEEN not in seen.subject.types:
            return seen
        why = "the manager's inventory of local users (Wazuh 4.14 and later, renewed hourly) does not list it."
        return seen._replace(detail=f"{seen.detail}; {why}")

    def subject(self, target: Target, agents: Sequence[Agent]) -> Subject:
        (agent,), user = agents, self.key(target)
        known = self._known(agent, user, target)
        name = f"{user} on {agent.label}"
        if known is None:
            return Subject(name, name, names=(user,), types=(UNSEEN,) if self._inventory else ())
        return Subject(
            id=name,
            name=name,
            names=(user,),
            ids=(str(known.uid),),
            groups=known.groups,
            types=("service account",) if known.uid < _FIRST_USER else (),
            privileged=known.uid == 0 or bool(_ADMINISTRATORS & set(known.groups)),
        )

    def _known(self, agent: Agent, user: str, target: Target) -> _Known | None:
        """The account as the inventory has it; None where it has none, or is not asked."""
        if not self._inventory or self._manager.version() < _INVENTORY:
            return None
        listed = [item["user"] for item in self._manager.users(agent, user) if isinstance(item.get("user"), dict)]
        found = [one for one in listed if one.get("name") == user and isinstance(one.get("id"), int)]
        if len(found) > 1:
            raise Ambiguous(target, [f"{user} with uid {one['id']}" for one in found])
        return _Known(found[0]["id"], _groups(found[0])) if found else None


def _groups(user: Document) -> tuple[str, ...]:
    """The inventory lists groups in one text."""
    return tuple(name for name in re.split(r"[,;:\s]+", str(user.get("groups") or "")) if name)


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    manager, wait = settings.manager(workbench)
    inventory = workbench.items.flag("wazuh_users_inventory", True)
    return WazuhAccount(manager, workbench.clock, wait, inventory=inventory)
