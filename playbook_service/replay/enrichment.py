"""Which analyzers the playbooks would ask of an observable, and the verdict on what they answered."""

from __future__ import annotations

from typing import Any, NamedTuple

from playbook_service.judgement.fields import observable_fields, verdict_fields
from playbook_service.judgement.memo import Memo
from playbook_service.playbook import Enrichment, Playbooks, analyzers_for
from playbook_service.playbook.field import Context
from playbook_service.replay.evidence import Evidence
from propolis.observables.model import Observable
from propolis.verdict import Options, Report, Verdict, assess
from propolis.verdict.sources import fold

MEMORY = 20_000  # observables whose verdict is remembered
_OWN_FIELDS = {"observable.dataType", "observable.role", "observable.tags"}


class Seen(NamedTuple):
    """An observable, the verdict on it, and that verdict as playbook conditions see it."""

    observable: Observable
    verdict: Verdict
    fields: dict[str, Any]


class Selection:
    """The analyzers for an observable. Where conditions ask for nothing else, kind, role and tags decide it once."""

    def __init__(self, playbooks: Playbooks):
        self._playbooks = playbooks
        books = playbooks.select("enrich", "observable")
        self._simple = {test.field for book in books for test in book.when.tests} <= _OWN_FIELDS
        self._memo: Memo[tuple[str, str, tuple[str, ...]], Enrichment] = Memo(2_000)

    def of(self, observable: Observable, context: Context) -> Enrichment:
        """Whom the playbooks ask; no analyzers where none of them matches. `context` holds the alert."""
        if not self._simple:
            return self._ask(observable, context)
        key = (observable.data_type, observable.role, observable.tags)
        return self._memo.get(key) or self._memo.put(key, self._ask(observable, context))

    def _ask(self, observable: Observable, context: Context) -> Enrichment:
        return analyzers_for(self._playbooks, {**context, "observable": observable_fields(observable)})


class Verdicts:
    """Verdicts from recorded reports, each made once for as long as the set of reports is the same.

    A verdict is dated when the last of its reports came in, as the service makes it then, and not when the alert came:
    so it is the same for all alerts that saw the same reports.
    """

    def __init__(self, evidence: Evidence, options: Options):
        self._evidence = evidence
        self._options = options
        self._memo: Memo[tuple[str, str, Enrichment, int], tuple[Verdict, dict[str, Any]]] = Memo(MEMORY)
        self._blank: Memo[tuple[str, Enrichment], tuple[Verdict, dict[str, Any]]] = Memo(2_000)

    def on(self, observable: Observable, asked: Enrichment, moment: float) -> Seen:
        """The verdict from what the asked analyzers had answered by their deadline after `moment`."""
        data_type, data = observable.data_type, observable.data
        dossier = self._evidence.of(data_type, data)
        if dossier is None:
            verdict, fields = self._without_reports(data_type, asked, moment)
            return Seen(observable, verdict._replace(data=data), fields)
        reports = dossier.until(moment + asked.deadline)
        key = (data_type, data, asked, len(reports))
        made = self._memo.get(key) or self._memo.put(key, self._make(data_type, data, asked, reports))
        return Seen(observable, *made)

    def _without_reports(self, data_type: str, asked: Enrichment, moment: float) -> tuple[Verdict, dict[str, Any]]:
        key = (data_type, asked)
        made = self._blank.get(key)
        return made or self._blank.put(key, self._make(data_type, "", asked, (), moment))

    def _make(
        self, data_type: str, data: str, asked: Enrichment, reports: tuple[Report, ...], moment: float = 0.0
    ) -> tuple[Verdict, dict[str, Any]]:
        answering = self._evidence.answering(data_type, asked.analyzers)
        heard = [report for report in reports if fold(report.source) in answering]
        now = max((report.ended for report in reports), default=moment)
        options = self._options._replace(asked=tuple(answering.values()))
        verdict = assess(data_type, data, heard, now=now, options=options)
        return verdict, verdict_fields(verdict)
