"""A decision made again on what the store kept of it, in a world that may be otherwise. Pure: reads no store, no clock.

The playbooks are those of today, as older ones are not kept. What the guardrails said then counts, as far as the record
tells; where they were not asked then, the policy of today is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from playbook_service.console import rebuilt
from playbook_service.engine import ruling
from playbook_service.judgement.guard import ACT, ASK, STOPPED, Guard, Word
from playbook_service.playbook import MODES, Decision, Origin, Playbooks, Target, decide
from playbook_service.playbook.engine import cap
from propolis.alert import Alert
from propolis.guardrails import Policy
from propolis.verdict import Sources, Verdict

NOTHING = "nothing"
"""No playbook would have spoken."""
AGAIN = ("alert", "verdict")
"""Events whose playbooks can be asked again: what they see is kept. A case is kept by TheHive alone."""
ENFORCE = MODES[-1]
_PERSON = ("released", "firewall.permanent: human")
_HURDLES = ("policy", "no case", *_PERSON)


class Evidence(NamedTuple):
    """What is kept of a decision: its record's state and body, and what it stood on. `full` and `observable` are empty
    where it stood on no verdict, `alert` where it is not kept any more; `number` is the case's, 0 for none."""

    state: str
    body: Mapping[str, Any]
    alert: Alert
    full: Mapping[str, Any]
    observable: Mapping[str, Any]
    number: int


class Rules(NamedTuple):
    """What it is decided by today. `policy` is None while it is not valid."""

    playbooks: Playbooks
    policy: Policy | None
    sources: Sources | None = None


@dataclass(frozen=True)
class World:
    """Everything that can be otherwise."""

    playbooks: Playbooks
    ceiling: str
    verdict: Verdict | None
    word: Word
    hurdle: tuple[str, str]
    """State and rule of what stood in the way after the modes; empty texts: nothing."""


class _Said(Guard):
    """Guardrails that say what they said then."""

    def __init__(self, word: Word):
        self._word = word

    def word(self, target: Target, alert: Alert) -> Word:
        return self._word


def as_it_was(evidence: Evidence, rules: Rules) -> World:
    verdict = rebuilt.rebuilt(evidence.full, rules.sources) if evidence.full else None
    rule = str(evidence.body["rule"])
    held = evidence.state in (ruling.HELD, ruling.COVERED) or rule in _HURDLES
    hurdle = (evidence.state, rule) if held else ("", "")
    word = said_then(evidence, held) or _today(evidence, rules.policy)
    return World(rules.playbooks, str(evidence.body["mode"]), verdict, word, hurdle)


# the guardrails' word -----------------------------------------------------------------------------------------------


def said_then(evidence: Evidence, held: bool) -> Word | None:
    """What the guardrails said, as far as the record tells; None where they were not asked."""
    body, wanted = evidence.body, str(evidence.body["decision"]["wanted"])
    why, rule = ("a guardrail spoke", "") if held else (str(body["why"]), str(body["rule"]))
    if body["outcome"] == STOPPED:
        return Word(stop=why or "a guardrail forbids it", rule=rule)
    if wanted == ACT:
        return Word(ask=why or "a guardrail wants an analyst's grant", rule=rule) if body["outcome"] == ASK else Word()
    return None


def _today(evidence: Evidence, policy: Policy | None) -> Word:
    target = evidence.body["decision"]["target"]
    if policy is None or target is None:
        return Word()
    word = Guard(policy, 2).word(Target(**target), evidence.alert)
    asked_then = evidence.body["decision"]["wanted"] == ASK  # and was not stopped
    return word._replace(stop="") if asked_then else word


# deciding again -----------------------------------------------------------------------------------------------------


def became(evidence: Evidence, world: World) -> str:
    """What becomes of it in that world: a state of `ruling`, or `nothing`."""
    decision = _decision(evidence, world)
    if decision is None:
        return NOTHING
    judged = _Said(world.word).judge(decision, evidence.alert)
    state, _ = cap(judged.today, ENFORCE, world.ceiling)
    if state not in (ACT, ASK):
        return state
    stood, rule = world.hurdle
    if rule in _PERSON or (stood == ruling.HELD and state == ASK):
        return ASK
    return stood or (state if decision.target is not None else ruling.CHOOSE)


def _decision(evidence: Evidence, world: World) -> Decision | None:
    told = evidence.body["decision"]
    if told["event"] not in AGAIN:
        return _by_modes(told, world)
    context = _context(evidence, world.verdict)
    responder = str(told["action"]).partition(" ")[2]
    found = decide(world.playbooks, str(told["event"]), context, ceiling_mode=world.ceiling)
    mine = [one for one in found if one.responder == responder]
    target = _same(told["target"])
    return next((one for one in mine if (_same(one.target._asdict()) if one.target else "") == target), None)


def _same(target: Mapping[str, Any] | None) -> str:
    return f"{target['kind']} {str(target['data']).lower()}" if target else ""


def _context(evidence: Evidence, verdict: Verdict | None) -> dict[str, Any]:
    context: dict[str, Any] = {"alert": evidence.alert.fields}
    if evidence.full:
        told = rebuilt.fields_of(verdict, evidence.full) if verdict else evidence.full
        context |= {"observable": dict(evidence.observable), "verdict": dict(told)}
    return context | ({"case": {"number": evidence.number}} if evidence.number else {})


def _by_modes(told: Mapping[str, Any], world: World) -> Decision:
    """The same wish, under these modes; for events whose playbooks cannot be asked again."""
    known = (world.playbooks.named(str(origin["name"])) for origin in told["playbooks"])
    modes = [book.mode for book in known if book is not None]
    mode = modes[0] if modes else ENFORCE
    kind, capped_by = cap(str(told["wanted"]), mode, world.ceiling)
    verb, _, responder = str(told["action"]).partition(" ")
    return Decision(
        kind, str(told["wanted"]), capped_by, str(told["event"]), verb, responder,
        Target(**told["target"]) if told["target"] else None, (), int(told["seconds"]), bool(told["permanent"]), (),
        tuple(Origin(**origin) for origin in told["playbooks"]), (), (), (),
    )  # fmt: skip
