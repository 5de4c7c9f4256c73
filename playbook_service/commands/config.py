"""`propolis config`: the effective settings and where each came from; with faults, all of them at once."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playbook_service import parts
from playbook_service.cli import DONE, USAGE
from playbook_service.commands.opened import add_config, print_json, print_table
from playbook_service.engine import anchor
from playbook_service.intake.siem import SHIPPED, load_mapping
from playbook_service.logs.lines import secrets_of
from playbook_service.settings import SETTINGS, Settings, load
from playbook_service.settings.loader import MASKED, SettingsErrors
from playbook_service.settings.reference import default_of
from playbook_service.settings.table import Setting
from playbook_service.store.memory import MemoryStore
from propolis.clock import SystemClock
from propolis.errors import PropolisError
from propolis.guardrails import Policy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--config, --format, --changed."""
    add_config(parser)
    parser.add_argument("--changed", action="store_true", help="only what is not as it ships")


def run(arguments: argparse.Namespace) -> int:
    """0: a service would start with these. 2: it would not, and every reason is said. Secrets are masked."""
    logging.getLogger("propolis").addHandler(logging.NullHandler())  # what the parts log is said here, once
    try:
        settings = load(file=arguments.config)
    except SettingsErrors as error:
        return _tell([str(fault) for fault in error.faults], [], arguments.format)
    redaction = secrets_of(settings)
    faults = [redaction.text(sentence) for sentence in faults_of(settings)]
    rows = [row for row in SETTINGS if not arguments.changed or settings.origins[row.name] != "default"]
    if faults or arguments.format == "json":
        return _tell(faults, [_document(row, settings) for row in rows], arguments.format)
    shown = [(row.name, _written(row, settings), settings.origins[row.name]) for row in rows]
    print_table(("setting", "value", "from"), shown, "Everything is as it ships.")
    return DONE


def faults_of(settings: Settings) -> Iterator[str]:
    """Why a service could not start with settings that by themselves are well written, or would work with nothing."""
    clock = SystemClock()
    looks: tuple[Callable[[], object], ...] = (
        lambda: parts.check_exposure(settings),
        lambda: parts.policy_of(settings)().mode,
        lambda: parts.playbooks_of(settings)().digest,
        lambda: parts.outbox_of(settings, clock),
        lambda: parts.feed_book(settings, MemoryStore(clock), clock, lambda: Policy.parse(None)),
        lambda: parts.tls_of(settings),
        lambda: parts.options_of(settings),
        lambda: parts.escalation_rules(settings),
        lambda: load_mapping(Path(settings["siem_mapping"]) if settings["siem_mapping"] else SHIPPED),
        lambda: anchor.syslog(settings["audit_syslog"]) if settings["audit_syslog"] else None,
    )
    for look in looks:
        try:
            look()
        except PropolisError as error:
            yield from str(error).splitlines()


def _tell(faults: list[str], settings: list[dict[str, Any]], form: str) -> int:
    if form == "json":
        print_json({"sound": not faults, "faults": faults, "settings": settings})
    elif faults:
        raise PropolisError("\n".join(faults))
    return USAGE if faults else DONE


def _document(row: Setting, settings: Settings) -> dict[str, Any]:
    return {
        "name": row.name, "value": settings.masked()[row.name], "from": settings.origins[row.name],
        "variable": row.variable, "secret": row.secret,
    }  # fmt: skip


def _written(row: Setting, settings: Settings) -> str:
    """As somebody would write it into the file."""
    value = settings[row.name]
    return MASKED if row.secret and value else default_of(row._replace(default=value)).strip("`")
