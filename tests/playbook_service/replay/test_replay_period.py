from __future__ import annotations

import pytest

from playbook_service.replay.period import Period, moment
from propolis.errors import ConfigurationError

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-17", 1_794_873_600),
        ("2026-11-17T08:30", 1_794_904_200),
        ("2026-11-17T08:30:15Z", 1_794_904_215),
        ("2026-11-17T09:30:15+01:00", 1_794_904_215),
        ("36h", NOW - 36 * 3600),
        ("7d", NOW - 7 * 86_400),
    ],
)
def test_dates_moments_and_spans_back_from_now(text, seconds):
    assert moment(text, "--since", NOW) == seconds


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "", "-4h", "17.11.2026"])
def test_anything_else_is_refused_with_the_option_s_name(text):
    with pytest.raises(ConfigurationError, match=r"--until: .* no date"):
        moment(text, "--until", NOW)


def test_a_period_has_its_start_but_not_its_end():
    period = Period(10.0, 20.0)
    assert [period.holds(at) for at in (9.0, 10.0, 19.9, 20.0, None)] == [False, True, True, False, False]
    assert Period().holds(None)
