"""A program written with the public client runs against the lab unchanged: every group of calls it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from thehive4py import TheHiveApi
from thehive4py.errors import TheHiveError
from thehive4py.query.filters import Between, Eq, Gte, Has, In, Like, StartsWith
from thehive4py.query.page import Paginate
from thehive4py.query.sort import Asc, Desc

from playbook_service.lab import Lab

ORG = "tenant-a"


@pytest.fixture
def connect(lab5: Lab) -> Iterator[Callable[..., TheHiveApi]]:
    made: list[TheHiveApi] = []

    def open_client(**options: Any) -> TheHiveApi:
        made.append(TheHiveApi(lab5.thehive_url, max_retries=0, **options))
        return made[-1]

    yield open_client
    for one in made:
        one.session.close()


@pytest.fixture
def admin(connect: Callable[..., TheHiveApi]) -> TheHiveApi:
    """The first administrator, by password, as a fresh installation has it (thehive.md 10.3)."""
    return connect(username="admin@thehive.local", password="secret", organisation="admin")


@pytest.fixture
def hive(connect: Callable[..., TheHiveApi], lab5: Lab) -> TheHiveApi:
    return connect(apikey=lab5.keys.analyst)


@pytest.fixture
def case(hive: TheHiveApi) -> dict[str, Any]:
    return hive.case.create({"title": "SSH brute force", "description": "d", "tags": ["wazuh"]})


def test_a_tenant_is_set_up_over_rest(admin: TheHiveApi, connect: Any):
    """thehive.md 10.3: organisation, users, keys, organisations of a user; the key works in its organisation."""
    organisation = admin.organisation.create({"name": ORG, "description": "A tenant"})
    assert admin.organisation.get(ORG)["_id"] == organisation["_id"]
    admin.organisation.update(ORG, {"description": "Tenant A"})
    assert [one["description"] for one in admin.organisation.find(filters=Eq("name", ORG))] == ["Tenant A"]
    user = admin.user.create(
        {"login": "Bot@soc.example", "name": "Bot", "organisation": ORG, "profile": "analyst", "type": "Service"}
    )
    assert (user["login"], user["hasKey"], user["type"]) == ("bot@soc.example", False, "Service")
    key = admin.user.renew_apikey("bot@soc.example")
    assert admin.user.get_apikey(user["_id"]) == key
    bot = connect(apikey=key)
    assert bot.user.get_current()["organisation"] == ORG
    places = [
        {"organisation": ORG, "profile": "org-admin", "default": True},
        {"organisation": "soc-main", "profile": "read-only", "default": False},
    ]
    assert admin.user.set_organisations(user["_id"], places) == places
    bot.session_organisation = "soc-main"
    current = bot.user.get_current()
    assert (current["profile"], current["permissions"]) == ("read-only", [])
    admin.user.remove_apikey(user["_id"])
    with pytest.raises(TheHiveError, match="AuthenticationError"):
        bot.user.get_current()


def test_users_are_locked_renamed_and_removed(admin: TheHiveApi, connect: Any, lab5: Lab):
    user = admin.user.create({"login": "x@soc.example", "name": "X", "organisation": "soc-main", "profile": "analyst"})
    admin.user.set_password(user["_id"], "a password")
    own = connect(username="x@soc.example", password="a password")
    assert own.user.get_current()["name"] == "X"
    own.user.change_password(user["_id"], "another", "a password")
    with pytest.raises(TheHiveError, match="AuthenticationError"):
        own.user.get_current()
    admin.user.update(user["_id"], {"name": "Y", "locked": True})
    assert admin.user.get("x@soc.example")["locked"] is True
    with pytest.raises(TheHiveError, match="AuthenticationError"):
        connect(username="x@soc.example", password="another").user.get_current()
    before = admin.user.count()
    admin.user.delete(user["_id"])
    assert admin.user.count() == before - 1


def test_profiles_decide_what_is_allowed(admin: TheHiveApi, connect: Any):
    """thehive.md 7: permissions come from the profile; without them 403."""
    admin.profile.create({"name": "tasks-only", "permissions": ["manageTask"]})
    assert admin.profile.get("tasks-only")["permissions"] == ["manageTask"]
    admin.user.create({"login": "t@soc.example", "name": "T", "organisation": "soc-main", "profile": "tasks-only"})
    limited = connect(apikey=admin.user.renew_apikey("t@soc.example"))
    with pytest.raises(TheHiveError, match="AuthorizationError") as refusal:
        limited.case.create({"title": "t", "description": "d"})
    assert refusal.value.response.status_code == 403
    assert limited.case.find() == []


def test_custom_fields_and_observable_types(admin: TheHiveApi, hive: TheHiveApi):
    """thehive.md 3.6: definitions by the administrator only, listed for everybody."""
    field = {"name": "wazuh-rule-id", "displayName": "Rule", "group": "Wazuh", "description": "", "type": "string"}
    made = admin.custom_field.create(field)
    admin.custom_field.update(made["_id"], {"displayName": "Wazuh rule"})
    assert [(one["name"], one["displayName"]) for one in hive.custom_field.list()] == [("wazuh-rule-id", "Wazuh rule")]
    with pytest.raises(TheHiveError, match="AuthorizationError"):
        hive.custom_field.create({**field, "name": "other"})
    with pytest.raises(TheHiveError, match="group"):
        admin.custom_field.create({"name": "n", "type": "string", "description": ""})  # type: ignore[typeddict-item]
    kind = admin.observable_type.create({"name": "wazuh-alert"})
    assert admin.observable_type.get(kind["_id"])["isAttachment"] is False
    assert "wazuh-alert" in {one["name"] for one in hive.observable_type.find()}
    admin.observable_type.delete(kind["_id"])
    admin.custom_field.delete(made["_id"])
    assert hive.custom_field.list() == []


def test_alerts_from_first_to_last(hive: TheHiveApi, alert: dict[str, Any], observable: dict[str, Any]):
    """thehive.md 3.1: create with observables and procedures, read by id or reference, change, find, count, delete."""
    procedure = {"patternId": "T1110", "occurDate": 1767261600000, "tactic": "credential-access"}
    several = {"dataType": "hostname", "data": ["web-01", "web-02"]}
    made = hive.alert.create({**alert, "observables": [observable, several, several], "procedures": [procedure]})
    assert (made["observableCount"], made["status"], made["stage"]) == (3, "New", "New")
    again = hive.alert.get("wazuh;wazuh-manager-01;1767261599.482913")
    assert again["_id"] == made["_id"]
    hive.alert.update(made["_id"], {"addTags": ["rule-5763"], "removeTags": ["ssh"], "severity": 4})
    assert hive.alert.get(made["_id"])["tags"] == ["wazuh", "rule-5763"]
    hive.alert.bulk_update({"ids": [made["_id"]], "status": "Ignored", "summary": "noise"})
    assert hive.alert.get(made["_id"])["stage"] == "Closed"
    hive.alert.unfollow(made["_id"])
    assert hive.alert.get(made["_id"])["follow"] is False
    hive.alert.follow(made["_id"])
    assert hive.alert.create_observable(made["_id"], {"dataType": "domain", "data": "bad.example.net"})[0]["data"]
    assert len(hive.alert.find_observables(made["_id"])) == 4
    hive.alert.create_procedure(made["_id"], {**procedure, "patternId": "T1110.001"})
    assert [one["patternId"] for one in hive.alert.find_procedures(made["_id"])] == ["T1110", "T1110.001"]
    hive.comment.create_in_alert(made["_id"], {"message": "seen"})
    assert [one["message"] for one in hive.alert.find_comments(made["_id"])] == ["seen"]
    assert hive.alert.count(filters=Eq("source", "wazuh-manager-01")) == 1
    hive.alert.bulk_delete([made["_id"]])
    assert hive.alert.find() == []


def test_an_alert_is_raised_once(hive: TheHiveApi, alert: dict[str, Any]):
    """thehive.md 3.1, Duplicate: 400 CreateError."""
    hive.alert.create(alert)
    with pytest.raises(
        TheHiveError, match=r"CreateError - Alert wazuh:wazuh-manager-01:1767261599\.482913 already exist"
    ):
        hive.alert.create(alert)
    assert hive.alert.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "x" * 513}, {"type": "x" * 33}, {"sourceRef": "x" * 129}, {"tags": ["x" * 129]}, {"severity": 5},
        {"tlp": 5}, {"title": None}, {"date": "today"}, {"observables": [{"dataType": "ip", "data": "1" * 4097}]},
        {"status": "Nonsense"}, {"observables": [{"dataType": "planet", "data": "x"}]}, {"customFields": {"none": 1}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_what_is_wrong_with_an_alert_is_refused_as_a_whole(
    hive: TheHiveApi, alert: dict[str, Any], wrong: dict[str, Any]
):
    """thehive.md 3.1, Limits: nothing is kept of an alert that is refused."""
    with pytest.raises(TheHiveError) as refusal:
        hive.alert.create({**alert, **wrong})
    assert refusal.value.response.status_code in (400, 404)
    assert hive.alert.count() == 0
    assert hive.observable.count() == 0


def test_an_alert_becomes_a_case_from_a_template(connect: Any, lab5: Lab, alert: Any, observable: Any):
    """thehive.md 3.1 promote and 8: prefix, tags, custom fields, tasks; observables under new ids; twice is once."""
    chief = connect(apikey=lab5.keys.orgadmin)
    chief.case_template.create(
        {
            "name": "ssh-bruteforce", "titlePrefix": "[SSH]", "severity": 3, "tags": ["from-template"],
            "tasks": [{"title": "Triage", "group": "Identification"}, {"title": "Contain", "group": "Containment"}],
        }
    )  # fmt: skip
    raised = chief.alert.create({**alert, "observables": [observable], "caseTemplate": "ssh-bruteforce"})
    case = chief.alert.promote_to_case(raised["_id"])
    assert case["title"] == f"[SSH] {alert['title']}"
    assert [one["title"] for one in chief.case.find_tasks(case["_id"])] == ["Triage", "Contain"]
    brought = chief.case.find_observables(case["_id"])
    kept = chief.alert.find_observables(raised["_id"])
    assert [one["data"] for one in brought] == [one["data"] for one in kept] == ["203.0.113.45"]
    assert brought[0]["_id"] != kept[0]["_id"]
    imported = chief.alert.get(raised["_id"])
    assert (imported["status"], imported["stage"], imported["caseId"]) == ("Imported", "Imported", case["_id"])
    assert chief.alert.promote_to_case(raised["_id"])["_id"] == case["_id"]
    assert chief.case.count() == 1


def test_alerts_are_merged_into_a_case(hive: TheHiveApi, case: Any, alert: Any, observable: Any):
    """thehive.md 3.1 merge: description, tags, observables; what the case has already is not doubled."""
    hive.case.create_observable(case["_id"], observable)
    first = hive.alert.create({**alert, "observables": [observable]})
    second = hive.alert.create(
        {**alert, "sourceRef": "2", "observables": [{"dataType": "domain", "data": "bad.example.net"}]}
    )
    merged = hive.alert.merge_into_case(first["_id"], case["_id"])
    assert f"#### Merged with alert #{alert['sourceRef']}" in merged["description"]
    assert hive.alert.bulk_merge_into_case(case["_id"], [second["_id"]])["tags"] == ["wazuh", "ssh"]
    assert sorted(one["data"] for one in hive.case.find_observables(case["_id"])) == ["203.0.113.45", "bad.example.net"]
    with pytest.raises(TheHiveError, match="BadRequest - Alert is already imported"):
        hive.alert.merge_into_case(first["_id"], case["_id"])
    related = hive.alert.find(paginate=Paginate(0, 10, extra_data=["relatedCase"]))
    assert {one["extraData"]["relatedCase"]["_id"] for one in related} == {case["_id"]}


def test_cases_from_first_to_last(hive: TheHiveApi, case: Any):
    """thehive.md 3.2: number or id, tags without a race, close with status, reopen, merge, delete."""
    assert hive.case.get(str(case["number"]))["_id"] == case["_id"]
    hive.case.update(
        case["_id"], {"addTags": ["consensus:malicious"], "flag": True, "assignee": "approver@soc.example"}
    )
    changed = hive.case.get(case["_id"])
    assert (changed["tags"], changed["flag"]) == (["wazuh", "consensus:malicious"], True)
    assert changed["assignee"] == "approver@soc.example"
    hive.case.close(case["_id"], "FalsePositive", "Authorised scanner", "NoImpact")
    closed = hive.case.get(case["_id"])
    assert (closed["status"], closed["stage"], closed["impactStatus"]) == ("FalsePositive", "Closed", "NoImpact")
    assert closed["summary"] == "Authorised scanner"
    hive.case.open(case["_id"])
    opened = hive.case.get(case["_id"])
    assert (opened["stage"], opened["closedDate"]) == ("InProgress", closed["closedDate"])
    other = hive.case.create({"title": "Another", "description": "d", "tasks": [{"title": "one"}]})
    merged = hive.case.merge([case["_id"], other["_id"]])
    assert [one["title"] for one in hive.case.find_tasks(merged["_id"])] == ["one"]
    assert hive.case.count() == 1
    hive.case.delete(merged["_id"])
    with pytest.raises(TheHiveError, match="NotFoundError - Case not found"):
        hive.case.get(merged["_id"])


def test_closing_a_case_closes_its_tasks_in_silence(hive: TheHiveApi, case: Any, lab5: Lab):
    """thehive.md 3.2 Close and 1.6: remaining tasks are closed; nobody is told, but the trail knows who did it."""
    waiting = hive.task.create(case["_id"], {"title": "waiting"})
    begun = hive.task.create(case["_id"], {"title": "begun", "status": "InProgress"})
    hive.case.close(case["_id"], "TruePositive", "Blocked")
    assert hive.task.get(waiting["_id"])["status"] == "Cancel"
    assert hive.task.get(begun["_id"])["status"] == "Completed"
    told = [one for one in lab5.audits if one.object_kind == "Task" and one.action == "update" and not one.quiet]
    assert told == []


def test_mandatory_tasks_keep_a_case_open(hive: TheHiveApi, case: Any):
    """thehive.md 3.2 and 3.4 (v5): refused while mandatory tasks are open; those need a log before completion."""
    task = hive.task.create(case["_id"], {"title": "must", "mandatory": True})
    with pytest.raises(TheHiveError, match="mandatory"):
        hive.case.close(case["_id"], "Other", "done")
    assert hive.case.get(case["_id"])["stage"] == "New"
    with pytest.raises(TheHiveError, match="needs a log"):
        hive.task.update(task["_id"], {"status": "Completed"})
    hive.task_log.create(task["_id"], {"message": "did it"})
    hive.task.update(task["_id"], {"status": "Completed"})
    hive.case.close(case["_id"], "Other", "done")
    assert hive.case.get(case["_id"])["stage"] == "Closed"


def test_custom_fields_of_a_case(admin: TheHiveApi, hive: TheHiveApi):
    """thehive.md 3.2: the object form adds values, the list form replaces the whole list."""
    for name, kind in (("rule", "string"), ("level", "integer")):
        admin.custom_field.create({"name": name, "group": "Wazuh", "description": "", "type": kind})
    case = hive.case.create({"title": "t", "description": "d", "customFields": {"rule": ["1", "2"]}})
    assert case["customFieldValues"] == {"rule": ["1", "2"]}
    hive.case.update(case["_id"], {"customFields": {"level": 10}})
    hive.case.update(case["_id"], {"customFields": {"rule": "3"}})
    assert hive.case.get(case["_id"])["customFieldValues"] == {"rule": ["1", "2", "3"], "level": 10}
    hive.case.update(case["_id"], {"customFields": [{"name": "level", "value": 12}]})
    assert hive.case.get(case["_id"])["customFieldValues"] == {"level": 12}
    with pytest.raises(TheHiveError, match="BadRequest"):
        hive.case.update(case["_id"], {"customFields": {"level": [1, 2]}})
    with pytest.raises(TheHiveError, match="integer is expected"):
        hive.case.update(case["_id"], {"customFields": {"level": "high"}})
    assert hive.case.count(filters=Eq("customFields.level", 12)) == 1


def test_observables_from_first_to_last(hive: TheHiveApi, case: Any, observable: Any):
    """thehive.md 3.3: one call a list, patch, bulk, find, delete."""
    made = hive.case.create_observable(case["_id"], {**observable, "data": ["203.0.113.45", "203.0.113.46"]})
    assert [one["data"] for one in made] == ["203.0.113.45", "203.0.113.46"]
    hive.observable.update(made[0]["_id"], {"ioc": True, "addTags": ["bad"], "removeTags": ["src-ip"]})
    assert hive.observable.get(made[0]["_id"])["tags"] == ["bad"]
    hive.observable.bulk_update({"ids": [one["_id"] for one in made], "message": "both"})
    assert {one["message"] for one in hive.observable.find()} == {"both"}
    hive.observable.delete(made[1]["_id"])
    assert hive.observable.count(filters=In("dataType", ["ip", "domain"])) == 1


def test_an_observable_is_in_a_case_once(hive: TheHiveApi, case: Any, observable: Any):
    """thehive.md 3.3, Duplicates: 207 with failures; what is new is made, what is there is not changed."""
    hive.case.create_observable(case["_id"], observable)
    answer: Any = hive.case.create_observable(
        case["_id"], {**observable, "data": ["203.0.113.45", "203.0.113.46"], "message": "again"}
    )
    assert [one["data"] for one in answer["success"]] == ["203.0.113.46"]
    assert answer["failure"] == [
        {"type": "CreateError", "message": "Observable already exists", "object": {"data": "203.0.113.45"}}
    ]
    kept = hive.observable.find(filters=Eq("data", "203.0.113.45"))
    assert kept[0]["message"] == observable["message"]


def test_version_5_may_answer_400_to_duplicates_only(make_lab: Any, rest: Any, observable: Any):
    """thehive.md 3.3: v5 is documented neither way (207 or 400), so the lab does either on demand."""
    lab = make_lab(5, duplicate_observable=400)
    analyst = rest(lab, "analyst")
    case = analyst.post("api/v1/case", {"title": "t", "description": "d"})
    analyst.post(f"api/v1/case/{case['_id']}/observable", observable)
    status, body = analyst.call("POST", f"api/v1/case/{case['_id']}/observable", observable)
    assert (status, body["type"]) == (400, "CreateError")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves its files open
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_files(hive: TheHiveApi, case: Any, alert: Any, tmp_path: Path):
    """thehive.md 3.1, 3.3, 3.5: files as observables of cases and alerts, as attachments of cases and logs."""
    path = tmp_path / "alert.json"
    path.write_text('{"rule": {}}', encoding="utf-8")
    made = hive.case.create_observable(case["_id"], {"dataType": "file"}, str(path))[0]
    assert (made["attachment"]["name"], made["attachment"]["size"]) == ("alert.json", 12)
    target = tmp_path / "back.json"
    hive.observable.download_attachment(made["_id"], made["attachment"]["_id"], str(target))
    assert target.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
    raised = hive.alert.create(
        {**alert, "observables": [{"dataType": "file", "attachment": "a1"}]}, attachment_map={"a1": str(path)}
    )
    assert hive.alert.find_observables(raised["_id"])[0]["attachment"]["name"] == "alert.json"
    added = hive.case.add_attachment(case["_id"], [str(path)])
    assert [one["_id"] for one in hive.case.find_attachments(case["_id"])] == [added[0]["_id"]]
    task = hive.task.create(case["_id"], {"title": "t"})
    log = hive.task_log.create(task["_id"], {"message": "m", "attachments": [str(path)]})
    assert hive.task_log.get(log["_id"])["attachments"][0]["name"] == "alert.json"


def test_tasks_and_logs(hive: TheHiveApi, case: Any):
    """thehive.md 3.4: a log on a waiting task begins it and assigns the caller; lengths; action required."""
    task = hive.task.create(case["_id"], {"title": "Block", "group": "Containment", "flag": True})
    assert (task["status"], task["flag"], task["group"]) == ("Waiting", True, "Containment")
    log = hive.task_log.create(task["_id"], {"message": "looking"})
    begun = hive.task.get(task["_id"])
    assert (begun["status"], begun["assignee"]) == ("InProgress", "analyst@soc.example")
    hive.task_log.update(log["_id"], {"message": "looked"})
    assert [one["message"] for one in hive.task.find_logs(task["_id"])] == ["looked"]
    hive.task.bulk_update({"ids": [task["_id"]], "status": "Completed"})
    assert hive.task.get(task["_id"])["endDate"]
    with pytest.raises(TheHiveError, match="AttributeCheckingError"):
        hive.task.create(case["_id"], {"title": "x" * 129})
    with pytest.raises(TheHiveError, match="AttributeCheckingError"):
        hive.task.update(task["_id"], {"status": "Done"})
    organisation = hive.user.get_current()["organisation"]
    hive.task.set_as_required(task["_id"], organisation)
    assert hive.task.get_required_actions(task["_id"]) == {organisation: True}
    hive.task_log.delete(log["_id"])
    hive.task.delete(task["_id"])
    assert hive.task.count() == 0


def test_comments_procedures_pages_and_timeline(hive: TheHiveApi, case: Any):
    """thehive.md 3.5."""
    comment = hive.comment.create_in_case(case["_id"], {"message": "first"})
    hive.comment.update(comment["_id"], {"message": "second"})
    assert (hive.comment.get(comment["_id"])["message"], hive.comment.get(comment["_id"])["isEdited"]) == (
        "second",
        True,
    )
    made = hive.procedure.bulk_create_in_case(
        case["_id"], [{"patternId": "T1110", "occurDate": 1, "tactic": "credential-access"}]
    )
    assert hive.procedure.get(made[0]["_id"])["tacticLabel"] == "Credential Access"
    with pytest.raises(TheHiveError, match="NotFoundError"):
        hive.procedure.create_in_case(case["_id"], {"patternId": "nonsense", "occurDate": 1})
    page = hive.case.create_page(case["_id"], {"title": "Playbook", "content": "# log", "category": "automation"})
    hive.case.update_page(case["_id"], page["_id"], {"content": "# more"})
    assert hive.case.find_pages(case["_id"])[0]["content"] == "# more"
    event = hive.timeline.create_event(case["_id"], {"date": 5, "title": "Playbook: blocked"})
    hive.timeline.update_event(event["_id"], {"title": "Playbook: released"})
    events = hive.timeline.get(case["_id"])["events"]
    assert [(one["kind"], one["date"]) for one in events][:2] == [("procedure", 1), ("customEvent", 5)]
    hive.timeline.delete_event(event["_id"])
    hive.procedure.delete(made[0]["_id"])
    hive.comment.delete(comment["_id"])
    assert hive.case.find_comments(case["_id"]) == []


def test_case_templates(connect: Any, lab5: Lab, hive: TheHiveApi):
    """thehive.md 8 and 3.2: tasks in the body replace the template's; 5.7.2: given tags are not merged."""
    chief = connect(apikey=lab5.keys.orgadmin)
    made = chief.case_template.create({"name": "t1", "tags": ["template"], "tasks": [{"title": "of the template"}]})
    with pytest.raises(TheHiveError, match="AuthorizationError"):
        hive.case_template.create({"name": "t2"})
    case = hive.case.create({"title": "a", "description": "d", "caseTemplate": "t1"})
    assert case["tags"] == ["template"]
    other = hive.case.create(
        {"title": "b", "description": "d", "caseTemplate": "t1", "tags": ["own"], "tasks": [{"title": "own task"}]}
    )
    assert other["tags"] == ["own"]
    assert [one["title"] for one in hive.case.find_tasks(other["_id"])] == ["own task"]
    hive.case.apply_case_template({"ids": [other["_id"]], "caseTemplate": "t1", "updateTags": True})
    assert hive.case.get(other["_id"])["tags"] == ["own", "template"]
    chief.case_template.update(made["_id"], {"name": "t3"})
    assert [one["name"] for one in chief.case_template.find()] == ["t3"]
    chief.case_template.delete(made["_id"])
    assert chief.case_template.find() == []


def test_queries(hive: TheHiveApi, lab5: Lab, alert: Any):
    """thehive.md 3.7: filters, sort, page, count, steps, excluded fields, extra data."""
    for number in range(5):
        hive.alert.create({**alert, "sourceRef": str(number), "severity": 1 + number % 4, "title": f"alert {number}"})
    filters = Eq("severity", 1) | Gte("severity", 4)
    assert [one["title"] for one in hive.alert.find(filters=filters, sortby=Desc("sourceRef"))] == [
        "alert 4",
        "alert 3",
        "alert 0",
    ]
    assert hive.alert.count(filters=StartsWith("title", "alert") & ~Eq("severity", 1)) == 3
    assert hive.alert.count(filters=Like("title", "*3")) == 1
    assert hive.alert.count(filters=Between("severity", 2, 4)) == 2
    assert hive.alert.count(filters=Has("caseId")) == 0
    paged = hive.alert.find(sortby=Asc("severity") & Desc("sourceRef"), paginate=Paginate(0, 2))
    assert [one["title"] for one in paged] == ["alert 4", "alert 0"]
    recent = {"_gte": {"_field": "_createdAt", "_value": {"amount": 1, "unit": "hours", "look": "behind"}}}
    assert hive.query.run([{"_name": "listAlert"}, {"_name": "filter", **recent}, {"_name": "count"}]) == 5
    case = hive.case.create({"title": "t", "description": "d", "tasks": [{"title": "one"}, {"title": "two"}]})
    steps = [{"_name": "getCase", "idOrName": str(case["number"])}, {"_name": "tasks"}]
    shown = hive.query.run([*steps, {"_name": "page", "from": 0, "to": 9, "extraData": ["caseId"]}], ["description"])
    assert [one["extraData"] for one in shown] == [{"caseId": case["_id"]}] * 2
    assert hive.query.run([*steps, {"_name": "case"}, {"_name": "count"}]) == 1


@pytest.mark.parametrize(
    "query",
    [
        [], [{"_name": "listNothing"}], [{"_name": "listAlert"}, {"_name": "nowhere"}],
        [{"_name": "listJob"}, {"_name": "filter", "_eq": {"_field": "analyzerName", "_value": "x"}}],
        [{"_name": "listAlert"}, {"_name": "filter", "_resembles": {"_field": "title", "_value": "x"}}],
        [{"_name": "listAlert"}, {"_name": "page"}],
    ],
)  # fmt: skip
def test_a_query_that_thehive_does_not_know_is_refused(hive: TheHiveApi, query: Any):
    """thehive.md 3.7: unknown steps and properties are errors; jobs cannot be filtered by analyzerName."""
    with pytest.raises(TheHiveError, match="BadRequest"):
        hive.query.run(query)


def test_another_organisation_sees_nothing(admin: TheHiveApi, connect: Any, hive: TheHiveApi, case: Any):
    """Objects of another organisation are 404; an organisation one is not in is 401."""
    admin.organisation.create({"name": ORG, "description": ""})
    admin.user.create({"login": "b@soc.example", "name": "B", "organisation": ORG, "profile": "org-admin"})
    other = connect(apikey=admin.user.renew_apikey("b@soc.example"))
    for call in (
        lambda: other.case.get(case["_id"]),
        lambda: other.case.update(case["_id"], {"flag": True}),
        lambda: other.case.create_observable(case["_id"], {"dataType": "ip", "data": "192.0.2.1"}),
        lambda: other.query.run([{"_name": "getCase", "idOrName": case["_id"]}]),
    ):
        with pytest.raises(TheHiveError) as refusal:
            call()
        assert refusal.value.response.status_code == 404
    assert other.case.find() == []
    hive.session_organisation = ORG
    with pytest.raises(TheHiveError, match="AuthenticationError"):
        hive.case.find()


def test_analyzers_and_jobs(hive: TheHiveApi, case: Any, observable: Any, lab5: Lab):
    """thehive.md 4.1, 4.2: list, run, follow a job; its report; taxonomies and an imported artifact on the case."""
    names = [one["name"] for one in hive.cortex.list_analyzers_by_type("ip")]
    assert names == ["AbuseIPDB_2_0", "OTXQuery_2_0", "VirusTotal_GetReport_3_1"]
    analyzer = hive.cortex.list_analyzers(range="all")[0]
    assert hive.cortex.get_analyzer(analyzer["id"])["cortexIds"] == ["Cortex-01"]
    target = hive.case.create_observable(case["_id"], observable)[0]
    job = hive.cortex.create_analyzer_job(
        {"analyzerId": analyzer["id"], "cortexId": "Cortex-01", "artifactId": target["_id"]}
    )
    assert (job["status"], "endDate" in job) == ("Waiting", False)
    lab5.settle()
    finished = hive.cortex.get_analyzer_job(job["_id"])
    assert (finished["status"], finished["report"]["full"]["values"][0]["data"]["abuseConfidenceScore"]) == (
        "Success",
        100,
    )
    assert [one["data"] for one in finished["report"]["artifacts"]] == ["scan.example.net", "other.example.net"]
    read = hive.observable.get(target["_id"])
    assert read["reports"]["AbuseIPDB_2_0"]["taxonomies"][0]["value"] == "42 record(s)"
    assert "abuseipdb:malicious" in read["tags"]
    assert sorted(one["data"] for one in hive.case.find_observables(case["_id"])) == [
        "203.0.113.45",
        "scan.example.net",
    ]
    listed = hive.cortex.find_analyzer_jobs(filters=Eq("analyzerDefinition", "AbuseIPDB_2_0"))
    assert [(one["_id"], "report" in one) for one in listed] == [(job["_id"], False)]
    both = hive.cortex.bulk_create_analyzer_jobs(
        [{"analyzerId": name, "cortexId": "Cortex-01", "artifactId": target["_id"]} for name in names[:2]]
    )
    assert [one["analyzerDefinition"] for one in both] == names[:2]


def test_a_job_for_an_unknown_analyzer_waits_for_ever(hive: TheHiveApi, case: Any, observable: Any, lab5: Lab):
    """thehive.md 4.1: v5 answers 201 Waiting even for an unknown analyzer or Cortex."""
    target = hive.case.create_observable(case["_id"], observable)[0]
    for analyzer, server in (("dummy-analyzer", "Cortex-01"), ("AbuseIPDB_2_0", "dummy-cortex")):
        job = hive.cortex.create_analyzer_job({"analyzerId": analyzer, "cortexId": server, "artifactId": target["_id"]})
        lab5.settle()
        assert hive.cortex.get_analyzer_job(job["_id"])["status"] == "Waiting"
