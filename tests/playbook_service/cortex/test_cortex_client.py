"""The client of Cortex against a scripted server: what it asks, what it makes of the answers, how it fails."""

from __future__ import annotations

from typing import Any

import pytest
from hive_server import Asked, Reply, Script, error

from playbook_service.cortex import Cortex, CortexWorker
from propolis.clock import ManualClock
from propolis.errors import ConfigurationError, InputError
from propolis.http import HttpError

ABUSE = CortexWorker("3c9ab8e0", "AbuseIPDB_2_0", "AbuseIPDB_2_0", "2.0", ("ip",), 2, 2)
BLOCK = CortexWorker(
    "77b1c5ea", "FirewallBlock_1_0", "FirewallBlock_1_0", "1.0", ("thehive:case_artifact",), None, None
)
RUN = "POST /api/analyzer/3c9ab8e0/run"
REPORT = {"success": True, "summary": {"taxonomies": []}, "full": {"score": 100}, "artifacts": [], "operations": []}


def job(number: int = 1, **changes: Any) -> dict[str, Any]:
    base = {
        "id": f"job-{number}", "_id": f"job-{number}", "workerId": "3c9ab8e0", "workerName": "AbuseIPDB_2_0",
        "workerDefinitionId": "AbuseIPDB_2_0", "organization": "soc", "status": "Success", "dataType": "ip",
        "data": "203.0.113.45", "tlp": 2, "pap": 2, "message": "128", "parameters": {"user": "playbook@soc.example"},
        "type": "analyzer", "createdAt": 1767261710000 - number, "startDate": 1767261710100, "endDate": 1767261715000,
    }  # fmt: skip
    return base | changes


def test_the_version_is_read_from_the_public_status(server: Script, cortex: Cortex) -> None:
    server.on("GET /api/status", Reply(200, {"versions": {"Cortex": "4.1.0-1", "Play": "2.9"}}))
    assert cortex.version() == "4.1.0-1"


def test_a_thehive_is_not_taken_for_a_cortex(server: Script, cortex: Cortex) -> None:
    server.on("GET /api/status", Reply(200, {"versions": {"TheHive": "4.1.24-1"}}))
    with pytest.raises(ConfigurationError, match="is not Cortex: check that cortex_url is its address"):
        cortex.version()


def test_a_missing_key_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="set cortex_key"):
        Cortex("http://192.0.2.1:9001", "", clock=ManualClock())


def test_analyzers_of_a_data_type(server: Script, cortex: Cortex) -> None:
    shown = {
        "id": "3c9ab8e0", "name": "Abuse, renamed", "version": "2.0", "workerDefinitionId": "AbuseIPDB_2_0",
        "dataTypeList": ["ip"], "maxTlp": 2,
    }  # fmt: skip
    server.on("GET /api/analyzer/type/uri_path", Reply(200, [shown]))
    assert cortex.analyzers("uri_path") == [
        CortexWorker("3c9ab8e0", "Abuse, renamed", "AbuseIPDB_2_0", "2.0", ("ip",), 2, None)
    ]
    assert server.seen[0].headers["authorization"] == "Bearer c0rtex-key"


@pytest.mark.parametrize("entity_type", ["case_artifact", "thehive:case_artifact"])
def test_responders_of_a_kind_of_entity(server: Script, cortex: Cortex, entity_type: str) -> None:
    server.on("GET /api/responder/type/thehive:case_artifact", Reply(200, [{"id": "77b1c5ea", "name": "Block"}]))
    assert [one.id for one in cortex.responders(entity_type)] == ["77b1c5ea"]


def test_a_job_that_has_ended_comes_with_its_report(server: Script, cortex: Cortex) -> None:
    server.on("GET /api/job/job-1/report", Reply(200, job(report=REPORT, fromCache=True)))
    found = cortex.job("job-1")
    assert found is not None
    assert (found.finished, found.from_cache, found.report) == (True, True, REPORT)
    assert (found.definition, found.data, found.ended_at) == ("AbuseIPDB_2_0", "203.0.113.45", 1767261715000)


@pytest.mark.parametrize(("status", "report"), [("Waiting", "Waiting"), ("InProgress", "Running")])
def test_a_job_that_goes_on_has_no_report(server: Script, cortex: Cortex, status: str, report: str) -> None:
    server.on("GET /api/job/job-1/waitreport", Reply(200, job(status=status, report=report)))
    found = cortex.wait_report("job-1", 30)
    assert found is not None
    assert (found.finished, found.report, found.ended_at) == (False, None, 0)


@pytest.mark.parametrize(("seconds", "asked"), [(30, "30second"), (0.2, "1second"), (600, "60second")])
def test_waiting_is_bounded(server: Script, cortex: Cortex, seconds: float, asked: str) -> None:
    server.on("GET /api/job/job-1/waitreport", Reply(200, job(report=REPORT)))
    cortex.wait_report("job-1", seconds)
    assert server.seen[0].params["atMost"] == [asked]


def test_a_job_that_cortex_lost_is_none(server: Script, cortex: Cortex) -> None:
    server.on("GET /api/job/gone/report", error(404, "JobNotFoundError", "Job gone not found"))
    assert cortex.job("gone") is None


def test_a_proxys_404_does_not_make_a_job_vanish(server: Script, cortex: Cortex) -> None:
    server.on("GET /api/job/job-1/report", Reply(404, b"<html>", kind="text/html"))
    with pytest.raises(HttpError, match="HTML page"):
        cortex.job("job-1")


def test_a_search_compares_the_data_itself_and_skips_what_slid_into_the_next_page(
    server: Script, cortex: Cortex
) -> None:
    jobs = [job(number, data="203.0.113.45" if number % 50 == 0 else "198.51.100.1") for number in range(150)]

    def page(asked: Asked) -> Reply:
        start, end = map(int, asked.json["range"].split("-"))
        shift = 1 if start else 0  # a new job came in between
        return Reply(200, jobs[max(0, start - shift) : end - shift])

    server.on("POST /api/job/_search", page)
    found = list(cortex.search_jobs(data_type="ip", data="203.0.113.45", statuses=["Success"], since=1767200000000))
    assert [one.id for one in found] == ["job-0", "job-50", "job-100"]
    query = server.seen[0].json["query"]["_and"]
    assert query == [
        {"type": "analyzer"},
        {"dataType": "ip"},
        {"_in": {"_field": "status", "_values": ["Success"]}},
        {"_gte": {"createdAt": 1767200000000}},
    ]
    assert [one.params["range"] for one in server.seen] == [["0-100"], ["100-200"]]


def test_a_search_ends_at_its_bound(server: Script, cortex: Cortex) -> None:
    server.on("POST /api/job/_search", Reply(200, [job(number) for number in range(100)]))
    assert len(list(cortex.search_jobs(definition="AbuseIPDB_2_0"))) == 100
    assert len(server.seen) == 20


def test_a_run_says_everything_and_never_a_tlp_that_cortex_does_not_know(server: Script, cortex: Cortex) -> None:
    server.on(RUN, Reply(200, job(status="Waiting")))
    started = cortex.run_analyzer(
        ABUSE, "ip", "203.0.113.45", tlp=4, message="128", parameters={"reports": []}, force=True
    )
    assert (started.id, started.finished) == ("job-1", False)
    assert server.seen[0].json == {
        "dataType": "ip", "tlp": 3, "pap": 2, "message": "128", "parameters": {"reports": []}, "data": "203.0.113.45",
        "force": True,
    }  # fmt: skip


def test_a_file_goes_as_an_attachment(server: Script, cortex: Cortex) -> None:
    worker = ABUSE._replace(data_types=("file",))
    server.on(RUN, Reply(200, job(status="Waiting")))
    cortex.run_analyzer(worker, "file", "alert.json", file=b"{}", force=True)
    asked = server.seen[0]
    assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="attachment"; filename="alert.json"' in asked.body
    assert asked.params["force"] == ["1"]


def test_a_responder_is_given_the_entity_and_its_kind(server: Script, cortex: Cortex) -> None:
    server.on("POST /api/responder/77b1c5ea/run", Reply(200, job(type="responder", status="Waiting")))
    entity = {"_type": "case_artifact", "dataType": "ip", "data": "203.0.113.45", "tlp": 2, "pap": 1}
    assert cortex.run_responder(BLOCK, "case_artifact", entity, label="[ip] 203.0.113.45").type == "responder"
    body = server.seen[0].json
    assert (body["dataType"], body["data"], body["pap"]) == ("thehive:case_artifact", entity, 1)


def test_a_data_type_that_a_worker_does_not_take_is_refused_before_it_is_sent(server: Script, cortex: Cortex) -> None:
    with pytest.raises(InputError, match="AbuseIPDB_2_0 does not take domain, only ip"):
        cortex.run_analyzer(ABUSE, "domain", "example.org")
    assert server.seen == []


def test_a_run_whose_answer_was_lost_is_in_doubt_and_not_repeated(server: Script) -> None:
    server.on(RUN, Reply(hang=True))
    cortex = Cortex(server.url, "k", clock=ManualClock(), timeout=(2.0, 0.3), retries=3)
    with pytest.raises(HttpError) as caught:
        cortex.run_analyzer(ABUSE, "ip", "203.0.113.45")
    assert caught.value.ambiguous
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "Cortex refused the account's API key (401): renew or correct it (cortex_key)."),
        (403, "Cortex refused to let the account start workers (403): give it the role `analyze` in its organisation."),
        (429, "Cortex refused to start workers (429): the worker's rate limit is reached; wait, or raise it there."),
        (520, "Cortex' database is not initialised yet (520): open Cortex in a browser and let it create it."),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(server: Script, cortex: Cortex, status: int, words: str) -> None:
    server.on(RUN, error(status, "Error", "no"))
    with pytest.raises(HttpError) as caught:
        cortex.run_analyzer(ABUSE, "ip", "203.0.113.45")
    assert (str(caught.value), caught.value.status, caught.value.ambiguous) == (words, status, False)


def test_reading_needs_less_than_starting(server: Script, cortex: Cortex) -> None:
    server.on("GET /api/analyzer/type/ip", error(403, "AuthorizationError", "no"))
    with pytest.raises(HttpError, match="give it the role `read`"):
        cortex.analyzers("ip")


@pytest.mark.parametrize("answer", [Reply(200, b"<html>log in</html>", kind="text/html"), Reply(200, {"no": "list"})])
def test_nonsense_is_an_error_and_not_an_empty_list(server: Script, cortex: Cortex, answer: Reply) -> None:
    server.on("GET /api/analyzer/type/ip", answer)
    with pytest.raises(HttpError) as caught:
        cortex.analyzers("ip")
    assert caught.value.kind == "format"
