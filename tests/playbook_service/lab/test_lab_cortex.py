"""The embedded Cortex: definitions, configuration, process runner, jobs (contract on Cortex, sections 1 to 4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab import Lab
from playbook_service.lab.cortex.definition import scan
from playbook_service.lab.exchange import ApiError
from propolis.clock import ManualClock

WORKERS = Path(__file__).resolve().parents[2] / "fixtures" / "lab" / "workers"
KEY = {"key": "k"}


@pytest.fixture
def cortex(make_lab: Callable[..., Lab]) -> Lab:
    lab = make_lab(
        5, analyzers=[WORKERS / "analyzers"], responders=[WORKERS / "responders"], environment={"LAB_MARK": "1"}
    )
    lab.enable("Echo_1_0", KEY)
    lab.enable("Note_1_0")
    return lab


@pytest.fixture
def client(cortex: Lab, rest: Any) -> Any:
    return rest(cortex, "cortex_service")


def worker(client: Any, name: str, kind: str = "analyzer") -> str:
    return next(one["id"] for one in client.get(f"api/{kind}", params={"range": "all"}) if one["name"] == name)


def start(client: Any, data: str = "203.0.113.45", *, force: bool = True, **more: Any) -> dict[str, Any]:
    body = {"data": data, "dataType": "ip", "tlp": 2, "pap": 2, "force": force, **more}
    return client.post(f"api/analyzer/{worker(client, 'Echo_1_0')}/run", body, status=200)


def finish(client: Any, job: dict[str, Any]) -> dict[str, Any]:
    return client.get(f"api/job/{job['id']}/waitreport", params={"atMost": "20second"})


def test_definitions_are_found_as_cortex_finds_them():
    """cortex.md 1: every JSON one level deep; lists; what is no definition is named; commands stay inside."""
    catalog = scan("analyzer", [WORKERS / "analyzers"])
    assert sorted(catalog.definitions) == ["Echo_1_0", "Echo_Docker_2_1"]
    assert catalog.definitions["Echo_1_0"].command == WORKERS / "analyzers" / "Echo" / "echo.py"
    assert catalog.definitions["Echo_Docker_2_1"].docker_image == "example/echo:2.1"
    reasons = " ".join(catalog.invalid)
    assert "data.json: not a worker definition" in reasons
    assert "outside.json: the command must lie inside" in reasons


def test_a_single_file_is_a_place_too():
    """cortex.md 1: `analyzer.urls` lists directories or single JSON files."""
    assert list(scan("responder", [WORKERS / "responders" / "Note" / "Note.json"]).definitions) == ["Note_1_0"]


@pytest.mark.parametrize(
    ("configuration", "fault"),
    [
        ({}, "MissingAttributeError(key)"),
        ({"key": 5}, "InvalidFormatAttributeError(key)"),
        ({"key": "k", "count": "3"}, "InvalidFormatAttributeError(count)"),
        ({"key": "k", "count": True}, "InvalidFormatAttributeError(count)"),
        ({"key": "k", "words": "one"}, "InvalidFormatAttributeError(words)"),
        ({"key": "k", "surprise": 1}, "UnknownAttributeError(surprise)"),
        ({"key": "k", "max_tlp": "2"}, "InvalidFormatAttributeError(max_tlp)"),
    ],
)
def test_a_wrong_configuration_is_refused(make_lab: Any, rest: Any, configuration: dict[str, Any], fault: str):
    """cortex.md 1: values are type-checked on save, unknown items and missing required ones are refused."""
    lab = make_lab(5, analyzers=[WORKERS / "analyzers"])
    admin = rest(lab, "cortex_admin")
    body = {"name": "Echo_1_0", "configuration": configuration}
    status, answer = admin.call("POST", "api/organization/analyzer/Echo_1_0", body)
    assert status == 400
    assert answer["type"] == "AttributeCheckingError"
    assert fault in answer["message"]


def test_a_job_gets_what_cortex_gives(cortex: Lab, client: Any):
    """cortex.md 2: input.json, config merged over the definition's, null and [] for what is unset, cwd, environment."""
    job = start(client, message="128", parameters={"organisation": "soc-main", "user": "u"})
    full = finish(client, job)["report"]["full"]
    assert full["cwd"] == str(WORKERS / "analyzers")
    assert len(full["argv"]) == 1
    assert full["mark"] == "1"
    given = full["input"]
    assert given["config"] == {
        "service": "get", "nested": {"a": 1}, "do": None, "key": "k", "words": [], "count": 3, "on": None,
        "check_tlp": True, "max_tlp": 2, "check_pap": True, "max_pap": 2, "auto_extract_artifacts": False,
    }  # fmt: skip
    del given["config"]
    assert given == {
        "data": "203.0.113.45", "dataType": "ip", "tlp": 2, "pap": 2, "message": "128",
        "parameters": {"organisation": "soc-main", "user": "u"},
    }  # fmt: skip


def test_the_job_folder_is_gone_afterwards(cortex: Lab, client: Any):
    """cortex.md 2: two jobs never share a folder; nothing is left of one."""
    first, second = (finish(client, start(client))["report"]["full"]["argv"][0] for _ in range(2))
    assert first != second
    assert not Path(first).exists()


def test_proxies_and_certificates_reach_the_worker(make_lab: Any, rest: Any):
    """cortex.md 2: proxies as config.proxy, the CA file in the job folder and in REQUESTS_CA_BUNDLE."""
    lab = make_lab(5, analyzers=[WORKERS / "analyzers"])
    lab.enable("Echo_1_0", {"key": "k", "proxy_http": "http://proxy.example.org:3128", "cacerts": "PEM"})
    full = finish(client := rest(lab, "cortex_service"), start(client))["report"]["full"]
    assert full["input"]["config"]["proxy"] == {"http": "http://proxy.example.org:3128"}
    assert full["bundle"] == f"{full['argv'][0]}/input/cacerts"


def test_a_file_arrives_as_attachment(cortex: Lab, client: Any):
    """cortex.md 2: no `data` but `file`, `filename`, `contentType`; the file lies in `input/`."""
    boundary = "x123"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="_json"\r\n\r\n{{"dataType":"file","tlp":1}}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="alert.json"\r\n'
        f"Content-Type: application/json\r\n\r\n{{}}\r\n--{boundary}--\r\n"
    ).encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    path = f"api/analyzer/{worker(client, 'Echo_1_0')}/run"
    job = client.expect(200, "POST", path, data=body, headers=headers)
    full = finish(client, job)["report"]["full"]
    assert "data" not in full["input"]
    assert full["input"]["filename"] == "alert.json"
    assert full["input"]["contentType"] == "application/json"
    assert full["attachment"] == "{}"


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ("crash", "Traceback: something went wrong\n"),
        ("nonsense", "Invalid output"),
        ("list", "Invalid output: full must be an object"),
        ("fail", "the service said no"),
    ],
)
def test_a_job_that_goes_wrong_says_so(cortex: Lab, client: Any, do: str, message: str):
    """cortex.md 2: no output: what was printed is the message; `full` must be an object; exit codes do not count."""
    report = finish(client, start(client, parameters={"do": do}))
    assert report["status"] == "Failure"
    assert report["report"]["errorMessage"].startswith(message)
    assert report["errorMessage"] == report["report"]["errorMessage"]


def test_a_job_without_command_fails(make_lab: Any, rest: Any):
    """The lab has no Docker: an image without a command is a job that fails with a reason."""
    lab = make_lab(5, analyzers=[WORKERS / "analyzers"])
    lab.enable("Echo_Docker_2_1")
    client = rest(lab, "cortex_service")
    job = client.post(
        f"api/analyzer/{worker(client, 'Echo_Docker_2_1')}/run", {"data": "x", "dataType": "ip"}, status=200
    )
    assert "Docker image" in finish(client, job)["report"]["errorMessage"]


def test_a_job_that_runs_too_long_is_killed(make_lab: Any, rest: Any, manual_clock: ManualClock):
    """cortex.md 2: a worker that runs past `jobTimeout` minutes is killed; the lab's clock counts them."""
    lab = make_lab(5, analyzers=[WORKERS / "analyzers"], clock=manual_clock)
    lab.enable("Echo_1_0", KEY, jobTimeout=1)
    client = rest(lab, "cortex_service")
    job = start(client, parameters={"do": "sleep"})

    def ended() -> bool:
        manual_clock.advance(10)
        return client.get(f"api/job/{job['id']}")["status"] == "Failure"

    assert lab.connector.agenda.wait(ended, 10)
    report = client.get(f"api/job/{job['id']}/report")
    assert report["status"] == "Failure"
    assert "Timeout" in report["report"]["errorMessage"]


def test_unfinished_jobs_answer_with_a_word(cortex: Lab, client: Any):
    """cortex.md 4: `report` is "Waiting"/"Running"/"Deleted" while unfinished; status calls know NotFound."""
    cortex.faults.jobs.hang.add("Echo")
    job = start(client)
    cortex.settle()
    assert client.get(f"api/job/{job['id']}/report")["report"] == "Running"
    assert client.get(f"api/job/{job['id']}/waitreport", params={"atMost": "10ms"})["status"] == "InProgress"
    statuses = client.post("api/job/status", {"jobIds": [job["id"], "nothing"]}, status=200)
    assert statuses == {job["id"]: "InProgress", "nothing": "NotFound"}
    client.expect(204, "DELETE", f"api/job/{job['id']}")
    assert client.get(f"api/job/{job['id']}/report")["report"] == "Deleted"


def test_the_cache_answers_the_same_question(cortex: Lab, client: Any, rest: Any):
    """cortex.md 4, Cache: same worker, type, tlp, data, parameters; not with force; responders never."""
    first = start(client)
    finish(client, first)
    again = start(client, force=False)
    assert (again["id"], again["fromCache"]) == (first["id"], True)
    assert start(client, force=True)["id"] != first["id"]
    assert start(client, force=False, tlp=1)["id"] != first["id"]
    assert start(client, force=False, parameters={"a": 1})["id"] != first["id"]
    note = f"api/responder/{worker(client, 'Note_1_0', 'responder')}/run"
    body = {"data": {"id": "~1"}, "dataType": "thehive:case"}
    assert client.post(note, body, status=200)["id"] != client.post(note, body, status=200)["id"]


def test_the_cache_ends_with_its_time_and_can_be_off(make_lab: Any, rest: Any, manual_clock: ManualClock):
    """cortex.md 4, Cache: `jobCache` minutes, 0 is none; a failed job is not taken."""
    lab = make_lab(5, analyzers=[WORKERS / "analyzers"], clock=manual_clock)
    worker = lab.enable("Echo_1_0", KEY, jobCache=5)
    client = rest(lab, "cortex_service")
    first = start(client)
    finish(client, first)
    manual_clock.advance(301)
    second = start(client, force=False)
    assert "fromCache" not in second
    finish(client, second)
    lab.cortex.change(worker, {"jobCache": 0})
    assert "fromCache" not in start(client, force=False)
    lab.cortex.change(worker, {"jobCache": 5})
    failed = start(client, force=False, parameters={"do": "fail"})
    finish(client, failed)
    assert "fromCache" not in start(client, force=False, parameters={"do": "fail"})


def test_the_rate_is_limited(make_lab: Any, rest: Any, manual_clock: ManualClock):
    """cortex.md 4, Errors: 429 RateLimitExceeded beyond the worker's rate, until the unit has passed."""
    lab = make_lab(5, analyzers=[WORKERS / "analyzers"], clock=manual_clock)
    lab.enable("Echo_1_0", KEY, rate=2, rateUnit="Minute")
    client = rest(lab, "cortex_service")
    path = f"api/analyzer/{worker(client, 'Echo_1_0')}/run"
    for number in range(2):
        client.post(path, {"data": str(number), "dataType": "ip"}, status=200)
    status, body = client.call("POST", path, {"data": "3", "dataType": "ip"})
    assert (status, body["type"]) == (429, "RateLimitExceeded")
    manual_clock.advance(61)
    client.post(path, {"data": "3", "dataType": "ip"}, status=200)


def test_searches_page_sort_and_do_not_find_data(cortex: Lab, client: Any):
    """cortex.md 4: first ten by default, range with end exclusive, X-Total, sort; a query on `data` finds nothing."""
    cortex.faults.jobs.hang.add("*")
    for number in range(12):
        start(client, data=f"203.0.113.{number}")
    search = client.client.post("api/job/_search", json={"query": {"dataType": "ip"}}, retry=False)
    assert (len(search.json()), search.headers["X-Total"]) == (10, "12")
    newest = client.expect(200, "POST", "api/job/_search", {"query": {}}, params={"range": "0-2", "sort": "-createdAt"})
    assert [one["data"] for one in newest] == ["203.0.113.11", "203.0.113.10"]
    body = {
        "query": {"_and": [{"type": "analyzer"}, {"_gte": {"createdAt": 0}}]},
        "range": "3-5",
        "sort": ["+createdAt"],
    }
    assert [one["data"] for one in client.post("api/job/_search", body, status=200)] == ["203.0.113.3", "203.0.113.4"]
    assert client.post("api/job/_search", {"query": {"data": "203.0.113.1"}}, status=200) == []
    body = {"query": {"_in": {"_field": "status", "_values": ["Success"]}}, "range": "all"}
    assert client.post("api/job/_search", body, status=200) == []
    status, answer = client.call("POST", "api/job/_search", {"range": "x"})
    assert (status, answer["type"]) == (400, "SearchError")


def test_roles_and_keys(cortex: Lab, rest: Any):
    """cortex.md 4: read < analyze < orgadmin; 401 without a key, 403 without the role, 404 for what is another's."""
    reader, admin = rest(cortex, "cortex_reader"), rest(cortex, "cortex_admin")
    path = f"api/analyzer/{worker(reader, 'Echo_1_0')}/run"
    assert reader.call("POST", path, {"data": "x", "dataType": "ip"})[0] == 403
    assert "configuration" not in reader.get("api/analyzer")[0]
    assert admin.get("api/analyzer")[0]["configuration"]["key"] == "k"
    nobody = {"Authorization": "Bearer wrong"}
    assert reader.call("GET", "api/analyzer", headers=nobody)[0] == 401
    assert reader.call("GET", "api/analyzer/0123")[0] == 404
    assert reader.call("GET", "api/job/nothing")[1]["type"] == "NotFoundError"
    superadmin = rest(cortex, "cortex_superadmin")
    assert superadmin.get("api/analyzer") == []


def test_status_needs_no_key_and_health_is_not_implemented(cortex: Lab, client: Any):
    """cortex.md 4: `/api/status` for everybody; `/api/health` answers 501."""
    assert client.get("api/status", headers={"Authorization": ""})["versions"]["Cortex"].startswith("4.1.0")
    assert client.call("GET", "api/health")[0] == 501


def test_a_restart_runs_waiting_jobs_and_forgets_running_ones(make_lab: Any, rest: Any):
    """cortex.md 4: only Waiting jobs are run again; what was InProgress stays so for ever."""
    lab = make_lab(5, analyzers=[WORKERS / "analyzers"], parallel=1)
    lab.enable("Echo_1_0", KEY)
    client = rest(lab, "cortex_service")
    running = start(client, parameters={"do": "sleep"})
    lab.connector.agenda.wait(lambda: client.get(f"api/job/{running['id']}")["status"] == "InProgress", 5)
    waiting = start(client, data="198.51.100.1")
    lab.restart_cortex()
    assert finish(client, waiting)["status"] == "Success"
    assert client.get(f"api/job/{running['id']}")["status"] == "InProgress"


def test_a_lost_job_never_ends(cortex: Lab, client: Any):
    """The fault `lose`: InProgress for ever, and `settle` does not wait for it."""
    cortex.faults.jobs.lose.add("Echo_1_0")
    job = start(client)
    cortex.settle()
    assert client.get(f"api/job/{job['id']}")["status"] == "InProgress"
    cortex.faults.clear()
    cortex.settle()
    assert client.get(f"api/job/{job['id']}")["status"] == "InProgress"


def test_jobs_fail_hang_and_talk_nonsense_on_demand(cortex: Lab, client: Any):
    """The faults `fail`, `nonsense` and `hang`."""
    cortex.faults.jobs.fail["Echo"] = "quota exceeded"
    assert finish(client, start(client))["report"]["errorMessage"] == "quota exceeded"
    cortex.faults.clear()
    cortex.faults.jobs.nonsense.add("Echo")
    assert "Invalid output" in finish(client, start(client))["report"]["errorMessage"]
    cortex.faults.clear()
    cortex.faults.jobs.hang.add("Echo")
    hanging = start(client)
    cortex.settle()
    cortex.faults.clear()
    assert finish(client, hanging)["status"] == "Success"


def test_recorded_analyzers_answer_from_the_recording(make_lab: Any, rest: Any, reports: Path):
    """Scripted analyzers: enabled under their definition names; unknown data is `info: not found`."""
    lab = make_lab(5, reports=[reports])
    client = rest(lab, "cortex_service")
    names = [one["name"] for one in client.get("api/analyzer/type/ip")]
    assert names == ["AbuseIPDB_2_0", "OTXQuery_2_0", "VirusTotal_GetReport_3_1"]
    path = f"api/analyzer/{worker(client, 'AbuseIPDB_2_0')}/run"
    known = finish(client, client.post(path, {"data": "203.0.113.45", "dataType": "ip"}, status=200))
    assert known["report"]["summary"]["taxonomies"][0]["value"] == "42 record(s)"
    unknown = finish(client, client.post(path, {"data": "192.0.2.9", "dataType": "ip"}, status=200))
    assert unknown["report"]["summary"]["taxonomies"] == [
        {"level": "info", "namespace": "AbuseIPDB", "predicate": "Result", "value": "not found"}
    ]
    artifacts = client.get(f"api/job/{known['id']}/artifacts")
    assert [one["data"] for one in artifacts] == ["scan.example.net", "other.example.net"]


def test_answers_can_be_recorded_as_one_goes(make_lab: Any, rest: Any, reports: Path):
    """`lab.record`: a new opinion of a known analyzer, a new data type, a new analyzer."""
    lab = make_lab(5, reports=[reports])
    client = rest(lab, "cortex_service")
    taxonomy = {"level": "safe", "namespace": "X", "predicate": "P", "value": "none"}
    report = {"success": True, "summary": {"taxonomies": [taxonomy]}, "full": {}}
    for definition, kind, data in (("OTXQuery_2_0", "url", "https://example.org/"), ("New_1_0", "ip", "192.0.2.1")):
        lab.record(definition, kind, data, report)
        assert definition in {one["name"] for one in client.get(f"api/analyzer/type/{kind}")}
        path = f"api/analyzer/{worker(client, definition)}/run"
        job = finish(client, client.post(path, {"data": data, "dataType": kind}, status=200))
        assert job["report"]["summary"]["taxonomies"] == [taxonomy]


def test_a_recorded_answer_takes_its_time(make_lab: Any, rest: Any, reports: Path, manual_clock: ManualClock):
    """`answer_delay` seconds by the lab's clock."""
    lab = make_lab(5, reports=[reports], answer_delay=30, clock=manual_clock)
    client = rest(lab, "cortex_service")
    path = f"api/analyzer/{worker(client, 'OTXQuery_2_0')}/run"
    job = client.post(path, {"data": "203.0.113.45", "dataType": "ip"}, status=200)
    lab.settle(future=False)
    assert client.get(f"api/job/{job['id']}")["status"] == "InProgress"
    manual_clock.advance(31)
    lab.settle()
    ended = client.get(f"api/job/{job['id']}")
    assert ended["status"] == "Success"
    assert ended["endDate"] - ended["startDate"] >= 30_000


def test_a_worker_is_enabled_once(cortex: Lab):
    with pytest.raises(ApiError, match="already exists"):
        cortex.enable("Echo_1_0", KEY)


def test_an_administrator_scans_changes_and_disables(cortex: Lab, rest: Any):
    """cortex.md 4: scan 204; PATCH checks the configuration as enabling does; DELETE 204."""
    admin = rest(cortex, "cortex_admin")
    admin.expect(204, "POST", "api/analyzerdefinition/scan", {})
    identity = worker(admin, "Echo_1_0")
    assert admin.call("PATCH", f"api/analyzer/{identity}", {"configuration": {}})[0] == 400
    changed = admin.expect(200, "PATCH", f"api/analyzer/{identity}", {"configuration": {"key": "new"}, "jobCache": 0})
    assert (changed["configuration"]["key"], changed["jobCache"]) == ("new", 0)
    admin.expect(204, "DELETE", f"api/analyzer/{identity}")
    assert admin.call("GET", f"api/analyzer/{identity}")[0] == 404
