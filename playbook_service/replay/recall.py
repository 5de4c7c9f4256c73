"""Remember decisions: what playbooks say depends on the fields they look at, and on nothing else.

The fields are known from the playbooks themselves (conditions and target paths). Two alerts that agree in all of them,
and in the observable and the verdict, get the same decisions; only the alert a decision stands on is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from playbook_service.judgement.guard import Judged
from playbook_service.judgement.memo import Memo
from playbook_service.playbook import Decision, Playbook, Playbooks
from playbook_service.playbook.condition import Test
from playbook_service.playbook.decision import evidence_of
from playbook_service.playbook.field import Context
from playbook_service.playbook.target import AGENT, OBSERVABLE
from playbook_service.replay.projection import Projection

MEMORY = 20_000
_AGENT = {"alert.agent.id", "alert.agent.name"}
_OBSERVABLE = {"observable.dataType", "observable.data", "observable.tags", "observable.role"}

Key = tuple[Any, ...]
Make = Callable[[], list[Judged]]


class Recall:
    """The decisions on one event, by what they depend on."""

    def __init__(self, playbooks: Playbooks, event: str):
        books = playbooks.select("respond", event)
        tests = {test.field: test for book in books for test in _tests(book)}
        targets = {path.text for book in books for action in book.actions for path in action.targets}
        asked = set(tests) | targets - {AGENT, OBSERVABLE} | (_AGENT if AGENT in targets else set())
        self._projection = Projection(field for field in asked if field.startswith("alert."))
        self._usable = {field for field in asked if not field.startswith(("alert.", "verdict."))} <= _OBSERVABLE
        self._memo: Memo[Key, tuple[Judged, ...]] = Memo(MEMORY)

    def alert_key(self, fields: dict[str, Any]) -> Key | None:
        """What the playbooks see of an alert; None where that cannot be a key."""
        return self._projection.of(fields) if self._usable else None

    def get(self, alert_key: Key | None, more: Key, context: Context, make: Make) -> list[Judged]:
        """The decisions for the key, made where they are not remembered."""
        if alert_key is None:
            return make()
        key = (alert_key, more)
        try:
            known = self._memo.get(key)
        except TypeError:  # a map or a list where the playbooks expect a word
            return make()
        if known is None:
            made = make()
            self._memo.put(key, tuple(made))
            return made
        return list(known) if "verdict" in context else _stamped(known, context)


def _stamped(known: Sequence[Judged], context: Context) -> list[Judged]:
    """The same decisions, standing on this alert."""
    if not known:
        return []
    evidence = evidence_of(context)
    return [entry._replace(decision=_standing_on(entry.decision, evidence)) for entry in known]


def _standing_on(decision: Decision, evidence: tuple[tuple[str, Any], ...]) -> Decision:
    """As `dataclasses.replace`, which takes five times as long; nobody else has seen the new one yet."""
    other: Decision = object.__new__(Decision)
    vars(other).update(vars(decision), evidence=evidence)
    return other


def _tests(book: Playbook) -> Iterator[Test]:
    yield from book.when.tests
    for clause in book.decide:
        yield from clause.condition.tests
