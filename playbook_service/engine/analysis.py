"""Start one analyzer on one observable, and keep within what its source allows.

Record `job`, key `<run>:<definition without version>`: state `wanted`, `asking`, `running`, `ended` (there is a job) or
`missing` (there is none, `why`); ref = the definition without version. Body: `step` (to wake), `observable`, `started`
(wall time; 0 for a job that was there already), `known` (ids of jobs that were there before), `job`, `cortex_job`,
`why`. Record `hivejob`, key = the id of a job: body `step`, so that a hook that names the job wakes what waits for it.

An analyzer that is started twice by a crash does no harm; still it is looked for first, as sources count requests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from playbook_service.engine.crashpoint import reached
from playbook_service.engine.step import STEPS
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import FINISHED_JOB, Job, Worker
from playbook_service.store.contract import Filter, Record, Transaction
from propolis.http import HttpError
from propolis.verdict.sources import fold, without_version

_LOG = logging.getLogger("propolis.engine")
KIND, BY_JOB = "job", "hivejob"
WANTED, ASKING, RUNNING, ENDED, MISSING = "wanted", "asking", "running", "ended", "missing"
_APPEARS_WITHIN = 60.0  # seconds after which a job that was asked for and does not show was never made
_SKEW = 120_000  # milliseconds by which TheHive's clock may be behind ours
_PASSING = (401, 403, 408, 429)  # what is not the fault of this one start and may be over later
_MINUTE = 60.0
_EVER = 1e15  # a wall time that is never reached


class Pace(NamedTuple):
    """How often one analyzer may run: at a time, and started within a minute."""

    at_once: int = 8
    per_minute: int = 60


class Paces(NamedTuple):
    """The pace of each analyzer, by definition name without version; `usual` for those that are not named."""

    usual: Pace = Pace()
    named: Mapping[str, Pace] = {}

    def of(self, name: str) -> Pace:
        """The pace of one analyzer."""
        return {fold(key): pace for key, pace in self.named.items()}.get(fold(name), self.usual)


class Order(NamedTuple):
    """What is to run on what. `fresh` is the age (seconds) up to which an earlier job is as good as a new one."""

    key: str
    name: str
    observable_id: str
    step: str
    parameters: Mapping[str, Any]
    fresh: float = 0.0


def newest(workers: Iterable[Worker], name: str) -> Worker | None:
    """The enabled analyzer of that definition name; of several versions the newest."""
    wanted = fold(without_version(name))
    found = [worker for worker in workers if fold(without_version(worker.definition or worker.name)) == wanted]
    return max(found, key=lambda worker: _version(worker.definition), default=None)


def _version(definition: str) -> tuple[int, ...]:
    digits: list[int] = []
    for part in reversed(definition.split("_")):
        if not part.isdigit():
            break
        digits.insert(0, int(part))
    return tuple(digits)


class Analyses:
    """Starts analyzers, each order once."""

    def __init__(self, tools: Tools, paces: Paces = Paces()):  # noqa: B008 - it is immutable
        self._tools = tools
        self._paces = paces

    def record(self, key: str) -> Record | None:
        """The record of an order."""
        with self._tools.store.transaction() as work:
            return work.get(KIND, key)

    def is_under_way(self, order: Order) -> bool:
        """Was it started, or given up? Then nobody has to be found for it any more."""
        record = self.record(order.key)
        return record is not None and record.state != WANTED

    def advance(self, order: Order, worker: Worker | None, jobs: Iterable[Job]) -> Record:
        """Take an order one step further; `jobs` are those on the observable as they are now, newest first.

        Raises HttpError where TheHive cannot be reached at all."""
        record = self.record(order.key) or self._save(None, order, WANTED, {})
        theirs = [job for job in jobs if _is(job, order.name)]
        if record.state == RUNNING:
            return self._followed(record, order, theirs)
        if record.state == ASKING:
            return self._looked_for(record, order, theirs)
        if record.state == WANTED:
            return self._started(record, order, worker, theirs)
        return record

    def give_up(self, order: Order, why: str) -> Record:
        """There will be no job any more that counts; one that runs is left to itself."""
        record = self.record(order.key) or self._save(None, order, WANTED, {})
        if record.state in (ENDED, MISSING):
            return record
        return self._save(record, order, ENDED if record.body["job"] else MISSING, {"why": why})

    def _started(self, record: Record, order: Order, worker: Worker | None, theirs: list[Job]) -> Record:
        if worker is None:
            return self._save(record, order, MISSING, {"why": "it is not enabled in Cortex for this data type"})
        usable = next((job for job in theirs if self._is_usable(job, order)), None)
        if usable is not None:
            return self._adopted(record, order, usable)
        known = [job.id for job in theirs]
        record = self._seated(record, order, known)
        if record.state != ASKING:
            return record
        reached("analyzer.asking")
        try:
            job = self._tools.hive.run_analyzer(worker, order.observable_id, order.parameters)
        except HttpError as error:
            return self._not_started(record, order, error)
        reached("analyzer.asked")
        return self._adopted(record, order, job)

    def _not_started(self, record: Record, order: Order, error: HttpError) -> Record:
        if error.ambiguous:
            return record  # it is looked for
        final = error.status is not None and 400 <= error.status < 500 and error.status not in _PASSING
        record = self._save(record, order, MISSING if final else WANTED, {"why": error.message})
        if error.status is None:
            raise error
        return record

    def _is_usable(self, job: Job, order: Order) -> bool:
        """Young enough, and not a failure: that may be over by now."""
        age = self._tools.now_ms - (job.ended_at or job.started_at)
        return order.fresh > 0 and age <= order.fresh * 1000 and job.status not in ("Failure", "Deleted")

    def _seated(self, record: Record, order: Order, known: list[str]) -> Record:
        """A seat for a start, counted and taken in one transaction; the record as it was where there is none."""
        pace, now = self._paces.of(order.name), self._tools.clock.now()
        with self._tools.store.transaction() as work:
            busy = sum(work.count(KIND, Filter(state=state, ref=_ref(order))) for state in (ASKING, RUNNING))
            every = Filter(ref=_ref(order))
            lately = _begun(work, every) - work.count(KIND, every._replace(due_before=now - _MINUTE))
            if busy >= pace.at_once or lately >= pace.per_minute:
                return record
            body = {**record.body, "known": known, "started": now}
            return work.save(KIND, order.key, body, version=record.version, state=ASKING, ref=_ref(order), due=now)

    def _looked_for(self, record: Record, order: Order, theirs: list[Job]) -> Record:
        """Asked, and no answer noted: find what became of it."""
        since = record.body["started"] * 1000 - _SKEW
        fresh = [job for job in theirs if job.id not in record.body["known"] and job.started_at >= since]
        if fresh:
            return self._adopted(record, order, fresh[-1])
        if self._tools.clock.now() - record.body["started"] < _APPEARS_WITHIN:
            return record
        return self._save(record, order, WANTED, {"why": "it was asked for and never started"})

    def _adopted(self, record: Record, order: Order, job: Job) -> Record:
        state = ENDED if job.status in FINISHED_JOB else RUNNING
        _tell("analyzer started" if state == RUNNING else "analyzer has answered", order, job)
        return self._save(record, order, state, {"job": job.id, "cortex_job": job.cortex_job_id, "why": ""})

    def _followed(self, record: Record, order: Order, theirs: list[Job]) -> Record:
        job = next((job for job in theirs if job.id == record.body["job"]), None)
        if job is None:  # not in the list: older than what is listed, or deleted
            job = self._tools.hive.job(record.body["job"])
        if job is None:
            return self._save(record, order, MISSING, {"why": "its job was deleted"})
        if job.status not in FINISHED_JOB:
            return record
        _tell("analyzer has answered", order, job)
        return self._save(record, order, ENDED, {})

    def _save(self, record: Record | None, order: Order, state: str, changes: Mapping[str, Any]) -> Record:
        with self._tools.store.transaction() as work:
            body = {**(record.body if record else _blank(order)), **changes}
            if body["job"] and work.get(BY_JOB, body["job"]) is None:
                work.save(BY_JOB, body["job"], {"step": order.step}, state="open")
            due = body["started"] or None
            version = record.version if record else 0
            return work.save(KIND, order.key, body, version=version, state=state, ref=_ref(order), due=due)


def _tell(what: str, order: Order, job: Job) -> None:
    facts = {
        "analyzer": order.name, "observable": order.observable_id, "job": job.id,
        "cortex_job": job.cortex_job_id or None, "status": job.status,
    }  # fmt: skip
    _LOG.info(what, extra={"facts": facts})


def _begun(work: Transaction, every: Filter) -> int:
    """How many were ever begun: those that have a due time."""
    return work.count(KIND, every._replace(due_before=_EVER))


def _blank(order: Order) -> dict[str, Any]:
    return {
        "step": order.step, "observable": order.observable_id, "started": 0.0, "known": [], "job": "",
        "cortex_job": "", "why": "",
    }  # fmt: skip


def _ref(order: Order) -> str:
    return fold(without_version(order.name))


def _is(job: Job, name: str) -> bool:
    return fold(without_version(job.definition or job.analyzer_name)) == fold(without_version(name))


def job_moved(work: Transaction, job_id: str) -> bool:
    """A hook says that a job has moved: the step that waits for it looks now. False where nobody waits."""
    record = work.get(BY_JOB, job_id)
    return record is not None and work.revive(STEPS, str(record.body["step"]))
