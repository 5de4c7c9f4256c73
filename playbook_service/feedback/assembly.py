"""The feedback loop, put together.

loop = assemble(tools, deciding)
seams = Seams(suppressed=loop.suppressor, options=loop.learner.options)
handlers |= loop.handlers(); loop.begin(work)                  # once, at the service's start
noticed(work, case)                                            # whoever saw a case: hooks and reconciliation
considered(work, decision_record)                              # whoever recorded a decision
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from playbook_service.engine import timer
from playbook_service.engine.arrival import Known
from playbook_service.engine.deciding import Deciding, Situation
from playbook_service.engine.pipeline import patient
from playbook_service.engine.ruling import Scene
from playbook_service.engine.step import Commit, Handler
from playbook_service.engine.tools import Tools
from playbook_service.feedback.closure import EVENT, Closures, Settle
from playbook_service.feedback.drift import WEEK, Watch
from playbook_service.feedback.register import forget
from playbook_service.feedback.review import Reviews
from playbook_service.hive.model import Case
from playbook_service.playbook import Decision
from playbook_service.store.contract import Transaction
from propolis.alert import Alert
from propolis.verdict import Sources

_DAY = 86_400.0


class Feedback(NamedTuple):
    """The parts."""

    tools: Tools
    closures: Closures
    reviews: Reviews
    watch: Watch

    def handlers(self) -> dict[str, Handler]:
        """Word -> handler, for the loop."""
        found = {**self.closures.handlers(), **self.reviews.handlers()}
        found["aftercare"] = patient(found["aftercare"])
        return {
            **found,
            "drift": timer.every(WEEK, self.watch.look),
            "suppressions": timer.every(_DAY, self.forget),
        }

    def begin(self, work: Transaction) -> None:
        """Start the timers; harmless where they run."""
        for name in ("drift", "suppressions"):
            timer.begin(work, name)

    def forget(self) -> None:
        """Drop what no longer counts for any suppression."""
        with self.tools.store.transaction() as work:
            forget(work, self.tools.clock.now())


def assemble(tools: Tools, deciding: Deciding | None = None, sources: Sources | None = None) -> Feedback:
    """The loop over these tools. `deciding` does what playbooks on closed cases want besides labels; `sources` are
    those verdicts are made with, None for the shipped ones."""
    settle = settling(tools, deciding) if deciding else None
    return Feedback(tools, Closures(tools, settle), Reviews(tools), Watch(tools, sources))


def settling(tools: Tools, deciding: Deciding) -> Settle:
    """The other steps of playbooks on closed cases, done as those of all playbooks are."""

    def settle(case: Case, known: Known | None, decisions: Sequence[Decision], by: str) -> Commit:
        scene = Scene(EVENT, case.id, known.key if known else "", playbooks=tools.playbooks().digest)
        alert, hive_id = (known.alert, known.hive_id) if known else (Alert({}), "")
        return deciding.settle(Situation(scene, alert, hive_id, by), decisions, tools.policy())

    return settle
