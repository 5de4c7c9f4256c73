"""Cloudflare: IP access rules that block, for one zone or one account.

What the API does is in `cloud_rules`. There is one rule for an address, of whatever action, so an address that has
another's rule cannot be blocked beside it. A rule holds our mark in its notes and has no end: only a lease can end it.
"""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Target, Terms
from propolis.containment.change import safe_url, settled
from propolis.containment.mark import is_ours
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails.networks import AnyNetwork
from propolis.http import segment
from propolis.worker.items import Items

from .cloud_rules import AccessRules, Rule, Settings, kind_of, value_of
from .fw_api import Place
from .fw_entries import network_of, subject_of

_API = "https://api.cloudflare.com/client/v4"
_ID = re.compile(r"[0-9a-f]{32}")
_RANGES = {4: (24, 16), 6: (64, 48, 32)}
_REMAINING = (
    "Only what goes through Cloudflare is blocked: whoever reaches the origin server directly is not.",
    "An allow rule for a wider range, a network operator (ASN) or a country can let it through nevertheless.",
)

Document = dict[str, Any]


class Seen(NamedTuple):
    """What a look found."""

    exact: list[Rule]
    """Rules about just the target."""
    wider: list[Rule]
    """Rules about a range around it."""

    @property
    def ours(self) -> Rule | None:
        """The rule that carries our mark, whatever it does by now."""
        return next((rule for rule in self.exact if is_ours(rule.notes) and not rule.inherited), None)

    @property
    def blocking(self) -> list[Rule]:
        """The rules that block it, ours first."""
        rules = [rule for rule in (*self.exact, *self.wider) if rule.mode == "block"]
        return sorted(rules, key=lambda rule: rule != self.ours)


class CloudflareBackend(Backend):
    """The access rules of one zone or account."""

    name = "cloudflare"
    kinds = ("ip",)
    expires = False
    marks = True

    def __init__(self, settings: Settings, clock: Clock):
        self._url = settings.at.url
        self._api = AccessRules(settings, clock)

    @property
    def where(self) -> str:
        return self._api.where

    def status(self, target: Target) -> Status:
        wanted = _network(target)
        seen = self._look(wanted)
        subject, ours = subject_of(target, wanted, self._url), seen.ours
        if not seen.blocking:
            return Status(
                subject, False, ours is not None, mark=ours.notes if ours else "", detail=_text(seen.exact, target),
                remains=ours is not None,
            )  # fmt: skip
        rule = seen.blocking[0]
        return Status(subject, True, rule == ours, mark=rule.notes, detail=_text(seen.blocking, target))

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        wanted = _network(target)
        before = self._look(wanted)
        if before.blocking and (before.ours is None or before.ours.mode != "block"):
            return Effect(f"{target.value} was blocked already, not by us, and was left as it is")
        method, path, body = self._change(before, target, wanted, terms)
        done = settled(
            lambda: self._api.check(self._api.write(method, path, body, accept=(200, 400))),
            lambda: self._is_made(wanted, terms),
            f"{'changed' if before.ours else 'made'} the rule that blocks {target.value}",
        )
        return Effect(done, remaining=_REMAINING)

    def release(self, target: Target, status: Status) -> Effect:
        wanted = _network(target)
        rule = self._look(wanted).ours
        if rule is None:
            return Effect(f"no rule of ours for {target.value} was there any more")
        done = settled(
            lambda: self._delete(rule),
            lambda: all(left.id != rule.id for left in self._look(wanted).exact),
            f"deleted rule {rule.id} that blocked {target.value}",
        )
        return Effect(done)

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        wanted = _network(target)
        method, path, body = self._change(self._look(wanted), target, wanted, terms)
        return f"{method} {self._url}{path} {json.dumps(body)}"

    def close(self) -> None:
        self._api.close()

    def _look(self, wanted: AnyNetwork) -> Seen:
        """The rules about the target and about the ranges around it."""
        exact, wider = {}, {}
        for query in _queries(wanted):
            for rule in self._api.rules(query):
                if rule.network == wanted:
                    exact[rule.id] = rule
                elif _holds(rule.network, wanted):
                    wider[rule.id] = rule
        return Seen(list(exact.values()), list(wider.values()))

    def _change(self, before: Seen, target: Target, wanted: AnyNetwork, terms: Terms) -> tuple[str, str, Document]:
        """Method, path and body that block it. Raises BackendError where somebody else's rule is in the way."""
        if before.ours is not None:
            return "PATCH", f"{self._api.path}/{segment(before.ours.id)}", {"mode": "block", "notes": terms.mark}
        for rule in (rule for rule in before.exact if not rule.inherited):
            raise BackendError(
                f"Cloudflare takes one rule for an address, and {target.value} has one by somebody else, with action "
                f"{rule.mode} (rule {rule.id}): change or delete it there."
            )
        configuration = {"target": kind_of(wanted), "value": target.value}
        return "POST", self._api.path, {"mode": "block", "configuration": configuration, "notes": terms.mark}

    def _delete(self, rule: Rule) -> None:
        answer = self._api.write("DELETE", f"{self._api.path}/{segment(rule.id)}", accept=(200, 404))
        if answer.response.status != 404:
            self._api.check(answer)

    def _is_made(self, wanted: AnyNetwork, terms: Terms) -> bool:
        ours = self._look(wanted).ours
        return ours is not None and (ours.mode, ours.notes) == ("block", terms.mark)


def _network(target: Target) -> AnyNetwork:
    """The target's network. Raises BackendError for a size that no rule takes, InputError for what is no network."""
    wanted = network_of(target)
    sizes = _RANGES[wanted.version]
    if wanted.num_addresses != 1 and wanted.prefixlen not in sizes:
        listed = ", ".join(f"/{size}" for size in sorted(sizes))
        raise BackendError(
            f"Cloudflare's access rules take IPv{wanted.version} networks of {listed} only, and not {target.value}."
        )
    return wanted


def _queries(wanted: AnyNetwork) -> list[dict[str, str]]:
    """The searches that find it: by value for IPv4; for IPv6, which cannot be searched for, all rules."""
    if not isinstance(wanted, IPv4Network):
        return [{}]
    around = [wanted.supernet(new_prefix=size) for size in _RANGES[4] if size < wanted.prefixlen]
    return [
        {"configuration.target": kind_of(network), "configuration.value": value_of(network)}
        for network in (wanted, *around)
    ]


def _holds(outer: Any, inner: Any) -> bool:
    return bool(outer.version == inner.version and inner.subnet_of(outer))


def _text(rules: list[Rule], target: Target) -> str:
    if not rules:
        return f"no rule that blocks {target.value}"
    found = ", ".join(f"rule {rule.id} for {value_of(rule.network)} with action {rule.mode}" for rule in rules[:3])
    return f"{found}, and {len(rules) - 3} more" if len(rules) > 3 else found


def _checked_scope(items: Items) -> tuple[str, str]:
    """Whose rules: `zones` or `accounts`, and the id."""
    zone, account = items.optional_text("cloudflare_zone_id"), items.optional_text("cloudflare_account_id")
    if bool(zone) == bool(account):
        raise ConfigurationError(
            "set either cloudflare_zone_id or cloudflare_account_id, and not both.",
            path="configuration item cloudflare_zone_id",
        )
    name, value = ("cloudflare_zone_id", zone) if zone else ("cloudflare_account_id", account)
    if not _ID.fullmatch(str(value)):
        raise ConfigurationError("must be 32 hexadecimal digits in lower case.", path=f"configuration item {name}")
    return ("zones" if zone else "accounts"), str(value)


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    scope, identifier = _checked_scope(items)
    at = Place(
        url=safe_url(items.text("cloudflare_url", _API), "cloudflare_url"),
        ca_file=items.optional_text("cloudflare_ca_file"),
        proxy=workbench.proxy if items.flag("cloudflare_use_proxy", True) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    return CloudflareBackend(Settings(at, items.text("cloudflare_token"), scope, identifier), workbench.clock)
