"""What the demo has seen: a row for each containment that was at issue, and the promises with what became of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


@dataclass
class Row:
    """One thing that might be contained, from the alert to its end. Moments are wall times; 0: it did not happen."""

    story: str
    case: int
    target: str
    evidence: str
    decision: str
    """`observed`, `asked`, `acted alone`, `refused` or `by hand`."""
    who: str = ""
    where: str = ""
    key: str = ""
    """Of the decision, and of the lease that it became."""
    alert_at: float = 0.0
    decided_at: float = 0.0
    answered_at: float = 0.0
    contained_at: float = 0.0
    until: float = 0.0
    released_at: float = 0.0
    released_by: str = ""

    @property
    def thought(self) -> float:
        """Seconds between the alert and the decision."""
        return max(0.0, self.decided_at - self.alert_at)

    @property
    def took(self) -> float:
        """Seconds from the alert to the containment, whoever was waited for."""
        return max(0.0, self.contained_at - self.alert_at) if self.contained_at else 0.0

    @property
    def ours(self) -> float:
        """Those of them in which nobody was waited for: to the decision, and from the answer (or from it) on."""
        if not self.contained_at:
            return 0.0
        return self.thought + max(0.0, self.contained_at - (self.answered_at or self.decided_at))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        seconds = {"to_decision": self.thought, "to_containment": self.took, "of_ours": self.ours}
        return {**asdict(self), "seconds": {name: round(value, 2) for name, value in seconds.items()}}


class Promise(NamedTuple):
    """Something the demo says it shows, and whether it was seen."""

    text: str
    kept: bool


@dataclass
class Ledger:
    """Everything that was seen."""

    rows: list[Row] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def promise(self, text: str, kept: object) -> bool:
        """Note whether a promise was kept."""
        self.promises.append(Promise(text, bool(kept)))
        return bool(kept)

    @property
    def kept(self) -> bool:
        """Whether there were promises, and all were kept."""
        return bool(self.promises) and all(promise.kept for promise in self.promises)


def median(values: Iterable[float]) -> float:
    """The median of what is above zero; 0 where nothing is."""
    found = [value for value in values if value > 0]
    return round(statistics.median(found), 2) if found else 0.0
