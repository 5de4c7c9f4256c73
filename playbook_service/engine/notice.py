"""A note in a case, and a message to people outside, about something that has no other place. Each is written once.

Step `notice:<key>` `{"case", "title", "lines", "urgent"}`: a task, completed, or flagged and waiting where somebody has
to do something; recognised by its last line. Lines are Markdown: whoever puts them has made strange text harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from playbook_service.engine import approval
from playbook_service.engine.markdown import bare
from playbook_service.engine.step import Done, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive import limits
from playbook_service.hive.model import TaskDraft
from playbook_service.store.contract import Item, Transaction
from propolis.notify.message import Message

Announce = Callable[[Transaction, Message], None]


def notice(
    work: Transaction, key: str, case_id: str, title: str, lines: Sequence[str], *, urgent: bool = False
) -> bool:
    """Have it told, as part of the transaction that it tells of; False where the same was put before."""
    return follow(work, "notice", key, case=case_id, title=title, lines=list(lines), urgent=urgent)


class Notices:
    """The step `notice`."""

    def __init__(self, tools: Tools, announce: Announce):
        self._tools = tools
        self._announce = announce

    def step(self, item: Item) -> Outcome:
        """Write the task where the case is still there, and announce it."""
        case_id, title = str(item.body["case"]), str(item.body["title"])
        lines, urgent = [str(line) for line in item.body["lines"]], bool(item.body["urgent"])
        case = self._tools.hive.case(case_id) if case_id else None
        if case is not None and case.open:
            self._write(case_id, title, lines, urgent, f"Propolis note {item.key}")
        message = Message(title, bare(lines), "high" if urgent else "info", case=case_id)
        return Done(lambda work: self._announce(work, message))

    def _write(self, case_id: str, title: str, lines: Sequence[str], urgent: bool, mark: str) -> None:
        if self._tools.hive.find_task(case_id, mark) is not None:
            return
        text = limits.description("\n".join(lines)) + f"\n\n{mark}"
        status = "Waiting" if urgent else "Completed"
        self._tools.hive.create_task(
            case_id, TaskDraft(limits.task_title(title), approval.GROUP, text, status, flag=urgent)
        )
