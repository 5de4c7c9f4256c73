"""What commands share that work on a service's data: settings, store and audit chain, opened; tables and JSON, printed.

They may run beside the service: whatever they write is a transaction of the same store, and the service goes on from
there within a second.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from playbook_service.audit.journal import Journal
from playbook_service.engine.tools import Tools
from playbook_service.hive.contract import Hive
from playbook_service.parts import open_store, policy_of
from playbook_service.playbook import Playbooks
from playbook_service.settings import Settings, load
from playbook_service.store.contract import Store
from propolis.clock import Clock, SystemClock
from propolis.errors import ConfigurationError


class Opened(NamedTuple):
    """A service's data."""

    settings: Settings
    store: Store
    clock: Clock
    journal: Journal

    def tools(self, account: str = "") -> Tools:
        """For functions that note what a person wants. They start nothing: that is the service's, which has TheHive."""
        settings = self.settings
        nowhere = cast(Hive, None)
        return Tools(
            self.store, self.clock, nowhere, self.journal, lambda: Playbooks(()), policy_of(settings),
            lambda: str(settings["mode"]), account,
        )  # fmt: skip


def add_config(parser: argparse.ArgumentParser) -> None:
    """The options that all of these commands have."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (default: propolis.yml, if it is there)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


@contextmanager
def opened(config: Path | None) -> Iterator[Opened]:
    """The data of the service that the settings describe. Raises ConfigurationError where there is none yet."""
    settings = load(file=config)
    folder = Path(settings["data_dir"])
    if not folder.is_dir():
        raise ConfigurationError(
            f"There is no data folder {folder}: run this where the service runs, or set data_dir as it is set there.",
            path="data_dir",
        )
    clock = SystemClock()
    store = open_store(settings, clock)
    try:
        yield Opened(settings, store, clock, Journal(store, clock))
    finally:
        store.close()


def operator() -> str:
    """Who is at the keyboard, for the record."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "somebody"
    return f"{name} at the command line"


def print_json(document: Any) -> None:
    """One JSON document."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    print()


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    """Rows under their names; the sentence where there are none. What could move the cursor is shown as `?`."""
    if not rows:
        print(nothing)
        return
    shown = [tuple(head), *(tuple(safe(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    for row in shown:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def safe(text: str) -> str:
    """Text from outside, for a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
