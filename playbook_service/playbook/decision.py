"""Decisions: frozen, hashable records of what is to be done, why, and on which evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from playbook_service.playbook.field import Context, as_map
from playbook_service.playbook.model import content_digest
from playbook_service.playbook.target import Target

STEADY = ("verdict", "recommendation", "families", "malicious", "suspicious", "profile")
"""What of a verdict is evidence in the sense of the digest. Score, coverage and conflict move with every second that
reports age; a grant must not die of that, only of a verdict that says something else."""
NUMBERS = (
    "verdict",
    "recommendation",
    "score",
    "families",
    "malicious",
    "suspicious",
    "coverage",
    "conflict",
    "profile",
)
"""What of a verdict a decision shows."""


class Origin(NamedTuple):
    """A playbook that contributed to a decision."""

    name: str
    digest: str


@dataclass(frozen=True)
class Decision:
    """What is to be done with one target by one verb.

    `kind` is act, ask, observe or ignore, after the modes; `wanted` is what the playbooks wanted before them, and
    `capped_by` names the mode that made the difference ("service mode observe"), or is empty. `seconds` is how long a
    containment lasts (0 for verbs that contain nothing), `permanent` says that it has no end. `target` is None where
    the playbook's path did not give exactly one; `candidates` then lists what it gave. `origins` are all contributing
    playbooks, the leading one first. `evidence` is what a grant is bound to, `numbers` what people are shown.
    """

    kind: str
    wanted: str
    capped_by: str
    event: str
    verb: str
    responder: str
    target: Target | None
    candidates: tuple[Target, ...]
    seconds: int
    permanent: bool
    settings: tuple[tuple[str, Any], ...]
    origins: tuple[Origin, ...]
    evidence: tuple[tuple[str, Any], ...]
    numbers: tuple[tuple[str, Any], ...]
    reasons: tuple[str, ...]

    @property
    def playbook(self) -> str:
        """The name of the leading playbook."""
        return self.origins[0].name

    @property
    def playbook_digest(self) -> str:
        """The content hash of the leading playbook."""
        return self.origins[0].digest

    @property
    def action(self) -> str:
        """`respond FirewallBlock`, or the verb alone."""
        return f"{self.verb} {self.responder}".strip()

    @property
    def evidence_digest(self) -> str:
        """SHA-256 of the evidence."""
        return content_digest(dict(self.evidence))

    def digest(self) -> str:
        """SHA-256, in hex, over (action, target, parameters, evidence): what an approval is bound to."""
        parameters = {**dict(self.settings), "seconds": self.seconds, "permanent": self.permanent}
        target = list(self.target) if self.target else [list(candidate) for candidate in self.candidates]
        return content_digest([self.action, target, parameters, dict(self.evidence)])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for logs, reports and `--format json`."""
        return {
            "kind": self.kind,
            "wanted": self.wanted,
            "capped_by": self.capped_by,
            "event": self.event,
            "action": self.action,
            "target": self.target._asdict() if self.target else None,
            "candidates": [candidate._asdict() for candidate in self.candidates],
            "seconds": self.seconds,
            "permanent": self.permanent,
            "settings": dict(self.settings),
            "playbooks": [origin._asdict() for origin in self.origins],
            "evidence": dict(self.evidence),
            "evidence_digest": self.evidence_digest,
            "numbers": dict(self.numbers),
            "reasons": list(self.reasons),
            "digest": self.digest(),
        }


def evidence_of(context: Context) -> tuple[tuple[str, Any], ...]:
    """What a decision stands on: the steady part of the verdict where there is one, else the alert, else the case."""
    verdict = as_map(context.get("verdict"))
    if verdict:
        return _pick(verdict, STEADY, "verdict")
    alert = as_map(context.get("alert"))
    return (
        *_pick(alert, ("id",), "alert"),
        *_pick(alert.get("manager"), ("name",), "manager"),
        *_pick(alert.get("rule"), ("id", "level"), "rule"),
        *_pick(context.get("case"), ("number",), "case"),
    )


def numbers_of(context: Context) -> tuple[tuple[str, Any], ...]:
    """The verdict's key numbers, for people."""
    return _pick(context.get("verdict"), NUMBERS, "")


def _pick(values: Any, keys: tuple[str, ...], prefix: str) -> tuple[tuple[str, Any], ...]:
    start = f"{prefix}." if prefix else ""
    found = as_map(values)
    return tuple((start + key, _scalar(found[key])) for key in keys if found.get(key) is not None)


def _scalar(value: Any) -> Any:
    """A value that JSON can hold and a hash can be made of, whatever an alert brought (NaN, a map, a megabyte)."""
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)[:200]
