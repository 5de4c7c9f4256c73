"""Contain users (and, where allowed, roles) of AWS IAM.

A user gets a managed policy attached that denies everything, made once by an administrator: to attach that one policy
is a right that can be given alone, while whoever may write policies (PutUserPolicy) is an administrator. Then the
user's active access keys are deactivated. A role gets an inline policy that denies all sessions issued before now, as
the console's "revoke active sessions" does; there is no narrower way, so roles are left alone unless that is allowed.

The proof that it was us, and the list of keys that we deactivated, are tags of the user or role. They are written first
and taken away last, so that no step in between is left without them. The console password is never touched: deleting
it could not be undone.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, NotFound, Status, Subject, Target, Terms
from propolis.containment.change import safe_url
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError

from .account import parse_account
from .aws_api import PARTITIONS, Aws, Partition, Settings
from .aws_hand import AwsHand
from .aws_principal import MARK_TAG, Held, Principal, asked, held_by, keys, read
from .aws_signature import Credentials
from .guard import UNSEEN

_POLICY = re.compile(r"(arn:[a-z-]+:iam::(\d{12}|aws):policy/([\w+=,.@-]+/)*)?[\w+=,.@-]{1,128}", re.ASCII)
_FIXED = ("/aws-service-role/", "/aws-reserved/")  # paths of roles that only AWS itself changes
REMAINING = (
    "The console password was not touched (a deleted one could not be given back): whoever signs in is denied "
    "everything. Reset it before the undo.",
    "Sessions of roles that this user assumed before are the roles' own and go on until they end (up to 12 hours).",
    "What the user made lives on: look for users, keys, roles, trust policies, functions and instances.",
)
_ROLE_REMAINING = (
    "New sessions are NOT denied: whoever may assume the role gets one. Change its trust policy, or end what runs with "
    "it.",
    "Sessions of other roles that were assumed from this one go on until they end.",
)


class AwsIam(Backend):
    """One account."""

    name = "aws_iam"
    kinds = ("account",)
    expires = False
    marks = True

    def __init__(self, settings: Settings, clock: Clock, *, policy: str = "PropolisContainment", roles: bool = False):
        self._aws = Aws(settings, clock)
        self._hand = AwsHand(self._aws, clock, policy)
        self._url, self._roles = settings.place.iam, roles

    @property
    def where(self) -> str:
        return f"AWS IAM at {self._url}, with key {self._aws.key_id}"

    def status(self, target: Target) -> Status:
        who = self._find(target)
        ours = self._hand.applied(who)
        held = Held() if ours else held_by(self._aws, who)
        contained = bool(ours or held.denied_by)
        seen = (
            f"{who.kind.lower()} {who.name}: {ours or (f'denied by {held.denied_by}' if contained else 'not denied')}"
        )
        seen += f"; our tag {MARK_TAG} is left" if who.mark and not ours else ""
        seen += f"; {held.unseen}" if held.unseen else ""
        is_ours = bool(who.mark) and not held.denied_by
        return Status(
            self._subject(who, held), contained, is_ours, None, who.mark if is_ours else "", seen,
            remains=is_ours and not contained,
        )  # fmt: skip

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        active = self._active(self._again(status))
        # Only now the tags: another job that took a key from that list meanwhile has written it down before
        who = self._again(status)
        if status.contained and not status.ours:
            return Effect(f"{who.name} was denied everything already, not by us, and was left as it is")
        self._check(who)
        if not who.mark and self._hand.there(who):
            raise BackendError(
                f"{who.name} got a policy of the name that we use from somebody else; nothing was done. Look there."
            )
        self._hand.tag(who, terms.mark, active)
        done = [f"tagged {who.name}"] if self._hand.applied(who) else [self._hand.deny(who)]
        switched, left = self._hand.deactivate(who, active)
        remaining = REMAINING if who.kind == "User" else _ROLE_REMAINING
        ended = (
            "Every call of the user is denied within seconds, console sessions and session tokens included."
            if who.kind == "User"
            else "Every call of sessions issued before now is denied within seconds."
        )
        return Effect(", ".join([*done, *switched]), (ended,), (*left, *remaining))

    def release(self, target: Target, status: Status) -> Effect:
        who = self._again(status)
        there = self._hand.there(who)
        if not who.mark and there:
            raise BackendError(f"{who.name} does not carry our tag {MARK_TAG} any more; nothing was changed.")
        if not who.mark:
            return Effect(f"{who.name} carries nothing of ours any more")
        done, left = self._hand.reactivate(who)
        if there:
            done.append(self._hand.undeny(who))
        self._hand.untag(who)
        return Effect(", ".join([*done, f"took our tags from {who.name}"]), remaining=left)

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        who = self._again(status)
        self._check(who)
        text = f"Tag{who.kind} {who.arn} {MARK_TAG}={terms.mark}, then {' '.join(self._hand.denying(who))}"
        return text + "".join(f", then UpdateAccessKey {key} Inactive" for key in self._active(who))

    def close(self) -> None:
        self._aws.close()

    def _active(self, who: Principal) -> list[str]:
        return [key for key, state in keys(self._aws, who).items() if state == "Active"]

    def _find(self, target: Target) -> Principal:
        name = parse_account(target.value)
        if name.domain:
            raise NotFound(
                f"{name.text} is a name of the Windows domain {name.domain}: IAM knows users by their names."
            )
        wanted = asked(name.text)
        account = self._hand.own.split(":")[4]
        if wanted.account not in ("", account):
            raise NotFound(f"{name.text} belongs to the account {wanted.account}, and these credentials to {account}.")
        who = read(self._aws, wanted.kind, wanted.name)
        if wanted.arn not in ("", who.arn):
            raise NotFound(f"{wanted.arn} is nobody: the {who.kind.lower()} of that name is {who.arn}.")
        return who

    def _again(self, status: Status) -> Principal:
        """The subject as it is now. Raises where another has taken its name meanwhile."""
        wanted = asked(status.subject.id)
        who = read(self._aws, wanted.kind, wanted.name)
        if who.id not in status.subject.ids:
            raise BackendError(f"{status.subject.name} was deleted and made anew meanwhile; nothing was done.")
        return who

    def _check(self, who: Principal) -> None:
        """Nothing, if we can contain it. Raises BackendError with what is to be done first."""
        if who.kind == "User" and not self._hand.policy_works:
            raise BackendError(
                f"{self._hand.policy_arn} is not there, or does not deny everything always: make it as "
                "docs/backends-aws-iam.md shows."
            )
        if who.path.startswith(_FIXED):
            raise BackendError(f"{who.arn} is a role that only AWS changes: stop it where it was made.")
        if who.kind == "Role" and not self._roles:
            raise BackendError(
                f"{who.arn} is a role, and roles are left alone unless aws_iam_roles is true, which needs a powerful "
                "right; see docs/backends-aws-iam.md."
            )

    def _subject(self, who: Principal, held: Held) -> Subject:
        assumed = f":assumed-role/{who.name}/"
        return Subject(
            id=who.arn,
            name=who.name,
            names=(who.name, who.arn),
            ids=(who.id, who.arn),
            groups=(*held.groups, who.path),
            types=(who.kind.lower(), *((UNSEEN,) if held.unseen else ())),
            tags=held.policies,
            privileged=held.privileged or bool(held.unseen),
            own=self._hand.own == who.arn or (who.kind == "Role" and assumed in self._hand.own),
        )


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    place = PARTITIONS[items.choice("aws_iam_partition", tuple(PARTITIONS), "aws")]
    url = items.optional_text("aws_iam_url")
    if url:
        url = safe_url(url, "aws_iam_url")
        if urlsplit(url).path:
            raise ConfigurationError("must be an address without a path.", path="configuration item aws_iam_url")
        place = Partition(url, url, place.region)
    settings = Settings(
        place=place,
        credentials=Credentials(
            items.text("aws_iam_key_id"),
            items.text("aws_iam_secret_key", strip=False),
            items.text("aws_iam_session_token", ""),
        ),
        ca_file=items.optional_text("aws_iam_ca_file"),
        proxy=workbench.proxy if items.flag("aws_iam_use_proxy", True) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    policy = items.text("aws_iam_policy", "PropolisContainment")
    if not _POLICY.fullmatch(policy):
        raise ConfigurationError(
            "must be the name of a managed policy, or its ARN.", path="configuration item aws_iam_policy"
        )
    return AwsIam(settings, workbench.clock, policy=policy, roles=items.flag("aws_iam_roles", False))
