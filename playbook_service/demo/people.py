"""The people of the story: what they do, they do in TheHive, with keys of their own."""

from __future__ import annotations

from types import TracebackType

from playbook_service.hive.common import Common
from playbook_service.hive.discovery import connect
from playbook_service.hive.model import Action, ObservableDraft, Task
from playbook_service.lab import Lab
from playbook_service.lab.lab import PEOPLE
from propolis.errors import InputError
from propolis.http import segment, session

_CLOSINGS = {
    5: {"status": "{word}", "summary": "{why}"},
    4: {"status": "Resolved", "resolutionStatus": "{word}", "impactStatus": "NoImpact", "summary": "{why}"},
}


class Person:
    """Somebody with an account in the lab's TheHive. A context manager."""

    def __init__(self, lab: Lab, name: str):
        self.login = PEOPLE[name][0]
        self._key: str = getattr(lab.keys, name)
        self._url = lab.thehive_url
        self._version = lab.version
        self.hive: Common = connect(lab.thehive_url, self._key)

    def __enter__(self) -> Person:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hive.close()

    def read(self, task_id: str) -> Task:
        """A task as this person sees it. Raises InputError where it is gone."""
        task = self.hive.task(task_id)
        if task is None:
            raise InputError(f"The task {task_id} is gone.")
        return task

    def complete(self, task_id: str) -> None:
        """Complete a task: the yes to a question."""
        self.hive.update_task(task_id, status="Completed")

    def close(self, case_id: str, word: str, why: str) -> None:
        """Close a case as `FalsePositive` or `TruePositive`, in the words of this TheHive."""
        body = {name: text.format(word=word, why=why) for name, text in _CLOSINGS[self._version].items()}
        headers = {"Authorization": f"Bearer {self._key}"}
        with session(self._url, headers=headers, secrets=(self._key,)) as client:
            client.patch(f"/api/{'v1/' if self._version == 5 else ''}case/{segment(case_id)}", json=body)

    def add(self, case_id: str, data_type: str, data: str, message: str) -> str:
        """Add an observable to a case; returns its id."""
        return self.hive.create_observable(case_id, ObservableDraft(data_type, data, message)).id

    def start(self, responder: str, observable_id: str) -> None:
        """Start a responder on an observable, as from TheHive's menu. Raises InputError where it is not offered."""
        offered = self.hive.responders("case_artifact", observable_id)
        worker = next((one for one in offered if one.name.startswith(responder)), None)
        if worker is None:
            raise InputError(f"TheHive does not offer {responder} there.")
        self.hive.run_responder(worker, "case_artifact", observable_id, {})

    def newest_action(self, observable_id: str) -> Action | None:
        """What was started last on an observable."""
        return next(iter(self.hive.actions("case_artifact", observable_id)), None)
