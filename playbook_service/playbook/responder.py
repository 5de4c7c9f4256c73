"""The responders a playbook may use: what each contains, and the flavour that undoes it.

A responder that is not here cannot be used, because every containment is a lease and a lease must know how it ends.
"""

from __future__ import annotations

from typing import NamedTuple


class Responder(NamedTuple):
    """`contains`: the kind of target; `data_types`: observables that may be one; `undo`: the flavour that ends it."""

    contains: str
    data_types: frozenset[str]
    undo: str
    help: str


RESPONDERS: dict[str, Responder] = {
    "FirewallBlock": Responder(
        "address", frozenset({"ip"}), "FirewallUnblock", "drops traffic from and to an address at the firewall"
    ),
    "AccountDisable": Responder(
        "account",
        frozenset({"other", "user", "username", "account", "mail"}),
        "AccountEnable",
        "disables an account at the directory and revokes its sessions",
    ),
    "IsolateHost": Responder(
        "host",
        frozenset({"other", "hostname", "fqdn", "agent"}),
        "ReleaseHost",
        "cuts a host from the network, save for its manager",
    ),
}

UNDO: dict[str, str] = {entry.undo: name for name, entry in RESPONDERS.items()}
"""Undo flavour -> the responder it undoes. The service runs these when a lease ends; playbooks do not."""

DEFAULT_SECONDS = 24 * 3600
"""How long a containment lasts where the playbook does not say: a day."""
