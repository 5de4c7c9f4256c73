"""Remember decisions: what playbooks say depends on the fields they look at, and on nothing else.

The fields are known from the playbooks themselves (conditions and target paths). Two alerts that agree in all of them,
and in the observable and the verdict, get the same decisions; only the alert a decision stands on is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from playbook_service.playbook import Playbook, Playbooks
from playbook_service.playbook.condition import Test
from playbook_service.playbook.decision import evidence_of
from playbook_service.playbook.field import Context
from playbook_service.replay.guard import Judged
from playbook_service.replay.memo import Memo

MEMORY = 20_000
_OBSERVABLE = {"observable.dataType", "observable.data", "observable.tags", "observable.role"}

Key = tuple[Any, ...]
Make = Callable[[], list[Judged]]


class Recall:
    """The decisions on one event, by what they depend on."""

    def __init__(self, playbooks: Playbooks, event: str):
        books = playbooks.select("respond", event)
        tests = {test.field: test for book in books for test in _tests(book)}
        self._readers = [test.lookup for field, test in tests.items() if field.startswith("alert.")]
        targets = [path for book in books for action in book.actions for path in action.targets]
        self._readers += [path.find for path in targets if path.root == "alert"]
        others = {field for field in tests if not field.startswith(("alert.", "verdict."))}
        self._usable = others <= _OBSERVABLE and not any(path.root == "case" for path in targets)
        self._memo: Memo[Key, tuple[Judged, ...]] = Memo(MEMORY)

    def alert_key(self, context: Context) -> Key | None:
        """What the playbooks see of an alert; None where that cannot be a key."""
        return tuple([tuple(read(context)) for read in self._readers]) if self._usable else None

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
    return [entry._replace(decision=replace(entry.decision, evidence=evidence)) for entry in known]


def _tests(book: Playbook) -> Iterator[Test]:
    yield from book.when.tests
    for clause in book.decide:
        yield from clause.condition.tests
