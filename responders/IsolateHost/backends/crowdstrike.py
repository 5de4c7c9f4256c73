"""CrowdStrike Falcon: network containment of a host by its sensor.

Falcon keeps no comment with a containment, so the proof that it is ours is a grouping tag on the host: set before the
host is contained, taken away when it is lifted. While a host is being lifted there is nothing left to protect, and
whoever asked for that, an undo only waits for it.

Falcon does what it is asked later, and a read right after a change may show the state from before it: for a moment such
a change counts as under way. Two changes at once: the last one wins (field reports), so the state is read first.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from propolis.alert.moment import epoch
from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.change import safe_url, settled
from propolis.containment.responder import Workbench

from .crowdstrike_falcon import CONTAINED, LIFTING, NORMAL, PENDING, Conflict, Declined, Device, Falcon, Settings
from .crowdstrike_mark import PREFIX, mark_of, our_tags, tag_of
from .edr_host import is_own, own_names

_GRACE = 30.0  # seconds that Falcon may go on showing the state from before a change that it took
CLOUD = "https://api.crowdstrike.com"
ENDED = ("Every connection but those to the CrowdStrike cloud and to what the containment policy allows.",)
_REDUCED = "The sensor works in reduced functionality mode: look in the console whether it can contain this host."


class _Taken(NamedTuple):
    """A change that Falcon took and may not show yet."""

    device: str
    action: str
    before: str
    until: float
    """Monotonic seconds."""


class CrowdstrikeBackend(Backend):
    """One Falcon cloud."""

    name = "crowdstrike"
    kinds = ("host",)
    expires = False
    marks = True

    def __init__(self, settings: Settings, clock: Clock, own: tuple[str, ...] = ()):
        self._falcon = Falcon(settings, clock)
        self._clock = clock
        self._own = own
        self._taken: _Taken | None = None

    @property
    def where(self) -> str:
        return f"CrowdStrike Falcon at {self._falcon.url}"

    def status(self, target: Target) -> Status:
        device = self._falcon.find(target)
        pending = self._pending(device)
        ours = our_tags(device.tags)
        lifting = device.state == LIFTING or pending.startswith("lift")
        return Status(
            self._subject(device),
            contained=device.state in (CONTAINED, LIFTING),
            ours=bool(ours) or lifting,
            mark=mark_of(ours[0]) if ours else "",
            detail=f"Falcon shows {device.text} as {device.state}{', still tagged as ours' if ours else ''}",
            pending=pending,
            remains=bool(ours) and device.state == NORMAL,
        )

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        device = self._falcon.device(status.subject.id)
        if device.state == LIFTING:
            raise BackendError(f"{device.text} is being lifted at Falcon: start this again when that is done.")
        if device.state != NORMAL and not our_tags(device.tags):
            return Effect(f"{device.text} was {device.state} already, not by us, and was left as it is")
        noted = self._note(device, tag_of(terms.mark))
        if device.state != NORMAL:
            return Effect(f"{noted}; {device.text} was {device.state} already", pending=self._pending(device))
        done = self._contain(device)
        self._taken = _Taken(device.id, "contain", NORMAL, self._clock.monotonic() + _GRACE)
        remaining = (_REDUCED,) if device.reduced else ()
        return Effect(f"{noted}, {done}", ENDED, remaining, pending=f"contain {device.id}")

    def release(self, target: Target, status: Status) -> Effect:
        device = self._falcon.device(status.subject.id)
        if not our_tags(device.tags):
            return Effect(f"no containment of {device.text} by us was there any more", pending=self._pending(device))
        if device.state in (NORMAL, LIFTING):
            left = self._forget(device)
            done = f"{device.text} was {device.state} already"
        else:
            done = self._lift(device)
            left = self._forget(device)
            self._taken = _Taken(device.id, "lift_containment", device.state, self._clock.monotonic() + _GRACE)
        pending = "" if device.state == NORMAL else f"lift_containment {device.id}"
        return Effect(done, remaining=(left.strip(),) if left else (), pending=pending)

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        device_id, url = status.subject.id, self._falcon.url
        tag = json.dumps({"action": "add", "device_ids": [device_id], "tags": [tag_of(terms.mark)]})
        ids = json.dumps({"ids": [device_id]})
        return (
            f"PATCH {url}/devices/entities/devices/tags/v1 {tag}, then "
            f"POST {url}/devices/entities/devices-actions/v2?action_name=contain {ids}"
        )

    def close(self) -> None:
        self._falcon.close()

    def _pending(self, device: Device) -> str:
        """What is under way: what Falcon shows, or what it took and does not show yet."""
        taken, now = self._taken, self._clock.monotonic()
        if taken is not None and (taken.device, taken.before) != (device.id, device.state):
            self._taken = taken = None
        if taken is not None and now < taken.until:
            return f"{taken.action} {device.id}"
        return {PENDING: f"contain {device.id}", LIFTING: f"lift_containment {device.id}"}.get(device.state, "")

    def _note(self, device: Device, tag: str) -> str:
        """Put our mark on a device, and take away older ones only when it is there."""
        if tag not in device.tags:
            self._retag("add", device.id, [tag])
        old = [one for one in our_tags(device.tags) if one != tag]
        if old:
            self._retag("remove", device.id, old)
        return f"tagged it {tag.removeprefix(PREFIX)}"

    def _forget(self, device: Device) -> str:
        """Take our tags away; gives what to say where that fails: the host itself is not touched by it."""
        try:
            tags = our_tags(self._falcon.device(device.id).tags)
            if tags:
                self._retag("remove", device.id, tags)
        except BackendError as error:
            return f" Our tag {PREFIX}propolis is still on it: start ReleaseHost once more to take it away ({error})"
        return ""

    def _retag(self, action: str, device_id: str, tags: list[str]) -> None:
        wanted = action == "add"

        def made() -> bool:
            there = self._falcon.device(device_id).tags
            return all((tag in there) == wanted for tag in tags)

        settled(lambda: self._falcon.tag(action, device_id, tags), made, action)

    def _contain(self, device: Device) -> str:
        """Ask for it. Where Falcon refuses, our tag goes again: it would prove nothing."""
        try:
            return settled(
                lambda: self._falcon.act("contain", device.id),
                lambda: self._falcon.device(device.id).state in (PENDING, CONTAINED),
                f"asked Falcon to contain {device.text}",
            )
        except Declined as error:
            busy = " Another change of it is under way: look in the console." if isinstance(error, Conflict) else ""
            raise BackendError(f"{error}{busy}{self._forget(device)}") from None

    def _lift(self, device: Device) -> str:
        def lifted() -> bool:
            return self._falcon.device(device.id).state in (LIFTING, NORMAL)

        try:
            return settled(
                lambda: self._falcon.act("lift_containment", device.id),
                lifted,
                f"asked Falcon to lift the containment of {device.text}",
            )
        except Conflict as error:
            if lifted():
                return f"the containment of {device.text} was being lifted already"
            raise BackendError(f"{error} Another change of it is under way: look in the console.") from None

    def _subject(self, device: Device) -> Subject:
        bare = tuple(tag.partition("/")[2] for tag in device.tags if "/" in tag)
        return Subject(
            id=device.id,
            name=device.names[-1] if device.names else device.id,
            names=device.names,
            ids=(device.id,),
            groups=device.groups,
            types=(device.kind,),
            tags=(*device.tags, *bare, *device.groups, *device.units),
            addresses=device.addresses,
            own=is_own(device.names, self._own),
            last_seen=epoch(device.last_seen),
        )


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        url=safe_url(items.text("crowdstrike_url", CLOUD), "crowdstrike_url"),
        client_id=items.text("crowdstrike_client_id"),
        client_secret=items.text("crowdstrike_client_secret", strip=False),
        member_cid=items.text("crowdstrike_member_cid", ""),
        proxy=workbench.proxy if items.flag("crowdstrike_use_proxy", True) else None,
        ca_file=items.optional_text("crowdstrike_ca_file"),
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    return CrowdstrikeBackend(settings, workbench.clock, own_names())
