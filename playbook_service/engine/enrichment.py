"""Every observable of an alert is put before the analyzers that the playbooks name, and what they say is waited for.

Step `enrich:<alert>` `{"alert"}`: whom to ask of what. One run for each (case, observable, set of analyzers), and one
for each (value, set of analyzers) that alerts without a case have in common.

Step `run:<run>:<round>` `{"run", "round"}`: start the analyzers, follow them, and when all have ended, or the deadline
has passed, go on with step `score:<run>:<round>` `{"run", "round"}`.

Record `run`: state `running`, `scoring` or `scored`; ref = the case's id (empty for an alert without a case). Body:
`observable` (id, dataType, data, tags, role, path, message), `alerts` (keys: those that want the verdict), `analyzers`
(as the playbooks name them), `deadline` (seconds), `began` (wall time; the deadline counts from the first time that
TheHive answered), `round` (grows when it is run again after a while), `ended` (wall time), `reported` (the names of
analyzers whose reports hung there before), `origins` (playbooks with the digests that it began with), `playbooks`
(digest of the set).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from playbook_service.engine import arrival
from playbook_service.engine.analysis import ASKING, RUNNING, WANTED, Analyses, Order, newest
from playbook_service.engine.arrival import Known
from playbook_service.engine.context import case_fields
from playbook_service.engine.step import STEPS, Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Job, Observable, Worker
from playbook_service.judgement.fields import observable_fields
from playbook_service.judgement.own import Own
from playbook_service.playbook import Enrichment as Asked
from playbook_service.playbook import Playbooks, analyzers_for
from playbook_service.playbook.model import content_digest
from playbook_service.store.contract import Filter, Item, Record, Transaction
from propolis.observables import Observable as Found

KIND = "run"
STATE_RUNNING, SCORING, SCORED = "running", "scoring", "scored"
NO_ANSWER = "no answer by the deadline"
"""Why an analyzer is missing that was asked and did not answer."""
_OPEN_JOB = (WANTED, ASKING, RUNNING)
_PAUSES = ((30.0, 2.0), (120.0, 5.0), (float("inf"), 15.0))
"""Up to so many seconds after the beginning, look again after so many: hooks and the watcher wake it sooner."""
_LOOKS_A_SECOND = 100.0
"""How often TheHive is asked by all runs together: ten thousand of them must not bring it down."""
_SHORT = 3600.0

Watch = Callable[[str, str, str], None]
"""`watch(job id in Cortex, queue, key)`: make that step due when the job ends."""


class Subject(NamedTuple):
    """An observable as TheHive has it, with the part it plays in the alert."""

    observable: Observable
    found: Found

    def fields(self) -> dict[str, Any]:
        """As playbook conditions see it, with the id."""
        tags = list(dict.fromkeys((*self.found.tags, *self.observable.tags)))
        return {**observable_fields(self.found), "tags": tags, "id": self.observable.id}


class Enrichment:
    """The steps `enrich` and `run`. `fresh` is how long (seconds) reports are good for another alert too."""

    def __init__(self, tools: Tools, analyses: Analyses, *, fresh: float = _SHORT, watch: Watch | None = None):
        self._tools = tools
        self._analyses = analyses
        self._fresh = fresh
        self._watch = watch

    # whom to ask ----------------------------------------------------------------------------------------------------

    def enrich(self, item: Item) -> Outcome:
        """Step `enrich`."""
        with self._tools.store.transaction() as work:
            known = arrival.known(work, str(item.body["alert"]))
        if known is None:
            return Done()
        if not known.case_id and self._tools.hive.major < 5:
            return Done()  # TheHive 4 runs analyzers on the observables of cases only
        playbooks = self._tools.playbooks()
        asked = [(subject, whom) for subject, whom in self._asked(known, playbooks) if whom.analyzers]

        def finish(work: Transaction) -> None:
            for subject, whom in asked:
                self._begin(work, known, subject, whom, playbooks.digest)

        return Done(finish)

    def _asked(self, known: Known, playbooks: Playbooks) -> list[tuple[Subject, Asked]]:
        context: dict[str, Any] = {"alert": known.alert.fields}
        case = self._tools.hive.case(known.case_id) if known.case_id else None
        if known.case_id and (case is None or not case.open):
            return []
        present = self._present(known)
        if case is not None:
            context["case"] = case_fields(case, present)
        return [
            (subject, analyzers_for(playbooks, {**context, "observable": subject.fields()}))
            for subject in self._subjects(known, present)
        ]

    def _present(self, known: Known) -> list[Observable]:
        hive = self._tools.hive
        return hive.observables(known.case_id) if known.case_id else hive.alert_observables(known.hive_id)

    def _subjects(self, known: Known, present: Sequence[Observable]) -> list[Subject]:
        """The alert's observables that TheHive has, marked by what the policy says now of what is ours."""
        mine = {(entry.data_type, entry.data): entry for entry in Own(self._tools.policy()).mark([*known.observables])}
        pairs = ((entry, mine.get((entry.data_type, entry.data))) for entry in present)
        return [Subject(entry, found) for entry, found in pairs if found is not None]

    def _begin(self, work: Transaction, known: Known, subject: Subject, whom: Asked, digest: str) -> None:
        """Begin a run, join the one that is on its way, or use the verdict of one that ended a moment ago."""
        key = _key(known, subject, whom)
        record = work.get(KIND, key)
        if record is None:
            self._start(work, None, key, _body(known, subject, whom, digest, 1), known.case_id)
        elif record.state != SCORED:
            _join(work, record, known.key)
        elif self._tools.clock.now() - record.body["ended"] <= self._fresh:
            follow_verdict(work, f"{key}:{record.body['round']}", known.key)
        else:
            self._start(work, record, key, _body(known, subject, whom, digest, record.body["round"] + 1), record.ref)

    def _start(self, work: Transaction, record: Record | None, key: str, body: dict[str, Any], case_id: str) -> None:
        work.save(KIND, key, body, version=record.version if record else 0, state=STATE_RUNNING, ref=case_id)
        follow(work, "run", f"{key}:{body['round']}", run=key, round=body["round"])

    # asking ---------------------------------------------------------------------------------------------------------

    def run(self, item: Item) -> Outcome:
        """Step `run`."""
        with self._tools.store.transaction() as work:
            record = work.get(KIND, str(item.body["run"]))
        if record is None or record.state != STATE_RUNNING or record.body["round"] != item.body["round"]:
            return Done()
        observable = record.body["observable"]
        jobs = self._tools.hive.jobs(observable["id"])
        if not record.body["began"]:
            record = self._saved(record, began=self._tools.clock.now())
        late = self._tools.clock.now() - record.body["began"] >= record.body["deadline"]
        states = self._advance(record, jobs, item.key, late)
        if any(state in _OPEN_JOB for state in states.values()):
            return Later(self._pause(record), _waiting_for(states))
        return Done(lambda work: _to_score(work, record))

    def _advance(self, record: Record, jobs: list[Job], step: str, late: bool) -> dict[str, str]:
        orders = orders_of(record, step, self._fresh)
        if late:
            return {order.name: self._analyses.give_up(order, NO_ANSWER).state for order in orders}
        workers = self._workers(record, orders)
        states = {}
        for order in orders:
            job = self._analyses.advance(order, newest(workers, order.name), jobs)
            states[order.name] = job.state
            if self._watch is not None and job.state == RUNNING and job.body["cortex_job"]:
                self._watch(job.body["cortex_job"], STEPS, step)
        return states

    def _workers(self, record: Record, orders: Sequence[Order]) -> list[Worker]:
        """The enabled analyzers; asked for only where one is still to be started."""
        if all(self._analyses.is_under_way(order) for order in orders):
            return []
        return self._tools.hive.analyzers(record.body["observable"]["dataType"])

    def _pause(self, record: Record) -> float:
        """Until the next look, never past the deadline; longer where many runs look at the same time."""
        running = self._tools.clock.now() - float(record.body["began"])
        with self._tools.store.transaction() as work:
            crowd = work.count(KIND, Filter(state=STATE_RUNNING))
        pause = max(next(pause for most, pause in _PAUSES if running < most), crowd / _LOOKS_A_SECOND)
        return max(0.1, min(pause, float(record.body["deadline"]) - running))

    def _saved(self, record: Record, **changes: Any) -> Record:
        with self._tools.store.transaction() as work:
            body = {**record.body, **changes}
            return work.save(KIND, record.key, body, version=record.version, state=record.state, ref=record.ref)


def orders_of(record: Record, step: str, fresh: float) -> list[Order]:
    """What a run has to order: each analyzer once."""
    start = f"{record.key}:{record.body['round']}"
    observable = record.body["observable"]["id"]
    return [Order(f"{start}:{name}", name, observable, step, {}, fresh) for name in record.body["analyzers"]]


def follow_verdict(work: Transaction, verdict: str, alert: str) -> bool:
    """Have a verdict decided upon for an alert; once."""
    return follow(work, "verdict", f"{verdict}:{alert}", verdict=verdict, alert=alert)


def _key(known: Known, subject: Subject, whom: Asked) -> str:
    """One run for an observable of a case; and one for a value that alerts without a case have in common: the same
    noise again and again must not ask the sources again and again."""
    entry = subject.observable
    about = [known.case_id, entry.id] if known.case_id else ["", entry.data_type, entry.data]
    return content_digest([*about, sorted(whom.analyzers)])[:24]


def _body(known: Known, subject: Subject, whom: Asked, digest: str, number: int) -> dict[str, Any]:
    return {
        "observable": subject.fields(), "alerts": [known.key], "analyzers": list(whom.analyzers),
        "deadline": whom.deadline, "began": 0.0, "round": number, "ended": 0.0,
        "reported": sorted(subject.observable.reports),
        "origins": [origin._asdict() for origin in whom.playbooks], "playbooks": digest,
    }  # fmt: skip


def _join(work: Transaction, record: Record, alert: str) -> None:
    if alert not in record.body["alerts"]:
        body = {**record.body, "alerts": [*record.body["alerts"], alert]}
        work.save(KIND, record.key, body, version=record.version, state=record.state, ref=record.ref)


def _to_score(work: Transaction, record: Record) -> None:
    work.save(KIND, record.key, record.body, version=record.version, state=SCORING, ref=record.ref)
    follow(work, "score", f"{record.key}:{record.body['round']}", run=record.key, round=record.body["round"])


def _waiting_for(states: dict[str, str]) -> str:
    waiting = sorted(name for name, state in states.items() if state in _OPEN_JOB)
    return f"waiting for {', '.join(waiting)}"
