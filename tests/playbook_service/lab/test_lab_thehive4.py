"""TheHive 4 where it differs: the legacy calls, statuses, shapes and omissions (contract, all `v4` notes)."""

from __future__ import annotations

from typing import Any

import pytest

from playbook_service.lab import Lab


@pytest.fixture
def analyst(lab4: Lab, rest: Any) -> Any:
    return rest(lab4, "analyst")


@pytest.fixture
def field(lab4: Lab, rest: Any) -> None:
    body = {"name": "Wazuh rule id", "reference": "rule", "description": "rule.id", "type": "string", "options": []}
    rest(lab4, "admin").post("api/customField", body)


def test_alerts_by_the_legacy_call_bring_their_artifacts(analyst: Any, alert: Any, observable: Any, field: None):
    """thehive.md 3.1, v4: inline observables under `artifacts`, typed custom fields; v1 ignores observables."""
    values = {"rule": {"string": "5763", "order": 0}}
    made = analyst.post("api/alert", {**alert, "artifacts": [observable], "customFields": values})
    assert (made["_type"], made["status"], made["customFields"]) == ("alert", "New", {"rule": {"string": "5763"}})
    found = analyst.query({"_name": "getAlert", "idOrName": made["id"]}, {"_name": "observables"})
    assert [one["data"] for one in found] == ["203.0.113.45"]
    second = {**alert, "sourceRef": "2", "observables": [observable], "customFieldValue": {"rule": "1"}}
    made = analyst.post("api/v1/alert", second)
    assert (made["observableCount"], made["read"], made["customFields"][0]["value"]) == (0, False, "1")


def test_a_file_comes_inline_as_base64(analyst: Any, alert: Any):
    """The legacy call takes a file as `name;type;base64` in `data`."""
    artifact = {"dataType": "file", "data": "alert.json;application/json;e30="}
    made = analyst.post("api/alert", {**alert, "artifacts": [artifact]})
    found = analyst.query({"_name": "getAlert", "idOrName": made["id"]}, {"_name": "observables"})
    assert (found[0]["attachment"]["name"], found[0]["attachment"]["size"]) == ("alert.json", 2)
    wrong = {"dataType": "file", "data": "alert.json;application/json;***"}
    assert analyst.call("POST", "api/alert", {**alert, "sourceRef": "2", "artifacts": [wrong]})[0] == 400


def test_alerts_are_read_and_merged(analyst: Any, alert: Any, observable: Any):
    """thehive.md 3.1, v4: read flag, createCase, merge by v0 only; PATCH v0 200 with the object, v1 204."""
    first = analyst.post("api/alert", {**alert, "artifacts": [observable]})["id"]
    analyst.post(f"api/alert/{first}/markAsRead", status=200)
    assert analyst.get(f"api/alert/{first}")["status"] == "Ignored"
    assert analyst.get(f"api/v1/alert/{first}")["read"] is True
    assert analyst.patch(f"api/alert/{first}", {"severity": 4}, status=200)["severity"] == 4
    analyst.patch(f"api/v1/alert/{first}", {"severity": 1})
    case = analyst.post(f"api/alert/{first}/createCase", {})
    assert (case["_type"], case["caseId"], case["status"]) == ("case", 1, "Open")
    assert analyst.post(f"api/alert/{first}/createCase", {})["id"] == case["id"]
    second = analyst.post("api/alert", {**alert, "sourceRef": "2"})["id"]
    assert "Merged with alert" in analyst.post(f"api/alert/{second}/merge/{case['id']}", status=200)["description"]
    assert analyst.call("POST", f"api/v1/alert/{second}/merge/{case['id']}")[0] == 404
    status, body = analyst.call("POST", f"api/alert/{second}/merge/{case['id']}")
    assert (status, body) == (400, {"type": "BadRequest", "message": "Alert is already imported"})


def test_cases_open_and_close_the_old_way(analyst: Any, field: None):
    """thehive.md 3.2, Close (v4) and 8: Open/Resolved with resolutionStatus; `owner`; dotted custom fields."""
    case = analyst.post("api/case", {"title": "t", "description": "d", "owner": "approver@soc.example"})
    assert (case["status"], case["owner"], case["resolutionStatus"]) == ("Open", "approver@soc.example", None)
    assert "extendedStatus" not in case
    begun = analyst.post(f"api/case/{case['id']}/task", {"title": "begun", "status": "InProgress"})
    waiting = analyst.post(f"api/case/{case['id']}/task", {"title": "waiting"})
    changed = analyst.patch(f"api/case/{case['id']}", {"customFields.rule": "1"}, status=200)
    assert changed["customFields"] == {"rule": {"string": "1", "order": 0}}
    analyst.patch(f"api/case/{case['id']}", {"customFields.rule.string": "2"}, status=200)
    assert analyst.get(f"api/v1/case/{case['id']}")["customFields"][0]["value"] == "2"
    closing = {"status": "Resolved", "resolutionStatus": "FalsePositive", "impactStatus": "NoImpact", "summary": "s"}
    closed = analyst.patch(f"api/case/{case['id']}", closing, status=200)
    assert (closed["status"], closed["resolutionStatus"]) == ("Resolved", "FalsePositive")
    assert closed["endDate"]
    assert analyst.get(f"api/case/task/{begun['id']}")["status"] == "Completed"
    assert analyst.get(f"api/case/task/{waiting['id']}")["status"] == "Cancel"
    reopened = analyst.patch(f"api/case/{case['id']}", {"status": "Open"}, status=200)
    assert (reopened["status"], reopened["endDate"]) == ("Open", None)
    assert analyst.call("PATCH", f"api/case/{case['id']}", {"status": "FalsePositive"})[0] == 400


def test_tags_are_replaced_only_as_a_whole(analyst: Any):
    """thehive.md 3.2, v4: no addTags; the whole list is sent."""
    case = analyst.post("api/v1/case", {"title": "t", "description": "d", "tags": ["a"]})
    analyst.patch(f"api/v1/case/{case['_id']}", {"addTags": ["b"]})
    assert analyst.get(f"api/v1/case/{case['_id']}")["tags"] == ["a"]
    analyst.patch(f"api/v1/case/{case['_id']}", {"tags": ["a", "b"]})
    assert analyst.get(f"api/v1/case/{case['_id']}")["tags"] == ["a", "b"]


def test_a_template_wins_over_tasks_in_the_body(lab4: Lab, rest: Any, analyst: Any):
    """CaseSrv.create of 4.1: with a template, its tasks are taken and those of the body are not."""
    rest(lab4, "orgadmin").post(
        "api/case/template", {"name": "t", "tags": ["x"], "tasks": [{"title": "of the template"}]}
    )
    body = {"title": "a", "description": "d", "template": "t", "tags": ["own"], "tasks": [{"title": "own task"}]}
    case = analyst.post("api/case", body)
    assert case["tags"] == ["own", "x"]
    tasks = analyst.query({"_name": "getCase", "idOrName": case["id"]}, {"_name": "tasks"})
    assert [one["title"] for one in tasks] == ["of the template"]


def test_logs_begin_tasks(analyst: Any):
    """thehive.md 3.4, v4: the legacy call for logs; the caller is assigned."""
    case = analyst.post("api/case", {"title": "t", "description": "d"})
    task = analyst.post("api/v1/task", {"caseId": case["id"], "title": "t"})
    log = analyst.post(f"api/case/task/{task['_id']}/log", {"message": "m"})
    assert (log["_type"], log["status"], log["owner"]) == ("case_task_log", "Ok", "analyst@soc.example")
    begun = analyst.get(f"api/case/task/{task['_id']}")
    assert (begun["status"], begun["owner"]) == ("InProgress", "analyst@soc.example")


def test_observables_and_duplicates(analyst: Any, observable: Any):
    """thehive.md 3.3, v4 (code): 207 also when all fail; v4 observables have no pap."""
    case = analyst.post("api/case", {"title": "t", "description": "d"})["id"]
    made = analyst.post(f"api/case/{case}/artifact", observable)
    assert made[0]["_type"] == "case_artifact"
    assert "pap" not in made[0]
    status, body = analyst.call("POST", f"api/case/{case}/artifact", observable)
    assert (status, body["success"], body["failure"][0]["type"]) == (207, [], "CreateError")
    assert analyst.patch(f"api/case/artifact/{made[0]['id']}", {"ioc": True}, status=200)["ioc"] is True
    assert analyst.call("POST", f"api/case/{case}/artifact", {**observable, "data": "192.0.2.1", "tlp": 4})[0] == 400


@pytest.mark.parametrize(
    "path", ["case/~1/comment", "case/~1/page", "case/~1/customEvent", "alert/~1/comment", "caseStatus"]
)
def test_what_came_with_version_5_is_not_there(analyst: Any, path: str):
    """thehive.md 3.5, v4: no comments, pages, custom events, statuses."""
    assert analyst.call("POST", f"api/v1/{path}", {"message": "x"})[1]["message"].startswith("No such route")


def test_jobs_have_an_id_only_and_run_on_cases_only(lab4: Lab, analyst: Any, alert: Any, observable: Any):
    """thehive.md 4.1, 4.2, v4: alert observables and unknown analyzers are 404; `id` but no `_id`; endDate = start."""
    raised = analyst.post("api/alert", {**alert, "artifacts": [observable]})["id"]
    of_alert = analyst.query({"_name": "getAlert", "idOrName": raised}, {"_name": "observables"})[0]["_id"]
    job = {"analyzerId": "AbuseIPDB_2_0", "cortexId": "Cortex-01"}
    assert analyst.call("POST", "api/connector/cortex/job", {**job, "artifactId": of_alert})[0] == 404
    case = analyst.post(f"api/alert/{raised}/createCase", {})["id"]
    target = analyst.query({"_name": "getCase", "idOrName": case}, {"_name": "observables"})[0]["_id"]
    wrong = {**job, "analyzerId": "dummy", "artifactId": target}
    assert analyst.call("POST", "api/connector/cortex/job", wrong)[0] == 404
    made = analyst.post("api/connector/cortex/job", {**job, "artifactId": target})
    assert "_id" not in made
    assert made["endDate"] == made["startDate"]
    lab4.settle()
    read = analyst.get(f"api/v1/observable/{target}")
    assert read["reports"]["AbuseIPDB_2_0"]["taxonomies"][0]["value"] == "42 record(s)"
    case_data = analyst.query({"_name": "getCase", "idOrName": case}, {"_name": "observables"})
    assert [one["data"] for one in case_data] == ["203.0.113.45"], "version 4 imports nothing by itself"
    assert analyst.call("GET", "api/v1/connector/cortex/analyzer")[0] == 404


def test_the_message_of_a_finished_job_is_out_before_its_taxonomies(
    lab4: Lab, analyst: Any, observable: Any, receiver: Any
):
    """thehive.md 4.2, v4 finish order: operations, job status (message), artifacts, taxonomies (no message)."""
    case = analyst.post("api/case", {"title": "t", "description": "d"})["id"]
    target = analyst.post(f"api/case/{case}/artifact", observable)[0]["id"]
    lab4.notify(receiver.url)
    job = {"analyzerId": "AbuseIPDB_2_0", "cortexId": "Cortex-01", "artifactId": target}
    analyst.post("api/connector/cortex/job", job)
    lab4.settle()
    assert sorted(one["operation"] for one in receiver.bodies) == ["create", "update"]
    assert {one["objectType"] for one in receiver.bodies} == {"Job"}
    quiet = [one for one in lab4.audits if one.quiet and one.object_kind == "Observable"]
    loud = [one for one in lab4.audits if one.object_kind == "Job" and one.action == "update"]
    taxonomies = [one for one in quiet if "reports" in one.details]
    order = [one.id for one in lab4.audits]
    assert order.index(loud[0].id) < order.index(taxonomies[0].id)


def test_queries_in_the_legacy_language(analyst: Any, alert: Any):
    """thehive.md 3.7, v4: `/api/v0/query` with the legacy names."""
    analyst.post("api/alert", alert)
    case = analyst.post("api/case", {"title": "t", "description": "d"})
    steps = [{"_name": "listCase"}, {"_name": "filter", "_eq": {"_field": "owner", "_value": "analyst@soc.example"}}]
    found = analyst.post("api/v0/query", {"query": steps}, status=200)
    assert [one["caseId"] for one in found] == [case["caseId"]]
    wanted = {
        "_name": "filter",
        "_and": [{"_field": "number", "_value": 1}, {"_gte": {"_field": "_createdAt", "_value": 0}}],
    }
    assert analyst.query({"_name": "listCase"}, wanted, {"_name": "count"}) == 1


def test_status_and_health(lab4: Lab, analyst: Any):
    """thehive.md 3.8, v4: without authentication; versions; the Cortex connector's servers."""
    nobody = {"Authorization": ""}
    status = analyst.get("api/status", headers=nobody)
    assert status["versions"]["TheHive"].startswith("4.1.24")
    assert status["connectors"]["cortex"]["servers"][0]["status"] == "OK"
    assert analyst.get("api/health", headers=nobody) == "Ok"
    assert analyst.call("GET", "api/v1/status/public", headers=nobody)[0] == 404


def test_permissions_have_no_parts(lab4: Lab, rest: Any):
    """thehive.md 7: v4 names (`manageCase`), analyst has them all."""
    permissions = rest(lab4, "analyst").get("api/v1/user/current")["permissions"]
    assert {"manageCase", "manageAlert", "manageObservable", "manageTask", "manageAction", "manageAnalyse"} <= set(
        permissions
    )
    assert not any("/" in one for one in permissions)
    assert rest(lab4, "reader").call("POST", "api/case", {"title": "t", "description": "d"})[0] == 403
