"""Microsoft Defender for Endpoint isolates a machine, when the machine next listens.

A machine has no field that says whether it is isolated: what holds is the newest Isolate or Unisolate that *succeeded*,
by the time at which it ended (they were seen to end in another order than they were asked for). The mark is the comment
of that Isolate. One that is under way is taken over, never asked for twice, and called off by an undo. See
isolate-machine, unisolate-machine and cancel-machine-action in Microsoft's documentation.
"""

from __future__ import annotations

import json
import platform
from typing import NamedTuple

from propolis.clock import Clock, utc_text
from propolis.containment.backend import Backend, BackendError, Effect, Status, Target, Terms
from propolis.containment.change import AnswerLost
from propolis.containment.defender import Action, Defender, Machine
from propolis.containment.defender_api import Settings, settings_from
from propolis.containment.responder import Workbench

ISOLATION_TYPES = ("Full", "Selective")
_REMAINING = {
    "Full": ("The connection to Defender's own service stays open, so that the release can arrive.",),
    "Selective": (
        "The connection to Defender's own service stays open, so that the release can arrive.",
        "Selective: Outlook, Teams and Skype for Business keep talking.",
    ),
}


class Seen(NamedTuple):
    """What the actions of one machine say."""

    held: Action | None
    """The Isolate that holds."""
    isolating: tuple[Action, ...]
    """Isolates under way, ours last."""
    releasing: Action | None
    """The newest Unisolate under way."""


class DefenderBackend(Backend):
    """One tenant."""

    name = "defender"
    kinds = ("host",)
    expires = False
    marks = True

    def __init__(self, settings: Settings, clock: Clock, isolation_type: str = "Full"):
        self._defender = Defender(settings, clock)
        self._type = isolation_type

    @property
    def where(self) -> str:
        return f"Microsoft Defender for Endpoint at {self._defender.url}"

    def status(self, target: Target) -> Status:
        machine = self._defender.machine(target, target.value)
        return _status(machine, self._look(machine.id))

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        seen = self._look(status.subject.id)
        standing = _standing(status, seen)
        if standing is not None:
            return standing
        self._check_fit(status)
        try:
            made = self._defender.ask(status.subject.id, "isolate", self._body(terms))
        except AnswerLost as error:
            return self._settled_isolate(status, terms, error)
        if made is None:
            return self._asked_by_others(status)
        return Effect(f"asked for {_words(made)} of {status.subject.name}", (), _REMAINING[self._type], _pending(made))

    def release(self, target: Target, status: Status) -> Effect:
        seen = self._look(status.subject.id)
        called_off = [self._call_off(status, action) for action in seen.isolating if action.ours]
        if called_off:
            seen = self._look(status.subject.id)
        left = next((action for action in seen.isolating if action.ours), None)
        if seen.held is None:
            done = "; ".join(called_off) or f"{status.subject.name} was not isolated by us any more"
            return Effect(done, pending=left.id if left else "")
        if not seen.held.ours:
            raise BackendError(f"{status.subject.name} is isolated by somebody else by now; nothing was changed.")
        return self._unisolate(status, seen, seen.held, called_off)

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        self._check_fit(status)
        url = f"{self._defender.url}/api/machines/{status.subject.id}/isolate"
        return f"POST {url} {json.dumps(self._body(terms))}"

    def close(self) -> None:
        self._defender.close()

    def _look(self, machine: str) -> Seen:
        return _seen(self._defender.actions(machine, "Isolate", "Unisolate"))

    def _body(self, terms: Terms) -> dict[str, str]:
        return {"Comment": terms.mark, "IsolationType": self._type}

    def _check_fit(self, status: Status) -> None:
        """Refuse a machine that would not hear of it: the request would wait for days and then take effect unlooked."""
        machine = self._defender.again(status.subject.id)
        if not machine.active:
            raise BackendError(
                f"{machine.name or machine.id} is not active in Defender ({machine.state}), so it was not asked for: "
                "look whether it was set up again under another id, or is switched off or not onboarded."
            )

    def _settled_isolate(self, status: Status, terms: Terms, error: AnswerLost) -> Effect:
        """A request whose answer was lost. There was none before it, so what carries its mark is it."""
        after = self._look(status.subject.id)
        mine = next((one for one in (*after.isolating, after.held) if one and one.comment == terms.mark), None)
        if mine is None:
            raise BackendError(f"{error} Defender was asked again, and the isolation was not asked for.") from None
        done = f"asked for {_words(mine)} of {status.subject.name}; the answer was lost and the state read again"
        return Effect(done, (), _REMAINING[self._type], _pending(mine))

    def _asked_by_others(self, status: Status) -> Effect:
        """Defender says that something is under way: it is taken over if it is an isolation."""
        seen = self._look(status.subject.id)
        if not seen.isolating:
            raise BackendError(
                f"Defender does something else with {status.subject.name} at the moment and takes no isolation: look "
                "into the machine's action centre and start this again."
            )
        (*_, action) = seen.isolating
        return Effect(f"{_words(action)} of {status.subject.name} was under way already", pending=action.id)

    def _call_off(self, status: Status, action: Action) -> str:
        """Cancel an isolation of ours. What cannot be cancelled any more shows in the next look."""
        try:
            cancelled = self._defender.cancel(action, f"propolis: undo of {action.comment}")
        except AnswerLost:
            return f"asked to cancel {_words(action)}; the answer was lost and the state read again"
        except BackendError as error:
            seen = self._look(status.subject.id)
            if action.id in [left.id for left in seen.isolating]:
                raise BackendError(f"{error} The isolation is still under way; start this again later.") from None
            cancelled = None
        if cancelled is None:
            return f"{_words(action)} had ended before it was cancelled"
        return f"{'asked to cancel' if cancelled.open else 'cancelled'} {_words(action)}"

    def _unisolate(self, status: Status, seen: Seen, held: Action, called_off: list[str]) -> Effect:
        before, left = "; ".join([*called_off, ""]), _left(seen)
        if seen.releasing is not None:
            return Effect(f"{before}a release was under way already", (), left, seen.releasing.id)
        comment = f"propolis: undo of {held.comment}"
        done, lost = f"{before}asked for the release of {status.subject.name}", None
        try:
            made = self._defender.ask(status.subject.id, "unisolate", {"Comment": comment})
            if made is not None:
                return Effect(f"{done} ({made.id})", (), left, _pending(made))
        except AnswerLost as error:
            lost = error
        after = self._look(status.subject.id)
        if after.releasing is None and after.held is not None:
            why = f"{lost} " if lost else "Defender does something else with it. "
            raise BackendError(f"{why}{status.subject.name} is still isolated and no release is under way.") from None
        return Effect(f"{done}; the state was read again", (), left, after.releasing.id if after.releasing else "")


def _seen(actions: list[Action]) -> Seen:
    succeeded = [one for one in actions if one.status == "Succeeded"]
    newest = max(succeeded, key=lambda one: (one.ended, one.created), default=None)
    isolating = [one for one in actions if one.open and one.type == "Isolate"]
    releasing = [one for one in actions if one.open and one.type == "Unisolate"]
    return Seen(
        newest if newest is not None and newest.type == "Isolate" else None,
        tuple(sorted(isolating, key=lambda one: one.ours)),
        releasing[-1] if releasing else None,
    )


def _status(machine: Machine, seen: Seen) -> Status:
    name = machine.name or machine.id
    if seen.held is not None:
        pending = seen.releasing.id if seen.releasing else ""
        also = f"; a release is under way ({pending})" if pending else "".join(f"; {text}" for text in _left(seen))
        detail = f"{name} is isolated since {utc_text(seen.held.ended)} by action {seen.held.id}{also}"
        return Status(machine.subject, True, seen.held.ours, None, seen.held.comment, detail, pending)
    if seen.isolating:
        (*_, action) = seen.isolating
        detail = f"{_words(action)} of {name} is under way; machine {machine.state}"
        return Status(machine.subject, False, action.ours, None, action.comment, detail, action.id)
    return Status(machine.subject, contained=False, detail=f"{name} is not isolated; machine {machine.state}")


def _standing(status: Status, seen: Seen) -> Effect | None:
    """What there is instead of a new request: a second one is never made."""
    if seen.held is not None:
        return Effect(f"{status.subject.name} was isolated already and was left as it is")
    if seen.releasing is not None:
        raise BackendError(
            f"A release of {status.subject.name} is under way ({seen.releasing.id}), and what is asked for now could "
            "end before it: start this again when that is done."
        )
    if seen.isolating:
        (*_, action) = seen.isolating
        return Effect(f"{_words(action)} of {status.subject.name} was under way already", pending=action.id)
    return None


def _left(seen: Seen) -> tuple[str, ...]:
    """What will isolate the machine again."""
    return tuple(
        f"Somebody else's isolation ({one.id}) is under way and may isolate it again."
        for one in seen.isolating
        if not one.ours
    )


def _words(action: Action) -> str:
    return f"the isolation {action.id}"


def _pending(action: Action) -> str:
    return action.id if action.open else ""


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    isolation = workbench.items.choice("defender_isolation_type", ISOLATION_TYPES, "Full")
    return DefenderBackend(settings_from(workbench, platform.node()), workbench.clock, isolation)
