"""Microsoft Defender for Endpoint: its machines, their actions and files, for every responder that works with it.

Written from Microsoft's documentation (MicrosoftDocs/defender-docs, defender-endpoint/api: machine, get-machines,
find-machines-by-ip, machineaction, get-machineactions-collection, cancel-machine-action, get-file-information). What
shapes this client: a machine has no field that says whether it is isolated, so state is read from its actions; asking
twice may answer with the pending action, with 400, or with a second action that ends in any order
(MicrosoftDocs/microsoft-365-docs issues 5903 and 5904), so nothing is asked for while something is under way.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from propolis.alert.moment import epoch
from propolis.clock import Clock, utc_text
from propolis.containment.backend import Ambiguous, BackendError, NotFound, Subject, Target
from propolis.containment.change import AnswerLost
from propolis.containment.defender_api import DefenderApi, Document, Settings, literal
from propolis.containment.mark import is_ours
from propolis.http import HttpError, Response, segment

_OPEN = ("Pending", "InProgress")
_REPORTS_EVERY = 86_400.0  # seconds
_MOST = 10_000  # actions of one answer, the documented maximum
_BEFORE = 300  # seconds: a look by address is for the half-hour around five minutes ago, never for the future
_MACHINE_ID = re.compile(r"[0-9a-f]{40}")


class Machine(NamedTuple):
    """One device."""

    id: str
    name: str
    active: bool
    """Defender heard from it lately, and manages it."""
    state: str
    """In words: `Active, onboarded, last report 2026-01-01T00:00:00Z`."""
    subject: Subject


class Action(NamedTuple):
    """Something that was asked of a machine."""

    id: str
    type: str
    status: str
    comment: str
    created: float
    ended: float
    """Wall time, seconds, of its last change of status."""
    file: str
    """The hash of the file that it is about, in lower case."""

    @property
    def open(self) -> bool:
        """It is under way."""
        return self.status in _OPEN

    @property
    def ours(self) -> bool:
        """Its comment is our mark."""
        return is_ours(self.comment)


class Defender:
    """One tenant. Everything raises BackendError with one sentence."""

    def __init__(self, settings: Settings, clock: Clock):
        self._api = DefenderApi(settings, clock)
        self.url = self._api.url
        self._clock = clock
        self._own_name = _short(settings.own_name)

    def machine(self, target: Target, wanted: str) -> Machine:
        """The one machine of this id, name or address. Raises NotFound or Ambiguous, with every candidate's state.

        Where several share a name or an address, the only one that is active is meant: a machine that was set up again
        leaves its old entry behind. A name without dots means the machine whose name begins with it and a dot.
        """
        found = {one.id: one for one in self._found(wanted)}  # by address, one machine may come twice
        active = [one for one in found.values() if one.active]
        if not found:
            raise NotFound(f"{wanted} is no machine of {self.url}: check the spelling, or give Defender's machine id.")
        if len(found) > 1 and len(active) != 1:
            raise Ambiguous(target, [f"{one.name or 'no name'} (id {one.id}; {one.state})" for one in found.values()])
        return active[0] if active else next(iter(found.values()))

    def again(self, machine: str) -> Machine:
        """A machine that was found before, as it is now."""
        for one in self._with_id(machine):
            return one
        raise BackendError(f"Defender does not list the machine {machine} any more; nothing was done.")

    def _with_id(self, machine: str) -> list[Machine]:
        return self._by(f"id eq {literal(machine)}", lambda one: one.id.casefold() == machine.casefold())

    def _found(self, wanted: str) -> list[Machine]:
        if _is_address(wanted):
            moment = utc_text(self._clock.now() - _BEFORE)
            now = self._machines(f"/api/machines/findbyip(ip={literal(wanted)},timestamp={moment})")
            return now + self._by(f"lastIpAddress eq {literal(wanted)}", lambda one: wanted in one.subject.addresses)
        if _MACHINE_ID.fullmatch(wanted):
            return self._with_id(wanted)
        named = self._by(f"computerDnsName eq {literal(wanted)}", lambda one: one.name.casefold() == wanted)
        if named or "." in wanted:
            return named
        return self._by(f"startswith(computerDnsName,{literal(wanted + '.')})", lambda one: _short(one.name) == wanted)

    def _by(self, condition: str, fits: Callable[[Machine], bool]) -> list[Machine]:
        """The machines that fulfil a condition, and are seen to do so: a filter that is not applied chooses nobody."""
        return [one for one in self._machines("/api/machines", {"$filter": condition}) if fits(one)]

    def _machines(self, path: str, params: dict[str, str] | None = None) -> list[Machine]:
        return [self._machine(entry) for entry in self._api.listed(path, params)]

    def _machine(self, entry: Document) -> Machine:
        if not _text(entry, "id"):
            raise BackendError("Defender answered with a machine that has no id; nothing was done.")
        name = _text(entry, "computerDnsName")
        health, onboarding = _text(entry, "healthStatus") or "Unknown", _text(entry, "onboardingStatus") or "onboarded"
        state = f"{health}, {onboarding}, last report {_text(entry, 'lastSeen') or 'unknown'}"
        active = health == "Active" and onboarding.casefold() == "onboarded"
        return Machine(entry["id"], name, active, state, self._subject(entry, name))

    def _subject(self, entry: Document, name: str) -> Subject:
        platform, group, value = (_text(entry, key) for key in ("osPlatform", "rbacGroupName", "deviceValue"))
        tags = tuple(tag for tag in entry.get("machineTags") or () if isinstance(tag, str))
        words = {word.casefold().rstrip("s") for word in (*tags, group)}
        types = (
            platform,
            "Server" if "server" in platform.casefold() else "",
            "Domain Controller" if "domain controller" in words else "",
        )
        return Subject(
            id=entry["id"],
            name=name or entry["id"],
            names=_some(name, name.partition(".")[0]),
            ids=_some(entry["id"], _text(entry, "aadDeviceId")),
            groups=_some(group),
            types=_some(*types),
            tags=(*tags, *_some(f"device-value:{value.casefold()}" if value else "")),
            addresses=_addresses(entry),
            own=bool(self._own_name) and _short(name) == self._own_name,
            last_seen=_last_seen(entry),
        )

    def actions(self, machine: str, *types: str) -> list[Action]:
        """Every action of these types that Defender remembers of a machine, oldest first."""
        params = {"$filter": f"machineId eq {literal(machine)}", "$top": str(_MOST)}
        entries = self._api.listed("/api/machineactions", params)
        if len(entries) >= _MOST:
            raise BackendError(f"{machine} has {_MOST} actions or more, so its state cannot be read; nothing was done.")
        try:
            known = [_action(entry) for entry in entries if entry.get("machineId") == machine]
        except ValueError:
            raise BackendError("Defender answered with an action that cannot be read; nothing was done.") from None
        return sorted((one for one in known if one.type in types), key=lambda one: one.created)

    def ask(self, machine: str, verb: str, body: Document) -> Action | None:
        """Ask a machine for something. None where Defender says that something is under way already.

        Raises AnswerLost where it may have been asked for.
        """
        return _made(self._api.change(f"/api/machines/{segment(machine)}/{verb}", body, 201))

    def cancel(self, action: Action, comment: str) -> Action | None:
        """Call an action off. Raises AnswerLost where it may have been."""
        return _made(self._api.change(f"/api/machineactions/{segment(action.id)}/cancel", {"Comment": comment}, 200))

    def file(self, file: str) -> Document:
        """What Defender knows of a file, by its SHA-1 or SHA-256 in lower case. Raises NotFound."""
        found = self._api.entity(f"/api/files/{segment(file)}")
        if found is None:
            raise NotFound(f"Defender knows no file {file}: check the hash.")
        if file not in (_text(found, "sha1").casefold(), _text(found, "sha256").casefold()):
            raise BackendError(f"Defender answered with another file than {file}; nothing was done.")
        return found

    def machines_of(self, sha1: str) -> list[str]:
        """The ids of the machines on which Defender saw a file."""
        return [one.id for one in self._machines(f"/api/files/{segment(sha1)}/machines")]

    def close(self) -> None:
        """Let go of connections."""
        self._api.close()


def _made(response: Response | None) -> Action | None:
    """The action of an answer. What cannot be read may still have been asked for."""
    if response is None:
        return None
    try:
        return _action(response.json())
    except (HttpError, ValueError):
        raise AnswerLost(f"{response.where} failed: the answer is not Defender's; check defender_cloud.") from None


def _action(entry: Any) -> Action:
    """Raises ValueError for what is none."""
    if not isinstance(entry, dict) or not all(_text(entry, name) for name in ("id", "type", "status")):
        raise ValueError
    created = epoch(_text(entry, "creationDateTimeUtc")) or 0.0
    ended = _text(entry, "lastUpdateDateTimeUtc") or _text(entry, "lastUpdateTimeUtc")  # the documentation has both
    about = entry.get("relatedFileInfo")
    return Action(
        entry["id"],
        entry["type"],
        entry["status"],
        _text(entry, "requestorComment"),
        created,
        epoch(ended) or created,
        _text(about, "fileIdentifier").casefold() if isinstance(about, dict) else "",
    )


def _addresses(entry: Document) -> tuple[str, ...]:
    """Its own addresses; the external one is often a whole site's."""
    listed = [_text(part, "ipAddress") for part in entry.get("ipAddresses") or () if isinstance(part, dict)]
    return tuple(dict.fromkeys(_some(_text(entry, "lastIpAddress"), *listed)))


def _some(*texts: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _text(entry: Document, name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _short(name: str) -> str:
    return name.casefold().partition(".")[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _last_seen(entry: Document) -> float | None:
    """`lastSeen` is the last full report, of which a machine sends one a day: it was heard of up to a day later."""
    reported = epoch(_text(entry, "lastSeen"))
    return None if reported is None else reported + _REPORTS_EVERY
