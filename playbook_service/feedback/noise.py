"""The noisiest rules: which (source, rule) cost analysts most for nothing in the last 30 days."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from playbook_service.engine import arrival
from playbook_service.feedback.label import Closing
from playbook_service.feedback.register import paged
from playbook_service.feedback.suppression import FALSE, TRUE, WINDOW, origin
from playbook_service.store.contract import Filter, Transaction
from propolis.alert import Alert

Rule = tuple[str, str]
"""Source and rule id."""


class Noise(NamedTuple):
    """One (source, rule). `suppressed` counts alerts, the others count closed cases; `share` is that of false ones."""

    source: str
    rule_id: str
    false: int
    true: int
    suppressed: int

    @property
    def share(self) -> float:
        """False positives among the cases that were judged, 0 to 1."""
        judged = self.false + self.true
        return self.false / judged if judged else 0.0


def noisiest(closings: Iterable[Closing], suppressed: Iterable[Rule], now: float) -> list[Noise]:
    """The rules with false positives or suppressed alerts, those with the most of both together first."""
    counts: dict[Rule, list[int]] = {}
    for closing in closings:
        if closing.at > now - WINDOW and closing.judgement in (FALSE, TRUE):
            for rule in {(count.source, count.rule_id) for count in closing.counts}:
                counts.setdefault(rule, [0, 0, 0])[closing.judgement == TRUE] += 1
    for rule in suppressed:
        counts.setdefault(rule, [0, 0, 0])[2] += 1
    found = [Noise(*rule, *numbers) for rule, numbers in counts.items() if numbers[0] or numbers[2]]
    return sorted(found, key=lambda noise: (-noise.false - noise.suppressed, -noise.share, noise))


def suppressed_alerts(work: Transaction, now: float) -> list[Rule]:
    """The rule of every alert that was suppressed in the last 30 days, as far as they are kept."""
    found = []
    for record in paged(work, arrival.KIND, Filter(state=arrival.SUPPRESSED)):
        if record.body["at"] > now - WINDOW:
            alert = Alert(record.body["alert"])
            found.append((origin(alert), alert.rule_id))
    return found
