"""What Kibana's list of response actions and the endpoint's own report say together about one host.

The list tells who asked for what, with our mark as the comment; the report tells what is. An action that is done may
take a while to show in the report, and an offline host may have an isolation and a release waiting at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ISOLATE, RELEASE = "isolate", "unisolate"
_LATE = 180.0  # seconds that the report of a host may come after the action that it shows


class Action(NamedTuple):
    """One response action, as far as one agent is concerned."""

    id: str
    command: str
    """`isolate` or `unisolate`."""
    comment: str
    started: float
    """Wall time, seconds, by Kibana's clock; so is `completed`."""
    completed: float
    done: bool
    successful: bool
    expired: bool
    """No agent took it within two weeks."""

    @property
    def waiting(self) -> bool:
        return not self.done and not self.expired

    @property
    def worked(self) -> bool:
        return self.done and self.successful


class Standing(NamedTuple):
    """Where a host stands."""

    isolated: bool
    pending: str
    """The id of a waiting isolation where it is not isolated, of a waiting release where it is."""
    cause: Action | None
    """The isolation that stands, or is waiting."""


def standing(actions: Sequence[Action], reported: bool | None, now: float) -> Standing:
    """Where a host stands; `actions` as Kibana lists them, newest first. `reported` is None where nobody reports."""
    ordered = sorted(actions, key=lambda action: -action.started)
    worked = [action for action in ordered if action.worked]
    last = worked[0] if worked else None
    isolated = reported if reported is not None else last is not None and last.command == ISOLATE
    cause = next((one for one in ordered if one.command == ISOLATE and (one.waiting or one.worked)), None)
    waiting = [action for action in ordered if action.waiting]
    wanted = waiting[0] if waiting else _late(last, isolated, now)
    if wanted is not None and wanted.command == RELEASE:
        held = isolated or any(one.command == ISOLATE for one in waiting)  # both wait: it will be isolated, then freed
        return Standing(held, wanted.id if held else "", cause if held else None)
    pending = wanted.id if wanted is not None and not isolated else ""
    return Standing(isolated, pending, cause if isolated or pending else None)


def _late(last: Action | None, isolated: bool, now: float) -> Action | None:
    """The newest action that worked, where the report does not show it and still may."""
    if last is None or isolated == (last.command == ISOLATE) or now - last.completed > _LATE:
        return None
    return last
