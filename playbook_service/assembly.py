"""The engine, put together: every word that a step or an event can carry, and who handles it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from playbook_service.audit.journal import AuditFiles
from playbook_service.engine import approval, confirmation, lease, timer
from playbook_service.engine.adopt import Adoption
from playbook_service.engine.anchor import Anchoring
from playbook_service.engine.deciding import asking
from playbook_service.engine.enrichment import Watch
from playbook_service.engine.escalation import Escalation
from playbook_service.engine.escalation_rule import Rule
from playbook_service.engine.hooks import Hooks
from playbook_service.engine.notice import Notices
from playbook_service.engine.pipeline import Pipeline, Seams, patient, pipeline
from playbook_service.engine.reconcile import Reconcile
from playbook_service.engine.renewal import Renewals
from playbook_service.engine.request import Requests
from playbook_service.engine.sighting import Joining, Sighting
from playbook_service.engine.step import Done, Handler, Outcome
from playbook_service.engine.tell import Teller
from playbook_service.engine.tools import Tools
from playbook_service.feedback.assembly import Feedback, assemble
from playbook_service.feedback.learning import Learner
from playbook_service.feedback.register import Suppressor
from playbook_service.feedback.review import considered
from playbook_service.notify.outbox import Outbox
from playbook_service.parts import anchors_of, escalation_rules, options_of
from playbook_service.retention import forget
from playbook_service.settings import Settings
from playbook_service.store.contract import Item, Transaction
from propolis.notify.entity import case_link
from propolis.notify.message import Message

_AUDIT_SECONDS, _ANCHOR_SECONDS, _ESCALATION_SECONDS, _HOUSEKEEPING_SECONDS = 5.0, 300.0, 60.0, 3600.0
TIMERS = ("tick-audit", "tick-anchor", "tick-escalation", "tick-housekeeping")


class Engine(NamedTuple):
    """What the loop needs, and what has to be begun once at the start."""

    handlers: dict[str, Handler]
    feedback: Feedback
    reconcile: Reconcile

    def begin(self, work: Transaction) -> None:
        """Start the timers, and have everything looked at that may have changed while nobody looked."""
        for name in TIMERS:
            timer.begin(work, name)
        self.feedback.begin(work)
        self.reconcile.begin(work)


def build(settings: Settings, tools: Tools, outbox: Outbox, watch: Watch | None = None) -> Engine:
    """The engine of a service with these settings."""
    outbox = outbox.linked(lambda case: case_link(settings["thehive_url"], case, five=tools.hive.version()[:2] != "4."))
    ask = asking(tools, settings["approvers"], settings["approvals_needed"])
    learner = Learner(tools.store, tools.clock, options_of(settings))
    suppressor = Suppressor(tools.store, tools.clock)
    seams = Seams(suppressed=suppressor, ask=ask, watch=watch, options=learner.options, considered=considered)
    parts = pipeline(tools, seams)
    feedback = assemble(tools, parts.deciding, options_of(settings).sources)
    rules = escalation_rules(settings)
    seen = Sighting(tools, rules)
    reconcile = Reconcile(tools, seen, settings["reconcile"])
    handlers = {
        **parts.handlers(),
        **feedback.handlers(),
        **_containment(settings, tools, parts, outbox),
        **_timers(settings, tools, outbox, rules),
        "thehive": Hooks(tools, seen).handle,
        "reconcile": reconcile.step,
        "joined": Joining(tools).step,
        "adopt": Adoption(tools).step,
        "notify": lambda item: _notify(outbox, item),
    }
    return Engine(handlers, feedback, reconcile)


def _containment(settings: Settings, tools: Tools, parts: Pipeline, outbox: Outbox) -> dict[str, Handler]:
    desk = approval.Desk(tools, parts.deciding.recheck)
    return {
        "contain": patient(lambda item: lease.contain(tools, item, parts.deciding.may_not_start)),
        "release": lambda item: lease.release(tools, item),
        "confirm": lambda item: confirmation.confirm(tools, item),
        "renew": patient(Renewals(tools).step),
        "request": patient(Requests(tools, settings["approvers"]).step),
        "approve": patient(desk.step),
        "tell": Teller(tools, outbox.announce).step,
        "notice": Notices(tools, outbox.announce).step,
    }


def _timers(settings: Settings, tools: Tools, outbox: Outbox, rules: Sequence[Rule]) -> dict[str, Handler]:
    files = AuditFiles(Path(settings["data_dir"]) / "audit")
    escalation = Escalation(tools, outbox.announce, rules)
    anchoring = Anchoring(tools.store, tools.journal, tools.clock.now, anchors_of(settings, tools))

    def write_audit() -> None:
        files.catch_up(tools.journal)

    def tidy() -> None:
        forget(tools.store, tools.clock.now() - settings["retention"])

    return {
        "escalate": escalation.step,
        "tick-audit": timer.every(_AUDIT_SECONDS, write_audit),
        "tick-anchor": timer.every(_ANCHOR_SECONDS, anchoring.round),
        "tick-escalation": timer.every(_ESCALATION_SECONDS, escalation.round),
        "tick-housekeeping": timer.every(_HOUSEKEEPING_SECONDS, tidy),
    }


def _notify(outbox: Outbox, item: Item) -> Outcome:
    """A message for one channel, or a playbook's own notification, which goes to all of them."""
    if "channel" in item.body:
        return outbox.step(item)
    text = str(item.body.get("text") or "A playbook has something to say")
    message = Message(text, "", case=str(item.body.get("case") or ""))
    return Done(lambda work: outbox.announce(work, message))
