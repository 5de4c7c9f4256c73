"""Gather the reports on an observable: from job ids, from TheHive, or from Cortex's job history.

Everything here talks through a `Requester` that it is given. A job's `data` is not searchable in Cortex (it is stored
as a binary field), so its history is paged newest first and compared here; TheHive does index observables by data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from propolis.errors import InputError
from propolis.verdict.canonical import same
from propolis.verdict.sources import OWN_WORKERS, fold, without_version

if TYPE_CHECKING:
    from propolis.http import Requester

PAGE = 100  # jobs a request
MOST_PAGES = 20  # so at most 2,000 jobs are looked through
MOST_JOBS = 100  # reports fetched
MOST_IDS = 500  # jobs that may be named by their ids
MOST_OBSERVABLES = 20  # occurrences of the observable in TheHive


class Gathered(NamedTuple):
    """Jobs in Cortex's form, the definitions that were asked, and a sentence on where they come from."""

    jobs: list[dict[str, Any]]
    asked: tuple[str, ...] | None
    how: str


def from_ids(cortex: Requester, ids: Sequence[str]) -> Gathered:
    """The reports of these jobs. Raises HttpError."""
    wanted = list(dict.fromkeys(ids))
    if len(wanted) > MOST_IDS:
        raise InputError(f"More than {MOST_IDS} job ids at once: hand the reports themselves over.")
    jobs, gone = _reports(cortex, wanted)
    return Gathered(jobs, None, f"{len(jobs)} jobs that were named by id, fetched from Cortex{gone}")


def _reports(cortex: Requester, ids: Iterable[str]) -> tuple[list[dict[str, Any]], str]:
    """The jobs that still exist, and a clause on those that do not."""
    from propolis.http import HttpError, segment

    jobs, gone = [], []
    for job_id in ids:
        try:
            jobs.append(_object(cortex.get(f"/api/job/{segment(job_id)}/report").json(), "a job"))
        except HttpError as error:
            if error.status != 404:
                raise
            gone.append(job_id)
    return jobs, f"; not there any more: {', '.join(gone[:20])}" if gone else ""


def from_history(cortex: Requester, data_type: str, data: str, not_before: float) -> Gathered:
    """The reports on the observable in Cortex's own job history since `not_before` (seconds). Raises HttpError."""
    matches: list[dict[str, Any]] = []
    seen = 0
    for page in range(MOST_PAGES):
        jobs, total = _page(cortex, data_type, not_before, page * PAGE)
        seen += len(jobs)
        matches += [job for job in jobs if _is_about(job, data_type, data)]
        if len(jobs) < PAGE or seen >= total or len(matches) >= MOST_JOBS:
            break
    reports, gone = _reports(cortex, [str(job.get("id") or job.get("_id")) for job in matches[:MOST_JOBS]])
    bound = f" of {total}: older ones were not looked at" if seen < total else ""
    how = f"{len(reports)} matching among the newest {seen} {data_type} jobs of Cortex's history{bound}{gone}"
    return Gathered(reports, _enabled(cortex, data_type), how)


def _page(cortex: Requester, data_type: str, not_before: float, start: int) -> tuple[list[dict[str, Any]], int]:
    span = f"{start}-{start + PAGE}"
    body = {
        "query": {
            "_and": [
                {"dataType": data_type},
                {"type": "analyzer"},
                {"_in": {"_field": "status", "_values": ["Success", "Failure"]}},
                {"_gte": {"startDate": int(not_before * 1000)}},
            ]
        },
        "range": span,
        "sort": ["-startDate"],
    }
    answer = cortex.post("/api/job/_search", params={"range": span, "sort": "-startDate"}, json=body, retry=True)
    jobs = _objects(answer.json(), "jobs")
    total = answer.headers.get("X-Total", "")
    return jobs, int(total) if total.isdigit() else start + len(jobs) + (len(jobs) == PAGE)


def _is_about(job: Mapping[str, Any], data_type: str, data: str) -> bool:
    value = job.get("data")
    name = job.get("analyzerDefinitionId") or job.get("workerDefinitionId") or ""
    own = isinstance(name, str) and fold(without_version(name)) in OWN_WORKERS
    return isinstance(value, str) and not own and same(data_type, value, data)


def _enabled(cortex: Requester, data_type: str) -> tuple[str, ...]:
    """The analyzers enabled for the data type: who could have been asked."""
    from propolis.http import segment

    workers = _objects(cortex.get(f"/api/analyzer/type/{segment(data_type)}").json(), "analyzers")
    names = (worker.get("analyzerDefinitionId") or worker.get("workerDefinitionId") for worker in workers)
    return tuple(sorted({name for name in names if isinstance(name, str) and name}))


def from_thehive(hive: Requester, data_type: str, data: str) -> Gathered:
    """The reports on the observable wherever it stands in TheHive. Raises HttpError.

    The taxonomies stand on the observable by the analyzer's name, the times and failures on its jobs.
    """
    # `_is`, because the query parser of TheHive 4 has no `_eq`
    both = [{"_is": {"_field": "dataType", "_value": data_type}}, {"_is": {"_field": "data", "_value": data}}]
    steps: list[dict[str, Any]] = [
        {"_name": "listObservable"},
        {"_name": "filter", "_and": both},
        {"_name": "sort", "_fields": [{"_createdAt": "desc"}]},
        {"_name": "page", "from": 0, "to": MOST_OBSERVABLES},
    ]
    observables = _query(hive, steps, "observables")[:MOST_OBSERVABLES]
    jobs: list[dict[str, Any]] = []
    for observable in observables:
        jobs += _jobs_of(hive, observable, data_type, data)
    bound = ": older ones, if there are any, were not looked at" if len(observables) == MOST_OBSERVABLES else ""
    how = f"{len(jobs)} jobs on the newest {len(observables)} occurrences of the observable in TheHive{bound}"
    return Gathered(jobs, None, how)


def _jobs_of(hive: Requester, observable: dict[str, Any], data_type: str, data: str) -> list[dict[str, Any]]:
    identity = str(observable.get("_id") or observable.get("id") or "")
    steps: list[dict[str, Any]] = [
        {"_name": "getObservable", "idOrName": identity},
        {"_name": "jobs"},
        {"_name": "sort", "_fields": [{"startDate": "desc"}]},
        {"_name": "page", "from": 0, "to": MOST_JOBS},
    ]
    reports = observable.get("reports")
    reports = reports if isinstance(reports, Mapping) else {}
    answered: set[str] = set()
    found = []
    for job in _query(hive, steps, "jobs"):
        name = str(job.get("analyzerName") or job.get("analyzerDefinition") or "")
        newest = job.get("status") == "Success" and name not in answered
        if newest:  # TheHive keeps the taxonomies of the newest success only
            answered.add(name)
        elif job.get("status") == "Success":
            continue
        found.append(_as_job(job, reports.get(name) if newest else None, data_type, data))
    return found


def _as_job(job: dict[str, Any], summary: Any, data_type: str, data: str) -> dict[str, Any]:
    """A TheHive job with the observable's taxonomies, in the form of a Cortex job."""
    report = job.get("report")
    report = report if isinstance(report, Mapping) else {}
    success = job.get("status") == "Success"
    return {
        "id": job.get("cortexJobId"),
        "analyzerDefinitionId": job.get("analyzerDefinition") or job.get("analyzerName"),
        "status": job.get("status"),
        "startDate": job.get("startDate"),
        "endDate": job.get("endDate"),
        "dataType": data_type,
        "data": data,
        "report": {
            "success": success,
            "errorMessage": report.get("errorMessage"),
            "summary": summary,
            "full": report.get("full"),
        },
    }


def _query(hive: Requester, steps: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    answer = hive.post("/api/v1/query", params={"name": "propolis"}, json={"query": steps}, retry=True)
    return _objects(answer.json(), what)


def _objects(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise InputError(f"The server's answer is not a list of {what}: check that the address is the API's own.")
    return [entry for entry in value if isinstance(entry, dict)]


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"The server's answer is not {what}: check that the address is the API's own.")
    return value
