"""The policy document: read strictly, all faults at once, and useless as a whole when one entry is bad."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propolis.guardrails import PERMANENT, Policy, PolicyError, Refused, check_network, check_ttl
from propolis.guardrails.schema import KEYS

OWN = "firewall: {own: [198.51.100.0/24]}"


def faults(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        Policy.parse(text)
    return [f"{fault.line}:{fault.path}" for fault in caught.value.faults]


@pytest.mark.parametrize("text", [None, "", "  \n", "# only a comment\n"])
def test_without_a_document_the_built_in_rules_stand_and_nothing_is_contained(text: str | None) -> None:
    policy = Policy.parse(text)
    assert policy.describe() == {
        "source": "built in", "digest": None, "own_set": False, "mode": None, "enforceable": False,
    }  # fmt: skip
    assert "firewall.own" in (policy.enforceable or "")
    assert policy.holds_back() == [policy.enforceable]
    with pytest.raises(Refused):
        check_network(policy, "10.0.0.1")


def test_the_defaults_are_those_of_the_design() -> None:
    policy = Policy.parse(OWN)
    assert (policy.firewall.default_ttl, policy.max_ttl) == (86_400, 7 * 86_400)
    assert (policy.approval.required_for, policy.approval.valid_for) == (("accounts", "hosts"), 4 * 3600)
    assert (policy.firewall.permanent, policy.actor_required, policy.kill_switch) == ("human", False, None)
    assert (policy.firewall.max_prefix_v4, policy.firewall.max_prefix_v6) == (32, 64)
    assert [policy.needs_approval(kind) for kind in ("firewall", "accounts", "hosts")] == [False, True, True]


def test_a_whole_document_is_read(fixtures: Path) -> None:
    text = (fixtures / "policy" / "worked_example.yml").read_text()
    policy = Policy.parse(text, source="configuration item policy")
    assert policy.enforceable is None
    assert policy.describe()["digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert policy.describe()["source"] == "configuration item policy"
    assert policy.firewall.infrastructure_names == ("mail.example.org",)
    assert policy.firewall.third_party_lists[2].name == "our-cdn"
    assert (policy.limits.per_hour.firewall, policy.limits.per_case.firewall) == (20, 50)
    assert policy.limits.breaker.cool_down == 3600
    assert policy.hosts.never_types == ("Domain Controller",)


def test_every_fault_is_listed_with_its_line_and_path(fixtures: Path) -> None:
    assert faults((fixtures / "policy" / "many_faults.yml").read_text()) == [
        "1:firewal", "2:mode", "3:mode", "4:kill_switch",
        "6:firewall.own[0]", "6:firewall.own[1]", "6:firewall.own[2]", "6:firewall.own[3]", "7:firewall.never",
        "8:firewall.third_party_lists[0]", "8:firewall.third_party_lists[1].networks[0]",
        "9:firewall.max_prefix_v4", "10:firewall.max_ttl", "11:firewall.resolve_names", "12:firewall.permanent",
        "14:accounts.never_self", "15:accounts.never_names[0]", "15:accounts.never_names[1]", "16:hosts",
        "18:limits.per_hour.mail", "18:limits.per_hour.hosts", "20:approval.required_for[0]", "21:approval.valid_for",
    ]  # fmt: skip


def test_the_message_names_source_line_path_and_remedy() -> None:
    with pytest.raises(PolicyError, match="everything is refused") as caught:
        Policy.parse("firewall:\n  own: [198.51.100.7/24]\n", source="policy.yml")
    assert "policy.yml:2: firewall.own[0]" in str(caught.value)
    assert "write 198.51.100.0/24" in str(caught.value)


@pytest.mark.parametrize("key", [key.path for key in KEYS])
def test_no_key_takes_a_value_of_the_wrong_kind(key: str) -> None:
    text = "".join(f"{'  ' * depth}{part}:\n" for depth, part in enumerate(key.split(".")))
    for wrong in ("", " {}", " 2026-01-01", " 99999999999"):
        assert faults(text.rstrip("\n") + wrong + "\n")[0].endswith(key)


def test_a_default_beyond_the_maximum_is_a_fault() -> None:
    assert faults("firewall: {default_ttl: 8d}") == ["1:firewall.default_ttl"]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nb: [*a, *a]",
        "a: &a {}\n",
        "firewall: {<<: {own: [198.51.100.0/24]}}",
        "!!python/object/apply:os.system ['true']",
        "firewall: !!set {}",
        "[" * 100_000,
        "{a: " * 50_000,
        "firewall: {own: [" + "198.51.100.0/24, " * 16_000 + "]}",
        "firewall: {own: [198.51.100.0/24]}\n---\n{}",
        "firewall: [",
        "firewall:\n\town: []",
        "\x00",
        "\ud800",
        "? [a]\n: b",
        "1: 2",
        "[]",
        "word",
        "%YAML 9.9\n---\n{}",
        "x: " + "9" * 5000,
        "x: 2026-99-99",
        "firewall: {own: [2001:db8::]}" + "x" * 10,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_policy_is_refused_quickly(text: str) -> None:
    began = time.process_time()
    assert faults(text)
    assert time.process_time() - began < 5


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        policy = Policy.parse(text)
    except PolicyError:
        return
    assert policy.enforceable


def test_observe_mode_and_kill_switch_hold_back(tmp_path: Path) -> None:
    switch = tmp_path / "stop"
    policy = Policy.parse(f"mode: observe\nkill_switch: {switch}\n{OWN}\n")
    assert [("observe" in reason) for reason in policy.holds_back()] == [True]
    switch.touch()
    assert any("kill switch" in reason for reason in policy.holds_back())
    assert Policy.parse(OWN).holds_back() == []


def test_a_kill_switch_that_cannot_be_looked_at_is_on(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert len(Policy.parse(f"kill_switch: {loop}/stop\n{OWN}\n").holds_back()) == 1


@pytest.mark.parametrize(
    ("wished", "given_"), [(1, 1), (3600, 3600), (7 * 86_400, 7 * 86_400), (10**9, 7 * 86_400), (None, 86_400)]
)
def test_a_span_is_cut_to_the_maximum(wished: int | None, given_: int) -> None:
    assert check_ttl(Policy.parse(OWN), wished) == given_


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_span_is_no_containment(seconds: int) -> None:
    with pytest.raises(Exception, match="longer than no time"):
        check_ttl(Policy.parse(OWN), seconds)


def test_only_a_human_makes_it_permanent_and_only_where_the_policy_lets_him() -> None:
    assert check_ttl(Policy.parse(OWN), None, permanent_by_human=True) == PERMANENT
    for never in ("never", "false"):
        with pytest.raises(Refused, match=r"firewall\.permanent"):
            check_ttl(Policy.parse(f"firewall: {{permanent: {never}}}"), None, permanent_by_human=True)


def test_the_handbook_names_every_key_with_its_default_and_the_example_is_valid(root: Path, fixtures: Path) -> None:
    page = (root / "docs" / "policy.md").read_text()
    missing = [key.path for key in KEYS if f"`{key.path}`" not in page]
    assert missing == []
    assert (fixtures / "policy" / "worked_example.yml").read_text() in page
