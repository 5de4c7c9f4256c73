"""The author's guide is under test: its examples load and lint clean, and nothing that exists is missing from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from playbook_service.playbook import load
from playbook_service.playbook.condition import MODIFIER_WORDS
from playbook_service.playbook.event import EVENTS
from playbook_service.playbook.field import CASE_FIELDS, OBSERVABLE_FIELDS, VERDICT_FIELDS
from playbook_service.playbook.lint import CHECKS, lint
from playbook_service.playbook.model import MODES, OUTCOMES
from playbook_service.playbook.reader import KEYS
from playbook_service.playbook.responder import RESPONDERS, UNDO
from playbook_service.playbook.verb import LABELS, MERGE_ON, PHASES, SEVERITIES, VERBS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "playbooks.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
INTERNAL = {"path", "impactStatus", "observables", "veto", "prior", "log_odds", "calibrated"}
"""Fields that lint knows and an author has no use for."""


def section(verb: str) -> str:
    return PAGE.split(f"\n### {verb}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_loads_and_has_neither_errors_nor_warnings(number: int, tmp_path: Path) -> None:
    file = tmp_path / "example.yml"
    file.write_text(EXAMPLES[number])

    assert [str(issue) for issue in lint(load(file)) if issue.severity != "info"] == []


@pytest.mark.parametrize("key", sorted({key for keys in KEYS.values() for key in keys}))
def test_every_key_of_a_playbook_is_in_the_table_with_its_kinds(key: str) -> None:
    kinds = [kind for kind, keys in KEYS.items() if key in keys]
    said = "both" if len(kinds) == 2 else kinds[0]

    assert f"\n| `{key}` | {said} | " in PAGE


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_a_section_that_lists_exactly_its_keys(verb: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \|", section(verb), re.MULTILINE)

    assert listed == list(VERBS[verb].keys)


WORDS = [
    *MODIFIER_WORDS, *MODES, *OUTCOMES, *EVENTS, *RESPONDERS, *UNDO, *PHASES, *SEVERITIES, *LABELS, *MERGE_ON, *CHECKS,
    *(VERDICT_FIELDS | CASE_FIELDS | OBSERVABLE_FIELDS) - INTERNAL,
]  # fmt: skip


@pytest.mark.parametrize("word", sorted(set(WORDS)))
def test_every_word_an_author_may_write_is_explained(word: str) -> None:
    assert re.search(rf"`{re.escape(word)}(`|\.)", PAGE), word


def test_every_lint_code_is_documented_with_the_severities_it_has() -> None:
    listed = set(re.findall(r"^\| `([a-z-]+)` \| (?:error|warning|info)", PAGE, re.MULTILINE))

    assert listed == {*CHECKS, "load"}
