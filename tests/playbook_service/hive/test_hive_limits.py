"""TheHive's limits, kept by shortening that can be seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbook_service.hive import limits
from playbook_service.hive.model import ObservableDraft
from propolis.errors import InputError

TEXT = st.text(max_size=700)


@given(TEXT)
def test_nothing_shortened_is_ever_too_long(text: str) -> None:
    assert limits.length(limits.title(text)) <= 512
    assert limits.length(limits.task_title(text)) <= 128
    assert limits.length(limits.tag(text)) <= 128
    assert limits.length(limits.reference(text)) <= 128
    assert limits.length(limits.source(text)) <= 32


@given(TEXT)
def test_shortening_twice_changes_nothing_more(text: str) -> None:
    for cut in (limits.title, limits.task_title, limits.tag, limits.reference, limits.source):
        assert cut(cut(text)) == cut(text)


@given(st.text(min_size=129, max_size=300), st.text(min_size=129, max_size=300))
def test_two_long_references_never_fall_together(one: str, other: str) -> None:
    assert (limits.reference(one) == limits.reference(other)) == (one == other)


def test_what_fits_is_left_alone() -> None:
    assert limits.title("SSH brute force") == "SSH brute force"
    assert limits.reference("1767261599.482913") == "1767261599.482913"
    assert limits.source("wazuh-manager-01") == "wazuh-manager-01"
    assert limits.description("line\n\nline") == "line\n\nline"


def test_a_cut_shows() -> None:
    assert limits.title("word " * 200).endswith("…")
    long = limits.description("a" * 2_000_000)
    assert long.endswith("*(shortened here: the whole text has 2,000,000 characters)*")
    assert limits.length(long) == limits.DESCRIPTION


def test_a_sign_outside_the_basic_plane_counts_twice_and_is_never_halved() -> None:
    assert limits.length("🐝") == 2
    assert limits.shortened("🐝" * 10, 6) == "🐝🐝…"


def test_the_separator_of_an_alerts_key_is_hashed_away() -> None:
    assert ";" not in limits.reference("a;b")
    assert limits.reference("a;b") != limits.reference("a_b")
    assert "\n" not in limits.source("two\nlines")


def test_data_over_the_limit_becomes_a_file() -> None:
    draft = ObservableDraft("wazuh-alert", '{"a":"' + "ä" * 5000 + '"}', tags=("raw",))
    assert not limits.fits(draft.data)
    with pytest.raises(InputError, match="send it as a file"):
        limits.check_observable(draft)
    file = limits.as_file(draft, "alert.json")
    limits.check_observable(file)
    assert (file.data_type, file.data, file.tags) == ("file", "alert.json", ("raw",))
    assert file.file == draft.data.encode()


def test_blank_data_is_refused_because_thehive_drops_it_in_silence() -> None:
    with pytest.raises(InputError, match="ip observable is empty, which TheHive refuses"):
        limits.check_observable(ObservableDraft("ip", "  "))
