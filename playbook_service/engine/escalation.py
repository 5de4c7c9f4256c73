"""Escalation: rules, as data, by which a case gets more attention: once for each case and rule, not on every event.

Three things make a rule look at a case: how the case stands (severity, tags; whoever sees it calls `case_seen`), a
verdict, and a question to an analyst that nobody answers. The last two are found by a timer in what the store holds:
verdicts in the audit log, read on from where the last round ended; questions in their records.

Step `escalate:<case>:<rule>:<occasion>` `{"case", "rule"}`: the case is read again, and where the rule still holds, it
is done. Record `escalation`, key `<case>:<rule>`: that it was. Record `watermark`, key `escalation`: the last line of
the log that was read.
"""

from __future__ import annotations

from collections.abc import Sequence

from playbook_service.audit.journal import LOG
from playbook_service.engine import approval
from playbook_service.engine.books import GROUPS, Books, Kept, Objects, Wanted
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.escalation_rule import RULES, Rule
from playbook_service.engine.markdown import plain
from playbook_service.engine.notice import Announce
from playbook_service.engine.placement import CASE
from playbook_service.engine.standing import changed, standing
from playbook_service.engine.step import Done, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive import limits
from playbook_service.hive.model import Case, TaskDraft
from playbook_service.store.contract import Filter, Item, Record, Transaction
from propolis.notify.message import Message

KIND, WATERMARK = "escalation", "watermark"
_MOST_LINES = 5_000
"""Of the audit log in one round."""


def case_seen(work: Transaction, rules: Sequence[Rule], case: Case) -> int:
    """A case of ours was seen: the rules that its standing calls; returns how many are new."""
    return sum(_put(work, case.id, rule, standing(case)) for rule in rules if case.open and _stands(rule, case))


def _stands(rule: Rule, case: Case) -> bool:
    return bool(rule.severity and case.severity >= rule.severity) or bool(rule.tag and rule.tag in case.tags)


def _put(work: Transaction, case_id: str, rule: Rule, occasion: str) -> bool:
    if work.get(KIND, f"{case_id}:{rule.name}") is not None:
        return False
    return follow(work, "escalate", f"{case_id}:{rule.name}:{occasion}", case=case_id, rule=rule.name)


class Escalation:
    """The step `escalate`, and the round of the timer."""

    def __init__(self, tools: Tools, announce: Announce, rules: Sequence[Rule] = RULES):
        self._tools = tools
        self._announce = announce
        self.rules = tuple(rules)
        self._books = Books(tools)

    # finding --------------------------------------------------------------------------------------------------------

    def round(self) -> None:
        """What the store tells: new verdicts, and questions that nobody answers."""
        with self._tools.store.transaction() as work:
            self._verdicts(work)
            for rule in self.rules:
                if rule.unanswered:
                    for question in self._unanswered(work, rule):
                        _put(work, question.ref, rule, question.key)

    def _verdicts(self, work: Transaction) -> None:
        record = work.get(WATERMARK, KIND)
        lines = work.read(LOG, after=int(record.body["number"]) if record else 0, limit=_MOST_LINES)
        for line in lines:
            if line.body.get("action") == "verdict" and line.body.get("case"):
                for rule in self.rules:
                    if rule.verdict and line.body.get("result") == rule.verdict:
                        _put(work, str(line.body["case"]), rule, str(line.number))
        if lines:
            body = {"number": lines[-1].number}
            work.save(WATERMARK, KIND, body, version=record.version if record else 0)

    def _unanswered(self, work: Transaction, rule: Rule, case_id: str | None = None) -> list[Record]:
        before = self._tools.clock.now() - rule.unanswered
        waiting = approval.waiting(work, case_id)
        return [record for record in waiting if float(record.body.get("asked_at", record.updated_at)) <= before]

    # doing ----------------------------------------------------------------------------------------------------------

    def step(self, item: Item) -> Outcome:
        """Step `escalate`."""
        case_id = str(item.body["case"])
        rule = next((rule for rule in self.rules if rule.name == item.body["rule"]), None)
        case = self._tools.hive.case(case_id) if rule is not None else None
        if rule is None or case is None or not case.open:
            return Done()
        with self._tools.store.transaction() as work:
            done = work.get(KIND, f"{case_id}:{rule.name}") is not None
            due = not done and work.get(CASE, case_id) is not None and self._holds(work, rule, case)
        if not due:
            return Done()
        kept = self._books.keep(self._wanted(rule), Objects(case=case_id), item.key)
        return Done(lambda work: self._note(work, rule, case, kept))

    def _holds(self, work: Transaction, rule: Rule, case: Case) -> bool:
        if _stands(rule, case):
            return True
        if rule.verdict and work.count(VERDICT, Filter(state=rule.verdict, ref=case.id)):
            return True
        return bool(rule.unanswered and self._unanswered(work, rule, case.id))

    def _wanted(self, rule: Rule) -> Wanted:
        text = f"Escalated by Propolis, rule {rule.name}: {plain(rule.why)}."
        task = TaskDraft(limits.task_title(rule.task), GROUPS["analysis"], text, flag=True)
        return Wanted(severity=rule.raise_to, flag=rule.flag, assignee=rule.assign, tasks=(task,) if rule.task else ())

    def _note(self, work: Transaction, rule: Rule, case: Case, kept: Kept) -> None:
        work.save(KIND, f"{case.id}:{rule.name}", {"done": list(kept.done)}, version=0, state="done", ref=case.id)
        self._tools.journal.write(
            work, "escalated", case=case.id, number=case.number, rule=rule.name, why=rule.why, automated=True,
            result=list(kept.done), refused=list(kept.refused) or None,
        )  # fmt: skip
        if kept.case is not None:
            changed(work, kept.case)
        if rule.notify:
            title = f"Case {case.number} was escalated: {rule.why}"
            self._announce(work, Message(title, case.title, "high", case=case.id))
