"""Analyzers and responders, reached through TheHive's Cortex connector so that what they say hangs on the observable.

Starting one is never repeated: whether it was started is for the caller to see in `jobs` or `actions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.hive import query, reading
from playbook_service.hive.base import Base
from playbook_service.hive.model import Action, Job, Worker
from propolis.errors import InputError
from propolis.http import segment

_ROOT = "/api/connector/cortex"  # served by both versions; /api/v1/connector is new in 5
MOST_JOBS = 200


class Connector(Base):
    """The part of the contract that reaches Cortex."""

    def analyzers(self, data_type: str) -> list[Worker]:
        answer = self._link.call("analyzers", "GET", f"{_ROOT}/analyzer/type/{segment(data_type)}")
        return [reading.worker(one) for one in reading.documents(answer)]

    def run_analyzer(self, worker: Worker, observable_id: str, parameters: Mapping[str, Any]) -> Job:
        if not worker.cortex_ids:
            raise InputError(f"No Cortex server offers the analyzer {worker.name}: check TheHive's Cortex settings.")
        body = {
            "analyzerId": worker.id,
            "cortexId": worker.cortex_ids[0],
            "artifactId": observable_id,
            "parameters": dict(parameters),
        }
        return reading.job(reading.document(self._link.call("job.create", "POST", f"{_ROOT}/job", json=body)))

    def job(self, job_id: str) -> Job | None:
        found = self.find("job", f"{_ROOT}/job/{segment(job_id)}")
        return None if found is None else reading.job(found)

    def jobs(self, observable_id: str) -> list[Job]:
        found: list[Job] = []
        head = [query.getting("Observable", observable_id), query.step("jobs"), query.ordered("startDate", "desc")]
        for start in range(0, MOST_JOBS, query.PAGE):
            answers = self.ask([*head, query.page(start, start + query.PAGE)])
            found += [reading.job(one)._replace(report=None) for one in answers]
            if len(answers) < query.PAGE:
                break
        return sorted(found, key=lambda one: one.started_at, reverse=True)

    def responders(self, entity: str, entity_id: str) -> list[Worker]:
        answer = self._link.call("responders", "GET", f"{_ROOT}/responder/{segment(entity)}/{segment(entity_id)}")
        return [reading.worker(one) for one in reading.documents(answer)]

    def run_responder(self, worker: Worker, entity: str, entity_id: str, parameters: Mapping[str, Any]) -> Action:
        body: dict[str, Any] = {
            "responderId": worker.id,
            "objectType": entity,
            "objectId": entity_id,
            "parameters": dict(parameters),
        }
        if worker.cortex_ids:
            body["cortexId"] = worker.cortex_ids[0]
        return reading.action(reading.document(self._link.call("action.create", "POST", f"{_ROOT}/action", json=body)))

    def actions(self, entity: str, entity_id: str) -> list[Action]:
        answer = self._link.call("actions", "GET", f"{_ROOT}/action/{segment(entity)}/{segment(entity_id)}")
        found = [reading.action(one) for one in reading.documents(answer)]
        return sorted(found, key=lambda one: one.started_at, reverse=True)
