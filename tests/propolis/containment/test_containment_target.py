"""One target, from an observable, an alert or a case, in every shape TheHive hands over; never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from propolis.containment.target import Wanted, custom_field, find_target, parent, tags_of
from propolis.errors import InputError

WANTED = Wanted(
    data_types=(("ip", "ip"), ("hostname", "host")),
    fields=(("wazuh_agent_name", "host"),),
    tag_kind="ip",
    hints=(("wazuh_agent_id", "wazuh_agent_id"),),
    tagged_types=(("other", "subtype:username", "account"),),
)


def observable(**more: Any) -> dict[str, Any]:
    return {"dataType": "ip", "data": "203.0.113.7", "tags": [], **more}


def find(entity: dict[str, Any], kind: str = "case_artifact") -> tuple[str, str, str]:
    target = find_target(entity, f"thehive:{kind}", WANTED)
    return target.kind, target.value, target.origin


@pytest.mark.parametrize("shape", ["v4_case_artifact", "v5_case_artifact", "v5_case_artifact_in_alert"])
def test_an_observable_of_every_version_of_thehive(fixtures: Path, shape: str) -> None:
    job = json.loads((fixtures / "thehive_payloads" / f"responder_input_{shape}.json").read_text())
    assert find_target(job["data"], job["dataType"], WANTED)[:3] == ("ip", "203.0.113.45", "observable")


def test_white_space_around_the_data_is_cut() -> None:
    assert find(observable(data=" 203.0.113.7\n"))[1] == "203.0.113.7"


@pytest.mark.parametrize("data", [None, "", "   ", 7, ["203.0.113.7"], {"a": 1}])
def test_an_observable_without_data_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="no data"):
        find(observable(data=data))


def test_another_type_is_refused_with_those_that_are_taken() -> None:
    with pytest.raises(InputError, match=r"accepted are ip, hostname, other tagged subtype:username"):
        find(observable(dataType="hash"))


def test_other_is_a_user_name_only_when_tagged_as_one() -> None:
    tagged = observable(dataType="other", data="jdoe", tags=["Subtype:Username"])
    assert find(tagged)[:2] == ("account", "jdoe")
    with pytest.raises(InputError):
        find(observable(dataType="other", data="jdoe"))


def test_an_observables_case_gives_the_hints() -> None:
    entity = observable(case={"customFields": {"wazuh_agent_id": {"string": "003"}}})
    assert find_target(entity, "thehive:case_artifact", WANTED).hints == (("wazuh_agent_id", "003"),)


@pytest.mark.parametrize(
    "fields",
    [
        {"customFields": {"wazuh_agent_name": {"string": "web-01", "order": 0}}},
        {"customFields": {"wazuh_agent_name": "web-01"}},
        {"customFields": [{"name": "wazuh_agent_name", "value": "web-01"}]},
        {"customFieldValues": {"wazuh_agent_name": "web-01"}},
        {"customFieldValues": {"wazuh_agent_name": " web-01 "}, "customFields": {}},
    ],
)
def test_a_custom_field_in_every_shape(fields: dict[str, Any]) -> None:
    assert find(fields, "case") == ("host", "web-01", "custom field wazuh_agent_name")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ({"integer": 3}, "3"),
        ({"float": 0.5}, "0.5"),
        ({"integer": 0}, "0"),
        ({"boolean": True}, ""),
        ({"string": None}, ""),
        ({}, ""),
        ([], ""),
        (None, ""),
        (True, ""),
    ],
)
def test_a_custom_field_as_text(field: Any, text: str) -> None:
    assert custom_field({"customFields": {"f": field}}, "f") == text


@pytest.mark.parametrize("fields", [None, 7, "text", [], [None, 7], {"customFields": 1}])
def test_custom_fields_of_a_wrong_shape_are_none(fields: Any) -> None:
    assert custom_field({"customFields": fields}, "f") == ""


@pytest.mark.parametrize("kind", ["case", "alert"])
def test_a_tag_names_the_target(kind: str) -> None:
    found = find({"tags": ["wazuh", "propolis:target= 203.0.113.7 "]}, kind)
    assert found[:2] == ("ip", "203.0.113.7")


def test_an_empty_tag_names_nothing() -> None:
    with pytest.raises(InputError, match="names no target"):
        find({"tags": ["propolis:target=", "propolis:target=  "]}, "case")


def test_the_same_target_twice_is_one() -> None:
    tags = ["propolis:target=203.0.113.7", "propolis:target=203.0.113.7"]
    assert find({"tags": tags}, "case")[1] == "203.0.113.7"


def test_two_targets_are_refused_with_where_they_stand() -> None:
    entity = {"tags": ["propolis:target=203.0.113.7"], "customFields": {"wazuh_agent_name": "web-01"}}
    with pytest.raises(InputError) as caught:
        find(entity, "alert")
    for text in ("2 targets", "203.0.113.7", "web-01", "custom field wazuh_agent_name"):
        assert text in str(caught.value)


def test_no_target_says_how_to_name_one() -> None:
    with pytest.raises(InputError, match=r"propolis:target=.*wazuh_agent_name"):
        find({}, "case")


@pytest.mark.parametrize("kind", ["case_task", "case_task_log", "", "dashboard"])
def test_nothing_else_is_a_target(kind: str) -> None:
    with pytest.raises(InputError, match="cannot be started on"):
        find(observable(), kind)


def test_tags_and_parents_of_a_wrong_shape_are_none() -> None:
    assert tags_of({"tags": "propolis:target=x"}) == []
    assert tags_of({"tags": ["a", 7, None]}) == ["a"]
    entity = {"case": "text", "alert": {"title": "a"}}
    assert parent(entity) == {"title": "a"}
    assert parent({"case": None}) == {"case": None}
