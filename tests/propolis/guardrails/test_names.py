"""Accounts, hosts, domains and addresses of pages that must be left alone, however they are spelled."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propolis.errors import InputError, PropolisError
from propolis.guardrails import (
    AccountFacts,
    HostFacts,
    Policy,
    Refused,
    check_account,
    check_domain,
    check_host,
    check_url,
)

BUILT_IN = Policy.parse(None)
SID = "S-1-5-21-1004336348-1177238915-682003330"


@pytest.fixture(scope="module")
def policy(fixtures: Path) -> Policy:
    return Policy.parse((fixtures / "policy" / "worked_example.yml").read_text())


def rule(call: object, *arguments: object, **options: object) -> str:
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)  # type: ignore[operator]
    return caught.value.rule


@pytest.mark.parametrize(
    "name",
    [
        "Administrator", "ADMINISTRATOR", "CORP\\Administrator", "administrator@corp.example.org", "corp/administrator",
        "CN=Administrator,CN=Users,DC=corp,DC=example,DC=org", " administrator ", "admin\u200bistrator",
        "\uff41\uff44\uff4d\uff49\uff4e\uff49\uff53\uff54\uff52\uff41\uff54\uff4f\uff52", "\u0430dministr\u0430tor",
        "root", "krbtgt", "krbtgt_12345", "Guest", "WEB01$",
        "CORP\\WEB01$", "NT AUTHORITY\\SYSTEM", "system", "cortex", "thehive-bot", "wazuh_svc", "propolis",
        "svc-backup",
        "break-glass-1", "MSOL_ab12",
    ],
)  # fmt: skip
def test_built_in_accounts_stay_enabled_in_every_spelling(name: str) -> None:
    assert rule(check_account, BUILT_IN, AccountFacts((name,))).startswith("accounts.")


@pytest.mark.parametrize("name", ["anna", "CORP\\anna", "anna@corp.example.org", "rooter", "cn=anna,ou=x,dc=y", "josé"])
def test_an_ordinary_account_may_be_disabled(name: str, policy: Policy) -> None:
    check_account(policy, AccountFacts((name,), (f"{SID}-1104",), ("Domain Users", "CN=Staff,DC=x"), ("Reader",)))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (AccountFacts(("anna", "root")), "accounts.never_names: root"),
        (AccountFacts(("anna",), is_self=True), "accounts.never_self"),
        (AccountFacts(("anna",), privileged=True), "accounts.privileged"),
        (AccountFacts(("anna",), is_service=True), "accounts.service_accounts"),
        (AccountFacts(("renamed",), (f"{SID}-500",)), "accounts.never_ids"),
        (AccountFacts(("renamed",), (f"{SID}-502",)), "accounts.never_ids"),
        (AccountFacts(("anna",), (), (f"{SID}-512",)), "accounts.never_groups"),
        (AccountFacts(("anna",), (), ("S-1-5-32-544",)), "accounts.never_groups"),
        (AccountFacts(("anna",), (), ("CN=Domain Admins,CN=Users,DC=x",)), "accounts.never_groups: Domain Admins"),
        (AccountFacts(("anna",), (), ("Domain\n Admins\u200b",)), "accounts.never_groups: Domain Admins"),
        (AccountFacts(("anna",), (), ("CORP\\enterprise admins",)), "accounts.never_groups: Enterprise Admins"),
        (AccountFacts(("anna",), roles=("global administrator",)), "accounts.never_roles: Global Administrator"),
        (AccountFacts(("anna",), groups=("realm-admin",)), "accounts.never_roles: realm-admin"),
        (AccountFacts(("CORP\\CEO",)), "accounts.never_names: ceo"),
        (AccountFacts(("vip-7@example.org",)), "accounts.never_names: vip-*"),
        (AccountFacts(("anna",), ("s-1-5-21-1-2-3-1105",)), "accounts.never_ids: S-1-5-21-1-2-3-1105"),
        (AccountFacts(("anna",), (f"{SID}-1106",)), "accounts.never_ids: 1106"),
        (AccountFacts(("anna",), groups=("/staff/Board",)), "accounts.never_groups: Board"),
        (AccountFacts(("anna",), roles=("billing administrator",)), "accounts.never_roles: Billing Administrator"),
    ],
)
def test_what_an_account_is_protects_it(facts: AccountFacts, expected: str, policy: Policy) -> None:
    assert rule(check_account, policy, facts).startswith(expected)


def test_service_accounts_may_be_allowed_but_nothing_else_with_them() -> None:
    policy = Policy.parse("accounts: {service_accounts: allow}")
    check_account(policy, AccountFacts(("svc-backup",), is_service=True))
    assert rule(check_account, policy, AccountFacts(("krbtgt",), is_service=True))


@pytest.mark.parametrize("names", [(), ("",), (" ",)])
def test_who_has_no_name_is_not_contained(names: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        check_account(BUILT_IN, AccountFacts(names))
    with pytest.raises(InputError):
        check_host(BUILT_IN, HostFacts(names))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (HostFacts(("THEHIVE",)), "hosts.never_names: thehive*"),
        (HostFacts(("wazuh.example.org.",)), "hosts.never_names: wazuh*"),
        (HostFacts(("DC01",)), "hosts.never_names: dc[0-9]*"),
        (HostFacts(("BER-DC2.corp.example.org",)), "hosts.never_names: *-dc[0-9]*"),
        (HostFacts(("CORP\\DC01$",)), "hosts.never_names: dc[0-9]*"),
        (HostFacts(("pc7",), ids=("000",)), "hosts.never_ids: agent 000"),
        (HostFacts(("pc7",), is_self=True), "hosts.never_names"),
        (HostFacts(("pc7",), tags=("Critical",)), "hosts.never_tags: critical"),
        (HostFacts(("pc7",), tags=("clinical",)), "hosts.never_tags: clinical"),
        (HostFacts(("pc7",), types=("domain controller",)), "hosts.never_types: Domain Controller"),
        (HostFacts(("erp-db.example.org",)), "hosts.never_names: erp*"),
        (HostFacts(("MAIL.example.org",)), "firewall.infrastructure: mail.example.org"),
        (HostFacts(("pc7",), addresses=("192.0.2.7", "10.9.3.4")), "hosts.never_networks: 10.9.0.0/16"),
        (HostFacts(("pc7",), addresses=("::ffff:10.9.3.4",)), "hosts.never_networks: 10.9.0.0/16"),
        (HostFacts(("pc7",), addresses=("203.0.113.53",)), "firewall.infrastructure: 203.0.113.53/32"),
        (HostFacts(("pc7",), last_seen=0.0), "hosts.max_last_seen"),
    ],
)
def test_what_a_host_is_protects_it(facts: HostFacts, expected: str, policy: Policy) -> None:
    assert rule(check_host, policy, facts, now=7201.0).startswith(expected)


@pytest.mark.parametrize("name", ["pc7", "web-7.example.org", "dcim-laptop", "rooter"])
def test_an_ordinary_host_may_be_isolated(name: str, policy: Policy) -> None:
    addresses = ("10.1.2.3/24", "fe80::1%eth0")
    facts = HostFacts((name,), ("007",), ("office",), ("Workstation",), addresses, last_seen=100.0)
    check_host(policy, facts, now=7300.0)


def test_servers_are_left_alone_unless_the_policy_says_otherwise(policy: Policy) -> None:
    assert rule(check_host, BUILT_IN, HostFacts(("pc7",), types=("Server",))) == "hosts.never_types: Server"
    check_host(policy, HostFacts(("pc7",), types=("Server",)))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Evil.Example.NET.", "evil.example.net"),
        ("bücher.example.net", "xn--bcher-kva.example.net"),
        ("\uff45vil\uff0eexample\uff0enet", "evil.example.net"),
        ("evil.github.io", "evil.github.io"),
        ("_dmarc.example.net", "_dmarc.example.net"),
    ],
)
def test_an_attackers_domain_is_accepted_in_canonical_form(text: str, canonical: str, policy: Policy) -> None:
    assert check_domain(policy, text) == canonical


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("com", "domains.never"), ("localhost", "domains.never"), ("co.uk", "domains.never"),
        ("github.io", "domains.never"), ("Google.com.", "domains.never"), ("srv.corp.local", "domains.never"),
        ("1.0.0.127.in-addr.arpa", "domains.never"), ("example.org", "domains.own"), ("WWW.example.org", "domains.own"),
        ("example.net", "domains.never: partner.example.net"), ("x.partner.example.net", "domains.never"),
    ],
)  # fmt: skip
def test_domains_whose_block_hits_others_are_refused(text: str, expected: str, policy: Policy) -> None:
    assert rule(check_domain, policy, text).startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "a..b", "*.example.net", "-a.example.net", "a b.example.net", "a.example.net\n", "203.0.113.7",
        "0x7f.0x1", "a/b", "a" * 64 + ".example.net", ("a" * 60 + ".") * 5 + "net", "x;y.example.net", "a@example.net",
        "example.net..",
    ],
)  # fmt: skip
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        check_domain(BUILT_IN, text)


def test_a_page_is_judged_by_its_host(policy: Policy) -> None:
    assert check_url(policy, "https://Evil.example.net/A?b=C") == "https://evil.example.net/A?b=C"
    assert check_url(policy, "https://github.io/evil") == "https://github.io/evil"
    assert check_url(policy, "http://203.0.113.7:8080/x") == "http://203.0.113.7:8080/x"
    assert rule(check_url, policy, "https://www.example.org/x") == "domains.own: example.org"
    assert rule(check_url, policy, "http://10.0.0.1/").startswith("firewall.never")
    assert rule(check_url, policy, "http://[::ffff:10.0.0.1]/").startswith("firewall.never")
    assert rule(check_url, policy, "http://intranet/").startswith("domains.never")


@pytest.mark.parametrize(
    "text",
    [
        "evil.example.net/x", "javascript:alert(1)", "file:///etc/passwd", "http://", "http://a b/", "http://x\\@y/",
        "http://user:pw@evil.example.net/", "http://167772161/", "http://0x7f000001/", "http://127.1/",
        "http://evil.example.net:99999/", "http://[::1%25eth0]/", "http://evil.example.net/\n",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(text: str) -> None:
    with pytest.raises(PropolisError):
        check_url(BUILT_IN, text)


@given(st.text())
def test_no_name_breaks_a_check(text: str) -> None:
    for call, target in (
        (check_domain, text),
        (check_url, text),
        (check_url, f"http://{text}"),
        (check_account, AccountFacts((text,), (text,), (text,), (text,))),
        (check_host, HostFacts((text,), (text,), (text,), (text,))),
    ):
        with suppress(PropolisError):
            call(BUILT_IN, target)  # type: ignore[operator]
