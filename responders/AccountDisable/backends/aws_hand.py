"""The changes on a user or role of IAM, each made once and looked for until it shows.

IAM shows changes a little later ("eventually consistent", IAM user guide), so after a change this looks a few times.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import settled

from .aws_api import Aws, AwsError
from .aws_policy import denies_everything, revocation, revoked_before
from .aws_principal import GONE, KEYS_TAG, MARK_TAG, Principal, attached, inline, keys, managed, read

_LOOKS = (1.0, 2.0, 4.0, 8.0)  # seconds between the looks that IAM gets to show a change of ours
_NO_KEYS = "none"


class AwsHand:
    """What is done to principals of one account, with one policy that denies everything."""

    def __init__(self, aws: Aws, clock: Clock, policy: str):
        self._aws = aws
        self._clock = clock
        self._policy = policy

    @cached_property
    def own(self) -> str:
        """The ARN that these credentials belong to."""
        arn = self._aws.whoami()
        if arn.endswith(":root"):
            raise BackendError(
                "These are credentials of the account's root user: make an IAM user with the policy of "
                "docs/backends-aws-iam.md, and delete the root user's keys."
            )
        if arn.count(":") < 5:
            raise BackendError("STS does not say whose credentials these are; check aws_iam_url.")
        return arn

    @cached_property
    def policy_arn(self) -> str:
        """The managed policy that denies everything."""
        if self._policy.startswith("arn:"):
            return self._policy
        _, partition, _, _, account, _ = self.own.split(":", 5)
        return f"arn:{partition}:iam::{account}:policy/{self._policy}"

    @cached_property
    def policy_works(self) -> bool:
        """Whether it is there and does so."""
        document = managed(self._aws, self.policy_arn)
        return document is not None and denies_everything(document)

    def applied(self, who: Principal) -> str:
        """What of ours denies it now, as a part of a sentence; empty where nothing does."""
        if who.kind == "User":
            there = self.policy_arn in attached(self._aws, who.kind, who.name) and self.policy_works
            return f"{self.policy_arn} is attached and denies everything" if there else ""
        document = inline(self._aws, who.kind, who.name, self._inline)
        moment = revoked_before(document) if document is not None else ""
        return f"{self._inline} denies its sessions from before {moment}" if moment else ""

    def there(self, who: Principal) -> bool:
        """Whether something stands on it under our policy's name, be it that it denies nothing."""
        if who.kind == "User":
            return self.policy_arn in attached(self._aws, who.kind, who.name)
        return inline(self._aws, who.kind, who.name, self._inline) is not None

    @property
    def _inline(self) -> str:
        """The name of our policy in a role."""
        return self._policy.rpartition("/")[2]

    def denying(self, who: Principal) -> tuple[str, str]:
        """The call that denies, and its last field."""
        if who.kind == "User":
            return "AttachUserPolicy", self.policy_arn
        return "PutRolePolicy", json.dumps(revocation(self._clock.now()))

    def deny(self, who: Principal) -> str:
        """Deny it everything. Gives what was done, as a part of a sentence."""
        action, value = self.denying(who)
        fields = {"PolicyArn": value} if who.kind == "User" else {"PolicyName": self._inline, "PolicyDocument": value}
        shown = self.policy_arn if who.kind == "User" else self._inline
        done = f"denied {who.arn} everything with {shown}"
        done = settled(
            lambda: self._aws.change(action, **who.field, **fields), lambda: self._seen(lambda: self.there(who)), done
        )
        self._seen(lambda: self.there(who))
        return done

    def undeny(self, who: Principal) -> str:
        """Take our policy from it. Gives what was done, as a part of a sentence."""
        user = who.kind == "User"
        action = "DetachUserPolicy" if user else "DeleteRolePolicy"
        fields = {"PolicyArn": self.policy_arn} if user else {"PolicyName": self._inline}

        def make() -> None:
            try:
                self._aws.change(action, **who.field, **fields)
            except AwsError as error:
                if error.code != GONE:
                    raise

        def gone() -> bool:
            return self._seen(lambda: not self.there(who))

        done = settled(make, gone, f"took {fields.get('PolicyArn') or self._inline} from {who.arn}")
        gone()
        return done

    def tag(self, who: Principal, mark: str, active: list[str]) -> None:
        """Write our mark, and which keys are to be given back: those that are active, and those we took before."""
        tags = {MARK_TAG: mark, KEYS_TAG: " ".join(sorted({*who.remembered, *active})) or _NO_KEYS}
        fields: dict[str, str] = {}
        for number, (key, value) in enumerate(tags.items(), start=1):
            fields |= {f"Tags.member.{number}.Key": key, f"Tags.member.{number}.Value": value}
        self._change("Tag", who, fields, lambda now: tags.items() <= now.tags.items())

    def untag(self, who: Principal) -> None:
        """Take our tags away; others stay."""
        fields = {"TagKeys.member.1": MARK_TAG, "TagKeys.member.2": KEYS_TAG}
        self._change("Untag", who, fields, lambda now: not now.mark)

    def _change(self, verb: str, who: Principal, fields: dict[str, str], made: Callable[[Principal], bool]) -> None:
        """Change the tags, and wait until that shows."""

        def shows() -> bool:
            return self._seen(lambda: made(read(self._aws, who.kind, who.name)))

        settled(lambda: self._aws.change(f"{verb}{who.kind}", **who.field, **fields), shows, "")
        shows()

    def deactivate(self, who: Principal, active: list[str]) -> tuple[list[str], tuple[str, ...]]:
        """What was done and what was not: the deny holds for every key, so that a failure here does not undo it."""
        done, left = [], []
        for key in active:
            try:
                done.append(self._switch(who, key, "Inactive"))
            except BackendError as error:
                left.append(f"Access key {key} is NOT deactivated (the deny holds for it too): {error}")
        return done, tuple(left)

    def reactivate(self, who: Principal) -> tuple[list[str], tuple[str, ...]]:
        """Give back exactly the keys that we took; one that is gone meanwhile stays gone."""
        states = keys(self._aws, who) if who.remembered else {}
        done = [self._switch(who, key, "Active") for key in who.remembered if states.get(key) == "Inactive"]
        gone = [key for key in who.remembered if key not in states]
        return done, tuple(f"Access key {key} was deleted meanwhile." for key in gone)

    def _switch(self, who: Principal, key: str, state: str) -> str:
        return settled(
            lambda: self._aws.change("UpdateAccessKey", **who.field, AccessKeyId=key, Status=state),
            lambda: self._seen(lambda: keys(self._aws, who).get(key) == state),
            f"set access key {key} {state}",
        )

    def _seen(self, shows: Callable[[], bool]) -> bool:
        """Whether it shows, now or after a few looks."""
        for pause in _LOOKS:
            if shows():
                return True
            self._clock.sleep(pause)
        return shows()
