"""Cases, observables and tasks: changed without losing what others wrote, read alike from both versions."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hive_samples import TASKS, case, case_4, observable, task
from hive_server import Asked, Reply, Script, error

from playbook_service.hive.contract import Hive
from playbook_service.hive.model import ObservableDraft, TaskDraft
from propolis.errors import InputError
from propolis.http import HttpError

CASE = "GET /api/v1/case/~81924208"
PATCHES = {4: "PATCH /api/case/~81924208", 5: "PATCH /api/v1/case/~81924208"}
OBSERVABLE = "POST /api/v1/case/~81924208/observable"
IP = ObservableDraft("ip", "203.0.113.45", "from Wazuh", ("src-ip",), tlp=4)


def field(name: str, value: Any, order: int = 0) -> dict[str, Any]:
    return {"_id": f"~{order}", "name": name, "type": "string", "value": value, "order": order}


# how a case stands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "is_open", "resolution"),
    [
        (case(status="InProgress", stage="InProgress"), True, ""),
        (case(status="FalsePositive", stage="Closed"), False, "FalsePositive"),
        (case(status="Contained by hand", stage="Closed"), False, "Contained by hand"),
        (case_4(), True, ""),
        (case_4(status="Resolved", resolutionStatus="TruePositive"), False, "TruePositive"),
        (case_4(status="Resolved"), False, "Indeterminate"),
        (case_4(status="Duplicated"), False, "Duplicated"),
    ],
)
def test_open_or_closed_and_how(
    server: Script, hive5: Hive, document: dict[str, Any], is_open: bool, resolution: str
) -> None:
    server.on(CASE, Reply(200, document | {"endDate": 1767265200000, "closedDate": 1767265200000}))
    found = hive5.case("~81924208")
    assert found is not None
    assert (found.open, found.resolution, found.closed_at) == (is_open, resolution, 0 if is_open else 1767265200000)


def test_a_case_that_is_not_there_is_none(server: Script, hive: Hive) -> None:
    server.on(CASE, error(404, "NotFoundError", "Case not found"))
    assert hive.case("~81924208") is None


# custom fields -------------------------------------------------------------------------------------------------------


def test_version_5_keeps_every_field_that_is_not_named(server: Script, hive5: Hive) -> None:
    fields = [field("wazuh-rule-id", "5763"), field("hosts", "a", 1), field("hosts", "b", 1), field("owner", "x", 2)]
    state = case(customFields=fields)

    def replaced(asked: Asked) -> Reply:
        state["customFields"] = asked.json["customFields"]
        return Reply(204)

    server.on(CASE, lambda _: Reply(200, dict(state))).on(PATCHES[5], replaced)
    hive5.update_case("~81924208", custom_fields={"owner": "y", "wazuh-agent-id": "003"})
    assert server.calls(PATCHES[5])[0].json == {
        "customFields": [
            {"name": "wazuh-rule-id", "value": "5763", "order": 0},
            {"name": "hosts", "value": "a", "order": 1},
            {"name": "hosts", "value": "b", "order": 1},
            {"name": "owner", "value": "y", "order": 2},
            {"name": "wazuh-agent-id", "value": "003", "order": 4},
        ]
    }
    assert len(server.calls(PATCHES[5])) == 1


def test_version_5_adds_fields_that_nobody_set_without_rewriting_the_others(server: Script, hive5: Hive) -> None:
    state = case(customFields=[field("owner", "x")])

    def added(asked: Asked) -> Reply:
        more = [field(name, value) for name, value in asked.json["customFields"].items()]
        state["customFields"] = [*state["customFields"], *more]
        return Reply(204)

    server.on(CASE, lambda _: Reply(200, dict(state))).on(PATCHES[5], added)
    hive5.update_case("~81924208", custom_fields={"wazuh-rule-id": "5763"})
    assert [one.json for one in server.calls(PATCHES[5])] == [{"customFields": {"wazuh-rule-id": "5763"}}]


def test_version_5_writes_nothing_where_the_fields_hold_already(server: Script, hive5: Hive) -> None:
    server.on(CASE, Reply(200, case(customFields=[field("wazuh-rule-level", 10)])))
    hive5.update_case("~81924208", custom_fields={"wazuh-rule-level": "10"})
    assert server.calls(PATCHES[5]) == []


def test_version_5_reads_back_where_the_answer_was_lost_and_does_not_add_twice(server: Script, hive5: Hive) -> None:
    state = case()

    def acts(_: Asked) -> Reply:
        state["customFields"] = [field("wazuh-rule-id", "5763")]
        return Reply(hang=True)

    server.on(CASE, lambda _: Reply(200, dict(state))).on(PATCHES[5], acts)
    hive5.update_case("~81924208", custom_fields={"wazuh-rule-id": "5763"})
    assert len(server.calls(PATCHES[5])) == 1


def test_version_4_names_each_field_by_itself(server: Script, hive4: Hive) -> None:
    server.on(PATCHES[4], Reply(200, {})).on(CASE, Reply(200, case_4(tags=["wazuh", "escalated"])))
    hive4.update_case(
        "~81924208",
        add_tags=["escalated"],
        severity=4,
        flag=True,
        assignee="lead@soc.example",
        custom_fields={"wazuh-rule-id": "5763", "wazuh-rule-level": 12},
    )
    assert [one.json for one in server.calls(PATCHES[4])] == [
        {
            "severity": 4,
            "flag": True,
            "owner": "lead@soc.example",
            "customFields.wazuh-rule-id": "5763",
            "customFields.wazuh-rule-level": 12,
        }
    ]


def test_version_5_changes_a_case_in_one_request(server: Script, hive5: Hive) -> None:
    server.on(PATCHES[5], Reply(204))
    hive5.update_case("~81924208", add_tags=["escalated"], severity=4, flag=True, assignee="lead@soc.example")
    assert server.seen[-1].json == {
        "severity": 4, "flag": True, "assignee": "lead@soc.example", "addTags": ["escalated"],
    }  # fmt: skip


def test_a_login_page_is_not_taken_for_a_change_that_was_made(server: Script, hive5: Hive) -> None:
    server.on(PATCHES[5], Reply(200, b" <html>log in</html>", kind="text/html"))
    with pytest.raises(HttpError, match="an HTML page came where JSON was expected"):
        hive5.update_case("~81924208", severity=4)


def test_fields_are_read_alike_from_both_apis() -> None:
    from playbook_service.hive import reading

    version_1 = [field("rule", "5763"), field("hosts", "a"), field("hosts", "b")]
    assert reading.custom_fields(version_1) == {"rule": "5763", "hosts": ["a", "b"]}
    assert reading.custom_fields({"rule": {"order": 0, "string": "5763"}, "level": {"integer": 10}}) == {
        "rule": "5763", "level": 10,
    }  # fmt: skip
    assert reading.custom_fields(None) == {}


# comments and techniques ---------------------------------------------------------------------------------------------


def test_only_version_5_has_comments(server: Script, hive4: Hive) -> None:
    before = len(server.seen)
    hive4.comment("~81924208", "blocked")
    assert len(server.seen) == before


def test_a_comment_is_left(server: Script, hive5: Hive) -> None:
    server.on("POST /api/v1/case/~81924208/comment", Reply(201, {}))
    hive5.comment("~81924208", "blocked")
    assert server.seen[-1].json == {"message": "blocked"}


def test_techniques_are_noted_once_and_unknown_ones_passed_over(server: Script, hive: Hive) -> None:
    path = "POST /api/v1/procedure" if hive.major == 4 else "POST /api/v1/case/~81924208/procedure"
    server.on("getCase procedures", Reply(200, [{"_id": "~1", "patternId": "T1110", "tactic": "credential-access"}]))
    server.on(path, error(404, "NotFoundError", "Pattern not found"), Reply(201, {}))
    techniques = [("T1110", "credential-access"), ("T9999", "impact"), ("T1021", "lateral-movement")]
    hive.add_techniques("~81924208", techniques, 1767261600000)
    assert [one.json["patternId"] for one in server.calls(path)] == ["T9999", "T1021"]
    assert server.calls(path)[0].json.get("caseId") == ("~81924208" if hive.major == 4 else None)


# observables ---------------------------------------------------------------------------------------------------------


def test_an_observable_is_made_and_returned(server: Script, hive: Hive) -> None:
    server.on(OBSERVABLE, Reply(201, [observable()]))
    made = hive.create_observable("~81924208", IP)
    assert (made.id, made.data_type, made.data, made.sighted) == ("~41103504", "ip", "203.0.113.45", True)
    assert server.seen[-1].json == {
        "dataType": "ip", "data": "203.0.113.45", "message": "from Wazuh", "tags": ["src-ip"], "ioc": False,
        "tlp": 3 if hive.major == 4 else 4,
    }  # fmt: skip


@pytest.mark.parametrize("status", [207, 400, 409])
def test_one_that_is_there_is_found_whatever_form_the_refusal_has(
    server: Script, hive: Hive, payload: Any, status: int
) -> None:
    refusal = payload("api_v4_error_observable_duplicate")["body"] if status == 207 else {"type": "CreateError"}
    server.on(OBSERVABLE, Reply(status, refusal)).on("getCase observables", Reply(200, [observable()]))
    assert hive.create_observable("~81924208", IP).id == "~41103504"
    condition = server.calls("getCase observables")[0].json["query"][2]
    assert condition["_and"] == [
        {"_is": {"_field": "dataType", "_value": "ip"}},
        {"_is": {"_field": "data", "_value": "203.0.113.45"}},
    ]


def test_a_partial_success_gives_what_was_made(server: Script, hive: Hive) -> None:
    server.on(OBSERVABLE, Reply(207, {"success": [observable()], "failure": [{"message": "no"}]}))
    assert hive.create_observable("~81924208", IP).id == "~41103504"


def test_a_failure_that_is_no_duplicate_is_told_in_thehives_words(server: Script, hive: Hive) -> None:
    failed = {"success": [], "failure": [{"type": "NotFoundError", "message": "ObservableType ip not found"}]}
    server.on(OBSERVABLE, Reply(207, failed)).on("getCase observables", Reply(200, []))
    with pytest.raises(HttpError, match="made no ip observable in the case ~81924208: ObservableType ip not found"):
        hive.create_observable("~81924208", IP)


def test_an_observable_whose_answer_was_lost_is_found(server: Script, hive: Hive) -> None:
    server.on(OBSERVABLE, Reply(hang=True)).on("getCase observables", Reply(200, []), Reply(200, [observable()]))
    assert hive.create_observable("~81924208", IP).id == "~41103504"
    assert len(server.calls(OBSERVABLE)) == 1


def test_a_file_is_found_again_by_its_hash(server: Script, hive: Hive) -> None:
    hashes = [hashlib.sha256(b"{}").hexdigest(), "sha1", "md5"]
    other = observable(_id="~1", dataType="file", data=None, attachment={"name": "alert.json", "hashes": ["other"]})
    mine = observable(_id="~2", dataType="file", data=None, attachment={"name": "alert.json", "hashes": hashes})
    server.on(OBSERVABLE, error(400, "CreateError", "Observable already exists"))
    server.on("getCase observables", Reply(200, [other, mine]))
    found = hive.create_observable("~81924208", ObservableDraft("file", "alert.json", file=b"{}"))
    assert (found.id, found.data) == ("~2", "alert.json")
    assert b'name="attachment"; filename="alert.json"' in server.calls(OBSERVABLE)[0].body


def test_version_5_adds_tags_to_an_observable(server: Script, hive5: Hive) -> None:
    server.on("PATCH /api/v1/observable/~41103504", Reply(204))
    hive5.update_observable("~41103504", add_tags=["blocked"], ioc=True)
    assert server.seen[-1].json == {"addTags": ["blocked"], "ioc": True}


def test_version_4_reads_the_tags_of_an_observable_before_it_writes_them(server: Script, hive4: Hive) -> None:
    tags = [["src-ip"], ["src-ip"], ["src-ip", "blocked"]]
    server.on("GET /api/v1/observable/~41103504", *[Reply(200, observable(tags=one)) for one in tags])
    server.on("PATCH /api/v1/observable/~41103504", Reply(204))
    hive4.update_observable("~41103504", add_tags=["blocked"], ioc=False)
    bodies = [one.json for one in server.calls("PATCH /api/v1/observable/~41103504")]
    assert bodies == [{"ioc": False}, {"tags": ["src-ip", "blocked"]}]


def test_where_an_observable_hangs(server: Script, hive: Hive) -> None:
    server.on("getObservable case", Reply(200, [])).on("getObservable alert", Reply(200, [{"_id": "~9"}]))
    assert hive.home("~41103504") == ("alert", "~9")
    server.on("getObservable alert", Reply(200, []))
    assert hive.home("~41103504") == ("", "")


# tasks ---------------------------------------------------------------------------------------------------------------


def test_a_task_is_made_and_knows_its_case(server: Script, hive: Hive) -> None:
    server.on(TASKS[hive.major], Reply(201, task()))
    made = hive.create_task("~81924208", TaskDraft("Triage", "Identification", "marker-1", assignee="a@soc.example"))
    assert (made.id, made.case_id, made.status) == ("~41021544", "~81924208", "Waiting")
    body = server.seen[-1].json
    assert body["owner" if hive.major == 4 else "assignee"] == "a@soc.example"
    assert body["group"] == "Identification"


def test_a_task_in_doubt_is_left_to_the_caller_who_finds_it_by_its_marker(server: Script, hive: Hive) -> None:
    server.on(TASKS[hive.major], Reply(hang=True))
    with pytest.raises(HttpError) as caught:
        hive.create_task("~81924208", TaskDraft("Approve", description="… propolis:intent-7 …"))
    assert caught.value.ambiguous
    newer = task(_id="~3", _createdAt=5, description="propolis:intent-7 again")
    server.on("getCase tasks", Reply(200, [newer, task(_id="~2", _createdAt=4, description="… propolis:intent-7 …")]))
    found = hive.find_task("~81924208", "propolis:intent-7")
    assert found is not None
    assert found.id == "~2"
    assert hive.find_task("~81924208", "propolis:intent-8") is None
    assert len(server.calls(TASKS[hive.major])) == 1


def test_a_single_task_tells_its_case_in_the_extra_data(server: Script, hive: Hive) -> None:
    server.on("getTask", Reply(200, [task(extraData={"caseId": "~81924208"})]))
    found = hive.task("~41021544")
    assert found is not None
    assert found.case_id == "~81924208"
    assert server.seen[-1].json["query"][-1] == {"_name": "page", "from": 0, "to": 1, "extraData": ["caseId"]}


@pytest.mark.parametrize("answer", [Reply(200, []), error(404, "NotFoundError", "Task not found")])
def test_a_task_that_is_gone_is_none(server: Script, hive: Hive, answer: Reply) -> None:
    server.on("getTask", answer)
    assert hive.task("~41021544") is None


def test_tasks_are_changed_and_logged_upon(server: Script, hive: Hive) -> None:
    base = "/api/case/task/~41021544" if hive.major == 4 else "/api/v1/task/~41021544"
    server.on(f"PATCH {base}", Reply(204)).on(f"POST {base}/log", Reply(201, {}))
    hive.update_task("~41021544", status="Cancel", flag=False, description="expired")
    hive.log("~41021544", "done")
    assert server.calls(f"PATCH {base}")[0].json == {"status": "Cancel", "description": "expired", "flag": False}
    assert server.calls(f"POST {base}/log")[0].json == {"message": "done"}


def test_a_titles_limit_is_that_of_tasks(hive: Hive) -> None:
    with pytest.raises(InputError, match="title of the task has 129 characters and TheHive takes 128 at most"):
        hive.create_task("~81924208", TaskDraft("t" * 129))
