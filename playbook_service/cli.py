"""The command line: `propolis <command>`, each command a module of its own that is imported when it is called.

A command module has `add_arguments(parser)` and `run(arguments) -> int`. Exit codes: 0 done, 1 findings or failures,
2 usage or configuration.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import propolis
from propolis.errors import PropolisError

DONE, FINDINGS, USAGE = 0, 1, 2
INTERRUPTED = 130
PIPE_CLOSED = 141


class Command(NamedTuple):
    """Where a command lives, and the line that `--help` shows for it."""

    module: str
    help: str


COMMANDS: dict[str, Command] = {
    "lint": Command("playbook_service.commands.lint", "check playbooks: faults, dead clauses, unknown fields"),
    "replay": Command("playbook_service.commands.replay", "run a file of Wazuh alerts through playbooks, in dry run"),
    "serve": Command("playbook_service.commands.serve", "the service: webhooks in, contained attackers out"),
    "demo": Command("playbook_service.commands.demo", "the lab, the service and a story, from alert to undo"),
    "lab": Command("playbook_service.commands.lab", "an embedded TheHive and Cortex, to try things on"),
    "suppressions": Command("playbook_service.commands.suppressions", "what is suppressed as false positive, and why"),
    "observations": Command("playbook_service.commands.observations", "how would we have done? observe mode scored"),
    "leases": Command("playbook_service.commands.leases", "what is contained, until when; release, renew"),
    "approvals": Command("playbook_service.commands.approvals", "what waits for an answer; grant, deny"),
    "mode": Command("playbook_service.commands.mode", "how far the service may go; lower it at once, on every node"),
    "audit": Command("playbook_service.commands.audit", "verify, export and anchor the audit chain"),
    "setup": Command("playbook_service.commands.setup", "bring TheHive and Cortex to what one file says"),
    "doctor": Command("playbook_service.commands.doctor", "is every piece reachable, entitled, configured? with fixes"),
    "migrate-store": Command("playbook_service.commands.migrate_store", "move the store from SQLite to PostgreSQL"),
    "follow": Command("playbook_service.commands.follow", "hand the lines of Wazuh's alerts.json to the service"),
    "config": Command("playbook_service.commands.config", "what settings hold, and where each came from"),
    "backup": Command("playbook_service.commands.backup", "back the data up while the service runs; verify a backup"),
    "restore": Command("playbook_service.commands.restore", "go on from a backup, in an empty data folder"),
    "backends": Command(
        "playbook_service.commands.backends", "what the responders can work with, and how it was tested"
    ),
    "sources": Command("playbook_service.commands.sources", "what analysts' closings taught about each source"),
    "attack-coverage": Command("playbook_service.commands.attack_coverage", "ATT&CK techniques seen, and how answered"),
    "report": Command("playbook_service.commands.report", "how a period went, or the story of one case, as a page"),
    "export": Command("playbook_service.commands.export", "alerts, decisions, leases, ... for Elasticsearch"),
}
"""Adding a command is adding a row and its module."""


class CommandModule(Protocol):
    """What a module of `playbook_service.commands` offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; the number is the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; never raises for what a person can put right."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except PropolisError as error:
        print(*(f"propolis: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        _silence(sys.stdout)
        return PIPE_CLOSED
    except KeyboardInterrupt:
        print("propolis: interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(words: list[str]) -> int:
    chosen = next((word for word in words if not word.startswith("-")), None)
    parser, commands = _parsers()
    module = None
    if chosen in COMMANDS:
        module = _module(chosen)
        module.add_arguments(commands[chosen])
    try:
        arguments = parser.parse_args(words)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else USAGE
    if module is None:
        parser.print_help()
        return USAGE
    code = module.run(arguments)
    sys.stdout.flush()
    return code


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(prog="propolis", description="From a Wazuh alert to a contained attacker.")
    parser.add_argument("--version", action="version", version=f"propolis {propolis.__version__}")
    choices = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands = {
        name: choices.add_parser(name, help=command.help, description=f"{command.help[0].upper()}{command.help[1:]}.")
        for name, command in COMMANDS.items()
    }
    return parser, commands


def _module(name: str) -> CommandModule:
    module: CommandModule = importlib.import_module(COMMANDS[name].module)
    return module


def _silence(stream: object) -> None:
    """The reader has gone (`propolis lint | head`): point the stream nowhere, so that closing it complains no more."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())  # type: ignore[attr-defined]
    os.close(descriptor)
