"""The answer of a guardrail that stops something."""

from __future__ import annotations

from propolis.errors import PropolisError


class Refused(PropolisError):
    """A rule forbids this containment. `rule` names it for reports: `firewall.never: 10.0.0.0/8 (private)`."""

    def __init__(self, message: str, *, rule: str):
        super().__init__(message)
        self.rule = rule


BUILT_IN = "This rule is built in and cannot be switched off."


def change(key: str) -> str:
    """The sentence that says where an operator's own rule can be changed."""
    return f"If that is wrong, change {key} in the policy."
