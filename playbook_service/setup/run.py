"""Look at both servers, then do what is to be done, in an order in which each thing finds what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from playbook_service.setup import account, cortex, report_templates, thehive, webhook
from playbook_service.setup.document import Wish
from playbook_service.setup.look import Change, Look, SetupErrors
from propolis.errors import PropolisError
from propolis.http import HttpError


class Outcome(NamedTuple):
    """What became of the changes."""

    done: tuple[Change, ...]
    left: tuple[Change, ...]
    error: str
    """Why the first of `left` could not be done; empty where there is none."""


@contextmanager
def looked(wish: Wish, *, scan: bool) -> Iterator[list[Look]]:
    """What was found, TheHive first, what nothing else needs last; its changes can be applied while this is open.

    Raises SetupErrors where a key, a definition or a configuration is unfit, and where a server cannot be reached.
    """
    faults: list[str] = []
    looks: list[Look] = []
    closing: list[Callable[[], None]] = []
    try:
        for look in (_look_at_thehive, _look_at_cortex):
            try:
                looks += look(wish, scan, closing)
            except PropolisError as error:
                faults.append(thehive.explained(error))
        faults += [fault for one in looks for fault in one.faults]
        if faults:
            raise SetupErrors(faults)
        yield sorted(looks, key=lambda one: one.last)
    finally:
        for close in closing:
            close()


def _look_at_thehive(wish: Wish, scan: bool, closing: list[Callable[[], None]]) -> list[Look]:
    if wish.thehive is None:
        return []
    doors = thehive.enter(wish.thehive)
    closing.append(doors.close)
    found = Look(f"TheHive {doors.version} at {doors.admin.address.host}", faults=list(doors.lacking))
    if not found.faults:
        found.add(thehive.look(doors, wish.thehive))
        if wish.thehive.account is not None:
            found.add(account.look(doors, wish.thehive.account))
        if wish.thehive.webhook is not None:
            found.add(webhook.look(doors, wish.thehive.webhook))
        return [found, report_templates.look(doors, wish.thehive.report_templates)]
    return [found]


def _look_at_cortex(wish: Wish, scan: bool, closing: list[Callable[[], None]]) -> list[Look]:
    if wish.cortex is None:
        return []
    client = cortex.enter(wish.cortex)
    closing.append(client.close)
    found = Look(f"Cortex {cortex.version(client)} at {client.address.host}", faults=cortex.lacking(client))
    if not found.faults:
        found.add(cortex.look(client, wish.cortex, scan=scan))
    return [found]


def apply(changes: list[Change], tell: Callable[[Change], None] = lambda _: None) -> Outcome:
    """Do them one after the other; the first that fails ends it, so that nothing is built upon what is missing."""
    for number, change in enumerate(changes):
        try:
            change.apply()
        except (PropolisError, OSError) as error:
            text = thehive.explained(error) if isinstance(error, PropolisError) else str(error)
            doubt = " It may have been done all the same." if isinstance(error, HttpError) and error.ambiguous else ""
            return Outcome(tuple(changes[:number]), tuple(changes[number:]), f"{change.what}: {text}{doubt}")
        tell(change)
    return Outcome(tuple(changes), (), "")
