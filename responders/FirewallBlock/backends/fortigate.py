"""FortiGate: addresses on the list of banned IPs (quarantine) of one VDOM, by the monitor API of FortiOS.

Read from the collection fortinet.fortios (`fortios_monitor`: `add_users.user.banned` takes `ip_addresses` and `expiry`,
`clear_users.user.banned` takes `ip_addresses`; both per `vdom`), from the CLI reference 7.2.7 to 8.0.0 (`diagnose user
banned-ip`: one address each, causes admin, dlp, ips, av, dos, app; `banned-ip-persistency` is disabled by default), and
from programs that read the list: `expires` and `created` are moments in seconds since the epoch.

Assumed, as no document says: the list comes whole; a ban without an end shows `expires` 0; a second `add_users` moves
the end (so it is looked at, and said where it did not); the profile needs access to User & Device. An entry holds no
text of ours: nothing proves a ban to be ours.
"""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from typing import Any, NamedTuple

from propolis.clock import Clock, utc_text
from propolis.containment.backend import Backend, BackendError, Effect, Status, Target, Terms
from propolis.containment.change import AnswerLost, settled
from propolis.containment.responder import Workbench
from propolis.duration import duration_text
from propolis.errors import ConfigurationError
from propolis.guardrails.networks import AnyNetwork

from .fw_api import Answer, FirewallApi, Place, place
from .fw_entries import network_of, subject_of

_BANNED = "/api/v2/monitor/user/banned"
_VDOM = re.compile(r"[A-Za-z0-9_-]{1,31}")
_AUTOMATIC = ("dlp", "ips", "av", "dos", "app")  # causes that FortiOS itself writes
_SAME_END = 60.0  # seconds: two ends closer than this are one
_HINTS = {
    401: "Check fortigate_token, and that the trusted hosts of its API user include this machine.",
    403: "The token's API user needs read/write access to User & Device in its profile, and the VDOM among its VDOMs.",
    404: "Check fortigate_url and fortigate_vdom.",
    424: "Check fortigate_vdom.",
}
_REMAINING = (
    "Only what comes from the address is dropped, and only in this VDOM; what inside machines open to it is not.",
    "A restart of the FortiGate empties the list unless its setting banned-ip-persistency keeps it.",
)


class Settings(NamedTuple):
    """Which FortiGate, with which token, and which of its VDOMs."""

    at: Place
    token: str
    vdom: str


class Ban(NamedTuple):
    """An entry of the list."""

    cause: str
    until: float | None
    """Wall time by the FortiGate's clock, seconds; None: without end."""


class Monitor(FirewallApi):
    """The monitor API of one VDOM: an answer counts only if it says success, for this VDOM."""

    def __init__(self, settings: Settings, clock: Clock):
        headers = {"Authorization": f"Bearer {settings.token}"}
        super().__init__(settings.at, clock, name="fortigate_url", headers=headers, secret=settings.token, hints=_HINTS)
        self._query = {"vdom": settings.vdom}

    def banned(self) -> Answer:
        """The list. Raises BackendError."""
        answer = self.read(_BANNED, self._query)
        if not self._is_success(answer):
            raise BackendError(self.strange(answer))
        return answer

    def post(self, verb: str, body: dict[str, Any]) -> None:
        """A change of the list. Raises AnswerLost where it may have been made, else BackendError."""
        answer = self.write("POST", f"{_BANNED}/{verb}", body, params=self._query)
        if not self._is_success(answer):
            raise AnswerLost(self.strange(answer))

    def _is_success(self, answer: Answer) -> bool:
        """Raises BackendError for an answer about another VDOM than the one asked for."""
        vdom = answer.part("vdom")
        if vdom is not None and vdom != self._query["vdom"]:
            raise BackendError(
                f"{answer.response.where} answered for VDOM {answer.said('vdom')}: check fortigate_vdom."
            )
        return bool(answer.part("status") == "success")


class FortigateBackend(Backend):
    """The list of banned IPs of one VDOM."""

    name = "fortigate"
    kinds = ("ip",)
    expires = True
    marks = False

    def __init__(self, settings: Settings, clock: Clock):
        self._url, self._vdom, self._clock = settings.at.url, settings.vdom, clock
        self._api = Monitor(settings, clock)

    @property
    def where(self) -> str:
        return f"FortiGate at {self._url}, VDOM {self._vdom}"

    def status(self, target: Target) -> Status:
        wanted = _address(target)
        ban = self._look(wanted)
        subject = subject_of(target, wanted, self._url)
        if ban is None:
            return Status(subject, contained=False, detail=f"not banned in VDOM {self._vdom}")
        end = f"until {utc_text(ban.until)}" if ban.until is not None else "without an end"
        detail = f"banned in VDOM {self._vdom} {end} (cause: {ban.cause})"
        return Status(subject, contained=True, until=ban.until, detail=detail)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        wanted = _address(target)
        before = self._look(wanted)
        done = settled(
            lambda: self._api.post("add_users", _add(target, terms)),
            lambda: _is_new(before, self._look(wanted)),
            f"banned {target.value} in VDOM {self._vdom} for {duration_text(terms.seconds)}",
        )
        if before is not None and not self._ends_so(before, terms) and not _is_new(before, self._look(wanted)):
            raise BackendError(
                f"FortiGate kept the end that the ban of {target.value} had before: undo it and block it again."
            )
        return Effect(done, remaining=_REMAINING)

    def release(self, target: Target, status: Status) -> Effect:
        wanted = _address(target)
        ban = self._look(wanted)
        if ban is None:
            return Effect(f"no ban of {target.value} was there any more")
        if ban.cause.casefold() in _AUTOMATIC:
            raise BackendError(
                f"{target.value} is banned by FortiGate itself (cause: {ban.cause}) and not by an administrator: an "
                "undo touches only what we did. Take it off the list of banned IPs there."
            )
        done = settled(
            lambda: self._api.post("clear_users", {"ip_addresses": [target.value]}),
            lambda: self._look(wanted) is None,
            f"took {target.value} off the list of banned IPs in VDOM {self._vdom}",
        )
        return Effect(done)

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        return f"POST {self._url}{_BANNED}/add_users?vdom={self._vdom} {json.dumps(_add(target, terms))}"

    def close(self) -> None:
        self._api.close()

    def _ends_so(self, ban: Ban, terms: Terms) -> bool:
        return ban.until is not None and abs(ban.until - self._clock.now() - terms.seconds) <= _SAME_END

    def _look(self, wanted: AnyNetwork) -> Ban | None:
        """The ban of the address; the list holds single addresses only."""
        answer = self._api.banned()
        results = answer.part("results")
        if not isinstance(results, list) or not all(isinstance(entry, dict) for entry in results):
            raise BackendError(self._api.strange(answer))
        try:
            found = [_ban(answer, one) for one in results if ip_address(one["ip_address"]) == wanted.network_address]
        except (KeyError, ValueError, TypeError):
            raise BackendError(f"{answer.response.where} failed: an entry of the list cannot be read.") from None
        return max(found, key=lambda ban: float("inf") if ban.until is None else ban.until, default=None)


def _address(target: Target) -> AnyNetwork:
    """The target's one address. Raises InputError for what is none, BackendError for a network."""
    wanted = network_of(target)
    if wanted.num_addresses != 1:
        raise BackendError(
            f"FortiGate bans single addresses only, and {target.value} is a network: use the backend edl for it."
        )
    return wanted


def _add(target: Target, terms: Terms) -> dict[str, Any]:
    """The body of `add_users`. An `expiry` of 0 would mean for ever."""
    return {"ip_addresses": [target.value], "expiry": max(1, terms.seconds)}


def _ban(answer: Answer, entry: dict[str, Any]) -> Ban:
    expires = entry.get("expires") or 0
    cause = answer.response.redact(" ".join(str(entry.get("source") or "not said").split()))[:60]
    return Ban(cause, float(expires) if float(expires) > 0 else None)


def _is_new(before: Ban | None, after: Ban | None) -> bool:
    """Whether a ban is there whose end is another than before."""
    if before is None or after is None:
        return after is not None
    if before.until is None or after.until is None:
        return before.until is not after.until
    return abs(after.until - before.until) > _SAME_END


def _checked_vdom(text: str) -> str:
    if not _VDOM.fullmatch(text):
        raise ConfigurationError(
            "must be the name of one VDOM: letters, digits, - and _, at most 31.",
            path="configuration item fortigate_vdom",
        )
    return text


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        at=place(workbench, "fortigate"),
        token=items.text("fortigate_token"),
        vdom=_checked_vdom(items.text("fortigate_vdom", "root")),
    )
    return FortigateBackend(settings, workbench.clock)
