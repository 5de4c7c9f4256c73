"""Alerts: made once whatever happens to the answer, in the form of each version."""

from __future__ import annotations

import base64
import json

import pytest
from hive_samples import ALERT_KEY, ALERTS, DRAFT, MERGES, PROMOTIONS, TASKS, alert, case, task
from hive_server import Reply, Script, error

from playbook_service.hive.contract import Hive
from playbook_service.hive.model import ObservableDraft, TaskDraft
from propolis.errors import InputError
from propolis.http import HttpError

READ_BACK = f"GET /api/v1/alert/{ALERT_KEY}"
DUPLICATES = [
    error(400, "CreateError", "Alert wazuh:wazuh-manager-01:1767261599.482913 already exist in organisation soc-main"),
    error(409, "CreateError", "Alert already exists"),
]


def test_version_5_is_given_one_body_with_everything(server: Script, hive5: Hive) -> None:
    server.on("POST /api/v1/alert", Reply(201, alert()))
    made, new = hive5.create_alert(DRAFT)
    assert (made.id, made.reference, made.case_id, made.read, new) == (
        "~40972376", "1767261599.482913", "", False, True,
    )  # fmt: skip
    body = server.seen[-1].json
    assert body["customFields"] == {"wazuh-rule-id": "5763", "wazuh-rule-level": 10}
    assert body["observables"] == [
        {"dataType": "ip", "data": "203.0.113.45", "tags": ["src-ip", "again"], "ioc": True},
    ]
    assert body["procedures"] == [{"patternId": "T1110", "occurDate": 1767261600000, "tactic": "credential-access"}]
    assert "externalLink" not in body


def test_version_4_is_given_artifacts_typed_fields_and_its_own_red(server: Script, hive4: Hive) -> None:
    server.on("POST /api/alert", Reply(201, {"id": "~40972376", "_id": "~40972376", "status": "New", "case": None}))
    file = ObservableDraft("file", "raw;alert.json", file=b'{"rule":{}}', tlp=4)
    made, new = hive4.create_alert(DRAFT._replace(observables=(*DRAFT.observables, file), tlp=4))
    assert (made.id, made.case_id, made.read, new) == ("~40972376", "", False, True)
    body = server.seen[-1].json
    assert body["customFields"]["wazuh-rule-level"] == {"integer": 10, "order": 1}
    assert body["customFields"]["wazuh-rule-id"] == {"string": "5763", "order": 0}
    assert body["tlp"] == 3
    content = base64.b64encode(b'{"rule":{}}').decode()
    assert body["artifacts"][1] == {
        "dataType": "file",
        "tags": [],
        "ioc": False,
        "tlp": 3,
        "data": f"raw_alert.json;application/octet-stream;{content}",
    }
    assert "observables" not in body
    assert "procedures" not in body


def test_version_5_gets_files_in_parts_that_the_json_points_to(server: Script, hive5: Hive) -> None:
    server.on("POST /api/v1/alert", Reply(201, alert()))
    file = ObservableDraft("file", 'raw"\r\nalert.json', file=b"\x00raw\r\n")
    hive5.create_alert(DRAFT._replace(observables=(file,)))
    asked = server.seen[-1]
    kind, _, boundary = asked.headers["content-type"].partition("; boundary=")
    parts = asked.body.split(f"--{boundary}".encode())
    assert kind == "multipart/form-data"
    assert json.loads(parts[1].partition(b"\r\n\r\n")[2])["observables"][0]["attachment"] == "file0"
    head, _, content = parts[2].partition(b"\r\n\r\n")
    assert b'name="file0"; filename="raw___alert.json"' in head
    assert content == b"\x00raw\r\n\r\n"


@pytest.mark.parametrize("refusal", DUPLICATES)
def test_one_that_is_there_already_is_returned_as_it_is(server: Script, hive: Hive, refusal: Reply) -> None:
    server.on(ALERTS[hive.major], refusal).on(READ_BACK, Reply(200, alert(title="older")))
    found, new = hive.create_alert(DRAFT)
    assert (found.title, new) == ("older", False)
    assert len(server.calls(ALERTS[hive.major])) == 1


@pytest.mark.parametrize("lost", [Reply(hang=True), error(500, "InternalError", "oops"), Reply(200, b"<html>")])
def test_one_whose_answer_was_lost_is_found_by_its_key_and_not_made_again(
    server: Script, hive: Hive, lost: Reply
) -> None:
    nothing_yet = error(404, "NotFoundError", "Alert not found")
    server.on(ALERTS[hive.major], lost).on(READ_BACK, nothing_yet, Reply(200, alert()))
    found, new = hive.create_alert(DRAFT)
    assert (found.id, new) == ("~40972376", True)
    assert len(server.calls(ALERTS[hive.major])) == 1


def test_one_that_cannot_be_found_stays_in_doubt_and_is_not_sent_again(server: Script, hive: Hive) -> None:
    server.on(ALERTS[hive.major], Reply(hang=True)).on(READ_BACK, error(404, "NotFoundError", "Alert not found"))
    with pytest.raises(HttpError) as caught:
        hive.create_alert(DRAFT)
    assert caught.value.ambiguous
    assert caught.value.kind == "timeout"
    assert len(server.calls(ALERTS[hive.major])) == 1
    assert len(server.calls(READ_BACK)) == 3


def test_a_proxys_own_404_is_not_proof_that_nothing_is_there(server: Script, hive5: Hive) -> None:
    server.on("GET /api/v1/alert/~1", Reply(404, b"<html>not here</html>", kind="text/html"))
    with pytest.raises(HttpError, match="an HTML page came where JSON was expected"):
        hive5.alert("~1")


def test_a_key_whose_parts_hold_semicolons_is_looked_up_by_a_query(server: Script, hive: Hive) -> None:
    server.on(ALERTS[hive.major], DUPLICATES[0]).on("listAlert", Reply(200, [alert(sourceRef="a;b")]))
    found, new = hive.create_alert(DRAFT._replace(reference="a;b"))
    assert (found.reference, new) == ("a;b", False)
    condition = server.calls("listAlert")[0].json["query"][1]
    assert {"_is": {"_field": "sourceRef", "_value": "a;b"}} in condition["_and"]


def test_an_unknown_technique_does_not_lose_the_alert(server: Script, hive5: Hive) -> None:
    server.on("POST /api/v1/alert", error(404, "NotFoundError", "Pattern T9999 not found"), Reply(201, alert()))
    server.on(READ_BACK, error(404, "NotFoundError", "Alert not found"))
    procedure = "POST /api/v1/alert/~40972376/procedure"
    server.on(procedure, Reply(201, {}), error(404, "NotFoundError", "Pattern T9999 not found"))
    draft = DRAFT._replace(techniques=(("T1110", "credential-access"), ("T9999", "impact")))
    assert hive5.create_alert(draft)[1] is True
    assert "procedures" not in server.calls("POST /api/v1/alert")[1].json
    assert [one.json["patternId"] for one in server.calls(procedure)] == ["T1110", "T9999"]


def test_what_thehive_would_refuse_is_refused_before_it_is_sent(server: Script, hive: Hive) -> None:
    before = len(server.seen)
    for draft, words in (
        (DRAFT._replace(title="t" * 513), "title of the alert has 513 characters and TheHive takes 512"),
        (DRAFT._replace(tags=("t" * 129,)), "tag has 129 characters"),
        (DRAFT._replace(observables=(ObservableDraft("other", "x" * 4097),)), "4,096 at most; send it as a file"),
        (DRAFT._replace(source=""), "source of the alert is empty"),
    ):
        with pytest.raises(InputError, match=words):
            hive.create_alert(draft)
    assert len(server.seen) == before


def test_a_missing_permission_is_named(server: Script, hive: Hive) -> None:
    server.on(ALERTS[hive.major], error(403, "AuthorizationError", "Unauthorized action"))
    with pytest.raises(HttpError) as caught:
        hive.create_alert(DRAFT)
    right = "manageAlert/create" if hive.major == 5 else "manageAlert"
    assert str(caught.value) == (
        f"TheHive refused to let the account create an alert (403): grant `{right}` to the profile of the account "
        "whose key is used, in its organisation."
    )
    assert not caught.value.ambiguous


def test_version_5_adds_tags_and_closes_what_is_read(server: Script, hive5: Hive) -> None:
    server.on("PATCH /api/v1/alert/~40972376", Reply(204)).on("GET /api/v1/alert/~40972376", Reply(200, alert()))
    statuses = [{"value": "New", "stage": "New"}, {"value": "Ignored", "stage": "Closed"}]
    server.on("listAlertStatus", Reply(200, statuses))
    hive5.update_alert("~40972376", add_tags=["suppressed"], read=True)
    bodies = [one.json for one in server.calls("PATCH /api/v1/alert/~40972376")]
    assert bodies == [{"addTags": ["suppressed"]}, {"status": "Ignored"}]


def test_version_5_leaves_an_imported_alert_as_it_is(server: Script, hive5: Hive) -> None:
    server.on("GET /api/v1/alert/~40972376", Reply(200, alert(status="Imported", stage="Imported")))
    hive5.update_alert("~40972376", read=True)
    assert server.calls("PATCH /api/v1/alert/~40972376") == []


def test_version_4_replaces_the_whole_list_of_tags_and_looks_again(server: Script, hive4: Hive) -> None:
    state = alert(tags=["wazuh", 'ns:kind="x"'])

    def patched(asked: object) -> Reply:
        state["tags"] = asked.json["tags"]  # type: ignore[attr-defined]
        return Reply(200, state)

    server.on("GET /api/v1/alert/~40972376", lambda _: Reply(200, dict(state)))
    server.on("PATCH /api/alert/~40972376", patched).on("POST /api/alert/~40972376/markAsRead", Reply(200, {}))
    hive4.update_alert("~40972376", add_tags=["suppressed", "ns:kind=x"], read=True)
    assert [one.json for one in server.calls("PATCH /api/alert/~40972376")] == [
        {"tags": ["wazuh", 'ns:kind="x"', "suppressed"]}
    ]
    assert len(server.calls("POST /api/alert/~40972376/markAsRead")) == 1


def test_a_tag_that_another_writer_swept_away_is_written_again_on_top_of_theirs(server: Script, hive4: Hive) -> None:
    lists = [["a"], ["a"], ["a", "theirs"], ["a", "theirs"], ["a", "theirs", "ours"]]
    server.on("GET /api/v1/alert/~1", *[Reply(200, alert(tags=tags)) for tags in lists])
    server.on("PATCH /api/alert/~1", Reply(200, {}))
    hive4.update_alert("~1", add_tags=["ours"])
    assert [one.json["tags"] for one in server.calls("PATCH /api/alert/~1")] == [["a", "ours"], ["a", "theirs", "ours"]]


def test_a_tag_that_never_stays_is_not_passed_over_in_silence(server: Script, hive4: Hive) -> None:
    server.on("GET /api/v1/alert/~1", Reply(200, alert(tags=[]))).on("PATCH /api/alert/~1", Reply(200, {}))
    with pytest.raises(HttpError, match="took the tags of the alert but did not keep it"):
        hive4.update_alert("~1", add_tags=["ours"])
    assert len(server.calls("PATCH /api/alert/~1")) == 3


# into a case --------------------------------------------------------------------------------------------------------


def imported(server: Script) -> None:
    server.on("GET /api/v1/alert/~40972376", Reply(200, alert(caseId="~81924208", stage="Imported")))


def standing(server: Script) -> None:
    """The alert is in no case, and the case is there."""
    server.on("GET /api/v1/alert/~40972376", Reply(200, alert()))
    server.on("GET /api/v1/case/~81924208", Reply(200, case()))


def test_an_alert_becomes_a_case_from_its_template(server: Script, hive: Hive) -> None:
    standing(server)
    server.on(PROMOTIONS[hive.major], Reply(201, case()))
    made = hive.promote("~40972376", template="ssh-bruteforce")
    assert (made.id, made.number, made.open) == ("~81924208", 128, True)
    assert server.calls(PROMOTIONS[hive.major])[0].json == {"caseTemplate": "ssh-bruteforce"}


def test_an_alert_in_a_case_gives_that_case_and_is_not_promoted_again(server: Script, hive: Hive) -> None:
    standing(server)
    imported(server)
    assert hive.promote("~40972376").id == "~81924208"
    assert server.calls(PROMOTIONS[hive.major]) == []


@pytest.mark.parametrize("lost", [Reply(hang=True), error(500, "InternalError", "oops")])
def test_a_promotion_whose_answer_was_lost_is_found_at_the_alert(server: Script, hive: Hive, lost: Reply) -> None:
    standing(server)

    def acts(_: object) -> Reply:
        imported(server)
        return lost

    server.on(PROMOTIONS[hive.major], acts)
    assert hive.promote("~40972376").number == 128
    assert len(server.calls(PROMOTIONS[hive.major])) == 1


def test_a_promotion_that_did_not_happen_stays_in_doubt(server: Script, hive: Hive) -> None:
    standing(server)
    server.on(PROMOTIONS[hive.major], Reply(hang=True))
    with pytest.raises(HttpError) as caught:
        hive.promote("~40972376")
    assert caught.value.ambiguous


def test_tasks_beside_a_template_are_added_to_the_templates_own_and_only_once(server: Script, hive: Hive) -> None:
    standing(server)
    server.on(PROMOTIONS[hive.major], Reply(201, case()))
    server.on("getCase tasks", Reply(200, [task(title="Triage")])).on(TASKS[hive.major], Reply(201, task()))
    hive.promote(
        "~40972376", template="t", tasks=[TaskDraft("Triage"), TaskDraft("Escalate", "Containment", flag=True)]
    )
    assert [one.json["title"] for one in server.calls(TASKS[hive.major])] == ["Escalate"]


def test_version_5_is_given_the_tasks_at_once_where_there_is_no_template(server: Script, hive5: Hive) -> None:
    standing(server)
    server.on(PROMOTIONS[5], Reply(201, case())).on("getCase tasks", Reply(200, [task(title="Triage")]))
    hive5.promote("~40972376", tasks=[TaskDraft("Triage", "Identification")])
    assert server.calls(PROMOTIONS[5])[0].json == {
        "tasks": [{"title": "Triage", "group": "Identification", "status": "Waiting", "flag": False, "order": 0}]
    }
    assert server.calls(TASKS[5]) == []


def test_an_alert_is_imported_into_an_open_case(server: Script, hive: Hive) -> None:
    standing(server)

    def acts(_: object) -> Reply:
        imported(server)
        return Reply(200, case())

    server.on(MERGES[hive.major], acts)
    assert hive.merge("~40972376", "~81924208").id == "~81924208"


def test_an_import_that_was_done_already_gives_the_alerts_case(server: Script, hive: Hive) -> None:
    standing(server)

    def refuses(_: object) -> Reply:
        imported(server)
        return error(400, "BadRequest", "Alert is already imported")

    server.on(MERGES[hive.major], refuses)
    assert hive.merge("~40972376", "~81924208").id == "~81924208"
    assert hive.merge("~40972376", "~81924208").id == "~81924208"
    assert len(server.calls(MERGES[hive.major])) == 1


def test_nothing_is_imported_into_a_closed_case(server: Script, hive: Hive) -> None:
    standing(server)
    server.on("GET /api/v1/case/~81924208", Reply(200, case(stage="Closed", status="FalsePositive")))
    with pytest.raises(InputError, match="cannot be imported into the case ~81924208, which is closed"):
        hive.merge("~40972376", "~81924208")
