"""A TheHive in memory with alerts, cases, observables, tasks, analyzers: for what the lab is too slow or too kind for.

Every call counts: `kill_at` makes the n-th call kill the process, before or after it has acted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stub_hive import StubHive

from playbook_service.hive.model import (
    Alert,
    AlertDraft,
    Case,
    Job,
    Observable,
    ObservableDraft,
    Task,
    TaskDraft,
    Worker,
)
from propolis.clock import Clock
from propolis.http import HttpError


def refused(status: int, text: str = "refused") -> HttpError:
    return HttpError(f"TheHive says {text} ({status}).", kind="status", status=status)


class Killed(BaseException):
    """The process dies here."""


class CaseHive(StubHive):
    """One organisation. `major` 4 keeps analyzers off the observables of alerts."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.alerts: dict[str, Alert] = {}
        self.drafts: dict[str, AlertDraft] = {}
        self.board: dict[str, Case] = {}
        self.things: dict[str, tuple[str, Observable]] = {}
        """Observable id -> (home, observable)."""
        self.work: dict[str, Task] = {}
        self.done_jobs: dict[str, tuple[str, Job, float]] = {}
        """Job id -> (observable id, the job as it ends, when it ends)."""
        self.templates: set[str] = {"Wazuh alert"}
        self.enabled: dict[str, tuple[str, ...]] = {}
        """Definition -> data types."""
        self.answers: dict[str, dict[str, Any]] = {}
        """Definition without version -> `level` of its taxonomy, or `error`, or `full` for a report of its own."""
        self.takes: float = 1.0
        """Seconds that a job runs."""
        self.parameters: list[tuple[str, Mapping[str, Any]]] = []
        self.comments: list[str] = []
        self.down: HttpError | None = None
        self.calls = 0
        self.kill_at: Callable[[int, str], bool] = lambda number, moment: False

    # the outside that breaks ----------------------------------------------------------------------------------------

    def _call(self, act: Callable[[], Any]) -> Any:
        if self.down is not None:
            raise self.down
        self.calls += 1
        number = self.calls
        if self.kill_at(number, "before"):
            raise Killed
        result = act()
        if self.kill_at(number, "after"):
            raise Killed
        return result

    def _id(self) -> str:
        return f"~{len(self.alerts) + len(self.board) + len(self.things) + len(self.work) + len(self.done_jobs) + 1}"

    @property
    def _ms(self) -> int:
        return int(self.clock.now() * 1000)

    # alerts ---------------------------------------------------------------------------------------------------------

    def create_alert(self, draft: AlertDraft) -> tuple[Alert, bool]:
        return self._call(lambda: self._create_alert(draft))

    def _create_alert(self, draft: AlertDraft) -> tuple[Alert, bool]:
        key = (draft.type, draft.source, draft.reference)
        for alert in self.alerts.values():
            if (alert.type, alert.source, alert.reference) == key:
                return alert, False
        made = Alert(self._id(), *key, draft.title, "", draft.tags, False, self._ms, self._ms, {})
        self.alerts[made.id] = made
        self.drafts[made.id] = draft
        for one in draft.observables:
            self._put(made.id, one)
        return made, True

    def _put(self, home: str, draft: ObservableDraft) -> Observable:
        for where, thing in self.things.values():
            if where == home and (thing.data_type, thing.data) == (draft.data_type, draft.data):
                return thing
        made = Observable(
            self._id(), draft.data_type, draft.data, draft.tags, False, False, 2, draft.message, {}, self._ms, 0, {}
        )
        self.things[made.id] = (home, made)
        return made

    def alert(self, alert_id: str) -> Alert | None:
        return self._call(lambda: self.alerts.get(alert_id))

    def update_alert(self, alert_id: str, *, add_tags: Sequence[str] = (), read: bool | None = None) -> None:
        def act() -> None:
            alert = self.alerts[alert_id]
            tags = tuple(dict.fromkeys((*alert.tags, *add_tags)))
            self.alerts[alert_id] = alert._replace(tags=tags, read=alert.read if read is None else read)

        self._call(act)

    def alert_observables(self, alert_id: str) -> list[Observable]:
        return self._call(lambda: self._in(alert_id))

    def _in(self, home: str) -> list[Observable]:
        return [thing for where, thing in self.things.values() if where == home]

    def promote(self, alert_id: str, *, template: str = "", tasks: Sequence[TaskDraft] = ()) -> Case:
        return self._call(lambda: self._promote(alert_id, template))

    def _promote(self, alert_id: str, template: str) -> Case:
        alert, draft = self.alerts[alert_id], self.drafts[alert_id]
        if alert.case_id:
            return self.board[alert.case_id]
        if template and template not in self.templates:
            raise refused(404, "CaseTemplate not found")
        case = Case(
            self._id(), len(self.board) + 1, draft.title, draft.severity, draft.tags, False, True, "",
            "playbook@soc.example", dict(draft.custom_fields), self._ms, self._ms, 0, {"template": template},
        )  # fmt: skip
        self.board[case.id] = case
        self._import(alert_id, case.id)
        return case

    def _import(self, alert_id: str, case_id: str) -> None:
        self.alerts[alert_id] = self.alerts[alert_id]._replace(case_id=case_id)
        for one in self.drafts[alert_id].observables:
            self._put(case_id, one)

    def merge(self, alert_id: str, case_id: str) -> Case:
        def act() -> Case:
            if not self.alerts[alert_id].case_id:
                self._import(alert_id, case_id)
            return self.board[self.alerts[alert_id].case_id]

        return self._call(act)

    # cases ----------------------------------------------------------------------------------------------------------

    def case(self, case_id: str) -> Case | None:
        return self._call(lambda: self.board.get(case_id))

    def update_case(
        self,
        case_id: str,
        *,
        add_tags: Sequence[str] = (),
        severity: int | None = None,
        flag: bool | None = None,
        assignee: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
    ) -> None:
        def act() -> None:
            if assignee == "nobody@soc.example":
                raise refused(400, "User not found")
            case = self.board[case_id]
            self.board[case_id] = case._replace(
                tags=tuple(dict.fromkeys((*case.tags, *add_tags))),
                severity=case.severity if severity is None else severity,
                flag=case.flag if flag is None else flag,
                assignee=case.assignee if assignee is None else assignee,
            )

        self._call(act)

    def close(self, case_id: str, resolution: str = "TruePositive") -> None:
        self.board[case_id] = self.board[case_id]._replace(open=False, resolution=resolution)

    def comment(self, case_id: str, text: str) -> None:
        self._call(lambda: self.comments.append(text))

    # observables ----------------------------------------------------------------------------------------------------

    def observables(self, case_id: str) -> list[Observable]:
        return self._call(lambda: self._in(case_id))

    def observable(self, observable_id: str) -> Observable | None:
        def act() -> Observable | None:
            self._finish()
            found = self.things.get(observable_id)
            return found[1] if found else None

        return self._call(act)

    def create_observable(self, case_id: str, draft: ObservableDraft) -> Observable:
        return self._call(lambda: self._put(case_id, draft))

    def update_observable(self, observable_id: str, *, add_tags: Sequence[str] = (), ioc: bool | None = None) -> None:
        def act() -> None:
            home, thing = self.things[observable_id]
            self.things[observable_id] = (home, thing._replace(tags=tuple(dict.fromkeys((*thing.tags, *add_tags)))))

        self._call(act)

    # tasks ----------------------------------------------------------------------------------------------------------

    def tasks(self, case_id: str) -> list[Task]:
        return self._call(lambda: [task for task in self.work.values() if task.case_id == case_id])

    def task(self, task_id: str) -> Task | None:
        return self._call(lambda: self.work.get(task_id))

    def create_task(self, case_id: str, draft: TaskDraft) -> Task:
        def act() -> Task:
            if draft.assignee == "nobody@soc.example":
                raise refused(400, "User not found")
            task = Task(
                self._id(), case_id, draft.title, draft.group, draft.description, draft.status, draft.flag,
                draft.assignee, self._ms, 0, {},
            )  # fmt: skip
            self.work[task.id] = task
            return task

        return self._call(act)

    def titles(self, case_id: str) -> list[str]:
        return [task.title for task in self.work.values() if task.case_id == case_id]

    # Cortex ---------------------------------------------------------------------------------------------------------

    def analyzers(self, data_type: str) -> list[Worker]:
        def act() -> list[Worker]:
            found = [name for name, types in self.enabled.items() if data_type in types]
            return [Worker(f"id-{name}", name, name, self.enabled[name], ("Cortex",)) for name in found]

        return self._call(act)

    def run_analyzer(self, worker: Worker, observable_id: str, parameters: Mapping[str, Any]) -> Job:
        def act() -> Job:
            self.parameters.append((worker.definition, parameters))
            name = worker.definition.partition("_")[0]
            answer = self.answers.get(name, {})
            report: dict[str, Any] = {"success": "error" not in answer, "full": answer.get("full", {})}
            if "error" in answer:
                report["errorMessage"] = answer["error"]
            number = f"~j{len(self.done_jobs) + 1}"
            job = Job(
                number, worker.name, worker.definition, "Failure" if "error" in answer else "Success", "Cortex",
                f"cortex-{number}", self._ms, self._ms + int(self.takes * 1000), report,
            )  # fmt: skip
            self.done_jobs[number] = (observable_id, job, self.clock.now() + self.takes)
            return self._as_now(number)

        return self._call(act)

    def _as_now(self, number: str) -> Job:
        _, job, ends = self.done_jobs[number]
        return job if self.clock.now() >= ends else job._replace(status="InProgress", ended_at=0, report=None)

    def _finish(self) -> None:
        for observable_id, job, ends in self.done_jobs.values():
            level = self.answers.get(job.definition.partition("_")[0], {}).get("level")
            home, thing = self.things[observable_id]
            if self.clock.now() >= ends and level and job.analyzer_name not in thing.reports:
                name = job.definition.partition("_")[0]
                taxonomy = {"level": level, "namespace": name, "predicate": "Verdict", "value": "1"}
                reports = {**thing.reports, job.analyzer_name: {"taxonomies": [taxonomy]}}
                self.things[observable_id] = (home, thing._replace(reports=reports))

    def job(self, job_id: str) -> Job | None:
        return self._call(lambda: self._as_now(job_id) if job_id in self.done_jobs else None)

    def jobs(self, observable_id: str) -> list[Job]:
        def act() -> list[Job]:
            mine = [number for number, (about, _, _) in self.done_jobs.items() if about == observable_id]
            return [self._as_now(number)._replace(report=None) for number in reversed(mine)]

        return self._call(act)

    def ran(self) -> list[str]:
        """The definitions that were started, in order."""
        return [job.definition for _, job, _ in self.done_jobs.values()]
