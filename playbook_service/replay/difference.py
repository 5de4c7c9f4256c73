"""What two sets of playbooks decide differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from playbook_service.judgement.guard import Judged
from playbook_service.replay.casebook import step_text

NOTHING = "nothing"


class Change(NamedTuple):
    """One difference: on this action and target one set says `before`, the other `after`; and why each says so."""

    action: str
    target: str
    before: str
    after: str
    why_before: tuple[str, ...]
    why_after: tuple[str, ...]
    playbooks: tuple[str, ...]


def changes(before: Sequence[Judged], after: Sequence[Judged]) -> list[Change]:
    """Every action and target on which the two differ, in outcome or in what the modes leave of it."""
    old = {_key(entry): entry for entry in before}
    new = {_key(entry): entry for entry in after}
    found = []
    for key in dict.fromkeys((*old, *new)):
        one, other = old.get(key), new.get(key)
        if _said(one) != _said(other):
            found.append(_change(key, one, other))
    return found


def _key(entry: Judged) -> tuple[str, str]:
    decision = entry.decision
    if decision.responder:
        return (decision.action, entry.target)
    return (f"{decision.verb} {step_text(decision) or _settings(entry)}".strip(), "")


def _settings(entry: Judged) -> str:
    return ", ".join(f"{key} {_plain(value)}" for key, value in entry.decision.settings if value not in ("", None, ()))


def _plain(value: object) -> str:
    return " ".join(str(one) for one in value) if isinstance(value, tuple) else str(value)


def _said(entry: Judged | None) -> tuple[str, str]:
    return (entry.outcome, entry.today) if entry else (NOTHING, NOTHING)


def _text(entry: Judged | None) -> str:
    if entry is None:
        return NOTHING
    if entry.outcome == entry.today:
        return entry.outcome
    return f"{entry.outcome}, today {entry.today} ({entry.decision.capped_by})"


def _change(key: tuple[str, str], one: Judged | None, other: Judged | None) -> Change:
    names = dict.fromkeys(
        origin.name for entry in (one, other) if entry is not None for origin in entry.decision.origins
    )
    return Change(*key, _text(one), _text(other), _why(one), _why(other), tuple(names))


def _why(entry: Judged | None) -> tuple[str, ...]:
    if entry is None:
        return ()
    return (entry.why,) if entry.why else entry.decision.reasons[:3]
