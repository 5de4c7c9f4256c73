"""Analyzers, responders, and the audit trail: read in the forms of both versions."""

from __future__ import annotations

from typing import Any

import pytest
from hive_samples import WORKER
from hive_server import Reply, Script, error

from playbook_service.hive import reading
from playbook_service.hive.contract import Hive
from propolis.errors import InputError
from propolis.http import HttpError

ROOT = "/api/connector/cortex"


def test_the_definition_of_a_worker_is_its_name_with_the_version(server: Script, hive: Hive) -> None:
    listed = [
        {"id": "1", "name": "AbuseIPDB_2_0", "version": "2.0", "dataTypeList": ["ip"], "cortexIds": ["Cortex-01"]},
        {"id": "2", "name": "OTXQuery", "version": "2.1"},
    ]
    server.on(f"GET {ROOT}/analyzer/type/uri_path", Reply(200, listed))
    found = hive.analyzers("uri_path")
    assert [(one.definition, one.cortex_ids) for one in found] == [
        ("AbuseIPDB_2_0", ("Cortex-01",)),
        ("OTXQuery_2_1", ()),
    ]


def test_an_analyzer_is_started_where_it_is_offered(server: Script, hive: Hive, payload: Any) -> None:
    server.on(f"POST {ROOT}/job", Reply(201, payload("api_v5_job_waiting")))
    job = hive.run_analyzer(WORKER, "~41103504", {"reports": []})
    assert (job.id, job.status, job.report, job.ended_at) == ("~81928304", "Waiting", None, 0)
    assert server.seen[-1].json == {
        "analyzerId": "3c9ab8e0", "cortexId": "Cortex-01", "artifactId": "~41103504", "parameters": {"reports": []},
    }  # fmt: skip


def test_an_analyzer_that_no_cortex_offers_is_not_asked_for(hive: Hive) -> None:
    with pytest.raises(InputError, match="No Cortex server offers the analyzer AbuseIPDB_2_0"):
        hive.run_analyzer(WORKER._replace(cortex_ids=()), "~1", {})


@pytest.mark.parametrize("call", ["analyzer", "responder"])
def test_a_start_whose_answer_was_lost_is_in_doubt_and_never_repeated(server: Script, hive: Hive, call: str) -> None:
    path = f"POST {ROOT}/{'job' if call == 'analyzer' else 'action'}"
    server.on(path, Reply(hang=True))
    with pytest.raises(HttpError) as caught:
        if call == "analyzer":
            hive.run_analyzer(WORKER, "~41103504", {})
        else:
            hive.run_responder(WORKER, "case_artifact", "~41103504", {})
    assert caught.value.ambiguous
    assert len(server.calls(path)) == 1


@pytest.mark.parametrize("version", [4, 5])
def test_a_job_that_has_ended_has_its_report(server: Script, hive: Hive, payload: Any, version: int) -> None:
    server.on(f"GET {ROOT}/job/~81928304", Reply(200, payload(f"api_v{version}_job_success")))
    job = hive.job("~81928304")
    assert job is not None
    assert (job.definition, job.status, job.cortex_job_id) == ("AbuseIPDB_2_0", "Success", "AZt3pQk1Vf0m2xYc9LrS")
    assert job.report is not None
    assert job.report["full"]["values"][0]["data"]["abuseConfidenceScore"] == 100
    assert job.ended_at == 1767261715000


def test_a_failed_job_says_why_and_a_lost_one_is_none(server: Script, hive: Hive, payload: Any) -> None:
    server.on(f"GET {ROOT}/job/~81928304", Reply(200, payload("api_v5_job_failure")))
    failed = hive.job("~81928304")
    assert failed is not None
    assert failed.report == {"errorMessage": "401 Unauthorized: API key is invalid", "success": False}
    server.on(f"GET {ROOT}/job/~81928304", error(404, "NotFoundError", "Job not found"))
    assert hive.job("~81928304") is None


def test_the_jobs_on_an_observable_come_newest_first_without_reports(server: Script, hive: Hive, payload: Any) -> None:
    older, newer = payload("api_v4_job_success"), payload("api_v5_job_success") | {"startDate": 1767261999000}
    server.on("getObservable jobs", Reply(200, [older, newer]))
    found = hive.jobs("~41103504")
    assert [one.started_at for one in found] == [1767261999000, 1767261710000]
    assert [one.report for one in found] == [None, None]


@pytest.mark.parametrize("version", [4, 5])
def test_an_actions_report_is_read_from_its_string(server: Script, hive: Hive, payload: Any, version: int) -> None:
    done = payload(f"api_v{version}_action_success")
    server.on(f"GET {ROOT}/action/case_artifact/~41103504", Reply(200, [done | {"startDate": 1}, done]))
    newest, oldest = hive.actions("case_artifact", "~41103504")
    assert newest.started_at > oldest.started_at
    assert newest.report is not None
    assert newest.report["full"] == {"message": "active response sent to agent 003"}
    assert (newest.id, newest.created_by) == (("~81932400", "playbook@soc.example") if version == 5 else ("", ""))
    assert newest.cortex_job_id == "AZt3pQk1Vf0m2xYc9LrT"


def test_an_actions_report_that_is_no_json_is_none() -> None:
    assert reading.action({"status": "Failure", "report": "{not json"}).report is None
    assert reading.action({"status": "InProgress", "report": "{}"}).report is None


def test_a_responder_is_started_on_an_entity(server: Script, hive: Hive, payload: Any) -> None:
    worker = {"id": "77b1", "name": "FirewallBlock_1_0", "version": "1.0", "cortexIds": ["Cortex-01"]}
    server.on(f"GET {ROOT}/responder/case_artifact/~41103504", Reply(200, [worker]))
    server.on(f"POST {ROOT}/action", Reply(200, payload("api_v4_action_success") | {"status": "Waiting"}))
    found = hive.responders("case_artifact", "~41103504")
    action = hive.run_responder(found[0], "case_artifact", "~41103504", {"lease": "L1"})
    assert (found[0].definition, action.status, action.report) == ("FirewallBlock_1_0", "Waiting", None)
    assert server.seen[-1].json == {
        "responderId": "77b1", "objectType": "case_artifact", "objectId": "~41103504", "parameters": {"lease": "L1"},
        "cortexId": "Cortex-01",
    }  # fmt: skip


@pytest.mark.parametrize(("call", "right"), [("job", "manageAnalyse"), ("action", "manageAction")])
def test_a_missing_right_to_start_workers_is_named(server: Script, hive: Hive, call: str, right: str) -> None:
    server.on(f"POST {ROOT}/{call}", error(403, "AuthorizationError", "Unauthorized action"))
    with pytest.raises(HttpError, match=rf"grant `{right}` to the profile of the account"):
        if call == "job":
            hive.run_analyzer(WORKER, "~1", {})
        else:
            hive.run_responder(WORKER, "case_artifact", "~1", {})


# the audit trail -----------------------------------------------------------------------------------------------------

TASK, CASE = "~41021544", "~81924208"


def line(identity: str, at: int, by: str, status: str, **changes: Any) -> dict[str, Any]:
    """A line as version 1 of the API of TheHive 5 writes it."""
    base = {
        "_id": identity, "_type": "Audit", "_createdBy": by, "_createdAt": at, "action": "update", "mainAction": True,
        "objectType": "Task", "objectId": TASK, "rootId": CASE, "details": {"status": status},
    }  # fmt: skip
    return base | changes


def line_4(identity: str, at: int, by: str, status: str) -> dict[str, Any]:
    """A line as version 0 of the API of TheHive 4 writes it."""
    return {
        "_id": identity, "id": identity, "_type": "audit", "createdBy": by, "createdAt": at, "operation": "Update",
        "objectType": "case_task", "objectId": TASK, "base": True, "startDate": at, "rootId": CASE,
        "details": {"status": status},
    }  # fmt: skip


def test_who_completed_a_task_in_version_5(server: Script, hive5: Hive) -> None:
    completed = line("~2", 200, "analyst@soc.example", "Completed")
    edited = line("~3", 300, "playbook@soc.example", "Completed", details={"description": "noted"})
    other = line("~4", 400, "x@soc.example", "Completed", objectId="~other")
    wrapped = [{"base": one, "summary": {}} for one in (other, edited, completed)]
    server.on("GET /api/v1/flow", Reply(200, wrapped)).on("listAuditFromObject", Reply(200, [edited, completed]))
    found = hive5.audits("task", TASK, CASE)
    assert [(one.actor, one.at, one.verb, dict(one.details)) for one in found] == [
        ("playbook@soc.example", 300, "update", {"description": "noted"}),
        ("analyst@soc.example", 200, "update", {"status": "Completed"}),
    ]
    assert server.calls("GET /api/v1/flow")[0].params["rootId"] == [CASE]


def test_who_completed_a_task_in_version_4_where_the_flow_has_forgotten_it(server: Script, hive4: Hive) -> None:
    newer = line_4("~9", 900, "playbook@soc.example", "InProgress")
    server.on("GET /api/flow", Reply(200, [{"base": newer | {"details": '{"status":"InProgress"}'}, "summary": {}}]))
    server.on("listAuditFromObject", Reply(200, [newer, line_4("~2", 200, "analyst@soc.example", "Completed")]))
    found = hive4.audits("task", TASK, CASE)
    assert [(one.entity, one.actor, one.details["status"]) for one in found] == [
        ("task", "playbook@soc.example", "InProgress"),
        ("task", "analyst@soc.example", "Completed"),
    ]
    assert server.calls("listAuditFromObject")[0].path == "/api/v0/query"


def test_a_flow_that_reaches_back_to_the_creation_is_enough(server: Script, hive5: Hive) -> None:
    made = line("~1", 100, "playbook@soc.example", "Waiting", action="create")
    completed = line("~2", 200, "analyst@soc.example", "Completed")
    server.on("GET /api/v1/flow", Reply(200, [{"base": completed}, {"base": made}]))
    server.on("listAuditFromObject", error(500, "InternalError", "audits are elsewhere"))
    assert [one.verb for one in hive5.audits("task", TASK, CASE)] == ["update", "create"]
    server.on("GET /api/v1/flow", Reply(200, [{"base": completed}]))
    with pytest.raises(HttpError):
        hive5.audits("task", TASK, CASE)


@pytest.mark.parametrize("status", [400, 404, 501])
def test_a_version_that_does_not_tell_gives_an_empty_trail(server: Script, hive: Hive, status: int) -> None:
    unknown = error(status, "BadRequest", "unknown")
    server.on("GET /api/flow", unknown).on("GET /api/v1/flow", unknown).on("listAuditFromObject", unknown)
    assert hive.audits("task", TASK, CASE) == []


def test_a_trail_that_cannot_be_read_is_an_error_and_not_an_empty_one(server: Script, hive: Hive) -> None:
    broken = error(500, "InternalError", "oops")
    server.on("GET /api/flow", broken).on("GET /api/v1/flow", broken)
    with pytest.raises(HttpError):
        hive.audits("task", TASK, CASE)
