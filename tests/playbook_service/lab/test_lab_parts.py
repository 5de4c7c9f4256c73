"""The small parts by themselves: agenda, store, filter, router, recordings, forms."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab.agenda import Agenda
from playbook_service.lab.exchange import ApiError
from playbook_service.lab.filter import MISSING, matches, reader
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.store import Store
from playbook_service.lab.multipart import read_parts
from playbook_service.lab.route import Route, Router
from playbook_service.lab.scripted import Script
from playbook_service.lab.sharedclock import SharedClock
from propolis.clock import ManualClock
from propolis.errors import InputError

DOCUMENT = {"a": {"b": 5}, "tags": ["x", "y"], "name": "Hello World", "on": True, "none": None, "wazuh.rule": 1}


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ({}, True),
        ({"_field": "a.b", "_value": 5}, True),
        ({"a.b": 5}, True),
        ({"_eq": {"_field": "tags", "_value": "x"}}, True),
        ({"_is": {"name": "Hello World"}}, True),
        ({"_ne": {"_field": "a.b", "_value": 5}}, False),
        ({"_gt": {"a.b": 4}}, True),
        ({"_lte": {"a.b": 4}}, False),
        ({"_gt": {"name": 4}}, False),
        ({"_between": {"_field": "a.b", "_from": 5, "_to": 6}}, True),
        ({"_between": {"_field": "a.b", "_from": 4, "_to": 5}}, False),
        ({"_in": {"_field": "tags", "_values": ["z", "y"]}}, True),
        ({"_like": {"_field": "name", "_value": "hello*"}}, True),
        ({"_wildcard": {"_field": "name", "_value": "*earth"}}, False),
        ({"_match": {"_field": "name", "_value": "world"}}, True),
        ({"_startsWith": {"_field": "name", "_value": "Hell"}}, True),
        ({"_endsWith": {"_field": "name", "_value": "Hell"}}, False),
        ({"_has": "a.b"}, True),
        ({"_has": "none"}, False),
        ({"_empty": "none"}, True),
        ({"_eq": {"_field": "on", "_value": 1}}, False),
        ({"_eq": {"_field": "wazuh.rule", "_value": 1}}, True),
        ({"_and": [{"a.b": 5}, {"_not": {"name": "x"}}]}, True),
        ({"_or": [{"a.b": 6}, {"name": "x"}]}, False),
        ({"_any": ""}, True),
    ],
)
def test_filters(expression: dict[str, Any], passes: bool):
    assert matches(expression, reader(DOCUMENT)) is passes


def test_relative_dates_look_behind_and_ahead():
    now = 10 * 86_400_000
    get = reader({"date": now - 3_600_000})
    ago = {"amount": 2, "unit": "hours", "look": "behind"}
    assert matches({"_gte": {"_field": "date", "_value": ago}}, get, now)
    assert not matches({"_gte": {"_field": "date", "_value": {**ago, "look": "ahead"}}}, get, now)


def test_arrays_of_objects_are_searched_within():
    get = reader({"customFieldChanges": [{"name": "rule", "values": ["1"]}]})
    inner = {"_field": "customFieldChanges", "_filter": {"_is": {"_field": "name", "_value": "rule"}}}
    assert matches({"_arrayMatch": inner}, get)


def test_an_unknown_operator_is_refused():
    with pytest.raises(ApiError, match="Unknown filter"):
        matches({"_resembles": {"a": 1}}, reader(DOCUMENT))
    assert reader(DOCUMENT)("a.c") is MISSING


def test_a_literal_path_wins_over_a_name():
    router = Router([Route("GET", "/api/{id}", lambda: "name"), Route("GET", "/api/current", lambda: "literal")])
    found = router.find("GET", "/api/current")
    assert found is not None
    assert found[0].pattern == "/api/current"
    found = router.find("GET", "/api/x")
    assert found is not None
    assert found[1] == {"id": "x"}
    assert router.find("POST", "/api/x") is None


def entity(store: Store, kind: str = "Case", **more: Any) -> Entity:
    return store.put(Entity(store.next_id(), kind, "o", more.pop("parent", None), "u", 1, more, key=more.get("key")))


def test_a_failed_transaction_leaves_nothing_behind():
    store = Store()
    with store.transaction():
        case = entity(store, key=("o", 1), title="old")
    with pytest.raises(KeyError), store.transaction():
        store.change(case, {"title": "new"}, by="u", at=2)
        entity(store, "Task", parent=case.id)
        entity(store, key=("o", 2))
        store.remove(case.id)
        raise KeyError
    assert [one["title"] for one in store.all("Case")] == ["old"]
    assert store.children(case.id, "Task") == []
    assert store.by_key("Case", ("o", 1)) == case
    assert store.by_key("Case", ("o", 2)) is None


def test_what_hangs_on_a_thing_goes_with_it():
    store = Store()
    with store.transaction():
        case = entity(store)
        task = entity(store, "Task", parent=case.id)
        log = entity(store, "Log", parent=task.id)
        store.remove(case.id)
    assert [store.find(one.id) for one in (case, task, log)] == [None, None, None]


def test_a_change_needs_a_transaction():
    store = Store()
    with pytest.raises(RuntimeError):
        entity(store)


def test_an_agenda_does_things_when_their_time_comes():
    clock = ManualClock()
    agenda = Agenda("test", clock, 1)
    agenda.start()
    done: list[str] = []
    agenda.add(lambda: done.append("late"), 10)
    agenda.add(lambda: done.append("soon"), 5)
    agenda.add(lambda: done.append("now"))
    assert agenda.wait(lambda: done == ["now"], 5)
    assert (agenda.busy(future=False), agenda.busy(future=True)) == (False, True)
    clock.advance(20)
    assert agenda.wait(lambda: done == ["now", "soon", "late"], 5)
    agenda.add(lambda: done.append("never"), 5)
    agenda.stop()
    assert "never" not in done
    assert [one.name for one in threading.enumerate() if one.name.startswith("lab-test")] == []


def test_a_recording_with_a_bad_line_is_named(tmp_path: Path):
    path = tmp_path / "reports.jsonl"
    path.write_text('\n{"workerDefinitionId": "A_1_0", "dataType": "ip", "report": "Waiting"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="a finished report") as fault:
        Script().load(path)
    assert (fault.value.source, fault.value.line) == (str(path), 2)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="Not JSON"):
        Script().load(path)


def test_names_of_recorded_analyzers_are_taken_apart():
    script = Script()
    script.record("VirusTotal_GetReport_3_1", "ip", "203.0.113.1", {"summary": {}})
    script.record("Plain", "ip", "203.0.113.1", {})
    assert [(one.id, one.name, one.version) for one in script.definitions()] == [
        ("Plain", "Plain", "1.0"), ("VirusTotal_GetReport_3_1", "VirusTotal_GetReport", "3.1"),
    ]  # fmt: skip


def test_a_body_that_is_no_form_has_no_parts():
    assert read_parts("application/json", b"{}") == []
    assert read_parts("multipart/form-data; boundary=x", b"nonsense") == []


def test_a_clock_in_a_file_is_the_same_for_everybody(tmp_path: Path):
    path = tmp_path / "clock.json"
    one, other = SharedClock(path, now=1000.0), SharedClock(path)
    assert (one.now(), other.now(), other.monotonic()) == (1000.0, 1000.0, 0.0)
    other.advance(30)
    other.jump(-500)
    assert (one.now(), one.monotonic()) == (530.0, 30.0)
    sleeper = threading.Thread(target=lambda: one.sleep(10))
    sleeper.start()
    for _ in range(500):
        other.advance(1)
        sleeper.join(0.01)
        if not sleeper.is_alive():
            break
    assert not sleeper.is_alive()
    assert one.monotonic() >= 40.0
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="not a clock file"):
        one.now()


def test_a_lab_lives_by_the_clock_it_is_given(tmp_path: Path, make_lab: Any, rest: Any, alert: dict[str, Any]):
    clock = SharedClock(tmp_path / "clock.json", now=1767261600.0)
    lab = make_lab(5, clock=clock)
    wazuh = rest(lab, "wazuh")
    assert wazuh.post("api/v1/alert", alert)["_createdAt"] == 1767261600000
    SharedClock(tmp_path / "clock.json").advance(60)
    assert wazuh.post("api/v1/alert", {**alert, "sourceRef": "2"})["_createdAt"] == 1767261660000


def test_a_full_server_can_be_stopped(make_lab: Any):
    """More connections than there are places: `stop` still ends them all."""
    lab = make_lab(5)
    host, port = lab.thehive_server.host, lab.thehive_server.port
    crowd = [socket.create_connection((host, port)) for _ in range(140)]
    try:
        assert lab.connector.agenda.wait(lambda: threading.active_count() > 128, 10)
        lab.stop_thehive()
        assert [one.name for one in threading.enumerate() if one.name.startswith("lab-thehive")] == []
    finally:
        for one in crowd:
            one.close()
    lab.start_thehive()


def test_onlookers_take_no_work_from_the_crew():
    """Somebody who waits for quiet must not swallow the wake-up meant for the only worker."""
    agenda = Agenda("test", ManualClock(), 1)
    agenda.start()
    done: list[int] = []
    for number in range(300):
        onlooker = threading.Thread(target=agenda.wait, args=(lambda number=number: len(done) > number, 5))
        onlooker.start()
        agenda.add(lambda number=number: done.append(number))
        onlooker.join(5)
        assert len(done) == number + 1
    agenda.stop()
