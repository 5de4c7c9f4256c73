from __future__ import annotations

import pytest

from playbook_service.judgement.guard import Guard
from playbook_service.judgement.own import Own
from playbook_service.replay.projection import Projection
from propolis.guardrails import Policy
from propolis.observables.model import Observable

POLICY = """
firewall:
  own: [192.0.2.0/24, "2001:db8:1::/48"]
domains:
  own: [example.com]
"""


@pytest.fixture
def own():
    return Own(Policy.parse(POLICY))


@pytest.mark.parametrize(
    ("data_type", "data", "ours"),
    [
        ("ip", "192.0.2.77", True),
        ("ip", "198.51.100.1", False),
        ("ip", "2001:db8:1::5", True),
        ("ip", "2001:db8:2::5", False),
        ("ip", "no address", False),
        ("fqdn", "shop.example.com", True),
        ("domain", "example.com", True),
        ("domain", "badexample.com", False),
        ("fqdn", "example.com.evil.example.net", False),
        ("url", "https://user:pw@shop.example.com:8443/a?b=https://evil.example.net", True),
        ("url", "https://evil.example.net/?q=example.com", False),
        ("mail", "boss@mail.example.com", True),
        ("mail", "boss@example.com.evil.example.net", False),
        ("hash", "d41d8cd98f00b204e9800998ecf8427e", False),
    ],
)
def test_what_lies_in_our_networks_and_domains_is_ours(own, data_type, data, ours):
    assert own.holds(data_type, data) is ours


def test_what_is_ours_is_tagged_internal_and_no_longer_external(own):
    (marked,) = own.mark([Observable("ip", "192.0.2.7", "source", "data.srcip", ("role:source", "external"), "")])
    assert marked.tags == ("role:source", "internal")


def test_without_own_networks_nothing_is_touched():
    observables = [Observable("ip", "192.0.2.7", "source", "data.srcip", ("external",), "")]
    assert Own(Policy.parse(None)).mark(observables) is observables


PATHS = [
    "alert.rule.level",
    "alert.rule.groups",
    "alert.data.aws.type",
    "alert.data.ms-graph.evidence.verdict",
    "alert.id",
]


def seen(fields):
    return Projection(PATHS).of(fields)


def test_a_projection_sees_what_the_playbooks_look_at_and_nothing_else():
    base = {"rule": {"level": 5, "groups": ["a"]}, "data": {"srcip": "x"}, "id": "1"}
    assert seen(base) == seen({**base, "data": {"srcip": "y"}, "location": "z"})
    for other in (
        {**base, "rule": {"level": 6, "groups": ["a"]}},
        {**base, "rule": {"level": 5, "groups": ["b"]}},
        {**base, "data": {"aws": {"type": "t"}}},
        {**base, "data": {"aws.type": "t"}},
        {**base, "data": {"ms-graph": {"evidence": [{"verdict": "malicious"}]}}},
        {**base, "id": "2"},
    ):
        assert seen(other) != seen(base)


@pytest.mark.parametrize(
    "fields", [{}, {"rule": None, "data": []}, {"rule": "x", "data": "y"}, {"rule": [{"level": 3}]}]
)
def test_a_projection_takes_any_document(fields):
    assert isinstance(seen(fields), tuple)


def test_a_value_that_cannot_be_a_key_is_no_crash(setup, alert):
    from playbook_service.replay.pipeline import Pipeline

    strange = alert(rule={"level": {"a": [1]}, "groups": {"b": {}}, "id": ["5760"]}, decoder={"name": {"c": 1}})
    assert Pipeline(setup).process(strange).observables


def test_the_guard_asks_the_policy_once_a_target(alert, policy):
    guard = Guard(policy)
    from playbook_service.playbook import Target

    target = Target("address", "ip", "198.51.100.80")
    first = guard.word(target, alert())
    assert first.rule.startswith("firewall.infrastructure")
    assert guard.word(target, alert()) is first


@pytest.mark.parametrize(
    ("kind", "data", "label", "rule"),
    [
        ("address", "10.0.0.1", "", "firewall.never: 10.0.0.0/8"),
        ("address", "not an address", "", "unreadable target"),
        ("account", "Administrator", "", "accounts.never_names: administrator"),
        ("account", "svc-backup", "", "accounts.service_accounts"),
        ("host", "004", "DC01", "hosts.never_names: dc"),
        ("host", "000", "siem01", "hosts."),
    ],
)
def test_what_is_protected_is_stopped(alert, policy, kind, data, label, rule):
    from playbook_service.playbook import Target

    word = Guard(policy).word(Target(kind, "x", data, label), alert())
    assert word.stop
    assert word.rule.startswith(rule)
