"""Deciding: playbooks and a context in, decisions out. Pure: reads no clock, no file, no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from playbook_service.playbook.decision import Decision, Origin, evidence_of, numbers_of
from playbook_service.playbook.field import Context
from playbook_service.playbook.merge import Proposal, merge
from playbook_service.playbook.model import MODES, Action, Playbook, Playbooks
from playbook_service.playbook.target import Resolved, resolve


class Enrichment(NamedTuple):
    """Whom to ask of an observable: analyzers (united, each once), how long to wait (seconds), and who says so."""

    analyzers: tuple[str, ...]
    deadline: int
    playbooks: tuple[Origin, ...]


@dataclass(frozen=True)
class Outcome:
    """What one playbook says of one context: act, ask, observe or ignore, and the sentences that say why."""

    outcome: str
    reasons: tuple[str, ...]


def matching(playbooks: Playbooks, kind: str, event: str, context: Context) -> tuple[Playbook, ...]:
    """The enabled playbooks on this event whose `when` holds."""
    return tuple(playbook for playbook in playbooks.select(kind, event) if playbook.when.holds(context))


def analyzers_for(playbooks: Playbooks, context: Context) -> Enrichment:
    """The union over all matching enrichments; the longest deadline counts, so that no source is cut off."""
    found = matching(playbooks, "enrich", "observable", context)
    analyzers = dict.fromkeys(name for playbook in found for name in playbook.analyzers)
    deadline = max((playbook.deadline for playbook in found), default=0)
    return Enrichment(tuple(analyzers), deadline, tuple(Origin(book.name, book.digest) for book in found))


def decide(playbooks: Playbooks, event: str, context: Context, *, ceiling_mode: str) -> list[Decision]:
    """All decisions of the respond playbooks on this event (alert, case, verdict, case_closed), merged.

    `ceiling_mode` is the service's own mode. Bookkeeping verbs appear only where they are due; a `respond` always
    appears, so that what was observed or ignored is on record too.
    """
    proposals: list[Proposal] = []
    for playbook in matching(playbooks, "respond", event, context):
        outcome = outcome_of(playbook, context)
        proposals += [_propose(playbook, action, outcome, context, ceiling_mode) for action in _due(playbook, outcome)]
    if not proposals:
        return []
    return merge(proposals, event, evidence_of(context), numbers_of(context))


def outcome_of(playbook: Playbook, context: Context) -> Outcome:
    """The first clause of `decide` that holds, else observe; without clauses, act."""
    if not playbook.decide:
        return Outcome("act", (f"{playbook.name}: act, because its condition holds ({_why(playbook, context)})",))
    for clause in playbook.decide:
        if clause.condition.holds(context):
            because = "; ".join(clause.condition.why(context)) or "always"
            return Outcome(clause.outcome, (f"{playbook.name}: {clause.outcome}, because {because}",))
    failed = tuple(
        f"{playbook.name}: not {clause.outcome}, because {'; '.join(clause.condition.why(context))}"
        for clause in playbook.decide
    )
    return Outcome("observe", failed)


def _why(playbook: Playbook, context: Context) -> str:
    return "; ".join(playbook.when.why(context)) or "it asks nothing"


def _due(playbook: Playbook, outcome: Outcome) -> tuple[Action, ...]:
    if outcome.outcome in ("act", "ask"):
        return playbook.actions
    return tuple(action for action in playbook.actions if action.contains)


def _propose(playbook: Playbook, action: Action, outcome: Outcome, context: Context, ceiling: str) -> Proposal:
    origin = Origin(playbook.name, playbook.digest)
    if not action.contains:
        return Proposal(origin, action.verb, "", None, (), "act", "act", "", 0, False, action.settings, outcome.reasons)
    resolved = resolve(action.targets, action.responder, context)
    wanted, reasons = _aimed(playbook, action, resolved, outcome)
    kind, capped_by = cap(wanted, playbook.mode, ceiling)
    seconds = action.get("for")
    settings = _parameters(action)
    target = resolved.targets[0] if len(resolved.targets) == 1 else None
    candidates = () if target else resolved.targets
    return Proposal(
        origin, action.verb, action.responder, target, candidates, kind, wanted, capped_by,
        seconds or 0, seconds is None, settings, reasons,
    )  # fmt: skip


def _aimed(playbook: Playbook, action: Action, resolved: Resolved, outcome: Outcome) -> tuple[str, tuple[str, ...]]:
    """A step without exactly one target cannot act: it asks a human, and says what it found."""
    if len(resolved.targets) == 1 or outcome.outcome not in ("act", "ask"):
        return outcome.outcome, outcome.reasons
    path = " or ".join(path.text for path in action.targets)
    listed = ", ".join(str(target) for target in resolved.targets) or "none"
    said = "; ".join(resolved.rejected)
    more = f" ({said})" if said else ""
    sentence = f"{playbook.name}: ask, because {path} gives {len(resolved.targets)} targets, not one: {listed}{more}"
    return "ask", (*outcome.reasons, sentence)


def _parameters(action: Action) -> tuple[tuple[str, Any], ...]:
    return tuple((key, value) for key, value in action.settings if key not in ("with", "for") and value is not None)


def cap(wanted: str, mode: str, ceiling: str) -> tuple[str, str]:
    """What is left of a wish under the playbook's mode and the service's, and which of the two held it back.

    observe lets nothing be done, approve makes act an ask, enforce changes nothing.
    """
    effective = min(mode, ceiling, key=MODES.index)
    by = f"service mode {ceiling}" if MODES.index(ceiling) < MODES.index(mode) else f"playbook mode {mode}"
    if effective == "observe" and wanted in ("act", "ask"):
        return "observe", by
    if effective == "approve" and wanted == "act":
        return "ask", by
    return wanted, ""
