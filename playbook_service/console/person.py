"""Who is at the console, and what they may do there. TheHive says who somebody is; the console holds no identities."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from playbook_service.engine.approval import is_listed
from playbook_service.hive.model import Me

MANAGE_ACTION = "manageAction"
"""The permission in TheHive to run responders."""


class Role(IntEnum):
    """Each may what the ones before it may."""

    VIEWER = 1
    """Whoever has an account in the organisation sees."""
    OPERATOR = 2
    """Whoever may run responders in TheHive may release, renew, answer, clear, and lower the mode."""
    ADMIN = 3
    """Whoever the setting `console_admins` names may also raise the mode again and try playbooks."""

    @property
    def word(self) -> str:
        """As people read it."""
        return self.name.lower()


class Person(NamedTuple):
    """Somebody signed in."""

    login: str
    name: str
    profile: str
    role: Role

    def may(self, role: Role) -> bool:
        """Does their role reach so far?"""
        return self.role >= role


def role_of(me: Me, admins: Sequence[str]) -> Role:
    """The role of an account: `admins` are logins, or `profile:<name>`."""
    if is_listed(admins, me.login, me.profile):
        return Role.ADMIN
    return Role.OPERATOR if MANAGE_ACTION in me.permissions else Role.VIEWER


def person_of(me: Me, admins: Sequence[str]) -> Person:
    """The account as the console knows it."""
    return Person(me.login, me.name, me.profile, role_of(me, admins))
