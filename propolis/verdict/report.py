"""What one source said of one observable."""

from __future__ import annotations

from typing import Any, NamedTuple

MALICIOUS = "malicious"
SUSPICIOUS = "suspicious"
SAFE = "safe"
NONE = "none"  # the source looked and has nothing on it
LEVELS = (MALICIOUS, SUSPICIOUS, SAFE, NONE)
POSITIVE = frozenset((MALICIOUS, SUSPICIOUS))
SEVERITY = {None: 0, NONE: 1, SAFE: 2, SUSPICIOUS: 3, MALICIOUS: 4}


class Taxonomy(NamedTuple):
    """One mini report of an analyzer, as TheHive shows it: `namespace:predicate="value"` in the colour of its level."""

    level: str
    namespace: str
    predicate: str
    value: str


class Report(NamedTuple):
    """One job of one analyzer, reduced to what a verdict needs. Times are seconds since the epoch."""

    source: str  # the analyzer's definition name without its version
    definition: str  # with its version, as Cortex names it
    level: str | None  # malicious, suspicious, safe, none; None = missing
    reason: str | None = None  # why it is missing
    time: float = 0.0  # when the source itself last saw it, else when the job ended: what ages
    ended: float = 0.0  # when the job ended: what the window is about
    data_type: str = ""
    data: str = ""
    taxonomies: tuple[Taxonomy, ...] = ()
    clears: str | None = None  # the word by which the source clears the observable
    success: bool = True  # False: the job failed, was refused, or only said that it was rate-limited


class Dropped(NamedTuple):
    """A report that was handed over but is no evidence here, and why."""

    definition: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        """For the report."""
        return {"definition": self.definition, "why": self.why}
