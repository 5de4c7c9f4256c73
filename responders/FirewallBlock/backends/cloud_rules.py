"""Cloudflare's IP access rules of one zone or account, as its API gives and takes them.

Read from Cloudflare's SDK for Python (`firewall.access_rules`, made from its OpenAPI document) and from its
documentation (*IP Access rules*, *Parameters*): ranges are /16 and /24, with IPv6 /32, /48 and /64; the list comes in
pages, and may be searched by an IPv4 address or range, not by IPv6; `notes` is free text; `mode` and `notes` of a rule
can be edited. Programs that use it show: one rule for an address, a second is error 10009.

Assumed: a zone's list shows the rules that it inherits, with a `scope`, and 100 rules a page are allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import AnswerLost
from propolis.guardrails.networks import AnyNetwork
from propolis.http import segment

from .fw_api import Answer, FirewallApi, Place
from .fw_entries import entry_network

_PAGE = 100
_MOST_PAGES = 300
_DUPLICATE = 10009
_INHERITED = ("organization", "user")
_HINTS = {
    400: "Check cloudflare_zone_id or cloudflare_account_id.",
    401: "Check cloudflare_token.",
    403: "Check cloudflare_token: it needs the permission to edit firewall rules of just this zone or account.",
    404: "Check cloudflare_zone_id or cloudflare_account_id.",
}


class Settings(NamedTuple):
    """Whose rules, with which token."""

    at: Place
    token: str
    scope: str
    """`zones` or `accounts`."""
    id: str


class Rule(NamedTuple):
    """A rule about the target or a range around it."""

    id: str
    network: AnyNetwork
    mode: str
    notes: str
    inherited: bool
    """Seen in a zone's list and made for the account: not this zone's to change."""


class AccessRules(FirewallApi):
    """The rules of one scope."""

    def __init__(self, settings: Settings, clock: Clock):
        headers = {"Authorization": f"Bearer {settings.token}"}
        super().__init__(
            settings.at, clock, name="cloudflare_url", headers=headers, secret=settings.token, hints=_HINTS
        )
        self._scope = settings.scope
        self.where = f"Cloudflare, {settings.scope.removesuffix('s')} {settings.id}"
        self.path = f"/{settings.scope}/{segment(settings.id)}/firewall/access_rules/rules"

    def rules(self, query: dict[str, str]) -> Iterator[Rule]:
        """Every rule about addresses that a search finds, page after page. Raises BackendError."""
        for page in range(1, _MOST_PAGES + 1):
            answer = self.read(self.path, {**query, "page": str(page), "per_page": str(_PAGE)})
            results, info = answer.part("result"), answer.part("result_info")
            if answer.part("success") is not True or not isinstance(results, list) or not isinstance(info, dict):
                raise BackendError(_refusal(answer) or self.strange(answer))
            try:
                yield from (rule for rule in (_read(result, self._scope) for result in results) if rule is not None)
                if page >= int(info.get("total_pages") or 1):
                    return
            except (KeyError, TypeError, ValueError, AttributeError):
                raise BackendError(f"{answer.response.where} failed: a rule cannot be read.") from None
        raise BackendError(f"{self.where} has more than {_PAGE * _MOST_PAGES:,} rules: they cannot be looked through.")

    def check(self, answer: Answer) -> None:
        """Raises AnswerLost where only a look can tell what was done, BackendError for a refusal."""
        if answer.part("success") is True:
            return
        refusal = _refusal(answer)
        if not refusal or _DUPLICATE in _codes(answer):
            raise AnswerLost(refusal or self.strange(answer))
        raise BackendError(refusal)


def kind_of(network: AnyNetwork) -> str:
    """Cloudflare's word for a target."""
    if network.num_addresses != 1:
        return "ip_range"
    return "ip" if network.version == 4 else "ip6"


def value_of(network: AnyNetwork) -> str:
    return str(network) if network.num_addresses != 1 else str(network.network_address)


def _read(result: dict[str, Any], scope: str) -> Rule | None:
    """A rule; None for one about a country or a network operator."""
    configuration = result["configuration"]
    if configuration["target"] not in ("ip", "ip6", "ip_range"):
        return None
    network = entry_network(str(configuration["value"]))
    if network is None:
        raise ValueError("no network")
    inherited = scope == "zones" and (result.get("scope") or {}).get("type") in _INHERITED
    return Rule(str(result["id"]), network, str(result["mode"]), str(result.get("notes") or ""), inherited)


def _errors(answer: Answer) -> list[dict[str, Any]]:
    errors = answer.part("errors")
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _codes(answer: Answer) -> list[Any]:
    return [error.get("code") for error in _errors(answer)]


def _refusal(answer: Answer) -> str:
    """The sentence for an envelope with `success` false; empty where it is no such envelope."""
    if answer.part("success") is not False:
        return ""
    told = "; ".join(f"{error.get('message')} ({error.get('code')})" for error in _errors(answer)) or "no reason given"
    return f"{answer.response.where} failed: Cloudflare refused it: {answer.response.redact(told)[:200]}."
