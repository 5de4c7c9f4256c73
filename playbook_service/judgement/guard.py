"""The guardrails' word on a decision: may the target be contained, and must somebody agree first?"""

from __future__ import annotations

from typing import NamedTuple

from playbook_service.judgement.memo import Memo
from playbook_service.playbook import Decision, Target
from propolis.alert import Alert
from propolis.errors import InputError
from propolis.guardrails import AccountFacts, HostFacts, Policy, Refused, check_account, check_host, check_network

ACT, ASK, STOPPED, OBSERVE, IGNORE = "act", "ask", "stopped", "observe", "ignore"
OUTCOMES = (ACT, ASK, STOPPED, OBSERVE, IGNORE)
"""What becomes of a decision, the gravest first. `stopped`: the playbooks wanted it and a guardrail forbids it."""

POLICY_KIND = {"address": "firewall", "account": "accounts", "host": "hosts"}


class Word(NamedTuple):
    """What the guardrails say of one target: `stop` forbids it, `ask` lets only a human do it; empty: no objection."""

    stop: str = ""
    rule: str = ""
    ask: str = ""


class Judged(NamedTuple):
    """A decision and what becomes of it.

    `outcome` is what would happen if every playbook could do what it wants; `today` what happens with the modes that
    the playbooks and the service have now. `why` is the guardrail's sentence where it changed something, `rule` its
    key.
    """

    decision: Decision
    outcome: str
    today: str
    why: str = ""
    rule: str = ""

    @property
    def target(self) -> str:
        """The target as people read it; several candidates are listed."""
        decision = self.decision
        if decision.target is not None:
            return _named(decision.target)
        return " or ".join(_named(candidate) for candidate in decision.candidates[:3]) or "no target"


def _named(target: Target) -> str:
    return f"{target.label} ({target.kind} {target.data})" if target.label else target.data


def rank(judged: Judged) -> int:
    """The place of its outcome in `OUTCOMES`: 0 is the gravest."""
    return OUTCOMES.index(judged.outcome)


class Guard:
    """A policy, with a memory of what it said of each target."""

    def __init__(self, policy: Policy, size: int = 20_000):
        self.policy = policy
        self._words: Memo[tuple[Target, str], Word] = Memo(size)

    def judge(self, decision: Decision, alert: Alert) -> Judged:
        """What becomes of the decision. Those that contain nothing are never held back."""
        if not decision.responder or decision.wanted not in (ACT, ASK):
            return Judged(decision, decision.wanted, decision.kind)
        word = self.word(decision.target, alert) if decision.target else Word()
        if word.stop:
            return Judged(decision, STOPPED, STOPPED if decision.kind in (ACT, ASK) else OBSERVE, word.stop, word.rule)
        outcome = ASK if decision.wanted == ACT and word.ask else decision.wanted
        today = ASK if decision.kind == ACT and word.ask else decision.kind
        return Judged(decision, outcome, today, word.ask if outcome != decision.wanted else "", word.rule)

    def word(self, target: Target, alert: Alert) -> Word:
        """The guardrails' word on one target."""
        key = (target, alert.agent_ip if target.kind == "host" else "")
        return self._words.get(key) or self._words.put(key, self._ask(target, alert))

    def _ask(self, target: Target, alert: Alert) -> Word:
        try:
            shared = self._check(target, alert)
        except Refused as refused:
            return Word(stop=refused.message, rule=refused.rule)
        except InputError as error:
            return Word(stop=error.message, rule="unreadable target")
        kind = POLICY_KIND[target.kind]
        if shared:
            return Word(ask=shared, rule="firewall.third_party_lists")
        if self.policy.needs_approval(kind):
            return Word(ask=f"The policy wants an analyst's grant for {kind}.", rule="approval.required_for")
        return Word()

    def _check(self, target: Target, alert: Alert) -> str:
        """Raises Refused where a rule forbids it; gives the reason why somebody must agree first, or the empty text."""
        if target.kind == "address":
            return check_network(self.policy, target.data).ask
        if target.kind == "account":
            check_account(self.policy, AccountFacts(names=(target.data,)))
            return ""
        names = tuple(name for name in (target.label, target.data) if name)
        addresses = (alert.agent_ip,) if target.data == alert.agent_id and alert.agent_ip else ()
        check_host(self.policy, HostFacts(names=names, ids=(target.data,), addresses=addresses))
        return ""
