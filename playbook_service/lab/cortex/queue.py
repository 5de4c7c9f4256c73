"""The jobs of an embedded Cortex: accepted, cached, limited, run one after another, waited for."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from playbook_service.lab.agenda import Agenda
from playbook_service.lab.cortex.job import FINISHED, Job, Task
from playbook_service.lab.cortex.runner import ProcessRunner, checked, failure
from playbook_service.lab.cortex.worker import DEFAULT_CACHE, RATE_UNITS, Worker
from playbook_service.lab.exchange import ApiError, not_found
from playbook_service.lab.faults import Faults
from playbook_service.lab.scripted import Script
from propolis.clock import Clock

_AGAIN = 0.02  # seconds between looks at whether a hanging job was released


class JobQueue:
    """All jobs, in memory. `parallel` of them run at a time."""

    def __init__(self, clock: Clock, runner: ProcessRunner, script: Script, faults: Faults, parallel: int):
        self.agenda = Agenda("cortex", clock, parallel)
        self.listeners: list[Callable[[str], None]] = []
        self._clock = clock
        self._runner = runner
        self._script = script
        self._faults = faults
        self._jobs: dict[str, Job] = {}
        self._by_tag: dict[str, list[str]] = {}
        self._by_worker: dict[str, list[int]] = {}
        self._count = itertools.count(1)
        self._held: set[str] = set()
        self._changed = threading.Condition(threading.RLock())

    def start(self) -> None:
        """Begin to run jobs; those that were waiting are run, those in progress at the last stop never end."""
        self._runner.open()
        self.agenda.start()
        for job in self.all():
            if job.status == "Waiting":
                self._plan(job.id)

    def stop(self) -> None:
        """Kill what runs and keep every job as it stands."""
        self._runner.close()
        self.agenda.stop()
        self._held.clear()

    def all(self) -> list[Job]:
        """Every job, oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def get(self, job_id: str, organization: str) -> Job:
        """A job of that organisation. Raises ApiError 404."""
        with self._changed:
            job = self._jobs.get(job_id)
        if job is None or job.worker.organization != organization:
            raise not_found(f"job {job_id} not found")
        return job

    def status(self, job_id: str, organization: str) -> str:
        """The status by itself, `NotFound` where there is no such job."""
        with self._changed:
            job = self._jobs.get(job_id)
        return job.status if job is not None and job.worker.organization == organization else "NotFound"

    def submit(self, worker: Worker, task: Task, login: str, *, force: bool) -> dict[str, Any]:
        """Accept a job, or answer with a similar one (`fromCache`). Raises ApiError 429 beyond the worker's rate."""
        now = self._now()
        tag = task.cache_tag(worker)
        with self._changed:
            similar = None if force else self._similar(worker, tag, now)
            if similar is not None:
                return {**similar.view(), "fromCache": True}
            self._check_rate(worker, now)
            job = Job(self._new_id(), worker, task, login, now, tag)
            self._jobs[job.id] = job
            self._by_tag.setdefault(tag, []).append(job.id)
            self._by_worker.setdefault(worker.id, []).append(now)
        self._plan(job.id)
        return job.view()

    def delete(self, job_id: str, organization: str) -> None:
        """Mark a job as deleted."""
        job = self.get(job_id, organization)
        self._put(replace(job, status="Deleted", updated_at=self._now()))

    def wait(self, job_id: str, organization: str, seconds: float, stopping: threading.Event) -> Job:
        """The job once it is finished, or as it stands after that many seconds."""
        deadline = self._clock.monotonic() + seconds
        with self._changed:
            while True:
                job = self.get(job_id, organization)
                left = deadline - self._clock.monotonic()
                if job.status in FINISHED or left <= 0 or stopping.is_set():
                    return job
                self._changed.wait(min(left, 0.05))

    def awakening(self) -> bool:
        """Whether a job that was made to hang is free to run and has not begun yet."""
        return any(self._fault(self._jobs[job_id]) != "hang" for job_id in set(self._held))

    def _similar(self, worker: Worker, tag: str, now: int) -> Job | None:
        minutes = DEFAULT_CACHE if worker.cache is None else worker.cache
        if minutes == 0 or worker.definition.type == "responder":
            return None
        for job_id in reversed(self._by_tag.get(tag, [])):
            job = self._jobs[job_id]
            fresh = job.started_at is not None and job.started_at >= now - minutes * 60_000
            if fresh and job.status not in ("Failure", "Deleted"):
                return job
        return None

    def _check_rate(self, worker: Worker, now: int) -> None:
        if worker.rate is None or worker.rate_unit is None:
            return
        since = now - RATE_UNITS[worker.rate_unit] * 1000
        count = sum(1 for moment in self._by_worker.get(worker.id, ()) if moment >= since)
        if count >= worker.rate:
            message = f"Rate limit of {worker.rate} per {worker.rate_unit} reached for the worker {worker.name}"
            raise ApiError(429, "RateLimitExceeded", message)

    def _new_id(self) -> str:
        return f"AZ{next(self._count):06x}{secrets.token_hex(6)}"

    def _now(self) -> int:
        return int(self._clock.now() * 1000)

    def _put(self, job: Job) -> None:
        with self._changed:
            self._jobs[job.id] = job
            self._changed.notify_all()

    def _plan(self, job_id: str) -> None:
        self.agenda.add(lambda: self._begin(job_id))

    def _fault(self, job: Job) -> str | None:
        return self._faults.jobs.of(*_names(job))

    def _begin(self, job_id: str) -> None:
        job = self._jobs[job_id]
        if job.status == "Waiting":
            job = job.started(self._now())
            self._put(job)
        fault = self._fault(job)
        self._held.discard(job_id)
        if fault == "lose":
            return
        if fault == "hang":
            self._held.add(job_id)
            self.agenda.add(lambda: self._begin(job_id), _AGAIN, counts=False)
        elif fault is not None:
            self._finish(job_id, self._spoiled(job, fault))
        elif self._script.knows(job.worker.definition.id):
            self.agenda.add(lambda: self._finish(job_id, self._script.report(job)), self._script.delay)
        else:
            report = self._runner.run(job)
            if report is not None:
                self._finish(job_id, report)

    def _spoiled(self, job: Job, fault: str) -> dict[str, Any]:
        if fault == "fail":
            return failure(self._faults.jobs.message(*_names(job)))
        return failure("Invalid output: Unrecognized token 'nonsense'")

    def _finish(self, job_id: str, report: dict[str, Any]) -> None:
        with self._changed:
            job = self._jobs[job_id]
            if job.status == "Deleted":
                return
            self._put(job.ended(self._now(), checked(report)))
        for listener in self.listeners:
            listener(job_id)


def _names(job: Job) -> Iterable[str]:
    return (job.worker.definition.id, job.worker.definition.name, job.worker.name)
