"""A run: alerts in, a summary out, and what became of each alert on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from playbook_service.replay.fault import Faults
from playbook_service.replay.period import Period
from playbook_service.replay.pipeline import Outcome, Pipeline, Setup
from playbook_service.replay.source import Item
from playbook_service.replay.summary import Summary

Sink = Callable[[int, Outcome, str], None]
Ticker = Callable[[int], None]


class Result(NamedTuple):
    """Everything an output needs: what the run was made with, what it amounts to, and what could not be read."""

    setup: Setup
    summary: Summary
    faults: tuple[Faults, ...]
    name: str

    @property
    def clean(self) -> bool:
        """True where every line was read, there was an alert, and nothing is decided differently."""
        return self.summary.alerts > 0 and not any(fault.count for fault in self.faults) and not self.summary.changes


def run(
    items: Iterable[Item],
    setup: Setup,
    faults: Faults,
    *,
    period: Period | None = None,
    sink: Sink | None = None,
    tick: Ticker | None = None,
) -> Summary:
    """Take every alert through the pipeline.

    `sink` gets the line's number, the outcome and the disposition of each alert; `tick` the number of every line.
    """
    pipeline, summary = Pipeline(setup), Summary()
    for item in items:
        alert = item.alert
        if alert is None:
            faults.add(item.number, item.fault)
        elif period is not None and not period.holds(alert.timestamp):
            summary.outside += 1
        else:
            outcome = pipeline.process(alert)
            disposition = summary.add(outcome, item.number)
            if sink is not None:
                sink(item.number, outcome, disposition)
        if tick is not None:
            tick(item.number)
    return summary
