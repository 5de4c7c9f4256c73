"""The two profiles: the weighing of evidence, and the plain count as a special case of the same machinery."""

from __future__ import annotations

import math
from typing import NamedTuple

from propolis.errors import ConfigurationError
from propolis.verdict.family import RHO
from propolis.verdict.reliability import Reliability
from propolis.verdict.report import MALICIOUS, NONE, SAFE, SUSPICIOUS

_VOTE = math.log(4.5)  # what grade C's malicious weighs before the discount


class Profile(NamedTuple):
    """How a verdict is made."""

    name: str
    rho: float
    decay: bool
    clauses: bool  # act needs families, coverage, little conflict and no clearing source
    every_source_a_family: bool
    log_odds: float | None  # a fixed prior; None: the one of the options
    vote: Reliability | None  # the same weights for every source; None: by grade


EVIDENCE = Profile("evidence", RHO, True, True, False, None, None)

# Three votes pass .50 and five pass .95: sigma(-4.5 + 3 ln 4.5) = .503, sigma(-4.5 + 5 ln 4.5) = .953.
_ONE_VOTE = {MALICIOUS: _VOTE, SUSPICIOUS: 0.0, SAFE: 0.0, NONE: 0.0}
COUNT = Profile("count", 1.0, False, False, True, -4.5, Reliability(0.0, _ONE_VOTE, _ONE_VOTE, _VOTE))

PROFILES = {profile.name: profile for profile in (EVIDENCE, COUNT)}


def profile_named(name: str) -> Profile:
    """The profile. Raises ConfigurationError that lists the names there are."""
    profile = PROFILES.get(name)
    if profile is None:
        raise ConfigurationError(f"profile must be one of {', '.join(PROFILES)}, but is {name!r}.")
    return profile
