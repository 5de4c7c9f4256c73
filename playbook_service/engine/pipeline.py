"""The engine from an alert to a decision, put together: which handler does which step.

engine = pipeline(tools, seams)
handlers = {**engine.handlers(), "contain": ..., "release": ..., "approve": ..., "notify": ..., "thehive": ...}
desk = Desk(tools, engine.deciding.recheck)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from playbook_service.engine.analysis import Analyses, Paces
from playbook_service.engine.arrival import Arrival, Suppressed
from playbook_service.engine.casework import Casework
from playbook_service.engine.deciding import Deciding
from playbook_service.engine.enrichment import Enrichment, Watch
from playbook_service.engine.placement import Placement
from playbook_service.engine.ruling import Asker, Considered
from playbook_service.engine.scoring import Scoring
from playbook_service.engine.step import Handler, Later, Outcome
from playbook_service.engine.tools import Tools
from playbook_service.store.contract import Item
from propolis.guardrails import PolicyError
from propolis.verdict import Options

_POLICY_PAUSE = 60.0


class Seams(NamedTuple):
    """What others bring: suppression, the way to ask an analyst (None: `approval`), the paces of analyzers, the watcher
    of Cortex jobs, the options of verdicts, for how many seconds reports are good for another alert too, and who is
    told of every decision that is recorded."""

    suppressed: Suppressed = lambda _alert, _observables: None
    ask: Asker | None = None
    paces: Paces = Paces()
    watch: Watch | None = None
    options: Callable[[], Options] = Options
    fresh: float = 3600.0
    considered: Considered = lambda _work, _record: None


class Pipeline(NamedTuple):
    """The parts."""

    arrival: Arrival
    casework: Casework
    enrichment: Enrichment
    scoring: Scoring
    deciding: Deciding

    def handlers(self) -> dict[str, Handler]:
        """Word -> handler, for the loop."""
        found: dict[str, Handler] = {
            "wazuh": self.arrival.handle,
            "siem": self.arrival.handle,
            "alert": self.casework.alert,
            "case": self.casework.case,
            "enrich": self.enrichment.enrich,
            "run": self.enrichment.run,
            "score": self.scoring.step,
            "verdict": self.deciding.step,
        }
        return {word: patient(handler) for word, handler in found.items()}


def pipeline(tools: Tools, seams: Seams = Seams()) -> Pipeline:  # noqa: B008 - it is immutable
    """The engine over these tools."""
    placement = Placement(tools)
    analyses = Analyses(tools, seams.paces)
    deciding = Deciding(tools, placement, seams.ask, seams.considered)
    return Pipeline(
        Arrival(tools, seams.suppressed),
        Casework(tools, placement, deciding),
        Enrichment(tools, analyses, fresh=seams.fresh, watch=seams.watch),
        Scoring(tools, analyses, seams.options, seams.watch),
        deciding,
    )


def patient(handler: Handler) -> Handler:
    """Wait while the policy cannot be read: what it would have said is not known, and no step is given up for that."""

    def handle(item: Item) -> Outcome:
        try:
            return handler(item)
        except PolicyError as error:
            return Later(_POLICY_PAUSE, error.message)

    return handle
