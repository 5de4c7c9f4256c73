"""How webhooks are sent: once, unordered, to whom, with which credentials; faults; other notifiers (contract 1, 2)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab import Lab
from playbook_service.lab.exchange import ApiError
from propolis.clock import ManualClock

WORKERS = Path(__file__).resolve().parents[2] / "fixtures" / "lab" / "workers"


def raise_alerts(lab: Lab, rest: Any, alert: dict[str, Any], count: int) -> None:
    wazuh = rest(lab, "wazuh")
    for number in range(count):
        wazuh.post("api/v1/alert", {**alert, "sourceRef": str(number)})


def references(receiver: Any) -> list[str]:
    return [one["object"]["sourceRef"] for one in receiver.bodies]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"type": "none"}, None),
        ({"type": "basic", "username": "u", "password": "p"}, f"Basic {base64.b64encode(b'u:p').decode()}"),
        ({"type": "bearer", "key": "SECRET"}, "Bearer SECRET"),
        ({"type": "key", "key": "SECRET"}, "SECRET"),
    ],
)
def test_credentials_on_the_wire(lab: Lab, rest: Any, receiver: Any, alert: Any, auth: Any, header: str | None):
    """thehive.md 1.1: none, basic, bearer, and the bare key; there is no signature."""
    lab.notify(receiver.url, auth=auth)
    raise_alerts(lab, rest, alert, 1)
    lab.settle()
    assert receiver.headers[0].get("Authorization") == header


def test_each_organisation_turns_its_notifications_on(lab: Lab, rest: Any, receiver: Any, alert: Any):
    """thehive.md 1.2: the rules by each organisation, the endpoints by the administrator; it takes both."""
    endpoint = {"name": "playbook", "url": receiver.url, "version": 1, "auth": {"type": "none"}}
    value = {
        "value": [
            {
                "delegate": False,
                "trigger": {"name": "AnyEvent"},
                "notifier": {"name": "webhook", "endpoint": "playbook"},
            }
        ]
    }
    admin, chief = rest(lab, "admin"), rest(lab, "orgadmin")
    admin.expect(204, "PUT", "api/config/notification.webhook.endpoints", {"value": [endpoint]})
    raise_alerts(lab, rest, alert, 1)
    lab.settle()
    assert receiver.bodies == []
    assert rest(lab, "analyst").call("PUT", "api/config/organisation/notification", value)[0] == 403
    answer = chief.expect(200, "PUT", "api/config/organisation/notification", value)
    assert answer == {"path": "notification", "defaultValue": [], "value": value["value"]}
    rest(lab, "wazuh").post("api/v1/alert", {**alert, "sourceRef": "late"})
    lab.settle()
    assert references(receiver) == ["late"]
    admin.expect(
        204,
        "PUT",
        "api/config/notification.webhook.endpoints",
        {"value": [{**endpoint, "excludedTheHiveOrganisations": ["soc-main"]}]},
    )
    rest(lab, "wazuh").post("api/v1/alert", {**alert, "sourceRef": "excluded"})
    lab.settle()
    assert len(receiver.bodies) == 1


def test_a_rule_for_users_never_calls_a_webhook(lab: Lab, rest: Any, receiver: Any, alert: Any):
    """thehive.md 1.2: `delegate: true` does not work for webhooks."""
    lab.notify(receiver.url)
    for rule in lab.hive.notifications["soc-main"]:
        rule["delegate"] = True
    raise_alerts(lab, rest, alert, 1)
    lab.settle()
    assert receiver.bodies == []


def test_a_refused_message_is_not_sent_again(lab: Lab, rest: Any, receiver: Any, alert: Any):
    """thehive.md 1.7: HTTP >= 400 is dropped; no retry."""
    receiver.status = 503
    lab.notify(receiver.url)
    raise_alerts(lab, rest, alert, 1)
    lab.settle()
    assert (len(receiver.bodies), lab.webhooks.refused) == (1, 1)


@pytest.mark.parametrize(("cuts", "copies"), [(2, 3), (99, 6)])
def test_a_receiver_that_hangs_up_gets_copies(lab: Lab, rest: Any, receiver: Any, alert: Any, cuts: int, copies: int):
    """thehive.md 1.7: the HTTP client re-sends on a cut connection, up to six copies of one message (TH#903)."""
    receiver.cut = cuts
    lab.notify(receiver.url)
    raise_alerts(lab, rest, alert, 1)
    lab.settle()
    assert len(receiver.bodies) == copies
    assert all(one == receiver.bodies[0] for one in receiver.bodies)


def test_a_receiver_that_is_down_misses_messages(lab: Lab, rest: Any, receiver: Any, alert: Any):
    """thehive.md 1.7: an exception is logged and the message dropped."""
    lab.notify("http://127.0.0.1:9/hooks/thehive")
    raise_alerts(lab, rest, alert, 1)
    lab.settle()
    lab.notify(receiver.url)
    lab.settle()
    assert receiver.bodies == []
    assert lab.webhooks.refused == 1


def test_messages_are_dropped_duplicated_and_mixed(lab5: Lab, rest: Any, receiver: Any, alert: Any):
    """The faults of webhooks: seeded, so that a run can be repeated."""
    lab5.notify(receiver.url)
    lab5.faults.hooks.drop_next = 2
    raise_alerts(lab5, rest, alert, 3)
    lab5.settle()
    assert references(receiver) == ["2"]
    receiver.bodies.clear()
    lab5.faults.hooks.duplicate = 1.0
    rest(lab5, "wazuh").post("api/v1/alert", {**alert, "sourceRef": "six"})
    lab5.settle()
    assert references(receiver) == ["six"] * 6
    lab5.faults.clear()
    receiver.bodies.clear()
    lab5.faults.hooks.reorder = 0.2
    for number in range(20):
        rest(lab5, "wazuh").post("api/v1/alert", {**alert, "sourceRef": f"r{number:02}"})
    lab5.settle()
    assert sorted(references(receiver)) == [f"r{number:02}" for number in range(20)]
    assert references(receiver) != sorted(references(receiver))
    receiver.bodies.clear()
    lab5.faults.hooks.reorder = 0.0
    lab5.faults.hooks.drop = 0.5
    for number in range(40):
        rest(lab5, "wazuh").post("api/v1/alert", {**alert, "sourceRef": f"d{number}"})
    lab5.settle()
    assert 10 <= len(receiver.bodies) <= 30


def test_messages_are_delayed_by_the_clock(
    make_lab: Any, rest: Any, receiver: Any, alert: Any, manual_clock: ManualClock
):
    lab = make_lab(5, clock=manual_clock)
    lab.notify(receiver.url)
    lab.faults.hooks.delay = 30
    raise_alerts(lab, rest, alert, 1)
    lab.settle(future=False)
    assert receiver.bodies == []
    manual_clock.advance(31)
    lab.settle()
    assert references(receiver) == ["0"]


def test_messages_not_yet_sent_are_lost_with_thehive(
    make_lab: Any, rest: Any, receiver: Any, alert: Any, manual_clock: ManualClock
):
    """thehive.md 1.7: nothing is persisted; messages are lost when TheHive stops. What it holds is not."""
    lab = make_lab(5, clock=manual_clock)
    lab.notify(receiver.url)
    lab.faults.hooks.delay = 30
    raise_alerts(lab, rest, alert, 1)
    lab.restart_thehive()
    manual_clock.advance(60)
    lab.settle()
    assert receiver.bodies == []
    assert rest(lab, "analyst").query({"_name": "listAlert"}, {"_name": "count"}) == 1


def test_triggers_choose_events(lab5: Lab, rest: Any, receiver: Any, alert: Any, observable: Any):
    """thehive.md 1.3: named triggers, and FilteredEvent over the version-1 payload."""
    lab5.notify(receiver.url)
    lab5.hive.notifications.clear()
    webhook = {"name": "webhook", "endpoint": "playbook"}
    lab5.add_notification({"trigger": {"name": "CaseClosed"}, "notifier": webhook})
    closed_as_false = {
        "_and": [
            {"_is": {"_field": "objectType", "_value": "Case"}},
            {"_is": {"_field": "details.status", "_value": "FalsePositive"}},
        ]
    }
    lab5.add_notification({"trigger": {"name": "FilteredEvent", "filter": closed_as_false}, "notifier": webhook})
    lab5.add_notification({"trigger": {"name": "JobFinished"}, "notifier": webhook})
    analyst = rest(lab5, "analyst")
    case = analyst.post("api/v1/case", {"title": "t", "description": "d"})["_id"]
    target = analyst.post(f"api/v1/case/{case}/observable", observable)[0]["_id"]
    analyst.post("api/connector/cortex/job", {"analyzerId": "OTXQuery_2_0", "artifactId": target})
    lab5.settle()
    assert [(one["objectType"], one["action"]) for one in receiver.bodies] == [("Job", "update")]
    analyst.patch(f"api/v1/case/{case}", {"status": "FalsePositive", "summary": "s"})
    lab5.settle()
    assert [one["objectType"] for one in receiver.bodies[1:]] == ["Case", "Case"], "both rules hold"


def test_a_filter_on_an_array_and_on_presence(lab5: Lab, rest: Any, receiver: Any, alert: Any, observable: Any):
    """thehive.md 1.3: `_has` on a nested object tells alert observables from those of cases."""
    lab5.notify(receiver.url)
    lab5.hive.notifications.clear()
    of_alert = {"_and": [{"_is": {"_field": "action", "_value": "create"}}, {"_has": "object.alert"}]}
    trigger = {"name": "FilteredEvent", "filter": of_alert}
    lab5.add_notification({"trigger": trigger, "notifier": {"name": "webhook", "endpoint": "playbook"}})
    made = rest(lab5, "wazuh").post("api/v1/alert", {**alert, "observables": [observable]})
    rest(lab5, "analyst").post(f"api/v1/alert/{made['_id']}/case", {})
    lab5.settle()
    assert [one["objectType"] for one in receiver.bodies] == ["Observable"]


@pytest.mark.parametrize(
    ("version", "trigger", "notifier"),
    [
        (4, "CaseClosed", "webhook"),
        (5, "Nonsense", "webhook"),
        (5, "JobFinished", "RunAnalyzer"),
        (5, "JobFinished", "RunResponder"),
    ],
)
def test_a_rule_that_thehive_would_not_take(make_lab: Any, version: int, trigger: str, notifier: str):
    """thehive.md 1.3 and 2: triggers of the version; triggers allowed with a notifier."""
    lab = make_lab(version)
    with pytest.raises(ApiError):
        lab.add_notification({"trigger": {"name": trigger}, "notifier": {"name": notifier}})


def test_thehive_runs_analyzers_by_itself(lab5: Lab, rest: Any, alert: Any, observable: Any):
    """thehive.md 2: RunAnalyzer on an alert's observables; those whose type it does not take are left alone."""
    notifier = {"name": "RunAnalyzer", "analyzers": ["AbuseIPDB_2_0", "OTXQuery_2_0"]}
    lab5.add_notification({"trigger": {"name": "AlertObservableCreated"}, "notifier": notifier})
    mail = {"dataType": "mail", "data": "someone@example.org"}
    made = rest(lab5, "wazuh").post("api/v1/alert", {**alert, "observables": [observable, mail]})
    lab5.settle()
    service = rest(lab5, "service")
    found = service.query({"_name": "getAlert", "idOrName": made["_id"]}, {"_name": "observables"})
    reports = {one["data"]: sorted(one["reports"]) for one in found}
    assert reports["203.0.113.45"] == ["AbuseIPDB_2_0", "OTXQuery_2_0"]
    assert reports["someone@example.org"] == []
    assert "scan.example.net" in reports, "an artifact tagged autoImport:true joins the alert"
    jobs = service.query({"_name": "listJob"})
    assert {one["_createdBy"] for one in jobs} == {"wazuh@soc.example"}


def test_the_analyzers_notifier_of_version_4_is_broken(lab4: Lab, rest: Any, observable: Any):
    """thehive.md 1.3: it looks the analyzer's name up among the responders."""
    trigger = {"name": "FilteredEvent", "filter": {"_is": {"_field": "objectType", "_value": "Observable"}}}
    lab4.add_notification({"trigger": trigger, "notifier": {"name": "RunAnalyzer", "analyzerName": "AbuseIPDB_2_0"}})
    analyst = rest(lab4, "analyst")
    case = analyst.post("api/case", {"title": "t", "description": "d"})["id"]
    analyst.post(f"api/case/{case}/artifact", observable)
    lab4.settle()
    assert analyst.query({"_name": "listJob"}, {"_name": "count"}) == 0


def test_thehive_runs_responders_by_itself(make_lab: Any, rest: Any):
    """thehive.md 2: RunResponder on closing a case, with no parameters but who and where."""
    lab = make_lab(5, responders=[WORKERS / "responders"])
    lab.enable("Note_1_0")
    lab.add_notification(
        {"trigger": {"name": "CaseClosed"}, "notifier": {"name": "RunResponder", "responders": ["Note_1_0"]}}
    )
    analyst = rest(lab, "analyst")
    case = analyst.post("api/v1/case", {"title": "t", "description": "d"})["_id"]
    analyst.patch(f"api/v1/case/{case}", {"status": "TruePositive", "summary": "s"})
    lab.settle()
    actions = analyst.get(f"api/connector/cortex/action/case/{case}")
    assert [one["status"] for one in actions] == ["Success"]
    job = rest(lab, "cortex_service").post("api/job/_search", {"query": {"type": "responder"}}, status=200)[0]
    assert job["parameters"] == {"organisation": "soc-main", "user": "analyst@soc.example"}


def test_flow_and_stream_tell_what_happened(lab: Lab, rest: Any, alert: Any):
    """thehive.md 3.9: flow by root, latest first, with the author; stream by long poll; of one's organisation."""
    analyst = rest(lab, "analyst")
    stream = analyst.post("api/v1/stream", status=200)
    case = analyst.post("api/v1/case", {"title": "t", "description": "d"})["_id"]
    task = analyst.post(f"api/v1/case/{case}/task", {"title": "t"})["_id"]
    rest(lab, "approver").patch(f"api/v1/task/{task}", {"status": "Completed"})
    flow = analyst.get("api/v1/flow", params={"rootId": case, "count": 10})
    assert [(one["base"]["objectType"], one["base"]["action"], one["base"]["_createdBy"]) for one in flow][:2] == [
        ("Task", "update", "approver@soc.example"), ("Task", "create", "analyst@soc.example"),
    ]  # fmt: skip
    assert flow[0]["summary"] == {"Task": {"update": 1}}
    assert all(one["base"]["requestId"] for one in flow)
    told = analyst.get(f"api/v1/stream/{stream}")
    assert [one["base"]["objectType"] for one in told].count("Task") == 2
    assert analyst.call("GET", "api/v1/stream/other")[0] == 404
    legacy = analyst.get("api/flow", params={"rootId": "any", "count": 1})[0]["base"]
    if lab.version == 4:
        assert (legacy["operation"], legacy["createdBy"], legacy["objectType"]) == (
            "Update",
            "approver@soc.example",
            "case_task",
        )
    assert rest(lab, "admin").get("api/v1/flow") == []


def test_the_trail_can_be_queried(lab: Lab, rest: Any):
    """`listAuditFromObject` (AuditCtrl of 4.1): every line on one object; v4 tells details in v0 only."""
    analyst = rest(lab, "analyst")
    case = analyst.post("api/v1/case", {"title": "t", "description": "d"})["_id"]
    task = analyst.post(f"api/v1/case/{case}/task", {"title": "t"})["_id"]
    rest(lab, "approver").patch(f"api/v1/task/{task}", {"status": "Completed"})
    steps = [{"_name": "listAuditFromObject", "id": task}]
    dialect, author, moment = (
        ("v1", "_createdBy", "_createdAt") if lab.version == 5 else ("v0", "createdBy", "startDate")
    )
    steps += [{"_name": "sort", "_fields": [{moment: "desc"}]}, {"_name": "page", "from": 0, "to": 10}]
    lines = analyst.post(f"api/{dialect}/query", {"query": steps}, status=200)
    assert {one[author] for one in lines} == {"analyst@soc.example", "approver@soc.example"}
    done = next(one for one in lines if one[author] == "approver@soc.example")
    assert (done["objectId"], done["details"]) == (task, {"status": "Completed"})
    if lab.version == 4:
        assert "details" not in analyst.query(*steps[:1])[0]
    assert rest(lab, "admin").query(*steps[:1]) == []


def test_the_flow_of_version_4_is_short(lab4: Lab, rest: Any, alert: Any):
    """AuditCtrl.flow of 4.1: the latest ten, whatever is asked for."""
    analyst = rest(lab4, "analyst")
    for number in range(12):
        analyst.post("api/v1/alert", {**alert, "sourceRef": str(number)})
    assert len(analyst.get("api/flow", params={"rootId": "any", "count": 50})) == 10
