"""What must never be contained, and within which limits the rest may be.

One document, the policy, holds an operator's own rules; the built-in ones always hold beside it. The checks take a
policy and a target, return the target in canonical form, and raise `Refused` with the rule that speaks against it.
"""

from __future__ import annotations

from propolis.guardrails.accounts import AccountFacts, check_account
from propolis.guardrails.domains import check_domain, check_url
from propolis.guardrails.hosts import HostFacts, check_host
from propolis.guardrails.lifetime import PERMANENT, check_ttl
from propolis.guardrails.networks import Network, check_network, parse_target
from propolis.guardrails.policy import Policy, PolicyError
from propolis.guardrails.refusal import Refused

__all__ = [
    "PERMANENT",
    "AccountFacts",
    "HostFacts",
    "Network",
    "Policy",
    "PolicyError",
    "Refused",
    "check_account",
    "check_domain",
    "check_host",
    "check_network",
    "check_ttl",
    "check_url",
    "parse_target",
]
