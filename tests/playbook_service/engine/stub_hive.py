"""A small TheHive in memory, for the engine's steps one by one; end to end they are tested against the lab.

Responders are scripted by name: a list of reports, or of exceptions to raise. `lose_answer` makes the next start happen
and its answer be lost; `lose_request` makes it never happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Action, Task, TaskDraft, Worker
from propolis.http import HttpError


def lost(*, ambiguous: bool) -> HttpError:
    return HttpError("POST thehive.example.org/api/action: no answer came.", kind="timeout", ambiguous=ambiguous)


class StubHive(Hive):
    """What is not needed by a test is not there: calling it fails."""

    major = 5

    def __init__(self) -> None:
        self.started: list[tuple[str, str, Mapping[str, Any]]] = []
        """(responder, entity id, parameters) of every start that happened."""
        self.reports: dict[str, list[dict[str, Any]]] = {}
        self.made: list[Action] = []
        self.made_tasks: list[Task] = []
        self.lose_answer = False
        self.lose_request = False
        self.slow = False
        """Actions stay InProgress while this is True."""

    def responders(self, entity: str, entity_id: str) -> list[Worker]:
        return [Worker(f"id-{name}", f"{name}_1_0", f"{name}_1_0", (), ("Cortex",)) for name in self.reports]

    def run_responder(self, worker: Worker, entity: str, entity_id: str, parameters: Mapping[str, Any]) -> Action:
        if self.lose_request:
            self.lose_request = False
            raise lost(ambiguous=True)
        name = worker.name.partition("_")[0]
        self.started.append((name, entity_id, parameters))
        number = len(self.started)
        report = self.reports[name].pop(0)
        action = Action(
            f"~a{number}", worker.name, worker.definition, "Success" if report.get("success") else "Failure",
            f"job-{number}", 0, 0, report, "propolis@soc.example",
        )  # fmt: skip
        self.made.insert(0, action)
        if self.lose_answer:
            self.lose_answer = False
            raise lost(ambiguous=True)
        return action

    def actions(self, entity: str, entity_id: str) -> list[Action]:
        return [action._replace(status="InProgress", report=None) if self.slow else action for action in self.made]

    def create_task(self, case_id: str, draft: TaskDraft) -> Task:
        task = Task(
            f"~t{len(self.made_tasks)}", case_id, draft.title, draft.group, draft.description, draft.status,
            draft.flag, draft.assignee, 0, 0, {},
        )  # fmt: skip
        self.made_tasks.append(task)
        return task

    def tasks(self, case_id: str) -> list[Task]:
        return list(self.made_tasks)


def _absent(name: str) -> Any:
    def call(self: StubHive, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"the step called {name}, which this stub does not have")

    return call


for _name in Hive.__abstractmethods__:
    if _name not in StubHive.__dict__:
        setattr(StubHive, _name, _absent(_name))
StubHive.__abstractmethods__ = frozenset()
