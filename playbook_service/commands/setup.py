"""`propolis setup`: bring TheHive and Cortex to the state that one YAML file describes, or only say what differs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.opened import print_json, safe
from playbook_service.setup.document import read
from playbook_service.setup.look import Change, Look, Step
from playbook_service.setup.run import Outcome, apply, looked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, and whether to look only."""
    parser.add_argument("file", metavar="FILE", type=Path, help="what is wished (begin with deploy/setup.example.yml)")
    parser.add_argument("--check", action="store_true", help="look only; exit code 1 where something differs")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    """0: as wished. 1: something differs, failed, or is left to be done by hand. Raises SetupErrors."""
    wish = read(arguments.file)
    with looked(wish, scan=not arguments.check) as looks:
        changes = [change for look in looks for change in look.changes]
        steps = [step for look in looks for step in look.steps]
        outcome = Outcome((), tuple(changes), "") if arguments.check else apply(changes)
    if arguments.format == "json":
        _print_json(looks, outcome, steps)
    else:
        _print_text(looks, outcome, steps, check=arguments.check)
    return FINDINGS if outcome.left or any(step.known for step in steps) else DONE


def _print_text(looks: Sequence[Look], outcome: Outcome, steps: Sequence[Step], *, check: bool) -> None:
    for look in looks:
        print(look.server)
        for name in look.right:
            print(f"  right   {safe(name)}")
        for change in look.changes:
            waits = not check and change in outcome.left
            print(f"  {change.verb:7} {safe(str(change))}{'  (not done)' if waits else ''}")
    if outcome.error:
        print(
            f"\nIt stopped at {safe(outcome.error)}\nRun it again when the reason is gone: what is done is left alone."
        )
    if steps:
        print("\nBy hand:")
    for number, step in enumerate(steps, 1):
        print(f"{number:2}. {safe(step.title) if step.known else f'({safe(step.title)})'}")
        for line in step.lines:
            print(f"    {safe(line)}")
    print(f"\n{_summary(outcome, steps, check=check)}")


def _summary(outcome: Outcome, steps: Sequence[Step], *, check: bool) -> str:
    open_steps = sum(step.known for step in steps)
    if check:
        told = f"{len(outcome.left)} to be made or changed" if outcome.left else "Nothing to be changed"
    else:
        told = f"{len(outcome.done)} made or changed" if outcome.done else "Nothing was changed"
        told += f", {len(outcome.left)} not done" if outcome.left else ""
    hand = f", {open_steps} to be done by hand" if open_steps else ""
    unknown = len(steps) - open_steps
    return f"{told}{hand}.{f' {unknown} steps in brackets cannot be seen from here.' if unknown else ''}"


def _print_json(looks: Sequence[Look], outcome: Outcome, steps: Sequence[Step]) -> None:
    def change(look: Look, one: Change) -> dict[str, Any]:
        return {
            "where": look.server, "verb": one.verb, "what": one.what, "does": one.does.lstrip(": "),
            "done": one in outcome.done,
        }  # fmt: skip

    print_json(
        {
            "servers": [look.server for look in looks],
            "right": [name for look in looks for name in look.right],
            "changes": [change(look, one) for look in looks for one in look.changes],
            "steps": [{"title": step.title, "lines": list(step.lines), "known": step.known} for step in steps],
            "failed": outcome.error,
        }
    )
