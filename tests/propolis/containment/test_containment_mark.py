"""The mark: plain, short, recognisable, and never anybody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propolis.containment.mark import fact, is_ours, mark


def test_facts_stand_in_their_order_and_empty_ones_are_left_out() -> None:
    text = mark(case="128", lease="", by="analyst@soc.example", at=None)
    assert text == "propolis case=128 by=analyst@soc.example"
    assert fact(text, "by") == "analyst@soc.example"
    assert fact(text, "lease") == ""


@given(st.dictionaries(st.sampled_from(["case", "lease", "by", "at", "job"]), st.none() | st.text(max_size=200)))
def test_a_mark_is_ascii_short_and_without_anything_that_quotes(facts: dict[str, str | None]) -> None:
    text = mark(**facts)
    assert text.isascii()
    assert len(text) <= 120
    assert is_ours(text)
    assert not set(text) & set("\"'\\{};#\n\t$`")


@pytest.mark.parametrize("text", ["", "propoliss", "ticket 17", "Propolis case=1", " propolis", "xpropolis case=1"])
def test_what_somebody_else_wrote_is_not_ours(text: str) -> None:
    assert not is_ours(text)
    assert fact(text, "case") == ""
