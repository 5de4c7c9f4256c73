"""Users and roles of one AWS account: who is meant, what they may do, and what is changed on them."""

from __future__ import annotations

import re
from typing import NamedTuple

from propolis.containment.backend import BackendError, NotFound

from .aws_api import Answer, Aws, AwsError
from .aws_policy import Document, administrative, denies_everything, parse

GONE = "NoSuchEntity"
MARK_TAG, KEYS_TAG = "propolis:containment", "propolis:keys"
_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")  # "Names and paths", IAM user guide
_ARN = re.compile(r"arn:[a-z-]+:(?:iam|sts)::(\d{12}):(user|role|assumed-role|root)(/\S*)?")
_KEY = re.compile(r"[A-Z0-9]{16,128}")


class Asked(NamedTuple):
    """Who is meant by a target's text."""

    kind: str
    """`User` or `Role`, as in the names of IAM's calls."""
    name: str
    account: str
    """Twelve digits where an ARN was given, else the empty string."""
    arn: str
    """The ARN that it must have, or the empty string."""


class Principal(NamedTuple):
    """A user or role as IAM shows it."""

    kind: str
    name: str
    arn: str
    id: str
    path: str
    tags: dict[str, str]

    @property
    def field(self) -> dict[str, str]:
        """What names it in a call."""
        return {f"{self.kind}Name": self.name}

    @property
    def mark(self) -> str:
        """Our mark, or the empty string."""
        return self.tags.get(MARK_TAG, "")

    @property
    def remembered(self) -> list[str]:
        """The access keys that we deactivated."""
        return [key for key in self.tags.get(KEYS_TAG, "").split() if _KEY.fullmatch(key)]


class Held(NamedTuple):
    """What a principal is allowed."""

    groups: tuple[str, ...] = ()
    """Names and ARNs."""
    policies: tuple[str, ...] = ()
    """Names of all policies, its own and those of its groups."""
    privileged: bool = False
    denied_by: str = ""
    """A policy that denies it everything."""
    unseen: str = ""
    """Why this could not be read; nobody is contained then."""


def asked(text: str) -> Asked:
    """Read a name or an ARN. Raises NotFound for what IAM has as no name, BackendError for the root user."""
    found = _ARN.fullmatch(text)
    if not found:
        if not _NAME.fullmatch(text):
            raise NotFound(f"{text} is no name that an IAM user can have; give the user's name, or an ARN.")
        return Asked("User", text, "", "")
    account, what, path = found.groups()
    parts = (path or "").split("/")[1:]
    if what == "root":
        raise BackendError(
            f"{text} is the root user of the account, whom no policy stops: change its password, end its sessions and "
            "delete its keys by hand."
        )
    name = parts[0] if what == "assumed-role" and parts else parts[-1] if parts else ""
    if not _NAME.fullmatch(name):
        raise NotFound(f"{text} names no user and no role.")
    return Asked("User" if what == "user" else "Role", name, account, "" if what == "assumed-role" else text)


def read(aws: Aws, kind: str, name: str) -> Principal:
    """A user or role by its name. Raises NotFound."""
    try:
        answer = aws.ask(f"Get{kind}", **{f"{kind}Name": name})
    except AwsError as error:
        if error.code == GONE:
            raise NotFound(f"{name} is no IAM {kind.lower()} of this account; check the spelling.") from None
        raise
    tags = {tag.text("Key"): tag.text("Value") for tag in answer.members("Tags")}
    found = Principal(
        kind, answer.text(f"{kind}Name"), answer.text("Arn"), answer.text(f"{kind}Id"), answer.text("Path"), tags
    )
    if not all(found[:4]) or found.name.casefold() != name.casefold():
        raise BackendError(f"IAM answered the question for {name} with something else; check aws_iam_url.")
    return found


def keys(aws: Aws, who: Principal) -> dict[str, str]:
    """A user's access keys: id -> `Active` or `Inactive`. A role has none."""
    if who.kind != "User":
        return {}
    listed = aws.listed("ListAccessKeys", "AccessKeyMetadata", **who.field)
    return {key.text("AccessKeyId"): key.text("Status") for key in listed}


def attached(aws: Aws, kind: str, name: str) -> dict[str, str]:
    """The managed policies attached to a user, role or group: ARN -> name."""
    listed = aws.listed(f"ListAttached{kind}Policies", "AttachedPolicies", **{f"{kind}Name": name})
    return {policy.text("PolicyArn"): policy.text("PolicyName") for policy in listed}


def inline(aws: Aws, kind: str, name: str, policy: str) -> Document | None:
    """A policy that stands in a user, role or group; None where there is none of that name."""
    try:
        return _document(aws.ask(f"Get{kind}Policy", **{f"{kind}Name": name, "PolicyName": policy}))
    except AwsError as error:
        if error.code == GONE:
            return None
        raise


def managed(aws: Aws, arn: str) -> Document | None:
    """A managed policy as it is in force; None where there is none."""
    try:
        version = aws.ask("GetPolicy", PolicyArn=arn).text("DefaultVersionId")
        return _document(aws.ask("GetPolicyVersion", PolicyArn=arn, VersionId=version))
    except AwsError as error:
        if error.code == GONE:
            return None
        raise


def held_by(aws: Aws, who: Principal) -> Held:
    """Everything a principal is allowed, by its own policies and those of its groups (IAM's groups do not nest)."""
    try:
        return _held_by(aws, who)
    except BackendError as error:
        return Held(unseen=str(error))


def _held_by(aws: Aws, who: Principal) -> Held:
    groups = aws.listed("ListGroupsForUser", "Groups", **who.field) if who.kind == "User" else []
    owners = [(who.kind, who.name), *(("Group", group.text("GroupName")) for group in groups)]
    documents: dict[str, Document | None] = {}
    for kind, name in owners:
        for arn, policy in attached(aws, kind, name).items():
            documents.setdefault(policy, managed(aws, arn))
        for policy in aws.names(f"List{kind}Policies", "PolicyNames", **{f"{kind}Name": name}):
            documents[f"{policy} ({kind.lower()} {name})"] = inline(aws, kind, name, policy)
    found = {policy: document for policy, document in documents.items() if document is not None}
    return Held(
        groups=tuple(group.text(part) for group in groups for part in ("GroupName", "Arn")),
        policies=tuple(dict.fromkeys(text for policy in documents for text in (policy, policy.partition(" (")[0]))),
        privileged=any(administrative(document) for document in found.values()),
        denied_by=next((policy for policy, document in found.items() if denies_everything(document)), ""),
    )


def _document(answer: Answer) -> Document:
    text = answer.text("PolicyDocument") or answer.text("Document")
    try:
        return parse(text)
    except ValueError:
        raise BackendError("IAM showed a policy whose document cannot be read; nothing was done.") from None
