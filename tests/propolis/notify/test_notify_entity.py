"""What is told of an entity: bounded, and nothing in it that a reader could make a link of."""

from __future__ import annotations

from typing import Any

import pytest

from propolis.errors import InputError
from propolis.notify.entity import case_link, defanged, describe, safe

CASE: dict[str, Any] = {"_id": "~8", "caseId": 7, "title": "Login from afar", "severity": 2, "tags": [], "stage": "New"}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("see https://evil.example.net/x", "see https[:]//evil.example.net/x"),
        ("see WWW.example.net", "see www[.]example.net"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("x" * 400, "x" * 297 + "..."),
        (None, "None"),
    ],
)
def test_a_line_is_one_line_without_links(written: object, told: str):
    assert safe(written) == told


def test_names_are_told_so_that_nobody_opens_them_and_addresses_as_they_are():
    assert defanged("fqdn", "c2.example.net") == "c2[.]example[.]net"
    assert defanged("ip", "203.0.113.7") == "203.0.113.7"


def test_an_added_text_is_bounded():
    text = describe(CASE, "case", added="§\n" * 3000).text
    assert text.count("§") == 1000


def test_many_tags_are_told_by_the_first_of_them():
    text = describe({**CASE, "tags": [f"t{number}" for number in range(50)]}, "case").text
    assert "t19, and 30 more" in text
    assert "t20" not in text


@pytest.mark.parametrize(("severity", "urgency"), [(1, "info"), (2, "info"), (3, "high"), (4, "high"), (None, "info")])
def test_high_and_critical_are_urgent(severity: int | None, urgency: str):
    assert describe({**CASE, "severity": severity}, "case").urgency == urgency


@pytest.mark.parametrize("identity", ["~1/../../evil", "javascript:x", "~1?x=1", "~1#x", "", "x" * 100, "~1 "])
def test_an_id_that_is_none_makes_no_link_to_a_case_or_an_alert(identity: str):
    alert = {name: value for name, value in CASE.items() if name != "caseId"}
    assert describe({**alert, "_id": identity}, "alert", base="https://thehive.example.org").link == ""
    assert case_link("https://thehive.example.org", identity, five=True) == ""


def test_without_an_address_for_people_there_is_no_link():
    assert describe(CASE, "case").link == case_link("", "~8", five=True) == ""


def test_another_kind_of_object_is_refused():
    with pytest.raises(InputError, match="cannot be started on a case_task_log"):
        describe(CASE, "case_task_log")
