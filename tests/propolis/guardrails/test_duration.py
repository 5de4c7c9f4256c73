"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propolis.duration import LONGEST, duration_text, parse_duration
from propolis.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("4h", 14_400), ("7d", 604_800), ("1d12h", 129_600)]
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0s",
        "-1h",
        "+1h",
        "5",
        "5 m",
        "h",
        "1.5h",
        "1e3s",
        "4h1d",
        "4H",
        "٤h",
        "4h\n",
        "99999d",
        "9" * 5000 + "s",
        "1w",
    ],
)
def test_nonsense_is_no_duration(text: str) -> None:
    with pytest.raises(InputError, match="duration"):
        parse_duration(text)


@given(st.integers(1, LONGEST))
def test_what_is_written_reads_back(seconds: int) -> None:
    assert parse_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (-5, "0s"), (59.9, "59s"), (86_400, "1d")])
def test_odd_spans_are_written(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
