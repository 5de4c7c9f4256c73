"""MikroTik RouterOS 7: entries of a firewall address list, by its REST API.

Read in MikroTik's manual (REST API; Address-lists): PUT adds, PATCH changes, DELETE removes; an id such as `*3C` goes
into the address as it is, as its asterisk is not decoded; every value of an answer is a text; filters compare exactly;
an entry with a timeout is held in memory, ends by itself and is gone after a reboot; the same address twice in a list
is refused with 400 `already have such entry`; names are taken and resolved, so nothing but addresses is ever sent;
IPv6 has lists of its own. Only assumed: that an entry's timeout can be changed, which is therefore read back.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from propolis.clock import Clock, utc_text
from propolis.containment.backend import Backend, BackendError, Effect, Status, Target, Terms
from propolis.containment.change import AnswerLost, settled
from propolis.containment.mark import is_ours
from propolis.containment.responder import Workbench
from propolis.duration import duration_text
from propolis.errors import ConfigurationError
from propolis.guardrails.networks import AnyNetwork

from .fw_api import FirewallApi, Place, basic, place
from .fw_entries import entry_network, holding, network_of, subject_of

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_ID = re.compile(r"\*[0-9A-Fa-f]{1,16}")
_TIME = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:\d+ms)?")
_CLOCK = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(\d+):(\d\d):(\d\d)")
_UNITS = (604800, 86400, 3600, 60, 1)
_FIELDS = ".id,list,address,comment,timeout,disabled"
_SAME_END = 30  # seconds by which the router's own reckoning may differ from what was asked for
_HINTS = {401: "Check mikrotik_user and mikrotik_password, and that the user's group has the policy rest-api."}
_REMAINING = (
    "Connections that FastTrack carries pass by the firewall until they end: remove them under IP > Firewall > "
    "Connections.",
    "A reboot of the router empties the list of entries that end by themselves, and this block with it.",
)


class Settings(NamedTuple):
    """Which router, as whom, and which list."""

    at: Place
    user: str
    password: str
    list: str


class Entry(NamedTuple):
    """One entry of the list."""

    id: str
    address: str
    comment: str
    left: float | None
    """Seconds until it ends; None where nothing ends it."""
    disabled: bool

    @property
    def ours(self) -> bool:
        """It carries our mark."""
        return is_ours(self.comment)


class MikrotikBackend(Backend):
    """One address list, for IPv4 and for IPv6, of one router."""

    name = "mikrotik"
    kinds = ("ip",)
    expires = True
    marks = True

    def __init__(self, settings: Settings, clock: Clock):
        self._list = settings.list
        self._clock = clock
        self._api = FirewallApi(
            settings.at,
            clock,
            name="mikrotik_url",
            headers=basic(settings.user, settings.password),
            secret=settings.password,
            hints=_HINTS,
        )

    @property
    def where(self) -> str:
        return f"MikroTik at {self._api.url}, address list {self._list}"

    def status(self, target: Target) -> Status:
        wanted = network_of(target)
        entries = self._look(wanted)
        subject = subject_of(target, wanted, self._api.url)
        enabled = [one for one in entries if not one.disabled]
        ours = [one for one in entries if one.ours and entry_network(one.address) == wanted]
        in_force = [one for one in ours if not one.disabled]
        if not enabled:
            detail = f"entry {ours[0].id} of list {self._list} is disabled" if ours else f"not in list {self._list}"
            return Status(subject, contained=False, ours=bool(ours), detail=detail, remains=bool(ours))
        shown = (in_force or enabled)[0]
        until = self._end(in_force or enabled)
        end = f"until {utc_text(until)}" if until is not None else "without an end"
        detail = f"entry {shown.id} of list {self._list} holds {shown.address} {end}"
        return Status(subject, True, bool(in_force), until, shown.comment, detail)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        wanted = network_of(target)
        exact = self._exact(wanted)
        ours = [one for one in exact if one.ours]
        others = [one for one in exact if not one.ours]
        if others and not ours:
            return self._left_alone(target, others[0])
        span = duration_text(terms.seconds)
        if ours:
            done = self._changed(ours, wanted, terms, f"set the end of {target.value} in list {self._list} to {span}")
        else:
            done = self._added(target, wanted, terms, f"added {target.value} to list {self._list} for {span}")
        return Effect(done, remaining=_REMAINING)

    def release(self, target: Target, status: Status) -> Effect:
        wanted = network_of(target)
        ours = [one for one in self._exact(wanted) if one.ours]
        done = f"removed {target.value} from list {self._list}"
        for one in ours:
            done = self._removed(one, wanted, done)
        return Effect(done if ours else f"no entry of ours for {target.value} was in list {self._list} any more")

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        wanted = network_of(target)
        ours = [one for one in self._exact(wanted) if one.ours]
        body = json.dumps(_again(terms) if ours else self._entry(wanted, terms))
        path = f"{_menu(wanted)}/{ours[0].id}" if ours else _menu(wanted)
        return f"{'PATCH' if ours else 'PUT'} {self._api.url}{path} {body} (entry: {target.value})"

    def close(self) -> None:
        self._api.close()

    def _look(self, wanted: AnyNetwork) -> list[Entry]:
        """The list's entries that hold the target, the narrowest first."""
        answer = self._api.read(_menu(wanted), {"list": self._list, ".proplist": _FIELDS})
        rows = answer.document
        if not isinstance(rows, list):
            raise BackendError(self._api.strange(answer))
        entries = [_read(row) for row in rows if not isinstance(row, dict) or row.get("list") == self._list]
        known = [entry for entry in entries if entry is not None]
        if len(known) != len(entries):
            raise BackendError(self._api.strange(answer))
        texts = holding((entry.address for entry in known), wanted)
        return sorted((entry for entry in known if entry.address in texts), key=lambda one: texts.index(one.address))

    def _exact(self, wanted: AnyNetwork) -> list[Entry]:
        return [one for one in self._look(wanted) if entry_network(one.address) == wanted]

    def _end(self, entries: list[Entry]) -> float | None:
        """When the last of them ends; None where one does not."""
        left = [one.left for one in entries]
        return None if None in left else self._clock.now() + max(one for one in left if one is not None)

    def _left_alone(self, target: Target, entry: Entry) -> Effect:
        if entry.disabled:
            raise BackendError(
                f"{target.value} is in list {self._list} by somebody else, and disabled: the router takes no second "
                f"entry. Enable or remove {entry.id} there."
            )
        return Effect(f"{target.value} was in list {self._list} already, not by us, and was left as it is")

    def _entry(self, wanted: AnyNetwork, terms: Terms) -> dict[str, str]:
        """What is added: an address in digits, and never a name, which the router would resolve."""
        single = wanted.version == 4 and wanted.prefixlen == wanted.max_prefixlen
        address = str(wanted.network_address) if single else str(wanted)
        return {"list": self._list, "address": address, **_terms(terms)}

    def _added(self, target: Target, wanted: AnyNetwork, terms: Terms, done: str) -> str:
        def add() -> None:
            answer = self._api.write("PUT", _menu(wanted), self._entry(wanted, terms), accept=(200, 201, 400))
            if answer.response.status == 400:
                raise BackendError(f"The router did not add {target.value}: {answer.said('detail')}.")
            if not _ID.fullmatch(str(answer.part(".id"))):
                raise AnswerLost(self._api.strange(answer))

        return settled(add, lambda: any(one.comment == terms.mark for one in self._exact(wanted)), done)

    def _changed(self, ours: list[Entry], wanted: AnyNetwork, terms: Terms, done: str) -> str:
        """New terms for our entry, read back: that a timeout can be changed is not documented."""

        def change() -> None:
            self._api.write("PATCH", f"{_menu(wanted)}/{ours[0].id}", _again(terms))

        def made() -> bool:
            seen = [one for one in self._exact(wanted) if one.id == ours[0].id]
            return bool(seen) and seen[0].comment == terms.mark and _about(seen[0].left, terms.seconds)

        done = settled(change, made, done)
        if not made():
            raise BackendError(
                f"The router took a new end for {ours[0].address} in list {self._list} and shows another one: undo the "
                "block and make it anew."
            )
        return done

    def _removed(self, entry: Entry, wanted: AnyNetwork, done: str) -> str:
        """Remove by id. What is gone already (404) is gone."""

        def remove() -> None:
            self._api.write("DELETE", f"{_menu(wanted)}/{entry.id}", accept=(204, 404))

        return settled(remove, lambda: entry.id not in [one.id for one in self._exact(wanted)], done)


def _terms(terms: Terms) -> dict[str, str]:
    return {"timeout": router_time(terms.seconds), "comment": terms.mark}


def _again(terms: Terms) -> dict[str, str]:
    """New terms for an entry of ours, which somebody may have disabled meanwhile."""
    return {**_terms(terms), "disabled": "no"}


def _menu(wanted: AnyNetwork) -> str:
    return f"/rest/{'ip' if wanted.version == 4 else 'ipv6'}/firewall/address-list"


def _read(row: Any) -> Entry | None:
    """An entry from the router's record; None for one of another shape."""
    if not isinstance(row, dict) or not isinstance(row.get("address"), str) or not _ID.fullmatch(str(row.get(".id"))):
        return None
    timeout = row.get("timeout")
    left = router_seconds(str(timeout)) if timeout else None
    return Entry(row[".id"], row["address"], str(row.get("comment") or ""), left, row.get("disabled") == "true")


def _about(left: float | None, seconds: int) -> bool:
    return left is not None and abs(left - seconds) <= _SAME_END


def router_time(seconds: int) -> str:
    """A span as the router writes it: 93784 seconds are `1d2h3m4s`."""
    text = ""
    for size, sign in zip(_UNITS[1:], "dhms", strict=True):
        count, seconds = divmod(seconds, size)
        text += f"{count}{sign}" if count else ""
    return text or "0s"


def router_seconds(text: str) -> float | None:
    """Seconds of a span as the router writes it, `1w2d3h4m5s` or `1d02:03:04`; None for what is none."""
    found = (_TIME.fullmatch(text) or _CLOCK.fullmatch(text)) if text else None
    if found is None:
        return None
    return float(sum(int(count or 0) * size for count, size in zip(found.groups(), _UNITS, strict=True)))


def _checked_list(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "must be the name of an address list: letters, digits, _, - and dots, 63 at most.",
            path="configuration item mikrotik_list",
        )
    return name


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        at=place(workbench, "mikrotik"),
        user=items.text("mikrotik_user"),
        password=items.text("mikrotik_password", strip=False),
        list=_checked_list(items.text("mikrotik_list", "propolis")),
    )
    return MikrotikBackend(settings, workbench.clock)
