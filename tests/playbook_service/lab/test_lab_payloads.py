"""Webhook messages and answers against the recorded payloads: same keys, same types, in all four dialects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab import Lab

PAYLOADS = Path(__file__).resolve().parents[2] / "fixtures" / "lab" / "payloads"


def payload(name: str) -> dict[str, Any]:
    return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))


def shape(value: Any) -> Any:
    """Keys and types, without the values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two shapes differ; an empty list or object says nothing of what it would hold."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if path.endswith(("customFields", "customFieldValues", "reports", "full")):
            return []
        found = [f"{path}.{name}: {'missing' if name in theirs else 'extra'}" for name in ours.keys() ^ theirs.keys()]
        for name in sorted(ours.keys() & theirs.keys()):
            found += differences(ours[name], theirs[name], f"{path}.{name}")
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        return differences(ours[0], theirs[0], f"{path}[]") if ours and theirs else []
    return [] if ours == theirs else [f"{path}: {ours} instead of {theirs}"]


class Story:
    """An alert is raised, made a case, worked on and closed, with every message kept."""

    def __init__(self, lab: Lab, receiver: Any, rest: Callable[..., Any], dialect: int):
        self.lab, self.receiver = lab, receiver
        self.wazuh, self.analyst = rest(lab, "wazuh"), rest(lab, "analyst")
        self.service, self.admin = rest(lab, "service"), rest(lab, "admin")
        lab.notify(receiver.url, dialect=dialect)
        self.v5 = lab.version == 5
        self._fields()

    def _fields(self) -> None:
        field = {"name": "wazuh-rule-id", "displayName": "Rule", "description": "Wazuh rule id", "type": "string"}
        self.admin.post("api/v1/customField", {**field, "group": "Wazuh"})

    def since(self, mark: int) -> list[dict[str, Any]]:
        self.lab.settle()
        return self.receiver.bodies[mark:]

    def tell(self, work: Callable[[], Any]) -> list[dict[str, Any]]:
        self.lab.settle()
        mark = len(self.receiver.bodies)
        work()
        return self.since(mark)

    def raise_alert(self, alert: dict[str, Any], observable: dict[str, Any]) -> str:
        if self.v5:
            return self.wazuh.post("api/v1/alert", {**alert, "observables": [observable]})["_id"]
        values = {"wazuh-rule-id": {"string": "5763", "order": 0}}
        made = self.wazuh.post("api/alert", {**alert, "artifacts": [observable], "customFields": values})
        return made["_id"]

    def open_case(self) -> str:
        body: dict[str, Any] = {
            "title": "t", "description": "d", "severity": 3, "startDate": 1767261659000, "tags": ["wazuh"],
        }  # fmt: skip
        if not self.v5:
            body["customFields"] = {"wazuh-rule-id": {"string": "5763", "order": 0}}
        return self.analyst.post("api/v1/case" if self.v5 else "api/case", body)["_id"]


def check(
    messages: list[dict[str, Any]], kinds: tuple[str, ...], verbs: tuple[str, ...], name: str, detail: str = ""
) -> None:
    """One of the messages is of that kind, verb and detail, and has the shape of the payload of that name."""
    fitting = [
        one
        for one in messages
        if one["objectType"] in kinds
        and str(one.get("action") or one.get("operation")).lower() in verbs
        and (not detail or detail in one["details"])
    ]
    assert fitting, (
        f"no such message among {[(one['objectType'], one.get('operation', one.get('action'))) for one in messages]}"
    )
    assert differences(shape(fitting[0]), shape(payload(name))) == []


CREATE, UPDATE, DELETE = ("create", "creation"), ("update",), ("delete",)
DIALECTS = [(4, 0), (4, 1), (5, 0), (5, 1)]


@pytest.fixture(params=DIALECTS, ids=[f"v{version}_v{dialect}" for version, dialect in DIALECTS])
def story(request: pytest.FixtureRequest, make_lab: Any, receiver: Any, rest: Any, reports: Path) -> Story:
    version, dialect = request.param
    made = Story(make_lab(version, reports=[reports]), receiver, rest, dialect)
    made.prefix = f"v{version}_v{dialect}"  # type: ignore[attr-defined]
    return made


def exists(name: str) -> bool:
    return (PAYLOADS / f"{name}.json").is_file()


def test_alert_messages(story: Any, alert: dict[str, Any], observable: dict[str, Any]):
    """thehive.md 1.5, 1.6: raising an alert with one observable; its tags and its status changed."""
    identity = ""

    def work() -> None:
        nonlocal identity
        identity = story.raise_alert(alert, observable)

    messages = story.tell(work)
    check(messages, ("Alert", "alert"), CREATE, f"{story.prefix}_alert_create")
    if story.v5:
        check(messages, ("Observable", "case_artifact"), CREATE, f"{story.prefix}_alert_observable_create")
        started = story.tell(lambda: story.analyst.patch(f"api/v1/alert/{identity}", {"status": "InProgress"}))
        check(started, ("Alert", "alert"), UPDATE, f"{story.prefix}_alert_update_inprogress", "stage")
        closing = {"status": "Duplicate", "summary": "Same as case #127"}
        closed = story.tell(lambda: story.analyst.patch(f"api/v1/alert/{identity}", closing))
        check(closed, ("Alert", "alert"), UPDATE, f"{story.prefix}_alert_close", "summary")
    else:
        more = {**observable, "data": "203.0.113.46"}
        added = story.tell(lambda: story.wazuh.post(f"api/alert/{identity}/artifact", more))
        check(added, ("Observable", "case_artifact"), CREATE, f"{story.prefix}_alert_observable_create")
        tags = {"tags": ["wazuh", "ssh", "consensus:malicious"]}
        tagged = story.tell(lambda: story.analyst.patch(f"api/v1/alert/{identity}", tags))
        check(tagged, ("Alert", "alert"), UPDATE, f"{story.prefix}_alert_update_tags", "tags")
        read = story.tell(lambda: story.analyst.post(f"api/v1/alert/{identity}/read", status=204))
        check(read, ("Alert", "alert"), UPDATE, f"{story.prefix}_alert_update_read", "read")


def test_a_deleted_alert(story: Any, alert: dict[str, Any], observable: dict[str, Any]):
    """thehive.md 1.4: `object` is missing on delete, the context is the organisation."""
    identity = story.raise_alert(alert, observable)
    messages = story.tell(lambda: story.analyst.expect(204, "DELETE", f"api/v1/alert/{identity}"))
    assert [one["objectType"] for one in messages] == ["Alert" if story.prefix.endswith("v1") else "alert"]
    assert "object" not in messages[0]
    if exists(f"{story.prefix}_alert_delete"):
        check(messages, ("Alert", "alert"), DELETE, f"{story.prefix}_alert_delete")


def test_case_messages(story: Any):
    """thehive.md 1.5: a case is opened, changed, closed and deleted."""
    identity = ""

    def work() -> None:
        nonlocal identity
        identity = story.open_case()

    kinds = ("Case", "case")
    opened = story.tell(work)
    check(opened, kinds, CREATE, f"{story.prefix}_case_create")
    if exists(f"{story.prefix}_case_create_share"):
        check(opened, kinds, UPDATE, f"{story.prefix}_case_create_share", "share")
    path = f"api/v1/case/{identity}" if story.v5 else f"api/case/{identity}"
    status = 204 if story.v5 else 200
    if story.v5:
        started = story.tell(lambda: story.analyst.patch(path, {"status": "InProgress"}))
        check(started, kinds, UPDATE, f"{story.prefix}_case_update_status", "stage")
        closing = {"status": "FalsePositive", "impactStatus": "NoImpact", "summary": "Authorised scanner"}
    else:
        raised = story.tell(lambda: story.analyst.patch(path, {"severity": 4}, status=status))
        check(raised, kinds, UPDATE, f"{story.prefix}_case_update_severity", "severity")
        closing = {
            "status": "Resolved", "resolutionStatus": "FalsePositive", "impactStatus": "NoImpact",
            "summary": "Authorised scanner",
        }  # fmt: skip
    closed = story.tell(lambda: story.analyst.patch(path, closing, status=status))
    check(closed, kinds, UPDATE, f"{story.prefix}_case_close_falsepositive", "summary")
    assert len(closed) == 1
    deleted = story.tell(lambda: story.analyst.expect(204, "DELETE", path))
    if exists(f"{story.prefix}_case_delete"):
        check(deleted, kinds, DELETE, f"{story.prefix}_case_delete")


def test_custom_field_messages(story: Any):
    """thehive.md 1.5: `details.customFields` as list (v5 v1, with customFieldChanges) or as object (v4)."""
    identity = story.open_case()
    if story.v5:
        work = lambda: story.analyst.patch(f"api/v1/case/{identity}", {"customFields": {"wazuh-rule-id": "5763"}})  # noqa: E731
    else:
        change = {"customFields.wazuh-rule-id": "5763x"}
        work = lambda: story.analyst.patch(f"api/case/{identity}", change, status=200)  # noqa: E731
    messages = story.tell(work)
    if exists(f"{story.prefix}_case_update_customfield"):
        wanted = payload(f"{story.prefix}_case_update_customfield")
        if story.prefix == "v5_v1":  # the recorded one was of a case already begun
            for place in ("object", "context"):
                for name in ("inProgressDate", "timeToTriage", "timeToAcknowledge"):
                    del wanted[place][name]
        assert differences(shape(messages[0]), shape(wanted)) == []
        ours, theirs = messages[0]["details"]["customFields"], wanted["details"]["customFields"]
        assert shape(ours) == shape(theirs)
        assert shape(messages[0]["object"]["customFields"]) == shape(wanted["object"]["customFields"])


def test_alert_to_case_messages(story: Any, alert: dict[str, Any], observable: dict[str, Any]):
    """thehive.md 1.6, row alert -> case."""
    identity = story.raise_alert(alert, observable)
    path = f"api/v1/alert/{identity}/case" if story.v5 else f"api/alert/{identity}/createCase"
    messages = story.tell(lambda: story.analyst.post(path, {}))
    if story.v5:
        check(messages, ("Alert", "alert"), UPDATE, f"{story.prefix}_case_from_alert_alert_imported", "caseId")
        check(messages, ("Case", "case"), CREATE, f"{story.prefix}_case_from_alert_create", "fromAlert")
        case = next(one for one in messages if one["objectType"] in ("Case", "case"))
        assert case["object"]["title"].startswith("[Import in progress: 0%] ")
        if story.prefix == "v5_v1":
            check(messages, ("Observable",), CREATE, "v5_v1_case_from_alert_observable_create")
    else:
        check(messages, ("Alert", "alert"), UPDATE, f"{story.prefix}_case_from_alert_1_alert_update", "caseId")
        check(messages, ("Case", "case"), CREATE, f"{story.prefix}_case_from_alert_2_case_create", "fromAlert")
    kinds = sorted(one["objectType"].lower() for one in messages)
    observables = 1 if story.v5 else 0
    assert len(kinds) == 2 + observables
    assert len({one["requestId"] for one in messages}) == 1


def test_a_merged_alert(story: Any, alert: dict[str, Any], observable: dict[str, Any]):
    """thehive.md 1.6, row alert merged into case."""
    case, identity = story.open_case(), story.raise_alert(alert, observable)
    path = f"api/v1/alert/{identity}/merge/{case}" if story.v5 else f"api/alert/{identity}/merge/{case}"
    messages = story.tell(lambda: story.analyst.post(path, status=200))
    if story.v5:
        assert sorted(one["objectType"].lower() for one in messages) in (
            ["alert", "observable"], ["alert", "case_artifact"],
        )  # fmt: skip
    else:
        assert len(messages) == 2
        check(messages, ("Case", "case"), ("update", "merge"), f"{story.prefix}_case_merge_alert", "fromAlert")


def test_observable_messages(story: Any, observable: dict[str, Any]):
    """thehive.md 1.5: an observable of a case is added, tagged, marked, removed."""
    case = story.open_case()
    kinds = ("Observable", "case_artifact")
    identity = ""

    def work() -> None:
        nonlocal identity
        answer = story.analyst.post(f"api/v1/case/{case}/observable", observable)
        identity = answer[0]["_id"]

    check(story.tell(work), kinds, CREATE, f"{story.prefix}_observable_create")
    path = f"api/v1/observable/{identity}"
    if story.v5:
        story.analyst.patch(f"api/v1/case/{case}", {"status": "InProgress"})
        tagged = story.tell(lambda: story.analyst.patch(path, {"addTags": ["consensus:malicious"]}))
        check(tagged, kinds, UPDATE, f"{story.prefix}_observable_update_tags", "tags")
        assert tagged[-1]["details"] == {"tags": ["src-ip", "consensus:malicious"]}
    else:
        marked = story.tell(lambda: story.analyst.patch(path, {"ioc": True}))
        check(marked, kinds, UPDATE, f"{story.prefix}_observable_update_ioc", "ioc")
    removed = story.tell(lambda: story.analyst.expect(204, "DELETE", path))
    if exists(f"{story.prefix}_observable_delete"):
        check(removed, kinds, DELETE, f"{story.prefix}_observable_delete")


def test_task_messages(story: Any):
    """thehive.md 1.5: a task is made, begun by a log line, completed; its deletion has no message."""
    case = story.open_case()
    task = {"title": "Block source address", "group": "Containment", "description": "Block it"}
    kinds = ("Task", "case_task")
    identity = ""

    def work() -> None:
        nonlocal identity
        identity = story.analyst.post(f"api/v1/case/{case}/task", task)["_id"]

    check(story.tell(work), kinds, CREATE, f"{story.prefix}_task_create")
    if story.v5:
        story.analyst.patch(f"api/v1/case/{case}", {"status": "InProgress"})
    logs = ("Log", "case_task_log")
    logged = story.tell(lambda: story.analyst.post(f"api/v1/task/{identity}/log", {"message": "Block requested."}))
    check(logged, logs, CREATE, f"{story.prefix}_task_log_create")
    assert len(logged) == 1
    completed = story.tell(lambda: story.analyst.patch(f"api/v1/task/{identity}", {"status": "Completed"}))
    check(completed, kinds, UPDATE, f"{story.prefix}_task_update_completed", "status")
    if story.prefix == "v5_v1":
        again = story.tell(lambda: story.analyst.patch(f"api/v1/task/{identity}", {"status": "InProgress"}))
        check(again, kinds, UPDATE, "v5_v1_task_update_inprogress", "endDate")
    assert story.tell(lambda: story.analyst.expect(204, "DELETE", f"api/v1/task/{identity}")) == []


def test_comment_messages(story: Any):
    """thehive.md 1.5: `details` hold the author only, the text is in `object.message` (v5)."""
    case = story.open_case()
    if not story.v5:
        assert story.analyst.call("POST", f"api/v1/case/{case}/comment", {"message": "x"})[0] == 404
        return
    story.analyst.patch(f"api/v1/case/{case}", {"status": "InProgress"})
    said = story.tell(lambda: story.analyst.post(f"api/v1/case/{case}/comment", {"message": "3/4 malicious"}))
    check(said, ("Comment", "comment"), CREATE, f"{story.prefix}_comment_create")
    assert said[0]["object"]["message"] == "3/4 malicious"


def test_job_messages(story: Any, observable: dict[str, Any]):
    """thehive.md 1.5 and 1.6, row run analyzer; 4.2: what `GET job/{id}` answers."""
    case = story.open_case()
    target = story.analyst.post(f"api/v1/case/{case}/observable", observable)[0]["_id"]
    if story.v5:
        story.analyst.patch(f"api/v1/case/{case}", {"status": "InProgress"})
    job = {"analyzerId": "AbuseIPDB_2_0", "cortexId": "Cortex-01", "artifactId": target}
    made: dict[str, Any] = {}
    messages = story.tell(lambda: made.update(story.service.post("api/connector/cortex/job", job)))
    kinds = ("Job", "case_artifact_job")
    for verb, event in ((CREATE, "job_create"), (UPDATE, "job_finish")):
        for name in (f"{story.prefix}_{event}", f"{story.prefix}_{event}_INFERRED"):
            if exists(name):
                wanted = payload(name)
                fitting = [
                    one
                    for one in messages
                    if one["objectType"] in kinds and str(one.get("action") or one["operation"]).lower() in verb
                ]
                assert len(fitting) == 1
                left_out = ".context"  # the recorded one shows an earlier state of the observable
                found = differences(shape(fitting[0]), shape(wanted))
                assert [text for text in found if not text.startswith(left_out)] == []
    updates = [
        one
        for one in messages
        if str(one.get("action") or one["operation"]).lower() == "update" and "reports" in one["details"]
    ]
    assert len(updates) == (1 if story.v5 else 0)
    if story.prefix == "v5_v1":
        assert (
            differences(shape(updates[0]["details"]), shape(payload("v5_v1_observable_update_reports")["details"]))
            == []
        )
        assert updates[0]["mainAction"] is False
    version = story.prefix[:2]
    finished = story.service.get(f"api/connector/cortex/job/{made['id']}")
    assert differences(shape(finished), shape(payload(f"api_{version}_job_success"))) == []
    if story.v5:
        assert differences(shape(made), shape(payload("api_v5_job_waiting"))) == []


def test_a_failed_job(story: Any, observable: dict[str, Any]):
    """thehive.md 4.2: `api_v5_job_failure.json`."""
    case = story.open_case()
    target = story.analyst.post(f"api/v1/case/{case}/observable", observable)[0]["_id"]
    job = {"analyzerId": "VirusTotal_GetReport_3_1", "cortexId": "Cortex-01", "artifactId": target}
    made = story.service.post("api/connector/cortex/job", job)
    story.lab.settle()
    finished = story.service.get(f"api/connector/cortex/job/{made['id']}")
    assert finished["report"] == {"errorMessage": "401 Unauthorized: API key is invalid", "success": False}
    if story.v5:
        assert differences(shape(finished), shape(payload("api_v5_job_failure"))) == []
    assert story.analyst.get(f"api/v1/observable/{target}")["reports"] == {}


@pytest.mark.parametrize("version", [4, 5])
def test_errors_are_those_of_thehive(make_lab: Any, rest: Any, alert: dict[str, Any], version: int):
    """thehive.md 3.1 and `api_error_*.json`, `api_v4_error_alert_duplicate.json`."""
    lab = make_lab(version)
    service, reader = rest(lab, "service"), rest(lab, "reader")
    service.post("api/v1/alert", alert)
    wanted = payload("api_v4_error_alert_duplicate")
    status, body = service.call("POST", "api/v1/alert", alert)
    assert (status, body) == (wanted["_http_status"], wanted["body"])
    wanted = payload("api_error_notfound")
    assert service.call("GET", "api/v1/case/~1") == (wanted["_http_status"], wanted["body"])
    wanted = payload("api_error_authorization")
    assert reader.call("POST", "api/v1/alert", alert) == (wanted["_http_status"], wanted["body"])
