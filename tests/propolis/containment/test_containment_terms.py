"""How long: the configuration, a tag's wish, a parameter that may only shorten."""

from __future__ import annotations

from typing import Any

import pytest

from propolis.containment.terms import lease_id, span
from propolis.errors import InputError

DAY = 86_400


def test_the_configuration_is_the_default() -> None:
    assert span(DAY, ["wazuh"], {}) == (DAY, "configuration item duration_hours", False)


def test_a_tag_overrides_it_in_both_directions() -> None:
    assert span(DAY, ["propolis:for=4h"], {}) == (14_400, "tag propolis:for=4h", True)
    assert span(DAY, ["propolis:for=3d"], {}).seconds == 3 * DAY


def test_two_tags_that_say_the_same_are_one() -> None:
    assert span(DAY, ["propolis:for=60m", "propolis:for=1h"], {}).seconds == 3600


def test_two_tags_that_disagree_are_refused() -> None:
    with pytest.raises(InputError, match="leave one"):
        span(DAY, ["propolis:for=1h", "propolis:for=2h"], {})


@pytest.mark.parametrize("wish", ["", "forever", "-1h", "4", "1h30", "999999999999d"])
def test_a_tag_that_is_no_duration_is_refused(wish: str) -> None:
    with pytest.raises(InputError):
        span(DAY, [f"propolis:for={wish}"], {})


def test_a_parameter_shortens_and_never_lengthens() -> None:
    assert span(DAY, [], {"duration_seconds": 600}) == (600, "parameters.duration_seconds", False)
    assert span(DAY, [], {"duration_seconds": 30 * DAY}).seconds == DAY
    assert span(DAY, ["propolis:for=1h"], {"duration_seconds": 7200}).seconds == 3600


def test_a_renewal_is_a_wish_within_the_same_bound() -> None:
    assert span(DAY, [], {"renew": True, "duration_seconds": 2 * DAY}) == (
        DAY,
        "configuration item duration_hours",
        True,
    )
    assert span(DAY, [], {"renew": "yes"}).wished is False


@pytest.mark.parametrize("seconds", [0, -1, True, "60", float("nan"), 10**9, [60]])
def test_a_parameter_that_is_no_number_of_seconds_is_refused(seconds: Any) -> None:
    with pytest.raises(InputError, match="duration_seconds"):
        span(DAY, [], {"duration_seconds": seconds})


def test_a_lease_id_is_taken_as_it_is_or_refused() -> None:
    assert lease_id({}) == lease_id({"lease": None}) == lease_id({"lease": ""}) == ""
    assert lease_id({"lease": "L-2026.01_7"}) == "L-2026.01_7"
    for wrong in ("a b", "x" * 65, 7, ["a"], "a\n", "é"):
        with pytest.raises(InputError, match=r"parameters\.lease"):
            lease_id({"lease": wrong})
