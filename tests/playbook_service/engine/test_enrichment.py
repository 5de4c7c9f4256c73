"""Whom the playbooks name is asked, once, within what the source allows, and waited for no longer than the deadline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from case_hive import CaseHive, refused
from engine_lab import Service, sample
from stub_hive import lost

from playbook_service.engine import enrichment
from playbook_service.engine.analysis import Pace, Paces, job_moved, newest
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.pipeline import Seams
from playbook_service.hive.model import Job, Worker
from playbook_service.playbook import load
from playbook_service.store.contract import Record
from propolis.clock import ManualClock

ABUSE, GREY, CROWD, VIRUS = "AbuseIPDB_2_0", "GreyNoise_3_1", "Crowdsec_Analyzer_1_1", "VirusTotal_GetReport_3_1"
BRUTE_FORCE, NOISE = "1794881684.25339", "1794881647.14228"


@pytest.fixture
def hive() -> CaseHive:
    hive = CaseHive(ManualClock())
    hive.enabled = dict.fromkeys((ABUSE, GREY, CROWD, VIRUS), ("ip",))
    return hive


@pytest.fixture
def service(hive: CaseHive) -> Service:
    return new_service(hive)


def new_service(hive: CaseHive, **seams: Any) -> Service:
    return Service(hive, clock=hive.clock, seams=Seams(**seams))


def alert(number: int = 1, source: str = "203.0.113.17") -> dict[str, Any]:
    document = sample(BRUTE_FORCE)
    document["id"] = f"1794881684.{number}"
    document["data"]["srcip"] = source
    document["full_log"] = document["previous_output"] = ""
    return document


def verdict_on(service: Service, data: str = "203.0.113.17") -> Record:
    (found,) = [record for record in service.records(VERDICT) if record.body["observable"]["data"] == data]
    return found


def test_the_analyzers_that_playbooks_name_and_cortex_has_are_run_once(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    service.run(30)
    assert sorted(hive.ran()) == sorted([ABUSE, GREY, CROWD, VIRUS])
    verdict = verdict_on(service)
    assert sorted(verdict.body["asked"]) == sorted([ABUSE, GREY, CROWD, VIRUS])
    assert "not enabled" in verdict.body["missing"]["MISP"]
    assert [entry["name"] for entry in service.records("run")[0].body["origins"]] == ["addresses"]


def test_our_own_addresses_are_nobody_elses_business(service: Service, hive: CaseHive) -> None:
    service.receive(alert(source="192.0.2.81"))
    service.run(30)
    assert hive.ran() == []


def test_a_policy_that_calls_an_address_ours_after_it_came_keeps_it_here(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    service.loop.run_due(1)
    service.policy_text = "firewall: {own: [203.0.113.0/24]}"
    service.run(30)
    assert hive.ran() == []


def test_an_analyzer_that_was_just_run_by_somebody_else_is_not_run_again(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    service.loop.run_due(2)
    observable = next(
        thing for _, thing in hive.things.values() if thing.data == "203.0.113.17" and _in_case(hive, thing.id)
    )
    hive.run_analyzer(Worker("x", ABUSE, ABUSE, ("ip",), ("Cortex",)), observable.id, {})
    service.run(30)
    assert sorted(hive.ran()) == sorted([ABUSE, GREY, CROWD, VIRUS])
    assert sorted(verdict_on(service).body["asked"]) == sorted([ABUSE, GREY, CROWD, VIRUS])


def _in_case(hive: CaseHive, observable_id: str) -> bool:
    return hive.things[observable_id][0] in hive.board


def test_an_old_job_or_a_failed_one_is_not_good_enough(service: Service, hive: CaseHive) -> None:
    hive.answers = {"AbuseIPDB": {"error": "quota exceeded"}}
    service.receive(alert())
    service.run(30)
    hive.answers = {}
    service.clock.advance(4000)  # type: ignore[attr-defined]
    service.receive(alert(2))
    service.run(30)
    assert hive.ran().count(ABUSE) == 2
    assert hive.ran().count(GREY) == 2


def test_another_alert_on_the_same_observable_shares_the_run_and_gets_its_own_decision(
    service: Service, hive: CaseHive
) -> None:
    hive.takes = 20
    service.receive(alert(1))
    service.run(4)
    service.receive(alert(2))
    service.run(40)
    assert hive.ran().count(ABUSE) == 1
    steps = [key for queue, key in service.store._work if key.startswith("verdict:")]
    assert len(steps) == 2
    service.receive(alert(3))
    service.run(10)
    assert hive.ran().count(ABUSE) == 1
    assert len([key for queue, key in service.store._work if key.startswith("verdict:")]) == 3
    assert len(service.records(VERDICT)) == 1


def test_after_a_while_the_sources_are_asked_again(service: Service, hive: CaseHive) -> None:
    service.receive(alert(1))
    service.run(30)
    service.clock.advance(4000)  # type: ignore[attr-defined]
    service.receive(alert(2))
    service.run(30)
    assert hive.ran().count(ABUSE) == 2
    assert [record.body["round"] for record in service.records("run")] == [2]
    assert len(service.records(VERDICT)) == 2


def test_a_source_that_hangs_is_missing_at_the_deadline(service: Service, hive: CaseHive) -> None:
    hive.takes = 10_000
    service.receive(alert())
    service.run(590, step=10)
    assert service.records(VERDICT) == []
    service.run(30)
    verdict = verdict_on(service)
    assert (verdict.body["full"]["missing"], verdict.body["full"]["coverage"]) == (4, 0)
    assert {status for _, status, _ in verdict.body["reports"]} == {"InProgress"}


def test_the_deadline_counts_from_when_thehive_answered(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    while not service.records(enrichment.KIND):
        service.loop.run_due(1)
    assert service.record(enrichment.KIND).body["began"] == 0
    hive.down = refused(503, "down")
    service.run(3600, step=60)
    hive.down = None
    service.run(400)
    assert len(hive.ran()) == 4
    assert verdict_on(service).body["full"]["missing"] == 4


def test_a_start_whose_answer_was_lost_is_found_and_not_repeated(service: Service, hive: CaseHive) -> None:
    start, losses = hive.run_analyzer, iter([True])

    def losing(worker: Worker, observable_id: str, parameters: Mapping[str, Any]) -> Job:
        job = start(worker, observable_id, parameters)
        if next(losses, False):
            raise lost(ambiguous=True)
        return job

    hive.run_analyzer = losing  # type: ignore[method-assign]
    service.receive(alert())
    service.run(60)
    assert sorted(hive.ran()) == sorted([ABUSE, GREY, CROWD, VIRUS])
    assert len(verdict_on(service).body["asked"]) == 4


def test_a_start_that_never_arrived_is_made_after_a_minute(service: Service, hive: CaseHive) -> None:
    start, losses = hive.run_analyzer, iter([True])

    def losing(worker: Worker, observable_id: str, parameters: Mapping[str, Any]) -> Job:
        if next(losses, False):
            raise lost(ambiguous=True)
        return start(worker, observable_id, parameters)

    hive.run_analyzer = losing  # type: ignore[method-assign]
    service.receive(alert())
    service.run(50)
    assert len(hive.ran()) == 3
    service.run(40)
    assert len(hive.ran()) == 4


@pytest.mark.parametrize(("status", "starts"), [(400, 3), (429, 4)])
def test_a_start_that_is_refused_is_given_up_or_tried_again_by_its_reason(
    service: Service, hive: CaseHive, status: int, starts: int
) -> None:
    start, refusals = hive.run_analyzer, iter([True])

    def refusing(worker: Worker, observable_id: str, parameters: Mapping[str, Any]) -> Job:
        if worker.definition == ABUSE and next(refusals, False):
            raise refused(status, "no")
        return start(worker, observable_id, parameters)

    hive.run_analyzer = refusing  # type: ignore[method-assign]
    service.receive(alert())
    service.run(60)
    assert len(hive.ran()) == starts
    assert ("AbuseIPDB" in verdict_on(service).body["missing"]) == (status == 400)


def test_a_source_is_not_asked_more_often_at_a_time_than_it_may(hive: CaseHive) -> None:
    service = new_service(hive, paces=Paces(named={"abuseipdb": Pace(at_once=2)}))
    hive.takes = 50
    service.receive(*(alert(number, f"203.0.113.{number}") for number in range(1, 7)))
    service.run(40)
    assert hive.ran().count(ABUSE) == 2
    assert hive.ran().count(GREY) == 6
    service.run(160)
    assert hive.ran().count(ABUSE) == 6
    assert len(service.records(VERDICT)) == 6


def test_a_source_is_not_asked_more_often_in_a_minute_than_it_may(hive: CaseHive) -> None:
    service = new_service(hive, paces=Paces(usual=Pace(per_minute=4)))
    service.receive(*(alert(number, f"203.0.113.{number}") for number in range(1, 7)))
    service.run(50)
    assert hive.ran().count(ABUSE) == 4
    service.run(60)
    assert hive.ran().count(ABUSE) == 6


def test_who_gets_no_turn_before_the_deadline_is_missing(hive: CaseHive) -> None:
    service = new_service(hive, paces=Paces(named={"AbuseIPDB": Pace(at_once=0)}))
    service.receive(alert())
    service.run(640, step=10)
    assert verdict_on(service).body["missing"]["AbuseIPDB"] == "no answer by the deadline"


def test_of_several_versions_the_newest_is_run() -> None:
    workers = [Worker(name, name, name, ("ip",), ()) for name in ("AbuseIPDB_1_9", "AbuseIPDB_1_10", "Other_9_0")]
    found = newest(workers, "abuseipdb")
    assert found is not None
    assert found.definition == "AbuseIPDB_1_10"
    assert newest(workers, "Absent") is None


def test_a_hook_on_a_job_wakes_the_run_that_waits_for_it(service: Service, hive: CaseHive) -> None:
    hive.takes = 100
    service.receive(alert())
    service.run(40)
    service.clock.advance(0.5)  # type: ignore[attr-defined]
    with service.store.transaction() as work:
        assert job_moved(work, "~j1")
        assert not job_moved(work, "~unknown")
    calls = hive.calls
    service.loop.run_due()
    assert hive.calls > calls


def test_many_runs_together_do_not_ask_thehive_more_often_than_one_alone_may(service: Service, hive: CaseHive) -> None:
    hive.takes = 500
    with service.store.transaction() as work:
        for number in range(2000):
            work.save(enrichment.KIND, f"other{number}", {}, version=0, state=enrichment.STATE_RUNNING)
    service.receive(alert())
    service.run(10)
    assert len(hive.ran()) == 4
    calls = hive.calls
    service.run(100)
    assert hive.calls - calls == 5, "2,000 runs, 100 looks a second: each looks every 20 seconds"


def test_cortex_is_asked_to_say_when_a_job_ends(hive: CaseHive) -> None:
    watched: list[tuple[str, str, str]] = []
    service = new_service(hive, watch=lambda *what: watched.append(what))
    service.receive(alert())
    service.run(10)
    run = service.record(enrichment.KIND)
    assert ("cortex-~j1", "step", f"run:{run.key}:1") in watched


def test_alerts_without_a_case_are_looked_into_once_a_value_on_thehive_5(service: Service, hive: CaseHive) -> None:
    first, second = sample(NOISE), {**sample(NOISE), "id": "another"}
    service.receive(first)
    service.run(10)
    service.receive(second)
    service.run(10)
    assert hive.board == {}
    assert hive.ran().count(ABUSE) == 1
    assert len([key for queue, key in service.store._work if key.startswith("verdict:")]) == 2


def test_on_thehive_4_analyzers_need_a_case(service: Service, hive: CaseHive) -> None:
    hive.major = 4
    service.receive(sample(NOISE), alert())
    service.run(10)
    assert hive.ran().count(ABUSE) == 1


def test_nothing_is_asked_for_a_case_that_was_closed_meanwhile(service: Service, hive: CaseHive) -> None:
    service.receive(alert())
    service.loop.run_due(2)
    hive.close(next(iter(hive.board)))
    service.run(30)
    assert (hive.ran(), service.buried) == ([], [])


def test_a_playbook_that_is_changed_meanwhile_changes_only_runs_that_begin_later(
    service: Service, hive: CaseHive, tmp_path: Path
) -> None:
    hive.takes = 20
    service.receive(alert(1))
    service.run(4)
    before = service.record(enrichment.KIND).body["playbooks"]
    (tmp_path / "own.yml").write_text(
        "kind: enrich\nname: own\non: observable\nwhen: {observable.dataType: ip}\n"
        "analyzers: [AbuseIPDB]\ndeadline: 1m\n"
        "---\nkind: respond\nname: open\non: alert\nwhen: {alert.rule.level|gte: 1}\n"
        "actions: [{do: case, merge_within: 1h, template: Wazuh alert}]\n",
        encoding="utf-8",
    )
    service.books = load(tmp_path)
    service.run(40)
    assert (service.record(enrichment.KIND).body["playbooks"], len(hive.ran())) == (before, 4)
    service.receive(alert(2))
    service.run(40)
    assert {record.body["playbooks"] for record in service.records(enrichment.KIND)} == {before, service.books.digest}
    assert hive.ran().count(ABUSE) == 1, "the job on the observable is fresh"
