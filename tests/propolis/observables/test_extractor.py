"""What holds for every alert: once each, never the reporting host, never an exception, bounded, and said so."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from propolis.alert import Alert
from propolis.observables import ROLES, extract, extract_all
from propolis.observables.extractor import LONGEST, MOST

STORIES = sorted((Path(__file__).resolve().parents[2] / "fixtures" / "wazuh_alert").glob("*.json"))
DATA_TYPES = {
    *(
        "ip",
        "domain",
        "fqdn",
        "hostname",
        "url",
        "uri_path",
        "mail",
        "hash",
        "filename",
        "registry",
        "user-agent",
        "other",
    ),
}


def _alert(data: Any, **more: Any) -> Alert:
    return Alert(
        {
            "rule": {"id": "1", "level": 3},
            "agent": {"id": "001", "name": "web01", "ip": "10.20.0.11"},
            "data": data,
            **more,
        }
    )


def _pairs(alert: Alert) -> set[tuple[str, str]]:
    return {(seen.data_type, seen.data) for seen in extract(alert)}


def test_a_value_is_given_once_with_the_strongest_part_it_plays() -> None:
    found = extract(
        _alert({"dstip": "203.0.113.24", "srcip": "203.0.113.24", "nested": {"src_ip": "::ffff:203.0.113.24"}})
    )
    assert [(seen.data, seen.role, seen.path) for seen in found] == [("203.0.113.24", "source", "data.srcip")]


def test_the_reporting_host_is_the_asset_and_no_observable() -> None:
    assert _pairs(_alert({"srcip": "10.20.0.11", "dstip": "203.0.113.24", "src_host": "web01"})) == {
        ("ip", "203.0.113.24")
    }


def test_addresses_are_tagged_by_where_they_lie_and_hashes_by_their_kind() -> None:
    tags = {
        seen.data: seen.tags
        for seen in extract(
            _alert({"srcip": "192.168.1.1", "dstip": "203.0.113.24", "md5": "9519135089d69ad7ae6b00a78480bb2b"})
        )
    }
    assert tags["192.168.1.1"] == ("role:source", "internal")
    assert tags["203.0.113.24"] == ("role:destination", "external")
    assert tags["9519135089d69ad7ae6b00a78480bb2b"] == ("role:file", "hash:md5")


def test_lists_and_objects_at_any_path_are_read() -> None:
    scalar, listed = {"src_ip": "203.0.113.24"}, {"src_ip": ["203.0.113.24", None, 5, {"x": 1}]}
    assert _pairs(_alert({"event_type": "alert", **scalar})) == _pairs(_alert({"event_type": "alert", **listed}))


def test_the_rule_and_links_of_vendors_are_never_read() -> None:
    rule = {
        "id": "1",
        "level": 3,
        "description": "from 203.0.113.24",
        "hipaa": ["164.312.b"],
        "info": "http://203.0.113.24/",
    }
    data = {"ref": "http://203.0.113.24/kb", "link": "http://203.0.113.24/x", "permalink": "http://203.0.113.24/"}
    assert extract(Alert({"rule": rule, "data": data})) == []


def test_the_alert_nested_in_feedback_is_not_reported_again() -> None:
    nested = {"data": {"srcip": "203.0.113.24", "url": "/x"}, "agent": {"ip": "198.51.100.7"}}
    decoded = {"name": "ar_log_json"}
    assert _pairs(_alert({"srcip": "203.0.113.24", "parameters": {"alert": nested}}, decoder=decoded)) == {
        ("ip", "203.0.113.24")
    }


def test_too_many_observables_are_cut_and_it_is_said() -> None:
    addresses = [f"2001:db8::1:{number:x}" for number in range(MOST + 500)]
    extraction = extract_all(_alert({"event_type": "dns", "src_ip": addresses}))
    assert len(extraction.observables) == MOST
    assert extraction.notes == [f"More than {MOST} observables: 500 further findings were left out."]


def test_too_many_fields_of_an_unknown_source_are_cut_and_it_is_said() -> None:
    extraction = extract_all(_alert({"src_ip": "203.0.113.24", "many": [{"x": "y"}] * 30_000}))
    assert [seen.data for seen in extraction.observables] == ["203.0.113.24"]
    assert extraction.notes == ["Only the first 20000 fields below data were read by their names."]


def test_a_key_that_another_product_uses_too_does_not_hide_the_rest() -> None:
    kubernetes = {"docker": {"container_id": "ab" * 32}, "client_ip": "203.0.113.24"}
    assert _pairs(_alert(kubernetes)) == {("ip", "203.0.113.24")}


def test_a_long_field_is_read_in_part_and_it_is_said() -> None:
    line = "curl http://203.0.113.24/a " + "x" * LONGEST
    extraction = extract_all(_alert({"command": line}, decoder={"name": "sudo"}))
    assert [seen.data for seen in extraction.observables] == ["http://203.0.113.24/a"]
    assert extraction.notes == [f"Only the first {LONGEST} characters of data.command were read."]


@pytest.mark.parametrize(
    "text",
    [
        "word" * 16_000,
        "from " * 13_000,
        "<" * 65_000,
        "a@" * 32_000,
        "from <" + "@" * 65_000,
        "from" + " " * 65_000,
        "Login failed: " * 4_600,
        "Registration from '" * 3_400,
        "<Command>" * 7_200,
        'GET "' * 13_000,
        "=".join(["k"] * 32_000),
        "\\" * 65_000,
        "user " * 13_000,
        "[" * 65_000,
        "# " * 32_000,
        "1." * 32_000,
        "-enc " + "A" * 65_000,
        "certutil " * 7_200,
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.timeout(60)
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    """Every reader gets every text. A quadratic pattern would take minutes here, where all of them take a second."""
    from propolis.observables import kinds
    from propolis.observables.texts import access_log, command, exchange, pairs, windows
    from propolis.observables.texts import syslog as messages

    readers = [
        reader
        for module in (kinds, access_log, command, exchange, windows, messages)
        for name, reader in vars(module).items()
        if getattr(reader, "__module__", "") == module.__name__ and not name.startswith("_") and callable(reader)
    ]
    assert len(readers) > 50
    for reader in readers:
        list(reader(text))
    pairs.pairs(text)
    pairs.elements(text)


JUNK: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        3.5,
        float("nan"),
        float("inf"),
        10**400,
        "",
        " ",
        "-",
        "\ud800",
        "\udfff\ud800",
        "\0",
        "a" * 5000,
    ),
    *(
        [],
        {},
        [[]],
        [None],
        {"": ""},
        [{"a": [{"b": "203.0.113.24"}]}],
        "203.0.113.24",
        "%s%n",
        "{{7*7}}",
        "';--",
        "\\\\",
        "\\" * 50,
    ),
    *(
        "http://",
        "http://[",
        "http://[::1",
        "[",
        "::ffff:",
        "CEF:0|",
        "type:",
        "SHA256=",
        "CN=",
        "&lt;&amp;",
        "\u202ecod.scr",
        "٣.٣.٣.٣",
    ),
]


def _mutate(node: Any, dice: random.Random, depth: int = 0) -> Any:
    if dice.random() < 0.06 or depth > 30:
        return dice.choice(JUNK)
    if isinstance(node, dict):
        kept = {name: _mutate(value, dice, depth + 1) for name, value in node.items() if dice.random() > 0.04}
        if dice.random() < 0.05:
            kept[dice.choice(["srcip", "data", "win", "aws", "\ud800", "", "a.b"])] = dice.choice(JUNK)
        return kept
    if isinstance(node, list):
        return [_mutate(entry, dice, depth + 1) for entry in node * dice.choice([1, 1, 1, 3])]
    if isinstance(node, str) and dice.random() < 0.15:
        place = dice.randrange(len(node) + 1)
        return node[:place] + str(dice.choice(JUNK)) + node[place + dice.randrange(3) :]
    return [node] if dice.random() < 0.05 else node


@pytest.mark.parametrize("seed", range(8))
def test_whatever_a_document_holds_the_output_is_well_formed(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - chosen for being repeatable
    stories = [json.loads(story.read_text(encoding="utf-8"))["alert"] for story in STORIES]
    for _ in range(3):
        for story in stories:
            document = _mutate(story, dice)
            _check(document if isinstance(document, dict) else {"rule": document})


def _check(document: dict[str, Any]) -> None:
    extraction = extract_all(Alert(document))
    assert len({(seen.data_type, seen.data) for seen in extraction.observables}) == len(extraction.observables)
    for seen in extraction.observables:
        assert seen.data_type in DATA_TYPES
        assert isinstance(seen.data, str)
        assert seen.data.strip()
        assert seen.role in ROLES
        assert isinstance(seen.path, str)
        assert seen.path
        assert all(isinstance(tag, str) for tag in seen.tags)


@pytest.mark.parametrize(
    "name", ["data", "syscheck", "rule", "agent", "decoder", "location", "full_log", "predecoder", "_source", "wazuh"]
)
def test_the_wrong_type_in_any_place_is_no_exception(name: str) -> None:
    for story in STORIES:
        for junk in JUNK:
            _check({**json.loads(story.read_text(encoding="utf-8"))["alert"], name: junk})


def test_deep_nesting_is_followed_so_far_and_no_further() -> None:
    deep: Any = "203.0.113.24"
    for _ in range(sys.getrecursionlimit() * 3):
        deep = [deep]
    wide: Any = {"src_ip": "203.0.113.24"}
    for _ in range(sys.getrecursionlimit() * 3):
        wide = {"x": wide}
    assert extract(_alert({"event_type": "alert", "src_ip": deep})) == []
    assert extract(_alert(wide)) == []


def test_the_work_is_proportional_to_the_number_of_fields() -> None:
    """Counted in calls, not in seconds: ten times the fields may cost ten times the calls, and a constant."""
    assert _calls(2000) < 12 * _calls(200)


def _calls(fields: int) -> int:
    alert = _alert({f"field_{number}": f"value {number}" for number in range(fields)} | {"src_ip": "203.0.113.24"})
    extract(alert)  # tables are loaded and patterns compiled once
    count = 0

    def trace(*_: Any) -> None:
        nonlocal count
        count += 1

    sys.setprofile(trace)
    try:
        extract(alert)
    finally:
        sys.setprofile(None)
    return count
