#!/usr/bin/env python3
"""AccountDisable and AccountEnable of the lab: the guardrails of the real ones, at a directory that is a file."""

from playbook_service.lab.product import DIRECTORY, LabResponder, lab_backends
from propolis.containment.backend import Status, Target
from propolis.containment.target import Wanted
from propolis.errors import InputError
from propolis.guardrails import AccountFacts, Policy, check_account

USER_TYPES = ("username", "user", "account", "user-account", "mail")


class AccountDisable(LabResponder):
    """Takes a user name or a mail address; never more than one account."""

    worker_name = "AccountDisable"
    wanted = Wanted(
        data_types=tuple((name, "account") for name in USER_TYPES),
        fields=(("wazuh_user", "account"), ("account", "account")),
        tag_kind="account",
        tagged_types=(("other", "subtype:username", "account"),),
    )
    backends = lab_backends(DIRECTORY)

    def canonical(self, target: Target) -> Target:
        """The name as people write it, in lower case, without a domain before a backslash."""
        name = target.value.rpartition("\\")[2].strip().casefold()
        if not name or len(name) > 256 or not name.isprintable() or set(name) & set("*?()/,;=\"'<>|"):
            raise InputError(f"{target.value[:80]!r} is no account's name.")
        return target._replace(value=name)

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        """The never-lists over the name, then over everything that the directory says."""
        if status is None:
            check_account(policy, AccountFacts(names=(target.value,)))
            return
        found = status.subject
        names = (found.name, *found.names, target.value)
        facts = AccountFacts(
            names, found.ids, found.groups, found.tags, is_self=found.own,
            is_service="service account" in found.types, privileged=found.privileged,
        )  # fmt: skip
        check_account(policy, facts)


if __name__ == "__main__":
    AccountDisable.main()
