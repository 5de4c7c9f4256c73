"""A verdict is made of exactly the reports that were read again, and only by a job that this service started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from case_hive import CaseHive, refused
from engine_lab import Service, sample
from stub_hive import lost

from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.pipeline import Seams
from playbook_service.engine.scoring import as_cortex_job, fault_of, leaner
from playbook_service.hive.model import Job, Observable, Worker
from playbook_service.store.contract import Record
from propolis.clock import ManualClock
from propolis.verdict import Options, assess, load_sources

ABUSE, GREY, CROWD, VIRUS = "AbuseIPDB_2_0", "GreyNoise_3_1", "Crowdsec_Analyzer_1_1", "VirusTotal_GetReport_3_1"
SCORER = "ConsensusScore_1_0"
MALICIOUS = {name: {"level": "malicious"} for name in ("AbuseIPDB", "GreyNoise", "Crowdsec", "VirusTotal")}
ADDRESS = "203.0.113.17"
TOLD = {"dataType": "ip", "data": ADDRESS}


def full_of(**changes: Any) -> dict[str, Any]:
    """What ConsensusScore would say of nothing at all, with changes."""
    return {**assess("ip", ADDRESS, (), now=0.0).to_dict(), **changes}


@pytest.fixture
def hive() -> CaseHive:
    hive = CaseHive(ManualClock())
    hive.enabled = dict.fromkeys((ABUSE, GREY, CROWD, VIRUS), ("ip",))
    hive.answers = dict(MALICIOUS)
    return hive


@pytest.fixture
def service(hive: CaseHive) -> Service:
    return Service(hive, clock=hive.clock)


def scored(service: Service, seconds: float = 60) -> Record:
    service.receive(sample("1794881684.25339"))
    service.run(seconds)
    return service.record(VERDICT)


def test_without_consensusscore_the_service_computes_it_by_the_same_code_and_says_so(
    service: Service, hive: CaseHive
) -> None:
    verdict = scored(service)
    assert verdict.body["how"] == "computed by the service: ConsensusScore is not enabled in Cortex for ip"
    full = verdict.body["full"]
    assert (full["verdict"], full["malicious"], full["families"], full["recommendation"]) == ("malicious", 4, 4, "act")
    assert (verdict.state, verdict.body["job"]) == ("malicious", "")
    seen = next(thing for home, thing in hive.things.values() if thing.data == ADDRESS and home in hive.board)
    assert "propolis:verdict=malicious" in seen.tags
    assert service.said("verdict")[0]["how"] == verdict.body["how"]


def test_consensusscore_is_started_with_exactly_those_reports_and_its_word_counts(
    service: Service, hive: CaseHive
) -> None:
    hive.enabled[SCORER] = ("ip",)
    hive.answers["ConsensusScore"] = {"full": full_of(verdict="suspicious", score=0.4321)}
    verdict = scored(service)
    assert verdict.body["full"]["score"] == 0.4321
    assert verdict.body["how"] == f"ConsensusScore job {verdict.body['job']}"
    assert hive.done_jobs[verdict.body["job"]][1].definition == SCORER
    ((_, parameters),) = [entry for entry in hive.parameters if entry[0] == SCORER]
    assert sorted(parameters["asked"]) == sorted([ABUSE, GREY, CROWD, VIRUS])
    assert len(parameters["reports"]) == 4
    assert {report["report"]["summary"]["taxonomies"][0]["level"] for report in parameters["reports"]} == {"malicious"}
    assert full_of_reports(parameters)["families"] == 4


def full_of_reports(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the analyzer makes of what it was handed."""
    options = Options(asked=tuple(parameters["asked"]))
    return assess("ip", ADDRESS, parameters["reports"], now=1_767_225_700.0, options=options).to_dict()


def test_a_job_that_somebody_else_started_does_not_count(service: Service, hive: CaseHive) -> None:
    hive.enabled[SCORER] = ("ip",)
    hive.answers["ConsensusScore"] = {"full": full_of(verdict="malicious", recommendation="act", score=0.99)}
    service.receive(sample("1794881684.25339"))
    service.loop.run_due(3)
    seen = next(thing for home, thing in hive.things.values() if thing.data == ADDRESS and home in hive.board)
    hive.run_analyzer(Worker("x", SCORER, SCORER, ("ip",), ("Cortex",)), seen.id, {"reports": ["forged"]})
    hive.answers["ConsensusScore"] = {"full": full_of()}
    service.run(60)
    verdict = service.record(VERDICT)
    assert verdict.body["full"]["recommendation"] == "observe"
    assert hive.done_jobs[verdict.body["job"]][1].id != "~j1"
    assert hive.ran().count(SCORER) == 2


def test_a_start_in_doubt_is_not_taken_for_ours(service: Service, hive: CaseHive) -> None:
    hive.enabled[SCORER] = ("ip",)
    hive.answers["ConsensusScore"] = {"full": full_of(verdict="safe")}
    start = hive.run_analyzer

    def losing(worker: Worker, observable_id: str, parameters: Mapping[str, Any]) -> Job:
        job = start(worker, observable_id, parameters)
        if worker.definition == SCORER:
            raise lost(ambiguous=True)
        return job

    hive.run_analyzer = losing  # type: ignore[method-assign]
    verdict = scored(service, 120)
    assert "in doubt" in verdict.body["how"]
    assert (verdict.state, hive.ran().count(SCORER)) == ("malicious", 1)


@pytest.mark.parametrize(("answer", "said"), [
    ({"error": "parameters.reports must be a list"}, "its job ended as Failure: parameters.reports must be a list"),
    ({"full": "nonsense"}, "not an object"),
    ({"full": {}}, "names no verdict"),
    ({"full": full_of(score=7)}, "are not all between 0 and 1"),
    ({"full": full_of(families="many")}, "are not all counts"),
    ({"full": full_of(observable={"dataType": "ip", "data": "203.0.113.99"})}, "about another observable"),
])  # fmt: skip
def test_an_answer_that_is_none_is_replaced_by_our_own_computation(
    service: Service, hive: CaseHive, answer: dict[str, Any], said: str
) -> None:
    hive.enabled[SCORER] = ("ip",)
    hive.answers["ConsensusScore"] = answer
    verdict = scored(service)
    assert said in verdict.body["how"]
    assert (verdict.state, verdict.body["full"]["families"]) == ("malicious", 4)


def test_a_scorer_that_hangs_is_not_waited_for_for_ever(service: Service, hive: CaseHive) -> None:
    hive.enabled[SCORER] = ("ip",)
    service.receive(sample("1794881684.25339"))
    service.run(6)
    hive.takes = 100_000
    service.run(300)
    assert "computed by the service" in service.record(VERDICT).body["how"]


def test_a_scorer_that_cannot_be_started_is_done_without(service: Service, hive: CaseHive) -> None:
    hive.enabled[SCORER] = ("ip",)
    start = hive.run_analyzer

    def refusing(worker: Worker, observable_id: str, parameters: Mapping[str, Any]) -> Job:
        if worker.definition == SCORER:
            raise refused(400, "no such worker")
        return start(worker, observable_id, parameters)

    hive.run_analyzer = refusing  # type: ignore[method-assign]
    verdict = scored(service)
    assert "ConsensusScore was not started: TheHive says no such worker" in verdict.body["how"]


def test_reports_that_are_megabytes_are_handed_over_without_what_says_nothing_to_a_verdict(
    service: Service, hive: CaseHive
) -> None:
    hive.enabled[SCORER] = ("ip",)
    hive.answers["ConsensusScore"] = {"full": full_of()}
    hive.answers["VirusTotal"] = {"level": "malicious", "full": {"attributes": {"huge": "x" * 400_000}}}
    scored(service)
    ((_, parameters),) = [entry for entry in hive.parameters if entry[0] == SCORER]
    assert all(report["report"]["full"] == {} for report in parameters["reports"])


def test_what_a_verdict_reads_in_a_report_is_never_left_out() -> None:
    seen = {
        "VirusTotal": {"taxonomies": [{"level": "malicious", "namespace": "VT", "predicate": "P", "value": "5/90"}]}
    }
    observable = Observable("~1", "ip", ADDRESS, (), False, False, 2, "", seen, 0, 0, {})
    report = {"success": True, "full": {"attributes": {"last_analysis_date": 1_700_000_000, "huge": "x"}}}
    job = Job("~j", "VirusTotal", VIRUS, "Success", "C", "c", 1_767_225_600_000, 1_767_225_601_000, report)
    shaped = as_cortex_job(job, observable, TOLD)
    assert leaner(shaped, load_sources()) == shaped
    plain = as_cortex_job(job._replace(report={"success": True, "full": {"x": 1}}), observable, TOLD)
    assert leaner(plain, load_sources())["report"]["full"] == {}


def test_too_many_reports_to_hand_over_are_weighed_here(service: Service, hive: CaseHive) -> None:
    hive.enabled[SCORER] = ("ip",)
    hive.answers["VirusTotal"] = {
        "level": "malicious", "full": {"attributes": {"last_analysis_date": 1_767_000_000, "huge": "x" * 400_000}}
    }  # fmt: skip
    assert "too large" in scored(service).body["how"]


def test_taxonomies_that_come_after_the_job_are_waited_for(service: Service, hive: CaseHive) -> None:
    finish, late = hive._finish, {"until": hive.clock.now() + 5}
    hive._finish = lambda: finish() if hive.clock.now() > late["until"] else None  # type: ignore[method-assign]
    verdict = scored(service)
    assert verdict.body["full"]["malicious"] == 4
    assert verdict.body["at"] > late["until"]


def test_taxonomies_of_an_earlier_run_are_not_taken_for_the_new_ones(service: Service, hive: CaseHive) -> None:
    scored(service)
    finish = hive._finish
    hive.clock.advance(4000)  # type: ignore[attr-defined]
    hive.answers = {name: {"level": "safe"} for name in MALICIOUS}
    began: list[float] = []

    def replace() -> None:
        """As TheHive does: the old ones hang there until a moment after the jobs have ended."""
        if hive.ran().count(ABUSE) == 2 and all(
            hive.clock.now() > ends + 1.5 for _, _, ends in hive.done_jobs.values()
        ):
            began.append(hive.clock.now())
            if len(began) == 1:
                hive.things = {key: (home, one._replace(reports={})) for key, (home, one) in hive.things.items()}
            finish()

    hive._finish = replace  # type: ignore[method-assign]
    service.receive({**sample("1794881684.25339"), "id": "another"})
    service.run(60, step=0.5)
    newest = max(service.records(VERDICT), key=lambda record: record.body["at"])
    assert (newest.body["full"]["malicious"], newest.body["full"]["verdict"]) == (0, "safe")


def test_a_success_that_never_gets_a_taxonomy_says_nothing(service: Service, hive: CaseHive) -> None:
    hive.answers["VirusTotal"] = {}
    verdict = scored(service)
    assert (verdict.body["full"]["malicious"], verdict.body["full"]["missing"]) == (3, 1)


def test_a_source_that_failed_is_missing_and_not_safe(service: Service, hive: CaseHive) -> None:
    hive.answers["GreyNoise"] = {"error": "429 too many requests"}
    full = scored(service).body["full"]
    assert (full["malicious"], full["missing"], full["safe"]) == (3, 1, 0)
    assert "rate-limited" in str(full["ledger"])


def test_when_nobody_could_be_asked_the_verdict_is_unknown_and_no_tag_is_left(service: Service, hive: CaseHive) -> None:
    hive.enabled = {}
    verdict = scored(service)
    assert verdict.state == "unknown"
    assert "there are no reports" in verdict.body["how"]
    assert not any("propolis:verdict" in tag for _, thing in hive.things.values() for tag in thing.tags)


def test_the_options_of_the_moment_are_used(hive: CaseHive) -> None:
    service = Service(hive, clock=hive.clock, seams=Seams(options=lambda: Options(never=(ADDRESS,))))
    full = scored(service).body["full"]
    assert (full["recommendation"], full["verdict"]) == ("ask", "malicious")
    assert "never list" in str(full["veto"])


def test_what_closings_have_taught_is_weighed_here_as_a_worker_in_cortex_cannot_know_it(hive: CaseHive) -> None:
    hive.enabled[SCORER] = ("ip",)
    service = Service(hive, clock=hive.clock, seams=Seams(options=lambda: Options(prior=0.2)))
    verdict = scored(service)
    assert "closings have taught" in verdict.body["how"]
    assert verdict.body["job"] == ""


def test_a_good_report_has_no_fault() -> None:
    assert fault_of(full_of(), TOLD) == ""
