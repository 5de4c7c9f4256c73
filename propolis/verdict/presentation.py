"""What the two ConsensusScore workers share: their configuration items, and the verdict as taxonomies."""

from __future__ import annotations

from typing import Any

from propolis.errors import InputError
from propolis.verdict.explanation import two_digits
from propolis.verdict.never import parse_never
from propolis.verdict.options import Options
from propolis.verdict.profile import PROFILES
from propolis.verdict.report import MALICIOUS, SAFE, SUSPICIOUS
from propolis.verdict.sources import load_sources
from propolis.verdict.verdict import UNKNOWN, Verdict
from propolis.worker.items import Items

COLOURS = {MALICIOUS: "malicious", SUSPICIOUS: "suspicious", SAFE: "safe", UNKNOWN: "info"}
DISPLAY_ONLY = (
    "This verdict is for display. The playbook service acts only on a verdict whose job it started itself or which it "
    "recomputed from reports it read itself."
)
_TEN_YEARS = 87_600.0  # hours
_MOST_JOBS = 10_000


def options_of(items: Items, asked: tuple[str, ...] | None = None) -> Options:
    """The options that the configuration items ask for. Raises ConfigurationError."""
    return Options(
        profile=items.choice("profile", tuple(PROFILES), "evidence"),
        window_hours=items.number("window_hours", 720.0, low=1.0, high=_TEN_YEARS),
        never=parse_never(items.text("never", "", strip=False)),
        sources=load_sources(items.optional_text("sources") and items.text("sources", strip=False)),
        asked=asked,
    )


def handed_over(parameters: dict[str, Any], name: str, kind: type, noun: str) -> list[Any] | None:
    """A list from the job's parameters, or None where it is not given. Raises InputError."""
    value = parameters.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(entry, kind) for entry in value):
        raise InputError(f"parameters.{name} must be a list of {noun}.")
    if len(value) > _MOST_JOBS:
        raise InputError(f"parameters.{name} has more than {_MOST_JOBS} entries.")
    return value


def full_of(verdict: Verdict, gathered: str) -> dict[str, Any]:
    """The report's `full`."""
    return {**verdict.to_dict(), "gathered": gathered, "note": DISPLAY_ONLY}


def taxonomies_of(verdict: Verdict) -> list[tuple[str, str, str]]:
    """Level, predicate and value of each mini report."""
    colour = COLOURS[verdict.verdict]
    said = f"{verdict.count(MALICIOUS)}/{verdict.count(SUSPICIOUS)}/{verdict.count(SAFE)} of {len(verdict.lines)}"
    families = f"{verdict.families} {'family' if verdict.families == 1 else 'families'}"
    consensus = f"{verdict.verdict} {two_digits(verdict.score)} ({verdict.recommendation})"
    return [(colour, "Consensus", consensus), ("info", "Sources", f"{said}, {families}")]
