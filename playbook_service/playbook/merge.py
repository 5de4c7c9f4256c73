"""Where playbooks meet: proposals on the same (responder, target) become one decision.

Of the outcomes after the modes, any `ask` makes it ask, else any `act` makes it act, else it is observed, or ignored.
A playbook that observes (because its clauses do not hold, or because its mode lets it do no more) has no say in what
the others do: a playbook on trial must not change what happens. The shortest duration of those that have a say counts.
Bookkeeping steps that are equal in all they say become one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from playbook_service.playbook.decision import Decision, Origin
from playbook_service.playbook.model import OUTCOMES
from playbook_service.playbook.target import Target


class Proposal(NamedTuple):
    """What one step of one playbook asks for; the fields are those of `Decision`."""

    origin: Origin
    verb: str
    responder: str
    target: Target | None
    candidates: tuple[Target, ...]
    kind: str
    wanted: str
    capped_by: str
    seconds: int
    permanent: bool
    settings: tuple[tuple[str, Any], ...]
    reasons: tuple[str, ...]


def merge(
    proposals: list[Proposal], event: str, evidence: tuple[tuple[str, Any], ...], numbers: tuple[tuple[str, Any], ...]
) -> list[Decision]:
    """One decision for each (responder, target) and each distinct bookkeeping step, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[Proposal]] = {}
    for proposal in proposals:
        groups.setdefault(_key(proposal), []).append(proposal)
    return [_decision(group, event, evidence, numbers) for group in groups.values()]


def _key(proposal: Proposal) -> tuple[Any, ...]:
    if proposal.responder:
        return (proposal.responder, _same(proposal.target), tuple(_same(entry) for entry in proposal.candidates))
    return (proposal.verb, proposal.settings)


def _same(target: Target | None) -> tuple[str, str] | None:
    """Two targets are one where kind and value agree; the data type or label they came by does not matter."""
    return (target.kind, target.data.lower()) if target else None


def strictest(outcomes: list[str]) -> str:
    """The outcome that overrules the others."""
    return max(outcomes, key=OUTCOMES.index)


def _decision(
    group: list[Proposal], event: str, evidence: tuple[tuple[str, Any], ...], numbers: tuple[tuple[str, Any], ...]
) -> Decision:
    kind = strictest([proposal.kind for proposal in group])
    leading = [proposal for proposal in group if proposal.kind == kind]
    wanted = strictest([proposal.wanted for proposal in leading])
    first = next(proposal for proposal in leading if proposal.wanted == wanted)
    ordered = [first, *(proposal for proposal in group if proposal is not first)]
    heard = _heard(ordered, kind)
    return Decision(
        kind=kind,
        wanted=wanted,
        capped_by=first.capped_by,
        event=event,
        verb=first.verb,
        responder=first.responder,
        target=first.target,
        candidates=first.candidates,
        seconds=_shortest(heard),
        permanent=all(proposal.permanent for proposal in heard),
        settings=first.settings,
        origins=tuple(dict.fromkeys(proposal.origin for proposal in ordered)),
        evidence=evidence,
        numbers=numbers,
        reasons=tuple(dict.fromkeys(reason for proposal in ordered for reason in proposal.reasons)),
    )


def _heard(group: list[Proposal], kind: str) -> list[Proposal]:
    """Those with a say in the duration: who acts or asks; where nobody does, everybody."""
    if kind in ("act", "ask"):
        return [proposal for proposal in group if proposal.kind in ("act", "ask")]
    return group


def _shortest(group: list[Proposal]) -> int:
    return min((proposal.seconds for proposal in group if not proposal.permanent), default=0)
