#!/usr/bin/env python3
"""Cortex responder: disable an account in Active Directory or Keycloak, and enable again what it disabled itself."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, ROOT)  # Cortex starts this file directly: the bundle's root is two folders up

import propolis

if os.path.dirname(os.path.dirname(os.path.realpath(propolis.__file__))) != ROOT:
    sys.exit(f"propolis was imported from {propolis.__file__}, not from this bundle at {ROOT}.")

from backends import BACKENDS
from backends.account import parse_account

from propolis.containment.responder import ContainmentResponder
from propolis.containment.target import Wanted
from propolis.guardrails import AccountFacts, check_account

USER_TYPES = ("username", "user", "account", "user-account", "mail")


class AccountDisable(ContainmentResponder):
    """Takes a user name or a mail address (as the name to log on with); never more than one account."""

    worker_name = "AccountDisable"
    wanted = Wanted(
        data_types=tuple((name, "account") for name in USER_TYPES),
        fields=(("wazuh_user", "account"), ("account", "account")),
        tag_kind="account",
        tagged_types=(("other", "subtype:username", "account"),),
    )
    backends = BACKENDS

    def canonical(self, target):
        return target._replace(value=parse_account(target.value).text)

    def guard(self, policy, target, status):
        check_account(policy, facts_of(target, status))


def facts_of(target, status):
    """What the guardrails are told: the name that was asked for, then everything the product says of the account."""
    asked = parse_account(target.value).spellings
    if status is None:
        return AccountFacts(names=asked)
    subject = status.subject
    return AccountFacts(
        names=(subject.name, *subject.names, *asked),
        ids=subject.ids,
        groups=subject.groups,
        roles=subject.tags,
        is_self=subject.own,
        is_service="service account" in subject.types,
        privileged=subject.privileged,
    )


if __name__ == "__main__":
    AccountDisable.main()
