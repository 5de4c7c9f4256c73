"""`propolis lint`: check playbooks and say everything that is wrong with them, at once."""

from __future__ import annotations

import argparse
import json
import sys

from playbook_service.cli import DONE, FINDINGS
from playbook_service.playbook.issue import ERROR, INFO, WARNING, Issue, issue_of, summary
from playbook_service.playbook.lint import lint
from playbook_service.playbook.loader import SHIPPED, read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files or directories, and the form of the answer."""
    parser.add_argument("place", nargs="*", metavar="DIR|FILE", help="default: the playbooks that ship")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    """0: nothing worse than info. 1: errors or warnings. A place that cannot be read raises ConfigurationError."""
    loaded = read(arguments.place or [SHIPPED])
    issues = sorted([*map(issue_of, loaded.faults), *lint(loaded.playbooks)], key=_place)
    counts = summary(issues)
    if arguments.format == "json":
        _print_json(issues, counts, len(loaded.playbooks))
    else:
        _print_text(issues, counts, len(loaded.playbooks))
    return FINDINGS if counts[ERROR] or counts[WARNING] else DONE


def _place(issue: Issue) -> tuple[str, int, str]:
    return issue.source, issue.line, issue.path


def _print_json(issues: list[Issue], counts: dict[str, int], playbooks: int) -> None:
    document = {"playbooks": playbooks, "summary": counts, "issues": [issue._asdict() for issue in issues]}
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    print()


def _print_text(issues: list[Issue], counts: dict[str, int], playbooks: int) -> None:
    for issue in issues:
        print(issue)
    noun = "playbook" if playbooks == 1 else "playbooks"
    print(f"{playbooks} sound {noun}: {counts[ERROR]} errors, {counts[WARNING]} warnings, {counts[INFO]} notes.")
