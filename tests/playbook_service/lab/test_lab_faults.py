"""What goes wrong on demand, at the servers and around the connector; restarts; the end of everything."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab import Lab
from propolis.errors import InputError, PropolisError
from propolis.http import HttpError


def job_on(lab: Lab, rest: Any, observable: dict[str, Any], analyzer: str = "OTXQuery_2_0") -> tuple[Any, str, str]:
    """A job on an observable of a new case: the client, the job's id, the observable's id."""
    service = rest(lab, "service")
    path = "api/v1/case"
    case = service.post(path, {"title": "t", "description": "d"})["_id"]
    target = service.post(f"{path}/{case}/observable", observable)[0]["_id"]
    job = service.post(
        "api/connector/cortex/job", {"analyzerId": analyzer, "cortexId": "Cortex-01", "artifactId": target}
    )
    return service, job["id"], target


def status_of(service: Any, job: str) -> str:
    return service.get(f"api/connector/cortex/job/{job}")["status"]


def test_a_server_fails_for_a_while(lab: Lab, rest: Any, alert: Any):
    """`fail` counts down, answers without acting, only where `only` says."""
    analyst = rest(lab, "analyst")
    lab.faults.thehive.fail = 2
    lab.faults.thehive.only = "^POST /api/v1/alert$"
    assert analyst.call("GET", "api/v1/user/current")[0] == 200
    for _ in range(2):
        status, body = analyst.call("POST", "api/v1/alert", alert)
        assert (status, body["type"]) == (500, "InternalError")
    analyst.post("api/v1/alert", alert)
    assert analyst.query({"_name": "listAlert"}, {"_name": "count"}) == 1


def test_an_answer_is_lost_after_the_act(lab: Lab, rest: Any, alert: Any):
    """`lose`: the connection is cut after the work is done, so the caller cannot know."""
    analyst = rest(lab, "analyst")
    lab.faults.thehive.lose = 1
    with pytest.raises(HttpError) as fault:
        analyst.post("api/v1/alert", alert)
    assert fault.value.ambiguous
    assert analyst.call("POST", "api/v1/alert", alert)[0] == 400, "it was there already"


def test_an_answer_is_nonsense(lab: Lab, rest: Any):
    lab.faults.thehive.garbage = 1
    with pytest.raises(HttpError, match="HTML page"):
        rest(lab, "analyst").client.get("api/v1/user/current").json()


def test_a_server_hangs_until_released(lab: Lab, rest: Any):
    """`hang`: no answer until the faults are cleared; then the request is handled."""
    lab.faults.thehive.hang = 1
    answers: list[int] = []
    analyst = rest(lab, "analyst")
    thread = threading.Thread(target=lambda: answers.append(analyst.call("GET", "api/v1/user/current")[0]))
    thread.start()
    assert lab.connector.agenda.wait(lambda: lab.thehive_server.requests > 0, 5)
    assert answers == []
    lab.faults.clear()
    thread.join(5)
    assert answers == [200]


def test_a_hanging_server_can_be_stopped(make_lab: Any, rest: Any):
    """Threads never outlive the lab, whatever hangs."""
    lab = make_lab(5)
    lab.faults.thehive.hang = -1
    analyst = rest(lab, "analyst")
    broken: list[HttpError] = []

    def call() -> None:
        try:
            analyst.get("api/v1/user/current")
        except HttpError as error:
            broken.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert lab.connector.agenda.wait(lambda: lab.thehive_server.requests > 0, 5)
    lab.stop_thehive()
    thread.join(5)
    assert len(broken) == 1
    assert [one.name for one in threading.enumerate() if one.name.startswith("lab-thehive")] == []
    lab.start_thehive()


def test_thehive_down_and_up_again_keeps_what_it_held(lab: Lab, rest: Any, alert: Any):
    """A restart in the process: same address, same state."""
    analyst = rest(lab, "analyst")
    identity = analyst.post("api/v1/alert", alert)["_id"]
    url = lab.thehive_url
    lab.stop_thehive()
    with pytest.raises(HttpError) as fault:
        analyst.get(f"api/v1/alert/{identity}")
    assert fault.value.kind in ("refused", "broken", "unreachable")
    lab.start_thehive()
    assert lab.thehive_url == url
    assert analyst.get(f"api/v1/alert/{identity}")["title"] == alert["title"]


def test_jobs_under_way_at_a_restart_of_thehive(lab: Lab, rest: Any, observable: Any):
    """thehive.md 4.2, Polling: version 4 forgets them (TH#2411), version 5 goes on."""
    lab.faults.jobs.hang.add("*")
    service, job, _ = job_on(lab, rest, observable)
    lab.restart_thehive()
    lab.faults.clear()
    lab.settle()
    assert status_of(service, job) == ("Waiting" if lab.version == 4 else "Success")


def test_a_lost_job_stays_in_thehive_too(lab: Lab, rest: Any, observable: Any):
    """A job that Cortex never ends never ends in TheHive: only the client's own deadline helps."""
    lab.faults.jobs.lose.add("OTXQuery_2_0")
    service, job, _ = job_on(lab, rest, observable)
    lab.settle()
    assert status_of(service, job) == "Waiting"


def test_version_4_gives_up_after_three_failed_looks(make_lab: Any, rest: Any, observable: Any, reports: Path):
    """thehive.md 4.2, Polling: v4 stops polling after maxRetryOnError; v5 goes on."""
    for version, ending in ((4, "Waiting"), (5, "Success")):
        lab = make_lab(version, reports=[reports], refresh=0.02)
        lab.faults.jobs.hang.add("*")
        service, job, _ = job_on(lab, rest, observable)
        lab.faults.cortex.only = "job/status"
        lab.faults.cortex.fail = -1
        seen = lab.cortex_server.requests
        assert lab.connector.agenda.wait(lambda lab=lab, seen=seen: lab.cortex_server.requests >= seen + 3, 5)
        lab.faults.clear()
        lab.settle()
        lab.connector.agenda.wait(lambda service=service, job=job: status_of(service, job) == "Success", 1)
        assert status_of(service, job) == ending


def test_a_cortex_that_is_down(lab: Lab, rest: Any, observable: Any):
    """thehive.md 3.8: the connector's status says ERROR; no analyzers are listed; version 4 refuses the job."""
    service, _, target = job_on(lab, rest, observable)
    lab.settle()
    lab.stop_cortex()
    assert service.get("api/connector/cortex/analyzer") == []
    path = "api/status" if lab.version == 4 else "api/v1/status"
    assert service.get(path)["connectors"]["cortex"]["status"] == "ERROR"
    body = {"analyzerId": "OTXQuery_2_0", "cortexId": "Cortex-01", "artifactId": target}
    assert service.call("POST", "api/connector/cortex/job", body)[0] == (404 if lab.version == 4 else 201)
    lab.start_cortex()
    assert service.get(path)["connectors"]["cortex"]["status"] == "OK"


def test_a_wrong_key_for_cortex(lab5: Lab, rest: Any):
    """thehive.md 3.8 and 10.3: AUTH_ERROR; the administrator sets the servers."""
    admin = rest(lab5, "admin")
    for key, status in (("wrong", "AUTH_ERROR"), (lab5.keys.cortex_thehive, "OK")):
        server = {"name": "Cortex-01", "url": lab5.cortex_url, "auth": {"type": "bearer", "key": key}}
        admin.expect(204, "PUT", "api/v1/admin/config/cortex", {"servers": [server]})
        assert admin.get("api/v1/status")["connectors"]["cortex"]["servers"][0]["status"] == status


def test_two_jobs_share_a_cortex_job(lab: Lab, rest: Any, observable: Any):
    """thehive.md 4.2, Cortex cache: TheHive sends no force, so one question is one cortexJobId (TH#2327)."""
    service, first, target = job_on(lab, rest, observable)
    lab.settle()
    body = {"analyzerId": "OTXQuery_2_0", "cortexId": "Cortex-01", "artifactId": target}
    second = service.post("api/connector/cortex/job", body)["id"]
    lab.settle()
    read = [service.get(f"api/connector/cortex/job/{one}") for one in (first, second)]
    assert first != second
    assert read[0]["cortexJobId"] == read[1]["cortexJobId"]
    assert [one["status"] for one in read] == ["Success", "Success"]


def test_a_rate_limit_makes_the_job_fail_to_start(make_lab: Any, rest: Any, observable: Any, reports: Path):
    """thehive.md 4.2: 429 from Cortex, and TheHive creates no job."""
    lab = make_lab(5, reports=[reports])
    worker = next(one for one in lab.cortex.workers.values() if one.name == "OTXQuery_2_0")
    lab.cortex.change(worker, {"rate": 1, "rateUnit": "Day"})
    service, _, _ = job_on(lab, rest, observable)
    other = service.query({"_name": "listCase"})[0]["_id"]
    more = service.post(f"api/v1/case/{other}/observable", {**observable, "data": "192.0.2.77"})[0]["_id"]
    body = {"analyzerId": "OTXQuery_2_0", "cortexId": "Cortex-01", "artifactId": more}
    status, answer = service.call("POST", "api/connector/cortex/job", body)
    assert status == 500
    assert "429" in answer["message"]
    lab.settle()
    assert service.query({"_name": "listJob"}, {"_name": "count"}) == 1


def test_the_switches_can_be_set_over_http(lab: Lab, rest: Any, receiver: Any, alert: Any):
    """For a lab that runs in another process: PUT and DELETE /lab/faults, PUT /lab/webhook."""
    analyst = rest(lab, "analyst")
    analyst.expect(200, "PUT", "lab/webhook", {"url": receiver.url, "version": 0})
    analyst.expect(
        200, "PUT", "lab/faults", {"hooks": {"drop_next": 1}, "jobs": {"lose": ["*"]}, "thehive": {"fail": 1}}
    )
    assert lab.faults.jobs.lose == {"*"}
    assert analyst.call("GET", "api/v1/user/current")[0] == 500
    analyst.post("api/v1/alert", alert)
    lab.settle()
    assert receiver.bodies == []
    analyst.expect(200, "DELETE", "lab/faults")
    analyst.post("api/v1/alert", {**alert, "sourceRef": "2"})
    lab.settle()
    assert [one["objectType"] for one in receiver.bodies] == ["alert"]
    assert analyst.call("PUT", "lab/faults", {"hooks": {"nonsense": 1}})[0] == 400
    assert analyst.call("PUT", "lab/nothing", {})[0] == 404


@pytest.mark.parametrize("document", [{"weather": {}}, {"hooks": {"rain": 1}}, {"jobs": {"_x": 1}}])
def test_a_switch_that_does_not_exist(lab5: Lab, document: dict[str, Any]):
    with pytest.raises(InputError):
        lab5.faults.apply(document)


def test_a_failure_of_the_lab_itself_is_not_hidden(lab5: Lab):
    """A task that raises is remembered, and `settle` raises it."""
    lab5.connector.agenda.add(lambda: int("x"))
    with pytest.raises(PropolisError, match="ValueError"):
        lab5.settle()


def test_nothing_is_left_of_a_lab(reports: Path):
    """Threads are joined, sockets closed, the folder for jobs is gone."""
    before = set(threading.enumerate())
    with Lab(5, reports=[reports]) as lab:
        folder = lab._folder
        assert folder.is_dir()
        lab.settle()
    assert set(threading.enumerate()) == before
    assert not folder.exists()


def test_content_types_and_bodies(lab5: Lab, rest: Any):
    """thehive.md 3: from 5.5.1 other content types on JSON routes are 400; broken JSON is 400."""
    analyst = rest(lab5, "analyst")
    headers = {"Content-Type": "text/plain"}
    assert analyst.call("POST", "api/v1/case", data="{}", headers=headers)[0] == 400
    headers = {"Content-Type": "application/json"}
    assert analyst.call("POST", "api/v1/case", data="{", headers=headers)[1]["type"] == "BadRequest"
    assert analyst.call("POST", "api/v1/case", data="[]", headers=headers)[0] == 400
    assert (
        analyst.call("GET", "api/v1/case/~1", headers={"Authorization": "Bearer x"})[1]["type"] == "AuthenticationError"
    )
    public = analyst.get("api/v1/status/public", headers={"Authorization": ""})
    assert public["version"].startswith("5.")
    assert analyst.call("GET", "api/v1/status", headers={"Authorization": ""})[0] == 401


BARE = {"type": "t", "source": "s", "sourceRef": "r", "title": "t", "description": "d"}


def step(**more: Any) -> dict[str, Any]:
    """A query of cases with one more step."""
    return {"query": [{"_name": "listCase"}, more]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "api/v1/alert/_bulk", {"ids": "x"}), ("POST", "api/v1/alert/merge/_bulk", {"alertIds": [1]}),
        ("POST", "api/v1/case", {"title": "t", "description": "d", "tasks": ["x"]}),
        ("POST", "api/v1/alert", {**BARE, "observables": 5}),
        ("POST", "api/v1/alert", {**BARE, "customFields": "x"}),
        ("POST", "api/v1/query", step(_name="filter", _and=5)),
        ("POST", "api/v1/query", step(_name="filter", _between=5)),
        ("POST", "api/v1/query", step(_name="sort", _fields=5)),
        ("POST", "api/v1/connector/cortex/job", {"analyzerId": 5, "artifactId": []}),
        ("POST", "api/v1/connector/cortex/job/_bulk", {"jobs": [5]}),
        ("PUT", "api/config/organisation/notification", {"value": [5]}),
        ("PUT", "api/config/organisation/notification", {"value": [{"trigger": 5}]}),
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_does_not_hurt_the_lab(lab5: Lab, rest: Any, method: str, path: str, body: Any):
    status, answer = rest(lab5, "orgadmin").call(method, path, body)
    assert (status, answer["type"]) in ((400, "AttributeCheckingError"), (400, "BadRequest"))
    lab5.settle()


def test_looking_again_does_not_multiply(make_lab: Any, rest: Any, observable: dict[str, Any], reports: Path):
    """However many jobs come and go beside one that never ends, there is one timer to look again."""
    lab = make_lab(5, reports=[reports], refresh=60.0)
    lab.faults.jobs.lose.add("AbuseIPDB_2_0")
    service, _, target = job_on(lab, rest, observable, "AbuseIPDB_2_0")
    for number in range(5):
        body = {"analyzerId": "OTXQuery_2_0", "artifactId": target, "parameters": {"number": number}}
        service.post("api/connector/cortex/job", body)
        lab.settle()
    assert len(lab.connector.agenda._items) == 1
