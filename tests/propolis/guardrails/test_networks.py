"""Addresses: no disguise gets a protected network blocked."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propolis.errors import InputError, PropolisError
from propolis.guardrails import Policy, Refused, check_network, parse_target
from propolis.guardrails.builtin import NEVER_NETWORKS, THIRD_PARTY

POLICY = Policy.parse(
    """
firewall:
  own: [198.51.100.0/24, "2001:db8:100::/40", 203.0.113.64/26]
  infrastructure: [192.0.2.53, "::ffff:192.0.2.54"]
  max_prefix_v4: 8
  max_prefix_v6: 32
"""
)
STRICT = Policy.parse("firewall: {own: [198.51.100.0/24]}")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("2002:cb00:7107::1", "2002:cb00:7107::1"),
    ],
)
def test_an_attackers_address_is_accepted_in_canonical_form(text: str, canonical: str) -> None:
    assert check_network(STRICT, text).text == canonical


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "10.1", "10", "167772161", "0x0a000001", "0xa.0.0.1", "012.0.0.1", "010.0.0.1", "10.0.0.01",
        "127.1", "0177.0.0.1", "2130706433", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1\n", "10.0.0.1\n203.0.113.7",
        "203.0.113.7\n", "203.0.113.7\x00", "10.0.0.1.", "203.0.113.7.", "\u0661\u0660.\u0660.\u0660.\u0661",
        "\uff11\uff10.0.0.1",
        "10\u30020\u30020\u30021", "fe80::1%eth0", "2001:db8::1%1", "::1%lo", "[::1]", "[2001:db8::1]", "10.0.0.1:80",
        "localhost",
        "203.0.113.7/255.255.255.255", "203.0.113.7/0.0.0.0", "203.0.113.7/32/32", "203.0.113.7/032", "203.0.113.7/ 32",
        "203.0.113.7/33", "203.0.113.7/-1", "203.0.113.7/+8", "203.0.113.7/24", "2001:db8::1/64", "256.1.1.1",
        "203.0.113.7-203.0.113.9", "203.0.113.7,10.0.0.1", "203.0.113.7; flush ruleset", "203.0.113.5 }; #",
        "--help", "-A", "$(id)", "1:2:3", ":::", "::ffff:010.0.0.1", "2001:db8::10.0.0", "*", "203.0.113.*", "a" * 9999,
    ],
)  # fmt: skip
def test_what_two_programs_might_read_differently_is_no_target(text: str) -> None:
    with pytest.raises(InputError):
        parse_target(text)


def disguises(address: IPv4Address) -> list[str]:
    """Every IPv6 spelling that reaches, or claims to be, an IPv4 address."""
    bits = int(address)
    teredo = int(IPv6Address("2001:0:cb00:7107::"))
    return [
        str(address),
        f"::ffff:{address}",
        f"::{address}",
        f"::ffff:0:{address}",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        str(IPv6Address((0x2002 << 112) | (bits << 80))),
        str(IPv6Address((0x2002 << 112) | (bits << 80) | 0xDEADBEEF)),
        str(IPv6Address(teredo | (bits ^ 0xFFFFFFFF))),
        str(IPv6Address((0x20010000 << 96) | (bits << 64) | 0x34FF8EF8)),
        f"2001:db8::5efe:{address}",
        f"2001:db8::200:5efe:{address}",
    ]


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "198.51.100.9", "192.0.2.53"])
def test_no_disguise_of_a_protected_address_is_accepted(address: str) -> None:
    for text in disguises(IPv4Address(address)):
        with pytest.raises(PropolisError):
            check_network(POLICY, text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("10.0.0.1", "firewall.never: 10.0.0.0/8 (private, RFC 1918)"),
        ("::ffff:10.0.0.1", "firewall.never: 10.0.0.0/8 (private, RFC 1918)"),
        ("198.51.100.9", "firewall.own: 198.51.100.0/24"),
        ("198.0.0.0/8", "firewall.never: 198.18.0.0/15 (benchmarking, RFC 2544)"),
        ("203.0.112.0/20", "firewall.own: 203.0.113.64/26"),
        ("2001:db8:1ff::7", "firewall.own: 2001:db8:100::/40"),
        ("2001:db8::/32", "firewall.own: 2001:db8:100::/40"),
        ("192.0.2.54", "firewall.infrastructure: 192.0.2.54/32"),
        ("0.0.0.0/0", "firewall.never: 0.0.0.0/8 (this network, RFC 791)"),
    ],
)
def test_the_rule_that_refuses_is_named(text: str, rule: str) -> None:
    with pytest.raises(Refused) as caught:
        check_network(POLICY, text)
    assert caught.value.rule == rule
    changeable = "firewall.never" not in rule
    assert ("in the policy" in caught.value.message) is changeable
    assert ("cannot be switched off" in caught.value.message) is not changeable


@pytest.mark.parametrize("text", ["203.0.113.0/31", "2001:db8::/63", "2001:db8::/32"])
def test_a_network_wider_than_allowed_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="wider than") as caught:
        check_network(STRICT, text)
    assert caught.value.rule.startswith("firewall.max_prefix_v")


def test_an_operator_cannot_shrink_the_built_in_list() -> None:
    policy = Policy.parse("mode: observe\nfirewall: {never: [], own: [198.51.100.0/24], on_third_party_hit: allow}")
    for text, _ in NEVER_NETWORKS:
        with pytest.raises(Refused):
            check_network(policy, str(ip_network(text)[1]))


def test_a_whole_disguised_range_in_a_list_does_not_forbid_the_internet() -> None:
    policy = Policy.parse('firewall: {own: [198.51.100.0/24], never: ["::ffff:0:0/96", "64:ff9b::/96", "2002::/16"]}')
    assert check_network(policy, "203.0.113.7").text == "203.0.113.7"


@pytest.mark.parametrize("action", ["ask", "allow", "refuse"])
def test_what_many_share_is_asked_about(action: str) -> None:
    policy = Policy.parse(f"firewall: {{own: [198.51.100.0/24], on_third_party_hit: {action}}}")
    if action == "refuse":
        with pytest.raises(Refused, match="many share"):
            check_network(policy, "1.1.1.1")
        return
    assert bool(check_network(policy, "1.1.1.1").ask) is (action == "ask")
    assert check_network(policy, "203.0.113.7").ask == ""


def test_a_list_of_ones_own_counts_as_shared(fixtures: Path) -> None:
    policy = Policy.parse((fixtures / "policy" / "worked_example.yml").read_text())
    assert "our-cdn" in check_network(policy, "203.0.113.130").ask


def test_the_shipped_lists_are_networks_in_plain_form_and_miss_the_documentation_ranges() -> None:
    for text in (
        *(network for network, _ in NEVER_NETWORKS),
        *(entry for each in THIRD_PARTY.values() for entry in each),
    ):
        network = parse_target(text)
        for used in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"):
            other = ip_network(used)
            assert network.version != other.version or not network.overlaps(other)  # type: ignore[arg-type]


PROTECTED_V4 = [IPv4Network(text) for text, _ in NEVER_NETWORKS if ":" not in text] + [
    IPv4Network(text) for text in ("198.51.100.0/24", "203.0.113.64/26", "192.0.2.53/32", "192.0.2.54/32")
]
# an IPv4-mapped address is read as the IPv4 address it is, so it is not protected for its form alone
PROTECTED_V6 = [IPv6Network(text) for text, _ in NEVER_NETWORKS if ":" in text and "ffff:0:0/" not in text] + [
    IPv6Network("2001:db8:100::/40")
]


@given(st.sampled_from(PROTECTED_V4), st.data())
def test_nothing_that_overlaps_a_protected_ipv4_network_is_ever_accepted(
    listed: IPv4Network, data: st.DataObject
) -> None:
    inside = IPv4Address(int(listed[0]) + data.draw(st.integers(0, listed.num_addresses - 1)))
    prefix = data.draw(st.integers(0, 32))
    wide = IPv4Network((int(inside), prefix), strict=False)
    forms = [*disguises(inside), str(wide)]
    forms.append(str(IPv6Network(((0x2002 << 112) | (int(wide[0]) << 80), 16 + prefix))))
    forms.append(str(IPv6Network(((0xFFFF << 32) | int(wide[0]), 96 + prefix))))
    forms.append(str(IPv6Network((int(IPv6Address("2001::")) | (int(wide[-1]) ^ 0xFFFFFFFF), 96 + prefix))))
    with pytest.raises(PropolisError):
        check_network(POLICY, data.draw(st.sampled_from(forms)))


@given(st.sampled_from(PROTECTED_V6), st.data())
def test_nothing_that_overlaps_a_protected_ipv6_network_is_ever_accepted(
    listed: IPv6Network, data: st.DataObject
) -> None:
    inside = int(listed[0]) + data.draw(st.integers(0, listed.num_addresses - 1))
    network = IPv6Network((inside, data.draw(st.integers(0, 128))), strict=False)
    with pytest.raises(PropolisError):
        check_network(POLICY, str(network))


@given(st.text())
def test_no_text_breaks_the_check(text: str) -> None:
    try:
        found = check_network(POLICY, text)
    except PropolisError:
        return
    assert str(ip_network(found.text)) == str(found.network)
