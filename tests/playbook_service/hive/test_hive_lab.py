"""Both adapters and the client of Cortex against the lab: the same story end to end, and answers that get lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hive_samples import DRAFT

from playbook_service.cortex import Cortex
from playbook_service.hive import connect, limits
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Alert, Case, ObservableDraft, TaskDraft
from playbook_service.hive.rights import least_profile
from playbook_service.lab import Lab
from playbook_service.lab.lab import ORGANISATION
from propolis.errors import ConfigurationError
from propolis.http import HttpError, session

SERVICE, ANALYST = "playbook@soc.example", "analyst@soc.example"
ABUSE = "AbuseIPDB_2_0"
RESPONDER = """#!/usr/bin/env python3
import json, pathlib, sys
job = pathlib.Path(sys.argv[1])
asked = json.loads((job / "input" / "input.json").read_text())
report = {"success": True, "full": {"data": asked["data"]["data"], "lease": asked["parameters"]["lease"]},
          "artifacts": [], "operations": [{"type": "AddTagToArtifact", "tag": "blocked"}]}
(job / "output" / "output.json").write_text(json.dumps(report))
"""


@pytest.fixture(scope="module", params=[4, 5])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    place = tmp_path_factory.mktemp("responders")
    folder = place / "Echo"
    folder.mkdir()
    (folder / "echo.py").write_text(RESPONDER)
    (folder / "echo.py").chmod(0o755)
    definition = {
        "name": "Echo", "version": "1.0", "author": "a", "url": "https://example.org", "license": "AGPL-V3",
        "description": "Says what it was given", "dataTypeList": ["thehive:case_artifact"], "baseConfig": "Echo",
        "command": "Echo/echo.py",
    }  # fmt: skip
    (folder / "Echo.json").write_text(json.dumps(definition))
    reports = Path(__file__).resolve().parents[3] / "playbook_service" / "samples" / "reports.jsonl"
    with Lab(request.param, responders=[place], reports=[reports], refresh=0.05) as lab:
        lab.enable("Echo_1_0")
        admin = session(lab.thehive_url, headers={"Authorization": f"Bearer {lab.keys.admin}"})
        for name, kind in (("wazuh-rule-id", "string"), ("wazuh-rule-level", "integer"), ("wazuh-agent-id", "string")):
            body = {"name": name, "displayName": name, "group": "Wazuh", "description": name, "type": kind}
            path = "/api/v1/customField" if request.param == 5 else "/api/customField"
            admin.post(path, json=body | {"reference": name, "mandatory": False, "options": []})
        yield lab


@pytest.fixture
def right(lab: Lab) -> Iterator[Hive]:
    """The service's own line to the lab; no fault is left over."""
    hive = connect(lab.thehive_url, lab.keys.service, organisation=ORGANISATION, timeout=(2.0, 2.0), retries=0)
    yield hive
    hive.close()
    lab.faults.clear()


@pytest.fixture
def cortex(lab: Lab) -> Cortex:
    return Cortex(lab.cortex_url, lab.keys.cortex_service)


@pytest.fixture
def made(right: Hive, request: pytest.FixtureRequest) -> Alert:
    """An alert of this test's own."""
    alert, new = right.create_alert(DRAFT._replace(reference=limits.reference(request.node.name), techniques=()))
    assert new
    return alert


@pytest.fixture
def case(right: Hive, made: Alert) -> Case:
    """A case made from it."""
    return right.promote(made.id)


def until(lab: Lab, ask: Callable[[], Any]) -> Any:
    """What the question gives once the lab has come to rest."""
    lab.settle()
    found = ask()
    assert found
    return found


def test_the_version_and_the_account_are_known(lab: Lab, right: Hive) -> None:
    assert right.major == lab.version
    assert right.version().startswith(f"{lab.version}.")
    me = right.me()
    assert (me.login, me.organisation, me.profile) == (SERVICE, ORGANISATION, "analyst")
    assert set(least_profile(lab.version)) <= set(me.permissions)


def test_a_presented_key_tells_who_it_is(lab: Lab, right: Hive) -> None:
    assert right.whose(lab.keys.analyst).login == ANALYST
    with pytest.raises(HttpError, match="401"):
        right.whose("forged")


def test_another_organisation_and_a_wrong_key_are_refused(lab: Lab) -> None:
    with pytest.raises((HttpError, ConfigurationError), match="organisation"):
        connect(lab.thehive_url, lab.keys.service, organisation="elsewhere").me()
    with pytest.raises(HttpError, match=r"refused the account's API key \(401\)"):
        connect(lab.thehive_url, "wrong").me()


def test_an_alert_is_made_once_with_all_that_hangs_on_it(right: Hive, made: Alert) -> None:
    again, new = right.create_alert(DRAFT._replace(reference=made.reference, techniques=()))
    assert (again.id, new) == (made.id, False)
    assert (again.type, again.source, again.case_id, again.read) == ("wazuh", "wazuh-manager-01", "", False)
    (observable,) = right.alert_observables(made.id)
    assert (observable.data_type, observable.data, observable.ioc) == ("ip", "203.0.113.45", True)
    assert set(observable.tags) == {"src-ip", "again"}
    assert right.home(observable.id) == ("alert", made.id)


def test_an_alert_takes_a_file(right: Hive) -> None:
    draft = limits.as_file(ObservableDraft("wazuh-alert", '{"rule":{"id":"5763"}}' + " " * 5000), "alert.json")
    alert, _ = right.create_alert(DRAFT._replace(reference="with-a-file", observables=(draft,), techniques=()))
    (observable,) = right.alert_observables(alert.id)
    assert (observable.data_type, observable.data) == ("file", "alert.json")


def test_an_alert_whose_answer_was_lost_is_there_once(lab: Lab, right: Hive) -> None:
    lab.faults.thehive.lose, lab.faults.thehive.only = 1, r"POST /api/(v1/)?alert$"
    alert, new = right.create_alert(DRAFT._replace(reference="lost", techniques=()))
    assert new
    assert [one.id for one in right.changed_alerts(0) if one.reference == "lost"] == [alert.id]


def test_an_alert_that_thehive_failed_on_is_not_there(lab: Lab, right: Hive) -> None:
    lab.faults.thehive.fail, lab.faults.thehive.only = 1, r"POST /api/(v1/)?alert$"
    with pytest.raises(HttpError) as caught:
        right.create_alert(DRAFT._replace(reference="failed", techniques=()))
    assert (caught.value.status, caught.value.ambiguous) == (500, True)
    assert right.create_alert(DRAFT._replace(reference="failed", techniques=()))[1] is True


def test_an_alert_is_tagged_and_marked_as_read(right: Hive, made: Alert) -> None:
    right.update_alert(made.id, add_tags=["suppressed"], read=True)
    right.update_alert(made.id, read=True)
    found = right.alert(made.id)
    assert found is not None
    assert found.read
    assert set(found.tags) == {*made.tags, "suppressed"}
    assert right.alert("~404404") is None


def test_an_alert_becomes_one_case_however_often_it_is_asked_for(lab: Lab, right: Hive, made: Alert) -> None:
    tasks = [TaskDraft("Triage", "Identification"), TaskDraft("Escalate", "Containment", flag=True)]
    lab.faults.thehive.lose, lab.faults.thehive.only = 1, r"POST .*/(case|createCase)$"
    case = right.promote(made.id, tasks=tasks)
    assert right.promote(made.id, tasks=tasks).id == case.id
    assert sorted(task.title for task in right.tasks(case.id)) == ["Escalate", "Triage"]
    assert case.open
    assert case.custom_fields == {"wazuh-rule-id": "5763", "wazuh-rule-level": 10}
    alert = right.alert(made.id)
    assert alert is not None
    assert (alert.case_id, alert.read) == (case.id, True)


def test_an_alert_is_imported_into_a_case_once(lab: Lab, right: Hive, case: Case) -> None:
    other = DRAFT._replace(reference=f"merge-{lab.version}", observables=(ObservableDraft("hostname", "web-01"),))
    alert, _ = right.create_alert(other._replace(techniques=()))
    lab.faults.thehive.lose, lab.faults.thehive.only = 1, r"POST .*/merge/"
    assert right.merge(alert.id, case.id).id == case.id
    assert right.merge(alert.id, case.id).id == case.id
    assert sorted(one.data for one in right.observables(case.id)) == ["203.0.113.45", "web-01"]


def test_a_case_is_changed_and_loses_no_field(right: Hive, case: Case) -> None:
    right.update_case(
        case.id,
        add_tags=["escalated"],
        severity=4,
        flag=True,
        assignee=ANALYST,
        custom_fields={"wazuh-rule-level": 12, "wazuh-agent-id": "003"},
    )
    right.update_case(case.id, custom_fields={"wazuh-agent-id": "004"})
    found = right.case(case.id)
    assert found is not None
    assert found.custom_fields == {"wazuh-rule-id": "5763", "wazuh-rule-level": 12, "wazuh-agent-id": "004"}
    assert (found.severity, found.flag, found.assignee) == (4, True, ANALYST)
    assert {*case.tags, "escalated"} <= set(found.tags)
    right.comment(case.id, "blocked")


def test_how_a_case_was_closed(lab: Lab, right: Hive, case: Case) -> None:
    close: dict[str, Any] = {"status": "FalsePositive"}
    if lab.version == 4:
        close = {"status": "Resolved", "resolutionStatus": "FalsePositive"}
    body = close | {"impactStatus": "NoImpact", "summary": "Authorised scanner"}
    path = f"/api/v1/case/{case.id}" if lab.version == 5 else f"/api/case/{case.id}"
    session(lab.thehive_url, headers={"Authorization": f"Bearer {lab.keys.analyst}"}).patch(path, json=body)
    found = right.case(case.id)
    assert found is not None
    assert (found.open, found.resolution) == (False, "FalsePositive")
    assert found.closed_at >= case.created_at > 0
    assert case.id in [one.id for one in right.changed_cases(found.updated_at)]


def test_an_observable_is_made_once(lab: Lab, right: Hive, case: Case) -> None:
    draft = ObservableDraft("domain", "bad.example.org", "from the report", ("consensus",))
    lab.faults.thehive.lose, lab.faults.thehive.only = 1, r"POST .*/observable$"
    first = right.create_observable(case.id, draft)
    assert right.create_observable(case.id, draft).id == first.id
    right.update_observable(first.id, add_tags=["blocked"], ioc=True)
    found = right.observable(first.id)
    assert found is not None
    assert (found.ioc, set(found.tags), found.message) == (True, {"consensus", "blocked"}, "from the report")
    assert right.home(first.id) == ("case", case.id)
    assert right.observable("~404404") is None


def test_a_file_is_made_once(right: Hive, case: Case) -> None:
    draft = ObservableDraft("file", "alert.json", file=b'{"rule":{}}')
    first = right.create_observable(case.id, draft)
    assert right.create_observable(case.id, draft).id == first.id
    assert [one.data for one in right.observables(case.id) if one.data_type == "file"] == ["alert.json"]


def test_a_technique_is_noted_on_the_case_once(lab: Lab, right: Hive, case: Case) -> None:
    for _ in range(2):
        right.add_techniques(case.id, [("T1110", "credential-access")], 1767261600000)
    steps = [{"_name": "getCase", "idOrName": case.id}, {"_name": "procedures"}]
    with session(lab.thehive_url, headers={"Authorization": f"Bearer {lab.keys.analyst}"}) as analyst:
        noted = analyst.post("/api/v1/query", json={"query": steps}).json()
    assert [(one["patternId"], one["tactic"]) for one in noted] == [("T1110", "credential-access")]


def test_a_task_lives_and_the_trail_says_who_completed_it(lab: Lab, right: Hive, case: Case) -> None:
    task = right.create_task(case.id, TaskDraft("Approve the block", "Approval", "propolis:intent-7", flag=True))
    found = right.task(task.id)
    assert found is not None
    assert (found.case_id, found.title, found.status, found.flag) == (case.id, "Approve the block", "Waiting", True)
    assert right.find_task(case.id, "propolis:intent-7") == right.tasks(case.id)[-1]
    connect(lab.thehive_url, lab.keys.analyst).update_task(task.id, status="Completed")
    right.update_task(task.id, description="propolis:intent-7, seen")
    trail = right.audits("task", task.id, case.id)
    completion = next(one for one in trail if one.details.get("status") == "Completed")
    assert (completion.actor, completion.verb, completion.entity) == (ANALYST, "update", "task")
    assert trail[-1].verb == "create"
    assert [one.at for one in trail] == sorted((one.at for one in trail), reverse=True)
    assert task.id in [one.id for one in right.changed_tasks(completion.at) if one.case_id == case.id]
    assert right.task("~404404") is None


def test_a_log_line_is_added(right: Hive, case: Case) -> None:
    task = right.create_task(case.id, TaskDraft("Done by Propolis"))
    right.log(task.id, "blocked 203.0.113.45")
    found = right.task(task.id)
    assert found is not None
    assert found.status == "InProgress"


def test_an_analyzers_report_hangs_on_the_observable(lab: Lab, right: Hive, cortex: Cortex, case: Case) -> None:
    observable = right.create_observable(case.id, ObservableDraft("ip", "203.0.113.17"))
    worker = next(one for one in right.analyzers("ip") if one.definition == ABUSE)
    started = right.run_analyzer(worker, observable.id, {})
    assert started.definition == ABUSE
    assert started.report is None
    waited = cortex.wait_report(right.jobs(observable.id)[0].cortex_job_id, 10)
    assert waited is not None
    assert (waited.definition, waited.data, waited.finished) == (ABUSE, "203.0.113.17", True)
    lab.settle()
    job = right.job(started.id)
    assert job is not None
    assert job.status == "Success"
    assert job.report is not None
    assert job.report["full"] == (waited.report or {})["full"]
    found = until(lab, lambda: right.observable(observable.id))
    assert found.reports[job.analyzer_name]["taxonomies"]
    assert [one.id for one in right.jobs(observable.id)] == [job.id]
    assert right.job("~404404") is None


def test_a_responder_acts_and_says_what_it_did(lab: Lab, right: Hive, case: Case) -> None:
    (observable,) = right.observables(case.id)
    worker = next(one for one in right.responders("case_artifact", observable.id) if one.definition == "Echo_1_0")
    right.run_responder(worker, "case_artifact", observable.id, {"lease": "L1"})
    lab.settle()
    (action,) = right.actions("case_artifact", observable.id)
    assert (action.definition, action.status) == ("Echo_1_0", "Success")
    assert action.report is not None
    assert action.report["full"] == {"data": "203.0.113.45", "lease": "L1"}
    assert (action.created_by, bool(action.id)) == ((SERVICE, True) if lab.version == 5 else ("", False))
    found = until(lab, lambda: right.observable(observable.id))
    assert "blocked" in found.tags


def test_a_responder_whose_answer_was_lost_is_seen_among_the_actions(lab: Lab, right: Hive, case: Case) -> None:
    (observable,) = right.observables(case.id)
    worker = next(one for one in right.responders("case_artifact", observable.id) if one.definition == "Echo_1_0")
    lab.faults.thehive.lose, lab.faults.thehive.only = 1, r"POST .*/action$"
    with pytest.raises(HttpError) as caught:
        right.run_responder(worker, "case_artifact", observable.id, {"lease": "L2"})
    assert caught.value.ambiguous
    lab.settle()
    assert len(right.actions("case_artifact", observable.id)) == 1


def test_a_reader_is_told_what_it_may_not_do(lab: Lab, made: Alert) -> None:
    reader = connect(lab.thehive_url, lab.keys.reader, organisation=ORGANISATION)
    right = "manageAlert/import" if lab.version == 5 else "manageAlert"
    with pytest.raises(
        HttpError, match=rf"make a case from an alert \(403\): grant `{right}` .* in organisation soc-main"
    ):
        reader.promote(made.id)


def test_nonsense_from_thehive_is_an_error(lab: Lab, right: Hive, made: Alert) -> None:
    lab.faults.thehive.garbage = 1
    with pytest.raises(HttpError) as caught:
        right.alert(made.id)
    assert caught.value.kind == "format"


def test_cortex_runs_and_finds_its_jobs(lab: Lab, cortex: Cortex) -> None:
    assert cortex.version()
    worker = next(one for one in cortex.analyzers("ip") if one.definition == ABUSE)
    started = cortex.run_analyzer(worker, "ip", "203.0.113.17", parameters={"asked": "by a test"}, force=True)
    done = cortex.wait_report(started.id, 10)
    assert done is not None
    assert done.status == "Success"
    found = [one.id for one in cortex.search_jobs(data_type="ip", data="203.0.113.17", since=started.created_at)]
    assert started.id in found
    assert cortex.job("gone") is None
    assert [one.definition for one in cortex.responders("case_artifact")] == ["Echo_1_0"]


def test_cortex_says_which_role_is_missing(lab: Lab) -> None:
    reader = Cortex(lab.cortex_url, lab.keys.cortex_reader)
    worker = next(one for one in reader.analyzers("ip") if one.definition == ABUSE)
    with pytest.raises(HttpError, match=r"start workers \(403\): give it the role `analyze`"):
        reader.run_analyzer(worker, "ip", "203.0.113.17")


def test_an_alert_goes_in_without_what_thehives_catalogues_lack(right: Hive, caplog: pytest.LogCaptureFixture) -> None:
    strange = ObservableDraft("unheard-of", "{}")
    draft = DRAFT._replace(
        reference="lacking", custom_fields={"unheard_of": "1"}, observables=(*DRAFT.observables, strange)
    )
    alert, fresh = right.create_alert(draft)
    assert fresh
    assert alert.reference == "lacking"
    kinds = {one.data_type for one in right.alert_observables(alert.id)}
    assert "unheard-of" not in kinds
    assert kinds == {one.data_type for one in DRAFT.observables}
    assert "no custom field unheard_of" in caplog.text
    assert "no observable type unheard-of" in caplog.text
