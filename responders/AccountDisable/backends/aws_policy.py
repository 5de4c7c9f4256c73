"""What a policy document of IAM grants or denies, as far as a guardrail needs to know.

From the "IAM JSON policy elements reference": actions ignore case and take `*` and `?`; `Action` or `NotAction`, and
`Resource` or `NotResource`, stand in every statement. Conditions and permission boundaries are not weighed, so that an
administrator is rather seen where there is none than overlooked.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

Document = dict[str, Any]

_POWERS = tuple(
    f"iam:{name}".lower()
    for name in (
        "AddUserToGroup", "AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy", "CreateAccessKey",
        "CreateLoginProfile", "CreatePolicyVersion", "PutGroupPolicy", "PutRolePolicy", "PutUserPolicy",
        "SetDefaultPolicyVersion", "UpdateAssumeRolePolicy", "UpdateLoginProfile",
    )
)  # fmt: skip
"""With each of these somebody can give himself every right of the account."""
_SELF = ("${aws:username}", "${aws:PrincipalTag/")  # a resource that is the user himself: looking after one's own keys


def parse(text: str) -> Document:
    """A document as IAM gives it, percent-encoded. Raises ValueError."""
    document = json.loads(unquote(text))
    if not isinstance(document, dict):
        raise ValueError("no policy document")
    return document


def administrative(document: Document) -> bool:
    """Whether it allows something with which its owner becomes an administrator of the account."""
    return any(_allows_power(statement) for statement in _statements(document))


def denies_everything(document: Document) -> bool:
    """Whether it denies every action on everything, always."""
    return any(_denies_all(statement) and not statement.get("Condition") for statement in _statements(document))


def revocation(before: float) -> Document:
    """Denies every session that was issued before this wall time (seconds), as the console's "revoke sessions" does."""
    moment = datetime.fromtimestamp(before, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"DateLessThan": {"aws:TokenIssueTime": moment}},
            }
        ],
    }


def revoked_before(document: Document) -> str:
    """The moment of a document made by `revocation`, or the empty string for any other."""
    statements = _statements(document)
    if len(statements) != 1 or not _denies_all(statements[0]):
        return ""
    condition = statements[0].get("Condition")
    moment = condition.get("DateLessThan", {}).get("aws:TokenIssueTime") if isinstance(condition, dict) else None
    made = condition == {"DateLessThan": {"aws:TokenIssueTime": moment}} and isinstance(moment, str)
    return str(moment) if made and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(moment)) else ""


def _denies_all(statement: Document) -> bool:
    return (
        statement.get("Effect") == "Deny"
        and any(action in ("*", "*:*") for action in _texts(statement.get("Action")))
        and "*" in _texts(statement.get("Resource"))
    )


def _allows_power(statement: Document) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    resources = _texts(statement.get("Resource"))
    if resources and all(any(own in resource for own in _SELF) for resource in resources):
        return False
    if "NotAction" in statement:
        return not all(_covers(_texts(statement["NotAction"]), power) for power in _POWERS)
    return any(_covers(_texts(statement.get("Action")), power) for power in _POWERS)


def _covers(patterns: list[str], action: str) -> bool:
    return any(fnmatchcase(action, pattern.lower().replace("[", "[[]")) for pattern in patterns)


def _statements(document: Document) -> list[Document]:
    found = document.get("Statement")
    listed = found if isinstance(found, list) else [found]
    return [statement for statement in listed if isinstance(statement, dict)]


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value] if isinstance(value, list) else []
