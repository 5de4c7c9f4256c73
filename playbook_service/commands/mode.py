"""`propolis mode`: how far the service may go at this moment, and the kill switch at the command line."""

from __future__ import annotations

import argparse

from playbook_service.cli import DONE
from playbook_service.commands.opened import Opened, add_config, opened, operator, print_json, safe
from playbook_service.engine import switch
from playbook_service.engine.switch import Lowered
from playbook_service.playbook import MODES
from propolis.clock import utc_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The mode to set, and why."""
    parser.add_argument(
        "mode", nargs="?", choices=MODES,
        help="lower the mode to this on every node, at once, or raise it again up to the configured one; without it, "
        "say how things stand",
    )  # fmt: skip
    parser.add_argument("--why", default="", metavar="TEXT", help="for the record")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigurationError without a data folder, InputError for more than the configuration allows."""
    with opened(arguments.config) as data:
        return perform(arguments, data)


def perform(arguments: argparse.Namespace, data: Opened) -> int:
    """0."""
    configured = str(data.settings["mode"])
    with data.store.transaction() as work:
        if arguments.mode:
            switch.throw(
                work, data.journal, arguments.mode, configured, operator(), now=data.clock.now(), why=arguments.why
            )
        found = switch.lowered(work)
    if arguments.format == "json":
        print_json({"configured": configured, "mode": found.mode or configured, "lowered": _plain(found)})
    else:
        print(safe(_said(configured, found)))
    return DONE


def _plain(found: Lowered) -> dict[str, str] | None:
    return {"by": found.by, "at": utc_text(found.at), "why": found.why} if found.mode else None


def _said(configured: str, found: Lowered) -> str:
    if not found.mode:
        return f"The mode is {configured}, as configured."
    why = f": {found.why}" if found.why else ""
    return f"The mode is {found.mode}, lowered from {configured} by {found.by} at {utc_text(found.at)}{why}."
