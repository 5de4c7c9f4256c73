"""OPNsense: addresses in an alias of type *external*, by the API `alias_util`.

Read from the sources of opnsense/core (AliasUtilController, AliasController, FirewallController, SanitizeFilter, Core's
ACL.xml and scripts/filter): every answer has status 200, and `add` says done whatever pfctl did; `delete` says done of
what never was there, and compares texts; the list of an alias that does not exist is empty; an alias of another type
than external is written to config.xml with every change; an address with letters in upper case is not taken. So nothing
counts but what the list then shows. A table of pf holds neither comments nor an end for each entry: only a lease can
end what we do.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Target, Terms
from propolis.containment.change import AnswerLost, settled
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails.networks import AnyNetwork
from propolis.http import segment

from .fw_api import Answer, FirewallApi, Place, basic, place
from .fw_entries import entry_network, holding, network_of, subject_of

_KILL = "/api/diagnostics/firewall/kill_states"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
_HINTS = {
    401: "Check opnsense_key and opnsense_secret.",
    403: "The key's user needs the privilege 'Diagnostics: PF Table IP addresses'.",
}
_MAY_KILL = "The key's user needs the privilege 'Diagnostics: Show States' to end them."
_REBOOT = "A reboot of the firewall empties an external alias, and this block with it."
_BY_HAND = "End them under Firewall > Diagnostics > States."
_STATES_LEFT = f"States that are open live on. {_BY_HAND} Or set opnsense_kill_states."
_STATES_KEPT = f"States that are open live on: OPNsense can only be told to end those of one IPv4 address. {_BY_HAND}"
_UNCHECKED = (
    "Whether the alias is of type external was not checked: the key's user lacks the privilege 'Firewall: Aliases', "
    "which only reads."
)


class Settings(NamedTuple):
    """Which firewall, with which key, and which alias."""

    at: Place
    key: str
    secret: str
    alias: str
    kill_states: bool = False
    """End the states of an address once it is listed."""


class OpnsenseBackend(Backend):
    """One alias of one firewall."""

    name = "opnsense"
    kinds = ("ip",)
    expires = False
    marks = False

    def __init__(self, settings: Settings, clock: Clock):
        self._alias = settings.alias
        self._kill = settings.kill_states
        self._api = FirewallApi(
            settings.at,
            clock,
            name="opnsense_url",
            headers=basic(settings.key, settings.secret),
            secret=settings.secret,
            hints=_HINTS,
        )

    @property
    def where(self) -> str:
        return f"OPNsense at {self._api.url}, alias {self._alias}"

    def status(self, target: Target) -> Status:
        wanted = network_of(target)
        self._check_exists()
        found = self._look(wanted)
        subject = subject_of(target, wanted, self._api.url)
        if not found:
            return Status(subject, contained=False, detail=f"not in alias {self._alias}")
        return Status(subject, contained=True, detail=f"alias {self._alias} holds {found[0]}")

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        wanted = network_of(target)
        unchecked = self._check_type()
        done = settled(
            lambda: self._change("add", target.value),
            lambda: bool(self._exact(wanted)),
            f"added {target.value} to alias {self._alias}",
        )
        ended, left = self._end_states(wanted)
        return Effect(done, ended=ended, remaining=(*left, *unchecked, _REBOOT))

    def release(self, target: Target, status: Status) -> Effect:
        wanted = network_of(target)
        listed = self._exact(wanted)
        done = f"took {target.value} out of alias {self._alias}"
        for text in listed:
            done = self._delete(text, wanted, done)
        return Effect(done if listed else f"{target.value} was not in alias {self._alias} any more")

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        wanted = network_of(target)
        unchecked = self._check_type()
        shown = f"POST {self._api.url}{self._path('add')} {json.dumps({'address': target.value})}"
        if self._kill and _can_kill(wanted):
            shown += f", then POST {self._api.url}{_KILL} {json.dumps({'filter': target.value})}"
        return f"{shown} ({unchecked[0]})" if unchecked else shown

    def close(self) -> None:
        self._api.close()

    def _path(self, verb: str) -> str:
        return f"/api/firewall/alias_util/{verb}/{segment(self._alias)}"

    def _check_exists(self) -> None:
        """The list of an alias that is not there is empty, which must not be taken for an answer."""
        answer = self._api.read("/api/firewall/alias_util/aliases")
        if not isinstance(answer.document, list):
            raise BackendError(self._api.strange(answer))
        if self._alias not in answer.document:
            raise BackendError(
                f"OPNsense has no table {self._alias} loaded: make an alias of that name and of type External "
                "(advanced) under Firewall > Aliases, enable it and apply; then name it in opnsense_alias."
            )

    def _look(self, wanted: AnyNetwork) -> list[str]:
        """The alias's entries that hold the target, the narrowest first."""
        answer = self._api.read(self._path("list"))
        rows, total = answer.part("rows"), answer.part("total")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "ip" in row for row in rows):
            raise BackendError(self._api.strange(answer))
        found = holding((str(row["ip"]) for row in rows), wanted)
        if not found and isinstance(total, int) and total > len(rows):
            raise BackendError(
                f"Alias {self._alias} holds {total} entries and OPNsense lists only {len(rows)} of them, so it cannot "
                "be told whether the address is among them: use an alias of its own for this responder."
            )
        return found

    def _exact(self, wanted: AnyNetwork) -> list[str]:
        """The entries for the target itself, as the list spells them: `delete` compares texts."""
        return [text for text in self._look(wanted) if entry_network(text) == wanted]

    def _delete(self, text: str, wanted: AnyNetwork, done: str) -> str:
        return settled(lambda: self._change("delete", text), lambda: text not in self._exact(wanted), done)

    def _check_type(self) -> tuple[str, ...]:
        """Refuse an alias of another type than external; gives a note where the key may not ask."""
        found = self._api.read(f"/api/firewall/alias/getAliasUUID/{segment(self._alias)}", accept=(200, 403))
        if found.response.status == 403:
            return (_UNCHECKED,)
        if found.document == []:
            raise BackendError(
                f"{self._alias} is a table of OPNsense's own and no alias, so nothing can be added to it: name an "
                "alias of type External (advanced) in opnsense_alias."
            )
        uuid = found.part("uuid")
        kind = _selected(self._api.read(f"/api/firewall/alias/getItem/{segment(uuid)}")) if _is_text(uuid) else None
        if kind is None:
            raise BackendError(self._api.strange(found))
        if kind != "external":
            raise BackendError(
                f"Alias {self._alias} is of type {kind}, so every block would rewrite the firewall's configuration: "
                "use one of type External (advanced)."
            )
        return ()

    def _change(self, verb: str, address: str) -> None:
        answer = self._api.write("POST", self._path(verb), {"address": address})
        status = answer.part("status")
        if status in ("failed", "not_an_address"):
            reason = "it is not taken for an address" if status == "not_an_address" else answer.said("status_msg")
            raise BackendError(f"OPNsense did not {verb} {address}: {reason}.")
        if status != "done":
            raise AnswerLost(self._api.strange(answer))

    def _end_states(self, wanted: AnyNetwork) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was ended, and what lives on. The address is listed by now, so a failure is told and undoes nothing."""
        if not self._kill:
            return (), (_STATES_LEFT,)
        if not _can_kill(wanted):
            return (), (_STATES_KEPT,)
        try:
            answer = self._api.write("POST", _KILL, {"filter": str(wanted.network_address)}, right=_MAY_KILL)
        except BackendError as error:
            return (), (f"States that are open were NOT ended: {error} {_BY_HAND}",)
        if answer.part("result") != "ok":
            return (), (f"States that are open were NOT ended: OPNsense refused it. {_BY_HAND}",)
        return (f"{answer.part('dropped_states')} states of {wanted.network_address}.",), ()


def _can_kill(wanted: AnyNetwork) -> bool:
    """kill_states drops `:` and `/` from its filter: 198.51.100.2/31 would kill the states of 198.51.100.231."""
    return wanted.version == 4 and wanted.prefixlen == wanted.max_prefixlen


def _selected(answer: Answer) -> str | None:
    """The type of an alias: `{"alias": {"type": {"external": {"selected": 1}, ...}}}`."""
    alias = answer.part("alias")
    types = alias.get("type") if isinstance(alias, dict) else None
    if not isinstance(types, dict):
        return None
    chosen = [name for name, one in types.items() if isinstance(one, dict) and one.get("selected") in (1, "1", True)]
    return str(chosen[0]) if len(chosen) == 1 else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _checked_alias(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "must be the name of an alias: a letter or _, then letters, digits and _, 32 at most.",
            path="configuration item opnsense_alias",
        )
    return name


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        at=place(workbench, "opnsense"),
        key=items.text("opnsense_key"),
        secret=items.text("opnsense_secret", strip=False),
        alias=_checked_alias(items.text("opnsense_alias", "propolis")),
        kill_states=items.flag("opnsense_kill_states", False),
    )
    return OpnsenseBackend(settings, workbench.clock)
