"""What becomes of a decision to contain: one record, one audit line, and a lease or a question where it comes to that.

Record `decision`, key = the lease it would become (`P` and a hash of event, case, target, responder, evidence, kind and
round): state `act`, `ask`, `choose` (the target is not one: a person is to choose), `stopped` (a guardrail forbids it),
`held` (no budget, or a breaker is open), `covered` (contained or asked already), `observe` or `ignore`; ref = the case.
Body: `decision` (`Decision.to_dict()`), `outcome` (what the playbooks want, whatever the modes), `why`, `rule`,
`alert`, `verdict`, `observable`, `entity`, `grant`, `lines` (evidence for people), `mode`, `policy` and `playbooks`
(digests), `at`.

Record `target`, key a hash of (responder, target): `keys`, the decisions on it that may have become leases, newest
last, and `forgotten`, the ended leases that are no longer listed. The number of ended leases is the round: it grows
when one ends, so that an attacker who comes back with the same evidence is met again.

A `stopped` or `held` decision is followed by step `tell` `{"decision": key, "what": state}`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from playbook_service.engine import approval, budget, decided, lease
from playbook_service.engine.aim import ENTITY
from playbook_service.engine.context import ceiling
from playbook_service.engine.step import follow
from playbook_service.engine.tools import Tools
from playbook_service.judgement.guard import POLICY_KIND, Judged
from playbook_service.playbook import Decision, Target
from playbook_service.playbook.engine import cap
from playbook_service.playbook.model import content_digest
from playbook_service.store.contract import Record, Transaction
from propolis.clock import utc_text
from propolis.guardrails import Policy, check_ttl

KIND, TARGET = "decision", "target"
ACT, ASK, CHOOSE, STOPPED, HELD = "act", "ask", "choose", "stopped", "held"
COVERED, OBSERVE, IGNORE = "covered", "observe", "ignore"
_RELEASED_LATELY = 86_400.0  # seconds for which an early release, a person's word, keeps us from acting alone
_MOST_KEYS = 20
_IN_FORCE = (lease.WISHED, *lease.IN_FORCE)

Considered = Callable[[Transaction, Record], object]
"""Told of every decision that is recorded, in the same transaction."""
Asker = Callable[[Transaction, Record], None]
"""Puts the question of a decision to an analyst, in the transaction that decides it."""


class Scene(NamedTuple):
    """What a decision is about. Ids are TheHive's; empty where there is none."""

    event: str
    case_id: str
    alert_key: str = ""
    observable_id: str = ""
    verdict: str = ""
    lines: tuple[str, ...] = ()
    playbooks: str = ""
    """Digest of the set of playbooks that decided."""


class Word(NamedTuple):
    """What becomes of it, and why it is not what the playbooks wanted."""

    state: str
    why: str = ""
    rule: str = ""


class Past(NamedTuple):
    """What was decided on the same target before."""

    pointer: Record | None
    keys: tuple[str, ...]
    """The decisions that may have become leases, oldest first."""
    round: int
    """How many leases on it have ended."""
    in_force: Record | None
    released: Record | None
    """A lease that a person ended early, not long ago."""


class Ruling:
    """Rules on decisions inside a transaction."""

    def __init__(self, tools: Tools, ask: Asker, considered: Considered = lambda _work, _record: None):
        self._tools = tools
        self._ask = ask
        self._considered = considered

    def rule(self, work: Transaction, policy: Policy, judged: Judged, scene: Scene, entity: str) -> str:
        """Decide, record, and set going; returns the state, empty where the same was decided before."""
        self._tools.switch.look(work)
        decision = judged.decision
        past = past_of(work, decision, self._tools.clock.now())
        key = key_of(scene, judged, past.round)
        if work.get(KIND, key) is not None:
            return ""
        word = self._word(work, policy, judged, scene, past, entity)
        if word.state == ACT and decision.target is not None:
            word = self._paid(work, policy, decision, decision.target, scene, key) or word
        grant = self._grant(policy, judged, scene, entity, key, word) if decision.target else None
        record = self._note(work, policy, judged, scene, word, grant, key)
        if word.state in (ACT, ASK):
            _point(work, decision, past, key)
        self._set_going(work, record, word, grant)
        self._considered(work, record)
        return word.state

    def _word(self, work: Transaction, policy: Policy, judged: Judged, scene: Scene, past: Past, entity: str) -> Word:
        word = self._under_modes(policy, judged)
        if word.state not in (ACT, ASK):
            return word
        held_back = policy.holds_back()
        if held_back:
            return Word(STOPPED, held_back[0], "policy")
        if judged.decision.target is None:
            return Word(CHOOSE, word.why, word.rule)
        covered = self._covered(work, scene, judged.decision, past)
        if covered:
            return Word(COVERED, covered)
        if not entity:
            return Word(STOPPED, "there is no case to act in: the alert is gone from TheHive", "no case")
        return _for_a_person(word, judged.decision, past)

    def _under_modes(self, policy: Policy, judged: Judged) -> Word:
        """As the playbooks and the guardrails said, under the modes as they are now."""
        state, by = cap(judged.today, "enforce", ceiling(self._tools, policy))
        return Word(state, judged.why or (by and f"{by} holds it back") or judged.decision.capped_by, judged.rule)

    def _covered(self, work: Transaction, scene: Scene, decision: Decision, past: Past) -> str:
        """Why there is nothing to do any more, or not yet."""
        if past.in_force is not None:
            until = past.in_force.body.get("until")
            return f"lease {past.in_force.key} contains it already" + (f" until {utc_text(until)}" if until else "")
        for key in past.keys:
            asked, earlier = work.get(approval.KIND, key), work.get(KIND, key)
            if asked is None or earlier is None or asked.ref != scene.case_id:
                continue
            renewed = scene.event == "verdict" and earlier.body["observable"] == scene.observable_id
            if asked.state in (approval.ASKED, approval.WAITING) and not renewed:
                return f"an analyst is being asked about it already ({key})"
            if asked.state == approval.DENIED and scene.event == earlier.body["decision"]["event"] and not renewed:
                return f"it was denied in this case ({key}): {asked.body['why']}"
        return ""

    def _paid(
        self, work: Transaction, policy: Policy, decision: Decision, target: Target, scene: Scene, key: str
    ) -> Word | None:
        """Take it from the budget; the word where there is nothing left of it."""
        expense = budget.Expense(key, decision.responder, POLICY_KIND[target.kind], scene.case_id)
        why = budget.spend(work, policy, expense, self._tools.clock.now())
        return Word(HELD, why, "policy limits") if why else None

    def _grant(
        self, policy: Policy, judged: Judged, scene: Scene, entity: str, key: str, word: Word
    ) -> lease.Grant | None:
        decision = judged.decision
        if word.state not in (ACT, ASK) or decision.target is None:
            return None
        seconds = policy.max_ttl if decision.permanent else check_ttl(policy, decision.seconds or None)
        why = "; ".join(text for text in (word.why, *decision.reasons) if text)[:2000]
        return lease.Grant(
            key, decision.responder, ENTITY, entity, scene.case_id, judged.target, seconds, why,
            decision.evidence_digest, f"playbook {decision.playbook}",
        )  # fmt: skip

    def _note(
        self, work: Transaction, policy: Policy, judged: Judged, scene: Scene, word: Word, grant: lease.Grant | None,
        key: str,
    ) -> Record:  # fmt: skip
        decision = judged.decision
        body = {
            "decision": decision.to_dict(), "outcome": judged.outcome, "why": word.why, "rule": word.rule,
            "alert": scene.alert_key, "verdict": scene.verdict, "observable": scene.observable_id,
            "entity": grant.entity_id if grant else "", "grant": grant._asdict() if grant else None,
            "lines": list(scene.lines), "mode": ceiling(self._tools, policy), "policy": policy.digest,
            "playbooks": scene.playbooks, "at": self._tools.clock.now(),
        }  # fmt: skip
        self._tools.journal.write(
            work, "decision", case=scene.case_id, target=judged.target, responder=decision.responder, decision=key,
            result=word.state, wanted=decision.wanted, why=word.why or None, rule=word.rule or None,
            capped_by=decision.capped_by or None, playbook=decision.playbook, version=decision.playbook_digest,
            evidence=decision.evidence_digest, reasons=list(decision.reasons), automated=True,
        )  # fmt: skip
        record = work.save(KIND, key, body, version=0, state=word.state, ref=scene.case_id)
        decided.note(work, record)
        return record

    def _set_going(self, work: Transaction, record: Record, word: Word, grant: lease.Grant | None) -> None:
        if word.state == ACT and grant is not None:
            lease.grant(work, self._tools, grant)
        elif word.state == ASK:
            self._ask(work, record)
        elif word.state in (STOPPED, HELD):
            follow(work, "tell", record.key, decision=record.key, what=word.state)


def key_of(scene: Scene, judged: Judged, number: int) -> str:
    """What makes a decision one of its kind; it is the id of the lease that it becomes."""
    decision = judged.decision
    target = _same(decision.target) if decision.target else [_same(one) for one in decision.candidates]
    facts = [scene.event, scene.case_id, target, decision.responder, decision.evidence_digest, judged.today, number]
    return f"P{content_digest(facts)[:24]}"


def past_of(work: Transaction, decision: Decision, now: float) -> Past:
    """What was decided on the target before, whatever the case."""
    pointer = work.get(TARGET, _target_key(decision.responder, decision.target)) if decision.target else None
    keys = tuple(pointer.body["keys"]) if pointer else ()
    leases = [record for key in keys if (record := work.get(lease.KIND, key)) is not None]
    ended = [record for record in leases if record.state == lease.ENDED]
    released = [one for one in ended if one.body["ended_by"] and now - one.updated_at < _RELEASED_LATELY]
    number = (int(pointer.body["forgotten"]) if pointer else 0) + len(ended)
    in_force = next((record for record in leases if record.state in _IN_FORCE), None)
    if in_force is None and decision.target is not None:  # an analyst may have contained it by hand
        in_force = lease.on_target(work, decision.responder, decision.target.data)
    return Past(pointer, keys, number, in_force, released[-1] if released else None)


def in_force_on(work: Transaction, wanted: lease.Grant) -> Record | None:
    """Another lease that contains the target of a grant already."""
    record = work.get(KIND, wanted.lease)
    target = record.body["decision"]["target"] if record else None
    pointer = work.get(TARGET, _target_key(wanted.responder, Target(**target))) if target else None
    for key in pointer.body["keys"] if pointer else ():
        other = work.get(lease.KIND, key)
        if key != wanted.lease and other is not None and other.state in _IN_FORCE:
            return other
    by_hand = lease.on_target(work, wanted.responder, target["data"]) if target else None
    return by_hand if by_hand is not None and by_hand.key != wanted.lease else None


def _point(work: Transaction, decision: Decision, past: Past, key: str) -> None:
    if decision.target is None:
        return
    keys = [*past.keys, key]
    dropped = [work.get(lease.KIND, old) for old in keys[:-_MOST_KEYS]]
    forgotten = sum(record is not None and record.state == lease.ENDED for record in dropped)
    forgotten += int(past.pointer.body["forgotten"]) if past.pointer else 0
    version = past.pointer.version if past.pointer else 0
    body = {"keys": keys[-_MOST_KEYS:], "forgotten": forgotten}
    work.save(TARGET, _target_key(decision.responder, decision.target), body, version=version)


def _for_a_person(word: Word, decision: Decision, past: Past) -> Word:
    """What a playbook may not do alone, even where it may act."""
    if word.state == ACT and decision.permanent:
        return Word(ASK, "only a person may contain something without an end", "firewall.permanent: human")
    if word.state == ACT and past.released is not None:
        by = past.released.body["ended_by"]
        return Word(ASK, f"{by} released it early, so it is not contained again without asking", "released")
    return word


def _target_key(responder: str, target: Target) -> str:
    return content_digest([responder, _same(target)])[:32]


def _same(target: Target) -> list[str]:
    return [target.kind, target.data.lower()]
