"""How long a client waits: the server's word in all its spellings, else jittered and growing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propolis.http.backoff import Backoff, wait_asked

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "Thu, 01 Jan 2026 00:02:00 GMT"}, 120),
        ({"Retry-After": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0),
        ({"Retry-After": "1767225645"}, 45),
        ({"Retry-After": "1767225645500"}, 45.5),
        ({"Retry-After": "-5"}, 0),
        ({"X-RateLimit-RetryAfter": "1767225601000"}, 1),
        ({"X-Rate-Limit-Reset": "1767225660"}, 60),
        ({"X-RateLimit-Reset": "12"}, 12),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "9"}, 9),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_every_form_of_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_asked(headers, NOW) == seconds


@given(st.text())
def test_no_header_breaks_the_reader(text: str) -> None:
    seconds = wait_asked({"Retry-After": text}, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_a_limit_and_are_never_nothing(tries: int, draw: float) -> None:
    wait = Backoff(draw=lambda: draw).wait(tries, None)
    assert 0.25 <= wait <= 30


@given(st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_the_servers_word_is_never_undercut(hint: float, draw: float) -> None:
    assert hint <= Backoff(draw=lambda: draw).wait(1, hint) <= hint + 1


def test_two_clients_do_not_wait_alike() -> None:
    assert len({Backoff().wait(3, None) for _ in range(20)}) > 1
