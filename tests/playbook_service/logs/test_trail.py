"""The alert's key goes along from step to step, and the log tells of nothing that was rolled back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playbook_service.audit.journal import Journal
from playbook_service.engine.loop import Loop
from playbook_service.engine.step import Done, Later, Outcome, follow
from playbook_service.logs import trail
from playbook_service.store.contract import Conflict, Item, Store
from playbook_service.store.memory import MemoryStore
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock

KEY = "wazuh-1:1790000000.1"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    clock = ManualClock()
    return MemoryStore(clock) if request.param == "memory" else SqliteStore(tmp_path / "store.db", clock)


def run(store: Store, handlers: dict[str, Callable[[Item], Outcome]], clock: ManualClock | None = None) -> None:
    Loop(store, clock or ManualClock(), handlers, owner="me", buried=lambda *_: None).run_due()


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [(one.getMessage(), one.facts) for one in caplog.records if one.name == "propolis.event"]  # type: ignore[attr-defined]


def test_a_step_carries_the_alerts_key_to_all_that_follows_from_it(store: Store):
    seen: list[tuple[str, str, str]] = []

    def note(item: Item) -> Outcome:
        seen.append((item.key, trail.trace(), trail.step_name()))
        after = {"first": "second", "second": "third"}.get(str(item.body["do"]))
        return Done(lambda work: after and follow(work, after, "x"))  # type: ignore[arg-type, return-value]

    with store.transaction() as work:
        follow(work, "first", "x", alert=KEY)
        follow(work, "alone", "x")
    run(store, dict.fromkeys(("first", "second", "third", "alone"), note))
    assert sorted(seen) == [
        ("alone:x", "", "alone:x"), ("first:x", KEY, "first:x"), ("second:x", KEY, "second:x"),
        ("third:x", KEY, "third:x"),
    ]  # fmt: skip
    assert trail.trace() == ""


def test_a_step_about_another_alert_is_on_that_alerts_trail(store: Store):
    seen: list[str] = []

    def first(_: Item) -> Outcome:
        return Done(lambda work: follow(work, "second", "x", alert="wazuh-1:2") and None)  # type: ignore[func-returns-value]

    with store.transaction() as work:
        follow(work, "first", "x", alert=KEY)
    run(store, {"first": first, "second": lambda _: Done(lambda _: seen.append(trail.trace()))})
    assert seen == ["wazuh-1:2"]


def test_a_document_in_the_inbox_names_its_alert_when_it_was_read(store: Store):
    seen: list[str] = []

    def arrive(_: Item) -> Outcome:
        seen.append(trail.trace())
        trail.belongs_to(KEY)
        return Done(lambda work: seen.append(trail.trace()))

    with store.transaction() as work:
        work.put("inbox", "wazuh:1", {"from": "wazuh", "alert": {"id": "1790000000.1"}})
    run(store, {"wazuh": arrive})
    assert seen == ["", KEY]


def test_what_a_step_audits_is_logged_with_the_number_of_its_line(store: Store, caplog: pytest.LogCaptureFixture):
    journal = Journal(store, ManualClock())
    with store.transaction() as work:
        follow(work, "first", "x", alert=KEY)
    caplog.set_level(logging.INFO)
    run(store, {"first": lambda _: Done(lambda work: journal.write(work, "contained", case="~8") and None)})  # type: ignore[func-returns-value]
    assert told(caplog) == [("contained", {"case": "~8", "audit": 1})]
    assert next(journal.lines())["trace"] == KEY
    assert journal.verify() == []


@pytest.mark.parametrize("failure", [ValueError("a reason"), Conflict("somebody else")], ids=["error", "conflict"])
def test_what_was_rolled_back_is_not_logged_and_what_was_kept_before_it_is(
    store: Store, caplog: pytest.LogCaptureFixture, failure: Exception
):
    journal = Journal(store, ManualClock())

    def half(_: Item) -> Outcome:
        with store.transaction() as work:
            journal.write(work, "decision")

        def commit(work: Any) -> None:
            journal.write(work, "contained")
            raise failure

        return Done(commit)

    with store.transaction() as work:
        follow(work, "first", "x", alert=KEY)
    caplog.set_level(logging.INFO)
    Loop(store, ManualClock(), {"first": half}, owner="me", buried=lambda *_: None).run_due(limit=1)
    assert [message for message, _ in told(caplog)] == ["decision"]


def test_a_step_that_only_waits_logs_what_it_learned(store: Store, caplog: pytest.LogCaptureFixture):
    journal = Journal(store, ManualClock())
    with store.transaction() as work:
        follow(work, "first", "x", alert=KEY)
    caplog.set_level(logging.INFO)
    run(store, {"first": lambda _: Later(60, "wait", lambda work: journal.write(work, "renewed") and None)})  # type: ignore[func-returns-value]
    assert [message for message, _ in told(caplog)] == ["renewed"]


def test_outside_a_step_an_audit_line_is_logged_at_once_and_has_no_trace(
    store: Store, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    journal = Journal(store, ManualClock())
    with store.transaction() as work:
        line = journal.write(work, "release wished", lease="L1", operator="somebody")
    assert told(caplog) == [("release wished", {"lease": "L1", "operator": "somebody", "audit": 1})]
    assert "trace" not in line
