"""The REST calls of Cortex, as clients and TheHive use them (`conf/routes` of Cortex 4.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from playbook_service.lab.cortex.api_people import ROUTES as PEOPLE
from playbook_service.lab.cortex.job import Job, Task
from playbook_service.lab.cortex.people import User
from playbook_service.lab.cortex.search import UNINDEXED, answer, count, cut
from playbook_service.lab.cortex.service import VERSION, Cortex, Handler
from playbook_service.lab.cortex.worker import Worker
from playbook_service.lab.exchange import NOTHING, ApiError, Reply, Request, attribute_error, bad_request
from playbook_service.lab.route import Route

_UNITS = {
    "ms": 0.001, "milli": 0.001, "millisecond": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0,
    "minute": 60.0, "h": 3600.0, "hour": 3600.0,
}  # fmt: skip
_DEFAULT_WAIT = 60.0
_FOR_EVER = 86_400.0


def _status(cortex: Cortex, user: User, request: Request) -> Reply:
    config = {"protectDownloadsWith": "malware", "authType": ["local", "key"], "capabilities": ["authByKey"]}
    return Reply(200, {"versions": {"Cortex": VERSION}, "config": config})


def _migrate(cortex: Cortex, user: User, request: Request) -> Reply:
    return NOTHING  # the lab's database is always there


def _health(cortex: Cortex, user: User, request: Request) -> Reply:
    raise ApiError(501, "NotImplemented", "Not implemented")


# --- workers ---------------------------------------------------------------------------------------------------------


def _shown(cortex: Cortex, kind: str, user: User) -> list[dict[str, Any]]:
    return [worker.view(full=user.may("orgadmin")) for worker in cortex.enabled(kind, user.organization)]


def _list_workers(kind: str) -> Handler:
    def handle(cortex: Cortex, user: User, request: Request) -> Reply:
        workers = _shown(cortex, kind, user)
        return Reply(200, cut(workers, request.option("range") or "all"), {"X-Total": str(len(workers))})

    return handle


def _search_workers(kind: str) -> Handler:
    return lambda cortex, user, request: answer(request, _shown(cortex, kind, user))


def _get_worker(kind: str) -> Handler:
    def handle(cortex: Cortex, user: User, request: Request) -> Reply:
        worker = cortex.worker(kind, request.slot("id"), user.organization)
        return Reply(200, worker.view(full=user.may("orgadmin")))

    return handle


def _change_worker(kind: str) -> Handler:
    def handle(cortex: Cortex, user: User, request: Request) -> Reply:
        worker = cortex.worker(kind, request.slot("id"), user.organization)
        return Reply(200, cortex.change(worker, request.document()).view(full=True))

    return handle


def _disable_worker(kind: str) -> Handler:
    def handle(cortex: Cortex, user: User, request: Request) -> Reply:
        del cortex.workers[cortex.worker(kind, request.slot("id"), user.organization).id]
        return NOTHING

    return handle


def _workers_by_type(kind: str) -> Handler:
    def handle(cortex: Cortex, user: User, request: Request) -> Reply:
        wanted = request.slot("type")
        shown = [one for one in _shown(cortex, kind, user) if wanted in one["dataTypeList"]]
        return Reply(200, shown, {"X-Total": str(len(shown))})

    return handle


def _definitions(kind: str) -> Handler:
    return lambda cortex, user, request: Reply(200, [one.view() for one in cortex.definitions(kind)])


def _scan(kind: str) -> Handler:
    def handle(cortex: Cortex, user: User, request: Request) -> Reply:
        cortex.rescan()
        return NOTHING

    return handle


def _enable_worker(kind: str) -> Handler:
    def handle(cortex: Cortex, user: User, request: Request) -> Reply:
        worker = cortex.enable(kind, request.slot("definition"), user.organization, user.login, request.document())
        return Reply(201, worker.view(full=True))

    return handle


def _run_worker(kind: str) -> Handler:
    def handle(cortex: Cortex, user: User, request: Request) -> Reply:
        worker = cortex.worker(kind, request.slot("id"), user.organization)
        asked = request.document()
        force = bool(asked.get("force")) or request.option("force") in ("1", "true", "True")
        return Reply(200, cortex.jobs.submit(worker, _task(worker, asked, request), user.login, force=force))

    return handle


def _task(worker: Worker, asked: dict[str, Any], request: Request) -> Task:
    files = request.files("attachment", "data")
    data_type = asked.get("dataType")
    if not isinstance(data_type, str):
        raise attribute_error("[MissingAttributeError(dataType)]", tableName="job")
    return Task(
        data_type=data_type, data=None if files else _data(worker, asked), tlp=_gate(asked, "tlp"),
        pap=_gate(asked, "pap"), message=str(asked.get("message") or ""),
        parameters=_parameters(asked), file=files[0] if files else None,
    )  # fmt: skip


def _gate(asked: dict[str, Any], name: str) -> int:
    value = asked.get(name, 2)
    if not isinstance(value, int):
        raise attribute_error(f"[InvalidFormatAttributeError({name})]", tableName="job")
    return value


def _parameters(asked: dict[str, Any]) -> dict[str, Any]:
    given = asked.get("parameters")
    return dict(given) if isinstance(given, dict) else {}


def _data(worker: Worker, asked: dict[str, Any]) -> str:
    data = asked.get("data")
    if worker.definition.type == "responder" and isinstance(data, dict):
        return json.dumps(data, ensure_ascii=False)
    if not isinstance(data, str) or not data:
        raise attribute_error("[MissingAttributeError(data/attachment)]", tableName="job")
    return data


def _worker_routes(kind: str) -> list[Route[Handler]]:
    base = f"/api/{kind}"
    return [
        Route("GET", base, _list_workers(kind), "read"),
        Route("POST", f"{base}/_search", _search_workers(kind), "read"),
        Route("GET", f"{base}/type/{{type}}", _workers_by_type(kind), "read"),
        Route("GET", f"{base}/{{id}}", _get_worker(kind), "read"),
        Route("PATCH", f"{base}/{{id}}", _change_worker(kind), "orgadmin"),
        Route("DELETE", f"{base}/{{id}}", _disable_worker(kind), "orgadmin"),
        Route("POST", f"{base}/{{id}}/run", _run_worker(kind), "analyze"),
        Route("GET", f"/api/{kind}definition", _definitions(kind), "orgadmin"),
        Route("POST", f"/api/{kind}definition/scan", _scan(kind), "orgadmin"),
        Route("POST", f"/api/organization/{kind}/{{definition}}", _enable_worker(kind), "orgadmin"),
    ]


# --- jobs ------------------------------------------------------------------------------------------------------------


def _own_jobs(cortex: Cortex, user: User) -> list[dict[str, Any]]:
    return [job.view() for job in cortex.jobs.all() if job.worker.organization == user.organization]


def _search_jobs(cortex: Cortex, user: User, request: Request) -> Reply:
    return answer(request, _own_jobs(cortex, user), hidden=UNINDEXED)


def _count_jobs(cortex: Cortex, user: User, request: Request) -> Reply:
    return count(request, _own_jobs(cortex, user), hidden=UNINDEXED)


def _job(render: Callable[[Job], Any]) -> Handler:
    return lambda cortex, user, request: Reply(200, render(cortex.jobs.get(request.slot("id"), user.organization)))


def _artifacts(job: Job) -> list[Any]:
    found = (job.report or {}).get("artifacts") or []
    return [{"id": f"{job.id}-{number}", **artifact} for number, artifact in enumerate(found)]


def _wait_report(cortex: Cortex, user: User, request: Request) -> Reply:
    seconds = _duration(request.option("atMost"))
    job = cortex.jobs.wait(request.slot("id"), user.organization, seconds, cortex.stopping)
    return Reply(200, job.report_view())


def _duration(text: str | None) -> float:
    if text is None:
        return _DEFAULT_WAIT
    if text in ("Inf", "Duration.Inf"):
        return _FOR_EVER
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text)
    unit = None if found is None else _UNITS.get(found[2], _UNITS.get(found[2].removesuffix("s")))
    if found is None or unit is None:
        raise bad_request(f"format error {text}")
    return float(found[1]) * unit


def _job_statuses(cortex: Cortex, user: User, request: Request) -> Reply:
    ids = request.document().get("jobIds")
    if not isinstance(ids, list):
        raise attribute_error("[MissingAttributeError(jobIds)]", tableName="job")
    return Reply(200, {str(one): cortex.jobs.status(str(one), user.organization) for one in ids})


def _delete_job(cortex: Cortex, user: User, request: Request) -> Reply:
    cortex.jobs.delete(request.slot("id"), user.organization)
    return NOTHING


_JOBS: list[Route[Handler]] = [
    Route("GET", "/api/job", _search_jobs, "read"),
    Route("POST", "/api/job/_search", _search_jobs, "read"),
    Route("POST", "/api/job/_stats", _count_jobs, "read"),
    Route("POST", "/api/job/status", _job_statuses, "read"),
    Route("GET", "/api/job/{id}", _job(Job.view), "read"),
    Route("DELETE", "/api/job/{id}", _delete_job, "analyze"),
    Route("GET", "/api/job/{id}/report", _job(Job.report_view), "read"),
    Route("GET", "/api/job/{id}/waitreport", _wait_report, "read", free=True),
    Route("GET", "/api/job/{id}/artifacts", _job(_artifacts), "read"),
]

ROUTES: list[Route[Handler]] = [
    Route("GET", "/api/status", _status, public=True),
    Route("GET", "/api/health", _health, public=True),
    Route("POST", "/api/maintenance/migrate", _migrate, public=True),
    *_worker_routes("analyzer"),
    *_worker_routes("responder"),
    *_JOBS,
    *PEOPLE,
]
