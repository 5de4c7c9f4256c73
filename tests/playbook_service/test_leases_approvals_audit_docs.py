"""The operator's reference names every option of the three commands, every state, and rules that can be read."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from playbook_service.commands import approvals, audit, leases
from playbook_service.engine import lease
from playbook_service.engine.escalation_rule import read_rules
from playbook_service.engine.request import PERMANENT, RELEASE, RENEW

COMMANDS = {"leases": leases, "approvals": approvals, "audit": audit}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "leases-approvals-audit.md").read_text(encoding="utf-8")


def parser_of(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, exit_on_error=False)
    COMMANDS[name].add_arguments(parser)
    return parser


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_word_of_a_command_is_told(page: str, name: str):
    section = page[page.index(f"## `propolis {name}`") :].partition("\n## ")[0]
    for action in parser_of(name)._actions:
        words = [word for word in action.option_strings if word not in ("-h", "--help")] or list(action.choices or ())
        for word in words:
            assert word in (page if word in ("--config", "--format") else section), word


def test_every_example_is_one_that_the_command_takes(page: str):
    shells = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    lines = re.findall(r"^(?:PROPOLIS_ANSWER_KEY=\S+ )?propolis (.*?)(?:\s{2,}#.*)?$", shells, re.MULTILINE)
    taken = 0
    for line in lines:
        name, *words = shlex.split(line)
        parser_of(name).parse_args(words)
        taken += 1
    assert taken >= 15


def test_every_state_of_a_lease_and_every_tag_is_told(page: str):
    for state in (*lease.IN_FORCE, lease.WISHED, lease.ENDED, lease.REFUSED):
        assert f"`{state}`" in page
    for word in (RELEASE, RENEW, PERMANENT):
        assert f"`propolis:{word}" in page


def test_the_rules_of_the_page_can_be_read(page: str):
    text = page.partition("<!-- rules -->\n```yaml\n")[2].partition("```")[0]
    assert [rule.name for rule in read_rules(text, "page")] == ["critical", "unanswered-at-night", "suspicious"]
