"""An alert comes in: it is made known to TheHive, and what is needed of it is kept.

Inbox `{"from": "wazuh" | "siem", "alert": {...}}` -> the alert in TheHive, and a record.

Record `alert`, key `<node>:<id>`: state `new`, then `cased`, `loose` (no playbook wanted a case) or `suppressed`; ref =
the case's id. Body: `origin`, `alert` (the document), `hive_id`, `observables` (data type, data, role, path, tags,
message), `suppressed` (why), `at`. Followed by step `alert:<key>`, save for a suppressed one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from playbook_service.engine.crashpoint import reached
from playbook_service.engine.draft import MOST_OBSERVABLES, SUPPRESSED_TAG, draft_alert, key_of
from playbook_service.engine.step import Done, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Alert as HiveAlert
from playbook_service.hive.model import AlertDraft
from playbook_service.judgement.own import Own
from playbook_service.logs import trail
from playbook_service.store.contract import Item, Record, Transaction
from propolis.alert import Alert
from propolis.guardrails import PolicyError
from propolis.observables import Observable, extract

_LOG = logging.getLogger("propolis.engine")
KIND = "alert"
NEW, CASED, LOOSE, SUPPRESSED = "new", "cased", "loose", "suppressed"

Suppressed = Callable[[Alert, Sequence[Observable]], str | None]
"""Why an alert need not be looked at, or nothing."""


class Known(NamedTuple):
    """An alert that came in, as its record keeps it."""

    key: str
    alert: Alert
    observables: tuple[Observable, ...]
    hive_id: str
    case_id: str
    state: str
    record: Record

    def saved(self, work: Transaction, state: str, case_id: str) -> None:
        """Note what became of it. Raises Conflict."""
        if (state, case_id) != (self.state, self.case_id):
            work.save(KIND, self.key, self.record.body, version=self.record.version, state=state, ref=case_id)


class Arrival:
    """The handler of the inbox words `wazuh` and `siem`."""

    def __init__(self, tools: Tools, suppressed: Suppressed = lambda _alert, _observables: None):
        self._tools = tools
        self._suppressed = suppressed

    def handle(self, item: Item) -> Outcome:
        """Make the alert in TheHive, or find it there, and go on with it."""
        alert = Alert(item.body["alert"])
        trail.belongs_to(key_of(alert))
        observables = self._marked(extract(alert))[:MOST_OBSERVABLES]
        why = self._suppressed(alert, observables) or ""
        origin = str(item.body["from"])
        draft = draft_alert(alert, observables, origin=origin, moment=item.put_at, suppressed=why)
        made = self._make(draft, why)
        reached("alert.made")
        facts = {"hive": made.id, "rule": alert.rule_id, "rule_level": alert.level, "suppressed": why or None}
        _LOG.info("alert in TheHive", extra={"facts": facts})
        body = {
            "origin": origin, "alert": alert.document, "hive_id": made.id, "suppressed": why, "at": item.put_at,
            "observables": [list(entry) for entry in observables],
        }  # fmt: skip
        return Done(lambda work: self._note(work, key_of(alert), body, made))

    def _make(self, draft: AlertDraft, suppressed: str) -> HiveAlert:
        """The alert, which is there once however often this runs; one that was there already gets our tags."""
        made, fresh = self._tools.hive.create_alert(draft)
        lacking = [tag for tag in draft.tags if tag not in made.tags]
        if suppressed or (lacking and not fresh):
            self._tools.hive.update_alert(made.id, add_tags=lacking, read=True if suppressed else None)
        return made

    def _note(self, work: Transaction, key: str, body: dict[str, Any], made: HiveAlert) -> None:
        if work.get(KIND, key) is not None:
            return
        why = body["suppressed"]
        work.save(KIND, key, body, version=0, state=SUPPRESSED if why else NEW, ref=made.case_id)
        if why:
            self._tools.journal.write(work, "suppressed", alert=key, hive=made.id, why=why, tag=SUPPRESSED_TAG)
        else:
            follow(work, "alert", key, alert=key)

    def _marked(self, observables: list[Observable]) -> list[Observable]:
        """With ours marked as internal; while the policy cannot be read, nothing is known of what is ours, and the
        steps that act on the marks wait for it."""
        try:
            return Own(self._tools.policy()).mark(observables)
        except PolicyError:
            return observables


def known(work: Transaction, key: str) -> Known | None:
    """An alert that came in, by its key."""
    record = work.get(KIND, key)
    if record is None:
        return None
    body = record.body
    observables = tuple(
        Observable(data_type, data, role, path, tuple(tags), message)
        for data_type, data, role, path, tags, message in body["observables"]
    )
    return Known(key, Alert(body["alert"]), observables, body["hive_id"], record.ref, record.state, record)
