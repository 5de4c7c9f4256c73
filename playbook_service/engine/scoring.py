"""When the reports are in: one verdict from them, by ConsensusScore where Cortex has it, else by the same code here.

Step `score:<run>:<round>` `{"run", "round"}`: the reports are read again from TheHive, the job's own report and the
taxonomies that hang on the observable; ConsensusScore is started with exactly those, and only the job that this very
step started counts, as anybody may start one with anything. No such analyzer, a start in doubt, a failure, an answer
that is none: the verdict is computed here, and says so.

Record `verdict`, key `<run>:<round>`: ref = the case's id; body `observable`, `full` (`Verdict.to_dict()`), `how`,
`job` (of ConsensusScore, or empty), `asked` (definitions), `reports` (definition, status, job id), `missing` (analyzer
-> why there is none), `run`, `at`. Followed by step `verdict:<verdict>:<alert>` for every alert that wants it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from playbook_service.engine import enrichment
from playbook_service.engine.analysis import ASKING, ENDED, MISSING, RUNNING, Analyses, Order, newest
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.enrichment import Watch
from playbook_service.engine.step import STEPS, Done, Later, Outcome
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Job, Observable, Worker
from playbook_service.store.contract import Item, Record, Transaction
from propolis.verdict import Options, Sources, assess
from propolis.verdict.reading import read_job
from propolis.verdict.sources import shipped

SCORER = "ConsensusScore"
_SCORER_PATIENCE = 120.0  # seconds; it reads nothing and asks nobody
_POLL = 1.0
_TAXONOMIES_WITHIN = 5.0  # seconds after its end in which a job's taxonomies may still be on their way
_REPLACED_WITHIN = 2.0  # the same, where older ones hang there and it cannot be seen whether they are the new ones
_LARGEST = 256 * 1024  # bytes of reports that are handed over as a job's parameters
_WORDS = ("malicious", "suspicious", "safe", "unknown")
_ADVICE = ("act", "ask", "observe")
_NUMBERS = ("score", "coverage", "conflict")
_COUNTS = ("malicious", "suspicious", "safe", "missing", "sources", "families")


class Evidence(NamedTuple):
    """The reports on an observable, in the form of Cortex jobs, and who was asked (definitions)."""

    jobs: tuple[dict[str, Any], ...]
    asked: tuple[str, ...]
    missing: Mapping[str, str]
    settled: bool
    """False while taxonomies may still be on their way."""


class Scoring:
    """The step `score`. `options` are asked for each time: learned reliability and the never-list change."""

    def __init__(
        self,
        tools: Tools,
        analyses: Analyses,
        options: Callable[[], Options] = Options,
        watch: Watch | None = None,
    ):
        self._tools = tools
        self._analyses = analyses
        self._options = options
        self._watch = watch

    def step(self, item: Item) -> Outcome:
        """Step `score`."""
        with self._tools.store.transaction() as work:
            record = work.get(enrichment.KIND, str(item.body["run"]))
        if record is None or record.state != enrichment.SCORING or record.body["round"] != item.body["round"]:
            return Done()
        options = self._options()
        evidence = self._evidence(record, item.key)
        if not evidence.settled:
            return Later(_POLL, "the reports' taxonomies are on their way")
        told = record.body["observable"]
        if not evidence.jobs:
            return self._computed(record, evidence, options, "there are no reports")
        if options.learned or options.calibration or options.prior is not None:
            return self._computed(
                record, evidence, options, f"closings have taught what {SCORER} in Cortex cannot know"
            )
        scorer = newest(self._tools.hive.analyzers(told["dataType"]), SCORER)
        if scorer is None:
            return self._computed(
                record, evidence, options, f"{SCORER} is not enabled in Cortex for {told['dataType']}"
            )
        return self._scored(record, evidence, options, scorer, item.key)

    # reading --------------------------------------------------------------------------------------------------------

    def _evidence(self, record: Record, step: str) -> Evidence:
        hive, told = self._tools.hive, record.body["observable"]
        seen = hive.observable(told["id"])
        jobs, asked, missing, settled = [], [], {}, True
        for order in enrichment.orders_of(record, step, 0.0):
            known = self._analyses.record(order.key)
            job = hive.job(known.body["job"]) if known is not None and known.body["job"] else None
            if job is None:
                missing[order.name] = known.body["why"] if known is not None else "it was never asked"
                continue
            asked.append(job.definition or job.analyzer_name)
            jobs.append(as_cortex_job(job, seen, told))
            noticed = known.updated_at if known is not None else 0.0
            settled = settled and not self._is_on_its_way(job, seen, noticed, record.body["reported"])
        return Evidence(tuple(jobs), tuple(asked), missing, settled)

    def _is_on_its_way(self, job: Job, seen: Observable | None, noticed: float, before: Sequence[str]) -> bool:
        """TheHive says Success first and hangs the taxonomies on the observable afterwards. Those that hung there
        before the run are replaced a little later; counted from when we saw the end, as TheHive 4 does not tell it."""
        if job.status != "Success" or seen is None:
            return False
        late = self._tools.clock.now() - noticed
        return late < (_REPLACED_WITHIN if job.analyzer_name in before else _TAXONOMIES_WITHIN) and (
            job.analyzer_name in before or job.analyzer_name not in seen.reports
        )

    # ConsensusScore -------------------------------------------------------------------------------------------------

    def _scored(self, record: Record, evidence: Evidence, options: Options, scorer: Worker, step: str) -> Outcome:
        lean = [leaner(job, options.sources or shipped()) for job in evidence.jobs]
        if len(json.dumps(lean)) > _LARGEST:
            return self._computed(record, evidence, options, f"the reports are too large to be handed to {SCORER}")
        parameters = {"reports": lean, "asked": list(evidence.asked)}
        told = record.body["observable"]
        order = Order(f"{record.key}:{record.body['round']}:{SCORER}", SCORER, told["id"], step, parameters)
        job = self._analyses.record(order.key)
        if job is not None and job.state == ASKING:
            job = self._analyses.give_up(order, f"whether {SCORER} was started is in doubt, so no job of it counts")
        else:
            job = self._analyses.advance(order, scorer, self._tools.hive.jobs(told["id"]) if job else ())
        if job.state == RUNNING and self._tools.clock.now() - job.body["started"] < _SCORER_PATIENCE:
            if self._watch is not None and job.body["cortex_job"]:
                self._watch(job.body["cortex_job"], STEPS, step)
            return Later(_POLL, f"{SCORER} is running")
        if job.state in (ENDED, RUNNING):
            return self._read(record, evidence, options, job.body["job"])
        if job.state == MISSING:
            return self._computed(record, evidence, options, f"{SCORER} was not started: {job.body['why']}")
        return Later(_POLL, f"{SCORER} is waiting for its turn")

    def _read(self, record: Record, evidence: Evidence, options: Options, job_id: str) -> Outcome:
        job, told = self._tools.hive.job(job_id), record.body["observable"]
        full = (job.report or {}).get("full") if job is not None and job.status == "Success" else None
        fault = fault_of(full, told) if job is not None else "its job is gone"
        if job is not None and job.status != "Success":
            fault = f"its job ended as {job.status}: {(job.report or {}).get('errorMessage') or 'without a word'}"[:500]
        if fault or not isinstance(full, Mapping):
            return self._computed(record, evidence, options, f"{SCORER} gave no verdict: {fault}")
        return self._concluded(record, evidence, dict(full), f"{SCORER} job {job_id}", job_id)

    # here -----------------------------------------------------------------------------------------------------------

    def _computed(self, record: Record, evidence: Evidence, options: Options, why: str) -> Outcome:
        told = record.body["observable"]
        asked = options._replace(asked=evidence.asked)
        now = self._tools.clock.now()
        verdict = assess(told["dataType"], told["data"], evidence.jobs, now=now, options=asked)
        if evidence.jobs:  # no mini report will hang there to show it
            tag = f"propolis:verdict={verdict.verdict}"
            self._tools.hive.update_observable(told["id"], add_tags=[tag])
        return self._concluded(record, evidence, verdict.to_dict(), f"computed by the service: {why}", "")

    def _concluded(self, record: Record, evidence: Evidence, full: dict[str, Any], how: str, job_id: str) -> Outcome:
        key = f"{record.key}:{record.body['round']}"
        now = self._tools.clock.now()
        body = {
            "observable": record.body["observable"], "full": full, "how": how, "job": job_id, "run": record.key,
            "asked": list(evidence.asked), "missing": dict(evidence.missing), "at": now,
            "reports": [[job["analyzerDefinitionId"], job["status"], job["id"]] for job in evidence.jobs],
        }  # fmt: skip

        def finish(work: Transaction) -> None:
            work.save(VERDICT, key, body, state=full["verdict"], ref=record.ref)
            ended = {**record.body, "ended": now}
            work.save(enrichment.KIND, record.key, ended, version=record.version, state=enrichment.SCORED,
                      ref=record.ref)  # fmt: skip
            for alert in record.body["alerts"]:
                enrichment.follow_verdict(work, key, alert)
            self._audit(work, record, key, body)

        return Done(finish)

    def _audit(self, work: Transaction, record: Record, key: str, body: Mapping[str, Any]) -> None:
        full = body["full"]
        numbers = {name: full[name] for name in ("recommendation", "score", "families", "sources", "coverage")}
        self._tools.journal.write(
            work, "verdict", case=record.ref or None, target=body["observable"]["data"], verdict=key,
            result=full["verdict"], numbers=numbers, how=body["how"], missing=body["missing"] or None,
            analyzers=_outcomes(body) or None, playbooks=record.body["playbooks"],
        )  # fmt: skip


def _outcomes(body: Mapping[str, Any]) -> dict[str, str]:
    """What became of each analyzer: `success`, `failure`, `late` or `missing` (it was not started)."""
    words = {"Success": "success", "Failure": "failure", "Deleted": "failure"}
    answered = {name: words.get(status, "late") for name, status, _ in body["reports"]}
    silent = {name: "late" if why == enrichment.NO_ANSWER else "missing" for name, why in body["missing"].items()}
    return {**silent, **answered}


def as_cortex_job(job: Job, seen: Observable | None, told: Mapping[str, Any]) -> dict[str, Any]:
    """A TheHive job with the observable's taxonomies, in the form in which Cortex answers it.

    TheHive keeps taxonomies by the analyzer's name as it was enabled, and only those of its newest success.
    """
    report = job.report or {}
    success = job.status == "Success"
    return {
        "id": job.cortex_job_id or job.id,
        "analyzerDefinitionId": job.definition or job.analyzer_name,
        "status": job.status,
        "startDate": job.started_at,
        "endDate": job.ended_at or job.started_at,
        "dataType": told["dataType"],
        "data": told["data"],
        "report": {
            "success": success,
            "errorMessage": report.get("errorMessage"),
            "summary": seen.reports.get(job.analyzer_name) if seen is not None and success else None,
            "full": report.get("full"),
        },
    }


def leaner(job: dict[str, Any], sources: Sources) -> dict[str, Any]:
    """The job without its `full`, which may be megabytes, where that says the same to a verdict."""
    lean = {**job, "report": {**job["report"], "full": {}}}
    return lean if read_job(lean, sources) == read_job(job, sources) else job


def fault_of(full: Any, told: Mapping[str, Any]) -> str:
    """What keeps a report from being a verdict on this observable; empty where nothing does."""
    if not isinstance(full, Mapping):
        return "its report is not an object"
    if full.get("verdict") not in _WORDS or full.get("recommendation") not in _ADVICE:
        return "its report names no verdict or no recommendation"
    if not all(_is_share(full.get(name)) for name in _NUMBERS):
        return f"{', '.join(_NUMBERS)} are not all between 0 and 1"
    if not all(type(full.get(name)) is int and full[name] >= 0 for name in _COUNTS):
        return f"{', '.join(_COUNTS)} are not all counts"
    about = full.get("observable")
    if not isinstance(about, Mapping) or (about.get("dataType"), about.get("data")) != (told["dataType"], told["data"]):
        return "it is about another observable"
    return ""


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
