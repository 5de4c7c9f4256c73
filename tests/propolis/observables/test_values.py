"""The canonical form of every kind of value, and what must never be taken for one."""

from __future__ import annotations

import pytest

from propolis.observables import values

ADDRESSES = {
    "203.0.113.24": "203.0.113.24",
    " 203.0.113.24 ": "203.0.113.24",
    "203.0.113.24:50123": "203.0.113.24",
    "[203.0.113.24]": "203.0.113.24",
    "[203.0.113.24]:25": "203.0.113.24",
    "[2001:db8::1]:443": "2001:db8::1",
    "2001:DB8:0:0:0:0:0:1": "2001:db8::1",
    "::ffff:203.0.113.24": "203.0.113.24",
    "::FFFF:CB00:7118": "203.0.113.24",
    "10.0.0.1": "10.0.0.1",
}
NO_ADDRESSES = [
    *("", "-", "N/A", "localhost", "203.0.113", "203.0.113.256", "203.0.113.24.5", "203.0.113.024", "00.00.00.00"),
    *(
        "111.1111.11.1",
        "203.0.113.0/24",
        "255.255.255.0",
        "0.0.0.0",
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::",
        "fe80::1%eth0",
    ),
    *(
        "::ffff:127.0.0.1",
        "xxx.xxx.xxx.xxx",
        "203.0.113.24:port",
        "1.2.3.4-5",
        "²03.0.113.24",
        "0x7f.0.0.1",
        "240.0.0.1",
    ),
    *("[203.0.113.24", "2001:db8::1::2", "12:34:56", "a" * 100_000),
]


@pytest.mark.parametrize(("text", "canonical"), ADDRESSES.items())
def test_an_address_has_one_form(text: str, canonical: str) -> None:
    assert values.ip_address(text) == canonical
    assert values.canonical("ip", text) == canonical


@pytest.mark.parametrize("text", NO_ADDRESSES, ids=lambda text: text[:24])
def test_what_is_no_end_of_a_connection_is_no_address(text: str) -> None:
    assert values.ip_address(text) is None


@pytest.mark.parametrize(
    "ip", ["10.1.1.1", "172.16.0.1", "172.31.255.1", "192.168.0.1", "169.254.1.1", "100.64.0.1", "fe80::1", "fd00::1"]
)
def test_what_is_not_routed_is_internal(ip: str) -> None:
    assert values.is_internal(ip)


@pytest.mark.parametrize("ip", ["172.32.0.1", "100.128.0.1", "203.0.113.24", "192.0.2.1", "2001:db8::1", "11.0.0.1"])
def test_what_is_routed_is_external(ip: str) -> None:
    assert not values.is_internal(ip)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("9519135089D69AD7AE6B00A78480BB2B", "md5"), ("ab" * 20, "sha1"), ("0f" * 32, "sha256"), ("1a" * 64, "sha512")],
)
def test_a_hash_is_typed_by_its_length_and_in_lower_case(text: str, kind: str) -> None:
    assert values.file_hash(text) == (kind, text.lower())


@pytest.mark.parametrize(
    "text", [*sorted(values.EMPTY_HASHES), "0" * 32, "f" * 64, "sha256-redacted", "ab" * 21, "zz" * 16, ""]
)
def test_the_hash_of_nothing_is_no_hash(text: str) -> None:
    assert values.file_hash(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("C2.Example.NET.", "c2.example.net"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_ldap._tcp.dc.example.org", "_ldap._tcp.dc.example.org"),
    ],
)
def test_a_domain_is_in_lower_case_without_its_final_dot(text: str, name: str) -> None:
    assert values.domain(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "cmd.exe",
        "favicon.ico",
        "REST.GET.OBJECT",
        "203.0.113.24",
        "24.113.0.203.in-addr.arpa",
        "localhost",
        "a b.example",
        "-",
        "x" * 300 + ".org",
        "2.2.9",
    ],
)
def test_a_file_name_is_no_domain(text: str) -> None:
    assert values.domain(text) is None


def test_what_is_registered_is_a_domain_and_what_lies_below_is_a_name_in_it() -> None:
    kinds = {
        name: values.domain_kind(name)
        for name in ("example.org", "example.co.uk", "www.example.org", "www.example.co.uk")
    }
    assert kinds == {
        "example.org": "domain",
        "example.co.uk": "domain",
        "www.example.org": "fqdn",
        "www.example.co.uk": "fqdn",
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("EXAMPLE\\alice", "alice"),
        ("EXAMPLE\\\\alice", "alice"),
        ("root", "root"),
        ("$ALOC$", "$ALOC$"),
        ("Bob Baker", "Bob Baker"),
    ],
)
def test_a_user_is_without_domain(text: str, name: str) -> None:
    assert values.user_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "SYSTEM",
        "NT AUTHORITY\\SYSTEM",
        "IIS APPPOOL\\DefaultAppPool",
        "SRV-AD01$",
        "ANONYMOUS LOGON",
        "-",
        "--",
        "S-1-5-18",
        "$",
        "unknown",
        "%%1793",
        "DWM-1",
        "",
    ],
)
def test_a_system_account_is_no_user(text: str) -> None:
    assert values.user_name(text) is None


@pytest.mark.parametrize(
    "text",
    ["http://203.0.113.24/x", "https://example.org:8443/a b.pdf", "ldap://[2001:db8::1]/a", "ftp://u:p@example.org/"],
)
def test_a_url_is_kept_as_it_was_written(text: str) -> None:
    assert values.url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "/path",
        "http://127.0.0.1/x",
        "http://localhost:80/",
        "javascript:alert(1)",
        "http://1.2.3/x",
        "example.org",
        "",
    ],
)
def test_what_leads_nowhere_is_no_url(text: str) -> None:
    assert values.url(text) is None


@pytest.mark.parametrize(
    "link",
    [
        "https://go.microsoft.com/fwlink/?LinkId=1",
        "http://www.fortinet.com/ids/VID1",
        "https://www.virustotal.com/gui/file/x",
    ],
)
def test_a_link_of_a_vendor_is_a_reference(link: str) -> None:
    assert values.is_reference(link)


def test_a_host_that_only_begins_like_a_vendor_is_no_reference() -> None:
    assert not values.is_reference("https://d.docs.example.net/8BF0")
    assert not values.is_reference("https://virustotal.com.example.net/")


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("C:\\\\Users\\\\alice\\\\a.exe", "C:\\Users\\alice\\a.exe"),
        ("\\\\\\\\server\\\\share\\\\a.exe", "\\\\server\\share\\a.exe"),
        ('"/tmp/a b"', "/tmp/a b"),
    ],
)
def test_a_path_has_single_backslashes(written: str, path: str) -> None:
    assert values.file_path(written) == path


def test_what_belongs_to_the_system_is_known_by_its_place() -> None:
    system = ("C:\\Windows\\System32\\cmd.exe", "C:\\Windows\\explorer.exe", "/usr/bin/curl", "/bin/sh")
    others = (
        "C:\\Windows\\Temp\\a.exe",
        "C:\\Windows\\System32\\spool\\drivers\\x64\\3\\a.dll",
        "C:\\Windows\\PSEXESVC.exe",
        "/tmp/sh",
    )
    assert all(values.is_system_binary(path) for path in system)
    assert not any(values.is_system_binary(path) for path in others)


def test_two_ways_to_write_a_value_compare_as_one() -> None:
    assert values.canonical("domain", "Example.ORG.") == values.canonical("domain", "example.org")
    assert values.canonical("hash", "AB" * 16) == values.canonical("hash", "ab" * 16)
    assert values.canonical("filename", "C:\\\\a") == values.canonical("filename", "C:\\a")
    assert values.canonical("url", "http://example.org/A") != values.canonical("url", "http://example.org/a")
