"""What an Entra ID user belongs to, and whether that makes it an administrator.

Three places tell it, and no two of them tell all: memberships show the roles in effect, through groups too; role
assignments show custom roles and roles over a part of the directory; eligibilities show the roles that the user can
switch on. Whoever is in a group to which roles can be assigned counts as an administrator: what is assigned or eligible
to the group is the user's. Where Graph hides something (it then answers with null names), nobody is disabled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from propolis.containment.backend import BackendError

from .entra_graph import Document, Graph

_GROUP, _ROLE = "#microsoft.graph.group", "#microsoft.graph.directoryRole"


class Held(NamedTuple):
    """What a user holds."""

    groups: tuple[str, ...]
    """Names and object ids."""
    roles: tuple[str, ...]
    """Names and template ids (a custom role's own id), in effect or eligible."""
    privileged: bool
    unseen: str = ""
    """Why this could not be read; the user then counts as an administrator."""


NOTHING = Held((), (), False)
"""For a user that is disabled: only its undo is left to do, and no undo waits for roles to be shown."""


def held_by(graph: Graph, user: str) -> Held:
    """Everything a user holds, read now."""
    try:
        return _read(graph, user)
    except BackendError as error:
        return Held((), (), True, str(error))


def _read(graph: Graph, user: str) -> Held:
    belongs = graph.memberships(user)
    groups = [entry for entry in belongs if _kind(entry) == _GROUP]
    if any(not group.get("displayName") for group in groups):
        raise BackendError("Microsoft Graph hides the names of groups: grant the app GroupMember.Read.All.")
    roles = [_role(entry, "roleTemplateId") for entry in belongs if _kind(entry) == _ROLE]
    roles += [_definition(entry) for entry in (*graph.assigned_roles(user), *graph.eligible_roles(user))]
    return Held(
        groups=_flat((str(group["displayName"]), str(group.get("id") or "")) for group in groups),
        roles=_flat(roles),
        privileged=bool(roles) or any(group.get("isAssignableToRole") is True for group in groups),
    )


def _kind(entry: Document) -> str:
    kind = entry.get("@odata.type")
    if not isinstance(kind, str):
        raise BackendError("Microsoft Graph does not say what the user is a member of; nothing was done.")
    return kind


def _definition(entry: Document) -> tuple[str, str]:
    definition = entry.get("roleDefinition")
    shown = definition if isinstance(definition, dict) else {}
    return _role({"id": entry.get("roleDefinitionId"), **shown}, "templateId")


def _role(entry: Document, template: str) -> tuple[str, str]:
    return str(entry.get("displayName") or ""), str(entry.get(template) or entry.get("id") or "role without an id")


def _flat(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for pair in pairs for text in pair if text))
