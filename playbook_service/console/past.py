"""The service's own past for a trial: its newest alerts with the verdicts that are on record, read in short looks.

Alerts are kept by node and id, not by time: the newest are found by going through all of them, which an errand may. Of
each only its key is remembered; the document is read again when its turn comes, so that memory does not grow with them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from playbook_service.engine import arrival
from playbook_service.engine.deciding import VERDICT
from playbook_service.judgement.memo import Memo
from playbook_service.judgement.own import Own
from playbook_service.playbook.field import VERDICT_FIELDS
from playbook_service.replay.comparison import Key, Past, Word, key_of
from playbook_service.store.contract import Filter, Record, Store, Transaction

PAGE = 200
"""Records a look: each may hold a whole document."""
_CASES = 2_000  # cases whose verdicts are remembered
_MOST_OF_A_CASE = 1_000

Late = Callable[[], bool]
"""Says that time is up."""
Tick = Callable[[int], None]
"""Told how many alerts were looked at."""


class Chosen(NamedTuple):
    """The alerts of a period, newest first: where time is up, the oldest are missed."""

    keys: tuple[str, ...]
    suppressed: int
    """How many of the period were suppressed when they came in; they are not among the keys."""
    left_out: int
    """Older ones of the period, beyond the most that are wanted."""
    whole: bool
    """False where time was up before all alerts on record had been looked at."""


def newest(store: Store, since: float, most: int, late: Late, tick: Tick = lambda _: None) -> Chosen:
    """The newest alerts that came in at `since` (seconds since the epoch) or later, at most so many."""
    heap: list[tuple[float, str]] = []
    suppressed = left_out = looked = 0
    for page in _pages(store, arrival.KIND):
        for record in page:
            at = float(record.body["at"])
            if at < since:
                continue
            if record.state == arrival.SUPPRESSED:
                suppressed += 1
                continue
            heapq.heappush(heap, (at, record.key))
            if len(heap) > most:
                heapq.heappop(heap)
                left_out += 1
        looked += len(page)
        tick(looked)
        if late():
            return Chosen(_keys(heap), suppressed, left_out, False)
    return Chosen(_keys(heap), suppressed, left_out, True)


def _keys(heap: list[tuple[float, str]]) -> tuple[str, ...]:
    return tuple(key for _, key in sorted(heap, reverse=True))


def _pages(store: Store, kind: str, wanted: Filter = Filter()) -> Iterator[list[Record]]:  # noqa: B008 - immutable
    after: str | None = None
    while True:
        with store.reading() as work:
            page = work.find(kind, wanted._replace(after_key=after, limit=PAGE))
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = page[-1].key


class Memory:
    """Alerts by their keys, with what is on record of them. What of it is ours is marked by today's policy."""

    def __init__(self, store: Store, own: Own):
        self._store = store
        self._own = own
        self._of_case: Memo[str, Mapping[Key, Word]] = Memo(_CASES)
        self._of_value: Memo[str, Word] = Memo(10 * _CASES)
        self._loose: dict[Key, tuple[float, str]] = {}

    def prepare(self, since: float, late: Late) -> bool:
        """Find the verdicts that belong to no case: alerts without one share them by value. False: time was up."""
        for page in _pages(self._store, VERDICT, Filter(ref="")):
            for record in page:
                at, key = float(record.body["at"]), _about(record)
                if at >= since and at >= self._loose.get(key, (0.0, ""))[0]:
                    self._loose[key] = (at, record.key)
            if late():
                return False
        return True

    def read(self, keys: tuple[str, ...]) -> list[Past]:
        """These alerts, in one look; what was forgotten meanwhile is left out."""
        with self._store.reading() as work:
            found = (arrival.known(work, key) for key in keys)
            return [self._past(work, known) for known in found if known is not None]

    def _past(self, work: Transaction, known: arrival.Known) -> Past:
        observables = tuple(self._own.mark([*known.observables]))
        verdicts = self._verdicts(work, known.case_id) if known.case_id else {}
        wanted = {key_of(entry.data_type, entry.data) for entry in observables}
        words = {key: word for key in wanted if (word := verdicts.get(key) or self._shared(work, key)) is not None}
        return Past(known.key, known.alert, observables, float(known.record.body["at"]), words)

    def _verdicts(self, work: Transaction, case_id: str) -> Mapping[Key, Word]:
        """The newest verdict on each observable of a case."""
        known = self._of_case.get(case_id)
        if known is not None:
            return known
        records = work.find(VERDICT, Filter(ref=case_id, limit=_MOST_OF_A_CASE))
        ordered = sorted(records, key=lambda record: float(record.body["at"]))
        return self._of_case.put(case_id, {_about(record): _word(record.body) for record in ordered})

    def _shared(self, work: Transaction, key: Key) -> Word | None:
        at = self._loose.get(key)
        if at is None:
            return None
        known = self._of_value.get(at[1])
        if known is not None:
            return known
        record = work.get(VERDICT, at[1])
        return self._of_value.put(at[1], _word(record.body)) if record is not None else None


def _about(record: Record) -> Key:
    told = record.body["observable"]
    return key_of(str(told["dataType"]), str(told["data"]))


def _word(body: Mapping[str, Any]) -> Word:
    """What conditions may ask about of a verdict, without the ledger and the sentences."""
    full = body["full"]
    fields = {name: _plain(full[name]) for name in sorted(VERDICT_FIELDS) if name in full}
    return Word(fields, tuple(str(tag) for tag in body["observable"].get("tags") or ()))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
