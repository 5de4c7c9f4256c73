"""The store as the commands open it: the one of the service on this machine, while the service runs or not."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playbook_service.replay.table import Paper
from playbook_service.settings import load
from playbook_service.store.contract import Store
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import Clock, utc_text
from propolis.errors import ConfigurationError

FILE = "propolis.db"


@contextmanager
def opened(clock: Clock, environment: Mapping[str, str] | None = None) -> Iterator[Store]:
    """The service's store. Raises ConfigurationError where there is none: a command never makes one."""
    path = Path(load(environment)["data_dir"]) / FILE
    if not path.is_file():
        raise ConfigurationError(
            f"there is no store at {path}: run this where the service runs, with its PROPOLIS_DATA_DIR.",
            path="data_dir",
        )
    store = SqliteStore(path, clock)
    try:
        yield store
    finally:
        store.close()


def operator() -> str:
    """Who is at the keyboard, for the audit: the login behind sudo where there is one."""
    try:
        return f"{os.environ.get('SUDO_USER') or getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return f"uid {os.getuid()} (command line)"


def show_json(document: Any) -> None:
    """Print it as JSON."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    print()


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print it as a table of the terminal's width."""
    width = shutil.get_terminal_size((120, 40)).columns if sys.stdout.isatty() else 120
    for line in Paper(width).table(heads, list(rows)):
        print(line)


def day(moment: float | None) -> str:
    """`2026-01-31 14:05`, UTC; a dash for none."""
    return utc_text(moment)[:16].replace("T", " ") if moment is not None else "-"
