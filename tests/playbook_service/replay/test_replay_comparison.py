"""An edited playbook against the one in use, on alerts with the verdicts that are on record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from playbook_service.playbook import Playbooks, load
from playbook_service.replay.comparison import Comparison, Past, Word, key_of
from playbook_service.replay.edit import edited
from playbook_service.replay.pipeline import Pipeline, Setup
from propolis.alert import Alert
from propolis.guardrails import Policy
from propolis.observables import extract

ASK_ALL = """\
kind: enrich
name: addresses
description: Ask about addresses.
on: observable
when: {observable.dataType: ip}
analyzers: [AbuseIPDB]
"""
BLOCK = """\
kind: respond
name: block
description: Block what many call malicious.
mode: MODE
on: verdict
decide:
  - act: {verdict.families|gte: FAMILIES}
actions:
  - do: respond
    with: FirewallBlock
    target: observable
"""
FLAG = """\
kind: respond
name: flag
description: Flag a grave case.
on: case
when: {case.severity|gte: SEVERITY}
actions:
  - do: flag
"""
ATTACKER = "203.0.113.17"


@pytest.fixture
def books(tmp_path: Path) -> Playbooks:
    """A set of three files; what is in capitals is for the tests to edit."""
    (tmp_path / "a.yml").write_text(ASK_ALL)
    (tmp_path / "b.yml").write_text(block())
    (tmp_path / "c.yml").write_text(FLAG.replace("SEVERITY", "4"))
    return load(tmp_path)


def block(mode: str = "enforce", families: str = "3") -> str:
    return BLOCK.replace("MODE", mode).replace("FAMILIES", families)


def source(books: Playbooks, name: str) -> str:
    book = books.named(name)
    assert book is not None
    return book.source


def after(books: Playbooks, name: str, text: str) -> Playbooks:
    loaded = edited(books, source(books, name), text)
    assert not loaded.faults
    return loaded.playbooks


def past(made: Alert, number: int = 1, **verdict: object) -> Past:
    """An alert with this verdict on its source, or none."""
    verdicts = {key_of("ip", ATTACKER): Word({"verdict": "malicious", **verdict})} if verdict else {}
    return Past(f"siem01:{number}", made, tuple(extract(made)), made.timestamp or 0.0, verdicts)


def compared(before: Playbooks, then: Playbooks, *pasts: Past, ceiling: str = "enforce", policy: str = ""):
    text = policy or "firewall: {own: [192.0.2.0/24]}"
    comparison = Comparison(before, then, Policy.parse(text), ceiling)
    for one in pasts:
        comparison.take(one)
    return comparison.tally


# --- what changes --------------------------------------------------------------------------------------------------


def test_the_same_text_changes_nothing(books, alert):
    tally = compared(books, after(books, "block", block()), past(alert(), families=4))
    assert (tally.alerts, tally.changed, tally.ranked()) == (1, 0, [])


def test_a_lower_bar_contains_what_was_left_alone(books, alert):
    tally = compared(books, after(books, "block", block(families="2")), past(alert(), families=2))
    (row,) = tally.ranked()
    assert (row.change.target, row.change.before, row.change.after) == (ATTACKER, "observe", "act")
    assert (tally.before["left alone"], tally.after["act"]) == (1, 1)


def test_what_only_the_mode_holds_back_is_told_with_the_mode(books, alert):
    tally = compared(books, after(books, "block", block("observe")), past(alert(), families=4))
    (row,) = tally.ranked()
    assert row.change.after == "act, today observe (playbook mode observe)"
    assert tally.before == tally.after
    assert (tally.before_today["act"], tally.after_today["act"]) == (1, 0)


def test_the_service_mode_is_the_ceiling_of_both(books, alert):
    tally = compared(books, after(books, "block", block(families="2")), past(alert(), families=2), ceiling="approve")
    assert (tally.after_today["ask"], tally.after["act"]) == (1, 1)


def test_the_guardrails_stop_in_both_what_is_protected(books, alert):
    text = f"firewall: {{own: [192.0.2.0/24], never: [{ATTACKER}]}}"
    tally = compared(books, after(books, "block", block(families="2")), past(alert(), families=2), policy=text)
    (row,) = tally.ranked()
    assert row.change.after == "stopped"


def test_one_target_is_one_row_however_many_alerts_show_it(books, alert):
    pasts = [past(alert(id=f"17949024{n}.1"), n, families=2) for n in range(3)]
    tally = compared(books, after(books, "block", block(families="2")), *pasts)
    (row,) = tally.ranked()
    assert (row.times, row.alert) == (3, "siem01:0")
    assert tally.groups() == [("respond FirewallBlock", "observe", "act", 3, 1)]


def test_a_verdict_that_was_never_given_is_not_made_up(books, alert):
    tally = compared(books, after(books, "block", block(families="0")), past(alert()))
    assert (tally.changed, tally.unknown) == (0, 1)


def test_playbooks_on_cases_are_compared_too(books, alert):
    made = past(alert(rule={"level": 13}), families=4)
    tally = compared(books, after(books, "flag", FLAG.replace("SEVERITY", "3")), made)
    assert [(row.change.action, row.change.before, row.change.after) for row in tally.ranked()] == [
        ("flag", "nothing", "act")
    ]


def test_containments_come_before_the_books_and_the_gravest_first(books, alert):
    text = block(families="2") + "  - do: tag\n    add: seen\n"
    tally = compared(books, after(books, "block", text), past(alert(), families=2))
    assert [row.change.action for row in tally.ranked()] == ["respond FirewallBlock", "tag add seen, to case"]


# --- the edited set ------------------------------------------------------------------------------------------------


def test_the_edited_text_takes_the_place_of_its_file(books):
    text = block().replace("name: block", "name: other")
    loaded = edited(books, source(books, "block"), text)
    assert [book.name for book in loaded.playbooks] == ["addresses", "other", "flag"]
    assert books.named("block") is not None


def test_all_playbooks_of_a_file_are_replaced(tmp_path):
    (tmp_path / "two.yml").write_text(block() + "---\n" + FLAG.replace("SEVERITY", "4"))
    books = load(tmp_path)
    loaded = edited(books, source(books, "flag"), block())
    assert [book.name for book in loaded.playbooks] == ["block"]


def test_every_fault_of_the_text_is_told_with_its_line(books):
    text = block("enforced").replace("do: respond", "do: respnd")
    faults = edited(books, source(books, "block"), text).faults
    assert [fault.line for fault in faults] == [4, 9]


def test_a_name_of_another_file_is_taken(books):
    (fault,) = edited(books, source(books, "block"), block().replace("name: block", "name: flag")).faults
    assert "is taken by" in fault.message
    assert "c.yml:1" in fault.message


@pytest.mark.parametrize("text", ["", "# nothing\n", "\ud800"])
def test_a_text_without_a_playbook_says_so(books, text):
    faults = edited(books, source(books, "block"), text).faults
    assert faults


# --- replay --against ----------------------------------------------------------------------------------------------


def test_replay_against_compares_playbooks_on_cases(books, alert: Callable[..., Alert], evidence, history, policy):
    case = "kind: respond\nname: case\ndescription: d\non: alert\nactions:\n  - do: case\n    template: T\n"
    setup = Setup(
        after(books, "block", case), policy, evidence, history,
        against=after(after(books, "block", case), "flag", FLAG.replace("SEVERITY", "2")),
    )  # fmt: skip
    outcome = Pipeline(setup).process(alert(rule={"level": 9}))
    assert [(change.action, change.before, change.after) for change in outcome.changes] == [("flag", "act", "nothing")]
