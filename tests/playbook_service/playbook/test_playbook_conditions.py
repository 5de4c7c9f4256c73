"""Conditions: what each modifier means, on what Wazuh really writes."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from playbook_service.playbook.condition import MODIFIER_WORDS, Condition, read_condition
from playbook_service.playbook.document import parse
from playbook_service.playbook.pattern import MAX_INPUT, PatternError, compile_pattern

CONTEXT: dict[str, Any] = {
    "alert": {
        "rule": {"level": 10, "id": "5712", "groups": ["syslog", "sshd", " powershell", "web_scan"], "mail": False},
        "agent": {"id": "000", "name": "Manager"},
        "data": {
            "srcip": "203.0.113.7",
            "mapped": "::ffff:203.0.113.7",
            "v6": "2001:db8::1",
            "port": "40022",
            "big": "1619032221869.000000",
            "flag": "true",
            "text": "nan",
            "nothing": None,
            "empty": [],
            "win": {"eventdata": {"image": "C:\\\\Temp\\\\Evil.EXE", "threat Name": "Trojan"}},
            "ms-graph": {"evidence": [{"ipAddress": "198.51.100.1"}, {"ipAddress": "198.51.100.2"}, {"x": 1}]},
            "io.kubernetes.pod": {"name": "web"},
            "io": {"other": 1},
        },
    },
    "observable": {"dataType": "ip", "tags": ["internal", "role:source"]},
}

HOLDING = [
    "alert.rule.level: 10",
    "alert.rule.level: '10'",
    "alert.rule.id: 5712",
    "alert.rule.id: [1, '5712']",
    "alert.rule.groups: SSHD",
    "alert.rule.groups: powershell",
    "alert.rule.groups|in: [nope, syslog]",
    "alert.rule.groups|contains: web",
    "alert.rule.groups|contains|all: [web, ssh]",
    "alert.rule.groups|startswith: [sys, x]",
    "alert.rule.groups|endswith: _scan",
    "alert.rule.groups|not: web",
    "alert.rule.groups|not: [web, attack]",
    "alert.rule.mail: false",
    "alert.data.flag: true",
    "alert.data.port|gte: 40022",
    "alert.data.port|gt: '40021'",
    "alert.data.port|lte: 40022",
    "alert.data.port|lt: 40023.5",
    "alert.data.big: 1619032221869",
    "alert.data.srcip|cidr: 203.0.113.0/24",
    "alert.data.mapped|cidr: [192.0.2.0/24, 203.0.113.0/24]",
    "alert.data.v6|cidr: '2001:db8::/32'",
    "alert.data.srcip|not|cidr: 10.0.0.0/8",
    "alert.data.srcip|re: '^203\\.'",
    "alert.data.win.eventdata.image|endswith: \\temp\\evil.exe",
    "alert.data.win.eventdata.image: 'c:\\temp\\EVIL.exe'",
    "alert.data.win.eventdata.image|re: 'Temp.Evil'",
    "alert.data.win.eventdata.image|re: '(?i)temp.evil'",
    "alert.data.win.eventdata.threat Name: trojan",
    "alert.data.ms-graph.evidence.ipAddress: 198.51.100.2",
    "alert.data.io.kubernetes.pod.name: web",
    "alert.data.srcip|exists: true",
    "alert.data.missing|exists: false",
    "alert.data.nothing|exists: false",
    "alert.data.empty|exists: false",
    "alert.data.missing|not: x",
    "alert.data.missing|not|exists: true",
    "alert.data.missing.deeper|not|contains: x",
    "case.severity|not|gte: 3",
    "observable.tags|contains: intern",
]
FAILING = [
    "alert.rule.level: 11",
    "alert.rule.level: true",
    "alert.rule.groups: ssh",
    "alert.rule.groups|not: sshd",
    "alert.rule.groups|not|contains: web",
    "alert.rule.groups|contains|all: [web, attack]",
    "alert.rule.groups|contains: 'scan*'",
    "alert.rule.mail|gte: 0",
    "alert.data.text|gte: 0",
    "alert.data.text|lte: 0",
    "alert.data.port|gt: 40022",
    "alert.data.srcip|cidr: 10.0.0.0/8",
    "alert.data.text|cidr: 0.0.0.0/0",
    "alert.data.win.eventdata.image|re: 'temp'",
    "alert.data.missing: x",
    "alert.data.missing|exists: true",
    "alert.data.win|contains: eventdata",
    "alert.data.srcip.deeper: x",
    "verdict.score|gte: 0",
    "observable.tags|not|contains: INTERNAL",
]


def condition(text: str) -> Condition:
    nodes, faults = parse(text.encode(), "test.yml")
    assert not faults
    return read_condition(nodes[0])


@pytest.mark.parametrize("text", HOLDING)
def test_this_holds(text: str) -> None:
    assert condition(text).holds(CONTEXT)


@pytest.mark.parametrize("text", FAILING)
def test_this_does_not_hold(text: str) -> None:
    assert not condition(text).holds(CONTEXT)


def test_every_modifier_is_tried_both_ways() -> None:
    for word in set(MODIFIER_WORDS) - {"in", "startswith", "endswith", "lt", "lte", "gt"}:
        assert any(f"|{word}" in text for text in HOLDING), word
        assert any(f"|{word}" in text for text in FAILING), word


def test_a_map_is_and_and_a_list_of_maps_is_or() -> None:
    both = "{alert.rule.level: 10, alert.agent.id: '000'}"

    assert condition(both).holds(CONTEXT)
    assert not condition("{alert.rule.level: 10, alert.agent.id: '001'}").holds(CONTEXT)
    assert condition("[{alert.rule.level: 3}, " + both + "]").holds(CONTEXT)
    assert not condition("[{alert.rule.level: 3}, {alert.rule.level: 4}]").holds(CONTEXT)


def test_not_turns_every_test_round() -> None:
    for text in [*HOLDING, *FAILING]:
        field, _, value = text.partition(": ")
        name, *words = field.split("|")
        turned = words[1:] if words[:1] == ["not"] else ["not", *words]

        opposite = condition(f"{'|'.join([name, *turned])}: {value}")

        assert opposite.holds(CONTEXT) is not condition(text).holds(CONTEXT), text


def test_explain_says_which_line_failed_and_what_was_there() -> None:
    checks = condition("{alert.rule.level|gte: 12, alert.rule.groups: sshd}").explain(CONTEXT)

    assert [(check.test, check.held) for check in checks] == [
        ("alert.rule.level|gte: 12", False),
        ("alert.rule.groups: sshd", True),
    ]
    assert checks[0].sentence == "alert.rule.level|gte: 12 does not hold (found 10)"
    assert checks[0].found == (10,)


def test_why_names_the_alternative_that_held_or_every_line_that_failed() -> None:
    either = condition("[{alert.rule.level: 3}, {alert.rule.level|lt: 12, alert.agent.id: '000'}]")
    neither = condition("[{alert.rule.level: 3}, {alert.rule.level|lt: 12, alert.agent.id: '007'}]")

    assert either.why(CONTEXT) == ("alert.rule.level|lt: 12 holds (found 10)", "alert.agent.id: 000 holds (found 000)")
    assert neither.why(CONTEXT) == (
        "alert.rule.level: 3 does not hold (found 10)",
        "alert.agent.id: 007 does not hold (found 000)",
    )


def test_what_was_found_is_cut_and_cleaned_before_it_is_shown() -> None:
    hostile = {"alert": {"full_log": "\x1b[31m" + "x" * 5_000}}

    (sentence,) = condition("alert.full_log|contains: xx").why(hostile)

    assert "\x1b" not in sentence
    assert len(sentence) < 200


def test_any_shape_of_context_is_taken_without_an_exception() -> None:
    generator = random.Random(7)  # noqa: S311 - seeded on purpose
    conditions = [condition(text) for text in [*HOLDING, *FAILING]]

    def value(depth: int) -> Any:
        kind = generator.randrange(9 if depth else 7)
        plain: list[Any] = [None, True, 10, float("nan"), "\ud800", "x" * 9_000, 10**400]
        keys = ["rule", "level", "groups", "data", "win", "eventdata", "image", "srcip", "io.kubernetes", "id", "agent"]
        if kind < 7:
            return plain[kind]
        if kind == 7:
            return [value(depth - 1) for _ in range(generator.randrange(4))]
        return {key: value(depth - 1) for key in generator.sample(keys, 5)}

    for _ in range(300):
        context = {root: value(5) for root in ("alert", "observable", "verdict", "case")}
        for each in conditions:
            assert each.holds(context) in (True, False)


def test_a_list_of_a_million_elements_is_read_up_to_a_bound() -> None:
    context = {"alert": {"rule": {"groups": ["x"] * 1_000_000 + ["attack"]}}}

    assert not condition("alert.rule.groups: attack").holds(context)
    assert condition("alert.rule.groups: x").holds(context)


REFUSED = [
    "(a+)+$",
    "(a|a)*",
    "(a|aa)+",
    ".*.*x",
    "(x?){40}",
    "(.*)*",
    "(?:a{0,9}){0,9}{0,9}",
    r"(.)\1",
    "a" * 501,
    "x**",
]
REFUSED += [r"^(\w+\s?)*$", "^.*.*.*$", "(a{1,}){2,}", "(?>a+)b", "a++", "[[a]&&b]", "(?x) a", "(", "(a+){,}", "(?P=x)"]
TAKEN = [
    "^/api/.*/users/.*$",
    r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
    "(?i)powershell.{0,40}-enc",
    "a|b|c",
    "[^]]+",
    "^$",
]
TAKEN += [r"(?:cmd|powershell)\.exe", "(?=a)b", "(?!a)b", "(?P<name>x)?", r"\(\[", "a{2}", "a{", "(ab){3}", "x{2,5}y+"]


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_pattern_that_could_hang_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", TAKEN)
def test_an_everyday_pattern_is_taken_and_ends_on_hostile_input(pattern: str) -> None:
    compiled = compile_pattern(pattern)

    for letter in ("a", "/api/", "1.", "x", " ", "ab", "-enc"):
        began = time.monotonic()
        compiled.search((letter * MAX_INPUT)[:MAX_INPUT] + "!")
        assert time.monotonic() - began < 5.0
