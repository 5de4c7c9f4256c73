"""From an alert to a contained attacker, over TheHive 4 and 5 and Cortex as the lab plays them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_lab import RESPONDERS, ROOT, Service, sample, set_up, write_responders

from playbook_service.engine import approval, arrival, lease, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.placement import NO_TEMPLATE_TAG
from playbook_service.hive.discovery import connect
from playbook_service.lab import Lab
from playbook_service.lab.lab import ORGANISATION
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Filter
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock, SystemClock
from propolis.http import session

BRUTE_FORCE = "1794881684.25339"
REPORTS = ROOT / "tests" / "fixtures" / "engine" / "reports.jsonl"
ATTACKER = "203.0.113.17"


@pytest.fixture(scope="module", params=[4, 5], ids=["thehive4", "thehive5"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    responders = write_responders(tmp_path_factory.mktemp("responders"))
    places: list[Path] = [ROOT / "analyzers"]
    with Lab(request.param, analyzers=places, responders=[responders], reports=[REPORTS], refresh=0.05) as lab:
        set_up(lab)
        for name in RESPONDERS:
            lab.enable(f"{name}_1_0")
        lab.enable("ConsensusScore_1_0")
        yield lab


@pytest.fixture
def service(lab: Lab) -> Iterator[Service]:
    clock = ManualClock(SystemClock().now())
    hive = connect(
        lab.thehive_url, lab.keys.service, organisation=ORGANISATION, timeout=(2.0, 3.0), retries=0, clock=clock
    )
    yield Service(hive, lab=lab, clock=clock)
    lab.faults.clear()


@pytest.fixture
def alert(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The brute force, with an id and an agent of this test's own, so that it has a case of its own."""
    document = sample(BRUTE_FORCE)
    document["id"] = request.node.name[-100:]
    number = f"{sum(map(ord, request.node.name)) % 900 + 100}"
    document["agent"] = {"id": number, "name": f"gw{number}", "ip": "192.0.2.2"}
    document["full_log"] = document["previous_output"] = ""
    return document


def at(service: Service, mode: str) -> Service:
    """The service with its own mode and all playbooks' raised to this."""
    service.mode = mode
    service.books = Playbooks(tuple(replace(book, mode=mode) for book in service.books))
    return service


def test_a_malicious_address_is_looked_into_judged_and_blocked(service: Service, alert: dict[str, Any]) -> None:
    at(service, "enforce").receive(alert)
    service.run(40)
    assert service.buried == []
    verdict = service.record(VERDICT)
    assert verdict.body["how"].startswith("ConsensusScore job ~")
    assert (verdict.body["full"]["families"], verdict.body["full"]["recommendation"]) == (4, "act")
    decision, granted = service.record(ruling.KIND), service.record(lease.KIND)
    assert (decision.state, granted.state) == (ruling.ACT, lease.ACTIVE)
    case = service.hive.case(decision.ref)
    assert case is not None
    assert (case.severity, case.flag, NO_TEMPLATE_TAG in case.tags) == (3, True, True)
    assert case.custom_fields["wazuh_rule_id"] == "5712"
    titles = [task.title for task in service.hive.tasks(case.id)]
    assert "Did any login from this source succeed?" in titles
    address = next(one for one in service.hive.observables(case.id) if one.data == ATTACKER)
    assert "malicious" in address.tags
    assert "AbuseIPDB_2_0" in address.reports
    assert "Consensus" in json.dumps(dict(address.reports["ConsensusScore_1_0"]))
    (action,) = service.hive.actions("case_artifact", address.id)
    assert (action.definition, action.status) == ("FirewallBlock_1_0", "Success")


def test_the_raw_alert_goes_along_so_that_wazuhalert_can_be_launched_on_it(
    service: Service, alert: dict[str, Any]
) -> None:
    service.receive(alert)
    service.run(4)
    made = service.record(arrival.KIND)
    observables = service.hive.observables(made.ref)
    raw = next(one for one in observables if one.data_type == "wazuh-alert")
    assert json.loads(raw.data) == alert


def test_an_observing_service_starts_no_responder(service: Service, alert: dict[str, Any]) -> None:
    service.receive(alert)
    service.run(40)
    decision = service.record(ruling.KIND)
    assert (decision.state, decision.body["outcome"]) == ("observe", "act")
    for one in service.hive.observables(decision.ref):
        assert service.hive.actions("case_artifact", one.id) == []


def test_an_analyst_who_completes_the_task_has_it_done(service: Service, lab: Lab, alert: dict[str, Any]) -> None:
    at(service, "approve").receive(alert)
    service.run(40)
    decision = service.record(ruling.KIND)
    assert decision.state == ruling.ASK
    question = next(task for task in service.hive.tasks(decision.ref) if task.title.startswith("APPROVE?"))
    client = session(lab.thehive_url, headers={"Authorization": f"Bearer {lab.keys.analyst}"})
    client.patch(f"/api/v1/task/{question.id}", json={"status": "Completed"})
    client.close()
    service.run(60)
    assert service.record(approval.KIND).state == approval.GRANTED
    granted = service.record(lease.KIND)
    assert (granted.state, granted.body["grant"]["by"]) == (lease.ACTIVE, "analyst@soc.example")


def test_while_thehive_fails_everything_waits_and_goes_on_by_itself(
    service: Service, lab: Lab, alert: dict[str, Any]
) -> None:
    lab.faults.thehive.fail = -1
    at(service, "enforce").receive(alert)
    service.run(600, step=60)
    assert service.records(arrival.KIND) == []
    lab.faults.clear()
    service.run(400, step=10)
    assert service.buried == []
    assert service.record(lease.KIND).state == lease.ACTIVE


def test_answers_that_get_lost_again_and_again_make_nothing_twice(
    service: Service, lab: Lab, alert: dict[str, Any]
) -> None:
    lab.faults.thehive.lose, lab.faults.thehive.only = 6, r"POST .*(alert|case|task|job|merge)"
    at(service, "enforce").receive(alert)
    service.run(300, step=10)
    assert service.buried == []
    made = service.record(arrival.KIND)
    titles = [task.title for task in service.hive.tasks(made.ref)]
    assert len(set(titles)) == len(titles)
    address = next(one for one in service.hive.observables(made.ref) if one.data == ATTACKER)
    definitions = [job.definition for job in service.hive.jobs(address.id)]
    assert len(set(definitions)) == len(definitions)
    assert service.record(lease.KIND).state == lease.ACTIVE
    assert len(service.hive.actions("case_artifact", address.id)) == 1


def test_several_threads_over_one_database_make_one_case_and_one_containment(
    lab: Lab, alert: dict[str, Any], tmp_path: Path
) -> None:
    clock = SystemClock()
    service = Service(connect(lab.thehive_url, lab.keys.service, organisation=ORGANISATION), clock=clock)
    service.restart(SqliteStore(tmp_path / "propolis.db", clock))
    at(service, "enforce")
    service.receive(*({**alert, "id": f"{alert['id']}-{number}"} for number in range(12)))
    service.loop.start(6)
    end = clock.monotonic() + 60
    while _on_their_way(service) and clock.monotonic() < end:
        clock.sleep(0.1)
    service.loop.stop()
    assert service.buried == []
    states = {(record.state, record.ref) for record in service.records(arrival.KIND)}
    assert len(states) == 1, "all in one case"
    case_id = service.records(arrival.KIND)[0].ref
    titles = [task.title for task in service.hive.tasks(case_id)]
    assert len(set(titles)) == len(titles)
    address = next(one for one in service.hive.observables(case_id) if one.data == ATTACKER)
    definitions = [job.definition for job in service.hive.jobs(address.id)]
    assert len(set(definitions)) == len(definitions) == 5
    assert len(service.hive.actions("case_artifact", address.id)) == 1
    assert service.record(ruling.KIND).state == ruling.ACT
    assert service.journal.verify() == []


def _on_their_way(service: Service) -> bool:
    """Is there anything to do but to wait for the lease's end?"""
    with service.store.transaction() as work:
        waiting = sum(work.backlog(queue).waiting + work.backlog(queue).claimed for queue in ("inbox", "step"))
        return not work.find(lease.KIND, Filter(state=lease.ACTIVE)) or waiting > 1
