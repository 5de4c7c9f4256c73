"""All four dialects of TheHive's webhooks say the same thing to us."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from playbook_service.intake.hook import read_hook
from propolis.errors import InputError

PAYLOADS = Path(__file__).resolve().parents[2] / "fixtures" / "thehive_payloads"
HOOKS = sorted(path for path in PAYLOADS.glob("v[45]_v[01]_*.json"))


def load(name: str) -> dict[str, Any]:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


@pytest.mark.parametrize("path", HOOKS, ids=lambda path: path.stem)
def test_every_recorded_hook_is_read_in_its_dialect(path: Path):
    hook = read_hook(json.loads(path.read_text()))
    assert hook.dialect == path.stem[:5].replace("_", "")
    assert hook.verb in {"create", "update", "delete", "merge"}
    assert hook.entity in {"case", "alert", "observable", "task", "log", "comment", "job", "action"}
    assert hook.entity_id.startswith("~")
    assert hook.organisation == "soc-main"


@pytest.mark.parametrize("name", ["v5_v1_job_finish_INFERRED", "v5_v0_job_finish_INFERRED", "v4_v1_job_finish"])
def test_a_finished_job_is_the_same_in_every_dialect(name: str):
    hook = read_hook(load(name))
    assert (hook.entity, hook.verb, hook.entity_id, hook.root_id) == ("job", "update", "~81928304", "~81924208")
    assert hook.details["status"] == "Success"


@pytest.mark.parametrize(("name", "field"), [
    ("v5_v1_case_close_falsepositive", "status"),
    ("v5_v0_case_close_falsepositive", "status"),
    ("v4_v0_case_close_falsepositive", "resolutionStatus"),
])  # fmt: skip
def test_a_closed_case_says_how_it_was_closed(name: str, field: str):
    hook = read_hook(load(name))
    assert (hook.entity, hook.verb, hook.details[field]) == ("case", "update", "FalsePositive")


def test_a_repeated_message_has_the_same_key_and_another_message_of_the_same_request_has_not():
    first, share = load("v4_v0_case_create"), load("v4_v0_case_create_share")
    assert read_hook(first).key == read_hook(copy.deepcopy(first)).key
    assert read_hook(first).key != read_hook(share).key


def test_the_empty_audit_id_of_alert_observables_does_not_make_them_one():
    first = load("v5_v1_alert_observable_create")
    second = copy.deepcopy(first)
    first["_id"] = second["_id"] = ""
    second["objectId"] = "~999"
    assert read_hook(first).key != read_hook(second).key


def test_two_organisations_may_use_the_same_audit_id():
    first = load("v5_v1_case_create")
    second = copy.deepcopy(first)
    second["organisation"]["organisation"] = "soc-other"
    assert read_hook(first).key != read_hook(second).key


def test_the_author_is_known_where_thehive_says_it():
    assert read_hook(load("v5_v1_task_update_completed")).actor == "analyst@soc.example"
    assert read_hook(load("v4_v0_task_update_completed")).actor == ""


@pytest.mark.parametrize("body", [
    None, [], "text", {}, {"objectType": "case"}, {"objectType": "case", "objectId": "~1"},
    {"objectType": 1, "objectId": "~1", "operation": "create"}, {"objectType": "case", "objectId": 5, "operation": "x"},
])  # fmt: skip
def test_what_is_no_hook_is_refused_in_one_sentence(body: object):
    with pytest.raises(InputError, match=r"^[^\n]+\.$"):
        read_hook(body)


def test_wrong_types_in_a_hook_are_survived():
    hook = read_hook({
        "objectType": "Case", "objectId": "~1", "operation": "UPDATE", "details": [], "organisation": 7,
        "startDate": "soon", "rootId": None, "requestId": {},
    })  # fmt: skip
    assert (hook.details, hook.organisation, hook.at, hook.root_id) == ({}, "", 0, "")
