"""A program written with the public Cortex client runs against the lab unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab import Lab

WORKERS = Path(__file__).resolve().parents[2] / "fixtures" / "lab" / "workers"


@pytest.fixture
def lab(make_lab: Callable[..., Lab], reports: Path) -> Lab:
    return make_lab(5, reports=[reports], analyzers=[WORKERS / "analyzers"], responders=[WORKERS / "responders"])


@pytest.fixture
def connect(lab: Lab, need: Any) -> Callable[[str], Any]:
    try:
        from cortex4py.api import Api
    except ImportError as error:  # its `magic` needs the system's libmagic
        need(False, f"cortex4py with libmagic ({error})")
    return lambda name: Api(lab.cortex_url, getattr(lab.keys, name))


def test_analyzers_are_found_and_run(connect: Any):
    service = connect("cortex_service")
    assert [one.name for one in service.analyzers.get_by_type("domain")] == ["OTXQuery_2_0"]
    analyzer = service.analyzers.get_by_name("AbuseIPDB_2_0")
    assert service.analyzers.get_by_id(analyzer.id).workerDefinitionId == "AbuseIPDB_2_0"
    job = service.analyzers.run_by_name("AbuseIPDB_2_0", {"data": "203.0.113.45", "dataType": "ip"}, force=1)
    report = service.jobs.get_report_async(job.id, timeout="30second")
    assert (report.status, report.report["success"]) == ("Success", True)
    assert [one.data for one in service.jobs.get_artifacts(job.id)] == ["scan.example.net", "other.example.net"]
    found = service.jobs.find_all({"_and": [{"dataType": "ip"}, {"status": "Success"}]}, range="0-5", sort="-startDate")
    assert [one.id for one in found] == [job.id]
    service.jobs.delete(job.id)
    assert service.jobs.get_by_id(job.id).status == "Deleted"


def test_an_administrator_sets_workers_up(connect: Any, lab: Lab):
    admin = connect("cortex_admin")
    assert "Echo_1_0" in {one.id for one in admin.analyzers.definitions()}
    enabled = admin.analyzers.enable("Echo_1_0", {"configuration": {"key": "k"}})
    assert admin.analyzers.update(enabled.id, {"configuration": {"key": "n"}}).configuration["key"] == "n"
    responder = admin.responders.enable("Note_1_0", {"configuration": {}})
    job = admin.responders.run_by_id(responder.id, {"data": {"_type": "case"}, "dataType": "thehive:case", "tlp": 1})
    lab.settle()
    assert admin.jobs.get_report(job.id).report["full"]["input"]["data"] == {"_type": "case"}
    admin.analyzers.disable(enabled.id)
    assert admin.analyzers.get_by_name("Echo_1_0") is None


def test_people_and_their_rights(connect: Any):
    from cortex4py.api import Api
    from cortex4py.exceptions import AuthenticationError, AuthorizationError, InvalidInputError, NotFoundError

    chief = connect("cortex_superadmin")
    chief.organizations.create({"name": "tenant", "description": "A tenant", "status": "Active"})
    assert chief.organizations.count({}) == 3
    chief.users.create({"login": "bot", "name": "Bot", "organization": "tenant", "roles": ["read"]})
    bot = Api(chief._Api__url, chief.users.set_key("bot"))
    assert bot.analyzers.find_all({}) == []
    with pytest.raises(AuthorizationError):
        bot.analyzers.definitions()
    with pytest.raises(NotFoundError):
        bot.jobs.get_by_id("nothing")
    chief.users.lock("bot")
    with pytest.raises(AuthenticationError):
        bot.analyzers.find_all({})
    with pytest.raises(InvalidInputError):
        chief.users.create({"login": "bot", "name": "Bot", "roles": ["read"]})
    assert [one.id for one in chief.organizations.get_users("tenant", {})] == ["bot"]
