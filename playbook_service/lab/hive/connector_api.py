"""The REST calls of the Cortex connector (section 4.1 of the contract)."""

from __future__ import annotations

from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request, forbidden, not_found
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.connector import Connector, Worker
from playbook_service.lab.hive.cortexclient import CortexServer
from playbook_service.lab.hive.form import Field, read, rows
from playbook_service.lab.hive.kind import ENTITY_TYPES
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.hive.work import draw_work
from playbook_service.lab.route import Route

_NAME = Field("text", required=True)
_JOB = {"analyzerId": _NAME, "cortexId": Field("text"), "artifactId": _NAME, "parameters": Field("object")}
_ACTION = {
    "responderId": _NAME, "cortexId": Field("text"), "objectType": _NAME, "objectId": _NAME,
    "parameters": Field("object"), "tlp": Field("number"),
}  # fmt: skip


def _connector(hive: Hive) -> Connector:
    connector = hive.extensions.get("connector")
    if not isinstance(connector, Connector):
        raise not_found("The Cortex connector is not enabled")
    return connector


def _shown(worker: Worker) -> Worker:
    return {name: value for name, value in worker.items() if name not in ("maxTlp", "maxPap")}


def _list_analyzers(hive: Hive, who: Account, request: Request) -> Reply:
    wanted = request.slots.get("type")
    workers = _connector(hive).workers("analyzer")
    return Reply(200, [_shown(one) for one in workers if wanted is None or wanted in (one["dataTypeList"] or ())])


def _get_analyzer(hive: Hive, who: Account, request: Request) -> Reply:
    wanted = request.slot("id")
    for one in _connector(hive).workers("analyzer"):
        if wanted in (one["id"], one["name"]):
            return Reply(200, _shown(one))
    raise not_found(f"Cortex analyzer {wanted} not found")


def _start_job(hive: Hive, who: Account, document: dict[str, Any]) -> dict[str, Any]:
    asked = read(_JOB, document, hive.now())
    job = _connector(hive).run_analyzer(
        who, asked["analyzerId"], asked.get("cortexId"), asked["artifactId"], asked.get("parameters")
    )
    return draw_work(hive, job)


def _create_job(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(201, _start_job(hive, who, request.document()))


def _create_jobs(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(201, [_start_job(hive, who, one) for one in rows(request.document(), "jobs")])


def _get_job(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, draw_work(hive, hive.get("Job", request.slot("id"), who)))


def _kind(word: str) -> str:
    if word not in ENTITY_TYPES:
        raise bad_request(f"{word} is no type of entity")
    return ENTITY_TYPES[word]


def _list_responders(hive: Hive, who: Account, request: Request) -> Reply:
    word = request.slot("type")
    with hive.store.transaction():
        target = hive.get(_kind(word), request.slot("id"), who)
        tlp, pap = _connector(hive).gates(target)
    fitting = [
        _shown(one)
        for one in _connector(hive).workers("responder")
        if f"thehive:{word}" in (one["dataTypeList"] or ())
        and _most(one, "maxTlp") >= tlp
        and _most(one, "maxPap") >= pap
    ]
    return Reply(200, fitting)


def _most(worker: Worker, gate: str) -> int:
    """What a worker is allowed to see; one without a limit is taken for 3 (RED in version 4)."""
    limit = worker.get(gate)
    return 3 if limit is None else int(limit)


def _responders_of_type(hive: Hive, who: Account, request: Request) -> Reply:
    wanted = f"thehive:{request.slot('type')}"
    found = [one for one in _connector(hive).workers("responder") if wanted in (one["dataTypeList"] or ())]
    return Reply(200, [{name: one[name] for name in ("id", "name", "description")} for one in found])


def _start_action(hive: Hive, who: Account, document: dict[str, Any]) -> dict[str, Any]:
    asked = read(_ACTION, document, hive.now())
    action = _connector(hive).run_responder(
        who, asked["responderId"], asked.get("cortexId"), _kind(asked["objectType"]), asked["objectId"],
        asked.get("parameters"),
    )  # fmt: skip
    return draw_work(hive, action)


def _create_action(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, _start_action(hive, who, request.document()))


def _create_actions(hive: Hive, who: Account, request: Request) -> Reply:
    given = request.json()
    if not isinstance(given, list):
        raise bad_request("A list of actions is expected")
    return Reply(200, [_start_action(hive, who, one) for one in given])


def _list_actions(hive: Hive, who: Account, request: Request) -> Reply:
    target = hive.get(_kind(request.slot("type")), request.slot("id"), who)
    return Reply(200, [draw_work(hive, one) for one in hive.store.children(target.id, "Action")])


def _configure(hive: Hive, who: Account, request: Request) -> Reply:
    if who.organisation != "admin":
        raise forbidden()
    connector = _connector(hive)
    given = rows(request.document(), "servers")
    if any(not one.get("name") or not one.get("url") or not one.get("auth", {}).get("key") for one in given):
        raise bad_request("A server needs a name, a url and a key")
    connector.close()
    connector.servers[:] = [CortexServer(one["name"], one["url"], str(one["auth"]["key"])) for one in given]
    return NOTHING


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module, under one path in version 4 and two in version 5."""
    bases = ["/api/connector/cortex"] + (["/api/v1/connector/cortex"] if version == 5 else [])
    table: list[Route[Handler]] = []
    for base in bases:
        table += _routes(base, version)
    if version == 5:
        table.append(Route("PUT", "/api/v1/admin/config/cortex", _configure, "managePlatform"))
    return table


def _routes(base: str, version: int) -> list[Route[Handler]]:
    analyse, act = "manageAnalyse", "manageAction"
    table: list[Route[Handler]] = [
        Route("GET", f"{base}/analyzer", _list_analyzers, free=True),
        Route("GET", f"{base}/analyzer/type/{{type}}", _list_analyzers, free=True),
        Route("GET", f"{base}/analyzer/{{id}}", _get_analyzer, free=True),
        Route("POST", f"{base}/job", _create_job, analyse, free=True),
        Route("GET", f"{base}/job/{{id}}", _get_job),
        Route("GET", f"{base}/responder/{{type}}/{{id}}", _list_responders, free=True),
        Route("POST", f"{base}/action", _create_action, act, free=True),
        Route("GET", f"{base}/action/{{type}}/{{id}}", _list_actions, act if version == 4 else None),
    ]
    if version == 5:
        table += [
            Route("POST", f"{base}/job/_bulk", _create_jobs, analyse, free=True),
            Route("GET", f"{base}/responders/{{type}}", _responders_of_type, act, free=True),
            Route("POST", f"{base}/actions", _create_actions, act, free=True),
        ]
    return table
