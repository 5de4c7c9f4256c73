"""pfSense: addresses in an alias, by the REST API package version 2 (pfrest/pfSense-pkg-RESTAPI).

Read from the package's sources and documentation: an alias's id is its place in the configuration and moves when an
alias before it is deleted, so it is read anew by name, and the name is sent along (one that is not the stored one is
refused, as it is not editable); nothing takes effect without `apply`, and with `async: false` the answer comes after
the reload; whether changes are pending is not told truly, so pf's own table is read; `remove` of all there is removes
nothing; `append` does not look for duplicates; details slip out of step with their addresses, so our mark names its
address itself; two changes at the same moment may overwrite each other, as the configuration has no locks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Target, Terms
from propolis.containment.change import AnswerLost
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails.networks import AnyNetwork

from .fw_api import Answer, FirewallApi, Place, place
from .fw_entries import entry_network, holding, network_of, subject_of
from .fw_pfalias import Alias, marked

_ALIAS, _ALIASES, _TABLE = "/api/v2/firewall/alias", "/api/v2/firewall/aliases", "/api/v2/diagnostics/table"
_NAME = re.compile(r"[A-Za-z0-9_]{1,31}")
_RELOAD = "reload of pfSense's filter"
_MAY_READ = "The key's user needs the privilege api-v2-firewall-aliases-get."
_MAY_CHANGE = "The key's user needs the privilege api-v2-firewall-alias-patch."
_MAY_LOOK = "The key's user needs the privilege api-v2-diagnostics-table-get."
_STATES = "States that are open live on: end them under Diagnostics > States."


class PfsenseBackend(Backend):
    """One alias of one firewall."""

    name = "pfsense"
    kinds = ("ip",)
    expires = False
    marks = True

    def __init__(self, at: Place, key: str, alias: str, clock: Clock):
        self._name = alias
        self._reloading = False  # the answer to a change was lost, so pfSense may still be at it
        self._api = FirewallApi(
            at, clock, name="pfsense_url", headers={"X-API-Key": key}, secret=key, hints={401: "Check pfsense_key."}
        )

    @property
    def where(self) -> str:
        return f"pfSense at {self._api.url}, alias {self._name}"

    def status(self, target: Target) -> Status:
        wanted = network_of(target)
        return self._judged(target, wanted, self._read_alias(), self._read_table())

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        wanted = network_of(target)
        alias = self._read_alias()
        mark = marked(terms.mark, target.value)
        if alias.exact(wanted) and not alias.ours(target.value):
            return Effect(f"{target.value} was in alias {self._name} already, not by us, and was left as it is")
        done = self._patch(alias, self._containing(alias, wanted, mark), lambda seen: mark in seen.details)
        after = self._read_alias()
        if mark not in after.details or not after.exact(wanted):
            raise BackendError(
                f"pfSense took {target.value} into alias {self._name}, and a change made at the same moment overwrote "
                "it: start this again."
            )
        return self._effect(f"added {target.value} to alias {self._name}{done}", (*_vanished(alias, after), _STATES))

    def release(self, target: Target, status: Status) -> Effect:
        wanted = network_of(target)
        alias = self._read_alias()
        if alias.exact(wanted) and not alias.ours(target.value):
            raise BackendError(
                f"{target.value} is in alias {self._name} by somebody else by now; it was left as it is."
            )
        change = alias.without(wanted, target.value)
        lost = self._patch(alias, change, lambda seen: not seen.ours(target.value))
        after = self._read_alias()
        if after.ours(target.value):
            raise BackendError(
                f"pfSense took {target.value} out of alias {self._name}, and a change made at the same moment brought "
                "it back: start this again."
            )
        if not self._reloading and not after.exact(wanted) and self._in_table(wanted):
            raise BackendError(
                f"{target.value} is out of alias {self._name}, but pf's table still holds it: look under Status > "
                "Filter Reload, then start this again."
            )
        done = f"took {target.value} out of alias {self._name}" if change else "asked pfSense to reload its filter"
        return self._effect(done + lost, _vanished(alias, after, wanted))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        wanted = network_of(target)
        alias = self._read_alias()
        body = self._body(alias, self._containing(alias, wanted, marked(terms.mark, target.value)))
        return f"PATCH {self._api.url}{_ALIAS} {json.dumps(body)}"

    def close(self) -> None:
        self._api.close()

    def _judged(self, target: Target, wanted: AnyNetwork, alias: Alias, table: list[str] | None) -> Status:
        """What the configuration and pf's table together say."""
        subject = subject_of(target, wanted, self._api.url)
        ours, configured = alias.ours(target.value), holding(alias.addresses, wanted)
        in_force = bool(holding(table or (), wanted))
        pending = _RELOAD if self._reloading else ""
        if in_force and (configured or alias.has_names):
            mark = ours[0] if ours and alias.exact(wanted) else alias.detail_of(wanted)
            detail = f"alias {self._name} and pf's table hold {configured[0] if configured else 'a name that means it'}"
            return Status(subject, True, bool(ours and alias.exact(wanted)), mark=mark, detail=detail)
        if in_force:
            detail = f"alias {self._name} does not hold it any more, but pf's table still does"
            return Status(subject, bool(pending), True, detail=detail, pending=pending, remains=True)
        if configured:
            why = "" if table is not None else ", as there is no such table: no rule that is loaded uses the alias"
            detail = f"alias {self._name} holds {configured[0]}, but pf's table does not{why}"
            mark = ours[0] if ours else alias.detail_of(wanted)
            return Status(subject, False, bool(ours), mark=mark, detail=detail, pending=pending, remains=bool(ours))
        return Status(subject, False, detail=f"not in alias {self._name}")

    def _containing(self, alias: Alias, wanted: AnyNetwork, mark: str) -> dict[str, Any]:
        """What is to be changed, so that the alias holds the target under this mark."""
        if alias.exact(wanted):
            return alias.marked_anew(wanted, mark)
        if alias.type == "host" and wanted.prefixlen != wanted.max_prefixlen:
            raise BackendError(
                f"Alias {self._name} is of type Host(s) and cannot hold the network {wanted}: make it one of type "
                "Network(s)."
            )
        text = str(wanted) if alias.type == "network" else str(wanted.network_address)
        return {"address": [text], "detail": [mark], "append": True}

    def _body(self, alias: Alias, change: dict[str, Any]) -> dict[str, Any]:
        """A change of this alias and no other: pfSense refuses it where the id belongs to another name by now."""
        return {"id": alias.id, "name": self._name, **change, "apply": True, "async": False}

    def _patch(self, alias: Alias, change: dict[str, Any], made: Callable[[Alias], bool]) -> str:
        """Make a change and have the filter reloaded. Gives what is to be added to the sentence."""
        try:
            answer = self._api.write("PATCH", _ALIAS, self._body(alias, change), right=_MAY_CHANGE)
            self._check_written(answer)
        except AnswerLost as error:
            if not made(self._read_alias()):
                raise BackendError(f"{error} The alias was read again, and the change was not made.") from None
            self._reloading = True
            return "; the answer was lost and the alias read again"
        return ""

    def _check_written(self, answer: Answer) -> None:
        data = answer.part("data")
        if answer.part("code") != 200 or not isinstance(data, dict):
            raise AnswerLost(self._api.strange(answer))
        if data.get("name") != self._name:
            raise BackendError(
                f"pfSense changed the alias {data.get('name')} in place of {self._name}, as its ids moved meanwhile: "
                "undo that change by hand (Diagnostics > Backup & Restore > Config History)."
            )

    def _effect(self, done: str, remaining: tuple[str, ...]) -> Effect:
        return Effect(done, remaining=remaining, pending=_RELOAD if self._reloading else "")

    def _in_table(self, wanted: AnyNetwork) -> bool:
        return wanted in [entry_network(text) for text in self._read_table() or ()]

    def _read_alias(self) -> Alias:
        """The alias as it is configured now, with the id that it has now."""
        answer = self._api.read(_ALIASES, {"name": self._name}, right=_MAY_READ)
        found = answer.part("data")
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise BackendError(self._api.strange(answer))
        named = [one for one in found if one.get("name") == self._name]
        if len(named) != 1:
            raise BackendError(
                f"pfSense has {len(named)} aliases called {self._name}, and one is needed: make it under Firewall > "
                "Aliases, of type Network(s), and name it in pfsense_alias."
            )
        alias = Alias.read(named[0])
        if alias is None:
            raise BackendError(self._api.strange(answer))
        if alias.type not in ("host", "network"):
            raise BackendError(f"Alias {self._name} is of type {alias.type}: use one of type Network(s) or Host(s).")
        return alias

    def _read_table(self) -> list[str] | None:
        """What pf's table of the alias holds; None where pf has no such table."""
        answer = self._api.read(_TABLE, {"id": self._name}, accept=(200, 404), right=_MAY_LOOK)
        if answer.response.status == 404 and answer.part("response_id"):
            return None
        data = answer.part("data")
        entries = data.get("entries") if isinstance(data, dict) else None
        if not isinstance(entries, list):
            raise BackendError(self._api.strange(answer))
        return [str(entry) for entry in entries]


def _vanished(before: Alias, after: Alias, wanted: AnyNetwork | None = None) -> tuple[str, ...]:
    """A word on entries of others that were there before the change and are not after it."""
    gone = [text for text in before.addresses if text not in after.addresses and entry_network(text) != wanted]
    if not gone:
        return ()
    return (f"Gone from the alias at the same moment, and not by this change: {', '.join(gone[:10])}. Check them.",)


def _checked_alias(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "must be the name of an alias: letters, digits and _, 31 at most.", path="configuration item pfsense_alias"
        )
    return name


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    return PfsenseBackend(
        place(workbench, "pfsense"),
        items.text("pfsense_key", strip=False),
        _checked_alias(items.text("pfsense_alias", "propolis")),
        workbench.clock,
    )
