"""What the service asks of TheHive, whatever its version. Errors are `propolis.http.HttpError`.

Every write that may have happened although its answer was lost is resolved by reading back: creating an alert, a case
from an alert, an observable or a task twice gives the one that is there. Nothing is repeated blindly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from playbook_service.hive.model import (
    Action,
    Alert,
    AlertDraft,
    Audit,
    Case,
    Job,
    Me,
    Observable,
    ObservableDraft,
    Task,
    TaskDraft,
    Worker,
)


class Hive(ABC):
    """One organisation of one TheHive, with one account."""

    major: int
    """4 or 5."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections that are kept open; the next call opens new ones."""

    # who and what ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def me(self) -> Me:
        """The account behind the key."""

    @abstractmethod
    def whose(self, key: str) -> Me:
        """The account behind another's key, which they presented to prove who they are. Raises HttpError (401)."""

    @abstractmethod
    def signed_in(self, login: str, password: str) -> Me:
        """The account of that login, who proved who they are by their password. Raises HttpError (401); TheHive takes
        passwords only where its local (or LDAP) sign-in with HTTP Basic is on, and not from accounts with a second
        factor: those present a key."""

    @abstractmethod
    def profile(self, login: str) -> str:
        """The profile of somebody in the service's organisation; empty for one who is not there, or is locked."""

    @abstractmethod
    def version(self) -> str:
        """TheHive's version, such as `5.5.13`."""

    # alerts ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def create_alert(self, draft: AlertDraft) -> tuple[Alert, bool]:
        """The alert, and whether it is new; one that is there already is returned as it is."""

    @abstractmethod
    def alert(self, alert_id: str) -> Alert | None:
        """One alert, by its id or by `type;source;reference`."""

    @abstractmethod
    def update_alert(self, alert_id: str, *, add_tags: Sequence[str] = (), read: bool | None = None) -> None:
        """Add tags, or mark as read (TheHive 5: a closed stage has other means; its read flag is what is meant)."""

    @abstractmethod
    def alert_observables(self, alert_id: str) -> list[Observable]:
        """The observables of an alert."""

    @abstractmethod
    def promote(self, alert_id: str, *, template: str = "", tasks: Sequence[TaskDraft] = ()) -> Case:
        """The case made from an alert; an alert that is in a case already gives that case."""

    @abstractmethod
    def merge(self, alert_id: str, case_id: str) -> Case:
        """Import an alert into an open case; harmless where it is there already."""

    # cases ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def case(self, case_id: str) -> Case | None:
        """One case, by its id."""

    @abstractmethod
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
        """Change a case; custom fields that are not named keep their values."""

    @abstractmethod
    def add_techniques(self, case_id: str, techniques: Sequence[tuple[str, str]], occurred: int) -> None:
        """Note ATT&CK techniques (id, tactic) that the case does not have yet; unknown ones are passed over.

        TheHive 4 keeps none on an alert, so those of an alert are noted here once it is in a case.
        """

    @abstractmethod
    def comment(self, case_id: str, text: str) -> None:
        """Leave a note on a case. TheHive 4 has no comments: nothing happens there."""

    # observables ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def observables(self, case_id: str) -> list[Observable]:
        """The observables of a case."""

    @abstractmethod
    def observable(self, observable_id: str) -> Observable | None:
        """One observable, with the reports on it."""

    @abstractmethod
    def home(self, observable_id: str) -> tuple[str, str]:
        """What an observable hangs on: `("case", id)`, `("alert", id)`, or two empty texts."""

    @abstractmethod
    def create_observable(self, case_id: str, draft: ObservableDraft) -> Observable:
        """The observable of that type and data in the case, made if it was not there."""

    @abstractmethod
    def update_observable(self, observable_id: str, *, add_tags: Sequence[str] = (), ioc: bool | None = None) -> None:
        """Change an observable."""

    # tasks ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def tasks(self, case_id: str) -> list[Task]:
        """The tasks of a case."""

    @abstractmethod
    def task(self, task_id: str) -> Task | None:
        """One task."""

    @abstractmethod
    def create_task(self, case_id: str, draft: TaskDraft) -> Task:
        """A new task. Not idempotent: the caller looks for an earlier one by its description."""

    def find_task(self, case_id: str, marker: str) -> Task | None:
        """The oldest task of a case whose description holds this text: how `create_task` in doubt is resolved."""
        holders = (task for task in self.tasks(case_id) if marker in task.description)
        return min(holders, key=lambda task: task.created_at, default=None)

    @abstractmethod
    def update_task(
        self, task_id: str, *, status: str | None = None, description: str | None = None, flag: bool | None = None
    ) -> None:
        """Change a task."""

    @abstractmethod
    def log(self, task_id: str, message: str) -> None:
        """Add a log line. TheHive sets a waiting task InProgress by that: never used on approval tasks."""

    @abstractmethod
    def audits(self, entity: str, entity_id: str, root_id: str) -> list[Audit]:
        """TheHive's own trail of one entity, newest first; empty where this version does not tell."""

    # Cortex through TheHive -----------------------------------------------------------------------------------------

    @abstractmethod
    def analyzers(self, data_type: str) -> list[Worker]:
        """The analyzers enabled for a data type."""

    @abstractmethod
    def run_analyzer(self, worker: Worker, observable_id: str, parameters: Mapping[str, Any]) -> Job:
        """Start an analyzer. An ambiguous end raises with `ambiguous` set: the caller looks at `jobs`."""

    @abstractmethod
    def job(self, job_id: str) -> Job | None:
        """One job, with its report once it has ended."""

    @abstractmethod
    def jobs(self, observable_id: str) -> list[Job]:
        """The jobs on an observable, newest first, without their reports."""

    @abstractmethod
    def responders(self, entity: str, entity_id: str) -> list[Worker]:
        """The responders that may be run on an entity (`case_artifact`, `case`, `alert`)."""

    @abstractmethod
    def run_responder(self, worker: Worker, entity: str, entity_id: str, parameters: Mapping[str, Any]) -> Action:
        """Start a responder. An ambiguous end raises with `ambiguous` set: the caller looks at `actions`."""

    @abstractmethod
    def actions(self, entity: str, entity_id: str) -> list[Action]:
        """The actions on an entity, newest first, with their reports."""

    # reconciliation -------------------------------------------------------------------------------------------------

    @abstractmethod
    def changed_alerts(self, since: int) -> Iterator[Alert]:
        """Alerts created or changed at or after a moment, oldest change first.

        TheHive stamps a change before it is committed: begin a little before the newest change that was seen.
        Of a large backlog the oldest part comes; all of this holds for the three methods that follow too.
        """

    @abstractmethod
    def changed_cases(self, since: int) -> Iterator[Case]:
        """Cases created or changed at or after a moment, oldest change first."""

    @abstractmethod
    def changed_tasks(self, since: int) -> Iterator[Task]:
        """Tasks created or changed at or after a moment, oldest change first."""

    @abstractmethod
    def changed_observables(self, since: int) -> Iterator[Observable]:
        """Observables created or changed at or after a moment, oldest change first."""
