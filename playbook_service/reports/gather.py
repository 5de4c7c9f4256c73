"""Reads a store for a report, page by page, a look for each: a report holds nobody up, however long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from playbook_service.audit.chain import Anchor, Finding, verify
from playbook_service.audit.journal import LOG
from playbook_service.engine import anchor, approval, arrival, lease, placement, ruling
from playbook_service.feedback import label
from playbook_service.reports import lines
from playbook_service.reports.closings import Closings
from playbook_service.reports.figures import Chain, Figures, Present, figures
from playbook_service.reports.tally import Tally
from playbook_service.store.contract import Entry, Filter, Store, Transaction

_ALERTS = 200
"""Records of alerts a page: each may hold a whole document."""
_MOST_FINDINGS = 20
Tick = Callable[[int], None]
"""Told how many lines were read."""


class Scope(NamedTuple):
    """What a report is about. `retention` is how long records are kept, in seconds; None where that is not known."""

    start: float
    end: float
    minutes: Mapping[str, float] = {}
    retention: float | None = None


class Records:
    """What the records know, asked one by one; `work` is the look of this moment."""

    def __init__(self) -> None:
        self._work: Transaction | None = None

    @contextmanager
    def through(self, work: Transaction) -> Iterator[None]:
        """While the block runs, ask in this look."""
        self._work = work
        try:
            yield
        finally:
            self._work = None

    def came_in(self, alert: str) -> float | None:
        body = self._body(arrival.KIND, alert)
        return float(body["at"]) if body else None

    def opened_by(self, case: str) -> str:
        body = self._body(placement.CASE, case)
        return str(body["alerts"][0]) if body and body["alerts"] else ""

    def playbook(self, decision: str) -> str:
        body = self._body(ruling.KIND, decision)
        return str(body["decision"]["playbooks"][0]["name"]) if body else ""

    def alert(self, decision: str) -> str:
        body = self._body(ruling.KIND, decision)
        return str(body["alert"]) if body else ""

    def granted_by(self, lease_key: str) -> str:
        body = self._body(lease.KIND, lease_key)
        return str(body["grant"]["by"]) if body else ""

    def asked_at(self, key: str) -> float | None:
        body = self._body(approval.KIND, key)
        return float(body["asked_at"]) if body and "asked_at" in body else None

    def _body(self, kind: str, key: str) -> dict[str, Any] | None:
        record = self._work.get(kind, key) if self._work is not None and key else None
        return record.body if record else None


def gather(store: Store, scope: Scope, now: float, tick: Tick = lambda _: None) -> Figures:
    """The figures of a period."""
    closings = _closings(store, scope)
    records = Records()
    tally = Tally(records, closings)
    chain = _fold(store, scope, records, tally, tick)
    present = _present(store, scope, now)
    return figures((scope.start, scope.end), now, tally, closings, present, chain, scope.minutes)


def _closings(store: Store, scope: Scope) -> Closings:
    found = Closings()
    for batch in _log(store, label.LOG):
        found.take(batch)
    for batch in _log(store, label.LOG):
        found.weigh(batch, scope.start, scope.end)
    return found


def _log(store: Store, name: str) -> Iterator[list[Entry]]:
    after = 0
    while True:
        with store.reading() as work:
            batch = work.read(name, after=after, limit=lines.PAGE)
        if not batch:
            return
        yield batch
        after = batch[-1].number


def _fold(store: Store, scope: Scope, records: Records, tally: Tally, tick: Tick) -> Chain:
    """Count the period's lines, and check each against the one before."""
    with store.reading() as work:
        first, last = lines.span(work, scope.start, scope.end)
        before = work.read(LOG, after=first - 2, limit=1) if first > 1 else []
        anchors = sorted({one for one in anchor.noted(work) if first <= one.number <= last})
    check = _Check(Anchor(before[0].number, str(before[0].body.get("hash"))) if before else None, anchors)
    after = first - 1
    while after < last:
        with store.reading() as work, records.through(work):
            batch = lines.page(work, after, last)
            for entry in batch:
                if scope.start <= entry.at < scope.end:
                    tally.take(entry.body, entry.at)
        if not batch:
            break
        check.take(batch)
        after = batch[-1].number
        tick(after - first + 1)
    return Chain(first, last, len(anchors), tuple(check.told), check.more)


class _Check:
    """The chain, checked in parts; what is wrong is told for the first few lines and counted for all."""

    def __init__(self, before: Anchor | None, anchors: list[Anchor]):
        self._before = before
        self._anchors = anchors
        self.told: list[str] = []
        self.more = 0

    def take(self, batch: list[Entry]) -> None:
        """The next lines."""
        last = batch[-1].number
        anchors = [one for one in self._anchors if one.number <= last]
        self._anchors = self._anchors[len(anchors) :]
        for finding in verify((entry.body for entry in batch), anchors, start=self._before):
            self._tell(finding)
        self._before = Anchor(last, str(batch[-1].body.get("hash")))

    def _tell(self, finding: Finding) -> None:
        if len(self.told) < _MOST_FINDINGS:
            self.told.append(f"line {finding.number} {finding.problem}")
        else:
            self.more += 1


def _present(store: Store, scope: Scope, now: float) -> Present:
    alerts: Counter[str] = Counter()
    after = ""
    while True:
        with store.reading() as work:
            page = work.find(arrival.KIND, Filter(after_key=after, limit=_ALERTS))
        alerts.update(one.state for one in page if scope.start <= float(one.body["at"]) < scope.end)
        if len(page) < _ALERTS:
            break
        after = page[-1].key
    with store.reading() as work:
        in_force = sum(work.count(lease.KIND, Filter(state=state)) for state in lease.IN_FORCE)
        waiting = sum(work.count(approval.KIND, Filter(state=state)) for state in (approval.ASKED, approval.WAITING))
    kept_from = now - scope.retention if scope.retention is not None else None
    return Present(alerts, kept_from if kept_from is not None and kept_from > scope.start else None, in_force, waiting)
