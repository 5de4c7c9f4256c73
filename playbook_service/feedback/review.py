"""A sample of what is left alone: 2 % of the decisions to observe become a task, so that harmless outcomes show too.

Without it only what was asked about or contained would ever be labelled, and sources would be judged by that alone.
The sample is drawn by the decision's digest: the same decision is always in it, or never.

Step `review:<decision>` `{"decision"}`. Record `review`, key = the decision's, ref = the case: state `asked`; body
`task`, `data_type`, `data`.
"""

from __future__ import annotations

from collections.abc import Sequence

from playbook_service.engine import ruling
from playbook_service.engine.markdown import code, plain
from playbook_service.engine.step import Done, Handler, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.feedback.matter import Reviewed, target_text
from playbook_service.hive import limits
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import TaskDraft
from playbook_service.store.contract import Filter, Item, Record, Transaction

KIND = "review"
ASKED = "asked"
SHARE = 0.02
GROUP = "Post-incident activity"
_DRAWN_FROM = 16**8


def drawn(digest: str, share: float = SHARE) -> bool:
    """Is the decision of this digest (hex) in the sample?"""
    return int(digest[:8], 16) < share * _DRAWN_FROM


def considered(work: Transaction, record: Record) -> bool:
    """A decision was recorded (kind `decision`): where it leaves a target alone and the sample falls on it, it is
    reviewed. Part of the transaction that records it; harmless when repeated."""
    decision = record.body["decision"]
    if record.state != ruling.OBSERVE or not record.ref or not decision["target"] or not drawn(decision["digest"]):
        return False
    return follow(work, "review", record.key, decision=record.key)


class Reviews:
    """The step `review`."""

    def __init__(self, tools: Tools):
        self._tools = tools

    def handlers(self) -> dict[str, Handler]:
        """The word of the step, for the loop."""
        return {"review": self.step}

    def step(self, item: Item) -> Outcome:
        """Put the task into the case, once."""
        hive = self._tools.hive
        with self._tools.store.transaction() as work:
            record = work.get(ruling.KIND, str(item.body["decision"]))
            done = work.get(KIND, record.key) if record else None
        case = hive.case(record.ref) if record else None
        if record is None or done is not None or case is None or not case.open:
            return Done()
        task = hive.find_task(case.id, _mark(record)) or hive.create_task(case.id, draft_of(record))
        target = record.body["decision"]["target"]
        body = {"task": task.id, "data_type": target["data_type"], "data": target["data"]}

        def commit(work: Transaction) -> None:
            work.save(KIND, record.key, body, version=0, state=ASKED, ref=case.id)
            self._tools.journal.write(work, "review asked", case=case.id, target=target["data"], decision=record.key)

        return Done(commit)


def draft_of(record: Record) -> TaskDraft:
    """The task: what was left alone and why, and how to answer."""
    decision = record.body["decision"]
    target = target_text(decision)
    lines = [
        f"{code(target)} was left alone. This is one of the few such decisions that are looked at by a person, "
        "so that sources are not judged by the malicious ones only.",
        "",
        *(f"- {plain(reason, 500)}" for reason in decision["reasons"]),
        "",
        "Malicious after all? Mark the observable as IOC, then **complete** this task. Harmless? **Complete** it. "
        "You cannot tell? **Cancel** it.",
        "",
        _mark(record),
    ]
    return TaskDraft(limits.task_title(f"Review: {target} was left alone"), GROUP, limits.description("\n".join(lines)))


def _mark(record: Record) -> str:
    return f"Propolis review {record.key}"


def tasks_of(work: Transaction, case_id: str) -> list[Record]:
    """The reviews that were asked for in a case."""
    return work.find(KIND, Filter(ref=case_id))


def answered(hive: Hive, reviews: Sequence[Record], case_id: str, account: str) -> list[Reviewed]:
    """Those whose task an analyst completed, by TheHive's own trail: tasks that TheHive closed with their case, or the
    service closed, are no answer."""
    found = []
    for record in reviews:
        task = hive.task(record.body["task"])
        if task is not None and task.status == "Completed" and _completer(hive, task.id, case_id) not in ("", account):
            found.append(Reviewed(record.body["data_type"], record.body["data"]))
    return found


def _completer(hive: Hive, task_id: str, case_id: str) -> str:
    for audit in hive.audits("task", task_id, case_id):
        if "status" in audit.details:
            return audit.actor if audit.details["status"] == "Completed" else ""
    return ""
