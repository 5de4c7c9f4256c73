"""The policy: an operator's own guardrails, read from one YAML document and held beside the built-in ones.

A document with one bad entry is no policy at all: `Policy.parse` raises, and whoever called refuses everything. Without
a document the built-in rules hold, and as `firewall.own` is not set nothing is contained.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from propolis import yamltree
from propolis.errors import ConfigurationError
from propolis.guardrails import builtin
from propolis.guardrails.networks import AnyNetwork, Rule, embedded, parse_target
from propolis.guardrails.schema import KEYS, ThirdParty, load
from propolis.yamltree import Fault

NOT_ENFORCEABLE = (
    "The policy does not say which networks are yours, so nothing is contained: set firewall.own to your public "
    "ranges, VPN and branch egress addresses."
)


class PolicyError(ConfigurationError):
    """A policy that cannot be used. `faults` lists everything that is wrong with it."""

    def __init__(self, source: str, faults: list[Fault]):
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line or 0))
        lines = "".join(f"\n  {_place(source, fault)}: {fault.message}" for fault in self.faults)
        super().__init__(f"The {source} is not valid, so everything is refused until it is corrected:{lines}")


def _place(source: str, fault: Fault) -> str:
    line = f"{source}:{fault.line}" if fault.line else source
    return f"{line}: {fault.path}" if fault.path else line


@dataclass(frozen=True)
class Firewall:
    """What holds for addresses, and how long anything may be contained. Spans are seconds."""

    never: tuple[AnyNetwork, ...]
    own: tuple[AnyNetwork, ...]
    infrastructure: tuple[AnyNetwork | str, ...]
    third_party_lists: tuple[ThirdParty, ...]
    on_third_party_hit: str
    max_prefix_v4: int
    max_prefix_v6: int
    resolve_names: bool
    default_ttl: int
    max_ttl: int
    permanent: str

    @property
    def infrastructure_names(self) -> tuple[str, ...]:
        """The entries of `infrastructure` that are names."""
        return tuple(entry for entry in self.infrastructure if isinstance(entry, str))


@dataclass(frozen=True)
class Domains:
    """Names that are never blocked, nor what lies above or below them."""

    own: tuple[str, ...]
    never: tuple[str, ...]


@dataclass(frozen=True)
class Accounts:
    """Accounts that are never disabled, beside the built-in ones."""

    never_names: tuple[str, ...]
    never_ids: tuple[str, ...]
    never_groups: tuple[str, ...]
    never_roles: tuple[str, ...]
    never_self: bool
    service_accounts: str


@dataclass(frozen=True)
class Hosts:
    """Hosts that are never isolated, beside the built-in ones. `max_last_seen` is seconds."""

    never_names: tuple[str, ...]
    never_tags: tuple[str, ...]
    never_types: tuple[str, ...] | None
    never_networks: tuple[AnyNetwork, ...]
    exactly_one: bool
    max_last_seen: int


@dataclass(frozen=True)
class PerKind:
    """A number for each kind of containment."""

    firewall: int
    accounts: int
    hosts: int


@dataclass(frozen=True)
class Breaker:
    """So many failures within so many seconds stop a responder for `cool_down` seconds."""

    failures: int
    within: int
    cool_down: int


@dataclass(frozen=True)
class Limits:
    """The budget that the service keeps; a responder alone cannot count."""

    per_hour: PerKind
    per_case: PerKind
    active_total: PerKind
    breaker: Breaker


@dataclass(frozen=True)
class Approval:
    """What needs an analyst's grant, and for how many seconds a grant is good."""

    required_for: tuple[str, ...]
    valid_for: int
    same_person: bool


@dataclass(frozen=True)
class Policy:
    """The guardrails in force."""

    source: str
    digest: str
    """SHA-256 of the document's text, hexadecimal; empty where there is none and the built-in rules stand alone."""
    mode: str | None
    actor_required: bool
    kill_switch: str | None
    firewall: Firewall
    domains: Domains
    accounts: Accounts
    hosts: Hosts
    limits: Limits
    approval: Approval
    own_is_set: bool

    @classmethod
    def parse(cls, text: str | None, *, source: str = "policy") -> Policy:
        """Read a document. Absent or blank: the built-in policy. Raises PolicyError, which lists every fault."""
        root, faults = yamltree.read(text or "")
        values = load(root, faults)
        if faults:
            raise PolicyError(source, faults)
        digest = hashlib.sha256(text.encode()).hexdigest() if text and root is not None else ""
        sections = {name: _section(name, values) for name in _SECTIONS}
        plain = {name: values[name] for name in ("mode", "actor_required", "kill_switch")}
        own = bool(values["firewall.own"])
        return cls(source=source if digest else "built in", digest=digest, own_is_set=own, **plain, **sections)

    @property
    def enforceable(self) -> str | None:
        """None where responders may act; otherwise the sentence that says what to set."""
        return None if self.own_is_set else NOT_ENFORCEABLE

    @property
    def max_ttl(self) -> int:
        """The longest a containment may last without a person's word, in seconds."""
        return self.firewall.max_ttl

    def holds_back(self) -> list[str]:
        """Every reason why nothing may be done now, one sentence each: not enforceable, observe mode, kill switch.

        The kill switch is looked at now, so ask again right before acting. A switch that cannot be looked at is on.
        """
        reasons = [] if self.enforceable is None else [self.enforceable]
        if self.mode == "observe":
            reasons.append("The policy says mode: observe, so nothing is contained.")
        if self.kill_switch is not None and _exists(self.kill_switch):
            reasons.append(f"The kill switch is on: remove {self.kill_switch} to act again.")
        return reasons

    def needs_approval(self, kind: str) -> bool:
        """True where containing a `firewall`, `accounts` or `hosts` target needs an analyst's grant."""
        return kind in self.approval.required_for

    def describe(self) -> dict[str, Any]:
        """Which policy spoke, for reports."""
        return {
            "source": self.source,
            "digest": self.digest or None,
            "own_set": self.own_is_set,
            "mode": self.mode,
            "enforceable": self.own_is_set,
        }

    @cached_property
    def network_rules(self) -> tuple[Rule, ...]:
        """Every network that is never blocked: the built-in ones, then the operator's, each with its IPv4 meaning."""
        return (*_BUILT_IN_RULES, *_rules("firewall.never", self.firewall.never), *self._own_rules)

    @cached_property
    def host_rules(self) -> tuple[Rule, ...]:
        """Networks whose hosts are never isolated."""
        return (*_rules("hosts.never_networks", self.hosts.never_networks), *self._infrastructure_rules)

    @cached_property
    def third_party_rules(self) -> tuple[Rule, ...]:
        """Networks that many share; `on_third_party_hit` says what follows from one."""
        return tuple(
            Rule(network, "firewall.third_party_lists", listed.name)
            for listed in self.firewall.third_party_lists
            for network in listed.networks
        )

    @property
    def _own_rules(self) -> tuple[Rule, ...]:
        return (*_rules("firewall.own", self.firewall.own), *self._infrastructure_rules)

    @property
    def _infrastructure_rules(self) -> tuple[Rule, ...]:
        networks = tuple(entry for entry in self.firewall.infrastructure if not isinstance(entry, str))
        return _rules("firewall.infrastructure", networks)


def _rules(key: str, networks: tuple[AnyNetwork, ...]) -> tuple[Rule, ...]:
    meant = (listed for network in networks for listed in (network, *embedded(network)))
    return tuple(Rule(network, key) for network in meant if network.prefixlen)


_BUILT_IN_RULES = tuple(
    Rule(parse_target(text), "firewall.never", why, built_in=True) for text, why in builtin.NEVER_NETWORKS
)
_SECTIONS: dict[str, type[Any]] = {
    "firewall": Firewall,
    "domains": Domains,
    "accounts": Accounts,
    "hosts": Hosts,
    "limits": Limits,
    "approval": Approval,
}
_INNER: dict[str, type[Any]] = {
    "limits.per_hour": PerKind,
    "limits.per_case": PerKind,
    "limits.active_total": PerKind,
    "limits.breaker": Breaker,
}


def _section(name: str, values: dict[str, Any]) -> Any:
    cls = _SECTIONS.get(name) or _INNER[name]
    below = [key.path for key in KEYS if key.path.startswith(f"{name}.")]
    direct = {path.rpartition(".")[2]: values[path] for path in below if path.count(".") == name.count(".") + 1}
    inner = {path.rpartition(".")[0] for path in below if path.count(".") == name.count(".") + 2}
    return cls(**direct, **{path.rpartition(".")[2]: _section(path, values) for path in inner})


def _exists(place: str) -> bool:
    try:
        Path(place).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
