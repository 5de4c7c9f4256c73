"""The verdict on one observable."""

from __future__ import annotations

from typing import Any, NamedTuple

from propolis.verdict.ledger import Line
from propolis.verdict.options import Options
from propolis.verdict.recommendation import ACT_AT, ASK_AT, CONFLICT, COVERAGE, FAMILIES, Basis, Tally
from propolis.verdict.report import MALICIOUS, NONE, POSITIVE, SAFE, SUSPICIOUS, Dropped
from propolis.verdict.score import probability

UNKNOWN = "unknown"


class Verdict(NamedTuple):
    """What all reports on an observable amount to; `now` is when it was made."""

    data_type: str
    data: str
    now: float
    options: Options
    basis: Basis
    lines: tuple[Line, ...]
    tally: Tally
    unrated: tuple[dict[str, Any], ...]
    dropped: tuple[Dropped, ...]
    origin: str  # which source file spoke

    @property
    def score(self) -> float:
        """The belief that it is malicious, 0 to 1: a probability only once calibrated."""
        return self.tally.score

    @property
    def recommendation(self) -> str:
        """act, ask or observe."""
        return self.tally.recommendation

    @property
    def families(self) -> int:
        """How many independent families say malicious."""
        return self.tally.families

    @property
    def verdict(self) -> str:
        """malicious, suspicious, safe or unknown.

        Malicious: more likely than not. Suspicious: a word for guilt stands and is not outweighed by an explicit word
        for innocence. Safe: somebody says safe, and innocence outweighs guilt. Unknown: nobody says either.
        """
        levels = {line.level for line in self.lines}
        if self.tally.score >= ASK_AT and levels & POSITIVE:
            return MALICIOUS
        if levels & POSITIVE and (SAFE not in levels or self.tally.positive >= self.tally.negative):
            return SUSPICIOUS
        return SAFE if SAFE in levels else UNKNOWN

    def count(self, level: str | None) -> int:
        """How many rated sources say that; None counts the missing."""
        return sum(line.level == level for line in self.lines)

    @property
    def explanation(self) -> list[str]:
        """Sentences for a ticket."""
        from propolis.verdict.explanation import explain

        return explain(self)

    def to_dict(self) -> dict[str, Any]:
        """The report's `full`."""
        tally, calibration = self.tally, self.basis.calibration
        return {
            "verdict": self.verdict,
            "score": round(tally.score, 4),
            "malicious": self.count(MALICIOUS),
            "suspicious": self.count(SUSPICIOUS),
            "safe": self.count(SAFE),
            "none": self.count(NONE),
            "missing": self.count(None),
            "sources": len(self.lines),
            "families": tally.families,
            "coverage": round(tally.coverage, 4),
            "conflict": round(tally.conflict, 4),
            "recommendation": tally.recommendation,
            "profile": self.basis.profile.name,
            "ledger": [line.to_dict(calibration.slope if calibration else 1.0) for line in self.lines],
            "explanation": self.explanation,
            "veto": list(tally.veto),
            "prior": round(probability(self.basis.prior), 4),
            "log_odds": round(tally.log_odds, 4),
            "calibrated": calibration is not None,
            "thresholds": self.thresholds(),
            "window_hours": self.options.window_hours,
            "sources_file": self.origin,
            "unrated": [dict(entry) for entry in self.unrated],
            "dropped": [entry.to_dict() for entry in self.dropped],
            "observable": {"dataType": self.data_type, "data": self.data},
        }

    def thresholds(self) -> dict[str, float]:
        """What act and ask need, for this profile."""
        limits: dict[str, float] = {"ask": ASK_AT, "act": ACT_AT}
        if self.basis.profile.clauses:
            limits.update(families=FAMILIES, coverage=COVERAGE, conflict=CONFLICT)
        return limits
