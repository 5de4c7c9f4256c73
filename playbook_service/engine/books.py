"""TheHive's books: tasks, tags, severity, flag and assignee, kept as playbooks say. Done twice is done once.

Record `task`, key a hash of (case, title): who makes the task, so that of two steps at the same time one does, and a
step that was killed goes on with it. A task that an analyst deleted is not made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from playbook_service.engine.tools import Tools
from playbook_service.hive import limits
from playbook_service.hive.model import Case, TaskDraft
from playbook_service.playbook import Decision
from playbook_service.playbook.model import content_digest
from propolis.clock import utc_text
from propolis.http import HttpError

TASK = "task"
GROUPS = {
    "preparation": "Preparation",
    "analysis": "Detection & analysis",
    "containment": "Containment, eradication & recovery",
    "eradication": "Containment, eradication & recovery",
    "recovery": "Containment, eradication & recovery",
    "post-incident": "Post-incident activity",
}
"""Phase of a playbook's task -> the phase of NIST SP 800-61 it is listed under, as TheHive's task group."""


class Wanted(NamedTuple):
    """What playbooks want of the books. `severity` 0: nothing."""

    severity: int = 0
    flag: bool = False
    assignee: str = ""
    case_tags: tuple[str, ...] = ()
    alert_tags: tuple[str, ...] = ()
    observable_tags: tuple[str, ...] = ()
    tasks: tuple[TaskDraft, ...] = ()


class Objects(NamedTuple):
    """Ids of what is written to; empty where there is none."""

    case: str = ""
    alert: str = ""
    observable: str = ""


class Kept(NamedTuple):
    """What was changed, what TheHive refused, and the case as it is now (None without a case)."""

    done: tuple[str, ...]
    refused: tuple[str, ...]
    case: Case | None


def wanted_of(decisions: Iterable[Decision], now: float) -> Wanted:
    """The bookkeeping among decisions, united: the highest severity, every tag once, every task once by its title."""
    steps = [(decision.verb, dict(decision.settings)) for decision in decisions if not decision.responder]
    tags = {place: _tags(steps, place) for place in ("case", "alert", "observable")}
    tasks: dict[str, TaskDraft] = {}
    for verb, settings in steps:
        if verb == "task":
            draft = _task(settings, now)
            known = tasks.setdefault(draft.title.casefold(), draft)
            tasks[draft.title.casefold()] = known._replace(
                flag=known.flag or draft.flag, assignee=known.assignee or draft.assignee
            )
    return Wanted(
        severity=max((int(settings["raise"]) for verb, settings in steps if verb == "severity"), default=0),
        flag=any(verb == "flag" for verb, _ in steps),
        assignee=next((str(settings["to"]) for verb, settings in steps if verb == "assign"), ""),
        case_tags=tags["case"],
        alert_tags=tags["alert"],
        observable_tags=tags["observable"],
        tasks=tuple(tasks.values()),
    )


def _tags(steps: Sequence[tuple[str, dict[str, Any]]], place: str) -> tuple[str, ...]:
    found = [
        tag for verb, settings in steps if verb == "tag" and settings.get("to") == place for tag in settings["add"]
    ]
    return tuple(dict.fromkeys(limits.tag(tag) for tag in found))


def _task(settings: dict[str, Any], now: float) -> TaskDraft:
    due = settings.get("due")
    lines = [str(settings.get("description") or ""), f"Due by {utc_text(now + due)}." if due else ""]
    return TaskDraft(
        limits.task_title(str(settings["title"])),
        GROUPS[settings.get("phase") or "analysis"],
        limits.description("\n\n".join(line for line in lines if line)),
        flag=bool(settings.get("flag")),
        assignee=str(settings.get("assign") or ""),
    )


class Books:
    """Writes to TheHive what is wanted and not there yet."""

    def __init__(self, tools: Tools):
        self._tools = tools

    def keep(self, wanted: Wanted, objects: Objects, by: str) -> Kept:
        """Make it so. `by` names the step that asks, the same whenever it is run again. Raises HttpError."""
        hive = self._tools.hive
        done: list[str] = []
        refused: list[str] = []
        if wanted.alert_tags and objects.alert:
            hive.update_alert(objects.alert, add_tags=wanted.alert_tags)
        if wanted.observable_tags and objects.observable:
            hive.update_observable(objects.observable, add_tags=wanted.observable_tags)
        case = hive.case(objects.case) if objects.case else None
        if case is None or not case.open:
            return Kept(tuple(done), tuple(refused), case)
        done += self._case(case, wanted)
        refused += self._assign(case, wanted.assignee, done)
        done += self._tasks(case.id, wanted.tasks, by, refused)
        return Kept(tuple(done), tuple(refused), hive.case(case.id) if done else case)

    def _case(self, case: Case, wanted: Wanted) -> list[str]:
        severity = wanted.severity if wanted.severity > case.severity else None
        tags = [tag for tag in wanted.case_tags if tag not in case.tags]
        flag = True if wanted.flag and not case.flag else None
        if severity is None and flag is None and not tags:
            return []
        self._tools.hive.update_case(case.id, add_tags=tags, severity=severity, flag=flag)
        said = [f"severity {severity}" if severity else "", "flag" if flag else "", *(f"tag {tag}" for tag in tags)]
        return [entry for entry in said if entry]

    def _assign(self, case: Case, login: str, done: list[str]) -> list[str]:
        """To an analyst, where nobody but the service has it (TheHive gives a case to whoever opens it)."""
        if not login or case.assignee not in ("", self._tools.account) or case.assignee == login:
            return []
        try:
            self._tools.hive.update_case(case.id, assignee=login)
        except HttpError as error:
            if error.status not in (400, 404):
                raise
            return [f"assigning the case to {login}: {error.message}"]
        done.append(f"assigned to {login}")
        return []

    def _tasks(self, case_id: str, drafts: Sequence[TaskDraft], by: str, refused: list[str]) -> list[str]:
        mine = [draft for draft in drafts if self._reserve(case_id, draft.title, by)]
        if not mine:
            return []
        present = {task.title.casefold() for task in self._tools.hive.tasks(case_id)}
        made = []
        for draft in mine:
            if draft.title.casefold() not in present:
                self._make(case_id, draft, refused)
                made.append(f"task {draft.title}")
        return made

    def _reserve(self, case_id: str, title: str, by: str) -> bool:
        """Is the task this step's to make?"""
        key = content_digest([case_id, title.casefold()])[:32]
        with self._tools.store.transaction() as work:
            record = work.get(TASK, key)
            if record is None:
                work.save(TASK, key, {"by": by, "title": title}, version=0, ref=case_id)
                return True
        return bool(record.body["by"] == by)

    def _make(self, case_id: str, draft: TaskDraft, refused: list[str]) -> None:
        try:
            self._tools.hive.create_task(case_id, draft)
        except HttpError as error:
            if not draft.assignee or error.status not in (400, 404):
                raise
            note = f"To be assigned to {draft.assignee}, whom TheHive does not accept."
            text = "\n\n".join(line for line in (draft.description, note) if line)
            self._tools.hive.create_task(case_id, draft._replace(assignee="", description=text))
            refused.append(f"assigning the task {draft.title!r} to {draft.assignee}: {error.message}")
