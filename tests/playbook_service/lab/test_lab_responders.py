"""Responders through TheHive: what they get, what becomes of their report, and their operations (contract 4 and 5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab import Lab

HERE = Path(__file__).resolve().parents[2] / "fixtures" / "lab"
PAYLOADS = HERE / "payloads"
NOTE = "Note_1_0"


@pytest.fixture(params=[4, 5], ids=["thehive4", "thehive5"])
def stage(request: pytest.FixtureRequest, make_lab: Any, rest: Any) -> Any:
    return Stage(make_lab(request.param, responders=[HERE / "workers" / "responders"]), rest)


class Stage:
    """A case with an observable, a task and a log, and an alert; a responder that does as its parameters say."""

    def __init__(self, lab: Lab, rest: Any):
        lab.enable(NOTE)
        self.lab, self.version = lab, lab.version
        self.rest = rest
        self.hive, self.cortex = rest(lab, "service"), rest(lab, "cortex_service")
        self.ids = self._things()

    def _things(self) -> dict[str, str]:
        hive = self.hive
        field = {"name": "rule", "group": "Wazuh", "description": "", "type": "string"}
        self.rest(self.lab, "admin").post("api/v1/customField", field)
        case = hive.post("api/v1/case", {"title": "t", "description": "d", "tags": ["wazuh"]})
        if self.version == 5:
            hive.patch(f"api/v1/case/{case['_id']}", {"customFields": {"rule": "5763"}})
        observable = {"dataType": "ip", "data": "203.0.113.45", "tags": ["src-ip"], "message": "m", "sighted": True}
        target = hive.post(f"api/v1/case/{case['_id']}/observable", observable)[0]
        task = hive.post(f"api/v1/case/{case['_id']}/task", {"title": "t", "description": "d"})
        log = hive.post(f"api/v1/task/{task['_id']}/log", {"message": "m"})
        alert = {"type": "wazuh", "source": "s", "sourceRef": "1", "title": "t", "description": "d"}
        made = hive.post("api/v1/alert", alert)
        return {
            "case": case["_id"], "case_artifact": target["_id"], "case_task": task["_id"], "case_task_log": log["_id"],
            "alert": made["_id"],
        }  # fmt: skip

    def act(self, kind: str, operations: Any = (), **parameters: Any) -> dict[str, Any]:
        """Run the responder to its end and give the action as it then is."""
        self.start(kind, operations, **parameters)
        self.lab.settle()
        return self.actions(kind)[-1]

    def start(self, kind: str, operations: Any = (), **parameters: Any) -> dict[str, Any]:
        body = {
            "responderId": NOTE, "cortexId": "Cortex-01", "objectType": kind, "objectId": self.ids[kind],
            "parameters": {"operations": list(operations), **parameters},
        }  # fmt: skip
        return self.hive.post("api/connector/cortex/action", body, status=200)

    def actions(self, kind: str) -> list[dict[str, Any]]:
        return self.hive.get(f"api/connector/cortex/action/{kind}/{self.ids[kind]}")

    def input(self, action: dict[str, Any]) -> dict[str, Any]:
        return json.loads(action["report"])["full"]["input"]

    def case(self) -> dict[str, Any]:
        return self.hive.get(f"api/v1/case/{self.ids['case']}")


@pytest.mark.parametrize("kind", ["case", "alert", "case_artifact", "case_task", "case_task_log"])
def test_a_responder_gets_the_object_in_the_legacy_shape(stage: Stage, kind: str):
    """thehive.md 4.3 and `responder_input_*.json`: `data` is the v0 object, nested; who started it in `parameters`."""
    from test_lab_payloads import differences, shape

    given = stage.input(stage.act(kind))
    assert given["dataType"] == f"thehive:{kind}"
    assert given["parameters"]["organisation"] == "soc-main"
    assert given["parameters"]["user"] == "playbook@soc.example"
    wanted = json.loads((PAYLOADS / f"responder_input_v{stage.version}_{kind}.json").read_text(encoding="utf-8"))
    found = differences(shape(given["data"]), shape(wanted["data"]))
    state = ("updatedBy", "updatedAt", "customFields", "severity")  # depends on what happened before
    assert [text for text in found if not any(name in text for name in state)] == []


def test_an_action_as_it_is_answered(stage: Stage):
    """thehive.md 4.2: status, `operations` and `report` are texts that hold JSON; v4 has no id; POST answers 200."""
    started = stage.start("case_artifact")
    assert started["status"] == "Waiting"
    assert ("_id" in started) == (stage.version == 5)
    stage.lab.settle()
    ended = stage.actions("case_artifact")[0]
    wanted = json.loads((PAYLOADS / f"api_v{stage.version}_action_success.json").read_text(encoding="utf-8"))
    assert set(ended) == set(wanted)
    assert ended["objectType"] == "Observable"
    assert json.loads(ended["operations"]) == []
    assert set(json.loads(ended["report"])) == set(json.loads(wanted["report"]))
    assert json.loads(ended["report"])["success"] is True


def test_operations_change_what_they_say(stage: Stage):
    """thehive.md 5: every operation with its status and message, done with the launching user's rights."""
    operations = [
        {"type": "AddTagToArtifact", "tag": "blocked"},
        {"type": "AddTagToCase", "tag": "contained"},
        {"type": "CreateTask", "title": "Review", "description": "Look again"},
        {"type": "AddCustomFields", "name": "rule", "tpe": "string", "value": "1"},
        {"type": "AddArtifactToCase", "data": "bad.example.net", "dataType": "domain", "message": "found"},
        {"type": "AssignCase", "owner": "approver@soc.example"},
        {"type": "AddTagToAlert", "tag": "x"},
        {"type": "AssignCase", "owner": "nobody@soc.example"},
    ]
    done = json.loads(stage.act("case_artifact", operations)["operations"])
    assert [one["status"] for one in done] == ["Success"] * 6 + ["Failure"] * 2
    assert done[0] == {"type": "AddTagToArtifact", "tag": "blocked", "status": "Success", "message": "Success"}
    case = stage.case()
    assert (case["tags"], case["assignee"]) == (["wazuh", "contained"], "approver@soc.example")
    assert [(one["name"], one["value"]) for one in case["customFields"]] == [("rule", "1")]
    of_case = {"_name": "getCase", "idOrName": stage.ids["case"]}
    assert [one["title"] for one in stage.hive.query(of_case, {"_name": "tasks"})] == ["t", "Review"]
    assert [one["data"] for one in stage.hive.query(of_case, {"_name": "observables"})] == [
        "203.0.113.45",
        "bad.example.net",
    ]
    assert stage.hive.get(f"api/v1/observable/{stage.ids['case_artifact']}")["tags"] == ["src-ip", "blocked"]


def test_operations_on_an_alert(stage: Stage):
    """thehive.md 5: AddTagToAlert and MarkAlertAsRead work on alerts only, AddTagToCase needs a case."""
    operations = [
        {"type": "AddTagToAlert", "tag": "seen"}, {"type": "MarkAlertAsRead"}, {"type": "AddTagToCase", "tag": "x"},
    ]  # fmt: skip
    done = json.loads(stage.act("alert", operations)["operations"])
    assert [one["status"] for one in done] == ["Success", "Success", "Failure"]
    alert = stage.hive.get(f"api/v1/alert/{stage.ids['alert']}")
    assert alert["tags"] == ["seen"]
    assert alert["read"] is True if stage.version == 4 else alert["stage"] == "Closed"


def test_task_operations_work_from_a_log_only(stage: Stage):
    """thehive.md 5, TH#2117: CloseTask and AddLogToTask fail on the task itself."""
    operations = [{"type": "AddLogToTask", "content": "done"}, {"type": "CloseTask"}]
    assert [one["status"] for one in json.loads(stage.act("case_task", operations)["operations"])] == ["Failure"] * 2
    assert [one["status"] for one in json.loads(stage.act("case_task_log", operations)["operations"])] == [
        "Success"
    ] * 2
    assert stage.hive.get(f"api/v1/task/{stage.ids['case_task']}")["status"] == "Completed"


def test_an_unknown_operation(stage: Stage):
    """thehive.md 5: version 4 throws and the action never ends; version 5.1+ ignores it."""
    action = stage.act(
        "case_artifact", [{"type": "AddTaskToCase", "title": "x"}, {"type": "AddTagToArtifact", "tag": "y"}]
    )
    if stage.version == 4:
        assert action["status"] == "Waiting"
        return
    assert action["status"] == "Success"
    assert [one["type"] for one in json.loads(action["operations"])] == ["AddTagToArtifact"]


def test_a_responder_that_fails(stage: Stage):
    """Its message is in the report, its operations are not done."""
    action = stage.act("case_artifact", [{"type": "AddTagToArtifact", "tag": "y"}], do="fail")
    report = json.loads(action["report"])
    assert (action["status"], report["success"], report["errorMessage"]) == ("Failure", False, "the service said no")
    assert stage.hive.get(f"api/v1/observable/{stage.ids['case_artifact']}")["tags"] == ["src-ip"]


def test_responders_are_listed_by_type_and_by_what_they_may_see(stage: Stage):
    """thehive.md 4.1 and 4.3: filtered by data type and by maximal TLP and PAP."""
    path = f"api/connector/cortex/responder/case_artifact/{stage.ids['case_artifact']}"
    assert [one["name"] for one in stage.hive.get(path)] == [NOTE]
    stage.hive.patch(f"api/v1/observable/{stage.ids['case_artifact']}", {"tlp": 3})
    assert stage.hive.get(path) == []
    status, body = stage.hive.call(
        "POST",
        "api/connector/cortex/action",
        {"responderId": "none", "objectType": "case", "objectId": stage.ids["case"]},
    )
    assert (status, body["type"]) == (404, "NotFoundError")
    reader = stage.rest(stage.lab, "reader")
    body = {"responderId": NOTE, "objectType": "case", "objectId": stage.ids["case"]}
    assert reader.call("POST", "api/connector/cortex/action", body)[0] == 403


def test_actions_of_version_5_can_be_many(make_lab: Any, rest: Any):
    """thehive.md 4.1: `POST actions`, `GET responders/{entityType}` (5.7)."""
    stage = Stage(make_lab(5, responders=[HERE / "workers" / "responders"]), rest)
    one = {"responderId": NOTE, "objectType": "case", "objectId": stage.ids["case"]}
    assert len(stage.hive.post("api/v1/connector/cortex/actions", [one, one], status=200)) == 2
    stage.lab.settle()
    assert [action["status"] for action in stage.actions("case")] == ["Success"] * 2
    assert [found["name"] for found in stage.hive.get("api/v1/connector/cortex/responders/case")] == [NOTE]
    steps = {"_name": "getCase", "idOrName": stage.ids["case"]}, {"_name": "actions"}, {"_name": "count"}
    assert stage.hive.query(*steps) == 2


def test_taxonomies_that_thehive_does_not_take(make_lab: Any, rest: Any):
    """thehive.md 4.2, Taxonomy rules: one malformed or of an unknown level drops the whole list; new replace old."""
    lab = make_lab(5, analyzers=[HERE / "workers" / "analyzers"])
    lab.enable("Echo_1_0", {"key": "k"})
    hive = rest(lab, "service")
    case = hive.post("api/v1/case", {"title": "t", "description": "d"})["_id"]
    target = hive.post(f"api/v1/case/{case}/observable", {"dataType": "ip", "data": "203.0.113.45"})[0]["_id"]
    good = {"level": "info", "namespace": "N", "predicate": "P", "value": 1}

    def reports(*taxonomies: Any) -> Any:
        job = {"analyzerId": "Echo_1_0", "artifactId": target, "parameters": {"taxonomies": list(taxonomies)}}
        hive.post("api/connector/cortex/job", job)
        lab.settle()
        return hive.get(f"api/v1/observable/{target}")["reports"]

    assert reports({**good, "level": "terrible"}) == {}
    assert reports(good, {"level": "info", "namespace": "N"}) == {}
    assert reports(good) == {"Echo_1_0": {"taxonomies": [good]}}
    assert reports({**good, "value": 2}) == {"Echo_1_0": {"taxonomies": [{**good, "value": 2}]}}


def test_an_analyzer_gets_case_number_and_user(make_lab: Any, rest: Any, tmp_path: Path):
    """thehive.md 4.3 and `analyzer_input_*.json`: message is the case number; a file has no data."""
    lab = make_lab(5, analyzers=[HERE / "workers" / "analyzers"])
    lab.enable("Echo_1_0", {"key": "k"})
    hive = rest(lab, "service")
    case = hive.post("api/v1/case", {"title": "t", "description": "d"})["_id"]
    path = f"api/v1/case/{case}/observable"
    plain = hive.post(path, {"dataType": "ip", "data": "203.0.113.45", "tlp": 1, "pap": 1})[0]["_id"]
    body = (
        b'--b\r\nContent-Disposition: form-data; name="_json"\r\n\r\n{"dataType":"file"}\r\n--b\r\n'
        b"Content-Disposition: "
        b'form-data; name="attachment"; filename="a.json"\r\nContent-Type: application/json\r\n\r\n{}\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    file = hive.expect(201, "POST", path, data=body, headers=headers)[0]["_id"]
    inputs = []
    for target in (plain, file):
        job = hive.post("api/connector/cortex/job", {"analyzerId": "Echo_1_0", "artifactId": target})
        lab.settle()
        inputs.append(hive.get(f"api/connector/cortex/job/{job['id']}")["report"]["full"]["input"])
        del inputs[-1]["config"]
    names = {"organisation": "soc-main", "user": "playbook@soc.example"}
    assert inputs[0] == {
        "data": "203.0.113.45", "dataType": "ip", "tlp": 1, "pap": 1, "message": "1", "parameters": names,
    }  # fmt: skip
    wanted = json.loads((PAYLOADS / "analyzer_input_file.json").read_text(encoding="utf-8"))
    assert inputs[1].keys() == wanted.keys() - {"config"}
    assert inputs[1]["filename"] == "a.json"
