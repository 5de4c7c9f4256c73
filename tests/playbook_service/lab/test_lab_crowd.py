"""Many at once: nothing is lost, doubled or mixed up, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playbook_service.lab import Lab
from propolis.clock import ManualClock

CLIENTS, ALERTS = 8, 15


def crowd(work: Callable[[int], None]) -> list[BaseException]:
    """Run the work in so many threads; what went wrong in them."""
    faults: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return faults


def test_a_crowd_of_clients(lab: Lab, rest: Any, receiver: Any, alert: dict[str, Any], observable: dict[str, Any]):
    """Every alert becomes a case with a job; every one is counted once, announced once, and ends."""
    lab.notify(receiver.url)
    clients = [rest(lab, "service") for _ in range(CLIENTS)]
    path = "api/v1/alert/{}/case" if lab.version == 5 else "api/alert/{}/createCase"

    def work(number: int) -> None:
        hive = clients[number]
        for count in range(ALERTS):
            raised = hive.post("api/v1/alert", {**alert, "sourceRef": f"{number}-{count}"})["_id"]
            case = hive.post(path.format(raised), {})["_id"]
            target = hive.post(f"api/v1/case/{case}/observable", {**observable, "data": f"192.0.2.{count}"})[0]["_id"]
            hive.post("api/connector/cortex/job", {"analyzerId": "OTXQuery_2_0", "artifactId": target})

    assert crowd(work) == []
    lab.settle(60)
    hive, total = clients[0], CLIENTS * ALERTS
    cases = hive.query({"_name": "listCase"})
    assert sorted(one["number"] for one in cases) == list(range(1, total + 1))
    jobs = hive.query({"_name": "listJob"})
    assert [one["status"] for one in jobs] == ["Success"] * total
    announced = [
        one["objectId"] for one in receiver.bodies if one["objectType"] == "Job" and "status" in one["details"]
    ]
    assert sorted(announced) == sorted([one["id"] for one in jobs] * 2), "each created and finished, once"
    for server in (lab.thehive_server, lab.cortex_server):
        assert server.failures == []


def test_the_same_alert_from_everybody_is_raised_once(lab: Lab, rest: Any, alert: dict[str, Any]):
    clients = [rest(lab, "wazuh") for _ in range(CLIENTS)]
    statuses: list[int] = []
    assert crowd(lambda number: statuses.append(clients[number].call("POST", "api/v1/alert", alert)[0])) == []
    assert sorted(statuses) == [201] + [400] * (CLIENTS - 1)


def test_a_clock_that_stands_still_does_not_hold_anything_up(
    make_lab: Any, rest: Any, observable: dict[str, Any], reports: Path, manual_clock: ManualClock
):
    """Jobs, webhooks and the connector need no time to pass, only work to be done."""
    lab = make_lab(5, reports=[reports], clock=manual_clock)
    hive = rest(lab, "service")
    case = hive.post("api/v1/case", {"title": "t", "description": "d"})["_id"]
    target = hive.post(f"api/v1/case/{case}/observable", observable)[0]["_id"]
    job = hive.post("api/connector/cortex/job", {"analyzerId": "OTXQuery_2_0", "artifactId": target})["_id"]
    lab.settle()
    ended = hive.get(f"api/connector/cortex/job/{job}")
    assert (ended["status"], ended["endDate"]) == ("Success", int(manual_clock.now() * 1000))
