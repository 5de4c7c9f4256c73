"""The operator's own veto."""

from __future__ import annotations

import pytest

from propolis.errors import ConfigurationError
from propolis.verdict.never import compiled, parse_never

ENTRIES = parse_never(
    """
# our own
203.0.113.0/24
2001:db8:5::/48   # and the other one
198.51.100.7
example.org
*.example.net
"""
)


@pytest.mark.parametrize(
    ("data_type", "data", "entry"),
    [
        ("ip", "203.0.113.45", "203.0.113.0/24"),
        ("ip", "::ffff:203.0.113.45", "203.0.113.0/24"),
        ("ip", "203.0.0.0/16", "203.0.113.0/24"),
        ("ip", "2001:DB8:5::1%eth0", "2001:db8:5::/48"),
        ("ip", "198.51.100.7", "198.51.100.7/32"),
        ("ip", "198.51.100.8", None),
        ("url", "https://user@203.0.113.9:8443/x", "203.0.113.0/24"),
        ("url", "http://[2001:db8:5::9]/", "2001:db8:5::/48"),
        ("url", "https://www.Example.org/login", "example.org"),
        ("domain", "EXAMPLE.org.", "example.org"),
        ("fqdn", "a.b.example.net", "example.net"),
        ("fqdn", "notexample.org", None),
        ("mail", "ceo@example.org", "example.org"),
        ("hash", "d41d8cd98f00b204e9800998ecf8427e", None),
        ("url", "http://[broken", None),
    ],
)
def test_what_an_entry_covers(data_type: str, data: str, entry: str | None) -> None:
    assert compiled(ENTRIES).match(data_type, data) == entry


@pytest.mark.parametrize(
    "line", ["203.0.113.0/33", "203.0.113.256", "2001:db8::/129", "10.0.0/8", "a b", "1.2.3.4 5.6.7.8"]
)
def test_a_mistyped_network_is_an_error_with_its_line_and_protects_not_silently_nothing(line: str) -> None:
    with pytest.raises(ConfigurationError, match="configuration item never:2"):
        parse_never(f"example.org\n{line}\n")
