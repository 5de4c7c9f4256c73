#!/usr/bin/env python3
"""Cortex responder: disable an account in a directory or at an identity provider, and take that back."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # the bundle's root: Cortex starts this file with only its own folder on the path

import propolis

if ROOT not in Path(propolis.__file__).resolve().parents:
    sys.exit(f"propolis was loaded from {propolis.__file__}, not from this bundle at {ROOT}.")

from backends import BACKENDS
from backends.account import parse_account
from backends.guard import check

from propolis.containment.backend import Status, Target
from propolis.containment.responder import ContainmentResponder
from propolis.containment.target import Wanted
from propolis.guardrails import Policy

USER_TYPES = ("username", "user", "account", "user-account", "mail")


class AccountDisable(ContainmentResponder):
    """Takes a user name or a mail address (as the name to log on with); never more than one account."""

    worker_name = "AccountDisable"
    wanted = Wanted(
        data_types=tuple((name, "account") for name in USER_TYPES),
        fields=(("wazuh_user", "account"), ("account", "account")),
        tag_kind="account",
        hints=(("wazuh_agent_id", "wazuh_agent_id"), ("wazuh_agent_name", "wazuh_agent_name")),
        tagged_types=(("other", "subtype:username", "account"),),
    )
    backends = BACKENDS

    def canonical(self, target: Target) -> Target:
        """The name in one of its three forms, without what no name may hold."""
        return target._replace(value=parse_account(target.value).text)

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        """The never-lists, whatever the product says; and everything that the product itself holds back."""
        check(policy, target, status)


if __name__ == "__main__":
    AccountDisable.main()
