"""Cortex XDR: isolation of an endpoint by its agent.

An isolation holds no comment of ours, so the proof that it is ours is the service's lease, and nothing else. A pending
isolation cannot be taken back: the vendor's own playbooks refuse that, and so do we.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.change import safe_url, settled
from propolis.containment.responder import Workbench

from .cortex_xdr_api import (
    ADVANCED,
    FREE,
    ISOLATED,
    ISOLATING,
    RELEASING,
    STANDARD,
    CortexXdr,
    Endpoint,
    Settings,
    body,
    path,
)
from .edr_host import is_own, own_names

_GRACE = 60.0  # seconds that an endpoint's state may come after the end of its action
_CONNECTED = "CONNECTED"
_DONE, _WAITING = "COMPLETED_SUCCESSFULLY", ("PENDING", "IN_PROGRESS", "")
_ENDED = ("Every connection but those to Cortex XDR and to its isolation exceptions.",)


class _Asked(NamedTuple):
    """An action that was taken and that the endpoint's state may not show yet."""

    endpoint: str
    verb: str
    action: str
    before: str
    at: float
    """Monotonic seconds."""


class CortexXdrBackend(Backend):
    """One tenant."""

    name = "cortex_xdr"
    kinds = ("host",)
    expires = False
    marks = False

    def __init__(self, settings: Settings, clock: Clock, own: tuple[str, ...] = ()):
        self._api = CortexXdr(settings, clock)
        self._url = settings.url
        self._clock = clock
        self._own = own
        self._asked: _Asked | None = None

    @property
    def where(self) -> str:
        return f"Cortex XDR at {self._url}"

    def status(self, target: Target) -> Status:
        endpoint = self._api.find(target)
        pending, note = self._pending(endpoint)
        return Status(
            self._subject(endpoint),
            contained=endpoint.state in (ISOLATED, RELEASING),
            detail=f"Cortex XDR shows {endpoint.text} as {endpoint.state}{note}",
            pending=pending,
        )

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        endpoint = self._again(target, status)
        if endpoint.state == RELEASING:
            raise BackendError(f"{endpoint.text} is being released at Cortex XDR: start this again when that is done.")
        if endpoint.state != FREE:
            done = f"{endpoint.text} was isolated already, or about to be, and was left as it is"
            return Effect(done, pending=self._pending(endpoint)[0])
        self._check(endpoint)
        done = self._ask("isolate", endpoint, (ISOLATING, ISOLATED))
        return Effect(done, _ENDED, pending=f"isolate {endpoint.id}")

    def release(self, target: Target, status: Status) -> Effect:
        endpoint = self._again(target, status)
        if endpoint.state == FREE:
            return Effect(f"{endpoint.text} was not isolated any more")
        if endpoint.state == RELEASING:
            return Effect(f"{endpoint.text} was being released already", pending=f"unisolate {endpoint.id}")
        if endpoint.state == ISOLATING:
            raise BackendError(
                f"The isolation of {endpoint.text} is still under way, and Cortex XDR does not take that back: cancel "
                "it in its Action Center, or start this again when it is done."
            )
        done = self._ask("unisolate", endpoint, (RELEASING, FREE))
        return Effect(done, pending=f"unisolate {endpoint.id}")

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        endpoint = self._api.find(target)
        self._check(endpoint)
        return f"POST {self._url}{path('isolate')} {json.dumps({'request_data': body(endpoint.id)})}"

    def close(self) -> None:
        self._api.close()

    def _again(self, target: Target, before: Status) -> Endpoint:
        """The endpoint, read anew. Raises BackendError where the name means another one than before."""
        endpoint = self._api.find(target)
        if endpoint.id != before.subject.id:
            raise BackendError(
                f"{target.value} was {before.subject.id} a moment ago and is {endpoint.id} now; left as it is."
            )
        return endpoint

    def _check(self, endpoint: Endpoint) -> None:
        """An action for an agent that is away may wait unseen, and would then be asked for twice."""
        if endpoint.status != _CONNECTED:
            raise BackendError(
                f"{endpoint.text} is not connected to Cortex XDR, so it cannot be isolated now: start this again when "
                "it is back."
            )

    def _ask(self, verb: str, endpoint: Endpoint, reached: tuple[str, ...]) -> str:
        """Ask once; where the answer is lost, the state tells whether it was taken."""
        taken: list[str] = []

        def made() -> bool:
            return any(one.state in reached for one in self._api.by_id(endpoint.id))

        done = settled(
            lambda: taken.append(self._api.act(verb, endpoint.id)), made, f"asked Cortex XDR to {verb} {endpoint.text}"
        )
        if not taken:
            return done
        self._asked = _Asked(endpoint.id, verb, taken[0], endpoint.state, self._clock.monotonic())
        return f"{done} (action {taken[0]})"

    def _pending(self, endpoint: Endpoint) -> tuple[str, str]:
        """What is under way, and a note for people: the state says so, else the action that we asked for."""
        shown = {ISOLATING: f"isolate {endpoint.id}", RELEASING: f"unisolate {endpoint.id}"}.get(endpoint.state, "")
        asked = self._asked
        if asked is None or asked.endpoint != endpoint.id or asked.before != endpoint.state:
            return shown, ""
        progress = self._api.progress(asked.action, endpoint.id)
        late = progress == _DONE and self._clock.monotonic() - asked.at < _GRACE
        pending = f"{asked.verb} {endpoint.id}" if late or progress in _WAITING else ""
        return pending, f"; action {asked.action} is {progress or 'not told yet'}"

    def _subject(self, endpoint: Endpoint) -> Subject:
        return Subject(
            id=endpoint.id,
            name=endpoint.names[-1] if endpoint.names else endpoint.id,
            names=tuple(name for name in (*endpoint.names, endpoint.alias) if name),
            ids=(endpoint.id,),
            groups=endpoint.groups,
            types=(endpoint.kind,),
            tags=(*endpoint.tags, *endpoint.groups),
            addresses=endpoint.addresses,
            own=is_own(endpoint.names, self._own),
        )


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        url=safe_url(items.text("cortex_xdr_url"), "cortex_xdr_url"),
        key_id=items.text("cortex_xdr_key_id"),
        key=items.text("cortex_xdr_key"),
        key_type=items.choice("cortex_xdr_auth", (ADVANCED, STANDARD), ADVANCED),
        proxy=workbench.proxy if items.flag("cortex_xdr_use_proxy", True) else None,
        ca_file=items.optional_text("cortex_xdr_ca_file"),
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    return CortexXdrBackend(settings, workbench.clock, own_names())
