"""Base addresses and paths: nothing a caller is handed can lead elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propolis.errors import ConfigurationError, InputError
from propolis.http import segment
from propolis.http.address import parse_base


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://h.example.org", "/api/case", "https://h.example.org/api/case"),
        ("https://h.example.org:9001/cortex/", "api/job", "https://h.example.org:9001/cortex/api/job"),
        ("http://[2001:db8::1]:8080", "", "http://[2001:db8::1]:8080/"),
        (" https://h.example.org/x ", "", "https://h.example.org/x"),
    ],
)
def test_a_path_is_joined_below_the_base(base: str, path: str, url: str) -> None:
    assert parse_base(base).join(path) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h.example.org",
        "ftp://h.example.org",
        "file:///etc/passwd",
        "https://",
        "https://user:password1@h.example.org",
        "https://key1@h.example.org/",
        "https://h.example.org/?q=1",
        "https://h.example.org/#x",
        "https://h.example.org:99999",
        "https://h.example.org:x",
        "https://h.exa mple.org",
        "https://h.example.org/a\\b",
        "https://h.example.org/../x",
        "https://h.example.org/%2e%2E/x",
        "https://[2001:db8::1",
        "https://h.example.org\nX: 1",
    ],
)
def test_what_is_no_base_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        parse_base(text)
    assert "password1" not in str(caught.value)
    assert "key1" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example.org/x",
        "https://evil.example.org/x",
        "javascript:x",
        "/../admin",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a?b=1",
        "/a#b",
        "/a b",
        "/a\r\nX-Evil: 1",
        "/a\\..\\b",
        "/ä",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InputError):
        parse_base("https://h.example.org").join(path)


@pytest.mark.parametrize(
    ("text", "quoted"), [("a/b", "a%2Fb"), ("x#EXT#@t.example.org", "x%23EXT%23%40t.example.org"), ("~12", "~12")]
)
def test_a_segment_is_quoted(text: str, quoted: str) -> None:
    assert segment(text) == quoted


@pytest.mark.parametrize("text", ["", ".", "..", "\ud800"])
def test_what_cannot_be_a_segment_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        segment(text)


@given(st.text())
def test_a_segment_never_changes_the_shape_of_a_url(text: str) -> None:
    try:
        url = parse_base("https://h.example.org/base").join(f"/users/{segment(text)}/groups")
    except InputError:
        return
    assert url.startswith("https://h.example.org/base/users/")
    assert url.count("/") == 6
