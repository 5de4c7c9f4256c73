"""Microsoft Defender for Endpoint stops a file on one machine and puts it into quarantine, when the machine listens.

Its API can do that and cannot undo it: there is no call that restores a file, only a command on the machine itself
(respond-file-alerts, "Restore file from quarantine"). A lease of the service would be a promise that cannot be kept, so
this is only done by hand, with allow_without_expiry. What does not hold yet can be called off (cancel-machine-action).
What is asked of a machine is a SHA-1 (stop-and-quarantine-file); a SHA-256 is looked up (get-file-information).
"""

from __future__ import annotations

import json
import platform
from typing import NamedTuple

from propolis.clock import Clock, utc_text
from propolis.containment.backend import Backend, BackendError, Effect, NotFound, Status, Target, Terms
from propolis.containment.change import AnswerLost
from propolis.containment.defender import Action, Defender, Machine
from propolis.containment.defender_api import Document, Settings, settings_from
from propolis.containment.file import host_of
from propolis.containment.path import is_path
from propolis.containment.responder import Workbench

RESTORE = r'"%ProgramFiles%\Windows Defender\MpCmdRun.exe" -Restore -Name EUS:Win32/CustomEnterpriseBlock -All'
"""Microsoft's way back, for an administrator on the machine."""
_NO_WAY_BACK = (
    "Defender has no call that restores a file: the way back is a command on the machine itself, which restores every "
    "file that was quarantined this way there in the last 30 days"
)
_REMAINING = (
    "Copies of the file under another hash, and on other machines, stay as they are.",
    f"RestoreFile cannot undo this. {_NO_WAY_BACK}: {RESTORE}",
)


class Seen(NamedTuple):
    """What is known of the file on the machine."""

    machine: Machine
    file: Document
    sha1: str
    held: Action | None
    """The newest quarantine that succeeded."""
    open: tuple[Action, ...]
    """Those under way, ours last."""


class DefenderBackend(Backend):
    """One tenant."""

    name = "defender"
    kinds = ("file",)
    expires = False
    marks = True

    def __init__(self, settings: Settings, clock: Clock):
        self._defender = Defender(settings, clock)

    @property
    def where(self) -> str:
        return f"Microsoft Defender for Endpoint at {self._defender.url}"

    def status(self, target: Target) -> Status:
        return _status(self._look(target))

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        seen = self._look(target)
        if seen.held is not None:
            return Effect(f"{status.subject.name} was quarantined already; nothing was asked for")
        if seen.open:
            return _taken_over(status, seen)
        self._check_fit(seen, terms)
        try:
            made = self._defender.ask(seen.machine.id, "StopAndQuarantineFile", _body(seen, terms))
        except AnswerLost as error:
            made = self._settled(target, terms, error)
        if made is None:
            return self._asked_by_others(target, status)
        done = f"asked for the quarantine {made.id} of {status.subject.name}"
        return Effect(done, (), _REMAINING, made.id if made.open else "")

    def release(self, target: Target, status: Status) -> Effect:
        done = [self._call_off(target, action) for action in self._look(target).open if action.ours]
        seen = self._look(target)
        if seen.held is not None:
            raise BackendError(
                f"{status.subject.name} is in quarantine. {_NO_WAY_BACK}. Run as administrator on "
                f"{seen.machine.name or seen.machine.id}: {RESTORE} ."
            )
        left = next((action.id for action in seen.open if action.ours), "")
        return Effect(
            "; ".join(done) or f"no quarantine of {status.subject.name} by us was there any more", pending=left
        )

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        seen = self._look(target)
        self._check_fit(seen, terms)
        url = f"{self._defender.url}/api/machines/{seen.machine.id}/StopAndQuarantineFile"
        return f"POST {url} {json.dumps(_body(seen, terms))} (no undo: {_NO_WAY_BACK})"

    def close(self) -> None:
        self._defender.close()

    def _look(self, target: Target) -> Seen:
        if is_path(target.value):
            raise BackendError(
                "Defender takes a file by its SHA-1 or SHA-256, not by its path: start this on the hash's observable."
            )
        machine = self._defender.machine(target, host_of(target))
        file = self._defender.file(target.value)
        sha1 = str(file.get("sha1") or "").casefold()
        hashes = {sha1, str(file.get("sha256") or "").casefold()} - {""}
        if not sha1:
            raise NotFound(f"Defender knows no SHA-1 of {target.value}, and takes no other hash.")
        actions = [one for one in self._defender.actions(machine.id, "StopAndQuarantineFile") if one.file in hashes]
        succeeded = [one for one in actions if one.status == "Succeeded"]
        under_way = sorted((one for one in actions if one.open), key=lambda one: one.ours)
        return Seen(machine, file, sha1, max(succeeded, key=lambda one: one.ended, default=None), tuple(under_way))

    def _check_fit(self, seen: Seen, terms: Terms) -> None:
        """Refuse what could never end as promised, what would wait for days, and what would find nothing."""
        name = seen.machine.name or seen.machine.id
        if terms.lease:
            raise BackendError(
                f"{_NO_WAY_BACK}, so a lease could never end it: start QuarantineFile by hand, with the item "
                "allow_without_expiry set to true if a person will do that."
            )
        if not seen.machine.active:
            raise BackendError(f"{name} is not active in Defender ({seen.machine.state}), so it was not asked.")
        if seen.machine.id not in self._defender.machines_of(seen.sha1):
            raise NotFound(
                f"Defender did not see the file {seen.sha1} on {name}: check the host (tag propolis:host=...)."
            )

    def _settled(self, target: Target, terms: Terms, error: AnswerLost) -> Action:
        """The request whose answer was lost. There was none before it, so what carries its mark is it."""
        after = self._look(target)
        for action in (*after.open, after.held):
            if action is not None and action.comment == terms.mark:
                return action
        raise BackendError(f"{error} Defender was asked again, and the quarantine was not asked for.") from None

    def _asked_by_others(self, target: Target, status: Status) -> Effect:
        seen = self._look(target)
        if not seen.open:
            raise BackendError(
                f"Defender does something else on {seen.machine.name or seen.machine.id} at the moment and takes no "
                "quarantine: look into the machine's action centre and start this again."
            )
        return _taken_over(status, seen)

    def _call_off(self, target: Target, action: Action) -> str:
        try:
            cancelled = self._defender.cancel(action, f"propolis: undo of {action.comment}")
        except AnswerLost:
            return f"asked to cancel the quarantine {action.id}; the answer was lost and the state read again"
        except BackendError as error:
            if action.id in [left.id for left in self._look(target).open]:
                raise BackendError(f"{error} The quarantine is still under way; start this again later.") from None
            return f"the quarantine {action.id} had ended before it was cancelled"
        waits = cancelled is not None and cancelled.open
        return f"{'asked to cancel' if waits else 'cancelled'} the quarantine {action.id}"


def _body(seen: Seen, terms: Terms) -> dict[str, str]:
    return {"Comment": terms.mark, "Sha1": seen.sha1}


def _taken_over(status: Status, seen: Seen) -> Effect:
    (*_, action) = seen.open
    return Effect(f"the quarantine {action.id} of {status.subject.name} was under way already", pending=action.id)


def _status(seen: Seen) -> Status:
    machine, host = seen.machine, seen.machine.name or seen.machine.id
    signer = str(seen.file.get("signer") or "")
    signed = bool(signer) and seen.file.get("isValidCertificate") is True
    subject = machine.subject._replace(
        id=f"{machine.id}/{seen.sha1}",
        name=f"{seen.sha1} on {host}",
        privileged=signed and signer.casefold().startswith("microsoft"),
    )
    about = f"signed by {signer}" if signed else "not validly signed"
    if seen.held is not None:
        detail = (
            f"action {seen.held.id} quarantined {seen.sha1} on {host} at {utc_text(seen.held.ended)}; Defender does "
            "not say whether it was restored or came back since"
        )
        return Status(subject, True, seen.held.ours, None, seen.held.comment, detail)
    if seen.open:
        (*_, action) = seen.open
        detail = f"quarantine {action.id} of {seen.sha1} on {host} is under way; machine {machine.state}"
        return Status(subject, False, action.ours, None, action.comment, detail, action.id)
    return Status(subject, contained=False, detail=f"no quarantine of {seen.sha1} on {host}; the file is {about}")


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    return DefenderBackend(settings_from(workbench, platform.node()), workbench.clock)
