"""`propolis restore`: go on from a backup, in an empty data folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from playbook_service.backup.restore import restore
from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.backup import facts, refuse_elsewhere
from playbook_service.commands.opened import add_config, operator, print_json
from playbook_service.settings import load
from propolis.clock import SystemClock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE."""
    add_config(parser)
    parser.add_argument("file", metavar="FILE", type=Path, help="a backup that `propolis backup` made")


def run(arguments: argparse.Namespace) -> int:
    """0: restored. 1: restored, and the audit chain was not sound when it was backed up. Raises PropolisError (2)."""
    settings = load(file=arguments.config)
    refuse_elsewhere(settings)
    done = restore(arguments.file, settings, SystemClock(), operator())
    manifest = done.checked.manifest
    if arguments.format == "json":
        document = {
            "data_dir": settings["data_dir"], "made_at": manifest.made_at, "audit_head": manifest.audit_head or None,
            "audit_findings": done.checked.audit, "in_doubt": done.in_doubt,
            "config": str(done.config) if done.config else None, "variables": manifest.settings.get("variables", []),
        }  # fmt: skip
        print_json(document)
    else:
        print(f"restored into {settings['data_dir']}", *facts(done.checked), *_next(done.config), sep="\n")
        if done.in_doubt:
            print(f"{done.in_doubt} starts of responders are looked for in TheHive before they are asked for")
    return FINDINGS if done.checked.audit else DONE


def _next(config: Path | None) -> list[str]:
    lines = [f"the settings, playbooks and policy of that time are in {config}, for you to compare"] if config else []
    return [*lines, "before you start the service: what happened since that moment is in TheHive, see docs/operate.md"]
